/* The C library's output: a table of N rows (default 4) through printf, puts
 * and putchar, numbers parsed back from text, a long jump out of a recursion. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include "guest.h"

static jmp_buf escape;

NOINLINE static int dive(int depth)
{
    if (depth == 0)
        longjmp(escape, 42);
    return dive(depth - 1) + 1;
}

GUEST_MAIN(n)
{
    if (n == 0)
        n = 4;
    puts("  n        square      hex  reciprocal");
    for (uint64_t i = 1; i <= n; i++)
        printf("%3d %13lld %#8x %11.8f %-6s|\n", (int)i, (long long)(i * i * 1000003), (unsigned)(i * 4097),
               1.0 / (double)i, i % 2 ? "odd" : "even");
    char text[64];
    int length = snprintf(text, sizeof text, "%.17g %e %ld", 0.1, 1e-7 * (double)n, -5L * (long)n);
    printf("[%s] %d\n", text, length);
    char *end;
    double tenth = strtod(text, &end), small = strtod(end, &end);
    long number = strtol(end, &end, 10);
    printf("%g %g %ld %c\n", tenth, small, number, *end ? 'x' : '.');
    volatile int caught = setjmp(escape);
    if (!caught)
        dive(10);
    putchar('0' + caught % 10);
    putchar('\n');
    return (uint64_t)(tenth == 0.1) + (uint64_t)(number + caught) * 2;
}

/* The parts of <stdlib.h> and <ctype.h> that are neither memory nor floating
 * point. */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include "ctype.h"
#include "errno.h"
#include "pvm2.h"
#include "stdlib.h"
#include "string.h"

/* A program may bring its own. */
#pragma weak abort
#pragma weak exit
#pragma weak atoi
#pragma weak qsort
#pragma weak rand
#pragma weak srand

int errno;

/* exit */

static void (*exits[32])(void);
static unsigned exit_count;
static void (*exit_hook)(void);

static void run_exits(void)
{
    while (exit_count)
        exits[--exit_count]();
    if (exit_hook)
        exit_hook();
}

int atexit(void (*function)(void))
{
    if (exit_count == sizeof exits / sizeof *exits)
        return -1;
    if (__pvm_at_exit != run_exits) {
        exit_hook = __pvm_at_exit;
        __pvm_at_exit = run_exits;
    }
    exits[exit_count++] = function;
    return 0;
}

_Noreturn void exit(int value)
{
    __pvm_exit((uint64_t)(int64_t)value);
}

_Noreturn void _Exit(int value)
{
    pvm_halt((uint64_t)(int64_t)value);
}

_Noreturn void abort(void)
{
    pvm_trap();
}

char *getenv(const char *name)
{
    (void)name;
    return NULL;
}

int system(const char *command)
{
    return command ? -1 : 0;
}

/* integers */

int abs(int x) { return x < 0 ? -x : x; }
long labs(long x) { return x < 0 ? -x : x; }
long long llabs(long long x) { return x < 0 ? -x : x; }
div_t div(int n, int d) { return (div_t){n / d, n % d}; }
ldiv_t ldiv(long n, long d) { return (ldiv_t){n / d, n % d}; }
lldiv_t lldiv(long long n, long long d) { return (lldiv_t){n / d, n % d}; }

static uint64_t random_state = 1;

int rand(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (int)(random_state >> 33);
}

void srand(unsigned seed)
{
    random_state = seed;
}

/* sorting and searching */

static void exchange(char *a, char *b, size_t size)
{
    for (; size >= 8; a += 8, b += 8, size -= 8) {
        uint64_t x, y;
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        memcpy(a, &y, 8);
        memcpy(b, &x, 8);
    }
    for (; size; a++, b++, size--) {
        char t = *a;
        *a = *b;
        *b = t;
    }
}

/* Heapsort: no recursion and no bad case. */
void qsort(void *base, size_t count, size_t size, int (*order)(const void *, const void *))
{
    char *v = base;
    size_t start = count / 2, end = count;
    while (end > 1) {
        if (start > 0)
            start--;
        else
            exchange(v, v + --end * size, size);
        for (size_t root = start, child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && order(v + child * size, v + (child + 1) * size) < 0)
                child++;
            if (order(v + root * size, v + child * size) >= 0)
                break;
            exchange(v + root * size, v + child * size, size);
        }
    }
}

void *bsearch(const void *key, const void *base, size_t count, size_t size,
              int (*order)(const void *, const void *))
{
    const char *v = base;
    while (count) {
        const char *middle = v + count / 2 * size;
        int o = order(key, middle);
        if (o == 0)
            return (void *)middle;
        if (o > 0) {
            v = middle + size;
            count--;
        }
        count /= 2;
    }
    return NULL;
}

/* numbers from text */

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

/* The magnitude of the number at s; 2^64 and more saturates and sets *over. */
static uint64_t parse(const char *s, char **end, int base, int *negative, int *over)
{
    const char *start = s;
    while (isspace((unsigned char)*s))
        s++;
    *negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    if ((base == 0 || base == 16) && s[0] == '0' && (s[1] | 0x20) == 'x' && digit_value(s[2]) < 16) {
        s += 2;
        base = 16;
    }
    if (base == 0)
        base = *s == '0' ? 8 : 10;
    uint64_t value = 0;
    int any = 0;
    for (int d; (d = digit_value(*s)) < base; s++, any = 1)
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)d, &value))
            *over = 1;
    if (end)
        *end = (char *)(any ? s : start);
    return *over ? UINT64_MAX : value;
}

unsigned long long strtoull(const char *restrict s, char **restrict end, int base)
{
    int negative, over = 0;
    uint64_t value = parse(s, end, base, &negative, &over);
    if (over)
        errno = ERANGE;
    return negative && !over ? 0 - value : value;
}

long long strtoll(const char *restrict s, char **restrict end, int base)
{
    int negative, over = 0;
    uint64_t value = parse(s, end, base, &negative, &over);
    uint64_t limit = (uint64_t)INT64_MAX + (uint64_t)negative;
    if (value > limit) {
        errno = ERANGE;
        value = limit;
    }
    return (long long)(negative ? 0 - value : value);
}

unsigned long strtoul(const char *restrict s, char **restrict end, int base)
{
    return strtoull(s, end, base);
}

long strtol(const char *restrict s, char **restrict end, int base)
{
    return strtoll(s, end, base);
}

int atoi(const char *s) { return (int)strtol(s, NULL, 10); }
long atol(const char *s) { return strtol(s, NULL, 10); }
long long atoll(const char *s) { return strtoll(s, NULL, 10); }

/* characters, in the locale "C" */

int isdigit(int c) { return c >= '0' && c <= '9'; }
int isupper(int c) { return c >= 'A' && c <= 'Z'; }
int islower(int c) { return c >= 'a' && c <= 'z'; }
int isalpha(int c) { return isupper(c) || islower(c); }
int isalnum(int c) { return isalpha(c) || isdigit(c); }
int isblank(int c) { return c == ' ' || c == '\t'; }
int isspace(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
int iscntrl(int c) { return (c >= 0 && c < ' ') || c == 0x7f; }
int isprint(int c) { return c >= ' ' && c < 0x7f; }
int isgraph(int c) { return c > ' ' && c < 0x7f; }
int ispunct(int c) { return isgraph(c) && !isalnum(c); }
int isxdigit(int c) { return isdigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }
int tolower(int c) { return isupper(c) ? c + ('a' - 'A') : c; }
int toupper(int c) { return islower(c) ? c - ('a' - 'A') : c; }

char *strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

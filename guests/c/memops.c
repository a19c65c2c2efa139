/* Copies, fills, comparisons and scans of every small length and alignment,
 * through the runtime's memory functions; N rounds (default 1). */
#include "guest.h"

#define SIZE 4096

static uint8_t a[SIZE + 64], b[SIZE + 64];

static uint64_t sum_of(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + p[i];
    return sum;
}

GUEST_MAIN(n)
{
    uint64_t state = 23, sum = 0;
    if (n == 0)
        n = 1;
    memset(b, 0, sizeof b);
    for (uint64_t round = 0; round < n; round++) {
        for (size_t i = 0; i < sizeof a; i++)
            a[i] = (uint8_t)(1 + guest_random(&state) % 255);
        for (size_t len = 0; len < 80; len++) {
            size_t from = len % 9, to = len * 5 % 11;
            memcpy(b + to, a + from, len);
            memmove(b + to + 3, b + to, len);
            memmove(b + to, b + to + 5, len);
            memset(b + to + len, (int)len, len % 13);
            int order = memcmp(a + from, b + to, len);
            sum = guest_mix(sum, (uint64_t)((order > 0) - (order < 0)));
        }
        memcpy(b + 100, a, SIZE - 200);
        b[SIZE - 50] = 0;
        sum += strlen((const char *)b + 100);
        memmove(b + 7, b, SIZE - 100);
        memmove(b, b + 13, SIZE - 100);
        sum = guest_mix(sum, sum_of(b, 600));
        memset(a, (int)round, SIZE);
        sum = guest_mix(sum, sum_of(a + SIZE - 40, 60));
    }
    return sum;
}

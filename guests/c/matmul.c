/* Product of two N x N matrices of 64-bit integers (default 24). */
#include "guest.h"

#define MAX 256

static uint64_t a[MAX][MAX], b[MAX][MAX], c[MAX][MAX];

GUEST_MAIN(n)
{
    if (n == 0 || n > MAX)
        n = n ? MAX : 24;
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            a[i][j] = guest_random(&state);
            b[i][j] = guest_random(&state);
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            uint64_t sum = 0;
            for (size_t k = 0; k < n; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum = guest_mix(sum, c[i][j]);
    return sum;
}

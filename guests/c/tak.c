/* Takeuchi's function: recursion three arguments wide. */
#include "guest.h"

NOINLINE static int64_t tak(int64_t x, int64_t y, int64_t z)
{
    if (y >= x)
        return z;
    return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

GUEST_MAIN(n)
{
    if (n == 0)
        n = 2;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum = guest_mix(sum, (uint64_t)tak(12 + (int64_t)(i % 3), 8, 4));
    return sum;
}

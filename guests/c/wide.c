/* Division and shifts of 128-bit integers, which the compiler calls the
 * runtime for; N rounds (default 100). Each quotient is checked. */
#include "guest.h"

typedef unsigned __int128 u128;
typedef __int128 i128;

static u128 random_wide(uint64_t *state)
{
    u128 x = (u128)guest_random(state) << 64 | guest_random(state);
    return x >> (guest_random(state) >> 57) % 128;
}

GUEST_MAIN(n)
{
    uint64_t state = 31, sum = 0;
    if (n == 0)
        n = 100;
    for (uint64_t i = 0; i < n; i++) {
        u128 a = random_wide(&state), b = random_wide(&state) | 1;
        u128 q = a / b, r = a % b;
        if (r >= b || q * b + r != a)
            return i + 1;
        i128 sa = (i128)(a << 1) >> 1, sb = (i128)(i & 1 ? b >> 1 : -(b >> 1));
        if (sb == 0)
            sb = -1;
        if (sb == -1 && sa < 0)
            sa = -(sa + 1);
        i128 sq = sa / sb, sr = sa % sb;
        if ((u128)sq * (u128)sb + (u128)sr != (u128)sa)
            return i + 1;
        sum = guest_mix(sum, (uint64_t)q ^ (uint64_t)(q >> 64));
        sum = guest_mix(sum, (uint64_t)sr ^ (uint64_t)(sq >> 17));
    }
    return sum;
}

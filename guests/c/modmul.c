/* Montgomery multiplication modulo the prime of secp256k1, four limbs of 64
 * bits: powers x^(p-2) by square and multiply, N times (default 1). The value
 * is 1 in the top bit if every x * x^(p-2) was 1. */
#include "guest.h"

typedef unsigned __int128 u128;

typedef struct {
    uint64_t limb[4];
} num;

static const num P = {{0xfffffffefffffc2f, 0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff}};
/* -1 / P mod 2^64, 2^256 mod P, 2^512 mod P. */
static const uint64_t P_INVERSE = 0xd838091dd2253531;
static const num R1 = {{0x1000003d1, 0, 0, 0}};
static const num R2 = {{0x000007a2000e90a1, 1, 0, 0}};

static num reduce_once(const uint64_t t[4], uint64_t carry)
{
    num r;
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        u128 d = (u128)t[i] - P.limb[i] - borrow;
        r.limb[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    if (borrow > carry)
        for (int i = 0; i < 4; i++)
            r.limb[i] = t[i];
    return r;
}

NOINLINE static num multiply(const num *a, const num *b)
{
    uint64_t t[6] = {0};
    for (int i = 0; i < 4; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 4; j++) {
            u128 x = (u128)a->limb[j] * b->limb[i] + t[j] + carry;
            t[j] = (uint64_t)x;
            carry = (uint64_t)(x >> 64);
        }
        u128 x = (u128)t[4] + carry;
        t[4] = (uint64_t)x;
        t[5] = (uint64_t)(x >> 64);

        uint64_t m = t[0] * P_INVERSE;
        x = (u128)m * P.limb[0] + t[0];
        carry = (uint64_t)(x >> 64);
        for (int j = 1; j < 4; j++) {
            x = (u128)m * P.limb[j] + t[j] + carry;
            t[j - 1] = (uint64_t)x;
            carry = (uint64_t)(x >> 64);
        }
        x = (u128)t[4] + carry;
        t[3] = (uint64_t)x;
        t[4] = t[5] + (uint64_t)(x >> 64);
    }
    return reduce_once(t, t[4]);
}

GUEST_MAIN(n)
{
    if (n == 0)
        n = 1;
    uint64_t state = 3, sum = 0, good = 1;
    for (uint64_t round = 0; round < n; round++) {
        num x;
        for (int i = 0; i < 4; i++)
            x.limb[i] = guest_random(&state);
        x.limb[3] >>= 1;
        x = multiply(&x, &R2);
        num power = R1;
        for (int bit = 255; bit >= 0; bit--) {
            uint64_t limb = P.limb[bit / 64] - (bit < 64 ? 2 : 0);
            power = multiply(&power, &power);
            if (limb >> bit % 64 & 1)
                power = multiply(&power, &x);
        }
        num one = multiply(&power, &x);
        good &= memcmp(&one, &R1, sizeof one) == 0;
        for (int i = 0; i < 4; i++)
            sum = guest_mix(sum, power.limb[i]);
    }
    return good << 63 | sum >> 1;
}

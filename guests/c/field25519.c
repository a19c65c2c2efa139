/* Arithmetic modulo 2^255 - 19 in five limbs of 51 bits: N steps (default 20)
 * of the Montgomery ladder of X25519 from the base point. */
#include "guest.h"

typedef unsigned __int128 u128;
typedef uint64_t fe[5];

#define MASK ((UINT64_C(1) << 51) - 1)

static void add(fe r, const fe a, const fe b)
{
    for (int i = 0; i < 5; i++)
        r[i] = a[i] + b[i];
}

static void sub(fe r, const fe a, const fe b)
{
    /* Twice the prime keeps every limb positive: b comes from a product. */
    r[0] = a[0] + 2 * (MASK - 18) - b[0];
    for (int i = 1; i < 5; i++)
        r[i] = a[i] + 2 * MASK - b[i];
}

static void carry(fe r, u128 t[5])
{
    for (int i = 0; i < 4; i++) {
        t[i + 1] += (uint64_t)(t[i] >> 51);
        r[i] = (uint64_t)t[i] & MASK;
    }
    r[4] = (uint64_t)t[4] & MASK;
    r[0] += 19 * (uint64_t)(t[4] >> 51);
    r[1] += r[0] >> 51;
    r[0] &= MASK;
}

NOINLINE static void mul(fe r, const fe a, const fe b)
{
    u128 t[5];
    uint64_t b1 = 19 * b[1], b2 = 19 * b[2], b3 = 19 * b[3], b4 = 19 * b[4];
    t[0] = (u128)a[0] * b[0] + (u128)a[1] * b4 + (u128)a[2] * b3 + (u128)a[3] * b2 + (u128)a[4] * b1;
    t[1] = (u128)a[0] * b[1] + (u128)a[1] * b[0] + (u128)a[2] * b4 + (u128)a[3] * b3 + (u128)a[4] * b2;
    t[2] = (u128)a[0] * b[2] + (u128)a[1] * b[1] + (u128)a[2] * b[0] + (u128)a[3] * b4 + (u128)a[4] * b3;
    t[3] = (u128)a[0] * b[3] + (u128)a[1] * b[2] + (u128)a[2] * b[1] + (u128)a[3] * b[0] + (u128)a[4] * b4;
    t[4] = (u128)a[0] * b[4] + (u128)a[1] * b[3] + (u128)a[2] * b[2] + (u128)a[3] * b[1] + (u128)a[4] * b[0];
    carry(r, t);
}

static void mul_small(fe r, const fe a, uint64_t k)
{
    u128 t[5];
    for (int i = 0; i < 5; i++)
        t[i] = (u128)a[i] * k;
    carry(r, t);
}

static void swap_if(uint64_t bit, fe a, fe b)
{
    for (int i = 0; i < 5; i++) {
        uint64_t x = (0 - bit) & (a[i] ^ b[i]);
        a[i] ^= x;
        b[i] ^= x;
    }
}

GUEST_MAIN(n)
{
    if (n == 0)
        n = 20;
    const fe base = {9};
    fe x2 = {1}, z2 = {0}, x3 = {9}, z3 = {1};
    fe a, b, c, d, e, aa, bb, da, cb;
    uint64_t state = 5, last = 0;
    for (uint64_t step = 0; step < n; step++) {
        uint64_t bit = guest_random(&state) >> 63;
        swap_if(bit ^ last, x2, x3);
        swap_if(bit ^ last, z2, z3);
        last = bit;
        add(a, x2, z2);
        sub(b, x2, z2);
        add(c, x3, z3);
        sub(d, x3, z3);
        mul(aa, a, a);
        mul(bb, b, b);
        sub(e, aa, bb);
        mul(da, d, a);
        mul(cb, c, b);
        add(x3, da, cb);
        mul(x3, x3, x3);
        sub(z3, da, cb);
        mul(z3, z3, z3);
        mul(z3, z3, base);
        mul(x2, aa, bb);
        mul_small(z2, e, 121665);
        add(z2, z2, aa);
        mul(z2, z2, e);
    }
    uint64_t sum = 0;
    for (int i = 0; i < 5; i++) {
        sum = guest_mix(sum, x2[i]);
        sum = guest_mix(sum, z2[i]);
        sum = guest_mix(sum, x3[i]);
        sum = guest_mix(sum, z3[i]);
    }
    return sum;
}

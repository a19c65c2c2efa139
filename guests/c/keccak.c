/* SHA3-256 (FIPS 202) of N KiB (default 1); the value is the first 8 bytes of
 * the digest as a little-endian number. */
#include "guest.h"

#define RATE 136

static const uint64_t ROUND[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

/* The lanes in the order of the pi permutation, and their rho rotations. */
static const uint8_t LANE[24] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                 15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};
static const uint8_t TURN[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                 27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};

static inline uint64_t rol(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

NOINLINE static void permute(uint64_t s[25])
{
    for (int round = 0; round < 24; round++) {
        uint64_t c[5], d;
        for (int i = 0; i < 5; i++)
            c[i] = s[i] ^ s[i + 5] ^ s[i + 10] ^ s[i + 15] ^ s[i + 20];
        for (int i = 0; i < 5; i++) {
            d = c[(i + 4) % 5] ^ rol(c[(i + 1) % 5], 1);
            for (int j = 0; j < 25; j += 5)
                s[i + j] ^= d;
        }
        uint64_t moving = s[1];
        for (int i = 0; i < 24; i++) {
            uint64_t next = s[LANE[i]];
            s[LANE[i]] = rol(moving, TURN[i]);
            moving = next;
        }
        for (int j = 0; j < 25; j += 5) {
            for (int i = 0; i < 5; i++)
                c[i] = s[j + i];
            for (int i = 0; i < 5; i++)
                s[j + i] = c[i] ^ (~c[(i + 1) % 5] & c[(i + 2) % 5]);
        }
        s[0] ^= ROUND[round];
    }
}

GUEST_MAIN(n)
{
    if (n == 0)
        n = 1;
    uint64_t state[25] = {0}, length = n * 1024;
    uint32_t at = 0;
    for (uint64_t byte = 0; byte < length; byte++) {
        state[at / 8] ^= (uint64_t)(uint8_t)(byte * 7 + (byte >> 8)) << at % 8 * 8;
        if (++at == RATE) {
            permute(state);
            at = 0;
        }
    }
    state[at / 8] ^= (uint64_t)0x06 << at % 8 * 8;
    state[RATE / 8 - 1] ^= (uint64_t)0x80 << 56;
    permute(state);
    return state[0];
}

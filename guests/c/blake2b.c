/* BLAKE2b-256 (RFC 7693) of N KiB (default 1); the value is the first 8 bytes
 * of the digest as a little-endian number. */
#include "guest.h"

static const uint64_t IV[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

static const uint8_t SIGMA[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

static inline uint64_t ror(uint64_t x, int n)
{
    return x >> n | x << (64 - n);
}

#define G(A, B, C, D, X, Y)          \
    do {                             \
        v[A] += v[B] + (X);          \
        v[D] = ror(v[D] ^ v[A], 32); \
        v[C] += v[D];                \
        v[B] = ror(v[B] ^ v[C], 24); \
        v[A] += v[B] + (Y);          \
        v[D] = ror(v[D] ^ v[A], 16); \
        v[C] += v[D];                \
        v[B] = ror(v[B] ^ v[C], 63); \
    } while (0)

NOINLINE static void compress(uint64_t h[8], const uint8_t *block, uint64_t count, int last)
{
    uint64_t v[16], m[16];
    for (int i = 0; i < 16; i++) {
        uint64_t x = 0;
        for (int j = 7; j >= 0; j--)
            x = x << 8 | block[8 * i + j];
        m[i] = x;
    }
    for (int i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = IV[i];
    }
    v[12] ^= count;
    if (last)
        v[14] = ~v[14];
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = SIGMA[round % 10];
        G(0, 4, 8, 12, m[s[0]], m[s[1]]);
        G(1, 5, 9, 13, m[s[2]], m[s[3]]);
        G(2, 6, 10, 14, m[s[4]], m[s[5]]);
        G(3, 7, 11, 15, m[s[6]], m[s[7]]);
        G(0, 5, 10, 15, m[s[8]], m[s[9]]);
        G(1, 6, 11, 12, m[s[10]], m[s[11]]);
        G(2, 7, 8, 13, m[s[12]], m[s[13]]);
        G(3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; i++)
        h[i] ^= v[i] ^ v[i + 8];
}

GUEST_MAIN(n)
{
    if (n == 0)
        n = 1;
    uint64_t h[8];
    for (int i = 0; i < 8; i++)
        h[i] = IV[i];
    h[0] ^= 0x01010000 ^ 32;
    uint8_t block[128];
    uint64_t length = n * 1024, byte = 0;
    while (byte < length) {
        for (int i = 0; i < 128; i++, byte++)
            block[i] = (uint8_t)(byte * 7 + (byte >> 8));
        compress(h, block, byte, byte == length);
    }
    return h[0];
}

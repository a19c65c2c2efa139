/* double and float without a floating-point unit: N steps (default 20) of four
 * bodies that attract each other, checked by the bits of the result. Only
 * operations that IEEE 754 defines exactly. */
#include <math.h>
#include "guest.h"

#pragma STDC FP_CONTRACT OFF

typedef struct {
    double x, y, vx, vy, mass;
} body;

static uint64_t bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

GUEST_MAIN(n)
{
    body b[4] = {{0, 0, 0, 0, 1000}, {10, 0, 0, 9.5, 1}, {0, -20, 7, 0, 2}, {-35, 5, 0.5, -5, 0.25}};
    float drift = 0.1f;
    if (n == 0)
        n = 20;
    for (uint64_t step = 0; step < n; step++) {
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                if (i == j)
                    continue;
                double dx = b[j].x - b[i].x, dy = b[j].y - b[i].y;
                double square = dx * dx + dy * dy + 0.01;
                double pull = 0.001 * b[j].mass / (square * sqrt(square));
                b[i].vx += dx * pull;
                b[i].vy += dy * pull;
            }
        for (int i = 0; i < 4; i++) {
            b[i].x += 0.001 * b[i].vx;
            b[i].y += 0.001 * b[i].vy;
        }
        drift = drift * 1.0001f + (float)b[1].x / 3.0f - (float)(int64_t)b[2].y;
    }
    uint64_t sum = bits((double)drift);
    for (int i = 0; i < 4; i++) {
        sum = guest_mix(sum, bits(b[i].x));
        sum = guest_mix(sum, bits(floor(b[i].y * 1e6)));
        sum = guest_mix(sum, (uint64_t)(int64_t)(b[i].vx * 1e9) + (b[i].vy < b[i].vx));
    }
    return sum;
}

/* Compares rt/softfloat.c and rt/int128.c with the arithmetic of the machine at
 * hand. The functions are compiled with their names prefixed by soft_.
 * Usage: softfloat [ROUNDS] */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

double soft___adddf3(double, double), soft___subdf3(double, double);
double soft___muldf3(double, double), soft___divdf3(double, double);
float soft___addsf3(float, float), soft___subsf3(float, float);
float soft___mulsf3(float, float), soft___divsf3(float, float);
int soft___eqdf2(double, double), soft___nedf2(double, double), soft___ltdf2(double, double);
int soft___ledf2(double, double), soft___gtdf2(double, double), soft___gedf2(double, double);
int soft___unorddf2(double, double), soft___ltsf2(float, float), soft___gesf2(float, float);
int64_t soft___fixdfdi(double), soft___fixsfdi(float);
int32_t soft___fixdfsi(double), soft___fixsfsi(float);
uint64_t soft___fixunsdfdi(double), soft___fixunssfdi(float);
uint32_t soft___fixunsdfsi(double), soft___fixunssfsi(float);
double soft___floatdidf(int64_t), soft___floatundidf(uint64_t);
double soft___floatsidf(int32_t), soft___floatunsidf(uint32_t);
float soft___floatdisf(int64_t), soft___floatundisf(uint64_t);
float soft___floatsisf(int32_t), soft___floatunsisf(uint32_t);
double soft___floattidf(i128), soft___floatuntidf(u128);
double soft___extendsfdf2(float);
float soft___truncdfsf2(double);
u128 soft___udivti3(u128, u128), soft___umodti3(u128, u128);
u128 soft___udivmodti4(u128, u128, u128 *), soft___ashlti3(u128, int), soft___lshrti3(u128, int);
i128 soft___divti3(i128, i128), soft___modti3(i128, i128), soft___multi3(i128, i128);
i128 soft___ashrti3(i128, int);

static uint64_t state = 0x123456789abcdef1;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static const uint64_t EDGE[] = {
    0, 1, 2, 3, 0xffffffffffffffff, 0x7ff0000000000000, 0x7fefffffffffffff, 0x0010000000000000,
    0x000fffffffffffff, 0x3ff0000000000000, 0x3fefffffffffffff, 0x3ff0000000000001,
    0x3fe0000000000000, 0x4340000000000000, 0x433fffffffffffff, 0x43e0000000000000,
    0x43dfffffffffffff, 0x43f0000000000000, 0x41e0000000000000, 0x41dfffffffc00000,
    0x41efffffffe00000, 0x41f0000000000000, 0x380fffffe0000000, 0x36a0000000000000,
    0x369fffffffffffff, 0x36a0000000000001, 0x47efffffe0000000, 0x47efffffefffffff,
    0x47effffff0000000, 0x3810000000000000, 0x7ff8000000000000, 0x8000000000000000};

/* Edge values, values near each other, sparse mantissas, and anything. */
static uint64_t pattern(uint64_t near)
{
    uint64_t r = next(), kind = next() >> 60;
    uint64_t sign = r & 0x8000000000000000;
    if (kind < 3)
        return EDGE[r % (sizeof EDGE / sizeof *EDGE)] ^ sign;
    if (kind < 6)
        return near + (r >> 32) % 5 - 2;
    if (kind < 8)
        return ((near & 0x7ff0000000000000) + (((r >> 8) % 130 - 65) << 52)) ^ (next() >> 12) ^ sign;
    if (kind < 10)
        return sign | (1023 + (r >> 8) % 140 - 70) << 52 | next() >> 12;
    if (kind < 12)
        return r & next() & next();
    return r;
}

static double as_double(uint64_t b)
{
    double x;
    memcpy(&x, &b, 8);
    return x;
}

static float as_float(uint32_t b)
{
    float x;
    memcpy(&x, &b, 4);
    return x;
}

static unsigned long checks, wrong;

#define SAME(NAME, GOT, WANT)                                                              \
    do {                                                                                   \
        __typeof__(WANT) got = (GOT), want = (WANT);                                       \
        checks++;                                                                          \
        if (memcmp(&got, &want, sizeof got) && !(got != got && want != want)) {            \
            if (wrong++ < 20)                                                              \
                printf("%s differs for %016lx %016lx\n", NAME, (long)a, (long)b);          \
        }                                                                                  \
    } while (0)

static void doubles(uint64_t a, uint64_t b)
{
    volatile double x = as_double(a), y = as_double(b);
    SAME("add", soft___adddf3(x, y), x + y);
    SAME("sub", soft___subdf3(x, y), x - y);
    SAME("mul", soft___muldf3(x, y), x * y);
    SAME("div", soft___divdf3(x, y), x / y);
    SAME("eq", soft___eqdf2(x, y) == 0, x == y);
    SAME("ne", soft___nedf2(x, y) != 0, x != y);
    SAME("lt", soft___ltdf2(x, y) < 0, x < y);
    SAME("le", soft___ledf2(x, y) <= 0, x <= y);
    SAME("gt", soft___gtdf2(x, y) > 0, x > y);
    SAME("ge", soft___gedf2(x, y) >= 0, x >= y);
    SAME("unord", soft___unorddf2(x, y) != 0, (int)__builtin_isunordered(x, y));
    SAME("trunc", soft___truncdfsf2(x), (float)x);
    if (x > -0x1p63 - 1 && x < 0x1p63)
        SAME("fixdfdi", soft___fixdfdi(x), (int64_t)x);
    if (x > -0x1p31 - 1 && x < 0x1p31)
        SAME("fixdfsi", soft___fixdfsi(x), (int32_t)x);
    if (x > -1 && x < 0x1p64)
        SAME("fixunsdfdi", soft___fixunsdfdi(x), (uint64_t)x);
    if (x > -1 && x < 0x1p32)
        SAME("fixunsdfsi", soft___fixunsdfsi(x), (uint32_t)x);
    SAME("floatdidf", soft___floatdidf((int64_t)a), (double)(int64_t)a);
    SAME("floatundidf", soft___floatundidf(a), (double)a);
    SAME("floatsidf", soft___floatsidf((int32_t)a), (double)(int32_t)a);
    SAME("floatunsidf", soft___floatunsidf((uint32_t)a), (double)(uint32_t)a);
    u128 wide = ((u128)a << 64 | b) >> (next() & 127);
    SAME("floatuntidf", soft___floatuntidf(wide), (double)wide);
    SAME("floattidf", soft___floattidf((i128)wide), (double)(i128)wide);
}

static void floats(uint32_t a, uint32_t b, uint64_t c)
{
    volatile float x = as_float(a), y = as_float(b);
    SAME("addsf", soft___addsf3(x, y), (float)(x + y));
    SAME("subsf", soft___subsf3(x, y), (float)(x - y));
    SAME("mulsf", soft___mulsf3(x, y), (float)(x * y));
    SAME("divsf", soft___divsf3(x, y), (float)(x / y));
    SAME("ltsf", soft___ltsf2(x, y) < 0, x < y);
    SAME("gesf", soft___gesf2(x, y) >= 0, x >= y);
    SAME("extend", soft___extendsfdf2(x), (double)x);
    if (x > -0x1p63f * 1.1f && x < 0x1p63f && x >= -0x1p63f)
        SAME("fixsfdi", soft___fixsfdi(x), (int64_t)x);
    if (x >= -0x1p31f && x < 0x1p31f)
        SAME("fixsfsi", soft___fixsfsi(x), (int32_t)x);
    if (x > -1 && x < 0x1p64f)
        SAME("fixunssfdi", soft___fixunssfdi(x), (uint64_t)x);
    if (x > -1 && x < 0x1p32f)
        SAME("fixunssfsi", soft___fixunssfsi(x), (uint32_t)x);
    SAME("floatdisf", soft___floatdisf((int64_t)c), (float)(int64_t)c);
    SAME("floatundisf", soft___floatundisf(c), (float)c);
    SAME("floatsisf", soft___floatsisf((int32_t)a), (float)(int32_t)a);
    SAME("floatunsisf", soft___floatunsisf(a), (float)a);
}

static u128 wide_pattern(void)
{
    u128 x = (u128)pattern(next()) << 64 | pattern(next());
    uint64_t kind = next() >> 61;
    if (kind == 0)
        return x >> (next() & 127);
    if (kind == 1)
        return ((u128)1 << (next() & 127)) + (next() % 5) - 2;
    if (kind == 2)
        return (u128)(next() >> (next() & 63)) * (next() >> (next() & 63)) + next() % 3 - 1;
    return x >> (next() & 64);
}

static void wides(void)
{
    u128 n = wide_pattern(), d = wide_pattern();
    uint64_t a = (uint64_t)n, b = (uint64_t)d;
    int shift = (int)(next() & 127);
    SAME("ashl", soft___ashlti3(n, shift), n << shift);
    SAME("lshr", soft___lshrti3(n, shift), n >> shift);
    SAME("ashr", soft___ashrti3((i128)n, shift), (i128)n >> shift);
    SAME("multi", (u128)soft___multi3((i128)n, (i128)d), n * d);
    if (d == 0)
        return;
    SAME("udiv", soft___udivti3(n, d), n / d);
    SAME("umod", soft___umodti3(n, d), n % d);
    u128 rest;
    SAME("udivmod", soft___udivmodti4(n, d, &rest), n / d);
    SAME("udivmod rest", rest, n % d);
    if ((i128)d == -1)
        return;
    SAME("div", soft___divti3((i128)n, (i128)d), (i128)n / (i128)d);
    SAME("mod", soft___modti3((i128)n, (i128)d), (i128)n % (i128)d);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
    const size_t edges = sizeof EDGE / sizeof *EDGE;
    for (size_t i = 0; i < 2 * edges; i++)
        for (size_t j = 0; j < 2 * edges; j++)
            doubles(EDGE[i / 2] ^ (uint64_t)i << 63, EDGE[j / 2] ^ (uint64_t)j << 63);
    for (unsigned long i = 0; i < rounds; i++) {
        uint64_t a = pattern(next()), b = pattern(a);
        doubles(a, b);
        float x = (float)as_double(a), y = (float)as_double(b);
        uint32_t c, d;
        memcpy(&c, &x, 4);
        memcpy(&d, &y, 4);
        floats(c, d, a);
        floats((uint32_t)next(), (uint32_t)(next() & next()), next() >> (next() & 63));
        wides();
    }
    printf("%lu checks, %lu wrong\n", checks, wrong);
    return wrong != 0;
}

/* IEEE 754 arithmetic in integers: what the compiler calls for float and double.
 * Rounding is to nearest, ties to even; there are no exception flags. A result
 * that is not a number is the one NaN of RISC-V. float is computed in double
 * and rounded once more: 53 bits are enough for that to be exact. */
#include <stdint.h>
#include <string.h>

typedef unsigned __int128 u128;

#define SIGN (UINT64_C(1) << 63)
#define HIDDEN (UINT64_C(1) << 52)
#define FRACTION (HIDDEN - 1)
#define INFINITE (UINT64_C(0x7ff) << 52)
#define NOT_A_NUMBER (INFINITE | HIDDEN >> 1)

static inline uint64_t bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline double number(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static inline int is_nan(uint64_t b)
{
    return (b & ~SIGN) > INFINITE;
}

/* A finite value other than zero: mantissa * 2^(exponent - 1075), with the top
 * bit of the mantissa at 52, also for subnormal values. */
typedef struct {
    uint64_t mantissa;
    int exponent;
} parts;

static inline parts take(uint64_t b)
{
    parts p = {b & FRACTION, (int)(b >> 52 & 0x7ff)};
    if (p.exponent) {
        p.mantissa |= HIDDEN;
    } else {
        int shift = __builtin_clzll(p.mantissa) - 11;
        p.mantissa <<= shift;
        p.exponent = 1 - shift;
    }
    return p;
}

static inline uint64_t shift_sticky(uint64_t x, int n)
{
    return n > 63 ? x != 0 : n <= 0 ? x : x >> n | (x << (64 - n) != 0);
}

/* Rounds mantissa * 2^(exponent - 1085), mantissa != 0 with sticky bit 0 and
 * top bit at 62, to a double. */
static uint64_t round_pack(uint64_t sign, uint64_t mantissa, int exponent)
{
    if (exponent >= 0x7ff)
        return sign | INFINITE;
    if (exponent <= 0) {
        mantissa = shift_sticky(mantissa, 1 - exponent);
        exponent = 0;
    } else {
        /* The hidden bit adds the missing one. */
        exponent--;
    }
    uint64_t rest = mantissa & 0x3ff, result = mantissa >> 10;
    result += ((uint64_t)exponent << 52);
    result += rest > 0x200 || (rest == 0x200 && (result & 1));
    return sign | result;
}

/* The same for any mantissa; 0 gives zero. */
static uint64_t normal_pack(uint64_t sign, uint64_t mantissa, int exponent)
{
    if (mantissa == 0)
        return sign;
    int shift = __builtin_clzll(mantissa) - 1;
    if (shift < 0)
        return round_pack(sign, shift_sticky(mantissa, 1), exponent + 1);
    return round_pack(sign, mantissa << shift, exponent - shift);
}

static uint64_t add(uint64_t a, uint64_t b)
{
    if (is_nan(a) || is_nan(b))
        return NOT_A_NUMBER;
    if ((a & ~SIGN) < (b & ~SIGN)) {
        uint64_t t = a;
        a = b;
        b = t;
    }
    uint64_t sign = a & SIGN;
    if ((a & ~SIGN) == INFINITE)
        return (a ^ b) == SIGN ? NOT_A_NUMBER : a;
    if ((b & ~SIGN) == 0)
        return (a & ~SIGN) == 0 ? a & b : a;
    parts x = take(a), y = take(b);
    uint64_t high = x.mantissa << 9;
    uint64_t low = shift_sticky(y.mantissa << 9, x.exponent - y.exponent);
    uint64_t sum = (a ^ b) & SIGN ? high - low : high + low;
    return sum ? normal_pack(sign, sum, x.exponent + 1) : 0;
}

double __adddf3(double a, double b)
{
    return number(add(bits(a), bits(b)));
}

double __subdf3(double a, double b)
{
    return number(add(bits(a), bits(b) ^ SIGN));
}

double __muldf3(double left, double right)
{
    uint64_t a = bits(left), b = bits(right), sign = (a ^ b) & SIGN;
    if (is_nan(a) || is_nan(b))
        return number(NOT_A_NUMBER);
    a &= ~SIGN, b &= ~SIGN;
    if (a == INFINITE || b == INFINITE)
        return number(a && b ? sign | INFINITE : NOT_A_NUMBER);
    if (!a || !b)
        return number(sign);
    parts x = take(a), y = take(b);
    u128 product = (u128)(x.mantissa << 5) * (y.mantissa << 5);
    uint64_t top = (uint64_t)(product >> 52) | ((uint64_t)product << 12 != 0);
    return number(normal_pack(sign, top, x.exponent + y.exponent - 1023));
}

double __divdf3(double left, double right)
{
    uint64_t a = bits(left), b = bits(right), sign = (a ^ b) & SIGN;
    if (is_nan(a) || is_nan(b))
        return number(NOT_A_NUMBER);
    a &= ~SIGN, b &= ~SIGN;
    if (a == INFINITE)
        return number(b == INFINITE ? NOT_A_NUMBER : sign | INFINITE);
    if (b == INFINITE)
        return number(sign);
    if (b == 0)
        return number(a ? sign | INFINITE : NOT_A_NUMBER);
    if (a == 0)
        return number(sign);
    parts x = take(a), y = take(b);
    if (x.mantissa < y.mantissa) {
        x.mantissa <<= 1;
        x.exponent--;
    }
    /* 63 bits of quotient: the first, then two runs of 11 and four of 10. */
    uint64_t quotient = x.mantissa / y.mantissa, rest = x.mantissa % y.mantissa;
    for (int done = 0; done < 62;) {
        int step = done < 22 ? 11 : 10;
        rest <<= step;
        quotient = quotient << step | rest / y.mantissa;
        rest %= y.mantissa;
        done += step;
    }
    return number(round_pack(sign, quotient | (rest != 0), x.exponent - y.exponent + 1023));
}

double __negdf2(double x)
{
    return number(bits(x) ^ SIGN);
}

/* -1, 0 or 1; 2 if there is no order. */
static int compare(uint64_t a, uint64_t b)
{
    if (is_nan(a) || is_nan(b))
        return 2;
    if (((a | b) & ~SIGN) == 0)
        return 0;
    int64_t x = (int64_t)(a & SIGN ? SIGN - a : a), y = (int64_t)(b & SIGN ? SIGN - b : b);
    return (x > y) - (x < y);
}

/* The compiler tests `== 0` of the first, `!= 0` of the next two, `< 0`,
 * `<= 0`, `> 0` and `>= 0` of the others: each is false without order. */
int __eqdf2(double a, double b)
{
    return compare(bits(a), bits(b));
}

int __nedf2(double a, double b)
{
    return compare(bits(a), bits(b));
}

int __unorddf2(double a, double b)
{
    return is_nan(bits(a)) || is_nan(bits(b));
}

int __ltdf2(double a, double b)
{
    return compare(bits(a), bits(b));
}

int __ledf2(double a, double b)
{
    return compare(bits(a), bits(b));
}

int __gtdf2(double a, double b)
{
    int order = compare(bits(a), bits(b));
    return order == 2 ? -1 : order;
}

int __gedf2(double a, double b)
{
    int order = compare(bits(a), bits(b));
    return order == 2 ? -1 : order;
}

/* Toward zero, saturating at max; NaN gives 0. */
static uint64_t magnitude(uint64_t b, uint64_t max)
{
    int exponent = (int)(b >> 52 & 0x7ff);
    if (is_nan(b) || exponent < 1023)
        return 0;
    if (exponent > 1023 + 63)
        return max;
    uint64_t mantissa = (b & FRACTION) | HIDDEN;
    uint64_t value = exponent < 1075 ? mantissa >> (1075 - exponent) : mantissa << (exponent - 1075);
    return value > max ? max : value;
}

int64_t __fixdfdi(double x)
{
    uint64_t b = bits(x);
    if (b & SIGN)
        return (int64_t)(0 - magnitude(b, SIGN));
    return (int64_t)magnitude(b, SIGN - 1);
}

int32_t __fixdfsi(double x)
{
    uint64_t b = bits(x);
    if (b & SIGN)
        return (int32_t)(0 - (int64_t)magnitude(b, UINT64_C(1) << 31));
    return (int32_t)magnitude(b, INT32_MAX);
}

uint64_t __fixunsdfdi(double x)
{
    return bits(x) & SIGN ? 0 : magnitude(bits(x), UINT64_MAX);
}

uint32_t __fixunsdfsi(double x)
{
    return bits(x) & SIGN ? 0 : (uint32_t)magnitude(bits(x), UINT32_MAX);
}

double __floatundidf(uint64_t x)
{
    return number(normal_pack(0, x, 1085));
}

double __floatdidf(int64_t x)
{
    return number(x < 0 ? normal_pack(SIGN, 0 - (uint64_t)x, 1085) : normal_pack(0, (uint64_t)x, 1085));
}

double __floatunsidf(uint32_t x)
{
    return __floatundidf(x);
}

double __floatsidf(int32_t x)
{
    return __floatdidf(x);
}

double __floatuntidf(u128 x)
{
    uint64_t high = (uint64_t)(x >> 64), low = (uint64_t)x;
    if (high == 0)
        return __floatundidf(low);
    int shift = __builtin_clzll(high);
    uint64_t top = shift ? high << shift | low >> (64 - shift) : high;
    return number(normal_pack(0, top | (low << shift != 0), 1085 + 64 - shift));
}

double __floattidf(__int128 x)
{
    return x < 0 ? __negdf2(__floatuntidf(-(u128)x)) : __floatuntidf((u128)x);
}

double __powidf2(double x, int n)
{
    unsigned count = n < 0 ? 0 - (unsigned)n : (unsigned)n;
    double result = 1;
    for (; count; count >>= 1) {
        if (count & 1)
            result = __muldf3(result, x);
        x = __muldf3(x, x);
    }
    return n < 0 ? __divdf3(1, result) : result;
}

/* float */

static inline uint32_t bits32(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline float number32(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

double __extendsfdf2(float x)
{
    uint32_t b = bits32(x);
    uint64_t sign = (uint64_t)(b >> 31) << 63, fraction = b & 0x7fffff;
    uint32_t exponent = b >> 23 & 0xff;
    if (exponent == 0xff)
        return number(fraction ? NOT_A_NUMBER : sign | INFINITE);
    if (exponent == 0)
        return number(normal_pack(sign, fraction, 1085 - 149));
    return number(sign | (uint64_t)(exponent + 1023 - 127) << 52 | fraction << 29);
}

float __truncdfsf2(double x)
{
    uint64_t b = bits(x);
    uint32_t sign = (uint32_t)(b >> 63) << 31;
    if (is_nan(b))
        return number32(0x7fc00000);
    int exponent = (int)(b >> 52 & 0x7ff) - 1023 + 127;
    if (exponent >= 0xff)
        return number32(sign | 0x7f800000);
    uint64_t mantissa = (b & FRACTION) | (b & INFINITE ? HIDDEN : 0);
    if (exponent <= 0) {
        mantissa = shift_sticky(mantissa, 1 - exponent);
        exponent = 1;
    }
    uint32_t result = (uint32_t)(mantissa >> 29) + ((uint32_t)(exponent - 1) << 23);
    uint64_t rest = mantissa & ((1 << 29) - 1);
    result += rest > 1 << 28 || (rest == 1 << 28 && (result & 1));
    return number32(sign | result);
}

/* Rounds a 64-bit integer once: 53 bits, the last of them sticky, fit a double. */
static float round32(uint64_t sign, uint64_t magnitude)
{
    if (magnitude >> 53)
        magnitude = shift_sticky(magnitude, 11) << 11;
    return __truncdfsf2(number(normal_pack(sign, magnitude, 1085)));
}

float __addsf3(float a, float b) { return __truncdfsf2(__adddf3(__extendsfdf2(a), __extendsfdf2(b))); }
float __subsf3(float a, float b) { return __truncdfsf2(__subdf3(__extendsfdf2(a), __extendsfdf2(b))); }
float __mulsf3(float a, float b) { return __truncdfsf2(__muldf3(__extendsfdf2(a), __extendsfdf2(b))); }
float __divsf3(float a, float b) { return __truncdfsf2(__divdf3(__extendsfdf2(a), __extendsfdf2(b))); }
float __negsf2(float x) { return number32(bits32(x) ^ 0x80000000); }
float __powisf2(float x, int n) { return __truncdfsf2(__powidf2(__extendsfdf2(x), n)); }
int __eqsf2(float a, float b) { return __eqdf2(__extendsfdf2(a), __extendsfdf2(b)); }
int __nesf2(float a, float b) { return __nedf2(__extendsfdf2(a), __extendsfdf2(b)); }
int __ltsf2(float a, float b) { return __ltdf2(__extendsfdf2(a), __extendsfdf2(b)); }
int __lesf2(float a, float b) { return __ledf2(__extendsfdf2(a), __extendsfdf2(b)); }
int __gtsf2(float a, float b) { return __gtdf2(__extendsfdf2(a), __extendsfdf2(b)); }
int __gesf2(float a, float b) { return __gedf2(__extendsfdf2(a), __extendsfdf2(b)); }
int __unordsf2(float a, float b) { return __unorddf2(__extendsfdf2(a), __extendsfdf2(b)); }
int64_t __fixsfdi(float x) { return __fixdfdi(__extendsfdf2(x)); }
int32_t __fixsfsi(float x) { return __fixdfsi(__extendsfdf2(x)); }
uint64_t __fixunssfdi(float x) { return __fixunsdfdi(__extendsfdf2(x)); }
uint32_t __fixunssfsi(float x) { return __fixunsdfsi(__extendsfdf2(x)); }
float __floatundisf(uint64_t x) { return round32(0, x); }
float __floatunsisf(uint32_t x) { return round32(0, x); }

float __floatdisf(int64_t x)
{
    return x < 0 ? round32(SIGN, 0 - (uint64_t)x) : round32(0, (uint64_t)x);
}

float __floatsisf(int32_t x)
{
    return __floatdisf(x);
}

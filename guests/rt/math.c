/* <math.h> on top of softfloat.c. floor, ceil, trunc, round, rint, fmod, sqrt,
 * frexp, ldexp and modf are exact or correctly rounded; exp, log and pow are
 * within one unit in the last place, the rest within three. */
#include <stdint.h>
#include "math.h"
#include "string.h"

#define SIGN (UINT64_C(1) << 63)
#define HIDDEN (UINT64_C(1) << 52)
#define FRACTION (HIDDEN - 1)

static uint64_t bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static double number(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static int field(double x)
{
    return (int)(bits(x) >> 52 & 0x7ff);
}

double fabs(double x) { return number(bits(x) & ~SIGN); }
double copysign(double x, double y) { return number((bits(x) & ~SIGN) | (bits(y) & SIGN)); }
double fmin(double x, double y) { return isnan(x) || y < x ? y : x; }
double fmax(double x, double y) { return isnan(x) || y > x ? y : x; }

/* rounding to integers */

double trunc(double x)
{
    int e = field(x) - 1023;
    if (e < 0)
        return number(bits(x) & SIGN);
    return e >= 52 ? x : number(bits(x) & ~(FRACTION >> e));
}

double floor(double x)
{
    double t = trunc(x);
    return t > x ? t - 1 : t;
}

double ceil(double x)
{
    double t = trunc(x);
    return copysign(t < x ? t + 1 : t, x);
}

double round(double x)
{
    double t = trunc(x);
    return fabs(x - t) >= 0.5 ? t + copysign(1, x) : t;
}

double rint(double x)
{
    if (field(x) >= 1075)
        return x;
    double big = copysign(0x1p52, x);
    return copysign((x + big) - big, x);
}

double nearbyint(double x) { return rint(x); }
long lround(double x) { return (long)round(x); }
long long llround(double x) { return (long long)round(x); }
long lrint(double x) { return (long)rint(x); }

double modf(double x, double *whole)
{
    *whole = trunc(x);
    return copysign(isinf(x) ? 0 : x - *whole, x);
}

/* exponents */

double frexp(double x, int *exponent)
{
    *exponent = 0;
    if (x == 0 || field(x) == 0x7ff)
        return x;
    int scale = 0;
    if (field(x) == 0) {
        x *= 0x1p64;
        scale = 64;
    }
    *exponent = field(x) - 1022 - scale;
    return number((bits(x) & ~(UINT64_C(0x7ff) << 52)) | UINT64_C(1022) << 52);
}

double ldexp(double x, int n)
{
    if (n > 5000)
        n = 5000;
    if (n < -5000)
        n = -5000;
    for (; n > 1023; n -= 1023)
        x *= 0x1p1023;
    /* Only the last factor may round: stay among normal numbers till then. */
    for (; n < -1022 && x != 0; n += 969)
        x *= 0x1p-969;
    return x * number((uint64_t)(n < -1022 ? 0 : n + 1023) << 52);
}

double scalbn(double x, int n) { return ldexp(x, n); }

int ilogb(double x)
{
    int e;
    if (x == 0)
        return -0x7fffffff - 1;
    if (field(x) == 0x7ff)
        return 0x7fffffff;
    frexp(x, &e);
    return e - 1;
}

double logb(double x)
{
    return x == 0 ? -INFINITY : field(x) == 0x7ff ? x * x : ilogb(x);
}

double fmod(double x, double y)
{
    if (isnan(x) || isnan(y) || isinf(x) || y == 0)
        return NAN;
    if (isinf(y) || fabs(x) < fabs(y))
        return x;
    int ex = field(x), ey = field(y);
    uint64_t mx = bits(x) & FRACTION, my = bits(y) & FRACTION;
    if (ex)
        mx |= HIDDEN;
    else
        ex = 1;
    if (ey)
        my |= HIDDEN;
    else
        ey = 1;
    mx %= my;
    for (int left = ex - ey; left > 0 && mx; left -= 11)
        mx = (mx << (left < 11 ? left : 11)) % my;
    return copysign(ldexp((double)mx, ey - 1075), x);
}

double sqrt(double x)
{
    if (isnan(x) || x == 0 || (isinf(x) && x > 0))
        return x;
    if (x < 0)
        return NAN;
    int e;
    double f = frexp(x, &e);
    if (e & 1) {
        f *= 2;
        e--;
    }
    /* f is in [1/2, 2): the root of f * 2^108 bit by bit, 55 bits of it. */
    unsigned __int128 rest = (unsigned __int128)(uint64_t)ldexp(f, 53) << 55;
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 54; bit; bit >>= 1) {
        unsigned __int128 trial = (unsigned __int128)((root << 1) + bit) * bit;
        if (rest >= trial) {
            rest -= trial;
            root += bit;
        }
    }
    return ldexp((double)(root << 1 | (rest != 0)), e / 2 - 55);
}

double hypot(double x, double y)
{
    x = fabs(x), y = fabs(y);
    if (isinf(x) || isinf(y))
        return INFINITY;
    if (x < y) {
        double t = x;
        x = y;
        y = t;
    }
    if (y == 0 || isnan(x))
        return x;
    int e;
    frexp(x, &e);
    x = ldexp(x, -e), y = ldexp(y, -e);
    return ldexp(sqrt(x * x + y * y), e);
}

/* Sums and products with the rounding error kept. */

typedef struct {
    double high, low;
} twofold;

static twofold sum(double a, double b)
{
    double s = a + b, t = s - a;
    return (twofold){s, (a - (s - t)) + (b - t)};
}

static twofold quick_sum(double large, double small)
{
    double s = large + small;
    return (twofold){s, small - (s - large)};
}

static double top_half(double x)
{
    return number(bits(x) & ~UINT64_C(0x7ffffff));
}

static twofold product(double a, double b)
{
    double p = a * b, ah = top_half(a), al = a - ah, bh = top_half(b), bl = b - bh;
    return (twofold){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}

static twofold times(twofold a, twofold b)
{
    twofold p = product(a.high, b.high);
    return quick_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

static twofold plus(twofold a, twofold b)
{
    twofold s = sum(a.high, b.high);
    return quick_sum(s.high, s.low + (a.low + b.low));
}

/* exponential and logarithm */

static const twofold LN2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
static const twofold PER_LN2 = {0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56};
static const twofold PER_LN10 = {0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57};
static const twofold THIRD = {0x1.5555555555555p-2, 0x1.5555555555555p-56};

/* Of a positive finite number, with about 66 bits. */
static twofold precise_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0x1.6a09e667f3bcdp-1) {
        m *= 2;
        e--;
    }
    /* log m = 2 artanh s with s = (m - 1) / (m + 1) */
    double top = m - 1;
    twofold bottom = sum(m, 1);
    double s = top / bottom.high;
    twofold p = product(s, bottom.high);
    twofold t = quick_sum(s, ((top - p.high) - p.low - s * bottom.low) / bottom.high);
    twofold square = times(t, t);
    double q = square.high, series = 0;
    for (int k = 25; k >= 5; k -= 2)
        series = series * q + 1.0 / k;
    twofold more = plus(times(square, THIRD), (twofold){q * q * series, 0});
    twofold log = plus(t, times(t, more));
    twofold whole = times((twofold){e, 0}, LN2);
    return plus(whole, (twofold){2 * log.high, 2 * log.low});
}

/* e^(x.high + x.low) */
static double precise_exp(twofold x)
{
    if (x.high > 709.79)
        return INFINITY;
    if (x.high < -745.2)
        return 0;
    double k = rint(x.high * PER_LN2.high);
    twofold r = plus(x, times((twofold){-k, 0}, LN2));
    double h = r.high, series = 0;
    for (int i = 14; i >= 3; i--)
        series = (series + 1) * h / i;
    /* e^r - 1 = r + r^2 / 2 * (1 + series) */
    double rest = h * h * 0.5 * (1 + series) + r.low * (1 + h);
    twofold y = sum(1, h);
    return ldexp(y.high + (y.low + rest), (int)k);
}

/* The domain of logarithms: 0 if x has one. */
static int no_log(double x, double *result)
{
    if (x > 0 && !isinf(x))
        return 0;
    *result = x == 0 ? -INFINITY : x > 0 ? x : NAN;
    return 1;
}

double log(double x)
{
    double special;
    return no_log(x, &special) ? special : precise_log(x).high;
}

double log2(double x)
{
    double special;
    return no_log(x, &special) ? special : times(precise_log(x), PER_LN2).high;
}

double log10(double x)
{
    double special;
    return no_log(x, &special) ? special : times(precise_log(x), PER_LN10).high;
}

double log1p(double x)
{
    if (fabs(x) < 0x1p-54)
        return x;
    twofold y = sum(1, x);
    double special;
    if (no_log(y.high, &special))
        return special;
    twofold l = precise_log(y.high);
    return l.high + (l.low + y.low / y.high);
}

double exp(double x)
{
    return isnan(x) ? x : precise_exp((twofold){x, 0});
}

double exp2(double x)
{
    if (isnan(x) || fabs(x) > 2000)
        return isnan(x) ? x : x > 0 ? INFINITY : 0;
    return precise_exp(times((twofold){x, 0}, LN2));
}

double expm1(double x)
{
    if (fabs(x) > 0.3)
        return exp(x) - 1;
    double series = 0;
    for (int i = 14; i >= 2; i--)
        series = (series + 1) * x / i;
    return x + x * series;
}

double pow(double x, double y)
{
    if (y == 0 || x == 1)
        return 1;
    if (isnan(x) || isnan(y))
        return NAN;
    int whole = trunc(y) == y, odd = whole && fabs(y) < 0x1p53 && fmod(y, 2) != 0;
    double size = fabs(x);
    if (isinf(y)) {
        if (size == 1)
            return 1;
        return (size > 1) == (y > 0) ? INFINITY : 0;
    }
    if (size == 0 || isinf(size)) {
        double result = (size == 0) == (y > 0) ? 0 : INFINITY;
        return odd ? copysign(result, x) : result;
    }
    if (x < 0 && !whole)
        return NAN;
    twofold l = precise_log(size);
    if (fabs(y) > 0x1p100)
        y = copysign(0x1p100, y);
    twofold power = product(l.high, y);
    if (fabs(power.high) < 800)
        power = quick_sum(power.high, power.low + l.low * y);
    double result = precise_exp(power);
    return x < 0 && odd ? -result : result;
}

double cbrt(double x)
{
    if (x == 0 || isnan(x) || isinf(x))
        return x;
    twofold l = precise_log(fabs(x));
    return copysign(precise_exp(times(l, THIRD)), x);
}

double sinh(double x)
{
    double size = fabs(x), half = copysign(0.5, x);
    if (size < 1) {
        double e = expm1(size);
        return half * (e + e / (e + 1));
    }
    if (size > 709) {
        double e = exp(size / 2);
        return half * e * e;
    }
    double e = exp(size);
    return half * (e - 1 / e);
}

double cosh(double x)
{
    double e = exp(fabs(x) / 2);
    return fabs(x) > 709 ? 0.5 * e * e : 0.5 * (exp(x) + exp(-x));
}

double tanh(double x)
{
    double size = fabs(x);
    if (size > 20)
        return copysign(1, x);
    double e = size < 0.15 ? expm1(2 * size) : exp(2 * size) - 1;
    return copysign(e / (e + 2), x);
}

/* trigonometry */

/* 2 / pi, the first word before the point. */
static const uint64_t TWO_PER_PI[20] = {
    0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041,
    0xfe5163abdebbc561, 0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e,
    0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b,
    0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};

/* x = n * pi / 2 + result with |result| at most pi / 4. */
static twofold reduce(double x, unsigned *n)
{
    static const twofold HALF_PI = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};
    *n = 0;
    if (fabs(x) <= 0x1.921fb54442d18p-1)
        return (twofold){x, 0};
    if (fabs(x) < 0x1p20) {
        double k = rint(x * 0x1.45f306dc9c883p-1);
        *n = (unsigned)(int)k & 3;
        /* Three pieces of 33 bits: their products with k are exact. */
        twofold r = sum(x - k * 0x1.921fb544p+0, -k * 0x1.0b4611a6p-34);
        r = plus(r, (twofold){-k * 0x1.3198a2ep-69, 0});
        return plus(r, (twofold){-k * 0x1.b839a252049c1p-104, 0});
    }
    /* x * 2 / pi modulo 4: 192 bits of 2 / pi times the mantissa. The bits
     * before them contribute multiples of 4. */
    uint64_t mantissa = (bits(x) & FRACTION) | HIDDEN, window[3];
    int from = field(x) - 1075 - 2 + 64;
    for (int i = 0; i < 3; i++) {
        int word = from / 64 + i, shift = from % 64;
        window[i] = TWO_PER_PI[word] << shift;
        if (shift)
            window[i] |= TWO_PER_PI[word + 1] >> (64 - shift);
    }
    unsigned __int128 low = (unsigned __int128)mantissa * window[2];
    unsigned __int128 middle = (unsigned __int128)mantissa * window[1] + (uint64_t)(low >> 64);
    uint64_t high = mantissa * window[0] + (uint64_t)(middle >> 64);
    /* high: two bits of quadrant, then the fraction, which goes on in middle. */
    unsigned quadrant = (unsigned)(high >> 62);
    uint64_t f1 = high << 2 | (uint64_t)middle >> 62, f0 = (uint64_t)middle << 2 | (uint64_t)low >> 62;
    int negative = (int)(f1 >> 63);
    if (negative) {
        quadrant++;
        f1 = ~f1;
        f0 = ~f0;
    }
    twofold f = sum(ldexp((double)(f1 >> 11), -53), ldexp((double)((f1 & 0x7ff) << 53 | f0 >> 11), -117));
    f = times(f, HALF_PI);
    if (negative != (x < 0)) {
        f.high = -f.high;
        f.low = -f.low;
    }
    *n = x < 0 ? 0 - quadrant : quadrant;
    return f;
}

static double sine(twofold x)
{
    double q = x.high * x.high, series = 0;
    for (int k = 18; k >= 2; k -= 2)
        series = (1 + series) * -q / (k * (k + 1));
    return x.high + (x.high * series + x.low);
}

static double cosine(twofold x)
{
    double q = x.high * x.high, series = 0;
    for (int k = 19; k >= 3; k -= 2)
        series = (1 + series) * -q / (k * (k + 1));
    twofold s = sum(1, -0.5 * q);
    return s.high + (s.low - 0.5 * q * series - x.high * x.low);
}

double sin(double x)
{
    if (field(x) == 0x7ff)
        return NAN;
    unsigned n;
    twofold r = reduce(x, &n);
    double y = n & 1 ? cosine(r) : x == 0 ? x : sine(r);
    return n & 2 ? -y : y;
}

double cos(double x)
{
    if (field(x) == 0x7ff)
        return NAN;
    unsigned n;
    twofold r = reduce(x, &n);
    double y = n & 1 ? sine(r) : cosine(r);
    return (n + 1) & 2 ? -y : y;
}

double tan(double x)
{
    if (field(x) == 0x7ff)
        return NAN;
    unsigned n;
    twofold r = reduce(x, &n);
    if (x == 0)
        return x;
    return n & 1 ? -cosine(r) / sine(r) : sine(r) / cosine(r);
}

double atan(double x)
{
    /* Arc tangents of 0, 1/4, 1/2, 3/4 and 1. */
    static const twofold NEAR[5] = {{0, 0},
                                    {0x1.f5b75f92c80ddp-3, 0x1.8ab6e3cf7afbdp-57},
                                    {0x1.dac670561bb4fp-2, 0x1.a2b7f222f65e2p-56},
                                    {0x1.4978fa3269ee1p-1, 0x1.2419a87f2a458p-56},
                                    {0x1.921fb54442d18p-1, 0x1.1a62633145c07p-55}};
    if (isnan(x))
        return x;
    double size = fabs(x);
    int inverse = size > 1, k;
    double y = inverse ? 1 / size : size;
    k = (int)(y * 4 + 0.5);
    double c = k * 0.25, t = k ? (y - c) / (1 + y * c) : y;
    if (inverse && k)
        t = (1 - size * c) / (size + c);
    double q = t * t, series = 0;
    for (int i = 21; i >= 3; i -= 2)
        series = (1.0 / i + series) * -q;
    double rest = t * series;
    twofold a = sum(NEAR[k].high, t);
    rest += a.low + NEAR[k].low;
    double result = a.high + rest;
    if (inverse) {
        twofold b = sum(0x1.921fb54442d18p+0, -a.high);
        result = b.high + (b.low + 0x1.1a62633145c07p-54 - rest);
    }
    return copysign(result, x);
}

double atan2(double y, double x)
{
    const double pi = 0x1.921fb54442d18p+1, low = 0x1.1a62633145c07p-53;
    if (isnan(x) || isnan(y))
        return NAN;
    double result;
    if (isinf(x) && isinf(y))
        result = 0x1.921fb54442d18p-1;
    else if (y == 0 || (isinf(x) && !isinf(y)))
        result = 0;
    else if (x == 0 || isinf(y))
        return copysign(pi / 2, y);
    else
        result = atan(fabs(y / x));
    if (bits(x) & SIGN)
        result = pi - (result - low);
    return copysign(result, y);
}

double asin(double x)
{
    return fabs(x) > 1 ? NAN : atan2(x, sqrt((1 - x) * (1 + x)));
}

double acos(double x)
{
    return fabs(x) > 1 ? NAN : 2 * atan2(sqrt((1 - x) / 2), sqrt((1 + x) / 2));
}

float fabsf(float x) { return (float)fabs(x); }
float floorf(float x) { return (float)floor(x); }
float ceilf(float x) { return (float)ceil(x); }
float truncf(float x) { return (float)trunc(x); }
float roundf(float x) { return (float)round(x); }
float sqrtf(float x) { return (float)sqrt(x); }
float fmodf(float x, float y) { return (float)fmod(x, y); }
float powf(float x, float y) { return (float)pow(x, y); }
float expf(float x) { return (float)exp(x); }
float logf(float x) { return (float)log(x); }
float sinf(float x) { return (float)sin(x); }
float cosf(float x) { return (float)cos(x); }
float tanf(float x) { return (float)tan(x); }
float atan2f(float y, float x) { return (float)atan2(y, x); }

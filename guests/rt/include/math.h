#ifndef PVM2_MATH_H
#define PVM2_MATH_H

#define HUGE_VAL (__builtin_huge_val())
#define INFINITY (__builtin_inff())
#define NAN (__builtin_nanf(""))
#define M_PI 3.14159265358979323846
#define M_E 2.71828182845904523536

typedef double double_t;
typedef float float_t;

#define FP_NAN 0
#define FP_INFINITE 1
#define FP_ZERO 2
#define FP_SUBNORMAL 3
#define FP_NORMAL 4
#define fpclassify(X) \
    __builtin_fpclassify(FP_NAN, FP_INFINITE, FP_NORMAL, FP_SUBNORMAL, FP_ZERO, X)
#define isnan(X) __builtin_isnan(X)
#define isinf(X) __builtin_isinf(X)
#define isfinite(X) __builtin_isfinite(X)
#define isnormal(X) __builtin_isnormal(X)
#define signbit(X) __builtin_signbit(X)

double fabs(double x);
double copysign(double x, double y);
double fmin(double x, double y);
double fmax(double x, double y);
double trunc(double x);
double floor(double x);
double ceil(double x);
double round(double x);
double rint(double x);
double nearbyint(double x);
long lround(double x);
long long llround(double x);
long lrint(double x);
double modf(double x, double *whole);
double frexp(double x, int *exponent);
double ldexp(double x, int n);
double scalbn(double x, int n);
int ilogb(double x);
double logb(double x);
double fmod(double x, double y);
double sqrt(double x);
double cbrt(double x);
double hypot(double x, double y);
double exp(double x);
double exp2(double x);
double expm1(double x);
double log(double x);
double log2(double x);
double log10(double x);
double log1p(double x);
double pow(double x, double y);
double sin(double x);
double cos(double x);
double tan(double x);
double asin(double x);
double acos(double x);
double atan(double x);
double atan2(double y, double x);
double sinh(double x);
double cosh(double x);
double tanh(double x);

float fabsf(float x);
float floorf(float x);
float ceilf(float x);
float truncf(float x);
float roundf(float x);
float sqrtf(float x);
float fmodf(float x, float y);
float powf(float x, float y);
float expf(float x);
float logf(float x);
float sinf(float x);
float cosf(float x);
float tanf(float x);
float atan2f(float y, float x);

#endif

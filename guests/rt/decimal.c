/* Exact conversion between double and text. */
#include <stdint.h>
#include "ctype.h"
#include "decimal.h"
#include "errno.h"
#include "stdlib.h"
#include "string.h"

#define TEN9 1000000000u

static uint64_t bits_of(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static double from_bits(uint64_t b)
{
    double x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* A natural number, lowest digit first. */
typedef struct {
    int count;
    uint32_t digit[256];
} natural;

static void trim(natural *n)
{
    while (n->count && n->digit[n->count - 1] == 0)
        n->count--;
}

/* n = n * factor + carry, with digits below base; base 0 stands for 2^32.
 * factor and carry are below base. */
static void multiply(natural *n, uint32_t factor, uint32_t carry, uint32_t base)
{
    for (int i = 0; i < n->count; i++) {
        uint64_t x = (uint64_t)n->digit[i] * factor + carry;
        n->digit[i] = (uint32_t)(base ? x % base : x);
        carry = (uint32_t)(base ? x / base : x >> 32);
    }
    if (carry)
        n->digit[n->count++] = carry;
}

/* n = n / divisor; the remainder. */
static uint32_t divide(natural *n, uint32_t divisor)
{
    uint64_t rest = 0;
    for (int i = n->count; i-- > 0;) {
        rest = rest << 32 | n->digit[i];
        n->digit[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    trim(n);
    return (uint32_t)rest;
}

int __pvm_decimal(double x, char *digits, int *point)
{
    uint64_t b = bits_of(x), mantissa = b & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(b >> 52 & 0x7ff);
    if (exponent)
        mantissa |= UINT64_C(1) << 52;
    else
        exponent = 1;
    exponent -= 1075;
    *point = 0;
    if (mantissa == 0)
        return 0;
    while (!(mantissa & 1) && exponent < 0) {
        mantissa >>= 1;
        exponent++;
    }
    natural n = {.count = 0};
    for (; mantissa; mantissa /= TEN9)
        n.digit[n.count++] = (uint32_t)(mantissa % TEN9);
    /* m / 2^k = m * 5^k / 10^k */
    for (int k = exponent; k > 0; k -= 29)
        multiply(&n, 1u << (k < 29 ? k : 29), 0, TEN9);
    for (int k = -exponent; k > 0; k -= 12) {
        uint32_t five = 1;
        for (int i = 0; i < 12 && i < k; i++)
            five *= 5;
        multiply(&n, five, 0, TEN9);
    }
    int length = 0;
    for (int i = n.count; i-- > 0;)
        for (uint32_t unit = TEN9 / 10; unit; unit /= 10) {
            char c = (char)('0' + n.digit[i] / unit % 10);
            if (length || c != '0')
                digits[length++] = c;
        }
    *point = length - (exponent < 0 ? -exponent : 0);
    while (length && digits[length - 1] == '0')
        length--;
    return length;
}

/* The top 64 bits of n, the last one sticky, as a double times 2^exponent. */
static double top_bits(const natural *n, int exponent, int sticky)
{
    uint64_t top = 0;
    int taken = 0;
    for (int i = n->count; i-- > 0;) {
        if (taken < 2) {
            top = top << 32 | n->digit[i];
            taken++;
        } else if (taken == 2 && !(top >> 63)) {
            int shift = __builtin_clzll(top);
            top = top << shift | n->digit[i] >> (32 - shift);
            sticky |= n->digit[i] << shift != 0;
            exponent += 32 - shift;
            taken = 3;
        } else {
            sticky |= n->digit[i] != 0;
            exponent += 32;
        }
    }
    return __pvm_round(top | (sticky != 0), exponent);
}

double __pvm_round(uint64_t mantissa, int exponent)
{
    if (mantissa == 0)
        return 0;
    int shift = __builtin_clzll(mantissa);
    mantissa <<= shift;
    /* value = mantissa * 2^(exponent - shift); as 1.f * 2^power: */
    int power = exponent - shift + 63;
    if (power > 1023) {
        errno = ERANGE;
        return from_bits(UINT64_C(0x7ff) << 52);
    }
    int drop = power < -1022 ? 11 + (-1022 - power) : 11;
    if (drop > 64) {
        errno = ERANGE;
        return 0;
    }
    uint64_t kept = drop == 64 ? 0 : mantissa >> drop;
    uint64_t rest = mantissa << (64 - drop), half = UINT64_C(1) << 63;
    kept += rest > half || (rest == half && (kept & 1));
    /* A normal number's hidden bit is counted by the exponent below it. */
    uint64_t bits = kept + ((uint64_t)(power < -1022 ? 0 : power + 1022) << 52);
    if (bits >> 52 == 0x7ff)
        errno = ERANGE;
    return from_bits(bits);
}

static double hexadecimal(const char *s, char **end)
{
    uint64_t mantissa = 0;
    int exponent = 0, any = 0, point = 0;
    for (;; s++) {
        if (*s == '.' && !point) {
            point = 1;
            continue;
        }
        if (!isxdigit((unsigned char)*s))
            break;
        any = 1;
        unsigned d = (unsigned)(isdigit((unsigned char)*s) ? *s - '0' : (*s | 0x20) - 'a' + 10);
        if (mantissa >> 60) {
            mantissa |= d != 0;
            exponent += point ? 0 : 4;
        } else {
            mantissa = mantissa << 4 | d;
            exponent -= point ? 4 : 0;
        }
    }
    if (!any)
        return 0;
    *end = (char *)s;
    if ((*s | 0x20) == 'p') {
        const char *t = s + 1 + (s[1] == '-' || s[1] == '+');
        if (isdigit((unsigned char)*t)) {
            long e = 0;
            for (; isdigit((unsigned char)*t); t++)
                e = e < 100000 ? e * 10 + *t - '0' : e;
            exponent += (int)(s[1] == '-' ? -e : e);
            *end = (char *)t;
        }
    }
    return __pvm_round(mantissa, exponent);
}

static double decimal(const char *s, char **end)
{
    natural n = {.count = 0};
    int digits = 0, sticky = 0, exponent = 0, any = 0, point = 0;
    for (;; s++) {
        if (*s == '.' && !point) {
            point = 1;
            continue;
        }
        if (!isdigit((unsigned char)*s))
            break;
        any = 1;
        if (digits < 800) {
            multiply(&n, 10, (uint32_t)(*s - '0'), 0);
            digits += n.count != 0;
            exponent -= point;
        } else {
            sticky |= *s != '0';
            exponent += !point;
        }
    }
    if (!any)
        return 0;
    *end = (char *)s;
    if ((*s | 0x20) == 'e') {
        const char *t = s + 1 + (s[1] == '-' || s[1] == '+');
        if (isdigit((unsigned char)*t)) {
            long e = 0;
            for (; isdigit((unsigned char)*t); t++)
                e = e < 100000 ? e * 10 + *t - '0' : e;
            exponent += (int)(s[1] == '-' ? -e : e);
            *end = (char *)t;
        }
    }
    if (n.count == 0)
        return 0;
    if (exponent + digits > 310) {
        errno = ERANGE;
        return from_bits(UINT64_C(0x7ff) << 52);
    }
    if (exponent + digits < -330) {
        errno = ERANGE;
        return 0;
    }
    if (exponent >= 0) {
        for (; exponent > 0; exponent--)
            multiply(&n, 10, 0, 0);
        return top_bits(&n, 0, sticky);
    }
    /* Shift up so that 66 bits or more are left after the division by 10^k. */
    int words = (-exponent * 10 / 3 + 66) / 32 + 1;
    memmove(n.digit + words, n.digit, (size_t)n.count * sizeof *n.digit);
    memset(n.digit, 0, (size_t)words * sizeof *n.digit);
    n.count += words;
    for (; exponent < 0; exponent += 9) {
        uint32_t ten = 1;
        for (int i = 0; i < 9 && i < -exponent; i++)
            ten *= 10;
        sticky |= divide(&n, ten) != 0;
    }
    return top_bits(&n, -32 * words, sticky);
}

double strtod(const char *restrict text, char **restrict end)
{
    const char *s = text;
    char *stop = (char *)text;
    while (isspace((unsigned char)*s))
        s++;
    int negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    double x = 0;
    if ((s[0] | 0x20) == 'i' && (s[1] | 0x20) == 'n' && (s[2] | 0x20) == 'f') {
        x = from_bits(UINT64_C(0x7ff) << 52);
        stop = (char *)s + 3;
    } else if ((s[0] | 0x20) == 'n' && (s[1] | 0x20) == 'a' && (s[2] | 0x20) == 'n') {
        x = from_bits(UINT64_C(0xfff) << 51);
        stop = (char *)s + 3;
    } else if (s[0] == '0' && (s[1] | 0x20) == 'x' &&
               (isxdigit((unsigned char)s[2]) || (s[2] == '.' && isxdigit((unsigned char)s[3])))) {
        x = hexadecimal(s + 2, &stop);
    } else {
        x = decimal(s, &stop);
    }
    if (end)
        *end = stop;
    return negative && stop != text ? -x : x;
}

float strtof(const char *restrict s, char **restrict end)
{
    return (float)strtod(s, end);
}

double atof(const char *s)
{
    return strtod(s, NULL);
}

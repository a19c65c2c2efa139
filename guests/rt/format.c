/* printf: one loop over the format, one sink for characters. */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include "decimal.h"
#include "stdio.h"
#include "stdlib.h"
#include "string.h"

/* A program may bring its own. */
#pragma weak printf
#pragma weak sprintf
#pragma weak snprintf
#pragma weak vsnprintf

/* Where characters go: to memory up to a limit, or to a file. */
typedef struct {
    char *to;
    size_t room, count;
    FILE *file;
} sink;

typedef struct {
    int left, plus, space, alternate, zero, width, precision;
} spec;

static void put(sink *s, const char *bytes, size_t n)
{
    if (s->file) {
        fwrite(bytes, 1, n, s->file);
    } else if (s->count < s->room) {
        size_t part = s->room - s->count < n ? s->room - s->count : n;
        memcpy(s->to + s->count, bytes, part);
    }
    s->count += n;
}

static void repeat(sink *s, char c, int n)
{
    for (; n > 0; n--)
        put(s, &c, 1);
}

/* Text with spaces around it to the width. */
static void field(sink *s, const spec *f, const char *prefix, const char *body, size_t n)
{
    int gap = f->width - (int)(strlen(prefix) + n);
    if (!f->left)
        repeat(s, ' ', gap);
    put(s, prefix, strlen(prefix));
    put(s, body, n);
    if (f->left)
        repeat(s, ' ', gap);
}

static const char *sign_of(const spec *f, int negative)
{
    return negative ? "-" : f->plus ? "+" : f->space ? " " : "";
}

static void integer(sink *s, const spec *f, uint64_t value, unsigned base, const char *digits,
                    const char *prefix)
{
    char text[64];
    size_t at = sizeof text;
    for (uint64_t rest = value; rest; rest /= base)
        text[--at] = digits[rest % base];
    int zeros = f->precision - (int)(sizeof text - at);
    if (f->precision < 0)
        zeros = at == sizeof text;
    if (zeros < 0)
        zeros = 0;
    if (base == 8 && f->alternate && zeros == 0)
        zeros = 1;
    int gap = f->width - (int)strlen(prefix) - (int)(sizeof text - at) - zeros;
    int fill = f->zero && !f->left && f->precision < 0;
    if (!f->left && !fill)
        repeat(s, ' ', gap);
    put(s, prefix, strlen(prefix));
    if (fill)
        repeat(s, '0', gap);
    repeat(s, '0', zeros);
    put(s, text + at, sizeof text - at);
    if (f->left)
        repeat(s, ' ', gap);
}

/* Keeps `keep` digits, rounding half to even; *point grows with a carry. */
static int round_digits(char *digits, int length, int keep, int *point)
{
    if (keep >= length)
        return length;
    if (keep < 0)
        return 0;
    int up = digits[keep] > '5' || (digits[keep] == '5' && length > keep + 1);
    if (digits[keep] == '5' && length == keep + 1)
        up = keep > 0 && (digits[keep - 1] & 1);
    length = keep;
    if (up) {
        while (length && digits[length - 1] == '9')
            length--;
        if (length) {
            digits[length - 1]++;
        } else {
            digits[length++] = '1';
            ++*point;
        }
    }
    while (length && digits[length - 1] == '0')
        length--;
    return length;
}

static void exponent_text(char *text, char letter, int exponent)
{
    unsigned e = exponent < 0 ? (unsigned)-exponent : (unsigned)exponent;
    *text++ = letter;
    *text++ = exponent < 0 ? '-' : '+';
    unsigned unit = letter == 'p' || letter == 'P' ? 1 : 10;
    while (e / unit >= 10)
        unit *= 10;
    for (; unit > 1; unit /= 10)
        *text++ = (char)('0' + e / unit % 10);
    *text++ = (char)('0' + e % 10);
    *text = 0;
}

/* The digits from place `from` (0 is the first after the point) for `n` places. */
static void places(sink *s, const char *digits, int length, int from, int n)
{
    for (; n > 0; n--, from++)
        put(s, from >= 0 && from < length ? digits + from : "0", 1);
}

static void floating(sink *s, const spec *f, double x, char kind)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    const char *sign = sign_of(f, (int)(b >> 63));
    char lower = (char)(kind | 0x20), letter = (char)(kind & 0x20 ? 'e' : 'E');
    if ((b >> 52 & 0x7ff) == 0x7ff) {
        const char *name = b << 12 ? (kind & 0x20 ? "nan" : "NAN") : (kind & 0x20 ? "inf" : "INF");
        field(s, f, sign, name, 3);
        return;
    }
    char digits[PVM_DIGITS + 4];
    int point, length = __pvm_decimal(x, digits, &point);
    int precision = f->precision < 0 ? 6 : f->precision, exponential = lower == 'e';
    if (lower == 'g') {
        if (precision == 0)
            precision = 1;
        length = round_digits(digits, length, precision, &point);
        int exponent = length ? point - 1 : 0;
        exponential = exponent < -4 || exponent >= precision;
        precision -= exponential ? 1 : exponent + 1;
        if (!f->alternate) {
            int needed = exponential ? length - 1 : length - (length ? point : 0);
            if (needed < 0)
                needed = 0;
            if (precision > needed)
                precision = needed;
        }
    } else {
        length = round_digits(digits, length, exponential ? precision + 1 : precision + point, &point);
    }
    if (length == 0)
        point = exponential ? 1 : 0;
    char tail[8] = "";
    if (exponential)
        exponent_text(tail, letter, point - 1);
    int whole = exponential ? 1 : point > 0 ? point : 1;
    int dot = precision > 0 || f->alternate;
    int size = (int)strlen(sign) + whole + dot + precision + (int)strlen(tail);
    if (!f->left && !f->zero)
        repeat(s, ' ', f->width - size);
    put(s, sign, strlen(sign));
    if (!f->left && f->zero)
        repeat(s, '0', f->width - size);
    int first = exponential ? 0 : point > 0 ? 0 : -1;
    if (first < 0)
        put(s, "0", 1);
    else
        places(s, digits, length, 0, whole);
    put(s, ".", (size_t)dot);
    places(s, digits, length, exponential ? 1 : point, precision);
    put(s, tail, strlen(tail));
    if (f->left)
        repeat(s, ' ', f->width - size);
}

static void hex_floating(sink *s, const spec *f, double x, char kind)
{
    uint64_t b, fraction;
    memcpy(&b, &x, sizeof b);
    int exponent = (int)(b >> 52 & 0x7ff);
    if (exponent == 0x7ff) {
        floating(s, f, x, (char)(kind & 0x20 ? 'f' : 'F'));
        return;
    }
    fraction = b & ((UINT64_C(1) << 52) - 1);
    unsigned lead = exponent != 0;
    if (exponent == 0)
        exponent = fraction ? 1 : 1023;
    int count = f->precision;
    if (count >= 0 && count < 13) {
        int drop = 52 - 4 * count;
        uint64_t all = (uint64_t)lead << 52 | fraction, half = UINT64_C(1) << (drop - 1);
        uint64_t rest = all & (2 * half - 1);
        all >>= drop;
        all += rest > half || (rest == half && (all & 1));
        all <<= drop;
        lead = (unsigned)(all >> 52);
        fraction = all & ((UINT64_C(1) << 52) - 1);
    }
    char text[40], *to = text;
    const char *digits = kind & 0x20 ? "0123456789abcdef" : "0123456789ABCDEF";
    *to++ = digits[lead];
    if (count > 0 || (count < 0 && fraction) || f->alternate)
        *to++ = '.';
    for (int i = 0; i < 13 && (count < 0 ? fraction != 0 : i < count); i++) {
        *to++ = digits[fraction >> 48];
        fraction = fraction << 4 & ((UINT64_C(1) << 52) - 1);
    }
    char tail[8];
    exponent_text(tail, (char)(kind & 0x20 ? 'p' : 'P'), exponent - 1023);
    int more = count > 13 ? count - 13 : 0;
    char prefix[4] = "";
    strcpy(prefix, sign_of(f, (int)(b >> 63)));
    strcat(prefix, kind & 0x20 ? "0x" : "0X");
    int gap = f->width - (int)(strlen(prefix) + (size_t)(to - text) + strlen(tail)) - more;
    if (!f->left && !f->zero)
        repeat(s, ' ', gap);
    put(s, prefix, strlen(prefix));
    if (!f->left && f->zero)
        repeat(s, '0', gap);
    put(s, text, (size_t)(to - text));
    repeat(s, '0', more);
    put(s, tail, strlen(tail));
    if (f->left)
        repeat(s, ' ', gap);
}

static const char *number(const char *p, int *value)
{
    for (*value = 0; *p >= '0' && *p <= '9'; p++)
        if (*value < INT_MAX / 10)
            *value = *value * 10 + *p - '0';
    return p;
}

/* An argument of the integer type that `size` bytes name, sign-extended. */
static int64_t argument(va_list *args, int size)
{
    if (size == 8)
        return va_arg(*args, long);
    int x = va_arg(*args, int);
    return size == 1 ? (signed char)x : size == 2 ? (short)x : x;
}

static uint64_t narrow(int64_t x, int size)
{
    return size == 8 ? (uint64_t)x : (uint64_t)x & ((UINT64_C(1) << 8 * size) - 1);
}

static void convert(sink *s, spec *f, char kind, int size, va_list *args)
{
    static const char LOWER[] = "0123456789abcdef", UPPER[] = "0123456789ABCDEF";
    switch (kind) {
    case 'd':
    case 'i': {
        int64_t x = argument(args, size);
        integer(s, f, x < 0 ? 0 - (uint64_t)x : (uint64_t)x, 10, LOWER, sign_of(f, x < 0));
        break;
    }
    case 'u':
        integer(s, f, narrow(argument(args, size), size), 10, LOWER, "");
        break;
    case 'o':
        integer(s, f, narrow(argument(args, size), size), 8, LOWER, "");
        break;
    case 'x':
    case 'X': {
        uint64_t x = narrow(argument(args, size), size);
        const char *prefix = !f->alternate || !x ? "" : kind == 'x' ? "0x" : "0X";
        integer(s, f, x, 16, kind == 'x' ? LOWER : UPPER, prefix);
        break;
    }
    case 'p': {
        uint64_t x = (uint64_t)va_arg(*args, void *);
        if (x)
            integer(s, f, x, 16, LOWER, "0x");
        else
            field(s, f, "", "(nil)", 5);
        break;
    }
    case 'c': {
        char c = (char)va_arg(*args, int);
        field(s, f, "", &c, 1);
        break;
    }
    case 's': {
        const char *text = va_arg(*args, const char *);
        if (!text)
            text = "(null)";
        field(s, f, "", text, f->precision < 0 ? strlen(text) : strnlen(text, (size_t)f->precision));
        break;
    }
    case 'n': {
        void *to = va_arg(*args, void *);
        int64_t count = (int64_t)s->count;
        memcpy(to, &count, (size_t)size);
        break;
    }
    case 'a':
    case 'A':
        hex_floating(s, f, va_arg(*args, double), kind);
        break;
    default:
        floating(s, f, va_arg(*args, double), kind);
    }
}

/* Everything that one conversion or the text before it puts goes at once. */
static int format(sink *s, const char *p, va_list *args)
{
    while (*p) {
        size_t plain = strcspn(p, "%");
        put(s, p, plain);
        p += plain;
        if (!*p)
            break;
        const char *start = p++;
        spec f = {.precision = -1};
        for (;; p++) {
            if (*p == '-')
                f.left = 1;
            else if (*p == '+')
                f.plus = 1;
            else if (*p == ' ')
                f.space = 1;
            else if (*p == '#')
                f.alternate = 1;
            else if (*p == '0')
                f.zero = 1;
            else
                break;
        }
        if (*p == '*') {
            f.width = va_arg(*args, int);
            p++;
            if (f.width < 0) {
                f.left = 1;
                f.width = -f.width;
            }
        } else {
            p = number(p, &f.width);
        }
        if (*p == '.') {
            if (*++p == '*') {
                f.precision = va_arg(*args, int);
                p++;
            } else {
                p = number(p, &f.precision);
            }
            if (f.precision < 0)
                f.precision = -1;
        }
        int size = 4;
        for (; *p && strchr("hljzt", *p); p++)
            size = *p != 'h' ? 8 : size == 2 ? 1 : 2;
        if (*p == '%') {
            put(s, p++, 1);
        } else if (*p && strchr("diuoxXpcsneEfFgGaA", *p)) {
            convert(s, &f, *p++, size, args);
        } else {
            /* Not a conversion: shown as it stands. */
            put(s, start, (size_t)(p - start));
        }
    }
    return s->count > INT_MAX ? -1 : (int)s->count;
}

int vsnprintf(char *restrict to, size_t n, const char *restrict text, va_list args)
{
    sink s = {.to = to, .room = n ? n - 1 : 0};
    va_list copy;
    va_copy(copy, args);
    int count = format(&s, text, &copy);
    va_end(copy);
    if (n)
        to[s.count < n ? s.count : n - 1] = 0;
    return count;
}

int vsprintf(char *restrict to, const char *restrict text, va_list args)
{
    return vsnprintf(to, (size_t)INT_MAX, text, args);
}

int vfprintf(FILE *restrict file, const char *restrict text, va_list args)
{
    sink s = {.file = file};
    va_list copy;
    va_copy(copy, args);
    int count = format(&s, text, &copy);
    va_end(copy);
    return ferror(file) ? -1 : count;
}

int vprintf(const char *restrict text, va_list args)
{
    return vfprintf(stdout, text, args);
}

int printf(const char *restrict text, ...)
{
    va_list args;
    va_start(args, text);
    int count = vfprintf(stdout, text, args);
    va_end(args);
    return count;
}

int fprintf(FILE *restrict file, const char *restrict text, ...)
{
    va_list args;
    va_start(args, text);
    int count = vfprintf(file, text, args);
    va_end(args);
    return count;
}

int sprintf(char *restrict to, const char *restrict text, ...)
{
    va_list args;
    va_start(args, text);
    int count = vsprintf(to, text, args);
    va_end(args);
    return count;
}

int snprintf(char *restrict to, size_t n, const char *restrict text, ...)
{
    va_list args;
    va_start(args, text);
    int count = vsnprintf(to, n, text, args);
    va_end(args);
    return count;
}

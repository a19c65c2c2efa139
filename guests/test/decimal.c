/* Compares rt/decimal.c and rt/format.c with the C library of the machine at
 * hand. Their functions are compiled with names prefixed by soft_.
 * Usage: decimal [ROUNDS] */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int soft_snprintf(char *to, size_t n, const char *format, ...) __attribute__((format(printf, 3, 4)));
double soft_strtod(const char *s, char **end);

static uint64_t state = 0x123456789abcdef1;
static unsigned long checks, wrong;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static double any_double(void)
{
    uint64_t r = next(), kind = next() >> 61;
    double x;
    if (kind == 0)
        return (double)(int64_t)r / 1000.0;
    if (kind == 1)
        return (double)(int32_t)r;
    if (kind == 2)
        return (double)(r % 2000) / 8;
    if (kind == 3)
        r &= 0x800fffffffffffff | (next() % 3) << 52;
    if (kind < 6)
        r = (r & 0x800fffffffffffff) | (1023 - 40 + (r >> 52) % 80) << 52;
    memcpy(&x, &r, 8);
    return x;
}

static const char *FORMATS[] = {
    "%f", "%.0f", "%.3f", "%12.4f", "%-12.1f|", "%012.2f", "%+.2f", "% f", "%#.0f", "%.20f",
    "%e", "%.0e", "%.12e", "%15.3E", "%-15.3e|", "%+015.2e", "%#.0e", "%.30e",
    "%g", "%.0g", "%.14g", "%.17g", "%10.3g", "%-10.3G|", "%#g", "%+08.2g", "%.40g", "%a", "%.3a",
    "%20.5A", "%.0a", "%+a", "%020a", "%.1f", "%.2f", "%.15g", "%.340f"};

static void print_doubles(void)
{
    static char got[2000], want[2000];
    double x = any_double();
    for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
        int a = soft_snprintf(got, sizeof got, FORMATS[i], x);
        int b = snprintf(want, sizeof want, FORMATS[i], x);
        checks++;
        /* A subnormal's leading digit after 0x is free; ours is 0 as well. */
        if ((a != b || strcmp(got, want)) && wrong++ < 20)
            printf("%s of %a: %s, not %s\n", FORMATS[i], x, got, want);
    }
}

static void print_integers(void)
{
    char got[200], want[200], format[32];
    static const char *SIZES[] = {"hh", "h", "", "l", "ll", "j", "z"};
    uint64_t r = next() >> (next() & 63), flags = next();
    char *p = format;
    *p++ = '%';
    for (const char *f = "-+ #0"; *f; f++, flags >>= 1)
        if (flags & 1)
            *p++ = *f;
    p += sprintf(p, "%s", flags & 1 ? "" : flags & 2 ? "7" : "25");
    p += sprintf(p, "%s", flags & 4 ? "" : flags & 8 ? "." : ".9");
    size_t size = next() % 7;
    char kind = "diuoxX"[next() % 6];
    sprintf(p, "%s%c|", SIZES[size], kind);
    int a, b;
    if (size < 3) {
        a = soft_snprintf(got, sizeof got, format, (int)r);
        b = snprintf(want, sizeof want, format, (int)r);
    } else {
        a = soft_snprintf(got, sizeof got, format, (long)r);
        b = snprintf(want, sizeof want, format, (long)r);
    }
    checks++;
    if ((a != b || strcmp(got, want)) && wrong++ < 20)
        printf("%s of %lx: %s, not %s\n", format, (long)r, got, want);
    size_t room = next() % 12;
    char s[8] = "abcdefg";
    s[next() % 8] = 0;
    memset(got, '?', sizeof got);
    memset(want, '?', sizeof want);
    a = soft_snprintf(got, room, "%5s-%.3s-%c%%%-4s%p", s, s, s[0] ? s[0] : '0', s, (void *)(r | 1));
    b = snprintf(want, room, "%5s-%.3s-%c%%%-4s%p", s, s, s[0] ? s[0] : '0', s, (void *)(r | 1));
    checks++;
    if ((a != b || memcmp(got, want, sizeof got)) && wrong++ < 20)
        printf("strings: %.12s, not %.12s\n", got, want);
}

static void parse(const char *text)
{
    char *a, *b;
    double got = soft_strtod(text, &a), want = strtod(text, &b);
    checks++;
    if ((memcmp(&got, &want, 8) && !(got != got && want != want)) || a != b)
        if (wrong++ < 20)
            printf("strtod %s: %a, not %a (%ld, not %ld)\n", text, got, want, a - text, b - text);
}

static void parse_random(void)
{
    char text[2000];
    double x = any_double();
    sprintf(text, "%.*e", (int)(next() % 25), x);
    parse(text);
    sprintf(text, "%.17g", x);
    parse(text);
    sprintf(text, "%a", x);
    parse(text);
    sprintf(text, "%ld.%lue%d", (long)next() >> (next() & 63), next() >> (next() & 63),
            (int)(next() % 700) - 350);
    parse(text);
    sprintf(text, "0x%lx.%lxp%d", next() >> (next() & 63), next() >> (next() & 63),
            (int)(next() % 2300) - 1150);
    parse(text);
    /* Exactly half way between two doubles, and a little beside. */
    uint64_t b = next() & 0x7fffffffffffffff;
    double y;
    if ((b >> 52) >= 0x7fe)
        b &= 0x3fffffffffffffff;
    memcpy(&y, &b, 8);
    uint64_t c = b + 1;
    double z;
    memcpy(&z, &c, 8);
    if (y > 1e-290) {
        /* The sum fits a long double of 64 bits exactly. */
        sprintf(text, "%.1100Lf", ((long double)y + (long double)z) / 2);
        char *end = text + strlen(text);
        parse(text);
        strcpy(end, "1");
        parse(text);
        strcpy(end, "0000000");
        parse(text);
        end = strchr(text, '.');
        *end = 0;
        if (text[0] != '0') {
            end[-1] ^= 1;
            parse(text);
        }
    }
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;
    static const char *TEXTS[] = {
        "", "-", ".", "+.5", "5.", ".e5", "1e", "1e+", "1e-5x", "0x", "0x.p1", "0x1p", "0x.8p1",
        "  12", "\t-0", "inf", "-INF", "nan", "-nan", "infx", "0x1.fffffffffffff8p0", "1e400",
        "-1e-400", "4.9406564584124654e-324", "2.4703282292062327e-324", "2.4703282292062328e-324",
        "2.2250738585072011e-308", "2.2250738585072014e-308", "1.7976931348623157e308",
        "1.7976931348623158e308", "1.7976931348623159e308", "9007199254740993", "0e999999999999",
        "1e99999999999999", "000000000000000000000000000000001", "0.000000000000000000000000000001e30",
        "0x1p-1074", "0x1p-1075", "0x1.8p-1075", "0x1p1023", "0x1p1024", "0x0p99999999"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        parse(TEXTS[i]);
    for (unsigned long i = 0; i < rounds; i++) {
        print_doubles();
        for (int k = 0; k < 20; k++)
            print_integers();
        parse_random();
    }
    printf("%lu checks, %lu wrong\n", checks, wrong);
    return wrong != 0;
}

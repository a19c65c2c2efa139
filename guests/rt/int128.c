/* Compiler support for 128-bit integers: multiplication, shifts and division.
 * The compiler expands most multiplications and shifts itself. */
#include <stdint.h>

typedef unsigned __int128 u128;
typedef __int128 i128;

/* Parts through memory: no 128-bit shift of a variable amount is used below,
 * which the compiler might turn into a call of the very function defined. */
typedef union {
    u128 whole;
    struct {
        uint64_t low, high;
    } part;
} split;

u128 __ashlti3(u128 value, int amount)
{
    split v = {.whole = value}, r;
    if (amount & 64) {
        r.part.high = v.part.low << (amount & 63);
        r.part.low = 0;
    } else if (amount) {
        r.part.high = v.part.high << amount | v.part.low >> (64 - amount);
        r.part.low = v.part.low << amount;
    } else {
        return value;
    }
    return r.whole;
}

u128 __lshrti3(u128 value, int amount)
{
    split v = {.whole = value}, r;
    if (amount & 64) {
        r.part.low = v.part.high >> (amount & 63);
        r.part.high = 0;
    } else if (amount) {
        r.part.low = v.part.low >> amount | v.part.high << (64 - amount);
        r.part.high = v.part.high >> amount;
    } else {
        return value;
    }
    return r.whole;
}

i128 __ashrti3(i128 value, int amount)
{
    split v = {.whole = (u128)value}, r;
    int64_t high = (int64_t)v.part.high;
    if (amount & 64) {
        r.part.low = (uint64_t)(high >> (amount & 63));
        r.part.high = (uint64_t)(high >> 63);
    } else if (amount) {
        r.part.low = v.part.low >> amount | v.part.high << (64 - amount);
        r.part.high = (uint64_t)(high >> amount);
    } else {
        return value;
    }
    return (i128)r.whole;
}

i128 __multi3(i128 left, i128 right)
{
    split a = {.whole = (u128)left}, b = {.whole = (u128)right}, r;
    uint64_t a0 = (uint32_t)a.part.low, a1 = a.part.low >> 32;
    uint64_t b0 = (uint32_t)b.part.low, b1 = b.part.low >> 32;
    uint64_t p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
    uint64_t middle = (p00 >> 32) + (uint32_t)p01 + (uint32_t)p10;
    r.part.low = middle << 32 | (uint32_t)p00;
    r.part.high = p11 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
    r.part.high += a.part.low * b.part.high + a.part.high * b.part.low;
    return (i128)r.whole;
}

/* (high:low) / divisor, where high < divisor and the top bit of divisor is set.
 * Schoolbook division with two digits of 32 bits. */
static uint64_t divide_2by1(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *rest)
{
    uint64_t d1 = divisor >> 32, d0 = (uint32_t)divisor;
    uint64_t digit[2] = {low >> 32, (uint32_t)low};
    uint64_t quotient = 0, r = high;
    for (int i = 0; i < 2; i++) {
        uint64_t q = r / d1, t = r % d1;
        while (q >> 32 || q * d0 > (t << 32 | digit[i])) {
            q--;
            t += d1;
            if (t >> 32)
                break;
        }
        r = (r << 32 | digit[i]) - q * divisor;
        quotient = quotient << 32 | q;
    }
    *rest = r;
    return quotient;
}

static u128 divide(u128 n, u128 d, u128 *rest)
{
    split a = {.whole = n}, b = {.whole = d}, q;
    if (d == 0) {
        /* As the machine divides 64 bits. */
        *rest = n;
        return ~(u128)0;
    }
    if (b.part.high == 0) {
        uint64_t divisor = b.part.low, r;
        if (a.part.high == 0) {
            *rest = a.part.low % divisor;
            return a.part.low / divisor;
        }
        q.part.high = a.part.high / divisor;
        r = a.part.high % divisor;
        int shift = __builtin_clzll(divisor);
        uint64_t high = r, low = a.part.low;
        if (shift) {
            high = high << shift | low >> (64 - shift);
            low <<= shift;
        }
        q.part.low = divide_2by1(high, low, divisor << shift, &r);
        *rest = r >> shift;
        return q.whole;
    }
    if (n < d) {
        *rest = n;
        return 0;
    }
    /* The quotient is below 2^64: estimate it from the top 64 bits of the
     * divisor. The estimate is never too small and at most two too large. */
    int shift = __builtin_clzll(b.part.high);
    uint64_t top = shift ? b.part.high << shift | b.part.low >> (64 - shift) : b.part.high;
    uint64_t ignored;
    uint64_t high = a.part.high >> 1, low = a.part.high << 63 | a.part.low >> 1;
    uint64_t guess = divide_2by1(high, low, top, &ignored);
    guess >>= 63 - shift;
    if (guess)
        guess--;
    u128 r = n - d * guess;
    while (r >= d) {
        r -= d;
        guess++;
    }
    *rest = r;
    return guess;
}

u128 __udivti3(u128 n, u128 d)
{
    u128 rest;
    return divide(n, d, &rest);
}

u128 __umodti3(u128 n, u128 d)
{
    u128 rest;
    divide(n, d, &rest);
    return rest;
}

u128 __udivmodti4(u128 n, u128 d, u128 *rest)
{
    u128 r, q = divide(n, d, &r);
    if (rest)
        *rest = r;
    return q;
}

static inline u128 magnitude(i128 v)
{
    return v < 0 ? -(u128)v : (u128)v;
}

i128 __divti3(i128 n, i128 d)
{
    u128 rest, q = divide(magnitude(n), magnitude(d), &rest);
    return (i128)((n < 0) != (d < 0) ? -q : q);
}

i128 __modti3(i128 n, i128 d)
{
    u128 rest;
    divide(magnitude(n), magnitude(d), &rest);
    return (i128)(n < 0 ? -rest : rest);
}

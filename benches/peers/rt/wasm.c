/* Memory functions for WebAssembly: long blocks by its own instructions, short ones by loops, as
 * its usual C library does. */
#include <stddef.h>

enum { LONG = 64 };

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if (n >= LONG)
        return __builtin_memcpy(to, from, n);
    while (n--)
        *d++ = *s++;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if (n >= LONG)
        return __builtin_memmove(to, from, n);
    if ((size_t)d - (size_t)s >= n) {
        for (size_t i = 0; i < n; i++)
            d[i] = s[i];
    } else {
        while (n--)
            d[n] = s[n];
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *d = to;
    if (n >= LONG)
        return __builtin_memset(to, value, n);
    while (n--)
        *d++ = (unsigned char)value;
    return to;
}

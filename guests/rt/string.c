/* Memory and string functions. memcpy and friends are called by the compiler
 * too, so they exist whether or not a program names them. Unaligned 8-byte
 * accesses are cheap on PVM2: every copy and fill goes by words. */
#include <stddef.h>
#include <stdint.h>
#define PVM2_NO_INLINE
#include "string.h"

/* A program may bring its own. */
#pragma weak memcpy
#pragma weak memmove
#pragma weak memset
#pragma weak memcmp
#pragma weak bcmp
#pragma weak memchr
#pragma weak strlen
#pragma weak strnlen
#pragma weak strcmp
#pragma weak strncmp
#pragma weak strcpy
#pragma weak strncpy
#pragma weak strcat
#pragma weak strchr
#pragma weak strrchr
#pragma weak strstr

typedef uint64_t __attribute__((aligned(1), may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    while (n >= 32) {
        word a = ((const word *)s)[0], b = ((const word *)s)[1];
        word c = ((const word *)s)[2], e = ((const word *)s)[3];
        ((word *)d)[0] = a;
        ((word *)d)[1] = b;
        ((word *)d)[2] = c;
        ((word *)d)[3] = e;
        d += 32, s += 32, n -= 32;
    }
    while (n >= 8) {
        *(word *)d = *(const word *)s;
        d += 8, s += 8, n -= 8;
    }
    while (n) {
        *d++ = *s++;
        n--;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if ((uintptr_t)d - (uintptr_t)s >= n) {
        /* Forwards: each word is loaded before the store that may cover it. */
        while (n >= 8) {
            *(word *)d = *(const word *)s;
            d += 8, s += 8, n -= 8;
        }
        while (n) {
            *d++ = *s++;
            n--;
        }
        return to;
    }
    d += n, s += n;
    while (n >= 8) {
        d -= 8, s -= 8, n -= 8;
        *(word *)d = *(const word *)s;
    }
    while (n) {
        *--d = *--s;
        n--;
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *d = to;
    uint64_t fill = (unsigned char)value * UINT64_C(0x0101010101010101);
    while (n >= 32) {
        ((word *)d)[0] = fill;
        ((word *)d)[1] = fill;
        ((word *)d)[2] = fill;
        ((word *)d)[3] = fill;
        d += 32, n -= 32;
    }
    while (n >= 8) {
        *(word *)d = fill;
        d += 8, n -= 8;
    }
    while (n) {
        *d++ = (unsigned char)value;
        n--;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t n)
{
    const unsigned char *a = left, *b = right;
    while (n >= 8) {
        uint64_t x = *(const word *)a, y = *(const word *)b;
        if (x != y) {
            x = __builtin_bswap64(x), y = __builtin_bswap64(y);
            return x < y ? -1 : 1;
        }
        a += 8, b += 8, n -= 8;
    }
    for (; n; a++, b++, n--)
        if (*a != *b)
            return *a < *b ? -1 : 1;
    return 0;
}

int bcmp(const void *left, const void *right, size_t n)
{
    return memcmp(left, right, n);
}

void *memchr(const void *bytes, int c, size_t n)
{
    const unsigned char *p = bytes;
    for (; n; p++, n--)
        if (*p == (unsigned char)c)
            return (void *)p;
    return NULL;
}

void *memrchr(const void *bytes, int c, size_t n)
{
    const unsigned char *p = bytes;
    while (n--)
        if (p[n] == (unsigned char)c)
            return (void *)(p + n);
    return NULL;
}

size_t strlen(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;
    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    for (; *a && *a == *b; a++, b++)
        ;
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n && *a && *a == *b; a++, b++, n--)
        ;
    return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

/* The only locale is "C". */
int strcoll(const char *a, const char *b)
{
    return strcmp(a, b);
}

size_t strxfrm(char *restrict to, const char *restrict from, size_t n)
{
    size_t len = strlen(from);
    if (len < n)
        memcpy(to, from, len + 1);
    return len;
}

char *strcpy(char *restrict to, const char *restrict from)
{
    memcpy(to, from, strlen(from) + 1);
    return to;
}

char *stpcpy(char *restrict to, const char *restrict from)
{
    size_t n = strlen(from);
    memcpy(to, from, n + 1);
    return to + n;
}

char *strncpy(char *restrict to, const char *restrict from, size_t n)
{
    size_t len = strnlen(from, n);
    memcpy(to, from, len);
    memset(to + len, 0, n - len);
    return to;
}

char *strcat(char *restrict to, const char *restrict from)
{
    strcpy(to + strlen(to), from);
    return to;
}

char *strncat(char *restrict to, const char *restrict from, size_t n)
{
    char *end = to + strlen(to);
    size_t len = strnlen(from, n);
    memcpy(end, from, len);
    end[len] = 0;
    return to;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

char *strrchr(const char *s, int c)
{
    return memrchr(s, c, strlen(s) + 1);
}

size_t strspn(const char *s, const char *set)
{
    size_t n = 0;
    while (s[n] && strchr(set, s[n]))
        n++;
    return n;
}

size_t strcspn(const char *s, const char *set)
{
    size_t n = 0;
    while (s[n] && !strchr(set, s[n]))
        n++;
    return n;
}

char *strpbrk(const char *s, const char *set)
{
    s += strcspn(s, set);
    return *s ? (char *)s : NULL;
}

char *strstr(const char *s, const char *part)
{
    size_t n = strlen(part);
    for (;; s++) {
        if (strncmp(s, part, n) == 0)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

char *strtok_r(char *restrict s, const char *restrict set, char **restrict rest)
{
    if (!s)
        s = *rest;
    s += strspn(s, set);
    if (!*s) {
        *rest = s;
        return NULL;
    }
    char *end = s + strcspn(s, set);
    *rest = end;
    if (*end) {
        *end = 0;
        *rest = end + 1;
    }
    return s;
}

char *strtok(char *restrict s, const char *restrict set)
{
    static char *rest;
    return strtok_r(s, set, &rest);
}

char *strerror(int number)
{
    return number ? "error" : "no error";
}

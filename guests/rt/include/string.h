#ifndef PVM2_STRING_H
#define PVM2_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
int bcmp(const void *a, const void *b, size_t n);
void *memchr(const void *bytes, int c, size_t n);
void *memrchr(const void *bytes, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
int strcoll(const char *a, const char *b);
size_t strxfrm(char *restrict to, const char *restrict from, size_t n);
char *strcpy(char *restrict to, const char *restrict from);
char *stpcpy(char *restrict to, const char *restrict from);
char *strncpy(char *restrict to, const char *restrict from, size_t n);
char *strcat(char *restrict to, const char *restrict from);
char *strncat(char *restrict to, const char *restrict from, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
size_t strspn(const char *s, const char *set);
size_t strcspn(const char *s, const char *set);
char *strpbrk(const char *s, const char *set);
char *strstr(const char *s, const char *part);
char *strtok_r(char *restrict s, const char *restrict set, char **restrict rest);
char *strtok(char *restrict s, const char *restrict set);
char *strdup(const char *s);
char *strerror(int number);

/* A freestanding compiler calls these functions even for a few bytes of known
 * number, and takes a function that names its builtin for a recursive one. So
 * each is inlined by way of a second function. Only those three: the others are
 * no intrinsics, and their builtins would call the inline function again. */
#if defined(__OPTIMIZE__) && !defined(__cplusplus) && !defined(PVM2_NO_INLINE)
#define PVM2_INLINE(TYPE, NAME, PARAMETERS, ARGUMENTS)                                \
    static inline __attribute__((always_inline)) TYPE __pvm_##NAME PARAMETERS         \
    {                                                                                 \
        return __builtin_##NAME ARGUMENTS;                                            \
    }                                                                                 \
    extern inline __attribute__((gnu_inline, always_inline)) TYPE NAME PARAMETERS     \
    {                                                                                 \
        return __pvm_##NAME ARGUMENTS;                                                \
    }
PVM2_INLINE(void *, memcpy, (void *restrict to, const void *restrict from, size_t n), (to, from, n))
PVM2_INLINE(void *, memmove, (void *to, const void *from, size_t n), (to, from, n))
PVM2_INLINE(void *, memset, (void *to, int value, size_t n), (to, value, n))
#undef PVM2_INLINE
#endif

#endif

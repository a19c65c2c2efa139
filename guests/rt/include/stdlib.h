#ifndef PVM2_STDLIB_H
#define PVM2_STDLIB_H

#include <stddef.h>

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define RAND_MAX 0x7fffffff
#define MB_CUR_MAX 1

typedef struct { int quot, rem; } div_t;
typedef struct { long quot, rem; } ldiv_t;
typedef struct { long long quot, rem; } lldiv_t;

void *malloc(size_t n);
void *calloc(size_t count, size_t size);
void *realloc(void *p, size_t n);
void *aligned_alloc(size_t alignment, size_t n);
int posix_memalign(void **result, size_t alignment, size_t n);
void free(void *p);

/* The value of exit is the guest's value; abort ends the run with Trap. */
_Noreturn void exit(int value);
_Noreturn void _Exit(int value);
_Noreturn void abort(void);
int atexit(void (*function)(void));

int abs(int x);
long labs(long x);
long long llabs(long long x);
div_t div(int n, int d);
ldiv_t ldiv(long n, long d);
lldiv_t lldiv(long long n, long long d);

void qsort(void *base, size_t count, size_t size, int (*order)(const void *, const void *));
void *bsearch(const void *key, const void *base, size_t count, size_t size,
              int (*order)(const void *, const void *));

int atoi(const char *s);
long atol(const char *s);
long long atoll(const char *s);
double atof(const char *s);
long strtol(const char *restrict s, char **restrict end, int base);
long long strtoll(const char *restrict s, char **restrict end, int base);
unsigned long strtoul(const char *restrict s, char **restrict end, int base);
unsigned long long strtoull(const char *restrict s, char **restrict end, int base);
double strtod(const char *restrict s, char **restrict end);
float strtof(const char *restrict s, char **restrict end);

int rand(void);
void srand(unsigned seed);

/* There is no environment and no other program. */
char *getenv(const char *name);
int system(const char *command);

#endif

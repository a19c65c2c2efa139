#ifndef PVM2_STDIO_H
#define PVM2_STDIO_H

#include <stdarg.h>
#include <stddef.h>

#define EOF (-1)
#define BUFSIZ 1024
#define FILENAME_MAX 256
#define FOPEN_MAX 3
#define L_tmpnam 20
#define TMP_MAX 1
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#define _IOFBF 0
#define _IOLBF 1
#define _IONBF 2

typedef struct pvm_file FILE;
typedef long fpos_t;

/* stdout and stderr both go to the host's output, in order, a line at a time;
 * what is left is written when main returns or exit is called. stdin is empty. */
extern FILE *const stdin, *const stdout, *const stderr;
#define stdin stdin
#define stdout stdout
#define stderr stderr

/* Conversions: d i u o x X c s p n % e E f F g G a A, flags, width, precision,
 * lengths hh h l ll j z t. There is no long double. */
int printf(const char *restrict format, ...) __attribute__((format(printf, 1, 2)));
int fprintf(FILE *restrict file, const char *restrict format, ...)
    __attribute__((format(printf, 2, 3)));
int sprintf(char *restrict to, const char *restrict format, ...)
    __attribute__((format(printf, 2, 3)));
int snprintf(char *restrict to, size_t n, const char *restrict format, ...)
    __attribute__((format(printf, 3, 4)));
int vprintf(const char *restrict format, va_list args);
int vfprintf(FILE *restrict file, const char *restrict format, va_list args);
int vsprintf(char *restrict to, const char *restrict format, va_list args);
int vsnprintf(char *restrict to, size_t n, const char *restrict format, va_list args);

int puts(const char *s);
int putchar(int c);
int putc(int c, FILE *file);
int fputc(int c, FILE *file);
int fputs(const char *restrict s, FILE *restrict file);
size_t fwrite(const void *restrict from, size_t size, size_t count, FILE *restrict file);
int fflush(FILE *file);
int ferror(FILE *file);
void clearerr(FILE *file);
void perror(const char *s);

/* There are no files: opening fails, reading finds the end. */
FILE *fopen(const char *restrict name, const char *restrict mode);
FILE *freopen(const char *restrict name, const char *restrict mode, FILE *restrict file);
FILE *tmpfile(void);
int fclose(FILE *file);
int feof(FILE *file);
int getc(FILE *file);
int fgetc(FILE *file);
int getchar(void);
int ungetc(int c, FILE *file);
char *fgets(char *restrict to, int n, FILE *restrict file);
size_t fread(void *restrict to, size_t size, size_t count, FILE *restrict file);
int fseek(FILE *file, long offset, int whence);
long ftell(FILE *file);
void rewind(FILE *file);
int setvbuf(FILE *restrict file, char *restrict buffer, int mode, size_t n);
void setbuf(FILE *restrict file, char *restrict buffer);
int remove(const char *name);
int rename(const char *from, const char *to);
char *tmpnam(char *name);

#endif

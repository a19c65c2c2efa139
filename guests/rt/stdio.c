/* Output through `ecalli -1`, and the functions of <stdio.h> that have nothing
 * to work on in a guest. Formatting is in format.c. */
#include <stdint.h>
#include "errno.h"
#include "pvm2.h"
#include "stdio.h"
#include "stdlib.h"
#include "string.h"

#undef stdin
#undef stdout
#undef stderr

/* A program may bring its own. */
#pragma weak puts
#pragma weak putchar

struct pvm_file {
    int output, failed, ended;
};

static FILE files[3] = {{0, 0, 0}, {1, 0, 0}, {1, 0, 0}};
FILE *const stdin = &files[0], *const stdout = &files[1], *const stderr = &files[2];

static char buffer[BUFSIZ];
static size_t filled;
static void (*next_hook)(void);
static int hooked;

static void flush(size_t n)
{
    pvm_write(buffer, n);
    memmove(buffer, buffer + n, filled - n);
    filled -= n;
}

static void finish(void)
{
    if (filled)
        flush(filled);
    if (next_hook)
        next_hook();
}

size_t fwrite(const void *restrict from, size_t size, size_t count, FILE *restrict file)
{
    size_t n, done = 0;
    if (!file->output || __builtin_mul_overflow(size, count, &n)) {
        file->failed = 1;
        return 0;
    }
    if (!hooked) {
        hooked = 1;
        next_hook = __pvm_at_exit;
        __pvm_at_exit = finish;
    }
    while (done < n) {
        size_t room = sizeof buffer - filled, part = n - done < room ? n - done : room;
        memcpy(buffer + filled, (const char *)from + done, part);
        const char *line = memrchr(buffer + filled, '\n', part);
        filled += part;
        done += part;
        if (filled == sizeof buffer)
            flush(filled);
        else if (line)
            flush((size_t)(line + 1 - buffer));
    }
    return count;
}

int fflush(FILE *file)
{
    (void)file;
    if (filled)
        flush(filled);
    return 0;
}

int fputs(const char *restrict s, FILE *restrict file)
{
    size_t n = strlen(s);
    return fwrite(s, 1, n, file) == n ? 0 : EOF;
}

int fputc(int c, FILE *file)
{
    unsigned char byte = (unsigned char)c;
    return fwrite(&byte, 1, 1, file) == 1 ? byte : EOF;
}

int putc(int c, FILE *file) { return fputc(c, file); }
int putchar(int c) { return fputc(c, stdout); }
int puts(const char *s) { return fputs(s, stdout) || putchar('\n') == EOF ? EOF : 0; }

void perror(const char *s)
{
    fprintf(stderr, "%s: %s\n", s, strerror(errno));
}

_Noreturn void __pvm_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    fflush(stderr);
    abort();
}

/* no files */

static FILE *refuse(void)
{
    errno = ENOENT;
    return NULL;
}

static int end(FILE *file)
{
    if (file->output)
        file->failed = 1;
    else
        file->ended = 1;
    return EOF;
}

FILE *tmpfile(void) { return refuse(); }
int fclose(FILE *file) { return fflush(file); }
int ferror(FILE *file) { return file->failed; }
int feof(FILE *file) { return file->ended; }
int fgetc(FILE *file) { return end(file); }
int getc(FILE *file) { return end(file); }
int getchar(void) { return end(stdin); }
void setbuf(FILE *restrict file, char *restrict to) { (void)file, (void)to; }

FILE *fopen(const char *restrict name, const char *restrict mode)
{
    (void)name, (void)mode;
    return refuse();
}

FILE *freopen(const char *restrict name, const char *restrict mode, FILE *restrict file)
{
    (void)name, (void)mode, (void)file;
    return refuse();
}

void clearerr(FILE *file)
{
    file->failed = file->ended = 0;
}

int ungetc(int c, FILE *file)
{
    (void)c, (void)file;
    return EOF;
}

char *fgets(char *restrict to, int n, FILE *restrict file)
{
    (void)to, (void)n;
    end(file);
    return NULL;
}

size_t fread(void *restrict to, size_t size, size_t count, FILE *restrict file)
{
    (void)to, (void)size, (void)count;
    end(file);
    return 0;
}

int fseek(FILE *file, long offset, int whence)
{
    (void)file, (void)offset, (void)whence;
    errno = EBADF;
    return -1;
}

long ftell(FILE *file)
{
    (void)file;
    errno = EBADF;
    return -1;
}

void rewind(FILE *file)
{
    clearerr(file);
}

int setvbuf(FILE *restrict file, char *restrict to, int mode, size_t n)
{
    (void)file, (void)to, (void)mode, (void)n;
    return 0;
}

int remove(const char *name)
{
    (void)name;
    errno = ENOENT;
    return -1;
}

int rename(const char *from, const char *to)
{
    (void)from, (void)to;
    errno = ENOENT;
    return -1;
}

char *tmpnam(char *name)
{
    (void)name;
    return NULL;
}

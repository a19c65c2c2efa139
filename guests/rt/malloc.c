/* malloc over [__heap_start, __heap_end): good fit in constant time.
 *
 *   block:  | size of the block before | own size + FREE | payload ... |
 *            8 bytes                    8 bytes           multiple of 16
 *
 * Free blocks are in lists by size, four lists for each power of two, and a
 * bitmap tells which lists hold something. Neighbours that are free are joined
 * at once. The memory beyond the highest block ever used is never touched. */
#include <stddef.h>
#include <stdint.h>
#include "errno.h"
#include "pvm2.h"
#include "stdlib.h"
#include "string.h"

/* A program may bring its own. */
#pragma weak malloc
#pragma weak calloc
#pragma weak realloc
#pragma weak aligned_alloc
#pragma weak free

#define FREE 1
#define HEADER 16
#define LISTS 128

typedef struct block {
    uint64_t before;
    uint64_t size;
    /* Only while the block is free. */
    struct block *next, *previous;
} block;

static block *lists[LISTS];
static uint64_t bitmap[LISTS / 64];
static block *last;

static inline uint64_t size_of(const block *b)
{
    return b->size & ~(uint64_t)FREE;
}

static inline block *after(block *b)
{
    return (block *)((char *)b + size_of(b));
}

/* The list of blocks of this size, at least 32: each begins at 2^k * (4..7) / 4. */
static unsigned list_of(uint64_t size)
{
    unsigned k = 63 - (unsigned)__builtin_clzll(size);
    unsigned list = (k - 5) * 4 + ((unsigned)(size >> (k - 2)) & 3);
    return list < LISTS ? list : LISTS - 1;
}

static void insert(block *b)
{
    unsigned list = list_of(b->size);
    b->size |= FREE;
    b->previous = NULL;
    b->next = lists[list];
    if (b->next)
        b->next->previous = b;
    lists[list] = b;
    bitmap[list / 64] |= UINT64_C(1) << list % 64;
}

static void take(block *b)
{
    b->size &= ~(uint64_t)FREE;
    unsigned list = list_of(b->size);
    if (b->next)
        b->next->previous = b->previous;
    if (b->previous)
        b->previous->next = b->next;
    else if (!(lists[list] = b->next))
        bitmap[list / 64] &= ~(UINT64_C(1) << list % 64);
}

/* A free block of at least this size, out of its list. */
static block *find(uint64_t size)
{
    /* Blocks of the first list may be too small; those of the others fit. */
    unsigned list = list_of(size);
    int tries = 16;
    for (block *b = lists[list]; b && tries; b = b->next, tries--)
        if (size_of(b) >= size) {
            take(b);
            return b;
        }
    for (list++; list < LISTS; list = (list | 63) + 1) {
        uint64_t found = bitmap[list / 64] & ~UINT64_C(0) << list % 64;
        if (found) {
            block *b = lists[(list & ~63u) + (unsigned)__builtin_ctzll(found)];
            take(b);
            return b;
        }
    }
    /* New memory behind the last block. */
    char *at = last ? (char *)after(last) : __heap_start;
    if (size > (uint64_t)(__heap_end - at))
        return NULL;
    block *b = (block *)at;
    b->before = last ? size_of(last) : 0;
    b->size = size;
    last = b;
    return b;
}

/* Gives what a block has beyond this size back. */
static void trim(block *b, uint64_t size)
{
    uint64_t rest = size_of(b) - size;
    if (rest < 32)
        return;
    block *r = (block *)((char *)b + size);
    b->size = size;
    r->before = size;
    r->size = rest;
    if (last == b)
        last = r;
    else
        after(r)->before = rest;
    free((char *)r + HEADER);
}

static uint64_t block_size(size_t n)
{
    return n < 16 ? 32 : (n + HEADER + 15) & ~(uint64_t)15;
}

void *malloc(size_t n)
{
    block *b = (uint64_t)n >> 40 ? NULL : find(block_size(n));
    if (!b) {
        errno = ENOMEM;
        return NULL;
    }
    trim(b, block_size(n));
    return (char *)b + HEADER;
}

void free(void *p)
{
    if (!p)
        return;
    block *b = (block *)((char *)p - HEADER);
    if (b != last) {
        block *n = after(b);
        if (n->size & FREE) {
            take(n);
            b->size += n->size;
            if (last == n)
                last = b;
            else
                after(b)->before = b->size;
        }
    }
    if (b->before) {
        block *before = (block *)((char *)b - b->before);
        if (before->size & FREE) {
            take(before);
            before->size += b->size;
            if (last == b)
                last = before;
            else
                after(before)->before = before->size;
            b = before;
        }
    }
    if (b == last && b->before) {
        last = (block *)((char *)b - b->before);
    } else if (b == last) {
        last = NULL;
    } else {
        insert(b);
    }
}

void *calloc(size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        errno = ENOMEM;
        return NULL;
    }
    void *p = malloc(n);
    return p ? memset(p, 0, n) : NULL;
}

void *realloc(void *p, size_t n)
{
    if (!p)
        return malloc(n);
    if (n == 0) {
        free(p);
        return NULL;
    }
    block *b = (block *)((char *)p - HEADER);
    uint64_t size = block_size(n);
    if (!((uint64_t)n >> 40) && size > size_of(b)) {
        if (b == last && size <= (uint64_t)(__heap_end - (char *)b)) {
            b->size = size;
        } else if (b != last && after(b)->size & FREE && size_of(b) + size_of(after(b)) >= size) {
            block *r = after(b);
            take(r);
            b->size += r->size;
            if (last == r)
                last = b;
            else
                after(b)->before = b->size;
        }
    }
    if (!((uint64_t)n >> 40) && size <= size_of(b)) {
        trim(b, size);
        return p;
    }
    void *moved = malloc(n);
    if (moved) {
        memcpy(moved, p, size_of(b) - HEADER);
        free(p);
    }
    return moved;
}

void *aligned_alloc(size_t alignment, size_t n)
{
    if (alignment <= 16)
        return malloc(n);
    char *p = (uint64_t)n >> 40 ? NULL : malloc(n + alignment + 32);
    if (!p)
        return NULL;
    uintptr_t gap = -(uintptr_t)p & (alignment - 1);
    if (gap == 0)
        return p;
    if (gap < 32)
        gap += alignment;
    /* Split the front off and free it. */
    block *front = (block *)(p - HEADER), *b = (block *)(p - HEADER + gap);
    b->before = gap;
    b->size = size_of(front) - gap;
    front->size = gap;
    if (last == front)
        last = b;
    else
        after(b)->before = b->size;
    free(p);
    return p + gap;
}

int posix_memalign(void **result, size_t alignment, size_t n)
{
    void *p = aligned_alloc(alignment, n);
    if (!p)
        return ENOMEM;
    *result = p;
    return 0;
}

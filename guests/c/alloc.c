/* malloc, realloc, free, qsort and strings: a hash map from words to counts
 * that grows and shrinks, N operations (default 300), then sorted. */
#include <stdio.h>
#include <stdlib.h>
#include "guest.h"

typedef struct entry {
    struct entry *next;
    uint64_t count;
    char *word;
} entry;

static entry **buckets;
static size_t size, used;

static uint64_t hash(const char *s)
{
    uint64_t h = 14695981039346656037u;
    while (*s)
        h = (h ^ (unsigned char)*s++) * 1099511628211u;
    return h;
}

static void grow(void)
{
    size_t wider = size ? 2 * size : 8;
    entry **moved = calloc(wider, sizeof *moved);
    for (size_t i = 0; i < size; i++)
        for (entry *e = buckets[i], *next; e; e = next) {
            next = e->next;
            entry **slot = &moved[hash(e->word) % wider];
            e->next = *slot;
            *slot = e;
        }
    free(buckets);
    buckets = moved;
    size = wider;
}

static entry **find(const char *word)
{
    entry **slot = &buckets[hash(word) % size];
    while (*slot && strcmp((*slot)->word, word) != 0)
        slot = &(*slot)->next;
    return slot;
}

static int by_word(const void *a, const void *b)
{
    return strcmp((*(entry *const *)a)->word, (*(entry *const *)b)->word);
}

GUEST_MAIN(n)
{
    uint64_t state = 77, sum = 0;
    if (n == 0)
        n = 300;
    grow();
    for (uint64_t i = 0; i < n; i++) {
        uint64_t r = guest_random(&state);
        char word[40];
        snprintf(word, sizeof word, "%s-%u", r >> 63 ? "key" : "another word", (unsigned)((r >> 20) % 200));
        entry **slot = find(word);
        if (r % 5 == 0 && *slot) {
            entry *gone = *slot;
            *slot = gone->next;
            sum = guest_mix(sum, gone->count);
            free(gone->word);
            free(gone);
            used--;
        } else if (*slot) {
            entry *e = *slot;
            size_t length = strlen(e->word);
            e->count++;
            e->word = realloc(e->word, length + 1 + e->count % 64);
        } else {
            entry *e = malloc(sizeof *e);
            e->word = malloc(strlen(word) + 1);
            strcpy(e->word, word);
            e->count = 1;
            e->next = NULL;
            *slot = e;
            if (++used > size)
                grow();
        }
    }
    entry **all = malloc(used * sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        for (entry *e = buckets[i]; e; e = e->next)
            all[count++] = e;
    qsort(all, count, sizeof *all, by_word);
    for (size_t i = 0; i < count; i++)
        sum = guest_mix(sum, hash(all[i]->word) + all[i]->count);
    for (size_t i = 0; i < count; i++) {
        free(all[i]->word);
        free(all[i]);
    }
    free(all);
    free(buckets);
    buckets = NULL;
    size = used = 0;
    return sum;
}

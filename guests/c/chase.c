/* Linked list through 64 Ki nodes in random order: N steps (default 5000),
 * each waiting for the load before it. */
#include "guest.h"

#define NODES 65536

typedef struct node {
    struct node *next;
    uint64_t value;
} node;

static node nodes[NODES];

GUEST_MAIN(n)
{
    uint64_t state = 7;
    size_t count = n && n < NODES ? (size_t)n : n ? NODES : 1024;
    if (n == 0)
        n = 5000;
    for (size_t i = 0; i < count; i++) {
        nodes[i].next = &nodes[i];
        nodes[i].value = guest_random(&state);
    }
    /* One cycle through all of them (Sattolo). */
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = guest_random(&state) % i;
        node *t = nodes[i].next;
        nodes[i].next = nodes[j].next;
        nodes[j].next = t;
    }
    uint64_t sum = 0;
    const node *at = nodes;
    for (uint64_t step = 0; step < n; step++) {
        sum = sum * 3 + at->value;
        at = at->next;
    }
    return sum;
}

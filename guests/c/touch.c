/* First writes: one word in each of N pages (default 20, at most 512) in a
 * scattered order, then a read of all of them. */
#include "guest.h"

#define PAGES 512
#define WORDS 512

static uint64_t memory[PAGES][WORDS];

GUEST_MAIN(n)
{
    if (n == 0 || n > PAGES)
        n = n ? PAGES : 20;
    for (uint64_t i = 0; i < n; i++)
        memory[i * 641 % PAGES][i * 97 % WORDS] = i + 1;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < PAGES; i++)
        for (uint64_t j = 0; j < WORDS; j += 97)
            sum = sum * 7 + memory[i][j];
    for (uint64_t i = 0; i < n; i++) {
        sum = guest_mix(sum, memory[i * 641 % PAGES][i * 97 % WORDS]);
        memory[i * 641 % PAGES][i * 97 % WORDS] = 0;
    }
    return sum;
}

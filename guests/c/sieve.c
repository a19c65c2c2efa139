/* Sieve of Eratosthenes over odd numbers below N (default 20000). */
#include "guest.h"

#define LIMIT 4000000

static uint8_t composite[LIMIT / 2];

GUEST_MAIN(n)
{
    if (n == 0 || n > LIMIT)
        n = n ? LIMIT : 20000;
    uint64_t half = n / 2, count = n > 2, sum = 2 * count;
    for (uint64_t i = 1; i < half; i++) {
        if (composite[i])
            continue;
        uint64_t p = 2 * i + 1;
        count++;
        sum += p;
        for (uint64_t j = p * p / 2; j < half; j += p)
            composite[j] = 1;
    }
    return guest_mix(count, sum);
}

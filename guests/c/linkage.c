/* What a linker meets beside plain calls: weak symbols that are and are not
 * defined (through the .got), constructors, tail calls, addresses inside
 * objects, functions compared by address. N (default 5) is mixed in. */
#include "guest.h"

__attribute__((weak)) extern uint64_t missing_function(uint64_t);
__attribute__((weak)) extern uint64_t missing_word;
__attribute__((weak)) NOINLINE uint64_t weak_function(uint64_t x) { return x * 3 + 1; }
uint64_t strong_word = 17;

static uint64_t log_[4], logged;

__attribute__((constructor)) static void first(void) { log_[logged++ & 3] = 0x11; }
__attribute__((constructor)) static void second(void) { log_[logged++ & 3] = 0x22; }

static uint64_t odd(uint64_t n);
NOINLINE static uint64_t even(uint64_t n) { return n == 0 ? 2 : odd(n - 1); }
NOINLINE static uint64_t odd(uint64_t n) { return n == 0 ? 3 : even(n - 1); }

static uint64_t grid[8][8];
static uint64_t *const corner = &grid[7][6];
static uint64_t *moving[2] = {&grid[1][1], &grid[2][5]};

typedef uint64_t (*function)(uint64_t);
static function const table[] = {even, odd, weak_function, missing_function};

GUEST_MAIN(n)
{
    if (n == 0)
        n = 5;
    uint64_t sum = guest_mix(logged, log_[0] | log_[1] << 8);
    sum = guest_mix(sum, missing_function ? missing_function(n) : 1);
    sum = guest_mix(sum, &missing_word ? missing_word : 2);
    sum = guest_mix(sum, weak_function(n) + strong_word);
    *corner = n;
    *moving[0] = 3 * n;
    moving[1][1] = 5;
    sum = guest_mix(sum, grid[7][6] + grid[1][1] + grid[2][6]);
    for (uint64_t i = 0; i < 4; i++) {
        function f = table[(i + n) % 4];
        sum = guest_mix(sum, f ? f(n + i) : 7);
        sum = guest_mix(sum, (uint64_t)(f == odd) + 2 * (uint64_t)(f == table[i]));
    }
    return sum;
}

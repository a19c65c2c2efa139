/* All ways to put N queens on an N x N board (default 6), by recursion. */
#include "guest.h"

NOINLINE static uint64_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    if (columns == all)
        return 1;
    uint64_t found = 0;
    for (uint32_t free = all & ~(columns | left | right); free;) {
        uint32_t bit = free & (0 - free);
        free ^= bit;
        found += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

GUEST_MAIN(n)
{
    return place((1u << (n && n < 32 ? n : 6)) - 1, 0, 0, 0);
}

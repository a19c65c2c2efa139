/* Works for a while, then stores to page 0x20000 + N, where nothing is mapped:
 * the run ends as a page fault that names this page. */
#include "guest.h"

GUEST_MAIN(n)
{
    uint64_t state = 1;
    for (int i = 0; i < 100; i++)
        guest_random(&state);
    uintptr_t address = 0x20000000 + (uintptr_t)(n << 12) + (state & 0xff8);
    *(volatile uint64_t *)address = state;
    return state;
}

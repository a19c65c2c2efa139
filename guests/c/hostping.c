/* N host calls (default 10), a few instructions apart. */
#include "guest.h"

GUEST_MAIN(n)
{
    uint64_t sum = 1;
    if (n == 0)
        n = 10;
    for (uint64_t i = 0; i < n; i++) {
        guest_ping();
        sum = sum * 5 + i;
    }
    return sum;
}

/* Division by zero and its overflowing cousin, -2^63 / -1: the machine defines
 * all of them, C does not, so the instructions are written out. Natively the
 * rules of RISC-V are computed by hand. N (default 3) picks the operands. */
#include "guest.h"

#ifdef __riscv
#define DIVISION(NAME)                                                            \
    NOINLINE static uint64_t NAME(uint64_t a, uint64_t b)                         \
    {                                                                             \
        uint64_t r;                                                               \
        __asm__ volatile(#NAME " %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));         \
        return r;                                                                 \
    }
DIVISION(div)
DIVISION(divu)
DIVISION(rem)
DIVISION(remu)
DIVISION(divw)
DIVISION(divuw)
DIVISION(remw)
DIVISION(remuw)
#else
static uint64_t sign32(uint64_t x) { return (uint64_t)(int64_t)(int32_t)(uint32_t)x; }
static uint64_t low32(uint64_t x) { return (uint32_t)x; }
static uint64_t divu(uint64_t a, uint64_t b) { return b ? a / b : UINT64_MAX; }
static uint64_t remu(uint64_t a, uint64_t b) { return b ? a % b : a; }
static uint64_t size(uint64_t a) { return a >> 63 ? 0 - a : a; }
static uint64_t div(uint64_t a, uint64_t b)
{
    uint64_t q = size(b) ? size(a) / size(b) : 0;
    return !b ? UINT64_MAX : (a ^ b) >> 63 ? 0 - q : q;
}
static uint64_t rem(uint64_t a, uint64_t b)
{
    uint64_t r = size(b) ? size(a) % size(b) : 0;
    return !b ? a : a >> 63 ? 0 - r : r;
}
static uint64_t divw(uint64_t a, uint64_t b) { return sign32(div(sign32(a), sign32(b))); }
static uint64_t remw(uint64_t a, uint64_t b) { return sign32(rem(sign32(a), sign32(b))); }
static uint64_t divuw(uint64_t a, uint64_t b) { return sign32(divu(low32(a), low32(b))); }
static uint64_t remuw(uint64_t a, uint64_t b) { return sign32(remu(low32(a), low32(b))); }
#endif

GUEST_MAIN(n)
{
    const uint64_t edge[] = {0,          1,          UINT64_MAX, UINT64_C(1) << 63, 7,
                             0x80000000, 0xffffffff, 0x100000000, 0 - UINT64_C(7),   n ? n : 3};
    const size_t edges = sizeof edge / sizeof *edge;
    uint64_t sum = 0;
    for (size_t i = 0; i < edges; i++)
        for (size_t j = 0; j < edges; j++) {
            uint64_t a = edge[i], b = edge[j];
            sum = guest_mix(sum, div(a, b));
            sum = guest_mix(sum, divu(a, b));
            sum = guest_mix(sum, rem(a, b));
            sum = guest_mix(sum, remu(a, b));
            sum = guest_mix(sum, divw(a, b));
            sum = guest_mix(sum, divuw(a, b));
            sum = guest_mix(sum, remw(a, b));
            sum = guest_mix(sum, remuw(a, b));
        }
    return sum;
}

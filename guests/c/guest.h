/* One source, two builds. Compiled for PVM2, GUEST_MAIN is main; compiled for
 * the machine at hand it is guest_main, which native.c or a benchmark calls. */
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __riscv
#include "pvm2.h"
#define GUEST_MAIN(N) uint64_t main(uint64_t N)
#define guest_write(BYTES, LEN) pvm_write(BYTES, LEN)
/* A host call that changes nothing the program looks at. */
#define guest_ping() ((void)pvm_gas_left())
#else
#define GUEST_MAIN(N) uint64_t guest_main(uint64_t N)
uint64_t guest_main(uint64_t n);
void guest_write(const void *bytes, size_t len);
void guest_ping(void);
#endif

#define NOINLINE __attribute__((noinline))

/* xorshift64*: the source of data in every guest. */
static inline uint64_t guest_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* Folds a value into a checksum. */
static inline uint64_t guest_mix(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 29;
}

#endif

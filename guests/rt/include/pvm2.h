/* The custom instructions of PVM2 and the calls of the bare personality. */
#ifndef PVM2_H
#define PVM2_H

#include <stddef.h>
#include <stdint.h>

#define PVM2 1

/* `trap`: ends the run with exit Trap. */
static inline _Noreturn void pvm_trap(void)
{
    __asm__ volatile(".insn i 0x0b, 0, x0, x0, 0" ::: "memory");
    __builtin_unreachable();
}

/* `fallthrough`: does nothing, ends the block. */
static inline void pvm_fallthrough(void)
{
    __asm__ volatile(".insn i 0x0b, 4, x0, x0, 0");
}

/* `ecalli SEL` with two operands in a0 and a1; the value is a0 afterwards.
 * SEL is a constant from -2048 to 2047. A host may read and change any register
 * and all of the memory. */
#define pvm_ecalli(SEL, A0, A1)                                                \
    (__extension__({                                                           \
        register uint64_t pvm_a0 __asm__("a0") = (uint64_t)(A0);               \
        register uint64_t pvm_a1 __asm__("a1") = (uint64_t)(A1);               \
        __asm__ volatile(".insn i 0x0b, 2, x0, x0, %2"                         \
                         : "+r"(pvm_a0), "+r"(pvm_a1)                          \
                         : "i"(SEL)                                            \
                         : "memory");                                          \
        pvm_a0;                                                                \
    }))

/* Results of `ecall.jar`. */
typedef struct {
    uint64_t value;  /* a0 */
    uint64_t status; /* a1 */
} pvm_result;

/* `ecall.jar`: kernel operation OP (in a4) with its operands in a0..a3 and a5. */
static inline pvm_result pvm_ecall(uint64_t op, uint64_t x0, uint64_t x1,
                                   uint64_t x2, uint64_t x3, uint64_t x5)
{
    register uint64_t a0 __asm__("a0") = x0;
    register uint64_t a1 __asm__("a1") = x1;
    register uint64_t a2 __asm__("a2") = x2;
    register uint64_t a3 __asm__("a3") = x3;
    register uint64_t a4 __asm__("a4") = op;
    register uint64_t a5 __asm__("a5") = x5;
    __asm__ volatile(".insn i 0x0b, 1, x0, x0, 0"
                     : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(a4), "+r"(a5)
                     :
                     : "memory");
    return (pvm_result){a0, a1};
}

/* Bare personality: ends the run at once with exit Halt and VALUE in a0.
 * Buffered output is not flushed; exit() does that. */
static inline _Noreturn void pvm_halt(uint64_t value)
{
    register uint64_t a0 __asm__("a0") = value;
    __asm__ volatile(".insn i 0x0b, 2, x0, x0, 0" : : "r"(a0) : "memory");
    __builtin_unreachable();
}

/* Bare personality: writes LEN bytes to the standard output of the host,
 * all or, if a byte cannot be read or LEN exceeds 16 MiB, none. */
static inline void pvm_write(const void *bytes, size_t len)
{
    register uint64_t a0 __asm__("a0") = (uint64_t)bytes;
    register uint64_t a1 __asm__("a1") = len;
    __asm__ volatile(".insn i 0x0b, 2, x0, x0, -1" : : "r"(a0), "r"(a1) : "memory");
}

/* Bare personality: the gas left after the price of this call. */
static inline uint64_t pvm_gas_left(void)
{
    register uint64_t a0 __asm__("a0");
    __asm__ volatile(".insn i 0x0b, 2, x0, x0, -2" : "=r"(a0) : : "memory");
    return a0;
}

/* Runs the exit hook, then halts with VALUE. main returns into it. */
_Noreturn void __pvm_exit(uint64_t value);

/* Called once by __pvm_exit if not null. */
extern void (*__pvm_at_exit)(void);

/* The zeroed memory that malloc hands out, and the stack. */
extern char __heap_start[], __heap_end[], __stack_bottom[], __stack_top[];

#endif

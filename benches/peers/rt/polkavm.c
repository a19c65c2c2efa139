/* A guest as a PolkaVM program: exports guest_main, imports the two calls. The records are what
 * polkavm-linker reads. */
#include <stddef.h>
#include <stdint.h>

struct name {
    uint8_t version;
    uint32_t flags;
    uint32_t length;
    const char *symbol;
    uint8_t inputs, outputs;
} __attribute__((packed));

#define NAME(SYMBOL, INPUTS, OUTPUTS)                                                     \
    static const char SYMBOL##_text[] = #SYMBOL;                                          \
    const struct name SYMBOL##_name __attribute__((section(".polkavm_metadata"), used)) = \
        {1, 0, sizeof #SYMBOL - 1, SYMBOL##_text, INPUTS, OUTPUTS}

#define IMPORT(SYMBOL)                         \
    __asm__(".section .text." #SYMBOL "\n"     \
            ".globl " #SYMBOL "\n"             \
            ".type " #SYMBOL ", @function\n"   \
            #SYMBOL ":\n"                      \
            ".insn r 0x0b, 0, 0, x0, x0, x0\n" \
            ".8byte " #SYMBOL "_name\n"        \
            "ret\n"                            \
            ".size " #SYMBOL ", . - " #SYMBOL)

NAME(guest_main, 1, 1);
NAME(guest_write, 2, 0);
NAME(guest_ping, 0, 0);
IMPORT(guest_write);
IMPORT(guest_ping);

uint64_t guest_main(uint64_t n);

struct export {
    uint8_t version;
    const struct name *name;
    uint64_t (*code)(uint64_t);
} __attribute__((packed));

const struct export guest_main_export __attribute__((section(".polkavm_exports"), used, retain)) = {
    1, &guest_main_name, guest_main};

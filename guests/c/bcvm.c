/* A stack machine whose interpreter is one switch: counts the Collatz steps
 * of the numbers below N (default 60). The switch becomes a jump table. */
#include "guest.h"

enum op {
    PUSH, LOAD, STORE, ADD, MUL, HALF, ODD, LESS, EQUAL, JUMP, JUMP_IF, NOT, DUP, DROP, SWAP, XOR, STOP
};

/* Variables: 0 limit, 1 number, 2 current, 3 steps, 4 checksum. A step is
 * x / 2 for even x and (3 x + 1) / 2 for odd x. */
static const uint8_t PROGRAM[] = {
    PUSH, 1, STORE, 1,                                                       /*  0 */
    LOAD, 1, LOAD, 0, LESS, NOT, JUMP_IF, 70,                                /*  4 each number */
    LOAD, 1, STORE, 2,                                                       /* 12 */
    LOAD, 2, PUSH, 1, EQUAL, JUMP_IF, 48,                                    /* 16 each step */
    LOAD, 2, DUP, ODD, NOT, JUMP_IF, 36,                                     /* 23 */
    PUSH, 3, MUL, PUSH, 1, ADD,                                              /* 30 odd */
    HALF, LOAD, 3, PUSH, 1, ADD, STORE, 3, STORE, 2, JUMP, 16,               /* 36 even */
    LOAD, 4, PUSH, 3, MUL, LOAD, 3, SWAP, XOR, DUP, STORE, 4, DROP,          /* 48 number done */
    LOAD, 1, PUSH, 1, ADD, STORE, 1, JUMP, 4,                                /* 61 */
    LOAD, 4, STOP,                                                           /* 70 all done */
};

NOINLINE static uint64_t run(const uint8_t *code, uint64_t vars[8])
{
    uint64_t stack[16], *top = stack, a;
    for (size_t pc = 0;;) {
        switch ((enum op)code[pc++]) {
        case PUSH: *top++ = code[pc++]; break;
        case LOAD: *top++ = vars[code[pc++] & 7]; break;
        case STORE: vars[code[pc++] & 7] = *--top; break;
        case ADD: a = *--top; top[-1] += a; break;
        case MUL: a = *--top; top[-1] *= a; break;
        case HALF: top[-1] /= 2; break;
        case ODD: top[-1] &= 1; break;
        case LESS: a = *--top; top[-1] = top[-1] < a; break;
        case EQUAL: a = *--top; top[-1] = top[-1] == a; break;
        case JUMP: pc = code[pc]; break;
        case JUMP_IF: a = *--top; pc = a ? code[pc] : pc + 1; break;
        case NOT: top[-1] = !top[-1]; break;
        case DUP: a = top[-1]; *top++ = a; break;
        case DROP: top--; break;
        case SWAP: a = top[-1]; top[-1] = top[-2]; top[-2] = a; break;
        case XOR: a = *--top; top[-1] ^= a; break;
        case STOP: return top[-1];
        }
    }
}

GUEST_MAIN(n)
{
    uint64_t vars[8] = {n ? n : 60};
    return run(PROGRAM, vars);
}

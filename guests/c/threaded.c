/* A register machine dispatched by computed goto: the table of labels holds
 * code addresses, and every handler ends in an indirect jump. Runs N rounds
 * (default 200) of a small hash loop. */
#include "guest.h"

enum op { ADDI, ADD, XOR, SHL, SHR, MULI, DEC, LOOP, HALT };

typedef struct {
    uint8_t op, to, from;
    int8_t value;
} inst;

static const inst PROGRAM[] = {
    {ADDI, 1, 0, 37}, {XOR, 2, 1, 0}, {SHL, 3, 2, 13}, {XOR, 2, 3, 0}, {SHR, 3, 2, 7},
    {XOR, 2, 3, 0},   {SHL, 3, 2, 17}, {XOR, 2, 3, 0},  {MULI, 4, 2, 61}, {ADD, 5, 4, 0},
    {DEC, 6, 0, 0},   {LOOP, 6, 0, 0}, {HALT, 5, 0, 0},
};

GUEST_MAIN(n)
{
    __extension__ static const void *const handler[] = {&&addi, &&add,  &&xor_, &&shl, &&shr,
                                                        &&muli, &&dec, &&loop, &&halt};
    uint64_t reg[8] = {0, 1, 2, 3, 4, 5, n ? n : 200, 7};
    const inst *pc = PROGRAM;
#define NEXT __extension__({ goto *handler[pc->op]; })
    NEXT;
addi:
    reg[pc->to] += (uint64_t)(int64_t)pc->value;
    pc++;
    NEXT;
add:
    reg[pc->to] += reg[pc->from];
    pc++;
    NEXT;
xor_:
    reg[pc->to] ^= reg[pc->from];
    pc++;
    NEXT;
shl:
    reg[pc->to] = reg[pc->from] << pc->value;
    pc++;
    NEXT;
shr:
    reg[pc->to] = reg[pc->from] >> pc->value;
    pc++;
    NEXT;
muli:
    reg[pc->to] = reg[pc->from] * (uint64_t)pc->value;
    pc++;
    NEXT;
dec:
    reg[pc->to]--;
    pc++;
    NEXT;
loop:
    pc = reg[pc->to] ? PROGRAM : pc + 1;
    NEXT;
halt:
    return reg[pc->to];
}

#ifndef PVM2_SETJMP_H
#define PVM2_SETJMP_H

typedef unsigned long jmp_buf[4];

int setjmp(jmp_buf state) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf state, int value);
#define setjmp(STATE) setjmp(STATE)
#define _setjmp(STATE) setjmp(STATE)
#define _longjmp(STATE, VALUE) longjmp(STATE, VALUE)

#endif

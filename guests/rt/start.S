# Entry of a PVM2 guest. The host supplies sp and up to six arguments.
#
#   run the constructors of .init_array, arguments kept
#   a0 = main(a0, a1, a2, a3, a4, a5)
#   call *__pvm_at_exit if it is set (buffered output, atexit)
#   ecalli 0: halt with a0

        .section .text.start, "ax", @progbits
        .globl  _start
        .type   _start, @function
_start:
        lla     t0, __init_array_start
        lla     t1, __init_array_end
        beq     t0, t1, 2f
        addi    sp, sp, -64
        sd      a0, 0(sp)
        sd      a1, 8(sp)
        sd      a2, 16(sp)
        sd      a3, 24(sp)
        sd      a4, 32(sp)
        sd      a5, 40(sp)
        mv      s0, t0
        mv      s1, t1
1:
        ld      t0, 0(s0)
        addi    s0, s0, 8
        jalr    t0
        bne     s0, s1, 1b
        ld      a0, 0(sp)
        ld      a1, 8(sp)
        ld      a2, 16(sp)
        ld      a3, 24(sp)
        ld      a4, 32(sp)
        ld      a5, 40(sp)
        addi    sp, sp, 64
2:
        call    main
        .globl  __pvm_exit
        .type   __pvm_exit, @function
__pvm_exit:
        lla     t0, __pvm_at_exit
        ld      t0, 0(t0)
        beqz    t0, 3f
        mv      s0, a0
        jalr    t0
        mv      a0, s0
3:
        .insn i 0x0b, 2, x0, x0, 0
        .insn i 0x0b, 0, x0, x0, 0
        .size   _start, . - _start

        .section .bss.__pvm_at_exit, "aw", @nobits
        .globl  __pvm_at_exit
        .type   __pvm_at_exit, @object
        .balign 8
__pvm_at_exit:
        .zero   8
        .size   __pvm_at_exit, 8

# The linker script grows this to the size of the heap, if anything refers to it.
        .section .heap, "aw", @nobits
        .globl  __heap_start
        .type   __heap_start, @object
        .balign 4096
__heap_start:
        .zero   8

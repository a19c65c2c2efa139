/* The runtime's calls on machines that are not PVM2: the host's functions, a heap in .bss. */
#ifndef PVM2_H
#define PVM2_H

#include <stddef.h>
#include <stdint.h>

void guest_write(const void *bytes, size_t len);

#define pvm_write(BYTES, LEN) guest_write(BYTES, LEN)
#define pvm_halt(VALUE) __builtin_trap()
#define pvm_trap() __builtin_trap()
#define __pvm_exit(VALUE) __builtin_trap()

extern void (*__pvm_at_exit)(void);

#ifndef PVM_HEAP_SIZE
#define PVM_HEAP_SIZE (4 << 20)
#endif
extern char pvm_heap[PVM_HEAP_SIZE];
#define __heap_start pvm_heap
#define __heap_end (pvm_heap + PVM_HEAP_SIZE)

#endif

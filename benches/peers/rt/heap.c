/* What the runtime's malloc and exit need on machines that are not PVM2. */
#include "pvm2.h"

void (*__pvm_at_exit)(void);
_Alignas(16) char pvm_heap[PVM_HEAP_SIZE];

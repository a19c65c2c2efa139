/* Naive recursive Fibonacci numbers: calls and returns, nothing else. */
#include "guest.h"

NOINLINE static uint64_t fib(uint64_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

GUEST_MAIN(n)
{
    return fib(n ? n : 18);
}

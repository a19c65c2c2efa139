/* Runs a guest on the machine at hand: `GUEST [N]`. The guest's output goes to
 * standard output; how it ended goes to standard error, as `halt VALUE` or
 * `page-fault PAGE`. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "guest.h"

void guest_write(const void *bytes, size_t len)
{
    fwrite(bytes, 1, len, stdout);
}

void guest_ping(void)
{
}

static void fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    char line[64];
    int n = snprintf(line, sizeof line, "page-fault 0x%" PRIxPTR "\n",
                     (uintptr_t)info->si_addr >> 12);
    if (write(STDERR_FILENO, line, (size_t)n) != n)
        abort();
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    uint64_t value = guest_main(argc > 1 ? strtoull(argv[1], NULL, 0) : 0);
    fprintf(stderr, "halt 0x%" PRIx64 "\n", value);
    return 0;
}

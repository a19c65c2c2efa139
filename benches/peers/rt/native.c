/* A guest compiled for the machine at hand, behind the line protocol of `rivet bench`:
 *
 *   runner CPU
 *   -> ready
 *   <- run N
 *   -> ok VALUE START RUN
 *
 * Each run is a child process, so that it begins with clean memory as a fresh instance does;
 * START is the time of the fork. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t guest_main(uint64_t n);

void guest_write(const void *bytes, size_t len)
{
    (void)bytes, (void)len;
}

void guest_ping(void)
{
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct result {
    uint64_t value, start, run;
};

int main(int argc, char **argv)
{
    char line[64];
    struct result *result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (result == MAP_FAILED)
        return 1;
    setpriority(PRIO_PROCESS, 0, -10);
    if (argc > 1 && strcmp(argv[1], "-") != 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(strtoul(argv[1], NULL, 10), &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        uint64_t n = strtoull(line + 4, NULL, 10), before = now();
        pid_t child = fork();
        if (child == 0) {
            uint64_t begin = now();
            result->value = guest_main(n);
            result->run = now() - begin;
            result->start = begin - before;
            _exit(0);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            printf("error the native program ended with status %d\n", status);
        else
            printf("ok 0x%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", result->value, result->start,
                   result->run);
        fflush(stdout);
    }
    return 0;
}

#ifndef PVM2_TIME_H
#define PVM2_TIME_H

#include <stddef.h>

#define CLOCKS_PER_SEC 1000000L

typedef long time_t;
typedef long clock_t;

struct timespec {
    time_t tv_sec;
    long tv_nsec;
};

struct tm {
    int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst;
};

/* A guest has no clock: time and clock give 0, the calendar is UTC. */
time_t time(time_t *result);
clock_t clock(void);
double difftime(time_t end, time_t start);
struct tm *gmtime(const time_t *when);
struct tm *gmtime_r(const time_t *restrict when, struct tm *restrict result);
struct tm *localtime(const time_t *when);
struct tm *localtime_r(const time_t *restrict when, struct tm *restrict result);
time_t mktime(struct tm *date);
size_t strftime(char *restrict to, size_t n, const char *restrict format,
                const struct tm *restrict date);

#endif

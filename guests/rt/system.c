/* <time.h>, <locale.h> and <signal.h> for a machine without clock, locales or
 * signals. Calendar arithmetic is real, in UTC. */
#include <stddef.h>
#include "locale.h"
#include "signal.h"
#include "stdio.h"
#include "stdlib.h"
#include "string.h"
#include "time.h"

char *setlocale(int category, const char *name)
{
    (void)category;
    return !name || !*name || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0 ? "C" : NULL;
}

struct lconv *localeconv(void)
{
    static struct lconv conventions = {".", "", ""};
    return &conventions;
}

void (*signal(int number, void (*handler)(int)))(int)
{
    (void)number, (void)handler;
    return SIG_DFL;
}

int raise(int number)
{
    (void)number;
    abort();
}

time_t time(time_t *result)
{
    if (result)
        *result = 0;
    return 0;
}

clock_t clock(void)
{
    return 0;
}

double difftime(time_t end, time_t start)
{
    return (double)(end - start);
}

static long floor_div(long n, long d)
{
    return n / d - (n % d < 0);
}

/* Days from 1970-01-01 to the first of a month; months count from January of
 * year 0, and a year begins in March so that the leap day is its last. */
static long days_before(long months)
{
    months -= 2;
    long year = floor_div(months, 12), month = months - 12 * year;
    return 365 * year + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400) +
           (153 * month + 2) / 5 - 719468;
}

struct tm *gmtime_r(const time_t *restrict when, struct tm *restrict result)
{
    long day = floor_div(*when, 86400), second = *when - 86400 * day;
    /* 400 years have 146097 days: a guess that is off by two months at most. */
    long month = 1970 * 12 + floor_div(day * 4800, 146097);
    while (days_before(month + 1) <= day)
        month++;
    while (days_before(month) > day)
        month--;
    long year = floor_div(month, 12);
    result->tm_sec = (int)(second % 60);
    result->tm_min = (int)(second / 60 % 60);
    result->tm_hour = (int)(second / 3600);
    result->tm_mday = (int)(day - days_before(month) + 1);
    result->tm_mon = (int)(month - 12 * year);
    result->tm_year = (int)(year - 1900);
    result->tm_wday = (int)(day + 4 - 7 * floor_div(day + 4, 7));
    result->tm_yday = (int)(day - days_before(12 * year));
    result->tm_isdst = 0;
    return result;
}

struct tm *gmtime(const time_t *when)
{
    static struct tm result;
    return gmtime_r(when, &result);
}

struct tm *localtime(const time_t *when)
{
    return gmtime(when);
}

struct tm *localtime_r(const time_t *restrict when, struct tm *restrict result)
{
    return gmtime_r(when, result);
}

time_t mktime(struct tm *date)
{
    time_t when = (days_before((date->tm_year + 1900L) * 12 + date->tm_mon) + date->tm_mday - 1) * 86400 +
                  date->tm_hour * 3600L + date->tm_min * 60L + date->tm_sec;
    gmtime_r(&when, date);
    return when;
}

static const char *const DAY[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                  "Thursday", "Friday", "Saturday"};
static const char *const MONTH[] = {"January",   "February", "March",    "April",
                                    "May",       "June",     "July",     "August",
                                    "September", "October",  "November", "December"};

size_t strftime(char *restrict to, size_t n, const char *restrict format,
                const struct tm *restrict date)
{
    size_t at = 0;
    for (; *format; format++) {
        char text[64] = {*format, 0};
        if (*format == '%' && format[1]) {
            const struct tm *d = date;
            switch (*++format) {
            case 'a': snprintf(text, sizeof text, "%.3s", DAY[d->tm_wday]); break;
            case 'A': snprintf(text, sizeof text, "%s", DAY[d->tm_wday]); break;
            case 'b': snprintf(text, sizeof text, "%.3s", MONTH[d->tm_mon]); break;
            case 'B': snprintf(text, sizeof text, "%s", MONTH[d->tm_mon]); break;
            case 'c': strftime(text, sizeof text, "%a %b %d %H:%M:%S %Y", d); break;
            case 'd': snprintf(text, sizeof text, "%02d", d->tm_mday); break;
            case 'D':
            case 'x': strftime(text, sizeof text, "%m/%d/%y", d); break;
            case 'F': strftime(text, sizeof text, "%Y-%m-%d", d); break;
            case 'H': snprintf(text, sizeof text, "%02d", d->tm_hour); break;
            case 'I': snprintf(text, sizeof text, "%02d", (d->tm_hour + 11) % 12 + 1); break;
            case 'j': snprintf(text, sizeof text, "%03d", d->tm_yday + 1); break;
            case 'm': snprintf(text, sizeof text, "%02d", d->tm_mon + 1); break;
            case 'M': snprintf(text, sizeof text, "%02d", d->tm_min); break;
            case 'p': strcpy(text, d->tm_hour < 12 ? "AM" : "PM"); break;
            case 'S': snprintf(text, sizeof text, "%02d", d->tm_sec); break;
            case 'T':
            case 'X': strftime(text, sizeof text, "%H:%M:%S", d); break;
            case 'w': snprintf(text, sizeof text, "%d", d->tm_wday); break;
            case 'y': snprintf(text, sizeof text, "%02d", d->tm_year % 100); break;
            case 'Y': snprintf(text, sizeof text, "%d", d->tm_year + 1900); break;
            case 'Z': strcpy(text, "UTC"); break;
            case 'z': strcpy(text, "+0000"); break;
            case 'n': strcpy(text, "\n"); break;
            case 't': strcpy(text, "\t"); break;
            default: text[0] = *format;
            }
        }
        size_t length = strlen(text);
        if (at + length >= n)
            return 0;
        memcpy(to + at, text, length);
        at += length;
    }
    if (at >= n)
        return 0;
    to[at] = 0;
    return at;
}

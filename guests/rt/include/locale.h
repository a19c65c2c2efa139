#ifndef PVM2_LOCALE_H
#define PVM2_LOCALE_H

#include <stddef.h>

#define LC_CTYPE 0
#define LC_NUMERIC 1
#define LC_TIME 2
#define LC_COLLATE 3
#define LC_MONETARY 4
#define LC_ALL 6

struct lconv {
    char *decimal_point, *thousands_sep, *grouping;
};

/* The only locale is "C": any other is refused with NULL. */
char *setlocale(int category, const char *name);
struct lconv *localeconv(void);

#endif

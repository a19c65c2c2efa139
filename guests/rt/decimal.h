/* Between decimal.c and its users inside the runtime. */
#ifndef PVM2_DECIMAL_H
#define PVM2_DECIMAL_H

#include <stdint.h>

/* No double has more significant decimal digits. */
#define PVM_DIGITS 772

/* All digits of the finite |x| = 0.d1d2d3... * 10^*point, without zeros at
 * either end; how many. Zero has none. */
int __pvm_decimal(double x, char *digits, int *point);

/* mantissa * 2^exponent rounded to nearest; ERANGE if it does not fit. */
double __pvm_round(uint64_t mantissa, int exponent);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_BENCH_QUANTILE_H
#define MIG_BENCH_QUANTILE_H
#include <stdlib.h>

static inline int quantile_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts; q 0.5 is the median, 0.99 the p99. */
static inline double quantile(double *values, size_t count, double q)
{
    qsort(values, count, sizeof *values, quantile_order);
    return values[(size_t)(q * (double)(count - 1) + 0.5)];
}

#endif

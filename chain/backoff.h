/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_BACKOFF_H
#define MIG_CHAIN_BACKOFF_H
/* How long to wait after failures: doubling, with a ceiling and jitter, so that
 * many clients of one endpoint do not come back at one moment. Pure. */
#include "include/mpc_migration.h"

struct mig_backoff {
    uint32_t initial_ms;
    uint32_t max_ms;
};

/* After the n-th failure in a row (from 1): between half of min(initial *
 * 2^(n-1), max) and all of it, by `random`. */
uint32_t mig_backoff_ms(const struct mig_backoff *backoff, uint32_t failures, uint32_t random);

#endif

/* SPDX-License-Identifier: MIT */
#include "chain/backoff.h"

uint32_t mig_backoff_ms(const struct mig_backoff *backoff, uint32_t failures, uint32_t random)
{
    uint64_t full = backoff->initial_ms;
    for (uint32_t i = 1; i < failures && full < backoff->max_ms; i++)
        full *= 2;
    if (full > backoff->max_ms)
        full = backoff->max_ms;
    uint64_t half = full / 2;
    return (uint32_t)(half + random % (full - half + 1));
}

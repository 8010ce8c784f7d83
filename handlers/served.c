/* SPDX-License-Identifier: MIT */
#include "handlers/served.h"

#include <string.h>

void mig_served_init(struct mig_served *served)
{
    memset(served, 0, sizeof *served);
    (void)pthread_mutex_init(&served->lock, NULL);
}

void mig_served_clear(struct mig_served *served)
{
    (void)pthread_mutex_destroy(&served->lock);
}

void mig_served_put(struct mig_served *served, const uint8_t hash[MIG_DIGEST_LEN])
{
    (void)pthread_mutex_lock(&served->lock);
    memcpy(served->hashes[served->count++ % MIG_SERVED_MAX], hash, MIG_DIGEST_LEN);
    (void)pthread_mutex_unlock(&served->lock);
}

bool mig_served_has(struct mig_served *served, const uint8_t hash[MIG_DIGEST_LEN])
{
    bool has = false;
    (void)pthread_mutex_lock(&served->lock);
    size_t n = served->count < MIG_SERVED_MAX ? served->count : MIG_SERVED_MAX;
    for (size_t i = 0; i < n && !has; i++)
        has = memcmp(served->hashes[i], hash, MIG_DIGEST_LEN) == 0;
    (void)pthread_mutex_unlock(&served->lock);
    return has;
}

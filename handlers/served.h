/* SPDX-License-Identifier: MIT */
#ifndef MIG_HANDLERS_SERVED_H
#define MIG_HANDLERS_SERVED_H
/*
 * The final contexts of the last backups that this process served, as hashes:
 * what makes a receipt `known`. Bounded; the oldest is forgotten first.
 */
#include <pthread.h>

#include "include/mpc_migration.h"

enum { MIG_SERVED_MAX = 64 };

struct mig_served {
    pthread_mutex_t lock; /* protects all below */
    size_t count;         /* of all time */
    uint8_t hashes[MIG_SERVED_MAX][MIG_DIGEST_LEN];
};

void mig_served_init(struct mig_served *served);
void mig_served_clear(struct mig_served *served);
void mig_served_put(struct mig_served *served, const uint8_t hash[MIG_DIGEST_LEN]);
bool mig_served_has(struct mig_served *served, const uint8_t hash[MIG_DIGEST_LEN]);

#endif

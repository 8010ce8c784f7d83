/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_RECEIPTS_H
#define MIG_SERVER_RECEIPTS_H
/*
 * What the backup service has acknowledged: the newest receipts, durable in one
 * record. A receipt says that a backup with this final context was stored and
 * read back. Not thread-safe.
 */
#include "include/mpc_migration.h"

enum { MIG_RECEIPTS_MAX = 64 }; /* older ones are forgotten: only the newest matter */

struct mig_backup_receipt {
    uint64_t epoch;
    uint64_t recorded_at;
    uint8_t keyset[MIG_DIGEST_LEN];
    uint8_t context_hash[MIG_DIGEST_LEN];
};

struct mig_receipts {
    size_t count;
    struct mig_backup_receipt list[MIG_RECEIPTS_MAX]; /* oldest first */
};

/* Empty when there is no record or it is damaged (MIG_ERR_MALFORMED). */
enum mig_err mig_receipts_load(struct mig_receipts *receipts, const char *folder) MIG_MUST_USE;
/* Adds and saves; the same receipt again changes nothing. On failure the
 * receipts are as before. */
enum mig_err mig_receipts_add(struct mig_receipts *receipts,
                              const struct mig_backup_receipt *receipt,
                              const char *folder) MIG_MUST_USE;
/* The newest, or NULL. */
const struct mig_backup_receipt *mig_receipts_last(const struct mig_receipts *receipts);

#endif

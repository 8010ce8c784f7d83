/* SPDX-License-Identifier: MIT */
#ifndef MIG_MIGRATION_JOURNAL_H
#define MIG_MIGRATION_JOURNAL_H
/*
 * What must survive a restart (docs/migration.md, "Journal"): the participant
 * set whose consequences are done, the one whose consequences are under way
 * with every id they touch, and where this node's seat was. Bytes in, struct
 * out; store/record.h keeps them.
 */
#include "migration/participants.h"

enum {
    MIG_JOURNAL_MAX = 1024 * 1024, /* what a record may hold */
    MIG_JOURNAL_IDS_MAX = 65536,   /* more touched ids than this are everybody */
};

struct mig_epoch_set {
    bool known;
    uint64_t epoch;
    struct mig_participants set;
};

struct mig_journal {
    bool seat_held;              /* this node was in the set when last seen ... */
    uint64_t seat_seen_at;       /* ... at this height, or later */
    uint64_t seat_lost_at;       /* see mig_machine_seat_lost_at */
    struct mig_epoch_set done;   /* consequences complete */
    struct mig_epoch_set target; /* known: consequences under way */
    bool purge_all;              /* of the changes since `done` */
    struct mig_ids touched;      /* ids that left or were re-keyed in any of them */
};
void mig_epoch_set_clear(struct mig_epoch_set *set);
void mig_journal_clear(struct mig_journal *journal);

/* *bytes is the caller's (free). Addresses are left out when the whole would
 * not fit MIG_JOURNAL_MAX: nothing depends on them. MIG_ERR_NOMEM; MIG_ERR_BUG
 * when it does not even fit then. */
enum mig_err mig_journal_encode(const struct mig_journal *journal, uint8_t **bytes,
                                size_t *len) MIG_MUST_USE;
/* Strict: all bytes consumed, ids ascending, nothing that does not belong
 * together. MIG_ERR_MALFORMED, MIG_ERR_NOMEM. */
enum mig_err mig_journal_decode(const uint8_t *bytes, size_t len,
                                struct mig_journal *out) MIG_MUST_USE;

#endif

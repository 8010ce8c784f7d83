/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_NOTE_H
#define MIG_BACKUP_NOTE_H
/*
 * What the vault remembers about a backup besides the shares: which node gave
 * it, under which final context, and whether that node has our receipt. Not
 * secret. One per keyset; the newest backup of the keyset counts.
 */
#include "crypto/context.h"

enum mig_note_state {
    MIG_NOTE_PENDING = 1,      /* durable and read back; the node does not know yet */
    MIG_NOTE_ACKNOWLEDGED = 2, /* the node has signed that it recorded our receipt */
};

struct mig_note {
    enum mig_note_state state;
    uint64_t stored_at;                /* Unix seconds; of the first durable copy */
    uint64_t read_back_at;             /* of the last time the shares were read back */
    uint64_t acknowledged_at;          /* by our clock; 0: not yet */
    char context[MIG_CONTEXT_MAX + 1]; /* final context of the backup, byte for byte */
    struct mig_context parsed;         /* the same, parsed */
};

/* Sets both forms of the context; MIG_ERR_MALFORMED unless it is a final
 * context of a backup. */
enum mig_err mig_note_set_context(struct mig_note *note, const char *text) MIG_MUST_USE;

enum { MIG_NOTE_MAX = 2048 };
/* One line of JSON. */
enum mig_err mig_note_format(const struct mig_note *note, char out[MIG_NOTE_MAX]) MIG_MUST_USE;
enum mig_err mig_note_parse(const void *json, size_t len, struct mig_note *out) MIG_MUST_USE;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_WIPE_H
#define MIG_STORE_WIPE_H
/*
 * The end of a keyshare store: every file in its folder and in its quarantine
 * is overwritten, synced and unlinked, then the folders are synced. The lock
 * stays, so that nobody opens the store meanwhile. On media that write
 * elsewhere (flash, copy-on-write) old blocks may survive the overwriting; what
 * is in them is sealed, and destroying the store key as well ends that too.
 */
#include "include/mpc_migration.h"

struct mig_wipe {
    int folder;
    int lock;
};

/* Takes the store's lock: nothing changes in it until _end. MIG_ERR_STATE when
 * another process has it, MIG_ERR_NOT_FOUND without a store. *why: a static
 * sentence. */
enum mig_err mig_wipe_begin(const char *folder, struct mig_wipe *out,
                            const char **why) MIG_MUST_USE;
void mig_wipe_end(struct mig_wipe *wipe);

/* How many files there are to wipe. */
enum mig_err mig_wipe_count(const struct mig_wipe *wipe, size_t *files) MIG_MUST_USE;
/* A file that cannot be overwritten keeps its name, the others go; MIG_ERR_IO
 * then, and the same call may be repeated. *files: names that went. */
enum mig_err mig_wipe_run(const struct mig_wipe *wipe, size_t *files) MIG_MUST_USE;

#endif

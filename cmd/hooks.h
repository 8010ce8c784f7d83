/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_HOOKS_H
#define MIG_CMD_HOOKS_H
/*
 * Exec hooks of the sidecar: one program per event, JSON on its standard
 * input, exit status 0 = done; anything else, or the deadline, = try again
 * (docs/hooks.md has the schema). No shell; output goes nowhere.
 */
#include "include/mpc_migration.h"

struct mig_hooks_config {
    const char *program[MIG_HOOK_COUNT]; /* absolute paths, borrowed; NULL: nothing to do */
    uint32_t deadline_ms;                /* then the program's process group is killed */
};

struct mig_hooks;
/* Starts a thread for each of job_changed, backup_served and recovered that is
 * configured, so that one that hangs delays no other. */
enum mig_err mig_hooks_new(const struct mig_hooks_config *config,
                           struct mig_hooks **out) MIG_MUST_USE;
/* Ends running programs by their deadline at the latest. */
void mig_hooks_free(struct mig_hooks **hooks);

/* Runs one program to its end. MIG_ERR_RETRY when it did not exit with 0 in
 * time, MIG_ERR_IO when it could not be started. Any thread. */
enum mig_err mig_hook_run(const char *program, const char *json, uint32_t deadline_ms) MIG_MUST_USE;

/* Host functions; ctx is a struct mig_hooks. */
enum mig_err mig_hooks_participants_changed(void *ctx,
                                            const struct mig_change *change) MIG_MUST_USE;
enum mig_err mig_hooks_purge_assets(void *ctx, const struct mig_change *change) MIG_MUST_USE;
/* These return at once; the program is told the newest event, again and again
 * with growing pauses until it exits with 0 or a newer event takes its place. */
void mig_hooks_job_changed(void *ctx, enum mig_job job);
void mig_hooks_backup_served(void *ctx, uint64_t epoch, const uint8_t keyset[MIG_DIGEST_LEN]);
void mig_hooks_recovered(void *ctx, const struct mig_receipt *receipt);
/* False when the hook is not configured. */
bool mig_hooks_stats(void *ctx, enum mig_hook hook, struct mig_hook_stats *out);

/* "none", "waiting", "importing", "imported", "done". */
const char *mig_job_text(enum mig_job job);

#endif

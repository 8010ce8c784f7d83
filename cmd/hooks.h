/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_HOOKS_H
#define MIG_CMD_HOOKS_H
/*
 * Exec hooks of the sidecar: one program per event, JSON on its standard
 * input, exit status 0 = done; anything else, or the deadline, = try again
 * (docs/sidecar.md has the schema). No shell; output goes nowhere.
 */
#include "include/mpc_migration.h"

enum mig_hook {
    MIG_HOOK_PARTICIPANTS_CHANGED,
    MIG_HOOK_PURGE_ASSETS,
    MIG_HOOK_JOB_CHANGED,
    MIG_HOOK_COUNT,
};

struct mig_hooks_config {
    const char *program[MIG_HOOK_COUNT]; /* absolute paths, borrowed; NULL: nothing to do */
    uint32_t deadline_ms;                /* then the program's process group is killed */
};

struct mig_hooks;
/* Starts one thread, for job_changed, when that hook is configured. */
enum mig_err mig_hooks_new(const struct mig_hooks_config *config,
                           struct mig_hooks **out) MIG_MUST_USE;
/* Ends a running job_changed program by its deadline at the latest. */
void mig_hooks_free(struct mig_hooks **hooks);

/* Runs one program to its end. MIG_ERR_RETRY when it did not exit with 0 in
 * time, MIG_ERR_IO when it could not be started. Any thread. */
enum mig_err mig_hook_run(const char *program, const char *json, uint32_t deadline_ms) MIG_MUST_USE;

/* Host functions; ctx is a struct mig_hooks. */
enum mig_err mig_hooks_participants_changed(void *ctx,
                                            const struct mig_change *change) MIG_MUST_USE;
enum mig_err mig_hooks_purge_assets(void *ctx, const struct mig_change *change) MIG_MUST_USE;
/* Returns at once; the program is told the newest job, again and again with
 * growing pauses until it exits with 0 or the job moves on. */
void mig_hooks_job_changed(void *ctx, enum mig_job job);

/* "none", "waiting", "importing", "imported", "done". */
const char *mig_job_text(enum mig_job job);

#endif

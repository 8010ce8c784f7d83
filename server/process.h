/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_PROCESS_H
#define MIG_SERVER_PROCESS_H
#include "include/mpc_migration.h"

/* What the kernel says about this process. */
struct mig_process {
    uint64_t cpu_ms;
    uint64_t virtual_bytes;
    uint64_t resident_bytes;
    uint64_t started_at_ms; /* Unix milliseconds */
    uint64_t open_fds;
    uint64_t max_fds;
};
/* MIG_ERR_IO when /proc does not say. */
enum mig_err mig_process_look(struct mig_process *out) MIG_MUST_USE;

#endif

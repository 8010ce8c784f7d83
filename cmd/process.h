/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_PROCESS_H
#define MIG_CMD_PROCESS_H
/* What every program does at its edges. */
#include "cmd/options.h"
#include "include/mpc_migration.h"

/* Nothing this process does may end in a core dump, another's debugger or a
 * file that others can read. */
void mig_process_harden(void);
/* The exit status for an error of opening or setting up. */
int mig_exit_of(enum mig_err err);

#endif

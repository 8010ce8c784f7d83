/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_WIPE_H
#define MIG_CMD_WIPE_H
/*
 * mpc-migrationd wipe: destroys the keyshares of a node that was replaced.
 * Refuses while the contract shows this node in a seat or as the destination of
 * a migration, and while the contract cannot be read.
 */
#include "include/mpc_migration.h"

/* `digest`: beginning of the newest keyset's digest, as confirmation; NULL:
 * ask on the terminal. `offline`: do not ask the contract. Prints; gives the
 * exit status. */
int mig_wipe_command(const struct mig_config *config, const char *digest, bool offline);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_LOG_H
#define MIG_CMD_LOG_H
/*
 * One line per event on standard error: `2026-11-25T07:00:00.123Z notice
 * imported: text`, or with journald's priority in front and no time when the
 * journal reads it. Everything unprintable becomes '?', so that nothing that
 * came from outside can forge a line.
 */
#include "include/mpc_migration.h"

struct mig_log {
    enum mig_log_level most; /* lines above this level are left out */
    bool to_journal;
};
/* Host function; ctx is a struct mig_log. Any thread. */
void mig_log_line(void *ctx, enum mig_log_level level, const char *event, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
#include "cmd/process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

void mig_process_harden(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN);
}

int mig_exit_of(enum mig_err err)
{
    switch (err) {
    case MIG_OK:
        return MIG_EXIT_OK;
    case MIG_ERR_DENIED:
        return MIG_EXIT_PERMISSION;
    case MIG_ERR_MALFORMED:
    case MIG_ERR_CONFLICT:
        return MIG_EXIT_DATA;
    case MIG_ERR_NOT_FOUND:
        return MIG_EXIT_CONFIG;
    case MIG_ERR_STATE:
    case MIG_ERR_RETRY:
    case MIG_ERR_CANCELLED:
        return MIG_EXIT_RETRY;
    case MIG_ERR_IO:
        return MIG_EXIT_IO;
    case MIG_ERR_NOMEM:
    case MIG_ERR_BUG:
        break;
    }
    return MIG_EXIT_SOFTWARE;
}

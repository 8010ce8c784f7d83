/* SPDX-License-Identifier: MIT */
#include "include/mpc_migration.h"

const char *mig_err_text(enum mig_err err)
{
    switch (err) {
    case MIG_OK:
        return "ok";
    case MIG_ERR_MALFORMED:
        return "malformed";
    case MIG_ERR_DENIED:
        return "denied";
    case MIG_ERR_STATE:
        return "wrong state";
    case MIG_ERR_CONFLICT:
        return "conflict";
    case MIG_ERR_NOT_FOUND:
        return "not found";
    case MIG_ERR_CANCELLED:
        return "cancelled";
    case MIG_ERR_RETRY:
        return "try again later";
    case MIG_ERR_IO:
        return "input/output error";
    case MIG_ERR_NOMEM:
        return "out of memory";
    case MIG_ERR_BUG:
        return "internal error";
    }
    return "unknown error";
}

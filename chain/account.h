/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_ACCOUNT_H
#define MIG_CHAIN_ACCOUNT_H
#include "include/mpc_migration.h"

/* NEAR account id: 2..64 characters, lower-case letters and digits in parts
 * joined by single '.', '-' or '_'. */
bool mig_account_is_valid(const char *text, size_t len);

/* A URL as participants publish it, split. Only http and https; host a name or
 * address literal without user, path other than "/", query or fragment. An
 * IPv6 literal stands in `host` without its brackets. */
struct mig_url {
    bool tls;
    char host[256];
    uint16_t port; /* the scheme's default when absent */
};
enum mig_err mig_url_parse(const char *text, size_t len, struct mig_url *out) MIG_MUST_USE;

#endif

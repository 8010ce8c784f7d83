/* SPDX-License-Identifier: MIT */
#ifndef MIG_CRYPTO_CONTEXT_H
#define MIG_CRYPTO_CONTEXT_H
/*
 * The value of Mpc-Migration-Context: what a request is about, signed with it
 * and bound into the sealing key (docs/protocol.md, "Context"). One exact
 * text form: members in fixed order, one space after each comma, canonical
 * strings and base64; anything else is malformed.
 */
#include "crypto/exchange.h"

enum { MIG_CONTEXT_MAX = 1024 }; /* bytes of the field value */

enum mig_announce { MIG_ANNOUNCE_HEADER = 1, MIG_ANNOUNCE_CONTRACT = 2 };

struct mig_context {
    char contract[MIG_ACCOUNT_MAX + 1]; /* printable ASCII; whether it is a NEAR account is not checked here */
    char account[MIG_ACCOUNT_MAX + 1];
    uint8_t node[MIG_KEY_LEN];
    uint8_t service[MIG_KEY_LEN];
    enum mig_direction direction;
    enum mig_announce announce;
    uint64_t epoch;
    uint8_t keyset[MIG_DIGEST_LEN];
    bool has_operator_tag;
    bool has_client_key;
    bool has_node_key;
    uint8_t operator_tag[MIG_OPERATOR_TAG_LEN];
    uint8_t client_key[MIG_KEY_LEN];
    uint8_t node_key[MIG_KEY_LEN];
};

/* Accepts exactly the texts that mig_context_format can produce. */
enum mig_err mig_context_parse(const char *text, size_t len, struct mig_context *out) MIG_MUST_USE;
/* NUL-terminates; `cap` of MIG_CONTEXT_MAX + 1 always suffices. MIG_ERR_MALFORMED
 * when a member has no text form, MIG_ERR_BUG when `cap` is too small. */
enum mig_err mig_context_format(const struct mig_context *context, char *out, size_t cap, size_t *len) MIG_MUST_USE;

#endif

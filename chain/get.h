/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_GET_H
#define MIG_CHAIN_GET_H
/*
 * One view of the contract, typed, with the final block it was read at. Only
 * the parsers are pure; mig_get asks one endpoint and believes it.
 */
#include "chain/rpc.h"
#include "chain/state.h"

enum mig_get_kind {
    MIG_GET_STATE = 0,           /* `state` */
    MIG_GET_MIGRATION,           /* `migration_info` */
    MIG_GET_ATTESTED,            /* `get_tee_accounts` */
    MIG_GET_IMAGES,              /* `allowed_docker_image_hashes` */
    MIG_GET_LAUNCHERS,           /* `allowed_launcher_compose_hashes` */
    MIG_GET_VERSION,             /* `version` */
    MIG_GET_RECOVERY,            /* draft: `recovery_info` */
    MIG_GET_EPHEMERAL,           /* draft: `ephemeral_keys` */
    MIG_GET_KINDS,
};

enum {
    MIG_ATTESTED_MAX = 4096,
    MIG_HASHES_MAX = 4096,
};

/* Nodes with an attestation; an account may have several. Sorted by account,
 * then TLS key; one that occurs twice spoils the answer. */
struct mig_attested_node {
    char account[MIG_ACCOUNT_MAX + 1];
    uint8_t tls_key[MIG_KEY_LEN];
    bool has_account_key; /* not in older answers */
    uint8_t account_key[MIG_KEY_LEN];
};
struct mig_attested {
    struct mig_attested_node *list;
    size_t count;
};

/* Hashes that are allowed, in the contract's order: newest first. */
struct mig_allowed_hash {
    uint8_t hash[MIG_DIGEST_LEN];
    bool expires;
    uint64_t expires_at; /* Unix seconds */
};
struct mig_allowed {
    struct mig_allowed_hash *list;
    size_t count;
};

/* What was got; the member of `kind`. */
struct mig_got {
    enum mig_get_kind kind;
    uint64_t height;
    char block_hash[MIG_HASH_TEXT_MAX];
    union {
        struct mig_state state;
        struct mig_info info;           /* MIGRATION, RECOVERY; since and active are left alone */
        struct mig_attested attested;
        struct mig_allowed allowed;     /* IMAGES (both shapes), LAUNCHERS */
        char version[MIG_VERSION_MAX + 1];
        struct mig_published published; /* EPHEMERAL */
    };
};
void mig_got_clear(struct mig_got *got);

/* The method behind a kind. */
const char *mig_get_method(enum mig_get_kind kind);
/* Parses its answer; `account` is whose record counts, for MIGRATION, RECOVERY
 * and EPHEMERAL. MIG_ERR_MALFORMED, MIG_ERR_NOMEM; nothing is left then. */
enum mig_err mig_got_parse(enum mig_get_kind kind, const char *json, size_t len, const char *account,
                           struct mig_got *out) MIG_MUST_USE;
/* Whether two mean the same, height and block aside. */
bool mig_got_is_equal(const struct mig_got *a, const struct mig_got *b);

/* Asks at the newest final block. Errors of chain/rpc.h, and of the parser;
 * the reason is mig_rpc_error's for the former. */
enum mig_err mig_get(struct mig_rpc *rpc, const char *contract, enum mig_get_kind kind,
                     const char *account, struct mig_got *out) MIG_MUST_USE;

#endif

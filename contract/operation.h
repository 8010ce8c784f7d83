/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_OPERATION_H
#define MIG_CONTRACT_OPERATION_H
/* A scenario operation as it is written: parsed whole before anything is done. */
#include "contract/form.h"

/* A participant as operations name it: an existing one by account alone. */
struct mig_operation_seat {
    struct mig_participant who;
    bool has_id;
    bool has_info; /* url and tls_key both */
    bool has_account_key;
    uint8_t account_key[MIG_KEY_LEN];
};

struct mig_operation_domain {
    struct mig_contract_domain domain;
    struct mig_domain_key key;
    bool has_threshold;
    bool has_key;
};

/* Everything an operation may say; `seen` has a bit per member. */
struct mig_operation {
    uint32_t seen;
    char op[32];
    size_t seat_count;
    struct mig_operation_seat *seats;
    size_t domain_count;
    struct mig_operation_domain *domains;
    uint64_t threshold, epoch, domain_id, attempt, expires;
    struct mig_domain_key key;
    uint8_t public_key[MIG_KEY_LEN]; /* public_key when it is ed25519 */
    uint8_t tls_key[MIG_KEY_LEN];
    uint8_t account_key[MIG_KEY_LEN];
    uint8_t hash[MIG_DIGEST_LEN];
    char account[MIG_ACCOUNT_MAX + 1];
    bool valid;
    struct mig_contract_protocol state;    /* "state" */
    struct mig_contract_protocol override; /* "per_domain_thresholds" only */
};

enum mig_operation_member {
    MIG_OP_NAME,
    MIG_OP_PARTICIPANTS,
    MIG_OP_THRESHOLD,
    MIG_OP_DOMAINS,
    MIG_OP_EPOCH,
    MIG_OP_DOMAIN_ID,
    MIG_OP_ATTEMPT,
    MIG_OP_PUBLIC_KEY,
    MIG_OP_TLS_KEY,
    MIG_OP_ACCOUNT,
    MIG_OP_ACCOUNT_KEY,
    MIG_OP_VALID,
    MIG_OP_EXPIRES,
    MIG_OP_HASH,
    MIG_OP_STATE,
    MIG_OP_PER_DOMAIN,
    MIG_OP_MEMBERS
};

/* The members' names, by number. */
extern const char *const mig_operation_members[MIG_OP_MEMBERS];

/* Reads all of the input; `op` must be zeroed, and is cleared by the caller
 * also when `s` failed. */
void mig_operation_read(struct mig_serde *s, struct mig_operation *op);
void mig_operation_clear(struct mig_operation *op);

#endif

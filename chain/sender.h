/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_SENDER_H
#define MIG_CHAIN_SENDER_H
/*
 * Sends function calls of one access key to one contract. Never signs again
 * before the last transaction is known to be dead or done: until then only the
 * same signed bytes are sent again. One thread at a time.
 *
 * "Executed" means that the call ran; whether it had its effect is for the
 * caller to see in the view.
 */
#include "chain/dialect.h"
#include "chain/rpc.h"

struct mig_sender;

enum {
    MIG_TX_LIFETIME = 86400, /* blocks after which an unseen transaction is dead */
    MIG_NONCES_PER_BLOCK = 1000000,
};

struct mig_sender_options {
    struct mig_rpc *rpc;            /* borrowed, used by this sender's thread only; its endpoints
                                     * are tried in order, another when a call is repeated */
    const struct mig_identity *key; /* borrowed */
    const char *account;            /* signs and pays; copied */
    const char *contract;           /* copied */
    unsigned attempts;              /* of delivering one transaction; 0: 6 */
    unsigned pause_ms;              /* before the second, then half as much again each time; 0: 500 */
};

enum mig_sent {
    MIG_SENT_UNKNOWN = 0,      /* may still happen: call again with the same call */
    MIG_SENT_EXECUTED = 1,
    MIG_SENT_FAILED = 2,       /* included, and refused by the contract: `reason` is its text */
    MIG_SENT_NOT_EXECUTED = 3, /* will never be included: `refusal`, `reason` */
};

struct mig_delivery {
    enum mig_sent sent;
    enum mig_refusal refusal;
    char hash[MIG_HASH_TEXT_MAX]; /* "" when nothing was signed */
    char reason[MIG_REASON_MAX];
};

enum mig_err mig_sender_new(const struct mig_sender_options *options, struct mig_sender **out) MIG_MUST_USE;
void mig_sender_free(struct mig_sender **sender);

/* MIG_OK: executed. MIG_ERR_DENIED: failed, or refused for a reason that will
 * not go away. MIG_ERR_RETRY: unknown, or not executed for a passing reason.
 * MIG_ERR_CANCELLED (by mig_rpc_cancel), _MALFORMED, _NOMEM. `out` is always
 * filled. An earlier transaction that is still undecided is settled first: if
 * it was the same call, its outcome is the answer. */
enum mig_err mig_sender_send(struct mig_sender *sender, const struct mig_call *call,
                             struct mig_delivery *out) MIG_MUST_USE;

/* Likewise, for a function-call key of `methods` of the contract on the
 * sender's own account; its key must have full access. */
struct mig_grant {
    uint8_t key[MIG_KEY_LEN];
    const char *const *methods;
    size_t count; /* 1 .. 2; an empty list would allow every method */
};
enum mig_err mig_sender_add_key(struct mig_sender *sender, const struct mig_grant *grant,
                                struct mig_delivery *out) MIG_MUST_USE;

#endif

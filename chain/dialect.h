/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_DIALECT_H
#define MIG_CHAIN_DIALECT_H
/*
 * The one place that knows the contract's method names, and how its arguments
 * are written (docs/contract.md). Pure.
 */
#include "chain/cache.h"
#include "crypto/exchange.h"

/* How this contract wants to be spoken to. */
struct mig_speech {
    enum mig_dialect dialect; /* never AUTO */
    uint64_t deposit;         /* yocto that the operator's calls must attach */
};
/* By the answer of `version`: one that ends in "-draft" speaks the draft, every
 * other one the deployed dialect, which wants a deposit from 3.14.0 on. NULL:
 * a contract without that view is an old deployed one; with `forced`, the
 * newest of that dialect is assumed. `forced` wins over the version. */
struct mig_speech mig_speech_pick(enum mig_dialect forced, const char *version);

/* The view behind a part; NULL when the dialect has none. */
const char *mig_view_method(enum mig_dialect dialect, enum mig_part part);
#define MIG_VERSION_METHOD "version"

enum { MIG_CALL_TGAS = 300 };

/* A function call, ready to be sent. */
struct mig_call {
    const char *method; /* static */
    char *args;         /* JSON; owned */
    uint64_t gas;
    uint64_t deposit; /* yocto */
};
void mig_call_clear(struct mig_call *call);

/* All: MIG_ERR_NOMEM; MIG_ERR_NOT_FOUND when the dialect has no such method. */

/* By the operator: this is the account's backup service. */
enum mig_err mig_call_register(const struct mig_speech *speech, const uint8_t service_key[MIG_KEY_LEN],
                               struct mig_call *out) MIG_MUST_USE;
/* By the operator: the node with these keys takes the account's seat.
 * MIG_ERR_MALFORMED for a URL that mig_url_parse refuses. */
enum mig_err mig_call_start(const struct mig_speech *speech, const char *url,
                            const uint8_t tls_key[MIG_KEY_LEN], const uint8_t signer_key[MIG_KEY_LEN],
                            struct mig_call *out) MIG_MUST_USE;
/* By the new node: it holds the keyset of `view`. MIG_ERR_STATE unless that is
 * Running. */
enum mig_err mig_call_conclude(const struct mig_speech *speech, const struct mig_view *view,
                               struct mig_call *out) MIG_MUST_USE;
/* By the operator: the destination record goes. */
enum mig_err mig_call_cancel(const struct mig_speech *speech, struct mig_call *out) MIG_MUST_USE;
/* By node or service: an ephemeral X25519 key. */
enum mig_err mig_call_publish(const struct mig_speech *speech, enum mig_role role,
                              const uint8_t key[MIG_KEY_LEN], struct mig_call *out) MIG_MUST_USE;
/* By the new node, where real quotes are not asked for: a mock attestation. */
enum mig_err mig_call_attest_mock(const struct mig_speech *speech, const uint8_t tls_key[MIG_KEY_LEN],
                                  struct mig_call *out) MIG_MUST_USE;

/* The methods that a key of this role must be able to call, and no others:
 * the node concludes, and with `publishes` (announce=contract, draft) publishes
 * its ephemeral keys, which is all that a service's key does. Gives how many,
 * static; none when the dialect asks nothing of the role. */
enum { MIG_ROLE_METHODS_MAX = 2 };
size_t mig_role_methods(enum mig_dialect dialect, enum mig_role role, bool publishes,
                        const char *out[MIG_ROLE_METHODS_MAX]);
/* What such a key may spend on gas. */
enum { MIG_KEY_ALLOWANCE_NEAR = 1 };

/* The near-cli command that gives `account` a key for these methods of the
 * contract; as below. */
char *mig_key_near_cli(const uint8_t key[MIG_KEY_LEN], const char *const *methods, size_t count,
                       const char *account, const char *contract, const char *network);

/* The near-cli command that sends `call`, for an operator to run: one line, to
 * be pasted into a shell. The caller frees it; NULL when there is no memory or
 * a name is none. `network`: "mainnet", "testnet", or a name of the caller's
 * near-cli configuration. */
char *mig_call_near_cli(const struct mig_call *call, const char *account, const char *contract,
                        const char *network);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_CONTRACT_H
#define MIG_CONTRACT_CONTRACT_H
/*
 * The migration part of the MPC contract, in both dialects (docs/contract.md):
 * bytes and facts about the caller in, a result or the panic's text out. No
 * I/O, no clock, no randomness. One thread at a time per contract.
 */
#include "contract/print.h"

enum { MIG_CONTRACT_WHY_MAX = 256 };

struct mig_contract;

/* Written to files: numbers stay. */
enum mig_contract_version {
    MIG_CONTRACT_DRAFT = 0,
    MIG_CONTRACT_3_13_0 = 1,
    MIG_CONTRACT_3_14_1 = 2,
};
/* "draft", "3.13.0", "3.14.1": the name on the command line. Static. */
const char *mig_contract_version_text(enum mig_contract_version version);
enum mig_err mig_contract_version_parse(const char *text,
                                        enum mig_contract_version *version) MIG_MUST_USE;

/* Borrowed for the call. `predecessor` calls; `signer` signed the transaction,
 * with `signer_key` (ed25519). */
struct mig_contract_call {
    const char *method;
    const char *predecessor;
    const char *signer;
    uint8_t signer_key[MIG_KEY_LEN];
    unsigned __int128 deposit; /* yocto */
    uint64_t height;
    uint64_t time_ns; /* of the block */
    const char *args;
    size_t args_len;
    bool is_view; /* then a method that writes is a trap */
};

enum mig_contract_verdict {
    MIG_CONTRACT_RETURNED,   /* `text` is the returned JSON; "" when there is none */
    MIG_CONTRACT_PANICKED,   /* `text` is the panic's message; nothing changed */
    MIG_CONTRACT_NO_METHOD,  /* nothing changed */
    MIG_CONTRACT_PROHIBITED, /* `text` names the host function refused in a view */
};

/* Cleared with mig_contract_outcome_clear. */
struct mig_contract_outcome {
    enum mig_contract_verdict verdict;
    char *text;
    size_t log_count;
    char **logs;
    unsigned __int128 refund; /* transferred back to `refund_to`; 0: nothing */
    char refund_to[MIG_ACCOUNT_MAX + 1];
};
void mig_contract_outcome_clear(struct mig_contract_outcome *outcome);

/* A contract that is deployed, but not initialised. */
enum mig_err mig_contract_new(const char *account, enum mig_contract_version version,
                              struct mig_contract **out) MIG_MUST_USE;
enum mig_err mig_contract_copy(const struct mig_contract *from,
                               struct mig_contract **out) MIG_MUST_USE;
void mig_contract_free(struct mig_contract **c);
const char *mig_contract_account(const struct mig_contract *c);

/* Runs a method. Only MIG_ERR_NOMEM (and BUG) are failures here: a panic is a
 * result. On anything but RETURNED the contract is as it was. */
enum mig_err mig_contract_run(struct mig_contract *c, const struct mig_contract_call *call,
                              struct mig_contract_outcome *out) MIG_MUST_USE;

/* Everything the contract stores, as one JSON object, and back
 * (docs/devnet.md). `load` makes a new contract; MIG_ERR_MALFORMED with the
 * reason in `why` when the text is not one. */
enum mig_err mig_contract_dump(const struct mig_contract *c, char **text) MIG_MUST_USE;
enum mig_err mig_contract_load(const char *text, size_t len, struct mig_contract **out,
                               char why[MIG_CONTRACT_WHY_MAX]) MIG_MUST_USE;

/* Moves the protocol as the network itself would: an object with an "op"
 * member (docs/devnet.md, "Scenario"). MIG_ERR_MALFORMED or MIG_ERR_STATE with
 * the reason in `why`; the contract is then as it was. */
enum mig_err mig_contract_drive(struct mig_contract *c, const char *op, size_t len, uint64_t height,
                                char why[MIG_CONTRACT_WHY_MAX]) MIG_MUST_USE;

#endif

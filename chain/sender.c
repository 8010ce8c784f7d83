/* SPDX-License-Identifier: MIT */
#include "chain/sender.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/account.h"

/* What is to be done, whatever kind of action it is. Two of the same name and
 * text are the same. */
struct intent {
    const char *name, *text;
    const char *receiver;
    struct mig_action action;
};

/* A signed transaction whose end is not known. */
struct pending {
    uint8_t *bytes; /* NULL: none */
    size_t len;
    char hash[MIG_HASH_TEXT_MAX];
    uint64_t height; /* of its block hash */
    uint64_t nonce;
    unsigned sends;    /* how often an endpoint may have got it */
    char *name, *text; /* of its intent */
};

struct mig_sender {
    struct mig_rpc *rpc;
    const struct mig_identity *key;
    char account[MIG_ACCOUNT_MAX + 1];
    char contract[MIG_ACCOUNT_MAX + 1];
    unsigned attempts, pause_ms;
    uint64_t last_nonce;
    struct pending pending;
    uint8_t done[MIG_DIGEST_LEN]; /* digest of the last call that ended */
};

enum mig_err mig_sender_new(const struct mig_sender_options *o, struct mig_sender **out)
{
    *out = NULL;
    if (!mig_account_is_valid(o->account, strlen(o->account)) ||
        !mig_account_is_valid(o->contract, strlen(o->contract)))
        return MIG_ERR_MALFORMED;
    struct mig_sender *s = calloc(1, sizeof *s);
    if (s == NULL)
        return MIG_ERR_NOMEM;
    s->rpc = o->rpc;
    s->key = o->key;
    strcpy(s->account, o->account);
    strcpy(s->contract, o->contract);
    s->attempts = o->attempts != 0 ? o->attempts : 6;
    s->pause_ms = o->pause_ms != 0 ? o->pause_ms : 500;
    *out = s;
    return MIG_OK;
}

static void drop_pending(struct mig_sender *s)
{
    free(s->pending.bytes);
    free(s->pending.name);
    free(s->pending.text);
    memset(&s->pending, 0, sizeof s->pending);
}

void mig_sender_free(struct mig_sender **sender)
{
    if (*sender == NULL)
        return;
    drop_pending(*sender);
    free(*sender);
    *sender = NULL;
}

/* ---- verdicts ---- */

static enum mig_err report(struct mig_delivery *out, enum mig_sent sent, enum mig_err err,
                           const char *reason)
{
    out->sent = sent;
    (void)snprintf(out->reason, sizeof out->reason, "%s", reason);
    return err;
}

static enum mig_err unknown(struct mig_sender *s, struct mig_delivery *out)
{
    const struct mig_rpc_error *e = mig_rpc_error(s->rpc);
    return report(out, MIG_SENT_UNKNOWN,
                  e->fault == MIG_FAULT_CANCELLED ? MIG_ERR_CANCELLED : MIG_ERR_RETRY,
                  e->reason[0] != '\0' ? e->reason : "the network has not decided yet");
}

/* Before anything was signed. */
static enum mig_err not_begun(struct mig_sender *s, struct mig_delivery *out)
{
    const struct mig_rpc_error *e = mig_rpc_error(s->rpc);
    return report(out, MIG_SENT_NOT_EXECUTED, e->err, e->reason);
}

/* An outcome that ends it; false for one that is still to come. */
static bool is_decided(const struct mig_outcome *o, struct mig_delivery *out, enum mig_err *err)
{
    switch (o->status) {
    case MIG_TX_PENDING:
        return false;
    case MIG_TX_EXECUTED:
        *err = report(out, MIG_SENT_EXECUTED, MIG_OK,
                      o->receipt_failed ? "executed, but one of its further receipts failed" : "");
        return true;
    case MIG_TX_FAILED:
        *err = report(out, MIG_SENT_FAILED, MIG_ERR_DENIED, o->reason);
        return true;
    }
    return false;
}

/* The pending transaction as the endpoint knows it: decided, or, with *lost,
 * unheard of. */
static bool ask(struct mig_sender *s, struct mig_delivery *out, enum mig_err *err, bool *lost)
{
    struct mig_outcome outcome;
    *err = mig_rpc_tx(s->rpc, s->pending.hash, s->account, &outcome);
    *lost = *err == MIG_ERR_NOT_FOUND && mig_rpc_error(s->rpc)->fault == MIG_FAULT_UNKNOWN_TX;
    return *err == MIG_OK && is_decided(&outcome, out, err);
}

/* Reasons that pass by themselves, or with another nonce or block. */
static bool is_passing(enum mig_refusal refusal)
{
    return refusal == MIG_REFUSAL_NONCE_USED || refusal == MIG_REFUSAL_NONCE_TOO_LARGE ||
           refusal == MIG_REFUSAL_EXPIRED;
}

static enum mig_err dead(struct mig_sender *s, const struct mig_rpc_error *e,
                         struct mig_delivery *out)
{
    drop_pending(s);
    out->refusal = e->refusal;
    if (e->key_nonce > s->last_nonce)
        s->last_nonce = e->key_nonce;
    return report(out, MIG_SENT_NOT_EXECUTED,
                  is_passing(e->refusal) ? MIG_ERR_RETRY : MIG_ERR_DENIED, e->reason);
}

/* The node will not include it. It may have done so already, if these bytes
 * were sent before, or the nonce was used: by this very transaction when a
 * proxy delivers twice. The transaction's status tells. */
static enum mig_err refused(struct mig_sender *s, struct mig_delivery *out)
{
    const struct mig_rpc_error e = *mig_rpc_error(s->rpc);
    enum mig_err err;
    bool lost;
    if (s->pending.sends == 1 && e.refusal != MIG_REFUSAL_NONCE_USED)
        return dead(s, &e, out);
    if (ask(s, out, &err, &lost)) {
        drop_pending(s);
        return err;
    }
    if (lost)
        return dead(s, &e, out);
    err = unknown(s, out);
    /* Nodes may let a status they do not know run into their timeout. With its
     * nonce used it cannot happen any more; whether it did, the view shows. */
    if (e.refusal == MIG_REFUSAL_NONCE_USED && mig_rpc_error(s->rpc)->fault == MIG_FAULT_TIMEOUT)
        drop_pending(s);
    return err;
}

/* ---- delivery ---- */

/* Sends the pending bytes until they are decided or the attempts are used up. */
static enum mig_err deliver(struct mig_sender *s, struct mig_delivery *out)
{
    unsigned pause = s->pause_ms;
    memcpy(out->hash, s->pending.hash, sizeof out->hash);
    for (unsigned i = 0; i < s->attempts; i++, pause += pause / 2) {
        struct mig_outcome outcome;
        enum mig_err err = MIG_OK;
        if (i > 0 && mig_rpc_pause(s->rpc, pause) != MIG_OK)
            return report(out, MIG_SENT_UNKNOWN, MIG_ERR_CANCELLED, "cancelled");
        s->pending.sends++;
        err = mig_rpc_send_tx(s->rpc, s->pending.bytes, s->pending.len,
                              MIG_WAIT_EXECUTED_OPTIMISTIC, &outcome);
        if (err == MIG_OK && is_decided(&outcome, out, &err)) {
            drop_pending(s);
            return err;
        }
        if (err == MIG_ERR_CANCELLED)
            return unknown(s, out);
        if (mig_rpc_error(s->rpc)->fault == MIG_FAULT_INVALID_TX)
            return refused(s, out);
    }
    return unknown(s, out);
}

/* An earlier transaction: learn its end, or that it can have none any more. */
static enum mig_err settle(struct mig_sender *s, struct mig_delivery *out)
{
    struct mig_tip head;
    enum mig_err err;
    bool lost;
    memcpy(out->hash, s->pending.hash, sizeof out->hash);
    if (ask(s, out, &err, &lost)) {
        drop_pending(s);
        return err;
    }
    if (!lost && mig_rpc_error(s->rpc)->fault != MIG_FAULT_TIMEOUT)
        return unknown(s, out);
    if (mig_rpc_final_block(s->rpc, &head) != MIG_OK)
        return unknown(s, out);
    if (head.block.height <= s->pending.height + MIG_TX_LIFETIME)
        return deliver(s, out);
    drop_pending(s);
    out->refusal = MIG_REFUSAL_EXPIRED;
    return report(out, MIG_SENT_NOT_EXECUTED, MIG_ERR_RETRY, mig_refusal_text(MIG_REFUSAL_EXPIRED));
}

/* ---- signing ---- */

/* The nonce comes from the height, without asking for the key: a key that was
 * added up to the final block is at most at (height - 1) * 1 000 000, and the
 * limit is the head's height times as much, which may be the same block. */
static bool next_nonce(const struct mig_sender *s, uint64_t height, uint64_t *nonce)
{
    uint64_t before = height > 0 ? height - 1 : 0, least;
    if (__builtin_mul_overflow(before, (uint64_t)MIG_NONCES_PER_BLOCK, nonce) ||
        __builtin_add_overflow(*nonce, 1u, nonce) ||
        __builtin_add_overflow(s->last_nonce, 1u, &least))
        return false;
    if (*nonce < least)
        *nonce = least;
    return true;
}

static enum mig_err sign(struct mig_sender *s, const struct intent *intent,
                         struct mig_delivery *out)
{
    struct mig_tip head;
    uint8_t hash[MIG_DIGEST_LEN];
    struct pending p = {0};
    enum mig_err err = MIG_ERR_RETRY;
    for (size_t i = 0; err == MIG_ERR_RETRY && i < mig_rpc_count(s->rpc); i++)
        err = mig_rpc_final_block(s->rpc, &head);
    if (err != MIG_OK)
        return not_begun(s, out);
    struct mig_tx tx = {.signer = s->account,
                        .receiver = intent->receiver,
                        .actions = &intent->action,
                        .action_count = 1};
    if (!next_nonce(s, head.block.height, &tx.nonce) ||
        mig_hash_parse(head.hash, tx.block_hash) != MIG_OK)
        return report(out, MIG_SENT_NOT_EXECUTED, MIG_ERR_MALFORMED,
                      "the endpoint's final block makes no sense");
    err = mig_tx_sign(&tx, s->key, &p.bytes, &p.len, hash);
    if (err != MIG_OK)
        return report(out, MIG_SENT_NOT_EXECUTED, err, "the transaction cannot be signed");
    mig_hash_format(hash, p.hash);
    p.height = head.block.height;
    p.nonce = tx.nonce;
    p.name = strdup(intent->name);
    p.text = strdup(intent->text);
    s->pending = p;
    if (p.name == NULL || p.text == NULL) {
        drop_pending(s);
        return report(out, MIG_SENT_NOT_EXECUTED, MIG_ERR_NOMEM, "out of memory");
    }
    return MIG_OK;
}

/* A key's nonce can be above what its height suggests. */
static bool learn_nonce(struct mig_sender *s)
{
    struct mig_access_key key;
    if (mig_rpc_access_key(s->rpc, s->account, s->key->public_key, &key) != MIG_OK)
        return false;
    if (key.nonce > s->last_nonce)
        s->last_nonce = key.nonce;
    return true;
}

static enum mig_err send_new(struct mig_sender *s, const struct intent *intent,
                             struct mig_delivery *out)
{
    uint64_t nonce;
    enum mig_err err = sign(s, intent, out);
    if (err != MIG_OK)
        return err;
    nonce = s->pending.nonce;
    err = deliver(s, out);
    if (s->last_nonce < nonce && out->sent != MIG_SENT_NOT_EXECUTED)
        s->last_nonce = nonce;
    return err;
}

/* The same call again means that its end did not show; and what an endpoint
 * refuses, another may take. Either way the next one is asked: one that lies
 * must not keep a transaction from the chain for ever. */
static void choose_endpoint(struct mig_sender *s, const struct intent *intent)
{
    uint8_t digest[MIG_DIGEST_LEN];
    crypto_hash_sha256_state hash;
    (void)crypto_hash_sha256_init(&hash);
    (void)crypto_hash_sha256_update(&hash, (const uint8_t *)intent->name, strlen(intent->name) + 1);
    (void)crypto_hash_sha256_update(&hash, (const uint8_t *)intent->text, strlen(intent->text));
    (void)crypto_hash_sha256_final(&hash, digest);
    if (memcmp(digest, s->done, sizeof digest) == 0)
        mig_rpc_next(s->rpc);
    memcpy(s->done, digest, sizeof digest);
}

static enum mig_err achieve(struct mig_sender *s, const struct intent *intent,
                            struct mig_delivery *out)
{
    memset(out, 0, sizeof *out);
    if (mig_rpc_count(s->rpc) > 1)
        choose_endpoint(s, intent);
    if (s->pending.bytes != NULL) {
        bool same = strcmp(s->pending.name, intent->name) == 0 &&
                    strcmp(s->pending.text, intent->text) == 0;
        enum mig_err err = settle(s, out);
        if (out->sent == MIG_SENT_UNKNOWN || (same && out->sent != MIG_SENT_NOT_EXECUTED))
            return err;
        memset(out, 0, sizeof *out);
    }
    enum mig_err err = send_new(s, intent, out);
    if (out->refusal != MIG_REFUSAL_NONCE_USED || !learn_nonce(s))
        return err;
    memset(out, 0, sizeof *out); /* that one is dead: once more, above the key's nonce */
    return send_new(s, intent, out);
}

enum mig_err mig_sender_send(struct mig_sender *s, const struct mig_call *call,
                             struct mig_delivery *out)
{
    const struct intent intent = {.name = call->method,
                                  .text = call->args,
                                  .receiver = s->contract,
                                  .action = {.kind = MIG_ACTION_CALL,
                                             .call = {.method = call->method,
                                                      .args = call->args,
                                                      .args_len = strlen(call->args),
                                                      .gas = call->gas,
                                                      .deposit = {0, call->deposit}}}};
    return achieve(s, &intent, out);
}

/* 1 NEAR is 10^24 yocto. */
static struct mig_u128 yocto(uint64_t near)
{
    unsigned __int128 n = (unsigned __int128)near * 1000000000000u * 1000000000000u;
    return (struct mig_u128){(uint64_t)(n >> 64), (uint64_t)n};
}

enum mig_err mig_sender_add_key(struct mig_sender *s, const struct mig_grant *grant,
                                struct mig_delivery *out)
{
    char key[MIG_KEY_TEXT_MAX];
    struct intent intent = {.name = "AddKey",
                            .text = key,
                            .receiver = s->account,
                            .action = {.kind = MIG_ACTION_ADD_KEY,
                                       .add_key = {.has_allowance = true,
                                                   .allowance = yocto(MIG_KEY_ALLOWANCE_NEAR),
                                                   .receiver = s->contract,
                                                   .methods = grant->methods,
                                                   .method_count = grant->count}}};
    memset(out, 0, sizeof *out);
    if (grant->count == 0)
        return report(out, MIG_SENT_NOT_EXECUTED, MIG_ERR_MALFORMED, "a key for no method");
    memcpy(intent.action.add_key.key, grant->key, MIG_KEY_LEN);
    mig_key_format(grant->key, key);
    return achieve(s, &intent, out);
}

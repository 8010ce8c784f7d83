/* SPDX-License-Identifier: MIT */
#include "devnet/transaction.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "crypto/encoding.h"
#include "crypto/exchange.h"

/* The first failure sticks; reads after it give zeroes. */
struct cursor {
    const uint8_t *at;
    size_t left;
    const char *failure;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
    if (c->failure != NULL || c->left < n) {
        if (c->failure == NULL)
            c->failure = "unexpected end of input";
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += n;
    c->left -= n;
    return at;
}

static uint64_t number(struct cursor *c, size_t bytes)
{
    const uint8_t *at = take(c, bytes);
    uint64_t v = 0;
    for (size_t i = bytes; at != NULL && i-- > 0;)
        v = v << 8 | at[i];
    return v;
}

static unsigned __int128 amount(struct cursor *c)
{
    unsigned __int128 low = number(c, 8);
    return (unsigned __int128)number(c, 8) << 64 | low;
}

static void copy(struct cursor *c, uint8_t *out, size_t n)
{
    const uint8_t *at = take(c, n);
    if (at != NULL)
        memcpy(out, at, n);
}

static void fail(struct cursor *c, const char *why)
{
    if (c->failure == NULL)
        c->failure = why;
}

static void text(struct cursor *c, char *out, size_t max, const char *too_long)
{
    size_t len = (size_t)number(c, 4);
    if (len > max) {
        fail(c, too_long);
        return;
    }
    const uint8_t *at = take(c, len);
    if (at == NULL)
        return;
    if (memchr(at, '\0', len) != NULL)
        fail(c, "a name contains a NUL byte");
    memcpy(out, at, len);
    out[len] = '\0';
}

static void account(struct cursor *c, char out[MIG_ACCOUNT_MAX + 1])
{
    text(c, out, MIG_ACCOUNT_MAX, "an account id is too long");
    if (c->failure == NULL && !mig_account_is_valid(out, strlen(out)))
        fail(c, "an account id is not valid");
}

static void public_key(struct cursor *c, uint8_t out[MIG_KEY_LEN])
{
    if (number(c, 1) != 0)
        fail(c, "only ed25519 keys are supported");
    copy(c, out, MIG_KEY_LEN);
}

static void function_call_permission(struct cursor *c, struct mig_devnet_key *key)
{
    uint64_t has_allowance = number(c, 1);
    if (has_allowance > 1)
        fail(c, "not an option");
    key->has_allowance = has_allowance == 1;
    if (key->has_allowance)
        key->allowance = amount(c);
    account(c, key->receiver);
    key->method_count = (size_t)number(c, 4);
    if (key->method_count > MIG_DEVNET_KEY_METHODS) {
        key->method_count = 0;
        fail(c, "an access key may name at most 16 methods here");
    }
    for (size_t i = 0; i < key->method_count; i++)
        text(c, key->methods[i], MIG_DEVNET_KEY_METHOD_MAX,
             "a method name of an access key is too long");
}

static void access_key(struct cursor *c, struct mig_devnet_key *key)
{
    public_key(c, key->public_key);
    key->nonce = number(c, 8);
    switch (number(c, 1)) {
    case 0:
        function_call_permission(c, key);
        break;
    case 1:
        key->full_access = true;
        break;
    default:
        fail(c, "unknown access key permission");
    }
}

static void function_call(struct cursor *c, struct mig_devnet_action *a)
{
    text(c, a->method, MIG_DEVNET_METHOD_MAX, "a method name is too long");
    a->args_len = (size_t)number(c, 4);
    a->args = take(c, a->args_len);
    a->gas = number(c, 8);
    a->amount = amount(c);
}

static const char *unsupported(uint64_t tag)
{
    static const char *const names[] = {
        [1] = "action DeployContract is not supported",
        [4] = "action Stake is not supported",
        [7] = "action DeleteAccount is not supported",
        [8] = "action Delegate is not supported",
        [9] = "action DeployGlobalContract is not supported",
        [10] = "action UseGlobalContract is not supported",
    };
    bool known = tag < sizeof names / sizeof *names && names[tag] != NULL;
    return known ? names[tag] : "unknown action";
}

static void action(struct cursor *c, struct mig_devnet_action *a)
{
    uint64_t tag = number(c, 1);
    switch (tag) {
    case MIG_DEVNET_CREATE_ACCOUNT:
        break;
    case MIG_DEVNET_FUNCTION_CALL:
        function_call(c, a);
        break;
    case MIG_DEVNET_TRANSFER:
        a->amount = amount(c);
        break;
    case MIG_DEVNET_ADD_KEY:
        access_key(c, &a->key);
        break;
    case MIG_DEVNET_DELETE_KEY:
        public_key(c, a->key.public_key);
        break;
    default:
        fail(c, unsupported(tag));
    }
    a->kind = (enum mig_devnet_action_kind)tag;
}

static void actions(struct cursor *c, struct mig_devnet_tx *tx)
{
    size_t count = (size_t)number(c, 4);
    if (count == 0 || count > MIG_DEVNET_ACTIONS_MAX)
        fail(c, "the number of actions is not between 1 and 100");
    if (c->failure != NULL)
        return;
    tx->actions = calloc(count, sizeof *tx->actions);
    if (tx->actions == NULL) {
        fail(c, "out of memory");
        return;
    }
    tx->action_count = count;
    for (size_t i = 0; i < count && c->failure == NULL; i++)
        action(c, &tx->actions[i]);
}

static void signed_transaction(struct cursor *c, struct mig_devnet_tx *tx)
{
    const uint8_t *start = c->at;
    /* Version 0 starts with a length below 256; other versions with a tag. */
    if (c->left > 1 && start[1] != 0)
        fail(c, "only transactions of version 0 are supported");
    account(c, tx->signer);
    public_key(c, tx->public_key);
    tx->nonce = number(c, 8);
    account(c, tx->receiver);
    copy(c, tx->block_hash, MIG_DIGEST_LEN);
    actions(c, tx);
    mig_sha256(start, (size_t)(c->at - start), tx->hash);
    if (number(c, 1) != 0)
        fail(c, "only ed25519 signatures are supported");
    copy(c, tx->signature, MIG_SIG_LEN);
    if (c->left != 0)
        fail(c, "trailing bytes");
}

enum mig_err mig_devnet_tx_decode(const uint8_t *in, size_t len, struct mig_devnet_tx *tx,
                                  char why[MIG_DEVNET_WHY_MAX])
{
    *tx = (struct mig_devnet_tx){0};
    why[0] = '\0';
    if (len == 0 || len > MIG_DEVNET_TX_MAX) {
        (void)snprintf(why, MIG_DEVNET_WHY_MAX, "the transaction is empty or too long");
        return MIG_ERR_MALFORMED;
    }
    tx->bytes = malloc(len);
    if (tx->bytes == NULL)
        return MIG_ERR_NOMEM;
    memcpy(tx->bytes, in, len);
    struct cursor c = {.at = tx->bytes, .left = len};
    signed_transaction(&c, tx);
    if (c.failure == NULL)
        return MIG_OK;
    (void)snprintf(why, MIG_DEVNET_WHY_MAX, "%s", c.failure);
    mig_devnet_tx_clear(tx);
    return MIG_ERR_MALFORMED;
}

void mig_devnet_tx_clear(struct mig_devnet_tx *tx)
{
    free(tx->bytes);
    free(tx->actions);
    *tx = (struct mig_devnet_tx){0};
}

/* Views */

void mig_devnet_base58(struct mig_print *t, const uint8_t *bytes, size_t len)
{
    char out[MIG_BASE58_INPUT_MAX];
    if (mig_base58_encode(bytes, len, out, sizeof out) != MIG_OK)
        t->failed = true;
    mig_print_printf(t, "\"%s\"", out);
}

void mig_devnet_base64(struct mig_print *t, const uint8_t *bytes, size_t len)
{
    size_t cap = MIG_BASE64_LEN(len);
    char *out = malloc(cap);
    if (out == NULL || mig_base64_encode(bytes, len, out, cap) != MIG_OK)
        t->failed = true;
    else {
        mig_print_put(t, "\"");
        mig_print_put(t, out);
        mig_print_put(t, "\"");
    }
    free(out);
}

void mig_devnet_key_format(struct mig_print *t, const uint8_t key[MIG_KEY_LEN])
{
    char out[MIG_KEY_TEXT_MAX];
    mig_key_format(key, out);
    mig_print_printf(t, "\"%s\"", out);
}

void mig_devnet_amount_format(struct mig_print *t, unsigned __int128 value)
{
    char out[MIG_AMOUNT_MAX];
    mig_amount_format(value, out);
    mig_print_printf(t, "\"%s\"", out);
}

void mig_devnet_permission_format(struct mig_print *t, const struct mig_devnet_key *key)
{
    if (key->full_access) {
        mig_print_put(t, "\"FullAccess\"");
        return;
    }
    mig_print_put(t, "{\"FunctionCall\":{\"allowance\":");
    if (key->has_allowance)
        mig_devnet_amount_format(t, key->allowance);
    else
        mig_print_put(t, "null");
    mig_print_put(t, ",\"receiver_id\":");
    mig_print_json(t, key->receiver);
    mig_print_put(t, ",\"method_names\":[");
    for (size_t i = 0; i < key->method_count; i++) {
        mig_print_put(t, i == 0 ? "" : ",");
        mig_print_json(t, key->methods[i]);
    }
    mig_print_put(t, "]}}");
}

static void action_format(struct mig_print *t, const struct mig_devnet_action *a)
{
    switch (a->kind) {
    case MIG_DEVNET_CREATE_ACCOUNT:
        mig_print_put(t, "\"CreateAccount\"");
        return;
    case MIG_DEVNET_FUNCTION_CALL:
        mig_print_put(t, "{\"FunctionCall\":{\"method_name\":");
        mig_print_json(t, a->method);
        mig_print_put(t, ",\"args\":");
        mig_devnet_base64(t, a->args, a->args_len);
        mig_print_printf(t, ",\"gas\":%" PRIu64 ",\"deposit\":", a->gas);
        mig_devnet_amount_format(t, a->amount);
        break;
    case MIG_DEVNET_TRANSFER:
        mig_print_put(t, "{\"Transfer\":{\"deposit\":");
        mig_devnet_amount_format(t, a->amount);
        break;
    case MIG_DEVNET_ADD_KEY:
        mig_print_put(t, "{\"AddKey\":{\"public_key\":");
        mig_devnet_key_format(t, a->key.public_key);
        mig_print_printf(t, ",\"access_key\":{\"nonce\":%" PRIu64 ",\"permission\":", a->key.nonce);
        mig_devnet_permission_format(t, &a->key);
        mig_print_put(t, "}");
        break;
    case MIG_DEVNET_DELETE_KEY:
        mig_print_put(t, "{\"DeleteKey\":{\"public_key\":");
        mig_devnet_key_format(t, a->key.public_key);
        break;
    }
    mig_print_put(t, "}}");
}

void mig_devnet_actions_format(struct mig_print *t, const struct mig_devnet_tx *tx)
{
    mig_print_put(t, "[");
    for (size_t i = 0; i < tx->action_count; i++) {
        mig_print_put(t, i == 0 ? "" : ",");
        action_format(t, &tx->actions[i]);
    }
    mig_print_put(t, "]");
}

void mig_devnet_tx_format(struct mig_print *t, const struct mig_devnet_tx *tx)
{
    char signature[MIG_BASE58_INPUT_MAX];
    mig_print_put(t, "{\"signer_id\":");
    mig_print_json(t, tx->signer);
    mig_print_put(t, ",\"public_key\":");
    mig_devnet_key_format(t, tx->public_key);
    mig_print_printf(t, ",\"nonce\":%" PRIu64 ",\"receiver_id\":", tx->nonce);
    mig_print_json(t, tx->receiver);
    mig_print_put(t, ",\"actions\":");
    mig_devnet_actions_format(t, tx);
    if (mig_base58_encode(tx->signature, MIG_SIG_LEN, signature, sizeof signature) != MIG_OK)
        t->failed = true;
    mig_print_printf(t, ",\"priority_fee\":0,\"signature\":\"ed25519:%s\",\"hash\":", signature);
    mig_devnet_base58(t, tx->hash, MIG_DIGEST_LEN);
    mig_print_put(t, "}");
}

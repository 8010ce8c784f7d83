/* SPDX-License-Identifier: MIT */
#include "chain/tx.h"

#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "crypto/encoding.h"
#include "crypto/exchange.h"

enum { KEY_ED25519 = 0, PERMISSION_CALL = 0 }; /* borsh's numbers */

/* Written twice: once to count, once into the buffer. */
struct borsh {
    uint8_t *bytes; /* NULL while counting */
    size_t len;
};

static void put(struct borsh *b, const void *bytes, size_t len)
{
    if (b->bytes != NULL && len > 0)
        memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static void put_number(struct borsh *b, uint64_t v, size_t size)
{
    uint8_t little[8];
    for (size_t i = 0; i < size; i++)
        little[i] = (uint8_t)(v >> 8 * i);
    put(b, little, size);
}

static void put_u128(struct borsh *b, struct mig_u128 v)
{
    put_number(b, v.low, 8);
    put_number(b, v.high, 8);
}

static void put_bytes(struct borsh *b, const void *bytes, size_t len)
{
    put_number(b, len, 4);
    put(b, bytes, len);
}

static void put_string(struct borsh *b, const char *text)
{
    put_bytes(b, text, strlen(text));
}

static void put_key(struct borsh *b, const uint8_t key[MIG_KEY_LEN])
{
    put_number(b, KEY_ED25519, 1);
    put(b, key, MIG_KEY_LEN);
}

static void put_action(struct borsh *b, const struct mig_action *a)
{
    put_number(b, a->kind, 1);
    switch (a->kind) {
    case MIG_ACTION_CALL:
        put_string(b, a->call.method);
        put_bytes(b, a->call.args, a->call.args_len);
        put_number(b, a->call.gas, 8);
        put_u128(b, a->call.deposit);
        return;
    case MIG_ACTION_ADD_KEY:
        put_key(b, a->add_key.key);
        put_number(b, a->add_key.nonce, 8);
        put_number(b, PERMISSION_CALL, 1);
        put_number(b, a->add_key.has_allowance, 1);
        if (a->add_key.has_allowance)
            put_u128(b, a->add_key.allowance);
        put_string(b, a->add_key.receiver);
        put_number(b, a->add_key.method_count, 4);
        for (size_t i = 0; i < a->add_key.method_count; i++)
            put_string(b, a->add_key.methods[i]);
        return;
    }
}

static void put_tx(struct borsh *b, const struct mig_tx *tx)
{
    put_string(b, tx->signer);
    put_key(b, tx->key);
    put_number(b, tx->nonce, 8);
    put_string(b, tx->receiver);
    put(b, tx->block_hash, sizeof tx->block_hash);
    put_number(b, tx->action_count, 4);
    for (size_t i = 0; i < tx->action_count; i++)
        put_action(b, &tx->actions[i]);
}

static bool is_sane(const struct mig_tx *tx)
{
    if (!mig_account_is_valid(tx->signer, strlen(tx->signer)) ||
        !mig_account_is_valid(tx->receiver, strlen(tx->receiver)) || tx->action_count == 0 ||
        tx->action_count > MIG_TX_ACTIONS_MAX)
        return false;
    for (size_t i = 0; i < tx->action_count; i++)
        if (tx->actions[i].kind == MIG_ACTION_CALL &&
            (tx->actions[i].call.args_len > MIG_TX_ARGS_MAX ||
             tx->actions[i].call.method[0] == '\0'))
            return false;
    return true;
}

/* The encoding, with room for `extra` bytes behind it. */
static enum mig_err encode(const struct mig_tx *tx, size_t extra, struct borsh *out)
{
    struct borsh count = {0};
    *out = count;
    if (!is_sane(tx))
        return MIG_ERR_MALFORMED;
    put_tx(&count, tx);
    out->bytes = malloc(count.len + extra);
    if (out->bytes == NULL)
        return MIG_ERR_NOMEM;
    put_tx(out, tx);
    return MIG_OK;
}

enum mig_err mig_tx_encode(const struct mig_tx *tx, uint8_t **out, size_t *out_len,
                           uint8_t hash[MIG_DIGEST_LEN])
{
    struct borsh b;
    enum mig_err err = encode(tx, 0, &b);
    *out = b.bytes;
    *out_len = b.len;
    if (err == MIG_OK)
        mig_sha256(b.bytes, b.len, hash);
    return err;
}

enum mig_err mig_tx_sign(const struct mig_tx *tx, const struct mig_identity *id, uint8_t **out,
                         size_t *out_len, uint8_t hash[MIG_DIGEST_LEN])
{
    struct mig_tx own = *tx;
    uint8_t signature[MIG_SIG_LEN];
    struct borsh b;
    *out = NULL;
    *out_len = 0;
    memcpy(own.key, id->public_key, MIG_KEY_LEN);
    enum mig_err err = encode(&own, 1 + MIG_SIG_LEN, &b);
    if (err != MIG_OK)
        return err;
    mig_sha256(b.bytes, b.len, hash);
    err = mig_identity_sign(id, hash, MIG_DIGEST_LEN, signature);
    if (err != MIG_OK) {
        free(b.bytes);
        return err;
    }
    put_number(&b, KEY_ED25519, 1);
    put(&b, signature, sizeof signature);
    *out = b.bytes;
    *out_len = b.len;
    return MIG_OK;
}

void mig_hash_format(const uint8_t hash[MIG_DIGEST_LEN], char out[MIG_HASH_TEXT_MAX])
{
    if (mig_base58_encode(hash, MIG_DIGEST_LEN, out, MIG_HASH_TEXT_MAX) != MIG_OK)
        out[0] = '\0'; /* 32 bytes always fit */
}

enum mig_err mig_hash_parse(const char *text, uint8_t hash[MIG_DIGEST_LEN])
{
    size_t len = 0, text_len = strlen(text);
    if (text_len >= MIG_HASH_TEXT_MAX ||
        mig_base58_decode(text, text_len, hash, MIG_DIGEST_LEN, &len) != MIG_OK ||
        len != MIG_DIGEST_LEN)
        return MIG_ERR_MALFORMED;
    return MIG_OK;
}

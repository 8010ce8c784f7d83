/* SPDX-License-Identifier: MIT */
#include "backup/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/container.h"

/* Long enough for the whole exchange, short enough to be worthless after it. */
enum { LIFETIME = 60 };

#define BACKUP_PATH "/shares_backup"
#define RECOVER_PATH "/shares_recover"

static const struct {
    const char *method, *path;
    enum mig_direction direction;
} resources[] = {
    [MIG_ASK_FETCH] = {"GET", BACKUP_PATH, MIG_BACKUP},
    [MIG_ASK_RECEIPT] = {"POST", BACKUP_PATH, MIG_BACKUP},
    [MIG_ASK_OFFER] = {"GET", RECOVER_PATH, MIG_RECOVER},
    [MIG_ASK_UPLOAD] = {"PUT", RECOVER_PATH, MIG_RECOVER},
};

static struct mig_text text_of(const char *text)
{
    return (struct mig_text){text, strlen(text)};
}

static void add_field(struct mig_ask *ask, const char *name, struct mig_text value)
{
    ask->fields[ask->message.field_count++] =
        (struct mig_field){.name = text_of(name), .value = value};
}

static enum mig_err copy_name(const char *from, char to[MIG_ACCOUNT_MAX + 1])
{
    size_t len = strlen(from);
    if (len > MIG_ACCOUNT_MAX)
        return MIG_ERR_MALFORMED;
    memcpy(to, from, len + 1);
    return MIG_OK;
}

static enum mig_err fill_context(const struct mig_peer *peer, const struct mig_keyset *keyset,
                                 struct mig_ask *ask)
{
    struct mig_context *context = &ask->context;
    enum mig_err err = copy_name(peer->contract, context->contract);
    if (err == MIG_OK)
        err = copy_name(peer->account, context->account);
    if (err != MIG_OK)
        return err;
    memcpy(context->node, peer->node, MIG_KEY_LEN);
    memcpy(context->service, peer->service->public_key, MIG_KEY_LEN);
    context->direction = resources[ask->kind].direction;
    context->announce = peer->announce;
    context->epoch = keyset->epoch;
    mig_keyset_digest(peer->contract, keyset, context->keyset);
    context->has_operator_tag = peer->operator_key != NULL;
    if (context->has_operator_tag)
        mig_operator_tag(peer->operator_key, context->operator_tag);
    return MIG_OK;
}

static void set_key(const uint8_t *key, bool *has, uint8_t out[MIG_KEY_LEN])
{
    *has = key != NULL;
    if (*has)
        memcpy(out, key, MIG_KEY_LEN);
}

static enum mig_err start(const struct mig_peer *peer, const struct mig_keyset *keyset,
                          enum mig_ask_kind kind, const uint8_t *client_key,
                          const uint8_t *node_key, struct mig_ask *ask)
{
    *ask = (struct mig_ask){.kind = kind};
    enum mig_err err = fill_context(peer, keyset, ask);
    if (err != MIG_OK)
        return err;
    set_key(client_key, &ask->context.has_client_key, ask->context.client_key);
    set_key(node_key, &ask->context.has_node_key, ask->context.node_key);
    return mig_context_format(&ask->context, ask->context_text, sizeof ask->context_text,
                              &ask->context_len);
}

static void describe_body(struct mig_ask *ask)
{
    uint8_t digest[MIG_DIGEST_LEN];
    mig_sha256(ask->body, ask->body_len, digest);
    mig_digest_field_format(digest, ask->digest);
    (void)snprintf(ask->length, sizeof ask->length, "%zu", ask->body_len);
    add_field(ask, "Content-Type", text_of(MIG_SEALED_TYPE));
    add_field(ask, "Content-Length", text_of(ask->length));
    add_field(ask, "Content-Digest", text_of(ask->digest));
}

static enum mig_err finish(const struct mig_peer *peer, uint64_t now, struct mig_ask *ask)
{
    mig_nonce_new(ask->nonce);
    ask->created = now;
    ask->message.method = text_of(resources[ask->kind].method);
    ask->message.target = text_of(resources[ask->kind].path);
    ask->message.authority = text_of(peer->authority);
    ask->message.fields = ask->fields;
    add_field(ask, "Host", ask->message.authority);
    add_field(ask, "Mpc-Migration-Context", (struct mig_text){ask->context_text, ask->context_len});
    if (ask->body != NULL)
        describe_body(ask);
    enum mig_err err = mig_request_sign(&ask->message, peer->service, ask->nonce, now,
                                        now + LIFETIME, &ask->signature);
    if (err != MIG_OK)
        return err;
    add_field(ask, "Signature-Input", text_of(ask->signature.input));
    add_field(ask, "Signature", text_of(ask->signature.signature));
    return MIG_OK;
}

enum mig_err mig_ask_fetch(const struct mig_peer *peer, const struct mig_keyset *keyset,
                           const struct mig_ephemeral *own, const uint8_t *node_key, uint64_t now,
                           struct mig_ask *ask)
{
    enum mig_err err = start(peer, keyset, MIG_ASK_FETCH, own->public_key, node_key, ask);
    return err == MIG_OK ? finish(peer, now, ask) : err;
}

enum mig_err mig_ask_receipt(const struct mig_peer *peer, const char *final_context, uint64_t now,
                             struct mig_ask *ask)
{
    *ask = (struct mig_ask){.kind = MIG_ASK_RECEIPT, .context_len = strlen(final_context)};
    enum mig_err err = mig_context_parse(final_context, ask->context_len, &ask->context);
    if (err != MIG_OK)
        return err;
    memcpy(ask->context_text, final_context, ask->context_len + 1);
    return finish(peer, now, ask);
}

enum mig_err mig_ask_offer(const struct mig_peer *peer, const struct mig_keyset *keyset,
                           uint64_t now, struct mig_ask *ask)
{
    enum mig_err err = start(peer, keyset, MIG_ASK_OFFER, NULL, NULL, ask);
    return err == MIG_OK ? finish(peer, now, ask) : err;
}

static enum mig_err seal_plain(const struct mig_secret *key, const struct mig_secret *plain,
                               size_t plain_len, struct mig_ask *ask)
{
    size_t cap = mig_sealed_len(plain_len);
    if (cap == 0)
        return MIG_ERR_MALFORMED;
    ask->body = malloc(cap);
    if (ask->body == NULL)
        return MIG_ERR_NOMEM;
    return mig_container_seal(key, plain->bytes, plain_len, ask->body, cap, &ask->body_len);
}

static enum mig_err seal_shares(const struct mig_peer *peer, const struct mig_keyset *keyset,
                                const struct mig_secret *shares, const struct mig_ephemeral *own,
                                struct mig_ask *ask)
{
    size_t plain_len = 0;
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    struct mig_secret *plain = mig_secret_new(mig_shares_plain_len(keyset));
    enum mig_err err = MIG_ERR_NOMEM;
    if (key == NULL || plain == NULL)
        goto out;
    err = mig_shares_encode(keyset, (const uint8_t(*)[MIG_SHARE_LEN])shares->bytes, plain,
                            &plain_len);
    if (err == MIG_OK)
        err = mig_exchange(own, MIG_ROLE_SERVICE, ask->context.node_key, MIG_RECOVER,
                           ask->context_text, ask->context_len, peer->operator_key, key);
    if (err == MIG_OK)
        err = seal_plain(key, plain, plain_len, ask);
out:
    mig_secret_free(&plain);
    mig_secret_free(&key);
    return err;
}

enum mig_err mig_ask_upload(const struct mig_peer *peer, const struct mig_keyset *keyset,
                            const struct mig_secret *shares, const struct mig_ephemeral *own,
                            const uint8_t node_key[MIG_KEY_LEN], uint64_t now, struct mig_ask *ask)
{
    enum mig_err err = start(peer, keyset, MIG_ASK_UPLOAD, own->public_key, node_key, ask);
    if (err == MIG_OK && shares->len != keyset->count * MIG_SHARE_LEN)
        err = MIG_ERR_BUG;
    if (err == MIG_OK)
        err = seal_shares(peer, keyset, shares, own, ask);
    if (err == MIG_OK)
        err = finish(peer, now, ask);
    return err;
}

void mig_ask_clear(struct mig_ask *ask)
{
    free(ask->body);
    *ask = (struct mig_ask){0};
}

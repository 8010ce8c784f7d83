/* SPDX-License-Identifier: MIT */
#include "backup/call.h"

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
    [MIG_CALL_FETCH] = {"GET", BACKUP_PATH, MIG_BACKUP},
    [MIG_CALL_RECEIPT] = {"POST", BACKUP_PATH, MIG_BACKUP},
    [MIG_CALL_OFFER] = {"GET", RECOVER_PATH, MIG_RECOVER},
    [MIG_CALL_UPLOAD] = {"PUT", RECOVER_PATH, MIG_RECOVER},
};

static struct mig_text text_of(const char *text)
{
    return (struct mig_text){text, strlen(text)};
}

static void add_field(struct mig_call *call, const char *name, struct mig_text value)
{
    call->fields[call->message.field_count++] =
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
                                 struct mig_call *call)
{
    struct mig_context *context = &call->context;
    enum mig_err err = copy_name(peer->contract, context->contract);
    if (err == MIG_OK)
        err = copy_name(peer->account, context->account);
    if (err != MIG_OK)
        return err;
    memcpy(context->node, peer->node, MIG_KEY_LEN);
    memcpy(context->service, peer->service->public_key, MIG_KEY_LEN);
    context->direction = resources[call->kind].direction;
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
                          enum mig_call_kind kind, const uint8_t *client_key,
                          const uint8_t *node_key, struct mig_call *call)
{
    *call = (struct mig_call){.kind = kind};
    enum mig_err err = fill_context(peer, keyset, call);
    if (err != MIG_OK)
        return err;
    set_key(client_key, &call->context.has_client_key, call->context.client_key);
    set_key(node_key, &call->context.has_node_key, call->context.node_key);
    return mig_context_format(&call->context, call->context_text, sizeof call->context_text,
                              &call->context_len);
}

static void describe_body(struct mig_call *call)
{
    uint8_t digest[MIG_DIGEST_LEN];
    mig_sha256(call->body, call->body_len, digest);
    mig_digest_field_format(digest, call->digest);
    (void)snprintf(call->length, sizeof call->length, "%zu", call->body_len);
    add_field(call, "Content-Type", text_of(MIG_SEALED_TYPE));
    add_field(call, "Content-Length", text_of(call->length));
    add_field(call, "Content-Digest", text_of(call->digest));
}

static enum mig_err finish(const struct mig_peer *peer, uint64_t now, struct mig_call *call)
{
    mig_nonce_new(call->nonce);
    call->created = now;
    call->message.method = text_of(resources[call->kind].method);
    call->message.target = text_of(resources[call->kind].path);
    call->message.authority = text_of(peer->authority);
    call->message.fields = call->fields;
    add_field(call, "Host", call->message.authority);
    add_field(call, "Mpc-Migration-Context",
              (struct mig_text){call->context_text, call->context_len});
    if (call->body != NULL)
        describe_body(call);
    enum mig_err err = mig_request_sign(&call->message, peer->service, call->nonce, now,
                                        now + LIFETIME, &call->signature);
    if (err != MIG_OK)
        return err;
    add_field(call, "Signature-Input", text_of(call->signature.input));
    add_field(call, "Signature", text_of(call->signature.signature));
    return MIG_OK;
}

enum mig_err mig_call_fetch(const struct mig_peer *peer, const struct mig_keyset *keyset,
                            const struct mig_ephemeral *own, const uint8_t *node_key, uint64_t now,
                            struct mig_call *call)
{
    enum mig_err err = start(peer, keyset, MIG_CALL_FETCH, own->public_key, node_key, call);
    return err == MIG_OK ? finish(peer, now, call) : err;
}

enum mig_err mig_call_receipt(const struct mig_peer *peer, const char *final_context, uint64_t now,
                              struct mig_call *call)
{
    *call = (struct mig_call){.kind = MIG_CALL_RECEIPT, .context_len = strlen(final_context)};
    enum mig_err err = mig_context_parse(final_context, call->context_len, &call->context);
    if (err != MIG_OK)
        return err;
    memcpy(call->context_text, final_context, call->context_len + 1);
    return finish(peer, now, call);
}

enum mig_err mig_call_offer(const struct mig_peer *peer, const struct mig_keyset *keyset,
                            uint64_t now, struct mig_call *call)
{
    enum mig_err err = start(peer, keyset, MIG_CALL_OFFER, NULL, NULL, call);
    return err == MIG_OK ? finish(peer, now, call) : err;
}

static enum mig_err seal_plain(const struct mig_secret *key, const struct mig_secret *plain,
                               size_t plain_len, struct mig_call *call)
{
    size_t cap = mig_sealed_len(plain_len);
    if (cap == 0)
        return MIG_ERR_MALFORMED;
    call->body = malloc(cap);
    if (call->body == NULL)
        return MIG_ERR_NOMEM;
    return mig_container_seal(key, plain->bytes, plain_len, call->body, cap, &call->body_len);
}

static enum mig_err seal_shares(const struct mig_peer *peer, const struct mig_keyset *keyset,
                                const struct mig_secret *shares, const struct mig_ephemeral *own,
                                struct mig_call *call)
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
        err = mig_exchange(own, MIG_ROLE_SERVICE, call->context.node_key, MIG_RECOVER,
                           call->context_text, call->context_len, peer->operator_key, key);
    if (err == MIG_OK)
        err = seal_plain(key, plain, plain_len, call);
out:
    mig_secret_free(&plain);
    mig_secret_free(&key);
    return err;
}

enum mig_err mig_call_upload(const struct mig_peer *peer, const struct mig_keyset *keyset,
                             const struct mig_secret *shares, const struct mig_ephemeral *own,
                             const uint8_t node_key[MIG_KEY_LEN], uint64_t now,
                             struct mig_call *call)
{
    enum mig_err err = start(peer, keyset, MIG_CALL_UPLOAD, own->public_key, node_key, call);
    if (err == MIG_OK && shares->len != keyset->count * MIG_SHARE_LEN)
        err = MIG_ERR_BUG;
    if (err == MIG_OK)
        err = seal_shares(peer, keyset, shares, own, call);
    if (err == MIG_OK)
        err = finish(peer, now, call);
    return err;
}

void mig_call_clear(struct mig_call *call)
{
    free(call->body);
    *call = (struct mig_call){0};
}

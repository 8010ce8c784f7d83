/* SPDX-License-Identifier: MIT */
/*
 * The backup service's reading of answers. Reached by whoever answers at the
 * node's address: anyone without the node's key (first half: nothing may be
 * believed), and a hostile node that signs and seals whatever it likes (second
 * half: what is believed must be exactly what was asked for).
 *
 * Input: one byte of choices, then a header block and a body as sent.
 */
#include <stdlib.h>
#include <string.h>

#include "backup/judge.h"
#include "crypto/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1795305600, SHARES = 2 };

static void check(bool holds)
{
    if (!holds)
        abort();
}

struct world {
    struct mig_identity *node, *service;
    struct mig_domain_key domains[SHARES];
    struct mig_keyset keyset;
    struct mig_peer peer;
    struct mig_ephemeral own, theirs;
    struct mig_secret *shares, *key;
    bool ready;
};

static void start(struct world *w)
{
    static const uint8_t seed[2][MIG_SEED_LEN] = {{1}, {2}};
    check(mig_crypto_init() == MIG_OK);
    check(mig_identity_from_seed(seed[0], &w->node) == MIG_OK);
    check(mig_identity_from_seed(seed[1], &w->service) == MIG_OK);
    w->domains[0] = (struct mig_domain_key){
        .domain = 0, .curve = MIG_CURVE_SECP256K1, .key_len = 64, .key = {3}};
    w->domains[1] = (struct mig_domain_key){
        .domain = 1, .attempt = 4, .curve = MIG_CURVE_ED25519, .key_len = 32, .key = {5}};
    w->keyset = (struct mig_keyset){.epoch = 5, .count = SHARES, .domains = w->domains};
    w->peer = (struct mig_peer){.contract = "v1.signer",
                                .account = "alice.near",
                                .service = w->service,
                                .announce = MIG_ANNOUNCE_HEADER,
                                .authority = "node"};
    memcpy(w->peer.node, w->node->public_key, MIG_KEY_LEN);
    check(mig_ephemeral_generate(&w->own) == MIG_OK);
    check(mig_ephemeral_generate(&w->theirs) == MIG_OK);
    w->shares = mig_secret_new(SHARES * MIG_SHARE_LEN);
    w->key = mig_secret_new(MIG_SEALING_KEY_LEN);
    check(w->shares != NULL && w->key != NULL);
    memset(w->shares->bytes, 1, w->shares->len);
    w->ready = true;
}

static void ask(const struct world *w, enum mig_ask_kind kind, struct mig_ask *out)
{
    struct mig_ask fetch = {0};
    enum mig_err err = MIG_ERR_BUG;
    switch (kind) {
    case MIG_ASK_FETCH:
        err = mig_ask_fetch(&w->peer, &w->keyset, &w->own, NULL, NOW, out);
        break;
    case MIG_ASK_RECEIPT:
        check(mig_ask_fetch(&w->peer, &w->keyset, &w->own, w->theirs.public_key, NOW, &fetch) ==
              MIG_OK);
        err = mig_ask_receipt(&w->peer, fetch.context_text, NOW, out);
        mig_ask_clear(&fetch);
        break;
    case MIG_ASK_OFFER:
        err = mig_ask_offer(&w->peer, &w->keyset, NOW, out);
        break;
    case MIG_ASK_UPLOAD:
        err = mig_ask_upload(&w->peer, &w->keyset, w->shares, &w->own, w->theirs.public_key, NOW,
                             out);
        break;
    }
    check(err == MIG_OK);
}

/* Believed answers say what was asked; anything else leaves nothing behind. */
static enum mig_upshot judge(const struct world *w, const struct mig_ask *a,
                             const struct mig_reply *reply)
{
    char final[MIG_CONTEXT_MAX + 1];
    struct mig_acknowledgement ack;
    struct mig_offered offer;
    struct mig_receipt receipt;
    struct mig_result r = {0};
    struct mig_secret *out = mig_secret_new(SHARES * MIG_SHARE_LEN);
    check(out != NULL);
    switch (a->kind) {
    case MIG_ASK_FETCH:
        r = mig_judge_fetch(&w->peer, a, &w->own, &w->keyset, reply, NOW, out, final);
        if (r.upshot == MIG_UPSHOT_OK)
            check(strncmp(final, a->context_text, a->context_len) == 0 &&
                  mig_share_is_reduced(MIG_CURVE_SECP256K1, out->bytes) &&
                  mig_share_is_reduced(MIG_CURVE_ED25519, out->bytes + MIG_SHARE_LEN));
        else
            check(final[0] == '\0' && out->bytes[0] == 0 && out->bytes[MIG_SHARE_LEN] == 0);
        break;
    case MIG_ASK_RECEIPT:
        r = mig_judge_receipt(&w->peer, a, reply, NOW, &ack);
        check((r.upshot == MIG_UPSHOT_OK) == (ack.epoch == w->keyset.epoch));
        break;
    case MIG_ASK_OFFER:
        r = mig_judge_offer(&w->peer, a, reply, NOW, &offer);
        check((r.upshot == MIG_UPSHOT_OK) == (offer.job != MIG_JOB_NONE));
        break;
    case MIG_ASK_UPLOAD:
        r = mig_judge_upload(&w->peer, a, SHARES, reply, NOW, &receipt);
        check((r.upshot == MIG_UPSHOT_OK) == (receipt.shares == SHARES));
        break;
    }
    check(r.why != NULL && r.retry_after <= MIG_WAIT_MAX && strlen(r.code) < MIG_CODE_MAX);
    check(r.code[0] == '\0' || r.upshot == MIG_UPSHOT_RETRY || r.upshot == MIG_UPSHOT_REFUSED);
    mig_secret_free(&out);
    return r.upshot;
}

static bool read_reply(const uint8_t *data, size_t size, struct mig_reply *reply)
{
    const char *p = (const char *)data;
    for (size_t left = size; left > 0 && !reply->head_done;) {
        const char *end = memchr(p, '\n', left);
        size_t len = end != NULL ? (size_t)(end - p) + 1 : left;
        if (mig_reply_line(reply, p, len) != MIG_OK)
            return false;
        p += len;
        left -= len;
    }
    size_t used = (size_t)(p - (const char *)data);
    return reply->head_done && mig_reply_body(reply, p, size - used) == MIG_OK;
}

/* The node seals the body as plaintext, under whatever final context. */
static void seal_body(const struct world *w, const struct mig_ask *a, struct mig_reply *reply)
{
    struct mig_context context = a->context;
    char final[MIG_CONTEXT_MAX + 1];
    size_t len = 0;
    uint8_t *sealed = malloc(MIG_SEALED_MAX);
    context.has_node_key = true;
    memcpy(context.node_key, w->theirs.public_key, MIG_KEY_LEN);
    check(sealed != NULL && mig_context_format(&context, final, sizeof final, &len) == MIG_OK);
    check(mig_exchange(&w->theirs, MIG_ROLE_NODE, a->context.client_key, MIG_BACKUP, final, len,
                       NULL, w->key) == MIG_OK);
    if (mig_container_seal(w->key, reply->body != NULL ? reply->body : (const uint8_t *)"",
                           reply->body_len, sealed, MIG_SEALED_MAX, &len) == MIG_OK) {
        free(reply->body);
        reply->body = sealed;
        reply->body_len = len;
    } else {
        free(sealed);
    }
}

static struct mig_field field(const char *name, const char *value)
{
    return (struct mig_field){{name, strlen(name)}, {value, strlen(value)}};
}

/* Adds what a node that signs anything would add. */
static bool sign(const struct world *w, const struct mig_ask *a, bool good_context,
                 struct mig_reply *reply, char digest_text[MIG_DIGEST_FIELD_LEN],
                 char final[MIG_CONTEXT_MAX + 1], struct mig_signature_fields *signature)
{
    uint8_t digest[MIG_DIGEST_LEN];
    size_t len;
    if (reply->field_count + 4 > MIG_REPLY_FIELDS_MAX)
        return false;
    mig_sha256(reply->body, reply->body_len, digest);
    mig_digest_field_format(digest, digest_text);
    reply->fields[reply->field_count++] = field("content-digest", digest_text);
    if (good_context) {
        struct mig_context context = a->context;
        context.has_node_key = true;
        memcpy(context.node_key, w->theirs.public_key, MIG_KEY_LEN);
        check(mig_context_format(&context, final, MIG_CONTEXT_MAX + 1, &len) == MIG_OK);
        reply->fields[reply->field_count++] = field("mpc-migration-context", final);
    }
    const struct mig_message message = {.status = reply->status,
                                        .fields = reply->fields,
                                        .field_count = reply->field_count,
                                        .request = &a->message};
    const struct mig_text nonce = {a->nonce, strlen(a->nonce)};
    if (mig_response_sign(&message, w->node, nonce, NOW, signature) != MIG_OK)
        return false;
    reply->fields[reply->field_count++] = field("signature-input", signature->input);
    reply->fields[reply->field_count++] = field("signature", signature->signature);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    static struct mig_ask a; /* large */
    struct mig_reply reply = {0};
    char digest[MIG_DIGEST_FIELD_LEN], final[MIG_CONTEXT_MAX + 1];
    struct mig_signature_fields signature;
    if (!world.ready)
        start(&world);
    if (size == 0)
        return 0;
    uint8_t choices = data[0];
    ask(&world, MIG_ASK_FETCH + choices % 4, &a);
    if (read_reply(data + 1, size - 1, &reply)) {
        check(judge(&world, &a, &reply) == MIG_UPSHOT_NO_ANSWER);
        if ((choices & 16) != 0 && a.kind == MIG_ASK_FETCH)
            seal_body(&world, &a, &reply);
        if (sign(&world, &a, (choices & 32) != 0, &reply, digest, final, &signature))
            (void)judge(&world, &a, &reply);
    }
    mig_reply_clear(&reply);
    mig_ask_clear(&a);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The backup service against an honest node (the real handlers) and against a
 * hostile one that holds the node's key and signs whatever it likes.
 */
#include "backup/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/container.h"
#include "crypto/encoding.h"
#include "tests/harness.h"
#include "tests/rig.h"

#define ACCOUNT "alice.near"
#define CONTRACT "v1.signer"

/* One ask of the service and what a node made of it. */
struct talk {
    struct rig rig;
    struct mig_peer peer;
    struct mig_keyset keyset;
    struct mig_ephemeral own;
    struct mig_ask ask;
    struct mig_reply reply;
    struct mig_secret *shares;
    char final[MIG_CONTEXT_MAX + 1];
    uint64_t now;
};

static void open_talk(struct talk *t, const struct rig_options *options)
{
    *t = (struct talk){0};
    rig_open_with(&t->rig, options);
    t->peer =
        (struct mig_peer){.contract = CONTRACT,
                          .account = ACCOUNT,
                          .service = t->rig.backup,
                          .announce = MIG_ANNOUNCE_HEADER,
                          .operator_key = options->with_operator_key ? t->rig.operator_key : NULL,
                          .authority = "node.example"};
    memcpy(t->peer.node, t->rig.node->public_key, MIG_KEY_LEN);
    rig_keyset(&t->rig, &t->keyset);
    CU_ASSERT_EQUAL_FATAL(mig_ephemeral_generate(&t->own), MIG_OK);
    t->shares = mig_secret_new(t->keyset.count * MIG_SHARE_LEN);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t->shares);
    t->now = t->rig.wall_ns / 1000000000;
}

static void start(struct talk *t)
{
    open_talk(t, &(struct rig_options){0});
}

static void end(struct talk *t)
{
    mig_ask_clear(&t->ask);
    mig_reply_clear(&t->reply);
    mig_ephemeral_clear(&t->own);
    mig_keyset_clear(&t->keyset);
    mig_secret_free(&t->shares);
    rig_close(&t->rig);
}

static void add_line(struct talk *t, const struct mig_field *f)
{
    char line[2048];
    int n = snprintf(line, sizeof line, "%.*s: %.*s\r\n", (int)f->name.len, f->name.at,
                     (int)f->value.len, f->value.at);
    CU_ASSERT_TRUE_FATAL(n > 0 && (size_t)n < sizeof line);
    CU_ASSERT_EQUAL(mig_reply_line(&t->reply, line, (size_t)n), MIG_OK);
}

static void receive(struct talk *t, unsigned status, const struct mig_field *fields, size_t count,
                    const void *body, size_t body_len)
{
    char line[64];
    mig_reply_clear(&t->reply);
    int n = snprintf(line, sizeof line, "HTTP/1.1 %u Word\r\n", status);
    CU_ASSERT_EQUAL(mig_reply_line(&t->reply, line, (size_t)n), MIG_OK);
    for (size_t i = 0; i < count; i++)
        add_line(t, &fields[i]);
    CU_ASSERT_EQUAL(mig_reply_line(&t->reply, "\r\n", 2), MIG_OK);
    CU_ASSERT_EQUAL(mig_reply_body(&t->reply, body, body_len), MIG_OK);
}

/* Hands the ask to the real handlers. */
static void ask_honest_node(struct talk *t)
{
    struct mig_exchange *x = NULL;
    int64_t length = t->ask.body != NULL              ? (int64_t)t->ask.body_len
                     : t->ask.kind == MIG_ASK_RECEIPT ? 0
                                                      : -1;
    if (mig_exchange_begin(t->rig.service, &t->ask.message, length, &t->rig.peer, &x) ==
        MIG_STEP_BODY) {
        mig_exchange_body(x, t->ask.body, t->ask.body_len);
        mig_exchange_finish(x);
    }
    const struct mig_response *r = mig_exchange_response(x);
    receive(t, r->status, r->fields, r->field_count, r->body, r->body_len);
    mig_exchange_end(&x);
}

/* A hostile node's answer; signed with `key` unless that is NULL. */
struct forged {
    unsigned status;
    const char *type, *context, *retry_after;
    const void *body;
    size_t body_len;
    const struct mig_identity *key;
    const char *nonce;                 /* NULL: the request's */
    const struct mig_message *request; /* NULL: the ask's */
    const void *digest_of;             /* NULL: of the body */
};

static struct mig_field field(const char *name, const char *value)
{
    return (struct mig_field){{name, strlen(name)}, {value, strlen(value)}};
}

static void forge(struct talk *t, const struct forged *f)
{
    struct mig_field fields[10];
    struct mig_signature_fields signature;
    char digest_text[MIG_DIGEST_FIELD_LEN];
    uint8_t digest[MIG_DIGEST_LEN];
    const char *nonce = f->nonce != NULL ? f->nonce : t->ask.nonce;
    size_t n = 0;
    mig_sha256(f->digest_of != NULL ? f->digest_of : f->body, f->body_len, digest);
    mig_digest_field_format(digest, digest_text);
    fields[n++] = field("Content-Type", f->type);
    fields[n++] = field("Content-Digest", digest_text);
    if (f->context != NULL)
        fields[n++] = field("Mpc-Migration-Context", f->context);
    if (f->retry_after != NULL)
        fields[n++] = field("Retry-After", f->retry_after);
    struct mig_message message = {.status = f->status, .fields = fields, .field_count = n};
    message.request = f->request != NULL ? f->request : &t->ask.message;
    if (f->key != NULL) {
        CU_ASSERT_EQUAL(mig_response_sign(&message, f->key, (struct mig_text){nonce, strlen(nonce)},
                                          t->now, &signature),
                        MIG_OK);
        fields[n++] = field("Signature-Input", signature.input);
        fields[n++] = field("Signature", signature.signature);
    }
    receive(t, f->status, fields, n, f->body, f->body_len);
}

static void forge_json(struct talk *t, unsigned status, const char *json)
{
    forge(t,
          &(struct forged){.status = status,
                           .type = status >= 400 ? "application/problem+json" : "application/json",
                           .body = json,
                           .body_len = strlen(json),
                           .key = t->rig.node});
}

static void call_fetch(struct talk *t)
{
    mig_ask_clear(&t->ask);
    CU_ASSERT_EQUAL_FATAL(mig_ask_fetch(&t->peer, &t->keyset, &t->own, NULL, t->now, &t->ask),
                          MIG_OK);
}

static struct mig_result judge_fetch(struct talk *t)
{
    memset(t->shares->bytes, 0xaa, t->shares->len);
    struct mig_result r = mig_judge_fetch(&t->peer, &t->ask, &t->own, &t->keyset, &t->reply, t->now,
                                          t->shares, t->final);
    /* Nothing is left of an answer that is not good. */
    bool empty = true;
    for (size_t i = 0; i < t->shares->len; i++)
        empty = empty && t->shares->bytes[i] == 0;
    CU_ASSERT_EQUAL(empty, r.upshot != MIG_UPSHOT_OK);
    CU_ASSERT_EQUAL(t->final[0] == '\0', r.upshot != MIG_UPSHOT_OK);
    CU_ASSERT_PTR_NOT_NULL(r.why);
    return r;
}

static enum mig_upshot fetched(struct talk *t)
{
    return judge_fetch(t).upshot;
}

/* Seals like a node: `plain` to this client key under this final context. */
static void seal_answer(struct talk *t, const char *final, const struct mig_ephemeral *node,
                        const uint8_t *plain, size_t plain_len, uint8_t *out, size_t *len)
{
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    CU_ASSERT_EQUAL_FATAL(mig_exchange(node, MIG_ROLE_NODE, t->own.public_key, MIG_BACKUP, final,
                                       strlen(final), t->peer.operator_key, key),
                          MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_container_seal(key, plain, plain_len, out, MIG_SEALED_MAX, len),
                          MIG_OK);
    mig_secret_free(&key);
}

/* The whole answer to a fetch, of a node that serves these shares. */
static void forge_fetch(struct talk *t, const struct mig_keyset *keyset, const uint8_t *plain,
                        size_t plain_len)
{
    static uint8_t sealed[MIG_SEALED_MAX];
    struct mig_ephemeral node = {0};
    struct mig_context context = t->ask.context;
    char final[MIG_CONTEXT_MAX + 1];
    size_t len = 0;
    struct mig_secret *encoded = mig_secret_new(mig_shares_plain_len(keyset));
    CU_ASSERT_EQUAL_FATAL(mig_ephemeral_generate(&node), MIG_OK);
    context.has_node_key = true;
    memcpy(context.node_key, node.public_key, MIG_KEY_LEN);
    CU_ASSERT_EQUAL_FATAL(mig_context_format(&context, final, sizeof final, &len), MIG_OK);
    if (plain == NULL) {
        CU_ASSERT_EQUAL_FATAL(mig_shares_encode(keyset,
                                                (const uint8_t(*)[MIG_SHARE_LEN])t->rig.shares,
                                                encoded, &plain_len),
                              MIG_OK);
        plain = encoded->bytes;
    }
    seal_answer(t, final, &node, plain, plain_len, sealed, &len);
    forge(t, &(struct forged){.status = 200,
                              .type = MIG_SEALED_TYPE,
                              .context = final,
                              .body = sealed,
                              .body_len = len,
                              .key = t->rig.node});
    mig_secret_free(&encoded);
    mig_ephemeral_clear(&node);
}

/* ---- an honest node ---------------------------------------------------- */

static void fetches_acknowledges_and_knows_again(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    ask_honest_node(&t);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_OK);
    CU_ASSERT_TRUE(mig_equal(t.shares->bytes, t.rig.shares, t.shares->len));

    struct mig_acknowledgement ack;
    mig_ask_clear(&t.ask);
    CU_ASSERT_EQUAL_FATAL(mig_ask_receipt(&t.peer, t.final, t.now, &t.ask), MIG_OK);
    ask_honest_node(&t);
    struct mig_result r = mig_judge_receipt(&t.peer, &t.ask, &t.reply, t.now, &ack);
    CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_OK);
    CU_ASSERT_TRUE(ack.known);
    CU_ASSERT_EQUAL(ack.epoch, t.keyset.epoch);
    end(&t);
}

static void fetches_with_an_operator_key(void)
{
    struct talk t;
    open_talk(&t, &(struct rig_options){.with_operator_key = true});
    call_fetch(&t);
    CU_ASSERT_TRUE(t.ask.context.has_operator_tag);
    ask_honest_node(&t);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_OK);

    /* Without it the node says so, and that this will not change by itself. */
    t.peer.operator_key = NULL;
    call_fetch(&t);
    ask_honest_node(&t);
    struct mig_result r = judge_fetch(&t);
    CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_REFUSED);
    CU_ASSERT_STRING_EQUAL(r.code, "operator_key");
    CU_ASSERT_STRING_EQUAL(r.why, "the operator key here is not the node's");
    end(&t);
}

static struct mig_result judge_offer(struct talk *t, struct mig_offered *offer)
{
    return mig_judge_offer(&t->peer, &t->ask, &t->reply, t->now, offer);
}

static void call_offer(struct talk *t)
{
    mig_ask_clear(&t->ask);
    CU_ASSERT_EQUAL_FATAL(mig_ask_offer(&t->peer, &t->keyset, t->now, &t->ask), MIG_OK);
}

static void call_upload(struct talk *t, const uint8_t node_key[MIG_KEY_LEN])
{
    mig_ask_clear(&t->ask);
    memcpy(t->shares->bytes, t->rig.shares, t->shares->len);
    CU_ASSERT_EQUAL_FATAL(
        mig_ask_upload(&t->peer, &t->keyset, t->shares, &t->own, node_key, t->now, &t->ask),
        MIG_OK);
}

static void delivers_to_a_destination(void)
{
    struct talk t;
    struct mig_offered offer;
    struct mig_receipt receipt;
    open_talk(&t, &(struct rig_options){.is_destination = true});
    call_offer(&t);
    ask_honest_node(&t);
    CU_ASSERT_EQUAL_FATAL(judge_offer(&t, &offer).upshot, MIG_UPSHOT_OK);
    CU_ASSERT_EQUAL(offer.job, MIG_JOB_WAITING);
    CU_ASSERT_TRUE(offer.has_node_key);

    call_upload(&t, offer.node_key);
    ask_honest_node(&t);
    struct mig_result r =
        mig_judge_upload(&t.peer, &t.ask, t.keyset.count, &t.reply, t.now, &receipt);
    CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_OK);
    CU_ASSERT_EQUAL(r.status, 201);
    CU_ASSERT_EQUAL(receipt.shares, t.keyset.count);
    CU_ASSERT_TRUE(mig_equal(t.rig.imported, t.rig.shares, t.shares->len));

    /* The offer is spent: another upload is told to ask again. */
    call_upload(&t, offer.node_key);
    ask_honest_node(&t);
    r = mig_judge_upload(&t.peer, &t.ask, t.keyset.count, &t.reply, t.now, &receipt);
    CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_RETRY);
    CU_ASSERT_STRING_EQUAL(r.code, "offer_unknown");
    end(&t);
}

static void learns_what_an_honest_node_refuses(void)
{
    struct talk t;
    struct mig_offered offer;
    start(&t);
    t.rig.world.protocol = MIG_PROTOCOL_RESHARING;
    rig_tell(&t.rig);
    t.now = t.rig.wall_ns / 1000000000;
    call_fetch(&t);
    ask_honest_node(&t);
    struct mig_result r = judge_fetch(&t);
    CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_RETRY);
    CU_ASSERT_EQUAL(r.status, 503);
    CU_ASSERT_STRING_EQUAL(r.code, "not_running");

    t.rig.world.protocol = MIG_PROTOCOL_RUNNING;
    rig_tell(&t.rig);
    t.now = t.rig.wall_ns / 1000000000;
    call_offer(&t);
    ask_honest_node(&t);
    r = judge_offer(&t, &offer);
    CU_ASSERT_NOT_EQUAL(r.upshot, MIG_UPSHOT_BROKEN);
    CU_ASSERT_NOT_EQUAL(r.upshot, MIG_UPSHOT_NO_ANSWER);
    end(&t);
}

static void an_unregistered_key_gets_no_answer(void)
{
    struct talk t;
    start(&t);
    t.peer.service = t.rig.rotated;
    call_fetch(&t);
    ask_honest_node(&t);
    struct mig_result r = judge_fetch(&t);
    CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_NO_ANSWER);
    CU_ASSERT_EQUAL(r.status, 401);
    CU_ASSERT_STRING_EQUAL(r.code, "");
    end(&t);
}

/* ---- a hostile node ---------------------------------------------------- */

static void accepts_its_own_forgery_as_a_control(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge_fetch(&t, &t.keyset, NULL, 0);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_OK);
    end(&t);
}

static void an_unsigned_answer_is_no_answer(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    static const unsigned statuses[] = {200, 201, 204, 301, 400, 401, 403, 409, 421, 429, 500, 503};
    const char *gone = "{\"type\":\"about:blank\",\"title\":\"decommissioned\",\"status\":403,"
                       "\"code\":\"decommissioned\",\"retryable\":false}";
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        forge(&t, &(struct forged){.status = statuses[i],
                                   .type = "application/problem+json",
                                   .body = gone,
                                   .body_len = strlen(gone),
                                   .retry_after = "86400"});
        struct mig_result r = judge_fetch(&t);
        CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_NO_ANSWER);
        CU_ASSERT_EQUAL(r.status, statuses[i]);
        CU_ASSERT_STRING_EQUAL(r.code, "");
        CU_ASSERT_EQUAL(r.retry_after, MIG_WAIT_MAX);
    }
    mig_reply_clear(&t.reply);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);
    end(&t);
}

static void rejects_signatures_by_another_key(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge(&t, &(struct forged){.status = 200,
                               .type = MIG_SEALED_TYPE,
                               .body = "x",
                               .body_len = 1,
                               .key = t.rig.other});
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);
    end(&t);
}

static void rejects_another_nonce(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge(&t, &(struct forged){.status = 200,
                               .type = MIG_SEALED_TYPE,
                               .body = "x",
                               .body_len = 1,
                               .key = t.rig.node,
                               .nonce = "AAAAAAAAAAAAAAAAAAAAAA"});
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);
    end(&t);
}

static void rejects_an_answer_to_another_request(void)
{
    struct talk t;
    start(&t);
    /* The very answer to an earlier fetch, replayed. */
    call_fetch(&t);
    forge_fetch(&t, &t.keyset, NULL, 0);
    call_fetch(&t);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);

    /* The same nonce, but signed to another resource. */
    struct mig_message other = t.ask.message;
    other.target = MIG_TEXT("/shares_recover");
    forge(&t, &(struct forged){.status = 200,
                               .type = MIG_SEALED_TYPE,
                               .body = "x",
                               .body_len = 1,
                               .key = t.rig.node,
                               .request = &other});
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);
    end(&t);
}

static void rejects_a_swapped_body(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge(&t, &(struct forged){.status = 200,
                               .type = MIG_SEALED_TYPE,
                               .body = "xy",
                               .body_len = 2,
                               .digest_of = "yx",
                               .key = t.rig.node});
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);

    /* A good answer, cut or extended on the way. */
    forge_fetch(&t, &t.keyset, NULL, 0);
    t.reply.body_len--;
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);
    t.reply.body_len++;
    CU_ASSERT_EQUAL(mig_reply_body(&t.reply, "", 1), MIG_OK);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);
    end(&t);
}

static void rejects_another_status_than_the_signed_one(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge_fetch(&t, &t.keyset, NULL, 0);
    t.reply.status = 201;
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_NO_ANSWER);
    end(&t);
}

static void forge_with_context(struct talk *t, const char *context)
{
    forge(t, &(struct forged){.status = 200,
                              .type = MIG_SEALED_TYPE,
                              .context = context,
                              .body = "x",
                              .body_len = 1,
                              .key = t->rig.node});
}

static void compares_the_context_before_any_key_exchange(void)
{
    struct talk t;
    char text[MIG_CONTEXT_MAX + 1];
    size_t len;
    start(&t);
    call_fetch(&t);
    const char *why = "the answer's context is not the request's";
    forge_with_context(&t, NULL);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, why);
    forge_with_context(&t, t.ask.context_text); /* without node-key */
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, why);
    forge_with_context(&t, "rubbish");
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, why);

    struct mig_context c = t.ask.context;
    c.has_node_key = true;
    memcpy(c.node_key, t.own.public_key, MIG_KEY_LEN);
    c.epoch++;
    CU_ASSERT_EQUAL(mig_context_format(&c, text, sizeof text, &len), MIG_OK);
    forge_with_context(&t, text);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, why);
    c.epoch--;
    c.client_key[0] ^= 1;
    CU_ASSERT_EQUAL(mig_context_format(&c, text, sizeof text, &len), MIG_OK);
    forge_with_context(&t, text);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, why);
    CU_ASSERT_EQUAL(judge_fetch(&t).upshot, MIG_UPSHOT_BROKEN);
    c.client_key[0] ^= 1;
    CU_ASSERT_EQUAL(mig_context_format(&c, text, sizeof text, &len), MIG_OK);
    forge_with_context(&t, text); /* the right one: the body is what is wrong now */
    CU_ASSERT_STRING_NOT_EQUAL(judge_fetch(&t).why, why);
    end(&t);
}

static void rejects_a_node_key_of_low_order(void)
{
    struct talk t;
    char text[MIG_CONTEXT_MAX + 1];
    size_t len;
    start(&t);
    call_fetch(&t);
    struct mig_context c = t.ask.context;
    c.has_node_key = true; /* all zero */
    CU_ASSERT_EQUAL(mig_context_format(&c, text, sizeof text, &len), MIG_OK);
    forge_with_context(&t, text);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, "the node's ephemeral key is not usable");
    end(&t);
}

static void rejects_shares_of_another_attempt_key_or_set(void)
{
    struct talk t;
    struct mig_keyset other;
    start(&t);
    call_fetch(&t);
    const char *incomplete = "the shares are not exactly those of the contract's keyset";
    CU_ASSERT_EQUAL_FATAL(mig_keyset_copy(&t.keyset, &other), MIG_OK);
    other.domains[0].attempt++;
    forge_fetch(&t, &other, NULL, 0);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, incomplete);
    other.domains[0].attempt--;
    other.epoch++;
    forge_fetch(&t, &other, NULL, 0);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, incomplete);
    other.epoch--;
    other.count--;
    forge_fetch(&t, &other, NULL, 0);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, incomplete);
    other.count++;
    other.domains[0].key[0] ^= 1;
    forge_fetch(&t, &other, NULL, 0);
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why,
                           "the shares are for other public keys than the contract's");
    CU_ASSERT_EQUAL(judge_fetch(&t).upshot, MIG_UPSHOT_BROKEN);
    mig_keyset_clear(&other);
    end(&t);
}

static void rejects_zero_shares_and_rubbish_inside_the_seal(void)
{
    struct talk t;
    static const uint8_t zeros[1024];
    start(&t);
    call_fetch(&t);
    size_t len = 0;
    struct mig_secret *plain = mig_secret_new(mig_shares_plain_len(&t.keyset));
    CU_ASSERT_EQUAL_FATAL(
        mig_shares_encode(&t.keyset, (const uint8_t(*)[MIG_SHARE_LEN])t.rig.shares, plain, &len),
        MIG_OK);
    forge_fetch(&t, &t.keyset, plain->bytes, len);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_OK);
    memset(plain->bytes + len - MIG_SHARE_LEN, 0, MIG_SHARE_LEN);
    forge_fetch(&t, &t.keyset, plain->bytes, len);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_BROKEN);
    mig_secret_free(&plain);
    forge_fetch(&t, &t.keyset, zeros, 0);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_BROKEN);
    forge_fetch(&t, &t.keyset, zeros, sizeof zeros);
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_BROKEN);
    end(&t);
}

static void rejects_success_of_the_wrong_type_or_status(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge_json(&t, 200, "{}");
    CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, "a signed answer of the wrong type");
    forge(&t,
          &(struct forged){.status = 200, .type = MIG_SEALED_TYPE, .body = "", .key = t.rig.node});
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_BROKEN);
    static const unsigned statuses[] = {201, 204, 206, 301, 304};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        forge(&t, &(struct forged){.status = statuses[i],
                                   .type = MIG_SEALED_TYPE,
                                   .body = "x",
                                   .body_len = 1,
                                   .key = t.rig.node});
        CU_ASSERT_STRING_EQUAL(judge_fetch(&t).why, "a signed answer with an unexpected status");
    }
    end(&t);
}

static void reads_signed_problems_and_refuses_shapeless_ones(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge_json(&t, 503, "{\"status\":503,\"code\":\"shares_missing\",\"retryable\":false}");
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_REFUSED);
    forge_json(&t, 503, "{\"status\":503,\"code\":\"stale_view\",\"retryable\":true,\"more\":1}");
    CU_ASSERT_EQUAL(fetched(&t), MIG_UPSHOT_RETRY);
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"status\":503,\"code\":\"a\"}",
        "{\"status\":500,\"code\":\"a\",\"retryable\":true}",
        "{\"status\":503,\"code\":\"a\\nb\",\"retryable\":true}",
        "{\"status\":503,\"code\":\"\",\"retryable\":true}",
        "{\"status\":503,\"code\":7,\"retryable\":true}",
        "{\"status\":503,\"code\":\"a\",\"code\":\"b\",\"retryable\":true}",
        "{\"status\":503,\"code\":\"a\",\"retryable\":1}",
        "{\"status\":503,\"code\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"retryable\":true}",
        "{\"status\":503,\"code\":\"a\",\"retryable\":true} x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        forge_json(&t, 503, bad[i]);
        struct mig_result r = judge_fetch(&t);
        CU_ASSERT_EQUAL(r.upshot, MIG_UPSHOT_BROKEN);
        CU_ASSERT_STRING_EQUAL(r.code, "");
    }
    end(&t);
}

static char *json_text(const struct talk *t, const char *format, uint64_t epoch)
{
    static char text[1024];
    char keyset[MIG_BASE64_LEN(MIG_DIGEST_LEN)];
    CU_ASSERT_EQUAL(mig_base64_encode(t->ask.context.keyset, MIG_DIGEST_LEN, keyset, sizeof keyset),
                    MIG_OK);
    size_t used = 0;
    for (const char *p = format; *p != '\0' && used < sizeof text - 80; p++) {
        if (*p == '@')
            used += (size_t)snprintf(text + used, sizeof text - used, "%llu",
                                     (unsigned long long)epoch);
        else if (*p == '#')
            used += (size_t)snprintf(text + used, sizeof text - used, "%s", keyset);
        else
            text[used++] = *p;
    }
    text[used] = '\0';
    return text;
}

#define ZERO64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void refuses_offers_that_contradict_themselves(void)
{
    struct talk t;
    struct mig_offered offer;
    start(&t);
    call_offer(&t);
    uint64_t epoch = t.keyset.epoch;
#define OFFER(job, key, receipt)                                                                   \
    "{\"job\":\"" job "\",\"epoch\":\"@\",\"keyset\":\"#\",\"node_key\":" key                      \
    ",\"expires_in\":9,\"receipt\":" receipt "}"
#define RECEIPT(shares) "{\"epoch\":\"@\",\"keyset\":\"#\",\"shares\":" shares ",\"imported_at\":5}"
    static const char *const good[] = {
        OFFER("waiting", "\"" ZERO64 "\"", "null"), OFFER("importing", "null", "null"),
        OFFER("imported", "\"" ZERO64 "\"", RECEIPT("2")), OFFER("done", "null", RECEIPT("2"))};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        forge_json(&t, 200, json_text(&t, good[i], epoch));
        CU_ASSERT_EQUAL(judge_offer(&t, &offer).upshot, MIG_UPSHOT_OK);
        CU_ASSERT_EQUAL(offer.job, MIG_JOB_WAITING + i);
        forge_json(&t, 200, json_text(&t, good[i], epoch + 1));
        CU_ASSERT_EQUAL(judge_offer(&t, &offer).upshot, MIG_UPSHOT_BROKEN);
        CU_ASSERT_EQUAL(offer.job, MIG_JOB_NONE);
    }
    static const char *const bad[] = {
        OFFER("waiting", "null", "null"),
        OFFER("importing", "\"" ZERO64 "\"", "null"),
        OFFER("done", "\"" ZERO64 "\"", "null"),
        OFFER("finished", "null", "null"),
        OFFER("waiting", "\"AAAA\"", "null"),
        OFFER("waiting", "7", "null"),
        OFFER("done", "null", RECEIPT("0")),
        OFFER("done", "null", RECEIPT("1025")),
        OFFER("done", "null", RECEIPT("-1")),
        OFFER("done", "null", "7"),
        "{\"job\":\"done\",\"epoch\":@,\"keyset\":\"#\",\"node_key\":null,\"expires_in\":0,"
        "\"receipt\":null}",
        "{\"job\":\"done\",\"epoch\":\"0@\",\"keyset\":\"#\",\"node_key\":null,\"expires_in\":0,"
        "\"receipt\":null}",
        "{\"job\":\"done\",\"epoch\":\"@\",\"keyset\":\"#\",\"expires_in\":0,\"receipt\":null}",
        "{\"job\":\"done\",\"epoch\":\"@\",\"keyset\":\"" ZERO64
        "\",\"node_key\":null,\"expires_in\":0,\"receipt\":null}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        forge_json(&t, 200, json_text(&t, bad[i], epoch));
        CU_ASSERT_EQUAL(judge_offer(&t, &offer).upshot, MIG_UPSHOT_BROKEN);
    }
    end(&t);
}

static void refuses_receipts_for_something_else(void)
{
    struct talk t;
    struct mig_receipt receipt;
    start(&t);
    call_upload(&t, t.own.public_key);
    uint64_t epoch = t.keyset.epoch;
    forge_json(&t, 201, json_text(&t, RECEIPT("2"), epoch));
    CU_ASSERT_EQUAL(mig_judge_upload(&t.peer, &t.ask, 2, &t.reply, t.now, &receipt).upshot,
                    MIG_UPSHOT_OK);
    CU_ASSERT_FALSE(receipt.repeated);
    forge_json(&t, 200, json_text(&t, RECEIPT("2"), epoch));
    CU_ASSERT_EQUAL(mig_judge_upload(&t.peer, &t.ask, 2, &t.reply, t.now, &receipt).upshot,
                    MIG_UPSHOT_OK);
    CU_ASSERT_TRUE(receipt.repeated);
    static const char *const bad[] = {RECEIPT("1"), RECEIPT("3"), "{}",
                                      "{\"epoch\":\"@\",\"keyset\":\"" ZERO64
                                      "\",\"shares\":2,\"imported_at\":5}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        forge_json(&t, 201, json_text(&t, bad[i], epoch));
        CU_ASSERT_EQUAL(mig_judge_upload(&t.peer, &t.ask, 2, &t.reply, t.now, &receipt).upshot,
                        MIG_UPSHOT_BROKEN);
        CU_ASSERT_EQUAL(receipt.shares, 0);
    }
    end(&t);
}

static void refuses_acknowledgements_of_another_backup(void)
{
    struct talk t;
    struct mig_acknowledgement ack;
    char hash[MIG_BASE64_LEN(MIG_DIGEST_LEN)], json[512];
    uint8_t digest[MIG_DIGEST_LEN];
    start(&t);
    call_fetch(&t);
    forge_fetch(&t, &t.keyset, NULL, 0);
    CU_ASSERT_EQUAL_FATAL(fetched(&t), MIG_UPSHOT_OK);
    mig_ask_clear(&t.ask);
    CU_ASSERT_EQUAL_FATAL(mig_ask_receipt(&t.peer, t.final, t.now, &t.ask), MIG_OK);
    for (int wrong = 0; wrong <= 1; wrong++) {
        mig_sha256(t.final, strlen(t.final) - (size_t)wrong, digest);
        CU_ASSERT_EQUAL(mig_base64_encode(digest, sizeof digest, hash, sizeof hash), MIG_OK);
        (void)snprintf(json, sizeof json,
                       "{\"epoch\":\"@\",\"keyset\":\"#\",\"context\":\"%s\",\"recorded_at\":7,"
                       "\"known\":false}",
                       hash);
        forge_json(&t, 200, json_text(&t, json, t.keyset.epoch));
        CU_ASSERT_EQUAL(mig_judge_receipt(&t.peer, &t.ask, &t.reply, t.now, &ack).upshot,
                        wrong ? MIG_UPSHOT_BROKEN : MIG_UPSHOT_OK);
        CU_ASSERT_EQUAL(ack.recorded_at, wrong ? 0 : 7);
    }
    end(&t);
}

static void tells_when_clocks_differ(void)
{
    struct talk t;
    start(&t);
    call_fetch(&t);
    forge_json(&t, 503, "{\"status\":503,\"code\":\"stale_view\",\"retryable\":true}");
    t.now += 20;
    struct mig_result r = judge_fetch(&t);
    CU_ASSERT_EQUAL(r.clock_skew, -20);
    CU_ASSERT_TRUE(mig_result_is_skewed(&r));
    r.clock_skew = 15;
    CU_ASSERT_FALSE(mig_result_is_skewed(&r));
    r.clock_skew = 16;
    CU_ASSERT_TRUE(mig_result_is_skewed(&r));
    t.now -= 20;
    const char date[] = "Date: Thu, 01 Jan 1970 00:00:10 GMT\r\n";
    mig_reply_clear(&t.reply);
    CU_ASSERT_EQUAL(mig_reply_line(&t.reply, "HTTP/1.1 401 No\r\n", 17), MIG_OK);
    CU_ASSERT_EQUAL(mig_reply_line(&t.reply, date, sizeof date - 1), MIG_OK);
    CU_ASSERT_EQUAL(mig_reply_line(&t.reply, "\r\n", 2), MIG_OK);
    CU_ASSERT_EQUAL(judge_fetch(&t).clock_skew, 10 - (int64_t)t.now);
    end(&t);
}

/* ---- the header block -------------------------------------------------- */

static enum mig_err lines(struct mig_reply *reply, const char *text)
{
    enum mig_err err = MIG_OK;
    for (const char *p = text; err == MIG_OK && *p != '\0';) {
        size_t len = (size_t)(strchr(p, '\n') - p) + 1;
        err = mig_reply_line(reply, p, len);
        p += len;
    }
    return err;
}

static void keeps_fields_exactly_and_drops_interim_answers(void)
{
    struct mig_reply reply = {0};
    struct mig_text value;
    CU_ASSERT_EQUAL(lines(&reply, "HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
                                  "A:  b c \r\nTwice: 1\r\ntwice: 2\r\nEmpty:\r\n\r\n"),
                    MIG_OK);
    CU_ASSERT_EQUAL(reply.status, 200);
    CU_ASSERT_EQUAL(reply.field_count, 4);
    CU_ASSERT_TRUE(mig_reply_field(&reply, "a", &value) && mig_text_is(value, "b c"));
    CU_ASSERT_TRUE(mig_reply_field(&reply, "empty", &value) && value.len == 0);
    CU_ASSERT_FALSE(mig_reply_field(&reply, "twice", &value));
    CU_ASSERT_FALSE(mig_reply_field(&reply, "x", &value));
    CU_ASSERT_EQUAL(mig_reply_line(&reply, "Trailer: 1\r\n", 12), MIG_ERR_MALFORMED);
    mig_reply_clear(&reply);
}

static void refuses_what_is_not_a_header_block(void)
{
    static const char *const bad[] = {"\r\n",
                                      "HTTP/1.0 200 OK\r\n",
                                      "HTTP/2 200\r\n",
                                      "HTTP/1.1 20 OK\r\n",
                                      "HTTP/1.1 2000 OK\r\n",
                                      "HTTP/1.1 2x0 OK\r\n",
                                      "HTTP/1.1 099 OK\r\n",
                                      "HTTP/1.1 600 OK\r\n",
                                      "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n",
                                      "HTTP/1.1 200 OK\r\nno colon\r\n",
                                      "HTTP/1.1 200 OK\r\n: empty\r\n",
                                      "HTTP/1.1 200 OK\r\nA : b\r\n",
                                      "HTTP/1.1 200 OK\r\nA: b\x01\r\n",
                                      "HTTP/1.1 200 OK\r\nA: b\rc\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mig_reply reply = {0};
        CU_ASSERT_EQUAL(lines(&reply, bad[i]), MIG_ERR_MALFORMED);
        mig_reply_clear(&reply);
    }
}

static void bounds_header_block_and_body(void)
{
    struct mig_reply reply = {0};
    static char big[MIG_REPLY_BODY_MAX];
    CU_ASSERT_EQUAL(mig_reply_body(&reply, "x", 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(lines(&reply, "HTTP/1.1 200 OK\r\n"), MIG_OK);
    memset(big, 'a', sizeof big);
    big[1] = ':';
    CU_ASSERT_EQUAL(mig_reply_line(&reply, big, MIG_REPLY_HEAD_MAX), MIG_OK);
    CU_ASSERT_EQUAL(mig_reply_line(&reply, "a:", 2), MIG_ERR_MALFORMED);
    mig_reply_clear(&reply);
    CU_ASSERT_EQUAL(lines(&reply, "HTTP/1.1 200 OK\r\n"), MIG_OK);
    for (int i = 0; i < MIG_REPLY_FIELDS_MAX; i++)
        CU_ASSERT_EQUAL(mig_reply_line(&reply, "a: b\r\n", 6), MIG_OK);
    CU_ASSERT_EQUAL(mig_reply_line(&reply, "a: b\r\n", 6), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_reply_line(&reply, "\r\n", 2), MIG_OK);
    CU_ASSERT_EQUAL(mig_reply_body(&reply, big, sizeof big), MIG_OK);
    CU_ASSERT_EQUAL(mig_reply_body(&reply, "x", 1), MIG_ERR_MALFORMED);
    mig_reply_clear(&reply);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(fetches_acknowledges_and_knows_again),
        TEST(fetches_with_an_operator_key),
        TEST(delivers_to_a_destination),
        TEST(learns_what_an_honest_node_refuses),
        TEST(an_unregistered_key_gets_no_answer),
        TEST(accepts_its_own_forgery_as_a_control),
        TEST(an_unsigned_answer_is_no_answer),
        TEST(rejects_signatures_by_another_key),
        TEST(rejects_another_nonce),
        TEST(rejects_an_answer_to_another_request),
        TEST(rejects_a_swapped_body),
        TEST(rejects_another_status_than_the_signed_one),
        TEST(compares_the_context_before_any_key_exchange),
        TEST(rejects_a_node_key_of_low_order),
        TEST(rejects_shares_of_another_attempt_key_or_set),
        TEST(rejects_zero_shares_and_rubbish_inside_the_seal),
        TEST(rejects_success_of_the_wrong_type_or_status),
        TEST(reads_signed_problems_and_refuses_shapeless_ones),
        TEST(refuses_offers_that_contradict_themselves),
        TEST(refuses_receipts_for_something_else),
        TEST(refuses_acknowledgements_of_another_backup),
        TEST(tells_when_clocks_differ),
        TEST(keeps_fields_exactly_and_drops_interim_answers),
        TEST(refuses_what_is_not_a_header_block),
        TEST(bounds_header_block_and_body),
    };
    return run_tests("backup protocol", tests, sizeof tests / sizeof *tests);
}

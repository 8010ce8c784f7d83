/* SPDX-License-Identifier: MIT */
/* The messages of docs/protocol-vectors.json: signed and verified by both sides. */
#include <stdlib.h>
#include <string.h>

#include "auth/digest.h"
#include "auth/signature.h"
#include "backup/judge.h"
#include "crypto/encoding.h"
#include "tests/vectors/http.h"
#include "tests/vectors/read.h"

static struct mig_text text_of(const json_t *object, const char *name)
{
    return (struct mig_text){str(object, name), strlen(str(object, name))};
}

static uint8_t *body_of(const json_t *row, size_t *len)
{
    if (has(row, "body"))
        return bytes(row, "body", len);
    *len = strlen(str(row, "body_text"));
    return (uint8_t *)strdup(str(row, "body_text"));
}

static void digest_fields_are_those_of_their_bodies(void)
{
    EACH(row, vectors, "digests")
    {
        uint8_t want[MIG_DIGEST_LEN], got[MIG_DIGEST_LEN];
        mig_sha256(str(row, "body_text"), strlen(str(row, "body_text")), want);
        CHECK(row, mig_digest_field_parse(text_of(row, "field"), got) == MIG_OK &&
                       memcmp(want, got, sizeof want) == 0);
    }
}

static void refuses_other_digest_fields(void)
{
    EACH(row, vectors, "digests_refused")
    {
        uint8_t got[MIG_DIGEST_LEN];
        CHECK(row, mig_digest_field_parse(text_of(row, "field"), got) == MIG_ERR_MALFORMED);
    }
}

/* What a node says to a request, as far as its signature goes. */
static int status_of(const json_t *row)
{
    static struct mig_signed_request request;
    struct http http;
    const char *why;
    struct mig_identity *service = identity("service");
    struct mig_auth_policy policy = {.skew = MIG_SKEW_DEFAULT};
    bool takes_body = is(row, "path", "/shares_recover") && !is(row, "method", "GET");
    memcpy(policy.key, service->public_key, MIG_KEY_LEN);
    mig_identity_free(&service);
    policy.now = json_object_get(row, "now") != NULL ? u64(row, "now") : u64(row, "created");
    CU_ASSERT_FATAL(http_read(row, NULL, &http));
    enum mig_err err = mig_request_parse(&http.message, takes_body, &request);
    if (err == MIG_ERR_MALFORMED)
        return 400;
    if (err != MIG_OK || mig_request_check(&request, &policy, &why) != MIG_OK ||
        mig_request_verify(&request, policy.key) != MIG_OK)
        return 401;
    return 200;
}

static void requests_are_authentic(void)
{
    EACH(row, vectors, "requests")
    {
        json_t *base = http_base(row, NULL);
        CHECK(row, status_of(row) == 200);
        CHECK(row, json_equal(base, json_object_get(row, "base")));
        json_decref(base);
        if (!has(row, "body"))
            continue;
        size_t len;
        uint8_t digest[MIG_DIGEST_LEN], signed_digest[MIG_DIGEST_LEN], *body = body_of(row, &len);
        mig_sha256(body, len, digest);
        CHECK(row, mig_digest_field_parse(text_of(json_object_get(row, "fields"), "Content-Digest"),
                                          signed_digest) == MIG_OK);
        CHECK(row, memcmp(digest, signed_digest, sizeof digest) == 0);
        free(body);
    }
}

static bool has_signature(const json_t *row, const struct mig_signature_fields *made)
{
    const json_t *fields = json_object_get(row, "fields");
    return is(fields, "Signature-Input", made->input) && is(fields, "Signature", made->signature);
}

static void service_signs_the_same(void)
{
    struct mig_identity *service = identity("service");
    EACH(row, vectors, "requests")
    {
        struct http http;
        struct mig_signature_fields made;
        CU_ASSERT_FATAL(http_read(row, NULL, &http));
        CHECK(row, mig_request_sign(&http.message, service, str(row, "nonce"), u64(row, "created"),
                                    u64(row, "expires"), &made) == MIG_OK);
        CHECK(row, has_signature(row, &made));
    }
    mig_identity_free(&service);
}

static void judges_changed_requests(void)
{
    EACH(row, vectors, "requests_changed")
    {
        json_t *whole =
            http_changed(named("requests", str(row, "request")), json_object_get(row, "change"));
        int status = status_of(whole);
        if ((uint64_t)status != u64(row, "status"))
            printf("%s: %d\n", str(row, "why"), status);
        CHECK(row, (uint64_t)status == u64(row, "status"));
        json_decref(whole);
    }
}

static struct mig_identity *node_of(const json_t *request)
{
    return identity(is(request, "path", "/shares_backup") ? "node" : "destination");
}

static bool is_believed(const json_t *response)
{
    const json_t *request = named("requests", str(response, "request"));
    struct mig_identity *node = node_of(request);
    struct http http;
    uint8_t signed_digest[MIG_DIGEST_LEN], digest[MIG_DIGEST_LEN];
    uint64_t created;
    size_t len;
    uint8_t *body = body_of(response, &len);
    mig_sha256(body, len, digest);
    CU_ASSERT_FATAL(http_read(response, request, &http));
    bool yes = mig_response_verify(&http.message, node->public_key, str(request, "nonce"),
                                   signed_digest, &created) == MIG_OK &&
               memcmp(digest, signed_digest, sizeof digest) == 0 &&
               created == u64(response, "created");
    mig_identity_free(&node);
    free(body);
    return yes;
}

static void signed_responses_are_believed(void)
{
    EACH(row, vectors, "responses")
    {
        bool is_signed = json_is_true(json_object_get(row, "signed"));
        CHECK(row, is_believed(row) == is_signed);
        if (!is_signed)
            continue;
        json_t *base = http_base(row, named("requests", str(row, "request")));
        CHECK(row, json_equal(base, json_object_get(row, "base")));
        json_decref(base);
    }
}

static void node_signs_the_same(void)
{
    EACH(row, vectors, "responses")
    {
        const json_t *request = named("requests", str(row, "request"));
        struct http http;
        struct mig_signature_fields made;
        if (!json_is_true(json_object_get(row, "signed")))
            continue;
        struct mig_identity *node = node_of(request);
        CU_ASSERT_FATAL(http_read(row, request, &http));
        CHECK(row, mig_response_sign(&http.message, node, text_of(request, "nonce"),
                                     u64(row, "created"), &made) == MIG_OK);
        CHECK(row, has_signature(row, &made));
        mig_identity_free(&node);
    }
}

static void judges_changed_responses(void)
{
    EACH(row, vectors, "responses_changed")
    {
        json_t *whole =
            http_changed(named("responses", str(row, "response")), json_object_get(row, "change"));
        CHECK(row, is_believed(whole) == json_is_true(json_object_get(row, "believed")));
        json_decref(whole);
    }
}

/* ---- the service's judgement, whole --------------------------------------------- */

struct visit {
    struct mig_identity *service, *node;
    struct mig_peer peer;
    struct http http;
    struct mig_ask call;
    struct mig_reply reply;
    struct mig_ephemeral own;
    struct mig_keyset keyset;
};

static void arrive(struct visit *v, const char *response, enum mig_ask_kind kind)
{
    const json_t *row = named("responses", response);
    const json_t *request = named("requests", str(row, "request"));
    struct mig_text context;
    *v = (struct visit){.service = identity("service"), .node = node_of(request)};
    v->peer =
        (struct mig_peer){.contract = "v1.signer", .account = "alice.near", .service = v->service};
    memcpy(v->peer.node, v->node->public_key, MIG_KEY_LEN);
    CU_ASSERT_FATAL(http_read(row, request, &v->http));
    v->call.kind = kind;
    v->call.message = v->http.request;
    CU_ASSERT_FATAL(mig_message_field(&v->call.message, "mpc-migration-context", &context) == 1);
    CU_ASSERT_FATAL(mig_context_parse(context.at, context.len, &v->call.context) == MIG_OK);
    memcpy(v->call.context_text, context.at, context.len);
    v->call.context_len = context.len;
    memcpy(v->call.nonce, str(request, "nonce"), MIG_NONCE_MIN + 1);
    v->reply.status = v->http.message.status;
    v->reply.field_count = v->http.message.field_count;
    memcpy(v->reply.fields, v->http.fields, sizeof v->http.fields);
    v->reply.body = body_of(row, &v->reply.body_len);
    v->own = pair_of(json_array_get(json_object_get(vectors, "exchanges"), 0), "service_secret",
                     "service_public");
    v->keyset = keyset_of(named("keysets", "three domains"));
}

static void leave(struct visit *v)
{
    free(v->reply.body);
    mig_ephemeral_clear(&v->own);
    mig_identity_free(&v->service);
    mig_identity_free(&v->node);
}

static struct mig_result fetch(const char *response, struct mig_secret *shares, char *final)
{
    struct visit v;
    arrive(&v, response, MIG_ASK_FETCH);
    struct mig_result result =
        mig_judge_fetch(&v.peer, &v.call, &v.own, &v.keyset, &v.reply, 1795305601, shares, final);
    leave(&v);
    return result;
}

static void service_takes_the_shares_of_the_backup(void)
{
    struct mig_secret *shares = mig_secret_new(3 * MIG_SHARE_LEN);
    char final[MIG_CONTEXT_MAX + 1];
    CU_ASSERT_EQUAL(fetch("backup", shares, final).upshot, MIG_UPSHOT_OK);
    CU_ASSERT_STRING_EQUAL(final, str(named("contexts", "backup, final"), "text"));
    for (size_t i = 0; i < 3; i++) {
        const json_t *list = json_object_get(named("plaintexts", "three domains"), "shares");
        char hex[MIG_HEX_LEN(MIG_SHARE_LEN)];
        CU_ASSERT_EQUAL(mig_hex_encode(shares->bytes + i * 32, 32, hex, sizeof hex), MIG_OK);
        CU_ASSERT_STRING_EQUAL(hex, json_string_value(json_array_get(list, i)));
    }
    mig_secret_free(&shares);
}

static void service_understands_refusals(void)
{
    struct mig_secret *shares = mig_secret_new(3 * MIG_SHARE_LEN);
    char final[MIG_CONTEXT_MAX + 1];
    struct mig_result result = fetch("keyset differs", shares, final);
    CU_ASSERT_EQUAL(result.upshot, MIG_UPSHOT_RETRY);
    CU_ASSERT_STRING_EQUAL(result.code, "keyset_mismatch");
    result = fetch("not running", shares, final);
    CU_ASSERT_EQUAL(result.upshot, MIG_UPSHOT_RETRY);
    CU_ASSERT_STRING_EQUAL(result.code, "not_running");
    CU_ASSERT_EQUAL(result.retry_after, 10);
    result = fetch("unauthorized", shares, final);
    CU_ASSERT_EQUAL(result.upshot, MIG_UPSHOT_NO_ANSWER);
    CU_ASSERT_STRING_EQUAL(result.code, "");
    mig_secret_free(&shares);
}

static void service_understands_the_other_answers(void)
{
    struct visit v;
    struct mig_acknowledgement ack;
    struct mig_offered offer;
    struct mig_receipt receipt;
    arrive(&v, "receipt recorded", MIG_ASK_RECEIPT);
    CU_ASSERT_EQUAL(mig_judge_receipt(&v.peer, &v.call, &v.reply, 1795305601, &ack).upshot,
                    MIG_UPSHOT_OK);
    CU_ASSERT(ack.known && equals(named("contexts", "backup, final"), "sha256", ack.context, 32));
    leave(&v);
    arrive(&v, "offer", MIG_ASK_OFFER);
    CU_ASSERT_EQUAL(mig_judge_offer(&v.peer, &v.call, &v.reply, 1795305601, &offer).upshot,
                    MIG_UPSHOT_OK);
    CU_ASSERT(offer.job == MIG_JOB_WAITING && offer.expires_in == 593 && !offer.has_receipt);
    CU_ASSERT(equals(named("contexts", "upload, final"), "node_key", offer.node_key, 32));
    leave(&v);
    arrive(&v, "shares imported", MIG_ASK_UPLOAD);
    CU_ASSERT_EQUAL(mig_judge_upload(&v.peer, &v.call, 3, &v.reply, 1795305601, &receipt).upshot,
                    MIG_UPSHOT_OK);
    CU_ASSERT(receipt.epoch == 5 && receipt.shares == 3 && receipt.imported_at == 1795305600);
    leave(&v);
    arrive(&v, "shares incomplete", MIG_ASK_UPLOAD);
    struct mig_result result =
        mig_judge_upload(&v.peer, &v.call, 3, &v.reply, 1795305601, &receipt);
    CU_ASSERT_EQUAL(result.upshot, MIG_UPSHOT_REFUSED);
    CU_ASSERT_STRING_EQUAL(result.code, "incomplete");
    leave(&v);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(digest_fields_are_those_of_their_bodies),
        TEST(refuses_other_digest_fields),
        TEST(requests_are_authentic),
        TEST(service_signs_the_same),
        TEST(judges_changed_requests),
        TEST(signed_responses_are_believed),
        TEST(node_signs_the_same),
        TEST(judges_changed_responses),
        TEST(service_takes_the_shares_of_the_backup),
        TEST(service_understands_refusals),
        TEST(service_understands_the_other_answers),
    };
    int status =
        vectors_load() ? run_tests("vectors_messages", tests, sizeof tests / sizeof *tests) : 2;
    json_decref(vectors);
    return status;
}

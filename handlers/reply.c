/* SPDX-License-Identifier: MIT */
/*
 * Answers to authenticated requests are signed by the node, errors included;
 * the 401 never is, also when the key was lost on the way: all are the same.
 */
#include "handlers/inside.h"

#include <string.h>

static struct mig_text text_of(const char *s)
{
    return (struct mig_text){s, strlen(s)};
}

void mig_base64_32(const uint8_t bytes[32], char out[MIG_BASE64_32])
{
    if (mig_base64_encode(bytes, 32, out, MIG_BASE64_32) != MIG_OK)
        out[0] = '\0'; /* cannot be: the buffer fits */
}

static uint64_t clock_s(const struct mig_exchange *x)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    return keeper->now_ns(keeper->ctx) / 1000000000u;
}

static enum mig_err sign(struct mig_exchange *x)
{
    const struct mig_service_config *config = &x->service->config;
    struct mig_response *r = &x->response;
    uint8_t digest[MIG_DIGEST_LEN];

    mig_sha256(r->body, r->body_len, digest);
    mig_digest_field_format(digest, x->digest_text);
    mig_response_add(r, MIG_TEXT("Content-Digest"), text_of(x->digest_text));
    struct mig_message message = {
        .status = r->status,
        .fields = r->fields,
        .field_count = r->field_count,
        .request = x->request,
    };
    enum mig_err err =
        mig_response_sign(&message, config->identity, x->parsed.nonce, clock_s(x), &x->signature);
    if (err != MIG_OK)
        return err;
    mig_response_add(r, MIG_TEXT("Signature-Input"), text_of(x->signature.input));
    mig_response_add(r, MIG_TEXT("Signature"), text_of(x->signature.signature));
    r->is_signed = true;
    return MIG_OK;
}

/* An answer that cannot be signed is no answer: the caller comes again. */
static void sign_or_give_up(struct mig_exchange *x)
{
    if (sign(x) == MIG_OK)
        return;
    mig_service_log(x->service, MIG_LOG_ERROR, "answer_unsigned", "cannot sign an answer");
    mig_problem_response(MIG_PROBLEM_RESTARTING, NULL, 0, &x->response);
}

void mig_reply_problem(struct mig_exchange *x, enum mig_problem problem)
{
    mig_problem_response(problem, x->allow, x->retry_after, &x->response);
    if (x->authenticated && problem != MIG_PROBLEM_UNAUTHORIZED)
        sign_or_give_up(x);
}

static void start(struct mig_exchange *x, unsigned status, struct mig_text type, const void *body,
                  size_t len)
{
    struct mig_response *r = &x->response;
    r->status = status;
    r->field_count = 0;
    r->body = body;
    r->body_len = len;
    r->is_signed = false;
    mig_response_add(r, MIG_TEXT("Cache-Control"), MIG_TEXT("no-store"));
    mig_response_add(r, MIG_TEXT("Content-Type"), type);
}

void mig_reply_json(struct mig_exchange *x, unsigned status)
{
    start(x, status, MIG_TEXT("application/json"), x->json, strlen(x->json));
    sign_or_give_up(x);
}

void mig_reply_sealed(struct mig_exchange *x, size_t len)
{
    start(x, 200, MIG_TEXT(MIG_SEALED_TYPE), x->sealed, len);
    mig_response_add(&x->response, MIG_TEXT("Mpc-Migration-Context"),
                     (struct mig_text){x->context, x->context_len});
    sign_or_give_up(x);
}

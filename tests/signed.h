/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_SIGNED_H
#define MIG_TESTS_SIGNED_H
/*
 * A signed exchange to take apart: sign_text() is a second, naive writer of
 * signature bases, so that a test can sign anything, also what our own signer
 * would never write, and so that ours is held against something.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base.h"
#include "auth/digest.h"
#include "crypto/encoding.h"

#define NOW UINT64_C(1000000)
#define NONCE "AAECAwQFBgcICQoLDA0ODw"
#define COVER "\"@method\" \"@authority\" \"@path\" \"@query\" \"mpc-migration-context\""
#define COVER_BODY COVER " \"content-type\" \"content-length\" \"content-digest\""
/* $K stands for the signer's key. */
#define PARAMS                                                                                     \
    ";created=1000000;expires=1000060;nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1\""
/* clang-format off */
#define HELLO_SHA512 "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
/* clang-format on */
#define HELLO_DIGEST "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"

enum { FIELDS_MAX = 40, TEXT_MAX = 9000 };

struct exchange {
    struct mig_identity *service, *node;
    struct mig_field fields[FIELDS_MAX];
    struct mig_message request;
    char context[MIG_CONTEXT_MAX + 1];
    char input[TEXT_MAX], signature[200];
    struct mig_signed_request parsed;
};

static inline struct mig_text text(const char *s)
{
    return (struct mig_text){s, strlen(s)};
}

static inline void add_field(struct mig_message *m, struct mig_field *fields, const char *name,
                             const char *value)
{
    fields[m->field_count++] = (struct mig_field){text(name), text(value)};
    m->fields = fields;
}

static inline void set_field(struct mig_message *m, struct mig_field *fields, const char *name,
                             const char *value)
{
    for (size_t i = 0; i < m->field_count; i++) {
        if (fields[i].name.len == strlen(name) &&
            memcmp(fields[i].name.at, name, strlen(name)) == 0) {
            fields[i].value = text(value);
            return;
        }
    }
    add_field(m, fields, name, value);
}

static inline void seed_identity(uint8_t seed, struct mig_identity **id)
{
    uint8_t bytes[MIG_SEED_LEN];
    memset(bytes, seed, sizeof bytes);
    if (mig_identity_from_seed(bytes, id) != MIG_OK)
        abort();
}

static inline void write_context(struct exchange *x)
{
    struct mig_context context = {.contract = "v1.signer",
                                  .account = "alice.near",
                                  .direction = MIG_BACKUP,
                                  .announce = MIG_ANNOUNCE_HEADER,
                                  .epoch = 5,
                                  .has_client_key = true};
    size_t len;
    memcpy(context.node, x->node->public_key, MIG_KEY_LEN);
    memcpy(context.service, x->service->public_key, MIG_KEY_LEN);
    memset(context.keyset, 7, sizeof context.keyset);
    memset(context.client_key, 9, sizeof context.client_key);
    if (mig_context_format(&context, x->context, sizeof x->context, &len) != MIG_OK)
        abort();
}

/* The value of one component, the naive way; "" when there is none. */
static inline void naive_value(const struct mig_message *m, const char *name, char *out, size_t cap)
{
    size_t used = 0;
    out[0] = '\0';
    if (strcmp(name, "@status") == 0) {
        (void)snprintf(out, cap, "%u", m->status);
    } else if (strcmp(name, "@method") == 0) {
        (void)snprintf(out, cap, "%.*s", (int)m->method.len, m->method.at);
    } else if (strcmp(name, "@path") == 0) {
        (void)snprintf(out, cap, "%.*s", (int)m->target.len, m->target.at);
    } else if (strcmp(name, "@query") == 0) {
        (void)snprintf(out, cap, "?");
    } else if (strcmp(name, "@authority") == 0) {
        for (size_t i = 0; i < m->authority.len && i + 1 < cap; i++) {
            char c = m->authority.at[i];
            out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
            out[i + 1] = '\0';
        }
    } else {
        for (size_t i = 0; i < m->field_count; i++) {
            if (m->fields[i].name.len == strlen(name) &&
                strncasecmp(m->fields[i].name.at, name, strlen(name)) == 0)
                used += (size_t)snprintf(out + used, cap - used, "%s%.*s", used > 0 ? ", " : "",
                                         (int)m->fields[i].value.len, m->fields[i].value.at);
        }
    }
}

static inline size_t naive_base(const struct mig_message *m, const char *inner, char *base,
                                size_t cap)
{
    char name[200], value[TEXT_MAX];
    size_t used = 0;
    for (const char *at = strchr(inner, '"'); at != NULL && at < strchr(inner, ')');) {
        const char *close = strchr(at + 1, '"');
        (void)snprintf(name, sizeof name, "%.*s", (int)(close - at - 1), at + 1);
        bool req = strncmp(close, "\";req", 5) == 0;
        naive_value(req && m->request != NULL ? m->request : m, name, value, sizeof value);
        used += (size_t)snprintf(base + used, cap - used, "\"%s\"%s: %s\n", name, req ? ";req" : "",
                                 value);
        at = strchr(close + 1, '"');
    }
    used += (size_t)snprintf(base + used, cap - used, "\"@signature-params\": %s", inner);
    return used;
}

/* $K becomes the key. */
static inline void expand(const char *from, const uint8_t key[MIG_KEY_LEN], char *out, size_t cap)
{
    char keyid[MIG_KEY_TEXT_MAX];
    const char *mark = strstr(from, "$K");
    mig_key_format(key, keyid);
    if (mark == NULL)
        (void)snprintf(out, cap, "%s", from);
    else
        (void)snprintf(out, cap, "%.*s%s%s", (int)(mark - from), from, keyid, mark + 2);
}

/* Signs `m` as the inner list says, naively, and sets both fields. */
static inline void sign_text(struct mig_message *m, struct mig_field *fields,
                             const struct mig_identity *id, const char *inner, char input[TEXT_MAX],
                             char signature[200])
{
    char expanded[TEXT_MAX / 2], base[2 * TEXT_MAX], base64[MIG_BASE64_LEN(MIG_SIG_LEN)];
    uint8_t bytes[MIG_SIG_LEN];
    expand(inner, id->public_key, expanded, sizeof expanded);
    size_t len = naive_base(m, expanded, base, sizeof base);
    if (mig_identity_sign(id, base, len, bytes) != MIG_OK ||
        mig_base64_encode(bytes, sizeof bytes, base64, sizeof base64) != MIG_OK)
        abort();
    (void)snprintf(input, TEXT_MAX, "s=%s", expanded);
    (void)snprintf(signature, 200, "s=:%s:", base64);
    set_field(m, fields, "Signature-Input", input);
    set_field(m, fields, "Signature", signature);
}

static inline void sign_request(struct exchange *x, const char *inner)
{
    sign_text(&x->request, x->fields, x->service, inner, x->input, x->signature);
}

/* An unsigned GET /shares_backup; sign_request() makes it whole. */
static inline struct exchange *exchange_new(void)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL)
        abort();
    seed_identity(1, &x->service);
    seed_identity(2, &x->node);
    write_context(x);
    x->request = (struct mig_message){.method = MIG_TEXT("GET"),
                                      .target = MIG_TEXT("/shares_backup"),
                                      .authority = MIG_TEXT("Node.Example:3030")};
    add_field(&x->request, x->fields, "Host", "Node.Example:3030");
    add_field(&x->request, x->fields, "Mpc-Migration-Context", x->context);
    return x;
}

static inline void make_upload(struct exchange *x)
{
    x->request.method = MIG_TEXT("PUT");
    x->request.target = MIG_TEXT("/shares_recover");
    add_field(&x->request, x->fields, "Content-Type", "application/vnd.mpc.sealed-keyshares");
    add_field(&x->request, x->fields, "Content-Length", "18");
    add_field(&x->request, x->fields, "Content-Digest", HELLO_DIGEST);
}

static inline void exchange_free(struct exchange **x)
{
    mig_identity_free(&(*x)->service);
    mig_identity_free(&(*x)->node);
    free(*x);
    *x = NULL;
}

/* What becomes of the request: "malformed" (400), "unsigned", a reason of
 * mig_request_check, "signature" (all 401), or "ok". */
static inline const char *verdict_at(struct exchange *x, bool needs_body, uint64_t now,
                                     uint32_t skew)
{
    struct mig_auth_policy policy = {.now = now, .skew = skew};
    const char *why = "?";
    memcpy(policy.key, x->service->public_key, MIG_KEY_LEN);
    enum mig_err err = mig_request_parse(&x->request, needs_body, &x->parsed);
    if (err != MIG_OK)
        return err == MIG_ERR_DENIED      ? "unsigned"
               : err == MIG_ERR_MALFORMED ? "malformed"
                                          : "other";
    if (mig_request_check(&x->parsed, &policy, &why) != MIG_OK)
        return why;
    return mig_request_verify(&x->parsed, policy.key) == MIG_OK ? "ok" : "signature";
}

static inline const char *verdict(struct exchange *x)
{
    return verdict_at(x, false, NOW, MIG_SKEW_DEFAULT);
}

static inline const char *upload_verdict(struct exchange *x)
{
    return verdict_at(x, true, NOW, MIG_SKEW_DEFAULT);
}

#endif

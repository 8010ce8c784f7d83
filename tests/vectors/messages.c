/* SPDX-License-Identifier: MIT */
#include "tests/vectors/vectors.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base.h"
#include "auth/digest.h"
#include "crypto/container.h"
#include "crypto/encoding.h"
#include "handlers/problem.h"
#include "tests/vectors/changes.h"

#define CREATED UINT64_C(1795305600)
enum { LIFETIME = 60, REQUEST_COUNT = 6, RESPONSE_COUNT = 8 };

static const struct {
    const char *name, *method, *path;
    enum ctx context;
    bool has_body;
} REQUESTS[REQUEST_COUNT] = {
    {"fetch", "GET", "/shares_backup", CTX_FETCH, false},
    {"fetch, operator key", "GET", "/shares_backup", CTX_FETCH_OPERATOR, false},
    {"fetch, published keys", "GET", "/shares_backup", CTX_FETCH_PUBLISHED, false},
    {"receipt", "POST", "/shares_backup", CTX_BACKUP, false},
    {"offer", "GET", "/shares_recover", CTX_OFFER, false},
    {"upload", "PUT", "/shares_recover", CTX_UPLOAD, true},
};

#define KEYSET "\"epoch\":\"5\",\"keyset\":\"YZqid4PxhcvSh+fZrw6A8faV+3vwSeSZkl/ZppTBoXU=\""
#define CONTEXT_HASH "@CONTEXT@" /* filled in: SHA-256 of the final context */
#define NODE_KEY "@NODE_KEY@"

/* Sealed when there is neither a text nor a problem. */
static const struct {
    const char *name, *request;
    unsigned status;
    enum who node;
    const char *json;
    enum mig_problem problem;
} RESPONSES[RESPONSE_COUNT] = {
    {"backup", "fetch", 200, NODE, NULL, MIG_PROBLEM_NONE},
    {"keyset differs", "fetch", 409, NODE, NULL, MIG_PROBLEM_KEYSET_MISMATCH},
    {"not running", "fetch", 503, NODE, NULL, MIG_PROBLEM_NOT_RUNNING},
    {"unauthorized", "fetch", 401, NODE, NULL, MIG_PROBLEM_UNAUTHORIZED},
    {"receipt recorded", "receipt", 200, NODE,
     "{" KEYSET ",\"context\":\"" CONTEXT_HASH "\",\"recorded_at\":1795305600,\"known\":true}",
     MIG_PROBLEM_NONE},
    {"offer", "offer", 200, DESTINATION,
     "{\"job\":\"waiting\"," KEYSET ",\"node_key\":\"" NODE_KEY
     "\",\"expires_in\":593,\"receipt\":null}",
     MIG_PROBLEM_NONE},
    {"shares imported", "upload", 201, DESTINATION,
     "{" KEYSET ",\"shares\":3,\"imported_at\":1795305600}", MIG_PROBLEM_NONE},
    {"shares incomplete", "upload", 422, DESTINATION, NULL, MIG_PROBLEM_INCOMPLETE},
};

static uint8_t *body_of(const struct cast *c, enum ctx which, size_t *len)
{
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    size_t cap = mig_sealed_len(c->plain_len);
    uint8_t *body = malloc(cap);
    must(key != NULL && body != NULL, "memory");
    sealing_key(c, which, key);
    must(mig_container_seal(key, c->plain->bytes, c->plain_len, body, cap, len) == MIG_OK, "seal");
    mig_secret_free(&key);
    return body;
}

static void set_text(json_t *fields, const char *name, const char *value)
{
    set(fields, name, json_string(value));
}

static void describe_body(const uint8_t *body, size_t len, json_t *fields)
{
    uint8_t digest[MIG_DIGEST_LEN];
    char field[MIG_DIGEST_FIELD_LEN];
    mig_sha256(body, len, digest);
    mig_digest_field_format(digest, field);
    set_text(fields, "Content-Digest", field);
}

static json_t *request(const struct cast *c, size_t i)
{
    uint8_t nonce[16];
    char nonce_text[MIG_NONCE_MIN + 1], length[24];
    struct mig_signature_fields signature;
    struct http http;
    json_t *fields = json_object();
    json_t *value = json_pack("{s:s,s:s,s:s,s:o}", "name", REQUESTS[i].name, "method",
                              REQUESTS[i].method, "path", REQUESTS[i].path, "fields", fields);
    set_text(fields, "Host", "node.example:8079");
    set_text(fields, "Mpc-Migration-Context", context_text(c, REQUESTS[i].context));
    if (REQUESTS[i].has_body) {
        size_t len;
        uint8_t *body = body_of(c, REQUESTS[i].context, &len);
        (void)snprintf(length, sizeof length, "%zu", len);
        set_text(fields, "Content-Type", MIG_SEALED_TYPE);
        set_text(fields, "Content-Length", length);
        describe_body(body, len, fields);
        set(value, "body", hex(body, len));
        free(body);
    }
    memset(nonce, (int)i + 1, sizeof nonce);
    must(mig_base64url_encode(nonce, sizeof nonce, nonce_text, sizeof nonce_text) == MIG_OK &&
             http_read(value, NULL, &http) &&
             mig_request_sign(&http.message, c->id[SERVICE], nonce_text, CREATED,
                              CREATED + LIFETIME, &signature) == MIG_OK,
         "request");
    set_text(fields, "Signature-Input", signature.input);
    set_text(fields, "Signature", signature.signature);
    set(value, "created", number(CREATED));
    set(value, "expires", number(CREATED + LIFETIME));
    set(value, "nonce", json_string(nonce_text));
    set(value, "base", http_base(value, NULL));
    return good(value);
}

static json_t *find(const json_t *array, const char *name)
{
    size_t i;
    json_t *value;
    json_array_foreach(array, i,
                       value) if (strcmp(json_string_value(json_object_get(value, "name")), name) ==
                                  0) return value;
    must(false, name);
    return NULL;
}

static char *filled(const struct cast *c, const char *json)
{
    const char *final = context_text(c, CTX_BACKUP);
    uint8_t hash[MIG_DIGEST_LEN];
    char base64[MIG_BASE64_LEN(MIG_DIGEST_LEN)];
    mig_sha256(final, strlen(final), hash);
    bool is_offer = strstr(json, NODE_KEY) != NULL, is_receipt = strstr(json, CONTEXT_HASH) != NULL;
    must(mig_base64_encode(is_offer ? c->node.public_key : hash, 32, base64, sizeof base64) ==
             MIG_OK,
         "base64");
    if (is_offer)
        return edited(json, NODE_KEY, base64);
    return is_receipt ? edited(json, CONTEXT_HASH, base64) : edited(json, "", "");
}

static void set_body(const struct cast *c, size_t i, json_t *value, json_t *fields)
{
    if (RESPONSES[i].json != NULL) {
        char *json = filled(c, RESPONSES[i].json);
        set_text(fields, "Content-Type", "application/json");
        set_text(value, "body_text", json);
        describe_body((const uint8_t *)json, strlen(json), fields);
        free(json);
        return;
    }
    size_t len;
    uint8_t *body = body_of(c, CTX_BACKUP, &len);
    set_text(fields, "Content-Type", MIG_SEALED_TYPE);
    set_text(fields, "Mpc-Migration-Context", context_text(c, CTX_BACKUP));
    set(value, "body", hex(body, len));
    describe_body(body, len, fields);
    free(body);
}

static void set_problem(size_t i, json_t *value, json_t *fields)
{
    struct mig_response problem;
    mig_problem_response(RESPONSES[i].problem, NULL, 0, &problem);
    for (size_t f = 0; f < problem.field_count; f++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)problem.fields[f].name.len,
                       problem.fields[f].name.at);
        set(fields, name, text(problem.fields[f].value));
    }
    set(value, "body_text", text((struct mig_text){(const char *)problem.body, problem.body_len}));
    if (RESPONSES[i].problem != MIG_PROBLEM_UNAUTHORIZED)
        describe_body(problem.body, problem.body_len, fields);
}

static json_t *response(const struct cast *c, const json_t *requests, size_t i)
{
    json_t *fields = json_object();
    json_t *asked = find(requests, RESPONSES[i].request);
    json_t *value =
        json_pack("{s:s,s:s,s:i,s:o}", "name", RESPONSES[i].name, "request", RESPONSES[i].request,
                  "status", (int)RESPONSES[i].status, "fields", fields);
    struct http http;
    struct mig_signature_fields signature;
    const char *nonce = json_string_value(json_object_get(asked, "nonce"));
    set_text(fields, "Cache-Control", "no-store");
    if (RESPONSES[i].problem == MIG_PROBLEM_NONE)
        set_body(c, i, value, fields);
    else
        set_problem(i, value, fields);
    set(value, "signed", json_boolean(RESPONSES[i].problem != MIG_PROBLEM_UNAUTHORIZED));
    if (RESPONSES[i].problem == MIG_PROBLEM_UNAUTHORIZED)
        return value;
    must(http_read(value, asked, &http) &&
             mig_response_sign(&http.message, c->id[RESPONSES[i].node],
                               (struct mig_text){nonce, strlen(nonce)}, CREATED + 1,
                               &signature) == MIG_OK,
         "response");
    set_text(fields, "Signature-Input", signature.input);
    set_text(fields, "Signature", signature.signature);
    set(value, "created", number(CREATED + 1));
    set(value, "base", http_base(value, asked));
    return value;
}

void messages(const struct cast *c, json_t *root)
{
    json_t *requests = json_array(), *responses = json_array();
    for (size_t i = 0; i < REQUEST_COUNT; i++)
        add(requests, request(c, i));
    for (size_t i = 0; i < RESPONSE_COUNT; i++)
        add(responses, response(c, requests, i));
    set(root, "requests", requests);
    set(root, "requests_changed", requests_changed(c, requests));
    set(root, "responses", responses);
    set(root, "responses_changed", responses_changed(c, requests, responses));
}

/* ---- Content-Digest --------------------------------------------------------- */

json_t *digests(void)
{
    static const char abc[] = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
    return good(
        json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "body_text", "", "field",
                  "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", "body_text", "abc",
                  "field", abc, "body_text", "abc", "field",
                  "crc32c=:AAAAAA==:, sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"));
}

json_t *digests_refused(void)
{
    static const char *const rows[][2] = {
        {"", "empty"},
        {"crc32c=:AAAAAA==:", "no sha-256"},
        {"sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFQ==:", "31 bytes"},
        {"sha-256=\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"", "a string"},
        {"SHA-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:", "a key in capitals"},
        {"sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:,", "a trailing comma"},
        {"sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:, "
         "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:",
         "sha-256 twice"},
    };
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(rows); i++)
        add(all, json_pack("{s:s,s:s}", "field", rows[i][0], "why", rows[i][1]));
    return all;
}

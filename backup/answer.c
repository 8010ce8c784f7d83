/* SPDX-License-Identifier: MIT */
#include "backup/answer.h"

#include <jansson.h>
#include <string.h>

#include "crypto/encoding.h"

static json_t *parse_object(const void *json, size_t len)
{
    if (len > MIG_ANSWER_MAX)
        return NULL;
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
    if (root != NULL && !json_is_object(root)) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static bool get_string(const json_t *object, const char *name, const char **text, size_t *len)
{
    const json_t *value = json_object_get(object, name);
    *text = json_string_value(value);
    *len = json_string_length(value);
    return *text != NULL && strlen(*text) == *len;
}

/* A u64 as a decimal string: 0, or no leading zero. */
static bool get_decimal(const json_t *object, const char *name, uint64_t *out)
{
    const char *text;
    size_t len;
    *out = 0;
    if (!get_string(object, name, &text, &len) || len == 0 || (text[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(text[i] - '0'), out))
            return false;
    }
    return true;
}

static bool get_integer(const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);
    *out = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool get_boolean(const json_t *object, const char *name, bool *out)
{
    const json_t *value = json_object_get(object, name);
    *out = json_is_true(value);
    return json_is_boolean(value);
}

static bool get_bytes(const json_t *object, const char *name, uint8_t out[32])
{
    const char *text;
    size_t len, used = 0;
    return get_string(object, name, &text, &len) &&
           mig_base64_decode(text, len, out, 32, &used) == MIG_OK && used == 32;
}

static bool get_receipt(const json_t *object, struct mig_receipt *out)
{
    uint64_t shares = 0;
    bool good = get_decimal(object, "epoch", &out->epoch) &&
                get_bytes(object, "keyset", out->keyset) &&
                get_integer(object, "shares", &shares) && shares >= 1 &&
                shares <= MIG_DOMAINS_MAX && get_integer(object, "imported_at", &out->imported_at);
    out->shares = (uint32_t)shares;
    out->repeated = false;
    return good;
}

static bool get_job(const json_t *object, enum mig_job *out)
{
    static const struct {
        const char *name;
        enum mig_job job;
    } jobs[] = {{"waiting", MIG_JOB_WAITING},
                {"importing", MIG_JOB_IMPORTING},
                {"imported", MIG_JOB_IMPORTED},
                {"done", MIG_JOB_DONE}};
    const char *text;
    size_t len;
    if (!get_string(object, "job", &text, &len))
        return false;
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        if (strcmp(text, jobs[i].name) == 0) {
            *out = jobs[i].job;
            return true;
        }
    return false;
}

static bool get_offer(const json_t *object, struct mig_offered *out)
{
    const json_t *key = json_object_get(object, "node_key");
    const json_t *receipt = json_object_get(object, "receipt");
    if (!get_job(object, &out->job) || !get_decimal(object, "epoch", &out->epoch) ||
        !get_bytes(object, "keyset", out->keyset) ||
        !get_integer(object, "expires_in", &out->expires_in) || key == NULL || receipt == NULL)
        return false;
    out->has_node_key = !json_is_null(key);
    out->has_receipt = !json_is_null(receipt);
    bool takes_upload = out->job == MIG_JOB_WAITING || out->job == MIG_JOB_IMPORTED;
    return out->has_node_key == takes_upload &&
           (!out->has_node_key || get_bytes(object, "node_key", out->node_key)) &&
           (!out->has_receipt || get_receipt(receipt, &out->receipt));
}

enum mig_err mig_offered_parse(const void *json, size_t len, struct mig_offered *out)
{
    *out = (struct mig_offered){0};
    json_t *root = parse_object(json, len);
    bool good = root != NULL && get_offer(root, out);
    json_decref(root);
    if (!good)
        *out = (struct mig_offered){0};
    return good ? MIG_OK : MIG_ERR_MALFORMED;
}

enum mig_err mig_receipt_parse(const void *json, size_t len, struct mig_receipt *out)
{
    *out = (struct mig_receipt){0};
    json_t *root = parse_object(json, len);
    bool good = root != NULL && get_receipt(root, out);
    json_decref(root);
    if (!good)
        *out = (struct mig_receipt){0};
    return good ? MIG_OK : MIG_ERR_MALFORMED;
}

enum mig_err mig_acknowledgement_parse(const void *json, size_t len,
                                       struct mig_acknowledgement *out)
{
    *out = (struct mig_acknowledgement){0};
    json_t *root = parse_object(json, len);
    bool good = root != NULL && get_decimal(root, "epoch", &out->epoch) &&
                get_bytes(root, "keyset", out->keyset) &&
                get_bytes(root, "context", out->context) &&
                get_integer(root, "recorded_at", &out->recorded_at) &&
                get_boolean(root, "known", &out->known);
    json_decref(root);
    if (!good)
        *out = (struct mig_acknowledgement){0};
    return good ? MIG_OK : MIG_ERR_MALFORMED;
}

static bool get_code(const json_t *object, char code[MIG_CODE_MAX])
{
    const char *text;
    size_t len;
    if (!get_string(object, "code", &text, &len) || len == 0 || len >= MIG_CODE_MAX ||
        strspn(text, "abcdefghijklmnopqrstuvwxyz_") != len)
        return false;
    memcpy(code, text, len + 1);
    return true;
}

enum mig_err mig_problem_body_parse(const void *json, size_t len, struct mig_problem_body *out)
{
    *out = (struct mig_problem_body){0};
    json_t *root = parse_object(json, len);
    bool good = root != NULL && get_integer(root, "status", &out->status) &&
                get_code(root, out->code) && get_boolean(root, "retryable", &out->retryable);
    json_decref(root);
    if (!good)
        *out = (struct mig_problem_body){0};
    return good ? MIG_OK : MIG_ERR_MALFORMED;
}

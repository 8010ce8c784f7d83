/* SPDX-License-Identifier: MIT */
/* Requests of the backup service: parse, check, verify; and their signer. */
#include "auth/base.h"

#include <string.h>

#include "crypto/encoding.h"
#include "auth/digest.h"

#define CONTEXT "mpc-migration-context"

enum {
    COVERS_METHOD = 1,
    COVERS_AUTHORITY = 2,
    COVERS_PATH = 4,
    COVERS_QUERY = 8,
    COVERS_CONTEXT = 16,
    COVERS_TYPE = 32,
    COVERS_LENGTH = 64,
    COVERS_DIGEST = 128,
    COVERS_ALWAYS = COVERS_METHOD | COVERS_AUTHORITY | COVERS_PATH | COVERS_QUERY | COVERS_CONTEXT,
    COVERS_BODY = COVERS_TYPE | COVERS_LENGTH | COVERS_DIGEST,
};

/* In the order in which our own requests cover them. */
static const struct {
    const char *name;
    unsigned bit;
} required[] = {
    {"@method", COVERS_METHOD},
    {"@authority", COVERS_AUTHORITY},
    {"@path", COVERS_PATH},
    {"@query", COVERS_QUERY},
    {CONTEXT, COVERS_CONTEXT},
    {"content-type", COVERS_TYPE},
    {"content-length", COVERS_LENGTH},
    {"content-digest", COVERS_DIGEST},
};
enum { REQUIRED_COUNT = sizeof required / sizeof *required };

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_field_name(struct mig_text name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_token_char(name.at[i]) || (name.at[i] >= 'A' && name.at[i] <= 'Z'))
            return false;
    }
    return name.len > 0;
}

/* The bit of a required component, 0 for a further field; any other derived
 * component is banned, and so is a name that no field can have. */
static enum mig_err component_bit(struct mig_text name, unsigned *bit)
{
    *bit = 0;
    for (size_t i = 0; i < REQUIRED_COUNT; i++) {
        if (mig_text_is(name, required[i].name)) {
            *bit = required[i].bit;
            return MIG_OK;
        }
    }
    return is_field_name(name) ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err parse_components(const struct mig_signature_input *input, unsigned *covered)
{
    *covered = 0;
    for (size_t i = 0; i < input->member.count; i++) {
        const struct mig_sf_item *item = &input->items[i];
        unsigned bit;
        if (item->value.type != MIG_SF_STRING || item->param_count > 0 ||
            component_bit(item->value.text, &bit) != MIG_OK)
            return MIG_ERR_MALFORMED;
        *covered |= bit;
    }
    return MIG_OK;
}

static enum mig_err parse_time(const struct mig_sf_value *value, uint64_t *time, bool *has)
{
    if (value->type != MIG_SF_INTEGER || value->number < 0)
        return MIG_ERR_MALFORMED;
    *time = (uint64_t)value->number;
    *has = true;
    return MIG_OK;
}

static enum mig_err parse_text(const struct mig_sf_value *value, struct mig_text *text, bool *has)
{
    if (value->type != MIG_SF_STRING)
        return MIG_ERR_MALFORMED;
    *text = value->text;
    *has = true;
    return MIG_OK;
}

static enum mig_err parse_param(const struct mig_sf_param *param, struct mig_signed_request *out)
{
    if (mig_text_is(param->key, "created"))
        return parse_time(&param->value, &out->created, &out->has_created);
    if (mig_text_is(param->key, "expires"))
        return parse_time(&param->value, &out->expires, &out->has_expires);
    if (mig_text_is(param->key, "nonce"))
        return parse_text(&param->value, &out->nonce, &out->has_nonce);
    if (mig_text_is(param->key, "keyid"))
        return parse_text(&param->value, &out->keyid, &out->has_keyid);
    if (mig_text_is(param->key, "tag"))
        return parse_text(&param->value, &out->tag, &out->has_tag);
    if (mig_text_is(param->key, "alg"))
        return parse_text(&param->value, &out->alg, &out->has_alg);
    return MIG_ERR_MALFORMED;
}

bool mig_nonce_is_valid(struct mig_text nonce)
{
    if (nonce.len < MIG_NONCE_MIN || nonce.len > MIG_NONCE_MAX)
        return false;
    for (size_t i = 0; i < nonce.len; i++) {
        char c = nonce.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '_')
            return false;
    }
    return true;
}

static enum mig_err parse_params(const struct mig_signature_input *input,
                                 struct mig_signed_request *out)
{
    const struct mig_sf_item *owner = &input->member.item;
    for (size_t i = 0; i < owner->param_count; i++) {
        if (parse_param(&input->params[owner->param + i], out) != MIG_OK)
            return MIG_ERR_MALFORMED;
    }
    return out->has_nonce && !mig_nonce_is_valid(out->nonce) ? MIG_ERR_MALFORMED : MIG_OK;
}

/* Origin-form without a query: no '?', no '#', nothing that is not visible. */
static bool is_target(struct mig_text target)
{
    if (target.len == 0 || target.at[0] != '/')
        return false;
    for (size_t i = 0; i < target.len; i++) {
        char c = target.at[i];
        if (c <= ' ' || c > '~' || c == '?' || c == '#')
            return false;
    }
    return true;
}

static bool is_authority(struct mig_text authority)
{
    for (size_t i = 0; i < authority.len; i++) {
        char c = authority.at[i];
        if (c <= ' ' || c > '~' || strchr("@/?#\\\"<>^`{|},", c) != NULL)
            return false;
    }
    return authority.len > 0;
}

static enum mig_err parse_line(const struct mig_message *request)
{
    struct mig_text host;
    size_t hosts = mig_message_field(request, "host", &host);
    for (size_t i = 0; i < request->method.len; i++) {
        if (!is_token_char(request->method.at[i]))
            return MIG_ERR_MALFORMED;
    }
    return request->method.len > 0 && is_target(request->target) &&
                   is_authority(request->authority) && hosts <= 1 && request->request == NULL
               ? MIG_OK
               : MIG_ERR_MALFORMED;
}

static enum mig_err parse_no_body(const struct mig_message *request)
{
    struct mig_text length;
    size_t count = mig_message_field(request, "content-length", &length);
    return count == 0 || (count == 1 && mig_text_is(length, "0")) ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err parse_body(const struct mig_message *request, struct mig_signed_request *out)
{
    struct mig_text type, length, digest;
    out->has_body = true;
    if (mig_message_field(request, "content-type", &type) != 1 ||
        mig_message_field(request, "content-length", &length) != 1 ||
        mig_message_field(request, "content-digest", &digest) != 1)
        return MIG_ERR_MALFORMED;
    return mig_digest_field_parse(digest, out->content_digest);
}

static enum mig_err parse_context(const struct mig_message *request, struct mig_signed_request *out)
{
    if (mig_message_field(request, CONTEXT, &out->context_text) != 1)
        return MIG_ERR_MALFORMED;
    return mig_context_parse(out->context_text.at, out->context_text.len, &out->context);
}

/* What the message is, apart from its signature. */
static enum mig_err parse_message(const struct mig_message *request, bool needs_body,
                                  struct mig_signed_request *out)
{
    struct mig_text coding;
    if (parse_line(request) != MIG_OK ||
        mig_message_field(request, "transfer-encoding", &coding) != 0 ||
        mig_message_field(request, "content-encoding", &coding) != 0)
        return MIG_ERR_MALFORMED;
    enum mig_err err = needs_body ? parse_body(request, out) : parse_no_body(request);
    return err == MIG_OK ? parse_context(request, out) : err;
}

enum mig_err mig_request_parse(const struct mig_message *request, bool needs_body,
                               struct mig_signed_request *out)
{
    struct mig_signature_input input;
    struct mig_text input_field, signature_field;
    /* The base is written below; clearing its 8 KiB would cost more than the rest. */
    memset(out, 0, offsetof(struct mig_signed_request, base));
    size_t inputs = mig_message_field(request, "signature-input", &input_field);
    size_t signatures = mig_message_field(request, "signature", &signature_field);
    if (inputs == 0 && signatures == 0)
        return MIG_ERR_DENIED;
    if (inputs != 1 || signatures != 1 ||
        mig_signature_input_parse(input_field, &input) != MIG_OK ||
        mig_signature_parse(signature_field, input.member.key, out->signature) != MIG_OK)
        return MIG_ERR_MALFORMED;
    out->params = input.value;
    if (parse_components(&input, &out->covered) != MIG_OK || parse_params(&input, out) != MIG_OK ||
        parse_message(request, needs_body, out) != MIG_OK)
        return MIG_ERR_MALFORMED;
    return mig_base_build(request, &input, out->base, sizeof out->base, &out->base_len);
}

static bool is_covered(const struct mig_signed_request *request)
{
    unsigned needed = COVERS_ALWAYS | (request->has_body ? COVERS_BODY : 0u);
    return (request->covered & needed) == needed;
}

static bool has_params(const struct mig_signed_request *request)
{
    return request->has_created && request->has_expires && request->has_nonce &&
           request->has_keyid && request->has_tag &&
           (!request->has_alg || mig_text_is(request->alg, "ed25519"));
}

/* keyid, the context's service and the honoured key are one. */
static bool is_of_key(const struct mig_signed_request *request, const uint8_t key[MIG_KEY_LEN])
{
    uint8_t keyid[MIG_KEY_LEN];
    return mig_key_parse(request->keyid.at, request->keyid.len, keyid) == MIG_OK &&
           mig_equal(keyid, request->context.service, MIG_KEY_LEN) &&
           mig_equal(keyid, key, MIG_KEY_LEN);
}

/* created - W <= now <= min(created + W, expires), created <= expires <= created + 300 */
static bool is_in_time(const struct mig_signed_request *request, uint64_t now, uint32_t skew)
{
    uint64_t created = request->created, expires = request->expires;
    uint64_t distance = created > now ? created - now : now - created;
    return distance <= skew && now <= expires && created <= expires &&
           expires - created <= MIG_LIFETIME_MAX;
}

enum mig_err mig_request_check(const struct mig_signed_request *request,
                               const struct mig_auth_policy *policy, const char **why)
{
    *why = "";
    if (!is_covered(request))
        *why = "coverage";
    else if (!has_params(request))
        *why = "parameter";
    else if (!mig_text_is(request->tag, MIG_REQUEST_TAG))
        *why = "tag";
    else if (!is_of_key(request, policy->key))
        *why = "keyid";
    else if (!is_in_time(request, policy->now, policy->skew))
        *why = "time";
    return **why == '\0' ? MIG_OK : MIG_ERR_DENIED;
}

enum mig_err mig_request_verify(const struct mig_signed_request *request,
                                const uint8_t key[MIG_KEY_LEN])
{
    return mig_signature_is_valid(key, request->base, request->base_len, request->signature)
               ? MIG_OK
               : MIG_ERR_DENIED;
}

static bool has_digest(const struct mig_message *message)
{
    struct mig_text digest;
    return mig_message_field(message, "content-digest", &digest) > 0;
}

enum mig_err mig_request_sign(const struct mig_message *request, const struct mig_identity *service,
                              const char *nonce, uint64_t created, uint64_t expires,
                              struct mig_signature_fields *out)
{
    struct mig_signature_input input;
    char base[MIG_SIG_BASE_MAX], keyid[MIG_KEY_TEXT_MAX];
    uint8_t signature[MIG_SIG_LEN];
    size_t base_len;
    const struct mig_text nonce_text = {nonce, strlen(nonce)};
    unsigned covers = COVERS_ALWAYS | (has_digest(request) ? COVERS_BODY : 0u);

    out->input[0] = out->signature[0] = '\0';
    if (!mig_nonce_is_valid(nonce_text) || parse_line(request) != MIG_OK)
        return MIG_ERR_MALFORMED;
    mig_key_format(service->public_key, keyid);
    mig_signature_input_start(&input);
    for (size_t i = 0; i < REQUIRED_COUNT; i++) {
        if ((covers & required[i].bit) != 0)
            mig_signature_input_cover(&input, required[i].name, false);
    }
    mig_signature_input_integer(&input, "created", created);
    mig_signature_input_integer(&input, "expires", expires);
    mig_signature_input_string(&input, "nonce", nonce_text);
    mig_signature_input_string(&input, "keyid", (struct mig_text){keyid, strlen(keyid)});
    mig_signature_input_string(&input, "tag", MIG_TEXT(MIG_REQUEST_TAG));
    enum mig_err err = mig_signature_input_finish(&input, out->input);
    if (err == MIG_OK)
        err = mig_base_build(request, &input, base, sizeof base, &base_len);
    if (err == MIG_OK)
        err = mig_identity_sign(service, base, base_len, signature);
    if (err == MIG_OK)
        mig_signature_format(signature, out->signature);
    else
        out->input[0] = '\0';
    return err;
}

void mig_nonce_new(char out[MIG_NONCE_MIN + 1])
{
    uint8_t bytes[16];
    mig_random(bytes, sizeof bytes);
    if (mig_base64url_encode(bytes, sizeof bytes, out, MIG_NONCE_MIN + 1) != MIG_OK)
        out[0] = '\0'; /* cannot be: 16 bytes are 22 characters */
}

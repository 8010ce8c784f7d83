/* SPDX-License-Identifier: MIT */
/* Answers of the node: one form, signed here and the only one accepted here. */
#include "auth/base.h"

#include <string.h>

#include "auth/digest.h"

/* What a signed answer covers; `optional` ones exactly when they are present. */
static const struct component {
    const char *name;
    bool of_request, optional;
} components[] = {
    {"@status", false, false},
    {"content-type", false, false},
    {"content-digest", false, false},
    {"mpc-migration-context", false, true},
    {"retry-after", false, true},
    {"allow", false, true},
    {"@method", true, false},
    {"@path", true, false},
    {"mpc-migration-context", true, false},
    {"content-digest", true, true},
};
enum { COMPONENT_COUNT = sizeof components / sizeof *components };

static bool is_present(const struct mig_message *response, const struct component *component)
{
    struct mig_text value;
    const struct mig_message *source = component->of_request ? response->request : response;
    return mig_message_field(source, component->name, &value) > 0;
}

static bool is_expected(const struct mig_message *response, const struct component *component)
{
    return !component->optional || is_present(response, component);
}

static enum mig_err sign(const struct mig_message *response, const struct mig_identity *node,
                         struct mig_signature_input *input, struct mig_signature_fields *out)
{
    char base[MIG_SIG_BASE_MAX];
    uint8_t signature[MIG_SIG_LEN];
    size_t base_len;
    enum mig_err err = mig_signature_input_finish(input, out->input);
    if (err == MIG_OK)
        err = mig_base_build(response, input, base, sizeof base, &base_len);
    if (err == MIG_OK)
        err = mig_identity_sign(node, base, base_len, signature);
    if (err == MIG_OK)
        mig_signature_format(signature, out->signature);
    return err;
}

enum mig_err mig_response_sign(const struct mig_message *response, const struct mig_identity *node,
                               struct mig_text nonce, uint64_t created,
                               struct mig_signature_fields *out)
{
    struct mig_signature_input input;
    char keyid[MIG_KEY_TEXT_MAX];
    out->input[0] = out->signature[0] = '\0';
    if (response->request == NULL || !mig_nonce_is_valid(nonce))
        return MIG_ERR_BUG;
    mig_key_format(node->public_key, keyid);
    mig_signature_input_start(&input);
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        if (is_expected(response, &components[i]))
            mig_signature_input_cover(&input, components[i].name, components[i].of_request);
    }
    mig_signature_input_integer(&input, "created", created);
    mig_signature_input_string(&input, "nonce", nonce);
    mig_signature_input_string(&input, "keyid", (struct mig_text){keyid, strlen(keyid)});
    mig_signature_input_string(&input, "tag", MIG_TEXT(MIG_RESPONSE_TAG));
    enum mig_err err = sign(response, node, &input, out);
    if (err != MIG_OK)
        out->input[0] = '\0';
    return err;
}

static bool covers(const struct mig_signature_input *input, const struct component *component)
{
    for (size_t i = 0; i < input->member.count; i++) {
        bool of_request;
        if (mig_component_of_request(input, i, &of_request) == MIG_OK &&
            of_request == component->of_request &&
            mig_text_is(input->items[i].value.text, component->name))
            return true;
    }
    return false;
}

/* Every expected component is there and, the base builder having refused
 * repetitions, an equal number means that nothing else is. */
static bool has_coverage(const struct mig_message *response,
                         const struct mig_signature_input *input)
{
    size_t expected = 0;
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        if (!is_expected(response, &components[i]))
            continue;
        expected++;
        if (!covers(input, &components[i]))
            return false;
    }
    return input->member.count == expected;
}

static const struct mig_sf_value *param(const struct mig_signature_input *input, const char *key,
                                        enum mig_sf_type type)
{
    const struct mig_sf_item *owner = &input->member.item;
    for (size_t i = 0; i < owner->param_count; i++) {
        const struct mig_sf_param *p = &input->params[owner->param + i];
        if (mig_text_is(p->key, key))
            return p->value.type == type ? &p->value : NULL;
    }
    return NULL;
}

/* Exactly created, nonce, keyid and tag, and they say what they must. */
static bool has_params(const struct mig_signature_input *input, const uint8_t node_key[MIG_KEY_LEN],
                       const char *nonce, uint64_t *created)
{
    const struct mig_sf_value *time = param(input, "created", MIG_SF_INTEGER);
    const struct mig_sf_value *echo = param(input, "nonce", MIG_SF_STRING);
    const struct mig_sf_value *keyid = param(input, "keyid", MIG_SF_STRING);
    const struct mig_sf_value *tag = param(input, "tag", MIG_SF_STRING);
    uint8_t key[MIG_KEY_LEN];
    if (input->member.item.param_count != 4 || time == NULL || echo == NULL || keyid == NULL ||
        tag == NULL || time->number < 0)
        return false;
    *created = (uint64_t)time->number;
    return mig_text_is(tag->text, MIG_RESPONSE_TAG) && mig_text_is(echo->text, nonce) &&
           mig_key_parse(keyid->text.at, keyid->text.len, key) == MIG_OK &&
           mig_equal(key, node_key, MIG_KEY_LEN);
}

/* Fields that mean something to the client come at most once. */
static bool has_single_fields(const struct mig_message *response)
{
    struct mig_text value;
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        if (!components[i].of_request &&
            mig_message_field(response, components[i].name, &value) > 1)
            return false;
    }
    return true;
}

static bool is_authentic(const struct mig_message *response, const uint8_t node_key[MIG_KEY_LEN],
                         const char *nonce, uint64_t *created)
{
    struct mig_signature_input input;
    struct mig_text input_field, signature_field;
    char base[MIG_SIG_BASE_MAX];
    uint8_t signature[MIG_SIG_LEN];
    size_t len;
    return mig_message_field(response, "signature-input", &input_field) == 1 &&
           mig_message_field(response, "signature", &signature_field) == 1 &&
           mig_signature_input_parse(input_field, &input) == MIG_OK &&
           mig_signature_parse(signature_field, input.member.key, signature) == MIG_OK &&
           has_single_fields(response) && has_params(&input, node_key, nonce, created) &&
           mig_base_build(response, &input, base, sizeof base, &len) == MIG_OK &&
           has_coverage(response, &input) && mig_signature_is_valid(node_key, base, len, signature);
}

enum mig_err mig_response_verify(const struct mig_message *response,
                                 const uint8_t node_key[MIG_KEY_LEN], const char *nonce,
                                 uint8_t content_digest[MIG_DIGEST_LEN], uint64_t *created)
{
    struct mig_text digest;
    memset(content_digest, 0, MIG_DIGEST_LEN);
    *created = 0;
    if (response->request == NULL || !is_authentic(response, node_key, nonce, created) ||
        mig_message_field(response, "content-digest", &digest) != 1 ||
        mig_digest_field_parse(digest, content_digest) != MIG_OK) {
        *created = 0;
        return MIG_ERR_DENIED;
    }
    return MIG_OK;
}

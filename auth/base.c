/* SPDX-License-Identifier: MIT */
#include "auth/base.h"

#include <string.h>

#include "crypto/encoding.h"

static const char label[] = "sig";
#define INTEGER_MAX UINT64_C(999999999999999)

enum mig_err mig_signature_input_parse(struct mig_text field, struct mig_signature_input *out)
{
    char scratch[MIG_SIG_FIELD_MAX];
    out->sf = (struct mig_sf){.members = &out->member,
                              .items = out->items,
                              .params = out->params,
                              .member_cap = 1,
                              .item_cap = MIG_COMPONENTS_MAX,
                              .param_cap = MIG_SIG_PARAMS_MAX};
    if (field.len > MIG_SIG_FIELD_MAX ||
        mig_sf_parse(MIG_SF_DICTIONARY, field, &out->sf) != MIG_OK || out->sf.has_duplicates ||
        out->sf.member_count != 1 || !out->member.is_inner ||
        !mig_sf_is_canonical(MIG_SF_DICTIONARY, &out->sf, field, scratch, sizeof scratch))
        return MIG_ERR_MALFORMED;
    size_t skip = out->member.key.len + 1; /* label= */
    out->value = (struct mig_text){field.at + skip, field.len - skip};
    return MIG_OK;
}

enum mig_err mig_signature_parse(struct mig_text field, struct mig_text expected,
                                 uint8_t signature[MIG_SIG_LEN])
{
    enum { BASE64_LEN = 88 }; /* of 64 bytes; with the label, '=' and two colons nothing is left */
    if (field.len != expected.len + 1 + 1 + BASE64_LEN + 1 ||
        memcmp(field.at, expected.at, expected.len) != 0 ||
        memcmp(field.at + expected.len, "=:", 2) != 0 || field.at[field.len - 1] != ':')
        return MIG_ERR_MALFORMED;
    size_t len;
    if (mig_base64_decode(field.at + expected.len + 2, BASE64_LEN, signature, MIG_SIG_LEN, &len) !=
            MIG_OK ||
        len != MIG_SIG_LEN)
        return MIG_ERR_MALFORMED;
    return MIG_OK;
}

void mig_signature_input_start(struct mig_signature_input *input)
{
    input->sf = (struct mig_sf){.members = &input->member,
                                .items = input->items,
                                .params = input->params,
                                .member_cap = 1,
                                .member_count = 1,
                                .item_cap = MIG_COMPONENTS_MAX,
                                .param_cap = MIG_SIG_PARAMS_MAX};
    input->member = (struct mig_sf_member){.key = {label, sizeof label - 1}, .is_inner = true};
    input->is_impossible = false;
}

static void add_param(struct mig_signature_input *input, struct mig_sf_item *owner, const char *key,
                      struct mig_sf_value value)
{
    struct mig_sf *sf = &input->sf;
    if (sf->param_count == sf->param_cap) {
        input->is_impossible = true;
        return;
    }
    if (owner->param_count++ == 0)
        owner->param = sf->param_count;
    sf->params[sf->param_count++] = (struct mig_sf_param){{key, strlen(key)}, value};
}

void mig_signature_input_cover(struct mig_signature_input *input, const char *name, bool of_request)
{
    struct mig_sf *sf = &input->sf;
    if (sf->item_count == sf->item_cap) {
        input->is_impossible = true;
        return;
    }
    input->member.count++;
    struct mig_sf_item *item = &sf->items[sf->item_count++];
    *item = (struct mig_sf_item){.value = {.type = MIG_SF_STRING, .text = {name, strlen(name)}}};
    if (of_request)
        add_param(input, item, "req", (struct mig_sf_value){.type = MIG_SF_BOOLEAN, .number = 1});
}

void mig_signature_input_integer(struct mig_signature_input *input, const char *key, uint64_t value)
{
    input->is_impossible = input->is_impossible || value > INTEGER_MAX;
    add_param(input, &input->member.item, key,
              (struct mig_sf_value){.type = MIG_SF_INTEGER, .number = (int64_t)value});
}

void mig_signature_input_string(struct mig_signature_input *input, const char *key,
                                struct mig_text value)
{
    add_param(input, &input->member.item, key,
              (struct mig_sf_value){.type = MIG_SF_STRING, .text = value});
}

enum mig_err mig_signature_input_finish(struct mig_signature_input *input,
                                        char field[MIG_SIG_FIELD_MAX + 1])
{
    size_t len = 0;
    field[0] = '\0';
    if (input->is_impossible ||
        mig_sf_format(MIG_SF_DICTIONARY, &input->sf, field, MIG_SIG_FIELD_MAX, &len) != MIG_OK)
        return MIG_ERR_BUG;
    field[len] = '\0';
    input->value = (struct mig_text){field + sizeof label, len - sizeof label};
    return MIG_OK;
}

void mig_signature_format(const uint8_t signature[MIG_SIG_LEN], char field[MIG_SIG_FIELD_MAX + 1])
{
    char *at = field + sizeof label;
    memcpy(field, label, sizeof label - 1);
    memcpy(at - 1, "=:", 2);
    at++;
    if (mig_base64_encode(signature, MIG_SIG_LEN, at, MIG_SIG_FIELD_MAX - sizeof label) != MIG_OK)
        at[0] = '\0'; /* cannot be: the field has room for ten of them */
    memcpy(at + strlen(at), ":", 2);
}

enum mig_err mig_component_of_request(const struct mig_signature_input *input, size_t index,
                                      bool *of_request)
{
    const struct mig_sf_item *item = &input->items[index];
    *of_request = item->param_count > 0;
    if (item->param_count == 0)
        return MIG_OK;
    const struct mig_sf_param *param = &input->params[item->param];
    bool is_req = item->param_count == 1 && mig_text_is(param->key, "req") &&
                  param->value.type == MIG_SF_BOOLEAN && param->value.number == 1;
    return is_req ? MIG_OK : MIG_ERR_MALFORMED;
}

struct base {
    char *at;
    size_t len, cap;
};

static enum mig_err append(struct base *b, struct mig_text text)
{
    if (text.len > b->cap - b->len)
        return MIG_ERR_MALFORMED;
    if (text.len > 0)
        memcpy(b->at + b->len, text.at, text.len);
    b->len += text.len;
    return MIG_OK;
}

/* A line feed here would let one value pass for two components. */
static enum mig_err append_value(struct base *b, struct mig_text value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if ((c < ' ' || c > '~') && c != '\t')
            return MIG_ERR_MALFORMED;
    }
    return append(b, value);
}

static enum mig_err append_lower(struct base *b, struct mig_text value)
{
    size_t start = b->len;
    if (append_value(b, value) != MIG_OK)
        return MIG_ERR_MALFORMED;
    for (size_t i = start; i < b->len; i++) {
        if (b->at[i] >= 'A' && b->at[i] <= 'Z')
            b->at[i] = (char)(b->at[i] + ('a' - 'A'));
    }
    return MIG_OK;
}

static enum mig_err append_status(struct base *b, const struct mig_message *message)
{
    unsigned status = message->status;
    const char digits[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                            (char)('0' + status % 10)};
    if (message->request == NULL || status < 100 || status > 999)
        return MIG_ERR_MALFORMED;
    return append(b, (struct mig_text){digits, sizeof digits});
}

static size_t path_len(struct mig_text target)
{
    const char *mark = target.len > 0 ? memchr(target.at, '?', target.len) : NULL;
    return mark != NULL ? (size_t)(mark - target.at) : target.len;
}

static enum mig_err append_path(struct base *b, struct mig_text target)
{
    target.len = path_len(target);
    return append_value(b, target.len > 0 ? target : MIG_TEXT("/"));
}

static enum mig_err append_query(struct base *b, struct mig_text target)
{
    size_t skip = path_len(target);
    struct mig_text query = {target.at + skip, target.len - skip};
    return append_value(b, query.len > 0 ? query : MIG_TEXT("?"));
}

/* A name with '@' is never looked up among the fields, whatever they hold. */
static enum mig_err append_derived(struct base *b, const struct mig_message *message,
                                   struct mig_text name)
{
    if (mig_text_is(name, "@status"))
        return append_status(b, message);
    if (message->request != NULL)
        return MIG_ERR_MALFORMED;
    if (mig_text_is(name, "@method"))
        return append_value(b, message->method);
    if (mig_text_is(name, "@authority"))
        return append_lower(b, message->authority);
    if (mig_text_is(name, "@path"))
        return append_path(b, message->target);
    if (mig_text_is(name, "@query"))
        return append_query(b, message->target);
    return MIG_ERR_MALFORMED;
}

static enum mig_err append_field(struct base *b, const struct mig_message *message,
                                 struct mig_text name)
{
    size_t count = 0;
    for (size_t i = 0; i < message->field_count; i++) {
        if (!mig_field_is(&message->fields[i], name))
            continue;
        if (count++ > 0 && append(b, MIG_TEXT(", ")) != MIG_OK)
            return MIG_ERR_MALFORMED;
        if (append_value(b, mig_text_trim(message->fields[i].value)) != MIG_OK)
            return MIG_ERR_MALFORMED;
    }
    return count > 0 ? MIG_OK : MIG_ERR_MALFORMED;
}

static bool is_repeated(const struct mig_signature_input *input, size_t index)
{
    const struct mig_sf_item *item = &input->items[index];
    for (size_t i = 0; i < index; i++) {
        const struct mig_sf_item *other = &input->items[i];
        if (other->value.text.len == item->value.text.len &&
            other->param_count == item->param_count &&
            memcmp(other->value.text.at, item->value.text.at, item->value.text.len) == 0)
            return true;
    }
    return false;
}

static enum mig_err append_component(struct base *b, const struct mig_message *message,
                                     const struct mig_signature_input *input, size_t index)
{
    const struct mig_sf_item *item = &input->items[index];
    struct mig_text name = item->value.text;
    bool of_request;
    if (item->value.type != MIG_SF_STRING || name.len == 0 ||
        mig_component_of_request(input, index, &of_request) != MIG_OK || is_repeated(input, index))
        return MIG_ERR_MALFORMED;
    const struct mig_message *source = of_request ? message->request : message;
    if (source == NULL || append(b, MIG_TEXT("\"")) != MIG_OK || append(b, name) != MIG_OK ||
        append(b, of_request ? MIG_TEXT("\";req: ") : MIG_TEXT("\": ")) != MIG_OK)
        return MIG_ERR_MALFORMED;
    enum mig_err err =
        name.at[0] == '@' ? append_derived(b, source, name) : append_field(b, source, name);
    return err == MIG_OK ? append(b, MIG_TEXT("\n")) : MIG_ERR_MALFORMED;
}

enum mig_err mig_base_build(const struct mig_message *message,
                            const struct mig_signature_input *input, char *out, size_t cap,
                            size_t *len)
{
    struct base b = {out, 0, cap};
    *len = 0;
    for (size_t i = 0; i < input->member.count; i++) {
        if (append_component(&b, message, input, i) != MIG_OK)
            return MIG_ERR_MALFORMED;
    }
    if (append(&b, MIG_TEXT("\"@signature-params\": ")) != MIG_OK ||
        append(&b, input->value) != MIG_OK)
        return MIG_ERR_MALFORMED;
    *len = b.len;
    return MIG_OK;
}

/* SPDX-License-Identifier: MIT */
#include "crypto/context.h"

#include <string.h>

#include "crypto/encoding.h"
#include "crypto/key.h"

enum {
    KEY_BASE64 = 44, /* characters of 32 bytes */
    TAG_BASE64 = 12, /* of 8 bytes */
    EPOCH_DIGITS = 20,
};

struct reader {
    const char *at, *end;
};

static bool take(struct reader *r, const char *literal)
{
    size_t len = strlen(literal);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, literal, len) != 0)
        return false;
    r->at += len;
    return true;
}

/* Printable ASCII without the two characters that would need an escape. */
static bool is_plain(char c)
{
    return c >= '!' && c <= '~' && c != '"' && c != '\\';
}

/* A quoted string after `prefix`, which ends with the opening quote. */
static enum mig_err take_string(struct reader *r, const char *prefix, const char **text,
                                size_t *len)
{
    if (!take(r, prefix))
        return MIG_ERR_MALFORMED;
    *text = r->at;
    while (r->at < r->end && is_plain(*r->at))
        r->at++;
    *len = (size_t)(r->at - *text);
    return take(r, "\"") ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err take_account(struct reader *r, const char *prefix,
                                 char out[MIG_ACCOUNT_MAX + 1])
{
    const char *text;
    size_t len;
    if (take_string(r, prefix, &text, &len) != MIG_OK || len > MIG_ACCOUNT_MAX)
        return MIG_ERR_MALFORMED;
    memcpy(out, text, len);
    out[len] = '\0';
    return MIG_OK;
}

static enum mig_err take_key(struct reader *r, const char *prefix, uint8_t key[MIG_KEY_LEN])
{
    const char *text;
    size_t len;
    if (take_string(r, prefix, &text, &len) != MIG_OK)
        return MIG_ERR_MALFORMED;
    return mig_key_parse(text, len, key);
}

/* 0 or no leading zero, at most 2^64 - 1. */
static enum mig_err take_epoch(struct reader *r, uint64_t *epoch)
{
    const char *text;
    size_t len;
    *epoch = 0;
    if (take_string(r, ", epoch=\"", &text, &len) != MIG_OK || len == 0 || len > EPOCH_DIGITS ||
        (text[0] == '0' && len > 1))
        return MIG_ERR_MALFORMED;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(*epoch, 10u, epoch) ||
            __builtin_add_overflow(*epoch, (unsigned)(text[i] - '0'), epoch))
            return MIG_ERR_MALFORMED;
    }
    return MIG_OK;
}

static enum mig_err take_bytes(struct reader *r, uint8_t *out, size_t cap, size_t base64_len)
{
    size_t len;
    if ((size_t)(r->end - r->at) < base64_len ||
        mig_base64_decode(r->at, base64_len, out, cap, &len) != MIG_OK || len != cap)
        return MIG_ERR_MALFORMED;
    r->at += base64_len;
    return take(r, ":") ? MIG_OK : MIG_ERR_MALFORMED;
}

/* Nothing is read, and nothing is wrong, when the member is not there. */
static enum mig_err take_optional(struct reader *r, const char *prefix, uint8_t *out, size_t cap,
                                  size_t base64_len, bool *has)
{
    *has = take(r, prefix);
    return *has ? take_bytes(r, out, cap, base64_len) : MIG_OK;
}

static enum mig_err take_words(struct reader *r, struct mig_context *out)
{
    if (take(r, ", direction=backup"))
        out->direction = MIG_BACKUP;
    else if (take(r, ", direction=recover"))
        out->direction = MIG_RECOVER;
    else
        return MIG_ERR_MALFORMED;
    if (take(r, ", announce=header"))
        out->announce = MIG_ANNOUNCE_HEADER;
    else if (take(r, ", announce=contract"))
        out->announce = MIG_ANNOUNCE_CONTRACT;
    else
        return MIG_ERR_MALFORMED;
    return MIG_OK;
}

static enum mig_err take_identity(struct reader *r, struct mig_context *out)
{
    if (take_account(r, "contract=\"", out->contract) != MIG_OK ||
        take_account(r, ", account=\"", out->account) != MIG_OK ||
        take_key(r, ", node=\"", out->node) != MIG_OK ||
        take_key(r, ", service=\"", out->service) != MIG_OK)
        return MIG_ERR_MALFORMED;
    return MIG_OK;
}

static enum mig_err take_keyset(struct reader *r, struct mig_context *out)
{
    if (take_epoch(r, &out->epoch) != MIG_OK || !take(r, ", keyset=:"))
        return MIG_ERR_MALFORMED;
    return take_bytes(r, out->keyset, sizeof out->keyset, KEY_BASE64);
}

static enum mig_err take_keys(struct reader *r, struct mig_context *out)
{
    if (take_optional(r, ", operator-key=:", out->operator_tag, sizeof out->operator_tag,
                      TAG_BASE64, &out->has_operator_tag) != MIG_OK ||
        take_optional(r, ", client-key=:", out->client_key, sizeof out->client_key, KEY_BASE64,
                      &out->has_client_key) != MIG_OK)
        return MIG_ERR_MALFORMED;
    return take_optional(r, ", node-key=:", out->node_key, sizeof out->node_key, KEY_BASE64,
                         &out->has_node_key);
}

enum mig_err mig_context_parse(const char *text, size_t len, struct mig_context *out)
{
    struct reader r = {text, text + len};
    *out = (struct mig_context){0};
    if (len > MIG_CONTEXT_MAX || take_identity(&r, out) != MIG_OK ||
        take_words(&r, out) != MIG_OK || take_keyset(&r, out) != MIG_OK ||
        take_keys(&r, out) != MIG_OK || r.at != r.end) {
        *out = (struct mig_context){0};
        return MIG_ERR_MALFORMED;
    }
    return MIG_OK;
}

/* Counts what does not fit as well; looked at once, at the end. */
struct writer {
    char *at;
    size_t len, cap;
};

static void put(struct writer *w, const char *text)
{
    size_t len = strlen(text);
    if (w->len < w->cap && len < w->cap - w->len)
        memcpy(w->at + w->len, text, len + 1);
    w->len += len;
}

static void put_key(struct writer *w, const char *prefix, const uint8_t key[MIG_KEY_LEN])
{
    char text[MIG_KEY_TEXT_MAX];
    mig_key_format(key, text);
    put(w, prefix);
    put(w, text);
    put(w, "\"");
}

static void put_epoch(struct writer *w, uint64_t epoch)
{
    char digits[EPOCH_DIGITS + 1] = {0};
    size_t at = EPOCH_DIGITS;
    do {
        digits[--at] = (char)('0' + epoch % 10);
        epoch /= 10;
    } while (epoch > 0);
    put(w, ", epoch=\"");
    put(w, digits + at);
    put(w, "\"");
}

static enum mig_err put_bytes(struct writer *w, const char *prefix, const uint8_t *bytes,
                              size_t len)
{
    char text[MIG_BASE64_LEN(MIG_KEY_LEN)];
    if (mig_base64_encode(bytes, len, text, sizeof text) != MIG_OK)
        return MIG_ERR_BUG;
    put(w, prefix);
    put(w, text);
    put(w, ":");
    return MIG_OK;
}

static enum mig_err put_keys(struct writer *w, const struct mig_context *context)
{
    enum mig_err err = put_bytes(w, ", keyset=:", context->keyset, sizeof context->keyset);
    if (err == MIG_OK && context->has_operator_tag)
        err = put_bytes(w, ", operator-key=:", context->operator_tag, sizeof context->operator_tag);
    if (err == MIG_OK && context->has_client_key)
        err = put_bytes(w, ", client-key=:", context->client_key, sizeof context->client_key);
    if (err == MIG_OK && context->has_node_key)
        err = put_bytes(w, ", node-key=:", context->node_key, sizeof context->node_key);
    return err;
}

static bool is_plain_text(const char *text)
{
    while (is_plain(*text))
        text++;
    return *text == '\0';
}

static bool is_valid(const struct mig_context *context)
{
    return strnlen(context->contract, sizeof context->contract) <= MIG_ACCOUNT_MAX &&
           strnlen(context->account, sizeof context->account) <= MIG_ACCOUNT_MAX &&
           is_plain_text(context->contract) && is_plain_text(context->account) &&
           (context->direction == MIG_BACKUP || context->direction == MIG_RECOVER) &&
           (context->announce == MIG_ANNOUNCE_HEADER || context->announce == MIG_ANNOUNCE_CONTRACT);
}

enum mig_err mig_context_format(const struct mig_context *context, char *out, size_t cap,
                                size_t *len)
{
    struct writer w = {out, 0, cap};
    *len = 0;
    if (!is_valid(context))
        return MIG_ERR_MALFORMED;
    put(&w, "contract=\"");
    put(&w, context->contract);
    put(&w, "\", account=\"");
    put(&w, context->account);
    put(&w, "\"");
    put_key(&w, ", node=\"", context->node);
    put_key(&w, ", service=\"", context->service);
    put(&w, context->direction == MIG_BACKUP ? ", direction=backup" : ", direction=recover");
    put(&w, context->announce == MIG_ANNOUNCE_HEADER ? ", announce=header" : ", announce=contract");
    put_epoch(&w, context->epoch);
    if (put_keys(&w, context) != MIG_OK || w.len >= cap) {
        if (cap > 0)
            out[0] = '\0';
        return MIG_ERR_BUG;
    }
    *len = w.len;
    return MIG_OK;
}

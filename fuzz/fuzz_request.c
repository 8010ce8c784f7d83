/* SPDX-License-Identifier: MIT */
/*
 * The head of any request, as everyone who can reach the listener may send it,
 * and of any answer, as everyone between may send it. Input: method, target and
 * authority, then one "name: value" a line; a first line "+" asks for a body.
 * A base that is built says one thing only: a line per covered component, no
 * octet that could make one line two, the parameters last.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/signature.h"

enum { FIELDS = 32 };

static struct mig_text line(const char **at, const char *end)
{
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    struct mig_text text = {*at, (size_t)((stop != NULL ? stop : end) - *at)};
    *at = stop != NULL ? stop + 1 : end;
    return text;
}

static struct mig_field split(struct mig_text text)
{
    const char *colon = text.len > 0 ? memchr(text.at, ':', text.len) : NULL;
    size_t len = colon != NULL ? (size_t)(colon - text.at) : text.len;
    size_t skip = colon != NULL ? len + 1 : len;
    return (struct mig_field){{text.at, len}, {text.at + skip, text.len - skip}};
}

static void check_base(const struct mig_signed_request *r)
{
    static const char params[] = "\"@signature-params\": ";
    size_t lines = 0;
    bool at_start = true;
    for (size_t i = 0; i < r->base_len; i++) {
        char c = r->base[i];
        if ((at_start && c != '"') || ((c < ' ' || c > '~') && c != '\t' && c != '\n'))
            abort();
        at_start = c == '\n';
        lines += at_start;
    }
    size_t tail = sizeof params - 1 + r->params.len;
    if (at_start || lines > MIG_COMPONENTS_MAX || r->base_len < tail)
        abort();
    const char *last = r->base + r->base_len - tail;
    if (memcmp(last, params, sizeof params - 1) != 0 ||
        memcmp(last + sizeof params - 1, r->params.at, r->params.len) != 0 ||
        (lines > 0 && last[-1] != '\n'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mig_signed_request parsed;
    static const uint8_t key[MIG_KEY_LEN] = {0x26, 0xb4, 0x0b, 0x8f, 0x93, 0xff, 0xf3, 0xd8,
                                             0x97, 0x11, 0x2f, 0x7e, 0xbc, 0x58, 0x2b, 0x23,
                                             0x2d, 0xbd, 0x72, 0x51, 0x7d, 0x08, 0x2f, 0xe8,
                                             0x3c, 0xfb, 0x30, 0xdd, 0xce, 0x43, 0xd1, 0xbb};
    const char *at = (const char *)data, *end = at + size, *why;
    struct mig_field fields[FIELDS];
    struct mig_message m = {.fields = fields};
    struct mig_auth_policy policy = {.now = 1618884473, .skew = MIG_SKEW_DEFAULT};
    uint8_t digest[MIG_DIGEST_LEN];
    uint64_t created;
    if (mig_crypto_init() != MIG_OK || size > 1 << 15)
        return 0;
    m.method = line(&at, end);
    bool needs_body = mig_text_is(m.method, "+");
    if (needs_body)
        m.method = line(&at, end);
    m.target = line(&at, end);
    m.authority = line(&at, end);
    while (at < end && m.field_count < FIELDS)
        fields[m.field_count++] = split(line(&at, end));
    memcpy(policy.key, key, sizeof policy.key);
    enum mig_err err = mig_request_parse(&m, needs_body, &parsed);
    if (err == MIG_OK) {
        check_base(&parsed);
        /* Nobody here has the key: whatever passes check must fail verify. */
        if (mig_request_check(&parsed, &policy, &why) == MIG_OK &&
            mig_request_verify(&parsed, key) == MIG_OK)
            abort();
    } else if (err != MIG_ERR_MALFORMED && err != MIG_ERR_DENIED) {
        abort();
    }
    struct mig_message answer = {
        .status = 200, .fields = fields, .field_count = m.field_count, .request = &m};
    if (mig_response_verify(&answer, key, "AAECAwQFBgcICQoLDA0ODw", digest, &created) !=
        MIG_ERR_DENIED)
        abort();
    return 0;
}

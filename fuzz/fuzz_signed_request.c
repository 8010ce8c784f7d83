/* SPDX-License-Identifier: MIT */
/*
 * A correctly signed upload, changed on its way by someone without the key.
 * Each three octets of input change one octet of the message: which text,
 * where, by what. Whatever is still accepted says what was signed.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/digest.h"
#include "auth/signature.h"

#define NOW UINT64_C(1000000)
#define DIGEST "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
enum { TEXTS = 17, TEXT = 1100, FIELDS = 7 };

struct scene {
    struct mig_identity *service;
    char texts[TEXTS][TEXT]; /* method, target, authority, then names and values */
    size_t lens[TEXTS];
};

static void set(struct scene *s, size_t index, const char *text)
{
    s->lens[index] = strlen(text);
    memcpy(s->texts[index], text, s->lens[index]);
}

static void view(const struct scene *s, struct mig_field *fields, struct mig_message *m)
{
    *m = (struct mig_message){.method = {s->texts[0], s->lens[0]},
                              .target = {s->texts[1], s->lens[1]},
                              .authority = {s->texts[2], s->lens[2]},
                              .fields = fields,
                              .field_count = FIELDS};
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = (struct mig_field){{s->texts[3 + 2 * i], s->lens[3 + 2 * i]},
                                       {s->texts[4 + 2 * i], s->lens[4 + 2 * i]}};
}

static void write_context(struct scene *s)
{
    struct mig_context c = {.contract = "v1.signer",
                            .account = "alice.near",
                            .direction = MIG_RECOVER,
                            .announce = MIG_ANNOUNCE_HEADER,
                            .epoch = 5,
                            .has_client_key = true,
                            .has_node_key = true};
    char text[MIG_CONTEXT_MAX + 1];
    size_t len;
    memcpy(c.service, s->service->public_key, MIG_KEY_LEN);
    if (mig_context_format(&c, text, sizeof text, &len) != MIG_OK)
        abort();
    set(s, 4, text);
}

static void build(struct scene *s)
{
    static const char *const names[FIELDS] = {
        "Mpc-Migration-Context", "Content-Type", "Content-Length", "Content-Digest", "X-Note",
        "Signature-Input",       "Signature"};
    static const uint8_t seed[MIG_SEED_LEN] = {7};
    struct mig_signature_fields out;
    struct mig_field fields[FIELDS];
    struct mig_message m;
    if (mig_crypto_init() != MIG_OK || mig_identity_from_seed(seed, &s->service) != MIG_OK)
        abort();
    set(s, 0, "PUT");
    set(s, 1, "/shares_recover");
    set(s, 2, "node.example:3030");
    for (size_t i = 0; i < FIELDS; i++)
        set(s, 3 + 2 * i, names[i]);
    write_context(s);
    set(s, 6, "application/vnd.mpc.sealed-keyshares");
    set(s, 8, "18");
    set(s, 10, DIGEST);
    set(s, 12, "anything");
    view(s, fields, &m);
    if (mig_request_sign(&m, s->service, "AAECAwQFBgcICQoLDA0ODw", NOW, NOW + 60, &out) != MIG_OK)
        abort();
    set(s, 14, out.input);
    set(s, 16, out.signature);
}

static void change(struct scene *s, const uint8_t *op)
{
    size_t index = op[0] % TEXTS, at = op[1];
    char *text = s->texts[index];
    if (op[0] >= 0xf0) { /* drop the octets from here on */
        s->lens[index] = at < s->lens[index] ? at : s->lens[index];
    } else if (op[0] >= 0xe0 && s->lens[index] + 1 < TEXT && at <= s->lens[index]) { /* insert */
        memmove(text + at + 1, text + at, s->lens[index] - at);
        text[at] = (char)op[2];
        s->lens[index]++;
    } else if (s->lens[index] > 0) {
        size_t place = (at + (op[0] / TEXTS) * 97u) % s->lens[index];
        text[place] = (char)(text[place] ^ op[2]);
    }
}

static bool is_same_field(const struct mig_message *m, const struct scene *was, size_t index)
{
    static const char *const names[] = {"mpc-migration-context", "content-type", "content-length",
                                        "content-digest"};
    struct mig_text value;
    return mig_message_field(m, names[index], &value) == 1 &&
           value.len == was->lens[4 + 2 * index] &&
           memcmp(value.at, was->texts[4 + 2 * index], value.len) == 0;
}

static void check_unchanged(const struct mig_message *m, const struct mig_signed_request *r,
                            const struct scene *was)
{
    struct mig_text params = {was->texts[14] + 4, was->lens[14] - 4}; /* without its label */
    bool is_same = mig_text_is(m->method, "PUT") && mig_text_is(m->target, "/shares_recover") &&
                   m->authority.len == was->lens[2] &&
                   mig_text_is(r->nonce, "AAECAwQFBgcICQoLDA0ODw") && r->created == NOW &&
                   r->expires == NOW + 60 && r->params.len == params.len &&
                   memcmp(r->params.at, params.at, params.len) == 0;
    for (size_t i = 0; i < 4; i++)
        is_same = is_same && is_same_field(m, was, i);
    for (size_t i = 0; is_same && i < m->authority.len; i++)
        is_same = (m->authority.at[i] | 0x20) == (was->texts[2][i] | 0x20);
    if (!is_same)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scene original, changed;
    static struct mig_signed_request parsed;
    struct mig_auth_policy policy = {.now = NOW + 5, .skew = MIG_SKEW_DEFAULT};
    struct mig_field fields[FIELDS];
    struct mig_message m;
    const char *why;
    if (original.service == NULL)
        build(&original);
    changed = original;
    for (size_t i = 0; i + 3 <= size && i < 3 * 64; i += 3)
        change(&changed, data + i);
    view(&changed, fields, &m);
    memcpy(policy.key, original.service->public_key, MIG_KEY_LEN);
    bool is_accepted = mig_request_parse(&m, true, &parsed) == MIG_OK &&
                       mig_request_check(&parsed, &policy, &why) == MIG_OK &&
                       mig_request_verify(&parsed, policy.key) == MIG_OK;
    if (is_accepted)
        check_unchanged(&m, &parsed, &original);
    else if (size < 3)
        abort(); /* unchanged, so it must be accepted: else this proves nothing */
    return 0;
}

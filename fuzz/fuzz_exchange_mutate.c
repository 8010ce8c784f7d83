/* SPDX-License-Identifier: MIT */
/*
 * Target: what lies behind the signature. A rogue or confused backup service
 * signs what it likes; someone on the way changes what was signed. The bytes
 * change an honest request, before it is signed or after. Holds: what was
 * changed after signing is never answered with a signature, and nothing is
 * imported but the right shares.
 *
 * Input: resource, when, what, then the bytes to change it with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUE_MAX = 2048 };
enum what {
    CONTEXT,
    METHOD,
    TARGET,
    AUTHORITY,
    FIELD_VALUE,
    BODY,
    BODY_CUT,
    KEYS,
    PLAIN,
    WHAT_COUNT
};

struct input {
    const uint8_t *at;
    size_t len;
};

static struct rig nodes[2]; /* a participant, and a destination */
static struct rig *rig;
static uint64_t turns;

static void check(bool fact)
{
    if (!fact)
        abort();
}

static uint8_t take(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->at++;
}

/* Flips, drops, doubles or inserts bytes; the text stays NUL-terminated. */
static void change_text(struct input *in, char *text, size_t cap)
{
    while (in->len > 0) {
        size_t len = strlen(text), at = len != 0 ? take(in) * len / 256 : 0;
        uint8_t how = take(in), byte = take(in);
        if (how % 3 == 0 && len != 0) {
            text[at] = byte != 0 ? (char)byte : 'x';
        } else if (how % 3 == 1 && len != 0) {
            memmove(text + at, text + at + 1, len - at);
        } else if (len + 2 < cap) {
            memmove(text + at + 1, text + at, len - at + 1);
            text[at] = byte != 0 ? (char)byte : ' ';
        }
    }
}

static void change_body(struct input *in)
{
    while (in->len > 0 && rig->ask.body_len != 0) {
        size_t at = ((size_t)take(in) << 8 | take(in)) % rig->ask.body_len;
        rig->body[at] ^= take(in);
    }
}

static void change_keys(struct input *in)
{
    struct mig_context *c = &rig->ask.context;
    uint8_t *const keys[] = {c->node, c->service, c->keyset, c->client_key, c->node_key};
    while (in->len > 0) {
        uint8_t which = take(in);
        if (which % 8 < 5)
            keys[which % 8][take(in) % MIG_KEY_LEN] ^= take(in);
        else if (which % 8 == 5)
            c->epoch ^= take(in);
        else if (which % 8 == 6)
            c->has_node_key = !c->has_node_key;
        else
            c->direction = take(in) % 2 ? MIG_BACKUP : MIG_RECOVER;
    }
}

/* Before signing: authentic nonsense. */
static void change_before(enum what what, struct input *in)
{
    static char context[VALUE_MAX];
    size_t len;
    switch (what) {
    case CONTEXT:
        check(mig_context_format(&rig->ask.context, context, sizeof context, &len) == MIG_OK);
        change_text(in, context, MIG_CONTEXT_MAX);
        rig->ask.context_text = context;
        break;
    case KEYS:
        change_keys(in);
        break;
    case PLAIN:
        if (rig->ask.resource == MIG_RESOURCE_UPLOAD)
            rig_seal_bytes(rig, in->at, in->len);
        break;
    case BODY:
        change_body(in);
        break;
    case BODY_CUT:
        rig->ask.body_len -= rig->ask.body_len != 0 ? take(in) % rig->ask.body_len : 0;
        break;
    case METHOD:
    case TARGET:
    case AUTHORITY:
    case FIELD_VALUE:
    case WHAT_COUNT:
        break;
    }
}

static void change_part(struct mig_text *part, struct input *in)
{
    static char text[VALUE_MAX];
    (void)snprintf(text, sizeof text, "%.*s", (int)part->len, part->at);
    change_text(in, text, sizeof text);
    *part = (struct mig_text){text, strlen(text)};
}

static bool same(struct mig_text a, struct mig_text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* After signing; true when something that is covered is not what it was.
 * "@authority" is compared in lower case, and surrounding white space is not
 * part of a value. */
static bool change_after(enum what what, struct input *in)
{
    struct mig_message *m = &rig->message;
    struct mig_text *part = what == METHOD      ? &m->method
                            : what == TARGET    ? &m->target
                            : what == AUTHORITY ? &m->authority
                                                : NULL;
    if (what == FIELD_VALUE && rig->field_count > 0)
        part = &rig->fields[take(in) % rig->field_count].value;
    if (part == NULL)
        return false;
    struct mig_text before = mig_text_trim(*part);
    bool is_host = part == &rig->fields[0].value; /* what is signed is the authority */
    change_part(part, in);
    struct mig_text now = mig_text_trim(*part);
    if (what == AUTHORITY)
        return before.len != now.len || strncasecmp(before.at, now.at, now.len) != 0;
    return !is_host && !same(before, now);
}

static void open_nodes(void)
{
    if (mig_crypto_init() != MIG_OK)
        abort();
    for (size_t i = 0; i < 2; i++)
        rig_open_with(&nodes[i], &(struct rig_options){.budget = 100000, .is_destination = i == 1});
}

/* Time must go on, or the nonces would fill up. */
static void let_time_pass(void)
{
    rig_wait(rig, 0.05);
    if (++turns % 200 == 0)
        for (size_t i = 0; i < 2; i++)
            rig_tell(&nodes[i]);
}

static void check_answer(bool tampered)
{
    const struct mig_response *r = rig->answer;
    check(r->status >= 200 && r->status < 600 && r->body_len > 0);
    check(r->is_signed == mig_exchange_is_authenticated(rig->exchange));
    check(!(tampered && r->is_signed));
    if (rig->has_receipt)
        check(memcmp(rig->imported, rig->shares, rig->world.domains * MIG_SHARE_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size < VALUE_MAX ? size : VALUE_MAX};
    if (nodes[0].service == NULL)
        open_nodes();
    enum mig_resource resource = (enum mig_resource)(1 + take(&in) % 4);
    bool after = take(&in) % 2 == 1;
    enum what what = (enum what)(take(&in) % WHAT_COUNT);
    rig = &nodes[resource >= MIG_RESOURCE_OFFER];
    let_time_pass();
    if (resource == MIG_RESOURCE_UPLOAD)
        rig_get_offer(rig);
    rig->has_receipt = false;
    rig_ask(rig, resource);
    if (!after)
        change_before(what, &in);
    rig_compose(rig);
    rig_sign(rig);
    bool tampered = after && change_after(what, &in);
    if (rig_begin(rig) == MIG_STEP_BODY) {
        if (after && what == BODY)
            change_body(&in);
        rig_feed_body(rig, rig->body, rig->ask.body_len);
        rig_finish(rig);
    }
    check_answer(tampered);
    rig_end(rig);
    return 0;
}

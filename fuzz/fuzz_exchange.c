/* SPDX-License-Identifier: MIT */
/*
 * Target: one exchange, from the first check to the answer. Reached by whoever
 * can open a connection: the bytes are the request, line by line ("METHOD
 * target", authority, "Name: value" ..., empty line, body), as the server hands
 * it over, without what its gate would have refused.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LINES_MAX = 40,
    BACK_S = 63, /* the start of the replay window lies so far back */
};

static struct rig rig;
static uint64_t start_ns;

static struct mig_text take_until(struct mig_text *rest, char end)
{
    struct mig_text out = *rest;
    const char *at = rest->len != 0 ? memchr(rest->at, end, rest->len) : NULL;
    if (at == NULL) {
        *rest = (struct mig_text){rest->at + rest->len, 0};
        return out;
    }
    out.len = (size_t)(at - rest->at);
    rest->len -= out.len + 1;
    rest->at = at + 1;
    return out;
}

/* -1 unless it is one to seven digits. */
static int64_t length_of(const struct mig_message *message)
{
    struct mig_text value;
    int64_t length = 0;
    if (mig_message_field(message, "content-length", &value) != 1 || value.len == 0 ||
        value.len > 7)
        return -1;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return -1;
        length = length * 10 + (value.at[i] - '0');
    }
    return length;
}

static struct mig_text read_message(struct mig_text rest, struct mig_field *fields,
                                    struct mig_message *message)
{
    struct mig_text line = take_until(&rest, '\n');
    message->method = take_until(&line, ' ');
    message->target = line;
    message->authority = take_until(&rest, '\n');
    message->fields = fields;
    while (message->field_count < LINES_MAX && (line = take_until(&rest, '\n')).len != 0) {
        struct mig_field *field = &fields[message->field_count++];
        field->name = take_until(&line, ':');
        (void)take_until(&line, ' ');
        field->value = line;
    }
    return rest;
}

/* The seeds are signed for one moment; it comes back after each that worked. */
static void rewind_clock(void)
{
    rig.wall_ns = start_ns;
    rig_restart(&rig, NULL);
    rig_wait(&rig, BACK_S - 2); /* each view takes a second */
    rig_tell(&rig);
}

static void check(bool fact)
{
    if (!fact)
        abort();
}

static void check_answer(const struct mig_exchange *x)
{
    const struct mig_response *r = mig_exchange_response(x);
    check(r->status >= 200 && r->status < 600 && r->field_count > 0 && r->body_len > 0);
    check(!r->is_signed || mig_exchange_is_authenticated(x));
    check(r->is_signed || r->status >= 400);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_field fields[LINES_MAX];
    struct mig_message message = {0};
    struct mig_exchange *x = NULL;

    if (rig.service == NULL) {
        if (mig_crypto_init() != MIG_OK)
            abort();
        rig_open_with(&rig, &(struct rig_options){.budget = 100000, .nonces = 64});
        start_ns = rig.wall_ns - BACK_S * 1000000000ull;
        rewind_clock();
    }
    struct mig_text body =
        read_message((struct mig_text){(const char *)data, size}, fields, &message);
    enum mig_step step =
        mig_exchange_begin(rig.service, &message, length_of(&message), &rig.peer, &x);
    if (step == MIG_STEP_BODY) {
        mig_exchange_body(x, (const uint8_t *)body.at, body.len);
        mig_exchange_finish(x);
    }
    check_answer(x);
    bool authenticated = mig_exchange_is_authenticated(x);
    mig_exchange_end(&x);
    if (authenticated)
        rewind_clock();
    return 0;
}

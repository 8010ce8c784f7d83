/* SPDX-License-Identifier: MIT */
#include "chain/block_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/rpc.h"

enum {
    TIMEOUT_MS = 20000,
    SKIPPED_MAX = 64, /* heights without a block that are looked through in one question */
};

struct source {
    struct mig_rpc *rpc;
    char contract[MIG_ACCOUNT_MAX + 1];
    bool optimistic; /* what the last head was */
};

static enum mig_err blame(struct source *s, enum mig_err err, const char *text)
{
    return mig_rpc_blame(
        s->rpc, err, err == MIG_ERR_NOT_FOUND ? MIG_FAULT_UNKNOWN_BLOCK : MIG_FAULT_NONSENSE, text);
}

static enum mig_err read_message(struct source *s, const struct mig_http_answer *a,
                                 struct mig_block_update *out)
{
    struct mig_json j;
    mig_json_init(&j, a->body, a->len);
    bool is_null = mig_json_null(&j);
    if (mig_json_end(&j) == MIG_OK && is_null)
        return blame(s, MIG_ERR_NOT_FOUND, "there is no block at this height");
    enum mig_err err = mig_block_parse(a->body, a->len, s->contract, false, out);
    if (err == MIG_ERR_NOMEM)
        return mig_rpc_blame(s->rpc, err, MIG_FAULT_OTHER, "out of memory");
    return err == MIG_OK ? MIG_OK : blame(s, err, "the answer is not a block's message");
}

static enum mig_err at(void *self, uint64_t height, struct mig_block_update *out)
{
    struct source *s = self;
    struct mig_http_answer a;
    char path[64];
    memset(out, 0, sizeof *out);
    (void)snprintf(path, sizeof path, "/v0/block%s/%llu", s->optimistic ? "_opt" : "",
                   (unsigned long long)height);
    enum mig_err err = mig_rpc_get(s->rpc, path, &a);
    if (err != MIG_OK)
        return err;
    if (a.status == 404)
        return blame(s, MIG_ERR_NOT_FOUND, "the server does not have the block");
    if (a.status != 200)
        return blame(s, MIG_ERR_MALFORMED, "the server answers with a redirect");
    err = read_message(s, &a, out);
    if (err == MIG_OK && out->context.height != height) {
        mig_block_update_clear(out);
        err = blame(s, MIG_ERR_MALFORMED, "the answer is about another block");
    }
    return err;
}

/* Where the head's redirect points: only its number is believed. */
static bool redirect_height(const char *location, uint64_t *height)
{
    const char *at_last = location != NULL ? strrchr(location, '/') : NULL;
    struct mig_json j;
    if (at_last == NULL)
        return false;
    mig_json_init(&j, at_last + 1, strcspn(at_last + 1, "?"));
    *height = mig_json_u64(&j);
    return mig_json_end(&j) == MIG_OK && *height > 0;
}

static enum mig_err head(void *self, bool optimistic, struct mig_block_update *out)
{
    struct source *s = self;
    struct mig_http_answer a;
    uint64_t height;
    memset(out, 0, sizeof *out);
    s->optimistic = optimistic;
    enum mig_err err =
        mig_rpc_get(s->rpc, optimistic ? "/v0/last_block/optimistic" : "/v0/last_block/final", &a);
    if (err != MIG_OK)
        return err;
    if (a.status == 200)
        return read_message(s, &a, out);
    if (a.status == 404 || !redirect_height(a.location, &height))
        return blame(s, MIG_ERR_MALFORMED, "the server does not say what the newest block is");
    return at(s, height, out);
}

static enum mig_err parent(void *self, const struct mig_block_context *child,
                           struct mig_block_update *out)
{
    struct source *s = self;
    uint64_t height = child->prev_height != 0 ? child->prev_height : child->height - 1;
    unsigned tries = child->prev_height != 0 ? 1 : SKIPPED_MAX;
    enum mig_err err = MIG_ERR_NOT_FOUND;
    for (; err == MIG_ERR_NOT_FOUND && tries > 0 && height > 0; tries--)
        err = at(s, height--, out);
    if (err == MIG_OK && memcmp(out->context.hash, child->prev_hash, MIG_DIGEST_LEN) != 0) {
        mig_block_update_clear(out);
        err = blame(s, MIG_ERR_RETRY, "the block before is another one: a fork, or a false server");
    }
    return err;
}

static enum mig_err fill(void *self, struct mig_block_update *block)
{
    (void)self;
    (void)block;
    return MIG_OK;
}

static const char *reason(void *self)
{
    const struct source *s = self;
    return mig_rpc_error(s->rpc)->reason;
}

static void cancel(void *self)
{
    struct source *s = self;
    mig_rpc_cancel(s->rpc);
}

static void release(void *self)
{
    struct source *s = self;
    mig_rpc_free(&s->rpc);
    free(s);
}

enum mig_err mig_block_source_http(const struct mig_block_source_options *o,
                                   struct mig_block_source *out)
{
    memset(out, 0, sizeof *out);
    const struct mig_rpc_options ro = {.url = o->url,
                                       .timeout_ms =
                                           o->timeout_ms != 0 ? o->timeout_ms : TIMEOUT_MS,
                                       .body_max = o->body_max != 0 ? o->body_max : MIG_BLOCK_MAX,
                                       .ca_file = o->ca_file};
    if (strlen(o->contract) > MIG_ACCOUNT_MAX)
        return MIG_ERR_MALFORMED;
    struct source *s = calloc(1, sizeof *s);
    enum mig_err err = s != NULL ? mig_rpc_new(&ro, &s->rpc) : MIG_ERR_NOMEM;
    if (err != MIG_OK) {
        free(s);
        return err;
    }
    memcpy(s->contract, o->contract, strlen(o->contract) + 1);
    *out = (struct mig_block_source){.self = s,
                                     .gives_whole_blocks = true,
                                     .head = head,
                                     .at = at,
                                     .parent = parent,
                                     .fill = fill,
                                     .reason = reason,
                                     .cancel = cancel,
                                     .free = release};
    return MIG_OK;
}

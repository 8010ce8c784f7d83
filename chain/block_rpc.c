/* SPDX-License-Identifier: MIT */
#include "chain/block_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/rpc.h"

enum { TIMEOUT_MS = 20000, ENVELOPE_MAX = 4096 };

struct source {
    struct mig_rpc *rpc;
    char contract[MIG_ACCOUNT_MAX + 1];
};

/* A block that is not known, and one whose data is gone, are the same here. */
static enum mig_err verdict(const struct source *s, enum mig_err err)
{
    enum mig_fault fault = mig_rpc_error(s->rpc)->fault;
    return err != MIG_OK && (fault == MIG_FAULT_UNKNOWN_BLOCK || fault == MIG_FAULT_NO_DATA)
               ? MIG_ERR_NOT_FOUND
               : err;
}

static void read_header(struct mig_json *j, void *out, struct mig_rpc_error *e, bool *failed)
{
    struct mig_block_update *u = out;
    (void)e;
    (void)failed;
    mig_block_read_header(j, &u->context);
}

static enum mig_err header(struct source *s, const char *params, struct mig_block_update *out)
{
    memset(out, 0, sizeof *out);
    enum mig_err err = verdict(s, mig_rpc_ask(s->rpc, "block", params, read_header, out));
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

static enum mig_err another(struct source *s, struct mig_block_update *out)
{
    mig_block_update_clear(out);
    return mig_rpc_blame(s->rpc, MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE,
                         "the answer is about another block");
}

static enum mig_err head(void *self, bool optimistic, struct mig_block_update *out)
{
    return header(self, optimistic ? "{\"finality\":\"optimistic\"}" : "{\"finality\":\"final\"}",
                  out);
}

static enum mig_err at(void *self, uint64_t height, struct mig_block_update *out)
{
    char params[64];
    (void)snprintf(params, sizeof params, "{\"block_id\":%llu}", (unsigned long long)height);
    enum mig_err err = header(self, params, out);
    return err == MIG_OK && out->context.height != height ? another(self, out) : err;
}

static enum mig_err parent(void *self, const struct mig_block_context *child,
                           struct mig_block_update *out)
{
    char params[80], hash[MIG_HASH_TEXT_MAX];
    mig_hash_format(child->prev_hash, hash);
    (void)snprintf(params, sizeof params, "{\"block_id\":\"%s\"}", hash);
    enum mig_err err = header(self, params, out);
    if (err == MIG_OK && (memcmp(out->context.hash, child->prev_hash, MIG_DIGEST_LEN) != 0 ||
                          out->context.height >= child->height ||
                          (child->prev_height != 0 && out->context.height != child->prev_height)))
        return another(self, out);
    return err;
}

/* What mig_block_read needs besides the reader. */
struct filling {
    const char *contract;
    struct mig_block_update update;
};

static void read_message(struct mig_json *j, void *out, struct mig_rpc_error *e, bool *failed)
{
    struct filling *f = out;
    (void)e;
    (void)failed;
    mig_block_update_clear(&f->update); /* a second `result` is refused in the end */
    mig_block_read(j, f->contract, true, &f->update);
}

static enum mig_err fill(void *self, struct mig_block_update *block)
{
    struct source *s = self;
    struct filling f = {.contract = s->contract};
    const struct mig_block_context *c = &block->context;
    char params[80], hash[MIG_HASH_TEXT_MAX];
    mig_hash_format(c->hash, hash);
    (void)snprintf(params, sizeof params, "{\"block_hash\":\"%s\"}", hash);
    enum mig_err err =
        verdict(s, mig_rpc_ask(s->rpc, "EXPERIMENTAL_indexer_block", params, read_message, &f));
    if (err == MIG_OK && (memcmp(f.update.context.hash, c->hash, MIG_DIGEST_LEN) != 0 ||
                          memcmp(f.update.context.prev_hash, c->prev_hash, MIG_DIGEST_LEN) != 0 ||
                          f.update.context.height != c->height))
        return another(s, &f.update);
    if (err != MIG_OK) {
        mig_block_update_clear(&f.update);
        return err;
    }
    *block = f.update;
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

enum mig_err mig_block_source_rpc(const struct mig_block_source_options *o,
                                  struct mig_block_source *out)
{
    memset(out, 0, sizeof *out);
    const struct mig_rpc_options ro = {
        .url = o->url,
        .timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : TIMEOUT_MS,
        .body_max = o->body_max != 0 ? o->body_max : MIG_BLOCK_MAX + ENVELOPE_MAX,
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
                                     .head = head,
                                     .at = at,
                                     .parent = parent,
                                     .fill = fill,
                                     .reason = reason,
                                     .cancel = cancel,
                                     .free = release};
    return MIG_OK;
}

void mig_block_source_clear(struct mig_block_source *source)
{
    if (source->free != NULL)
        source->free(source->self);
    memset(source, 0, sizeof *source);
}

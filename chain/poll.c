/* SPDX-License-Identifier: MIT */
#include "chain/poll.h"

#include <stdio.h>
#include <string.h>

#include "chain/account.h"

enum {
    BEHIND_TRIES = 4,
    BEHIND_MS = 150,
};

enum mig_err mig_poller_init(struct mig_poller *poller, struct mig_rpc *rpc,
                             struct mig_cache *cache, const char *contract, enum mig_dialect forced)
{
    memset(poller, 0, sizeof *poller);
    if (!mig_account_is_valid(contract, strlen(contract)))
        return MIG_ERR_MALFORMED;
    poller->rpc = rpc;
    poller->cache = cache;
    poller->forced = forced;
    strcpy(poller->contract, contract);
    return MIG_OK;
}

static enum mig_err fail(struct mig_poller *p, enum mig_err err, const char *what,
                         const char *reason)
{
    (void)snprintf(p->reason, sizeof p->reason, "%.60s: %s", what, reason);
    return err;
}

static enum mig_err rpc_failed(struct mig_poller *p, enum mig_err err, const char *what)
{
    return fail(p, err, what, mig_rpc_error(p->rpc)->reason);
}

/* Contracts before `version` existed are deployed ones. */
static enum mig_err learn_version(struct mig_poller *p)
{
    struct mig_returned r;
    char version[MIG_VERSION_MAX + 1] = "";
    enum mig_err err = mig_rpc_view(p->rpc, p->contract, MIG_VERSION_METHOD, "{}", NULL, &r);
    bool absent = err == MIG_ERR_NOT_FOUND && mig_rpc_error(p->rpc)->fault == MIG_FAULT_NO_METHOD;
    if (err != MIG_OK && !absent)
        return rpc_failed(p, err, MIG_VERSION_METHOD);
    if (!absent)
        err = mig_version_parse(r.bytes, r.len, version);
    mig_returned_clear(&r);
    if (!absent && err != MIG_OK)
        return fail(p, err, MIG_VERSION_METHOD, "not a version");
    memcpy(p->version, version, sizeof version);
    p->speech = mig_speech_pick(p->forced, absent ? NULL : version);
    p->known = true;
    p->until_version = MIG_POLL_VERSION_EVERY;
    return MIG_OK;
}

/* Behind one address there may be several nodes, and one that is a block
 * behind. It will not be for long. */
static enum mig_err view_at(struct mig_poller *p, const char *method, const char *hash,
                            struct mig_returned *out)
{
    for (int tries = 1;; tries++) {
        enum mig_err err = mig_rpc_view(p->rpc, p->contract, method, "{}", hash, out);
        if (err != MIG_ERR_RETRY || mig_rpc_error(p->rpc)->fault != MIG_FAULT_UNKNOWN_BLOCK ||
            tries == BEHIND_TRIES || mig_rpc_pause(p->rpc, BEHIND_MS) != MIG_OK)
            return err;
    }
}

/* Reads every view of the dialect at the block; all or none. */
static enum mig_err read_views(struct mig_poller *p, const struct mig_tip *head,
                               struct mig_reading *out)
{
    for (enum mig_part part = MIG_PART_STATE; part <= MIG_PART_EPHEMERAL; part++) {
        const char *method = mig_view_method(p->speech.dialect, part);
        if (method == NULL)
            continue;
        struct mig_returned *r = &out->returned[out->count];
        enum mig_err err = view_at(p, method, head->hash, r);
        if (err == MIG_ERR_NOT_FOUND)
            p->known = false; /* upgraded, or another dialect than we thought */
        if (err != MIG_OK)
            return rpc_failed(p, err, method);
        out->answers[out->count++] = (struct mig_answer){part, r->bytes, r->len};
        if (r->height != head->block.height)
            return fail(p, MIG_ERR_MALFORMED, method, "the answer is about another height");
    }
    return MIG_OK;
}

void mig_reading_clear(struct mig_reading *reading)
{
    for (size_t i = 0; i < sizeof reading->returned / sizeof *reading->returned; i++)
        mig_returned_clear(&reading->returned[i]);
    memset(reading, 0, sizeof *reading);
}

static bool is_worth_reading(const struct mig_poller *p, const struct mig_block *block)
{
    return block->height > p->block.height || p->block.height - block->height > MIG_POLL_BACK_MAX;
}

enum mig_err mig_poll_read(struct mig_poller *p, uint64_t now_ns, struct mig_reading *out)
{
    struct mig_tip head;
    enum mig_err err = MIG_OK;
    memset(out, 0, sizeof *out);
    p->reason[0] = '\0';
    if (!p->known || p->until_version-- == 0)
        err = learn_version(p);
    if (err != MIG_OK)
        return err;
    err = mig_rpc_final_block(p->rpc, &head);
    if (err != MIG_OK)
        return rpc_failed(p, err, "block");
    /* Such a block would look fresh for as long as it is ahead. */
    if (head.block.time_ns > now_ns + MIG_POLL_FUTURE_S * 1000000000ull)
        return fail(p, MIG_ERR_MALFORMED, "block",
                    "its time is in the future: this clock or the endpoint is wrong");
    if (!is_worth_reading(p, &head.block))
        return MIG_OK;
    err = read_views(p, &head, out);
    out->block = head.block;
    out->newer = err == MIG_OK;
    if (err != MIG_OK)
        mig_reading_clear(out);
    return err;
}

enum mig_err mig_poll_taken(struct mig_poller *p, const struct mig_reading *reading,
                            enum mig_err err)
{
    if (err == MIG_OK) {
        p->block = reading->block;
        return MIG_OK;
    }
    if (err != MIG_ERR_MALFORMED)
        return fail(p, err, "contract", mig_err_text(err));
    p->known = false;
    return fail(p, err, "contract",
                "its answers do not parse: is this the right contract and dialect?");
}

enum mig_err mig_poll(struct mig_poller *p, uint64_t now_ns)
{
    struct mig_reading r;
    enum mig_err err = mig_poll_read(p, now_ns, &r);
    if (err == MIG_OK && r.newer)
        err = mig_poll_taken(p, &r, mig_cache_feed_all(p->cache, &r.block, r.answers, r.count));
    mig_reading_clear(&r);
    return err;
}

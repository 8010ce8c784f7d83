/* SPDX-License-Identifier: MIT */
/*
 * The state file: one JSON object, replaced as a whole. It keeps the present
 * state, the newest headers (transactions refer to them) and outcomes; states
 * of past blocks are not kept. Blocks without a change are not written: after a
 * start the height jumps past all that may have been made meanwhile, as heights
 * on the network do.
 */
#include "devnet/node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/encoding.h"

enum { KEPT_BLOCKS = 256, KEPT_OUTCOMES = 256 };

void mig_devnet_accounts_format(struct mig_print *t, const struct mig_devnet_ledger *l)
{
    mig_print_put(t, "[");
    for (size_t i = 0; i < l->account_count; i++) {
        const char *separator = "";
        mig_print_put(t, i == 0 ? "{\"account_id\":" : ",{\"account_id\":");
        mig_print_json(t, l->accounts[i].id);
        mig_print_put(t, ",\"balance\":");
        mig_devnet_amount_format(t, l->accounts[i].balance);
        mig_print_put(t, ",\"keys\":[");
        for (size_t k = 0; k < l->key_count; k++) {
            if (strcmp(l->keys[k].account, l->accounts[i].id) != 0)
                continue;
            mig_print_printf(t, "%s{\"public_key\":", separator);
            separator = ",";
            mig_devnet_key_format(t, l->keys[k].public_key);
            mig_print_printf(t, ",\"nonce\":%" PRIu64 ",\"permission\":", l->keys[k].nonce);
            mig_devnet_permission_format(t, &l->keys[k]);
            mig_print_put(t, "}");
        }
        mig_print_put(t, "]}");
    }
    mig_print_put(t, "]");
}

static void blocks_format(struct mig_print *t, const struct mig_devnet_chain *chain)
{
    size_t count = chain->count < KEPT_BLOCKS ? chain->count : KEPT_BLOCKS;
    for (size_t i = count; i-- > 0;) {
        const struct mig_devnet_block *b = mig_devnet_block_back(chain, i);
        mig_print_printf(t,
                         "%s{\"height\":%" PRIu64 ",\"prev_height\":%" PRIu64
                         ",\"time_ns\":%" PRIu64 ",\"hash\":",
                         i + 1 == count ? "" : ",", b->height, b->prev_height, b->time_ns);
        mig_devnet_base58(t, b->hash, MIG_DIGEST_LEN);
        mig_print_put(t, ",\"prev_hash\":");
        mig_devnet_base58(t, b->prev_hash, MIG_DIGEST_LEN);
        mig_print_put(t, "}");
    }
}

static void outcomes_format(struct mig_print *t, const struct mig_devnet_chain *chain)
{
    size_t first = chain->record_count > KEPT_OUTCOMES ? chain->record_count - KEPT_OUTCOMES : 0;
    const char *separator = "";
    for (size_t i = first; i < chain->record_count; i++) {
        const struct mig_devnet_record *r = &chain->records[i];
        if (r->is_pending)
            continue;
        mig_print_printf(t, "%s{\"hash\":", separator);
        separator = ",";
        mig_devnet_base58(t, r->hash, MIG_DIGEST_LEN);
        mig_print_put(t, ",\"signer_id\":");
        mig_print_json(t, r->signer);
        mig_print_printf(t, ",\"included\":%" PRIu64 ",\"executed\":%" PRIu64 ",\"outcome\":",
                         r->included, r->executed);
        mig_print_json(t, r->outcome);
        mig_print_put(t, ",\"receipts\":");
        mig_print_json(t, r->receipts);
        mig_print_put(t, "}");
    }
}

/* The contract travels as a string: its numbers use all 64 bits. */
static enum mig_err state_format(const struct mig_devnet *d, struct mig_print *t)
{
    char *contract;
    enum mig_err err = mig_contract_dump(d->chain.tip->contract, &contract);
    if (err != MIG_OK)
        return err;
    mig_print_put(t, "{\"format\":1,\"chain_id\":");
    mig_print_json(t, d->chain.chain_id);
    mig_print_printf(t, ",\"block_ms\":%u,\"genesis_height\":%" PRIu64 ",\"genesis_hash\":",
                     d->config.block_ms, d->chain.genesis_height);
    mig_devnet_base58(t, d->chain.genesis_hash, MIG_DIGEST_LEN);
    mig_print_put(t, ",\"blocks\":[");
    blocks_format(t, &d->chain);
    mig_print_put(t, "],\"accounts\":");
    mig_devnet_accounts_format(t, d->chain.tip);
    mig_print_put(t, ",\"contract\":");
    mig_print_json(t, contract);
    mig_print_put(t, ",\"outcomes\":[");
    outcomes_format(t, &d->chain);
    mig_print_put(t, "]}\n");
    free(contract);
    return t->failed ? MIG_ERR_NOMEM : MIG_OK;
}

static bool write_all(int fd, const char *s, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, s, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s += n;
        len -= (size_t)n;
    }
    return true;
}

static bool sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy != NULL ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    free(copy);
    return ok;
}

enum mig_err mig_devnet_save(const struct mig_devnet *d)
{
    struct mig_print t = {0};
    struct mig_print temporary = {0};
    if (d->state_path == NULL)
        return MIG_OK;
    enum mig_err err = state_format(d, &t);
    mig_print_printf(&temporary, "%s.tmp", d->state_path);
    if (err == MIG_OK && temporary.failed)
        err = MIG_ERR_NOMEM;
    if (err == MIG_OK) {
        int fd = open(temporary.s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        bool ok = fd >= 0 && write_all(fd, t.s, t.len) && fsync(fd) == 0;
        if (fd >= 0)
            ok = close(fd) == 0 && ok;
        ok = ok && rename(temporary.s, d->state_path) == 0 && sync_folder(d->state_path);
        err = ok ? MIG_OK : MIG_ERR_IO;
    }
    mig_print_clear(&t);
    mig_print_clear(&temporary);
    return err;
}

/* Reading back. A damaged file is an error, never a new chain. */

static enum mig_err damaged(char *why, const char *what)
{
    (void)snprintf(why, MIG_DEVNET_ERROR_MAX, "the state file is damaged: %.200s", what);
    return MIG_ERR_MALFORMED;
}

static bool read_hash(const json_t *value, uint8_t hash[MIG_DIGEST_LEN])
{
    const char *text = json_string_value(value);
    size_t len = 0;
    return text != NULL &&
           mig_base58_decode(text, strlen(text), hash, MIG_DIGEST_LEN, &len) == MIG_OK &&
           len == MIG_DIGEST_LEN;
}

static bool read_number(const json_t *object, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);
    *out = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static enum mig_err read_blocks(struct mig_devnet *d, const json_t *list, char *why)
{
    uint64_t last = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct mig_devnet_block b = {0};
        if (!read_number(one, "height", &b.height) ||
            !read_number(one, "prev_height", &b.prev_height) ||
            !read_number(one, "time_ns", &b.time_ns) ||
            !read_hash(json_object_get(one, "hash"), b.hash) ||
            !read_hash(json_object_get(one, "prev_hash"), b.prev_hash) || b.height <= last)
            return damaged(why, "a block");
        last = b.height;
        mig_devnet_block_append(&d->chain, &b);
    }
    return d->chain.count > 0 ? MIG_OK : damaged(why, "no blocks");
}

static enum mig_err read_outcomes(struct mig_devnet *d, const json_t *list, char *why)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *signer = json_string_value(json_object_get(one, "signer_id"));
        const char *outcome = json_string_value(json_object_get(one, "outcome"));
        const char *receipts = json_string_value(json_object_get(one, "receipts"));
        uint8_t hash[MIG_DIGEST_LEN];
        if (!read_hash(json_object_get(one, "hash"), hash) || signer == NULL ||
            strlen(signer) > MIG_ACCOUNT_MAX || outcome == NULL || receipts == NULL)
            return damaged(why, "an outcome");
        struct mig_devnet_record *r = mig_devnet_record_get(&d->chain, hash);
        if (r->outcome != NULL || !read_number(one, "included", &r->included) ||
            !read_number(one, "executed", &r->executed))
            return damaged(why, "an outcome");
        memcpy(r->signer, signer, strlen(signer) + 1);
        r->outcome = strdup(outcome);
        r->receipts = strdup(receipts);
        if (r->outcome == NULL || r->receipts == NULL)
            return MIG_ERR_NOMEM;
    }
    return MIG_OK;
}

static enum mig_err read_ledger(const json_t *root, struct mig_devnet_ledger **out, char *why)
{
    char reason[MIG_CONTRACT_WHY_MAX] = "no contract";
    const char *contract = json_string_value(json_object_get(root, "contract"));
    struct mig_devnet_ledger *l;
    enum mig_err err = mig_devnet_ledger_new(&l);
    if (err != MIG_OK)
        return err;
    err = contract == NULL ? MIG_ERR_MALFORMED
                           : mig_contract_load(contract, strlen(contract), &l->contract, reason);
    if (err == MIG_ERR_MALFORMED)
        err = damaged(why, reason);
    if (err == MIG_OK)
        err = mig_devnet_accounts_read(json_object_get(root, "accounts"), l, why);
    if (err != MIG_OK)
        mig_devnet_ledger_release(&l);
    *out = err == MIG_OK ? l : NULL;
    return err;
}

/* As many heights as the old timer could have made since the last write, and
 * then so many blocks that `final` has a state. */
static void resume(struct mig_devnet *d, uint64_t block_ms)
{
    const struct mig_devnet_block *last = mig_devnet_head(&d->chain);
    uint64_t now = mig_devnet_now_ns();
    uint64_t away = now > last->time_ns ? now - last->time_ns : 0;
    uint64_t missed = block_ms > 0 ? away / (block_ms * 1000000) : 0;
    mig_devnet_block_make(&d->chain, last->height + 1 + missed, now);
    for (unsigned i = 0; i < d->chain.final_lag; i++)
        mig_devnet_block_make(&d->chain, mig_devnet_head(&d->chain)->height + 1, now);
}

static enum mig_err read_state(struct mig_devnet *d, const json_t *root, char *why)
{
    struct mig_devnet_ledger *l;
    uint64_t block_ms;
    const char *chain_id = json_string_value(json_object_get(root, "chain_id"));
    if (json_integer_value(json_object_get(root, "format")) != 1 || chain_id == NULL)
        return damaged(why, "not a state file of this version");
    enum mig_err err = read_ledger(root, &l, why);
    if (err == MIG_OK)
        err = mig_devnet_chain_init(&d->chain, chain_id, d->config.final_lag, l);
    if (err != MIG_OK)
        return err;
    if (!read_number(root, "genesis_height", &d->chain.genesis_height) ||
        !read_number(root, "block_ms", &block_ms) || block_ms > INT_MAX ||
        !read_hash(json_object_get(root, "genesis_hash"), d->chain.genesis_hash))
        return damaged(why, "genesis");
    err = read_blocks(d, json_object_get(root, "blocks"), why);
    if (err == MIG_OK)
        err = read_outcomes(d, json_object_get(root, "outcomes"), why);
    if (err == MIG_OK)
        resume(d, block_ms);
    return err;
}

enum mig_err mig_devnet_load(struct mig_devnet *d, char why[MIG_DEVNET_ERROR_MAX])
{
    json_error_t at;
    if (d->state_path == NULL || access(d->state_path, F_OK) != 0)
        return MIG_ERR_NOT_FOUND;
    json_t *root = json_load_file(d->state_path, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL)
        return damaged(why, at.text);
    enum mig_err err = read_state(d, root, why);
    json_decref(root);
    return err;
}

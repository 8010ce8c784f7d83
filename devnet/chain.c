/* SPDX-License-Identifier: MIT */
#include "devnet/chain.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/exchange.h"

static struct mig_devnet_block *slot(const struct mig_devnet_chain *chain, size_t i)
{
    return &chain->blocks[(chain->first + i) % chain->cap];
}

static void forget(struct mig_devnet_block *b)
{
    mig_devnet_ledger_release(&b->ledger);
    free(b->transactions);
    free(b->executed);
    free(b->touched);
    b->transactions = b->executed = b->touched = NULL;
}

void mig_devnet_block_append(struct mig_devnet_chain *chain, const struct mig_devnet_block *block)
{
    if (chain->count == chain->cap) {
        forget(slot(chain, 0));
        chain->first = (chain->first + 1) % chain->cap;
        chain->count--;
    }
    *slot(chain, chain->count++) = *block;
    if (chain->count > MIG_DEVNET_HISTORY)
        forget(slot(chain, chain->count - MIG_DEVNET_HISTORY - 1));
}

static void put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static void hash_block(const struct mig_devnet_chain *chain, struct mig_devnet_block *b)
{
    uint8_t bytes[MIG_DEVNET_CHAIN_ID_MAX + 1 + 24 + MIG_DIGEST_LEN] = {0};
    memcpy(bytes, chain->chain_id, sizeof chain->chain_id);
    put_u64(bytes + MIG_DEVNET_CHAIN_ID_MAX + 1, b->height);
    put_u64(bytes + MIG_DEVNET_CHAIN_ID_MAX + 9, b->time_ns);
    memcpy(bytes + MIG_DEVNET_CHAIN_ID_MAX + 17, b->prev_hash, MIG_DIGEST_LEN);
    put_u64(bytes + MIG_DEVNET_CHAIN_ID_MAX + 17 + MIG_DIGEST_LEN, chain->forks);
    mig_sha256(bytes, sizeof bytes, b->hash);
}

void mig_devnet_block_make(struct mig_devnet_chain *chain, uint64_t height, uint64_t now_ns)
{
    struct mig_devnet_block b = {.height = height, .time_ns = now_ns};
    if (chain->count > 0) {
        const struct mig_devnet_block *prev = mig_devnet_head(chain);
        b.prev_height = prev->height;
        memcpy(b.prev_hash, prev->hash, MIG_DIGEST_LEN);
        if (b.time_ns <= prev->time_ns)
            b.time_ns = prev->time_ns + 1;
    }
    hash_block(chain, &b);
    b.ledger = mig_devnet_ledger_ref(chain->tip);
    mig_devnet_block_append(chain, &b);
}

enum mig_err mig_devnet_chain_init(struct mig_devnet_chain *chain, const char *chain_id,
                                   unsigned final_lag, struct mig_devnet_ledger *tip)
{
    *chain = (struct mig_devnet_chain){
        .final_lag = final_lag, .cap = MIG_DEVNET_VALIDITY + MIG_DEVNET_HISTORY, .tip = tip};
    chain->blocks = calloc(chain->cap, sizeof *chain->blocks);
    chain->records = calloc(MIG_DEVNET_RECORDS, sizeof *chain->records);
    if (chain->blocks == NULL || chain->records == NULL) {
        mig_devnet_chain_clear(chain);
        return MIG_ERR_NOMEM;
    }
    memcpy(chain->chain_id, chain_id, strnlen(chain_id, MIG_DEVNET_CHAIN_ID_MAX));
    return MIG_OK;
}

static void record_clear(struct mig_devnet_record *r)
{
    free(r->outcome);
    free(r->receipts);
    *r = (struct mig_devnet_record){0};
}

void mig_devnet_chain_clear(struct mig_devnet_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        forget(slot(chain, i));
    for (size_t i = 0; i < chain->record_count; i++)
        record_clear(&chain->records[i]);
    for (size_t i = 0; i < chain->pending_count; i++)
        mig_devnet_tx_clear(&chain->pending[i]);
    mig_devnet_ledger_release(&chain->tip);
    free(chain->blocks);
    free(chain->records);
    free(chain->pending);
    free(chain->yields);
    *chain = (struct mig_devnet_chain){0};
}

static size_t index_at(const struct mig_devnet_chain *chain, uint64_t height)
{
    size_t low = 0;
    size_t high = chain->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slot(chain, middle)->height < height)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct mig_devnet_block *mig_devnet_head(const struct mig_devnet_chain *chain)
{
    return slot(chain, chain->count - 1);
}

const struct mig_devnet_block *mig_devnet_block_back(const struct mig_devnet_chain *chain,
                                                     uint64_t back)
{
    return slot(chain, back >= chain->count ? 0 : chain->count - 1 - (size_t)back);
}

const struct mig_devnet_block *mig_devnet_block_at(const struct mig_devnet_chain *chain,
                                                   uint64_t height)
{
    size_t low = index_at(chain, height);
    return low < chain->count && slot(chain, low)->height == height ? slot(chain, low) : NULL;
}

const struct mig_devnet_block *mig_devnet_block_of(const struct mig_devnet_chain *chain,
                                                   const uint8_t hash[MIG_DIGEST_LEN])
{
    for (size_t i = chain->count; i-- > 0;)
        if (memcmp(slot(chain, i)->hash, hash, MIG_DIGEST_LEN) == 0)
            return slot(chain, i);
    return NULL;
}

static void record_forget(struct mig_devnet_chain *chain, const uint8_t hash[MIG_DIGEST_LEN])
{
    struct mig_devnet_record *r = mig_devnet_record_find(chain, hash);
    if (r == NULL)
        return;
    size_t at = (size_t)(r - chain->records);
    record_clear(r);
    memmove(r, r + 1, (--chain->record_count - at) * sizeof *r);
}

const struct mig_devnet_block *mig_devnet_block_before(const struct mig_devnet_chain *chain,
                                                       const struct mig_devnet_block *b, size_t n)
{
    size_t at = index_at(chain, b->height);
    return slot(chain, at < n ? 0 : at - n);
}

void mig_devnet_block_note(struct mig_devnet_chain *chain, uint64_t height, char *transactions,
                           char *executed, char *touched)
{
    struct mig_devnet_block *b = slot(chain, index_at(chain, height));
    char **to[] = {&b->transactions, &b->executed, &b->touched};
    char *from[] = {transactions, executed, touched};
    for (size_t i = 0; i < 3; i++) {
        if (from[i] == NULL)
            continue;
        free(*to[i]);
        *to[i] = from[i];
    }
}

enum mig_err mig_devnet_block_archive(struct mig_devnet_chain *chain, uint64_t height, bool hide)
{
    size_t at = index_at(chain, height);
    if (at == chain->count || slot(chain, at)->height != height)
        return MIG_ERR_NOT_FOUND;
    slot(chain, at)->is_archived = true;
    slot(chain, at)->is_hidden = hide;
    return MIG_OK;
}

static void undo_yields(struct mig_devnet_chain *chain, uint64_t height)
{
    size_t kept = 0;
    for (size_t i = 0; i < chain->yield_count; i++) {
        struct mig_devnet_yield y = chain->yields[i];
        if (y.created > height)
            continue;
        y.completed = y.completed > height ? 0 : y.completed;
        chain->yields[kept++] = y;
    }
    chain->yield_count = kept;
}

static void undo_records(struct mig_devnet_chain *chain, uint64_t height)
{
    size_t kept = 0;
    for (size_t i = 0; i < chain->record_count; i++) {
        struct mig_devnet_record *r = &chain->records[i];
        if (!r->is_pending && r->included > height)
            record_clear(r);
        else
            chain->records[kept++] = *r;
    }
    chain->record_count = kept;
}

enum mig_err mig_devnet_fork(struct mig_devnet_chain *chain, uint64_t blocks, uint64_t now_ns)
{
    if (blocks == 0 || blocks > chain->final_lag || blocks >= chain->count)
        return MIG_ERR_STATE;
    const struct mig_devnet_block *base = mig_devnet_block_back(chain, blocks);
    uint64_t old_head = mig_devnet_head(chain)->height;
    for (size_t i = 0; i < chain->record_count; i++) {
        const struct mig_devnet_record *r = &chain->records[i];
        if (!r->is_pending && r->included <= base->height && r->executed > base->height)
            return MIG_ERR_STATE;
    }
    if (base->ledger == NULL)
        return MIG_ERR_STATE;
    undo_records(chain, base->height);
    undo_yields(chain, base->height);
    mig_devnet_ledger_release(&chain->tip);
    chain->tip = mig_devnet_ledger_ref(base->ledger);
    for (uint64_t i = 0; i < blocks; i++)
        forget(slot(chain, --chain->count));
    chain->forks++;
    for (uint64_t i = 0; i < blocks; i++)
        mig_devnet_block_make(chain, mig_devnet_head(chain)->height + 1, now_ns);
    mig_devnet_block_make(chain, old_head + 1, now_ns); /* the higher head is the chain's */
    return MIG_OK;
}

/* The first of the queue, if it still passes; what does not is forgotten, as
 * by a node that drops it from its pool. */
static enum mig_err run_pending(struct mig_devnet_chain *chain, uint64_t now_ns)
{
    struct mig_print error = {0};
    struct mig_devnet_tx tx = chain->pending[0];
    memmove(chain->pending, chain->pending + 1, --chain->pending_count * sizeof tx);
    enum mig_err err = mig_devnet_validate(chain, &tx, &error);
    if (err == MIG_OK && error.len == 0)
        err = mig_devnet_execute(chain, &tx, now_ns);
    else
        record_forget(chain, tx.hash);
    mig_print_clear(&error);
    mig_devnet_tx_clear(&tx);
    return err;
}

enum mig_err mig_devnet_produce(struct mig_devnet_chain *chain, uint64_t now_ns, bool force)
{
    enum mig_err err = MIG_OK;
    if (chain->frozen && !force)
        return MIG_OK;
    mig_devnet_block_make(chain, mig_devnet_head(chain)->height + 1, now_ns);
    while (err == MIG_OK && !chain->frozen && chain->pending_count > 0)
        err = run_pending(chain, now_ns);
    return err;
}

enum mig_err mig_devnet_tip_edit(struct mig_devnet_chain *chain, struct mig_devnet_ledger **tip)
{
    *tip = chain->tip;
    if (chain->tip->references == 1)
        return MIG_OK;
    struct mig_devnet_ledger *copy;
    enum mig_err err = mig_devnet_ledger_copy(chain->tip, &copy);
    if (err != MIG_OK)
        return err;
    mig_devnet_ledger_release(&chain->tip);
    chain->tip = *tip = copy;
    return MIG_OK;
}

struct mig_devnet_record *mig_devnet_record_find(const struct mig_devnet_chain *chain,
                                                 const uint8_t hash[MIG_DIGEST_LEN])
{
    for (size_t i = chain->record_count; i-- > 0;)
        if (memcmp(chain->records[i].hash, hash, MIG_DIGEST_LEN) == 0)
            return &chain->records[i];
    return NULL;
}

struct mig_devnet_record *mig_devnet_record_get(struct mig_devnet_chain *chain,
                                                const uint8_t hash[MIG_DIGEST_LEN])
{
    struct mig_devnet_record *r = mig_devnet_record_find(chain, hash);
    if (r != NULL)
        return r;
    if (chain->record_count == MIG_DEVNET_RECORDS) {
        record_clear(&chain->records[0]);
        memmove(chain->records, chain->records + 1, --chain->record_count * sizeof *r);
    }
    r = &chain->records[chain->record_count++];
    *r = (struct mig_devnet_record){0};
    memcpy(r->hash, hash, MIG_DIGEST_LEN);
    return r;
}

enum mig_err mig_devnet_submit(struct mig_devnet_chain *chain, struct mig_devnet_tx *tx,
                               uint64_t now_ns)
{
    enum mig_err err = MIG_ERR_RETRY;
    if (!chain->frozen)
        err = mig_devnet_execute(chain, tx, now_ns);
    else if (chain->pending_count < MIG_DEVNET_PENDING_MAX) {
        struct mig_devnet_tx *list =
            realloc(chain->pending, (chain->pending_count + 1) * sizeof *list);
        err = list != NULL ? MIG_OK : MIG_ERR_NOMEM;
        if (list != NULL) {
            struct mig_devnet_record *r = mig_devnet_record_get(chain, tx->hash);
            r->is_pending = true;
            memcpy(r->signer, tx->signer, sizeof r->signer);
            chain->pending = list;
            list[chain->pending_count++] = *tx;
            *tx = (struct mig_devnet_tx){0};
        }
    }
    mig_devnet_tx_clear(tx);
    return err;
}

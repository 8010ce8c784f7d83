/* SPDX-License-Identifier: MIT */
/*
 * What indexers ask for: a block with everything that happened in it, as a node
 * with its indexer calls enabled gives it, and as a server of ready messages
 * does.
 */
#include "devnet/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"

/* One shard, numbered 0; with the fault `wrong_value` the message is about
 * another. `oversize` is padding in front. */
static void message(struct mig_devnet_call *c, const struct mig_devnet_block *b, bool tracked)
{
    struct mig_print *t = &c->result;
    const struct mig_devnet_faults *f = &c->d->faults;
    char *padding = f->oversize > 0 ? malloc(f->oversize) : NULL;
    mig_print_put(t, "{");
    if (padding != NULL) {
        memset(padding, 'x', f->oversize);
        mig_print_put(t, "\"padding\":\"");
        mig_print_add(t, padding, f->oversize);
        mig_print_put(t, "\",");
    }
    free(padding);
    mig_print_put(t, "\"block\":");
    mig_devnet_block_format(c, b);
    mig_print_printf(t,
                     ",\"shards\":[{\"shard_id\":%d,\"chunk\":{\"author\":\"devnet.near\","
                     "\"header\":",
                     f->wrong_value ? 1 : 0);
    mig_devnet_chunk_header(t, b, 0);
    mig_print_put(t, ",\"transactions\":[");
    mig_print_put(t, b->transactions != NULL ? b->transactions : "");
    mig_print_put(t, "],\"receipts\":[],\"local_receipts\":[],\"instant_receipts\":[]},"
                     "\"receipt_execution_outcomes\":[");
    mig_print_put(t, b->executed != NULL ? b->executed : "");
    mig_print_put(t, "],\"state_changes\":[]}]");
    mig_print_put(t, tracked ? ",\"tracked_shards\":[0]}" : "}");
}

static bool has_data(const struct mig_devnet_block *b)
{
    return b->ledger != NULL && !b->is_archived;
}

void mig_devnet_indexer_block_rpc(struct mig_devnet_call *c)
{
    const char *text = mig_devnet_param_text(c, "block_hash", 0);
    uint8_t hash[MIG_BASE58_INPUT_MAX];
    size_t len = 0;
    if (text == NULL || mig_base58_decode(text, strlen(text), hash, sizeof hash, &len) != MIG_OK ||
        len != MIG_DIGEST_LEN) {
        mig_devnet_parse_error(c, "Failed parsing args: block_hash is needed");
        return;
    }
    const struct mig_devnet_block *b = mig_devnet_block_of(&c->d->chain, hash);
    if (b == NULL || b->is_hidden)
        mig_devnet_handler_error(c, "UNKNOWN_BLOCK", "{}", "DB Not Found Error: BLOCK");
    else if (!has_data(b))
        mig_devnet_handler_error(c, "DATA_UNAVAILABLE", "{}", "the block's data is not kept");
    else
        message(c, b, true);
}

/* A change of the contract is one key, whose value is the devnet's own dump. */
static void data_change(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    char *dump = NULL;
    if (mig_contract_dump(b->ledger->contract, &dump) != MIG_OK) {
        c->result.failed = true;
        return;
    }
    mig_print_put(&c->result, "{\"cause\":{\"type\":\"receipt_processing\",\"receipt_hash\":");
    mig_print_put(&c->result, b->touched);
    mig_print_put(&c->result, "},\"type\":\"data_update\",\"change\":{\"account_id\":");
    mig_print_json(&c->result, mig_contract_account(b->ledger->contract));
    mig_print_put(&c->result, ",\"key_base64\":\"U1RBVEU=\",\"value_base64\":");
    mig_devnet_base64(&c->result, (const uint8_t *)dump, strlen(dump));
    mig_print_put(&c->result, "}}");
    free(dump);
}

void mig_devnet_changes_rpc(struct mig_devnet_call *c)
{
    const char *type = mig_devnet_param_text(c, "changes_type", SIZE_MAX);
    const json_t *accounts = mig_devnet_param(c, "account_ids", SIZE_MAX);
    if (type == NULL) {
        mig_devnet_parse_error(c, "Failed parsing args: changes_type is needed");
        return;
    }
    const struct mig_devnet_block *b = mig_devnet_resolve(c);
    if (b == NULL)
        return;
    if (!has_data(b)) {
        mig_devnet_handler_error(c, "UNKNOWN_BLOCK", "{}", "the block's state is not kept");
        return;
    }
    bool asked = false;
    for (size_t i = 0; strcmp(type, "data_changes") == 0 && i < json_array_size(accounts); i++) {
        const char *one = json_string_value(json_array_get(accounts, i));
        asked =
            asked || (one != NULL && strcmp(one, mig_contract_account(b->ledger->contract)) == 0);
    }
    mig_print_put(&c->result, "{\"block_hash\":");
    mig_devnet_base58(&c->result, b->hash, MIG_DIGEST_LEN);
    mig_print_put(&c->result, ",\"changes\":[");
    if (asked && b->touched != NULL)
        data_change(c, b);
    mig_print_put(&c->result, "]}");
}

/* Digits alone, or 0. */
static uint64_t height_in(const char *text)
{
    char *end;
    if (*text < '1' || *text > '9')
        return 0;
    uint64_t height = strtoull(text, &end, 10);
    return *end == '\0' ? height : 0;
}

static void get_block(struct mig_devnet_call *c, uint64_t height, uint64_t newest)
{
    const struct mig_devnet_block *b = mig_devnet_block_at(&c->d->chain, height);
    if (height == 0 || height > newest || (b != NULL && !has_data(b))) {
        c->status = 404;
        mig_print_put(&c->result, "{\"error\":\"no such block\"}");
    } else if (b == NULL)
        mig_print_put(&c->result, "null"); /* skipped */
    else
        message(c, b, false);
}

enum mig_err mig_devnet_message_get(struct mig_devnet *d, const char *path, unsigned *status,
                                    char **answer, char location[64])
{
    struct mig_devnet_call c = {.d = d, .status = 200};
    location[0] = '\0';
    (void)pthread_mutex_lock(&d->lock);
    uint64_t final = mig_devnet_seen_final(d)->height, head = mig_devnet_seen(d, 0)->height;
    if (strcmp(path, "/v0/last_block/final") == 0)
        (void)snprintf(location, 64, "/v0/block/%" PRIu64, final);
    else if (strcmp(path, "/v0/last_block/optimistic") == 0)
        (void)snprintf(location, 64, "/v0/block_opt/%" PRIu64, head);
    else if (strncmp(path, "/v0/block/", 10) == 0)
        get_block(&c, height_in(path + 10), final);
    else if (strncmp(path, "/v0/block_opt/", 14) == 0)
        get_block(&c, height_in(path + 14), head);
    else
        c.status = 404;
    (void)pthread_mutex_unlock(&d->lock);
    *status = location[0] != '\0' ? 302 : c.status;
    *answer = mig_print_take(&c.result);
    return *answer != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

/* SPDX-License-Identifier: MIT */
#include "chain/block.h"

#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "chain/tx.h"
#include "crypto/encoding.h"

/* ---- header ---- */

static void read_hash(struct mig_json *j, uint8_t hash[MIG_DIGEST_LEN])
{
    char text[MIG_HASH_TEXT_MAX];
    mig_json_string(j, text, sizeof text);
    if (j->err == MIG_OK)
        mig_json_need(j, mig_hash_parse(text, hash) == MIG_OK);
}

static void read_context(struct mig_json *j, struct mig_block_context *c)
{
    enum { HEIGHT, HASH, PREV_HASH, FINAL, RANDOM, TIME, PREV_HEIGHT };
    static const char *const fields[] = {
        "height",       "hash",      "prev_hash",   "last_final_block",
        "random_value", "timestamp", "prev_height", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == HEIGHT)
            c->height = mig_json_u64(j);
        else if (f == TIME)
            c->time_ns = mig_json_u64(j);
        else if (f == PREV_HEIGHT)
            c->prev_height = mig_json_null(j) ? 0 : mig_json_u64(j);
        else
            read_hash(j, f == HASH        ? c->hash
                         : f == PREV_HASH ? c->prev_hash
                         : f == FINAL     ? c->last_final
                                          : c->entropy);
    }
    mig_json_need(j, (seen | 1u << PREV_HEIGHT) == (1u << (PREV_HEIGHT + 1)) - 1);
    mig_json_need(j, c->height > 0 && c->prev_height < c->height);
    mig_json_need(j, memcmp(c->hash, c->prev_hash, MIG_DIGEST_LEN) != 0);
}

void mig_block_read_header(struct mig_json *j, struct mig_block_context *out)
{
    static const char *const fields[] = {"header", NULL};
    unsigned seen = 0;
    memset(out, 0, sizeof *out);
    mig_json_object(j);
    while (mig_json_field(j, fields, &seen) >= 0)
        read_context(j, out);
    mig_json_need(j, seen == 1);
}

/* ---- shards ---- */

/* Numbers that are arbitrary, and sets that must be the same. */
struct shards {
    size_t count;
    struct {
        uint64_t id;
        uint64_t included; /* height; of a block's chunk */
        bool full;         /* the message carries the chunk */
    } list[MIG_BLOCK_SHARDS_MAX];
};

static bool add_shard(struct mig_json *j, struct shards *s, uint64_t id)
{
    for (size_t i = 0; i < s->count; i++)
        mig_json_need(j, s->list[i].id != id);
    mig_json_need(j, s->count < MIG_BLOCK_SHARDS_MAX);
    if (j->err != MIG_OK)
        return false;
    s->list[s->count].id = id;
    s->list[s->count].included = 0;
    s->list[s->count++].full = false;
    return true;
}

static bool has_shard(const struct shards *s, uint64_t id, size_t *at)
{
    for (*at = 0; *at < s->count; ++*at)
        if (s->list[*at].id == id)
            return true;
    return false;
}

static bool same_shards(const struct shards *a, const struct shards *b)
{
    size_t at;
    for (size_t i = 0; i < a->count; i++)
        if (!has_shard(b, a->list[i].id, &at))
            return false;
    return a->count == b->count; /* no id occurs twice */
}

/* A chunk that is new in this block came with the message. */
static bool chunks_are_there(const struct shards *block, const struct shards *message,
                             uint64_t height)
{
    size_t at;
    for (size_t i = 0; i < block->count; i++)
        if (block->list[i].included == height &&
            (!has_shard(message, block->list[i].id, &at) || !message->list[at].full))
            return false;
    return true;
}

static void read_block_chunk(struct mig_json *j, struct shards *s)
{
    enum { ID, INCLUDED };
    static const char *const fields[] = {"shard_id", "height_included", NULL};
    unsigned seen = 0;
    uint64_t id = 0, included = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;)
        *(f == ID ? &id : &included) = mig_json_u64(j);
    mig_json_need(j, seen == 3);
    if (j->err == MIG_OK && add_shard(j, s, id))
        s->list[s->count - 1].included = included;
}

static void read_block(struct mig_json *j, struct mig_block_context *c, struct shards *s)
{
    enum { HEADER, CHUNKS };
    static const char *const fields[] = {"header", "chunks", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == HEADER)
            read_context(j, c);
        else
            for (mig_json_array(j); mig_json_item(j);)
                read_block_chunk(j, s);
    }
    mig_json_need(j, seen == 3);
}

/* ---- receipts ---- */

static const struct {
    const char *request, *completion;
} methods[MIG_REQUEST_KINDS] = {
    [MIG_REQUEST_SIGNATURE] = {"sign", "return_signature_and_clean_state_on_success"},
    [MIG_REQUEST_CKD] = {"request_app_private_key", "return_ck_and_clean_state_on_success"},
    [MIG_REQUEST_FOREIGN] = {"verify_foreign_transaction",
                             "return_verify_foreign_tx_and_clean_state_on_success"},
};

enum status { OTHER, SUCCESS, SUCCESS_RECEIPT };

/* A receipt and its outcome, as far as they matter, before it is known whether
 * they do. Accounts and methods that are too long are nobody's. */
struct execution {
    uint8_t outcome_id[MIG_DIGEST_LEN], receipt_id[MIG_DIGEST_LEN], next[MIG_DIGEST_LEN];
    enum status status;
    char executor[MIG_ACCOUNT_MAX + 1], receiver[MIG_ACCOUNT_MAX + 1];
    char predecessor[MIG_ACCOUNT_MAX + 1];
    size_t actions;
    bool is_call;
    char method[64];
    const char *args; /* as it stands in the text, with its quotes */
    size_t args_len;
};

static void read_status(struct mig_json *j, struct execution *x)
{
    struct mig_json_name name;
    size_t members = 0;
    if (mig_json_peek(j) == MIG_JSON_STRING) { /* "Unknown" */
        mig_json_skip(j);
        return;
    }
    for (mig_json_object(j); mig_json_member(j, &name); members++) {
        if (mig_json_is(&name, "SuccessReceiptId")) {
            x->status = SUCCESS_RECEIPT;
            read_hash(j, x->next);
            continue;
        }
        x->status = mig_json_is(&name, "SuccessValue") ? SUCCESS : OTHER;
        mig_json_skip(j);
    }
    mig_json_need(j, members == 1);
}

static void read_outcome_body(struct mig_json *j, struct execution *x)
{
    enum { EXECUTOR, STATUS };
    static const char *const fields[] = {"executor_id", "status", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == EXECUTOR)
            (void)mig_json_string_fits(j, x->executor, sizeof x->executor);
        else
            read_status(j, x);
    }
    mig_json_need(j, seen == 3);
}

static void read_outcome(struct mig_json *j, struct execution *x)
{
    enum { ID, OUTCOME };
    static const char *const fields[] = {"id", "outcome", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == ID)
            read_hash(j, x->outcome_id);
        else
            read_outcome_body(j, x);
    }
    mig_json_need(j, seen == 3);
}

static void read_call(struct mig_json *j, struct execution *x)
{
    enum { METHOD, ARGS };
    static const char *const fields[] = {"method_name", "args", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        mig_json_need(j, mig_json_peek(j) == MIG_JSON_STRING);
        if (f == METHOD)
            (void)mig_json_string_fits(j, x->method, sizeof x->method);
        else
            mig_json_raw(j, &x->args, &x->args_len);
    }
    mig_json_need(j, seen == 3);
    x->is_call = true;
}

/* "CreateAccount", or {"<kind>": ...} with one member. */
static void read_action(struct mig_json *j, struct execution *x)
{
    struct mig_json_name name;
    size_t members = 0;
    x->actions++;
    if (mig_json_peek(j) == MIG_JSON_STRING) {
        mig_json_skip(j);
        return;
    }
    for (mig_json_object(j); mig_json_member(j, &name); members++) {
        if (mig_json_is(&name, "FunctionCall"))
            read_call(j, x);
        else
            mig_json_skip(j);
    }
    mig_json_need(j, members == 1);
}

static void read_action_receipt(struct mig_json *j, struct execution *x)
{
    static const char *const fields[] = {"actions", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    while (mig_json_field(j, fields, &seen) >= 0)
        for (mig_json_array(j); mig_json_item(j);)
            read_action(j, x);
    mig_json_need(j, seen == 1);
}

/* {"Action": ...}; other kinds carry no call. */
static void read_receipt_body(struct mig_json *j, struct execution *x)
{
    struct mig_json_name name;
    size_t members = 0;
    for (mig_json_object(j); mig_json_member(j, &name); members++) {
        if (mig_json_is(&name, "Action"))
            read_action_receipt(j, x);
        else
            mig_json_skip(j);
    }
    mig_json_need(j, members == 1);
}

static void read_receipt(struct mig_json *j, struct execution *x)
{
    enum { PREDECESSOR, RECEIVER, ID, RECEIPT };
    static const char *const fields[] = {"predecessor_id", "receiver_id", "receipt_id", "receipt",
                                         NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == PREDECESSOR)
            (void)mig_json_string_fits(j, x->predecessor, sizeof x->predecessor);
        else if (f == RECEIVER)
            (void)mig_json_string_fits(j, x->receiver, sizeof x->receiver);
        else if (f == ID)
            read_hash(j, x->receipt_id);
        else
            read_receipt_body(j, x);
    }
    mig_json_need(j, seen == 15);
}

/* ---- events ---- */

struct reading {
    const char *contract;
    struct mig_block_update *update;
    size_t cap;
};

/* The arguments' base64, decoded; the text is JSON that was read before. */
static void decode_args(struct mig_json *j, const struct execution *x, struct mig_block_event *e)
{
    struct mig_json inner;
    char *text = malloc(x->args_len + 1);
    e->args = malloc(x->args_len + 1); /* base64 only shrinks */
    mig_json_init(&inner, x->args, x->args_len);
    if (text == NULL || e->args == NULL)
        mig_json_fail(j, MIG_ERR_NOMEM);
    else
        mig_json_string(&inner, text, x->args_len + 1);
    enum mig_err err = mig_json_end(&inner);
    if (j->err == MIG_OK && err == MIG_OK)
        err = mig_base64_decode(text, strlen(text), e->args, x->args_len, &e->args_len);
    mig_json_need(j, err == MIG_OK && e->args_len <= MIG_REQUEST_ARGS_MAX);
    if (j->err == MIG_OK) {
        e->args[e->args_len] = '\0';
        uint8_t *fitted = realloc(e->args, e->args_len + 1);
        e->args = fitted != NULL ? fitted : e->args;
    }
    free(text);
}

static struct mig_block_event *new_event(struct mig_json *j, struct reading *r)
{
    struct mig_block_update *u = r->update;
    if (u->count == r->cap) {
        size_t cap = r->cap == 0 ? 8 : r->cap * 2;
        struct mig_block_event *moved = realloc(u->events, cap * sizeof *moved);
        if (moved == NULL) {
            mig_json_fail(j, MIG_ERR_NOMEM);
            return NULL;
        }
        u->events = moved;
        r->cap = cap;
    }
    memset(&u->events[u->count], 0, sizeof *u->events);
    return &u->events[u->count++];
}

static void keep(struct mig_json *j, struct reading *r, const struct execution *x,
                 enum mig_request_kind kind, bool completed)
{
    mig_json_need(j, mig_account_is_valid(x->predecessor, strlen(x->predecessor)));
    struct mig_block_event *e = j->err == MIG_OK ? new_event(j, r) : NULL;
    if (e == NULL)
        return;
    e->kind = kind;
    e->completed = completed;
    e->succeeded = completed && x->status != OTHER;
    memcpy(e->id, completed ? x->receipt_id : x->next, MIG_DIGEST_LEN);
    memcpy(e->receipt, x->receipt_id, MIG_DIGEST_LEN);
    memcpy(e->predecessor, x->predecessor, sizeof e->predecessor);
    if (!completed)
        decode_args(j, x, e);
}

static void judge(struct mig_json *j, struct reading *r, const struct execution *x)
{
    if (j->err != MIG_OK || !x->is_call || x->actions != 1 ||
        strcmp(x->executor, r->contract) != 0 || strcmp(x->receiver, r->contract) != 0)
        return;
    for (int kind = 0; kind < MIG_REQUEST_KINDS; kind++) {
        if (x->status == SUCCESS_RECEIPT && strcmp(x->method, methods[kind].request) == 0)
            keep(j, r, x, (enum mig_request_kind)kind, false);
        if (strcmp(x->method, methods[kind].completion) == 0)
            keep(j, r, x, (enum mig_request_kind)kind, true);
    }
}

static void read_execution(struct mig_json *j, struct reading *r)
{
    enum { OUTCOME, RECEIPT };
    static const char *const fields[] = {"execution_outcome", "receipt", NULL};
    struct execution x = {0};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == OUTCOME)
            read_outcome(j, &x);
        else
            read_receipt(j, &x);
    }
    mig_json_need(j, seen == 3 && memcmp(x.outcome_id, x.receipt_id, MIG_DIGEST_LEN) == 0);
    judge(j, r, &x);
}

static void read_shard(struct mig_json *j, struct reading *r, struct shards *s)
{
    enum { ID, CHUNK, EXECUTED };
    static const char *const fields[] = {"shard_id", "chunk", "receipt_execution_outcomes", NULL};
    unsigned seen = 0;
    uint64_t id = 0;
    bool full = false;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == ID)
            id = mig_json_u64(j);
        else if (f == CHUNK) {
            full = mig_json_peek(j) == MIG_JSON_OBJECT;
            mig_json_need(j, full || mig_json_peek(j) == MIG_JSON_NULL);
            mig_json_skip(j);
        } else
            for (mig_json_array(j); mig_json_item(j);)
                read_execution(j, r);
    }
    mig_json_need(j, seen == 7);
    if (j->err == MIG_OK && add_shard(j, s, id))
        s->list[s->count - 1].full = full;
}

static int compare_receipts(const void *a, const void *b)
{
    const struct mig_block_event *const *x = a, *const *y = b;
    return memcmp((*x)->receipt, (*y)->receipt, MIG_DIGEST_LEN);
}

/* A receipt is executed once. */
static void refuse_repeated(struct mig_json *j, const struct mig_block_update *u)
{
    if (j->err != MIG_OK || u->count < 2)
        return;
    const struct mig_block_event **sorted = malloc(u->count * sizeof(void *));
    if (sorted == NULL) {
        mig_json_fail(j, MIG_ERR_NOMEM);
        return;
    }
    for (size_t i = 0; i < u->count; i++)
        sorted[i] = &u->events[i];
    qsort(sorted, u->count, sizeof(void *), compare_receipts);
    for (size_t i = 1; i < u->count; i++)
        mig_json_need(j, compare_receipts(&sorted[i - 1], &sorted[i]) != 0);
    free(sorted);
}

void mig_block_read(struct mig_json *j, const char *contract, bool tracked,
                    struct mig_block_update *out)
{
    enum { BLOCK, SHARDS, TRACKED };
    static const char *const fields[] = {"block", "shards", "tracked_shards", NULL};
    struct shards of_block = {0}, of_message = {0}, named = {0};
    struct reading r = {.contract = contract, .update = out};
    unsigned seen = 0;
    memset(out, 0, sizeof *out);
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == BLOCK)
            read_block(j, &out->context, &of_block);
        else if (f == SHARDS)
            for (mig_json_array(j); mig_json_item(j);)
                read_shard(j, &r, &of_message);
        else
            for (mig_json_array(j); mig_json_item(j);)
                (void)add_shard(j, &named, mig_json_u64(j));
    }
    bool has_named = (seen & 1u << TRACKED) != 0;
    mig_json_need(j, (seen & 3) == 3 && (has_named || !tracked));
    mig_json_need(j, of_block.count > 0 && same_shards(&of_block, &of_message));
    mig_json_need(j, !has_named || same_shards(&of_block, &named));
    mig_json_need(j, chunks_are_there(&of_block, &of_message, out->context.height));
    refuse_repeated(j, out);
}

enum mig_err mig_block_parse(const char *json, size_t len, const char *contract, bool tracked,
                             struct mig_block_update *out)
{
    struct mig_json j;
    mig_json_init(&j, json, len);
    mig_block_read(&j, contract, tracked, out);
    enum mig_err err = mig_json_end(&j);
    if (err == MIG_OK && len > MIG_BLOCK_MAX)
        err = MIG_ERR_MALFORMED;
    if (err != MIG_OK)
        mig_block_update_clear(out);
    return err;
}

void mig_block_update_clear(struct mig_block_update *update)
{
    for (size_t i = 0; i < update->count; i++)
        free(update->events[i].args);
    free(update->events);
    memset(update, 0, sizeof *update);
}

size_t mig_block_count(const struct mig_block_update *update, enum mig_request_kind kind,
                       bool completed)
{
    size_t n = 0;
    for (size_t i = 0; i < update->count; i++)
        n += update->events[i].kind == kind && update->events[i].completed == completed;
    return n;
}

/* SPDX-License-Identifier: MIT */
/* The block stream against a devnet behind real sockets. */
#include "chain/blocks.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chain/rpc.h"
#include "chain/tx.h"
#include "devnet/devnet.h"
#include "tests/harness.h"

#define CONTRACT "v1.signer"
enum { PATIENCE_MS = 20000 };

/* ---- the chain ---- */

static struct mig_devnet *net;
static struct mig_identity *key;
static struct mig_rpc *wallet;
static uint64_t nonce;
static char url[64];

/* No timer: every block is a test's doing. */
static void open_chain(unsigned final_lag)
{
    char genesis[1024], text[MIG_KEY_TEXT_MAX], why[MIG_DEVNET_ERROR_MAX];
    uint8_t seed[MIG_SEED_LEN] = {7};
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &key), MIG_OK);
    mig_key_format(key->public_key, text);
    (void)snprintf(
        genesis, sizeof genesis,
        "{\"dialect\":\"3.14.1\",\"height\":1000,\"contract\":{\"account_id\":\"" CONTRACT
        "\"},\"accounts\":["
        "{\"account_id\":\"app.near\",\"balance\":\"1000000000000000000000000000\","
        "\"keys\":[{\"public_key\":\"%s\"}]}]}",
        text);
    config.genesis = genesis;
    config.block_ms = 3600000;
    config.final_lag = final_lag;
    enum mig_err err = mig_devnet_start(&config, &net, why);
    if (err != MIG_OK)
        printf("%s\n", why);
    CU_ASSERT_EQUAL_FATAL(err, MIG_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", mig_devnet_rpc_port(net));
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&(struct mig_rpc_options){.url = url}, &wallet), MIG_OK);
    nonce = 0;
}

static void close_chain(void)
{
    mig_rpc_free(&wallet);
    mig_devnet_stop(&net);
    mig_identity_free(&key);
}

static void op(const char *format, uint64_t value)
{
    char text[256], why[MIG_DEVNET_ERROR_MAX];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof text, format, value);
#pragma GCC diagnostic pop
    enum mig_err err = mig_devnet_scenario(net, text, why);
    if (err != MIG_OK)
        printf("%s: %s\n", text, why);
    CU_ASSERT_EQUAL(err, MIG_OK);
}

static void advance(uint64_t blocks)
{
    op("{\"op\":\"advance\",\"blocks\":%" PRIu64 "}", blocks);
}

/* A transaction takes two blocks: one includes it, one runs it. */
static void call(const char *method, const char *args)
{
    struct mig_tip tip;
    struct mig_outcome outcome;
    uint8_t *bytes, hash[MIG_DIGEST_LEN];
    size_t len;
    struct mig_action action = {
        .kind = MIG_ACTION_CALL,
        .call = {.method = method, .args = args, .args_len = strlen(args), .gas = 30000000000000}};
    struct mig_tx tx = {.signer = "app.near",
                        .receiver = CONTRACT,
                        .nonce = ++nonce,
                        .actions = &action,
                        .action_count = 1};
    CU_ASSERT_EQUAL_FATAL(mig_rpc_final_block(wallet, &tip), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_hash_parse(tip.hash, tx.block_hash), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_tx_sign(&tx, key, &bytes, &len, hash), MIG_OK);
    CU_ASSERT_EQUAL(mig_rpc_send_tx(wallet, bytes, len, MIG_WAIT_EXECUTED_OPTIMISTIC, &outcome),
                    MIG_OK);
    free(bytes);
}

/* ---- the stream ---- */

/* A checkpoint in memory. */
struct memory {
    uint8_t bytes[MIG_CHECKPOINT_MAX];
    size_t len;
    bool refuses;
};

static enum mig_err load(void *ctx, uint8_t **bytes, size_t *len)
{
    struct memory *m = ctx;
    if (m->len == 0)
        return MIG_ERR_NOT_FOUND;
    *bytes = malloc(m->len);
    memcpy(*bytes, m->bytes, m->len);
    *len = m->len;
    return MIG_OK;
}

static enum mig_err save(void *ctx, const uint8_t *bytes, size_t len)
{
    struct memory *m = ctx;
    if (m->refuses)
        return MIG_ERR_IO;
    memcpy(m->bytes, bytes, len);
    m->len = len;
    return MIG_OK;
}

enum backend { RPC, HTTP, BACKENDS };

struct setup {
    enum backend backend;
    bool optimistic;
    uint64_t start;
    size_t channel;
    enum mig_when_full when_full;
    struct memory *memory;
    size_t body_max;
    unsigned timeout_ms;
    const char *url; /* NULL: the devnet's */
};

static enum mig_err try_stream(const struct setup *u, struct mig_stream **out)
{
    struct mig_block_source source;
    const struct mig_block_source_options so = {.url = u->url != NULL ? u->url : url,
                                                .contract = CONTRACT,
                                                .body_max = u->body_max,
                                                .timeout_ms = u->timeout_ms};
    CU_ASSERT_EQUAL_FATAL(u->backend == RPC ? mig_block_source_rpc(&so, &source)
                                            : mig_block_source_http(&so, &source),
                          MIG_OK);
    const struct mig_stream_options o = {.source = &source,
                                         .contract = CONTRACT,
                                         .optimistic = u->optimistic,
                                         .start_height = u->start,
                                         .interval_ms = 5,
                                         .backoff_max_ms = 20,
                                         .channel = u->channel,
                                         .when_full = u->when_full,
                                         .missing_tries = 3,
                                         .load = u->memory != NULL ? load : NULL,
                                         .save = u->memory != NULL ? save : NULL,
                                         .ctx = u->memory};
    return mig_stream_start(&o, out);
}

static struct mig_stream *stream_of(const struct setup *u)
{
    struct mig_stream *s;
    CU_ASSERT_EQUAL_FATAL(try_stream(u, &s), MIG_OK);
    return s;
}

static struct mig_stream_event *next(struct mig_stream *s)
{
    struct mig_stream_event *e;
    enum mig_err err = mig_stream_next(s, PATIENCE_MS, &e);
    if (err != MIG_OK) {
        struct mig_stream_stats stats;
        mig_stream_stats(s, &stats);
        printf("no event: %s, %s\n", mig_err_text(err), stats.reason);
    }
    CU_ASSERT_EQUAL_FATAL(err, MIG_OK);
    return e;
}

static void done(struct mig_stream *s, struct mig_stream_event *e)
{
    CU_ASSERT_EQUAL(mig_stream_done(s, &e), MIG_OK);
    CU_ASSERT_PTR_NULL(e);
}

/* "B1003 +s -c" with a sign and a letter per event of the block, "R1003", "G4-9f" */
static void describe(const struct mig_stream_event *e, char out[256])
{
    static const char kinds[] = "scf";
    size_t n = 0;
    if (e->kind == MIG_STREAM_GAP) {
        (void)snprintf(out, 256, "G%" PRIu64 "-%" PRIu64 "%c", e->from, e->to,
                       e->reason == MIG_GAP_FULL ? 'f' : 'n');
        return;
    }
    n = (size_t)snprintf(out, 256, "%c%" PRIu64, e->kind == MIG_STREAM_BLOCK ? 'B' : 'R',
                         e->block.context.height);
    for (size_t i = 0; i < e->block.count && n + 8 < 256; i++) {
        const struct mig_block_event *b = &e->block.events[i];
        n += (size_t)snprintf(out + n, 256 - n, " %c%c%s", b->completed ? '-' : '+', kinds[b->kind],
                              b->completed && !b->succeeded ? "!" : "");
    }
}

/* Takes the next event, which must look like this. */
static void expect(struct mig_stream *s, const char *wanted)
{
    char text[256];
    struct mig_stream_event *e = next(s);
    describe(e, text);
    if (strcmp(text, wanted) != 0)
        printf("got %s, wanted %s\n", text, wanted);
    CU_ASSERT_STRING_EQUAL(text, wanted);
    done(s, e);
}

static void expect_nothing(struct mig_stream *s)
{
    struct mig_stream_event *e;
    CU_ASSERT_EQUAL(mig_stream_next(s, 60, &e), MIG_ERR_RETRY);
    CU_ASSERT_PTR_NULL(e);
}

static struct mig_stream_stats stats_of(struct mig_stream *s)
{
    struct mig_stream_stats stats;
    mig_stream_stats(s, &stats);
    return stats;
}

/* Until the source has failed so often in a row. */
static struct mig_stream_stats failing(struct mig_stream *s, uint32_t times)
{
    struct mig_stream_stats stats = stats_of(s);
    for (int i = 0; i < PATIENCE_MS && stats.failing < times; i++) {
        (void)usleep(1000);
        stats = stats_of(s);
    }
    CU_ASSERT(stats.failing >= times);
    return stats;
}

/* ---- what comes ---- */

static void both_backends(void (*test)(enum backend backend))
{
    for (int backend = 0; backend < BACKENDS; backend++)
        test((enum backend)backend);
}

static void check_requests(enum backend backend)
{
    open_chain(2);
    call("sign", "{\"request\":{\"path\":\"a\"}}"); /* 1001 1002 */
    call("request_app_private_key", "{\"request\":2}");
    call("verify_foreign_transaction", "{}");
    call("sign", "not JSON"); /* fails: no request */
    call("vote_pk", "{}");
    op("{\"op\":\"complete\",\"count\":2}", 0);    /* 1011 */
    op("{\"op\":\"complete\",\"fails\":true}", 0); /* 1012 */
    advance(2);
    struct mig_stream *s = stream_of(&(struct setup){.backend = backend, .start = 1001});
    expect(s, "B1001");
    struct mig_stream_event *e = next(s);
    CU_ASSERT_EQUAL_FATAL(e->block.count, 1);
    const struct mig_block_event *request = e->block.events;
    uint8_t id[MIG_DIGEST_LEN];
    memcpy(id, request->id, sizeof id);
    CU_ASSERT_EQUAL(e->block.context.height, 1002);
    CU_ASSERT_EQUAL(request->kind, MIG_REQUEST_SIGNATURE);
    CU_ASSERT_FALSE(request->completed);
    CU_ASSERT_STRING_EQUAL(request->predecessor, "app.near");
    CU_ASSERT_STRING_EQUAL((const char *)request->args, "{\"request\":{\"path\":\"a\"}}");
    CU_ASSERT_EQUAL(request->args_len, strlen((const char *)request->args));
    CU_ASSERT(memcmp(request->id, request->receipt, MIG_DIGEST_LEN) != 0);
    CU_ASSERT(e->block.context.time_ns > 0);
    done(s, e);
    expect(s, "B1003");
    expect(s, "B1004 +c");
    expect(s, "B1005");
    expect(s, "B1006 +f");
    for (int height = 1007; height <= 1010; height++)
        done(s, next(s));
    e = next(s);
    CU_ASSERT_EQUAL_FATAL(e->block.count, 2);
    CU_ASSERT_EQUAL(memcmp(e->block.events[0].id, id, sizeof id), 0);
    CU_ASSERT_EQUAL(mig_block_count(&e->block, MIG_REQUEST_SIGNATURE, true), 1);
    CU_ASSERT_EQUAL(mig_block_count(&e->block, MIG_REQUEST_CKD, true), 1);
    CU_ASSERT(e->block.events[0].succeeded && e->block.events[1].succeeded);
    done(s, e);
    expect(s, "B1012 -f!");
    expect_nothing(s); /* 1013 and 1014 are not final */
    advance(1);
    expect(s, "B1013");
    struct mig_stream_stats stats = stats_of(s);
    CU_ASSERT(stats.blocks == 13 && stats.done == 1013 && stats.gaps == 0 && stats.rollbacks == 0);
    mig_stream_stop(&s);
    close_chain();
}

static void sees_requests_and_completions_once_and_in_order(void)
{
    both_backends(check_requests);
}

static void check_skips(enum backend backend)
{
    open_chain(2);
    struct mig_stream *s = stream_of(&(struct setup){.backend = backend, .start = 1003});
    advance(4);                                           /* 1004 */
    op("{\"op\":\"skip\",\"heights\":%" PRIu64 "}", 5);   /* 1010 */
    op("{\"op\":\"skip\",\"heights\":%" PRIu64 "}", 300); /* 1311 */
    advance(3);
    expect(s, "B1003");
    expect(s, "B1004");
    expect(s, "B1010");
    if (backend == RPC) { /* headers of the devnet tell, as nodes do, the height before */
        expect(s, "B1311");
        expect(s, "B1312");
    }
    mig_stream_stop(&s);
    close_chain();
}

static void passes_over_skipped_heights(void)
{
    both_backends(check_skips);
}

static void starts_behind_skipped_heights(void)
{
    open_chain(2);
    op("{\"op\":\"skip\",\"heights\":%" PRIu64 "}", 9); /* 1010 */
    advance(3);
    struct mig_stream *s = stream_of(&(struct setup){.start = 1005});
    expect(s, "B1010");
    expect(s, "B1011");
    mig_stream_stop(&s);
    close_chain();
}

static void starts_at_the_head_when_no_height_is_given(void)
{
    open_chain(2);
    advance(9);
    struct mig_stream *s = stream_of(&(struct setup){0});
    expect(s, "B1007");
    expect_nothing(s);
    mig_stream_stop(&s);
    close_chain();
}

static void waits_for_a_start_that_is_to_come(void)
{
    open_chain(2);
    struct mig_stream *s = stream_of(&(struct setup){.start = 1005});
    expect_nothing(s);
    advance(7);
    expect(s, "B1005");
    mig_stream_stop(&s);
    close_chain();
}

static void catches_up_from_far_behind(void)
{
    open_chain(2);
    advance(500);
    struct mig_stream *s = stream_of(&(struct setup){.start = 1001, .channel = 16});
    char wanted[32];
    for (int height = 1001; height <= 1498; height++) {
        (void)snprintf(wanted, sizeof wanted, "B%d", height);
        expect(s, wanted);
    }
    expect_nothing(s);
    mig_stream_stop(&s);
    close_chain();
}

/* ---- forks ---- */

static void check_fork(enum backend backend)
{
    open_chain(6);
    call("sign", "{}");
    call("sign", "{}"); /* 1004 */
    struct mig_stream *s =
        stream_of(&(struct setup){.backend = backend, .optimistic = true, .start = 1001});
    expect(s, "B1001");
    expect(s, "B1002 +s");
    expect(s, "B1003");
    expect(s, "B1004 +s");
    op("{\"op\":\"fork\",\"blocks\":%" PRIu64 "}", 2);
    expect(s, "R1004");
    expect(s, "R1003");
    expect(s, "B1003");
    expect(s, "B1004");
    expect(s, "B1005");
    op("{\"op\":\"complete\"}", 0); /* the first request is still there, the second is not */
    expect(s, "B1006 -s");
    CU_ASSERT_EQUAL(stats_of(s).rollbacks, 2);
    mig_stream_stop(&s);
    close_chain();
}

static void takes_a_fork_back_newest_first(void)
{
    both_backends(check_fork);
}

static void final_blocks_know_no_forks(void)
{
    open_chain(4);
    advance(6);
    struct mig_stream *s = stream_of(&(struct setup){.start = 1001});
    expect(s, "B1001");
    expect(s, "B1002");
    op("{\"op\":\"fork\",\"blocks\":%" PRIu64 "}", 4);
    expect(s, "B1003");
    advance(1);
    expect(s, "B1004");
    CU_ASSERT_EQUAL(stats_of(s).rollbacks, 0);
    mig_stream_stop(&s);
    close_chain();
}

/* ---- restarts ---- */

/* What a consumer knows: the chain as events build it. */
struct model {
    size_t count, events;
    uint8_t hashes[256][MIG_DIGEST_LEN];
    char log[8192];
};

static void take(struct model *m, const struct mig_stream_event *e)
{
    char text[256];
    const struct mig_block_context *c = &e->block.context;
    describe(e, text);
    (void)strncat(m->log, text, sizeof m->log - strlen(m->log) - 1);
    (void)strncat(m->log, "\n", sizeof m->log - strlen(m->log) - 1);
    m->events++;
    if (e->kind == MIG_STREAM_ROLLBACK) {
        CU_ASSERT_FATAL(m->count > 0);
        CU_ASSERT_EQUAL(memcmp(m->hashes[--m->count], c->hash, MIG_DIGEST_LEN), 0);
        return;
    }
    CU_ASSERT_EQUAL_FATAL(e->kind, MIG_STREAM_BLOCK);
    CU_ASSERT(m->count == 0 || memcmp(m->hashes[m->count - 1], c->prev_hash, MIG_DIGEST_LEN) == 0);
    memcpy(m->hashes[m->count++], c->hash, MIG_DIGEST_LEN);
}

static void take_some(struct mig_stream *s, size_t events, struct model *m)
{
    for (size_t i = 0; i < events; i++) {
        struct mig_stream_event *e = next(s);
        take(m, e);
        done(s, e);
    }
}

static void busy_chain(unsigned lag)
{
    open_chain(lag);
    call("sign", "{}");
    op("{\"op\":\"skip\",\"heights\":%" PRIu64 "}", 2);
    call("request_app_private_key", "{}");
    op("{\"op\":\"complete\",\"count\":2}", 0);
}

static void check_restarts(enum backend backend)
{
    enum { EVENTS = 6 };
    struct model whole = {0};
    busy_chain(2);
    advance(2);
    struct mig_stream *s = stream_of(&(struct setup){.backend = backend, .start = 1001});
    take_some(s, EVENTS, &whole);
    expect_nothing(s);
    mig_stream_stop(&s);
    for (size_t at = 0; at <= EVENTS; at++) {
        struct memory memory = {0};
        struct model parts = {0};
        struct setup u = {.backend = backend, .start = 1001, .memory = &memory};
        s = stream_of(&u);
        take_some(s, at, &parts);
        if (at < EVENTS) { /* seen but not finished: comes again */
            struct mig_stream_event *e = next(s);
            mig_stream_drop(&e);
        }
        mig_stream_stop(&s);
        s = stream_of(&u);
        take_some(s, EVENTS - at, &parts);
        expect_nothing(s);
        mig_stream_stop(&s);
        CU_ASSERT_STRING_EQUAL(parts.log, whole.log);
    }
    close_chain();
}

static void restart_at_any_point_neither_loses_nor_repeats(void)
{
    both_backends(check_restarts);
}

/* The fork happens while the stream is down, and the next restart is in the
 * middle of taking it back. */
static void restart_at_any_point_of_a_fork_arrives_at_the_chain(void)
{
    for (size_t at = 1; at <= 6; at++) {
        for (size_t more = 0; more <= 4; more++) {
            struct memory memory = {0};
            struct model parts = {0}, straight = {0};
            struct setup u = {.optimistic = true, .start = 1001, .memory = &memory};
            busy_chain(8);
            struct mig_stream *s = stream_of(&u);
            take_some(s, at, &parts);
            mig_stream_stop(&s);
            op("{\"op\":\"fork\",\"blocks\":%" PRIu64 "}", 4);
            s = stream_of(&u);
            take_some(s, more, &parts);
            mig_stream_stop(&s);
            op("{\"op\":\"complete\"}", 0); /* the sign before the fork */
            s = stream_of(&(struct setup){.optimistic = true, .start = 1001});
            take_some(s, 8, &straight);
            expect_nothing(s);
            mig_stream_stop(&s);
            s = stream_of(&u);
            while (parts.count < straight.count ||
                   memcmp(parts.hashes[parts.count - 1], straight.hashes[straight.count - 1],
                          MIG_DIGEST_LEN) != 0)
                take_some(s, 1, &parts);
            expect_nothing(s);
            mig_stream_stop(&s);
            CU_ASSERT_EQUAL(parts.count, straight.count);
            CU_ASSERT_EQUAL(
                memcmp(parts.hashes, straight.hashes, sizeof parts.hashes[0] * straight.count), 0);
            close_chain();
        }
    }
}

static void a_checkpoint_that_is_not_saved_is_not_done(void)
{
    struct memory memory = {.refuses = true};
    open_chain(2);
    advance(4);
    struct setup u = {.start = 1001, .memory = &memory};
    struct mig_stream *s = stream_of(&u);
    struct mig_stream_event *e = next(s), *second = next(s);
    CU_ASSERT_EQUAL(mig_stream_done(s, &e), MIG_ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(e);
    CU_ASSERT_EQUAL(mig_stream_done(s, &second), MIG_ERR_BUG); /* not before the first */
    memory.refuses = false;
    done(s, e);
    mig_stream_drop(&second);
    mig_stream_stop(&s);
    s = stream_of(&u);
    expect(s, "B1002");
    mig_stream_stop(&s);
    close_chain();
}

static void refuses_a_damaged_or_foreign_checkpoint(void)
{
    struct memory memory = {0};
    struct mig_stream *s;
    open_chain(2);
    advance(4);
    struct setup u = {.start = 1001, .memory = &memory};
    s = stream_of(&u);
    expect(s, "B1001");
    mig_stream_stop(&s);
    for (size_t i = 0; i < memory.len; i++) {
        memory.bytes[i] ^= 1;
        CU_ASSERT_NOT_EQUAL(try_stream(&u, &s), MIG_OK);
        CU_ASSERT_PTR_NULL(s);
        memory.bytes[i] ^= 1;
    }
    for (memory.len--; memory.len > 0; memory.len--)
        CU_ASSERT_EQUAL(try_stream(&u, &s), MIG_ERR_MALFORMED);
    struct mig_marks marks = {0};
    CU_ASSERT_EQUAL(mig_checkpoint_encode(&marks, "other.near", memory.bytes, &memory.len), MIG_OK);
    CU_ASSERT_EQUAL(try_stream(&u, &s), MIG_ERR_CONFLICT);
    close_chain();
}

static void will_not_go_on_with_another_chain(void)
{
    struct memory memory = {0};
    struct setup u = {.start = 1001, .memory = &memory};
    open_chain(2);
    advance(4);
    struct mig_stream *s = stream_of(&u);
    expect(s, "B1001");
    expect(s, "B1002");
    mig_stream_stop(&s);
    close_chain();
    open_chain(2); /* the same heights, other hashes */
    advance(9);
    s = stream_of(&u);
    struct mig_stream_stats stats = failing(s, 2);
    CU_ASSERT_EQUAL(stats.err, MIG_ERR_CONFLICT);
    CU_ASSERT_PTR_NOT_NULL(strstr(stats.reason, "final"));
    expect_nothing(s);
    mig_stream_stop(&s);
    close_chain();
}

/* ---- the channel ---- */

static void wait_until_waiting(struct mig_stream *s, size_t events)
{
    for (int i = 0; i < PATIENCE_MS && stats_of(s).waiting < events; i++)
        (void)usleep(1000);
    CU_ASSERT_EQUAL(stats_of(s).waiting, events);
}

static void a_full_channel_waits_and_loses_nothing(void)
{
    char wanted[32];
    open_chain(2);
    advance(22);
    struct mig_stream *s = stream_of(&(struct setup){.start = 1001, .channel = 3});
    wait_until_waiting(s, 3);
    CU_ASSERT_EQUAL(stats_of(s).waiting, 3);
    for (int height = 1001; height <= 1020; height++) {
        (void)snprintf(wanted, sizeof wanted, "B%d", height);
        expect(s, wanted);
    }
    CU_ASSERT_EQUAL(stats_of(s).gaps, 0);
    mig_stream_stop(&s);
    close_chain();
}

/* Until so many blocks came, into the channel or into the loss. */
static void wait_for_blocks(struct mig_stream *s, uint64_t blocks)
{
    struct mig_stream_stats stats = stats_of(s);
    for (int i = 0; i < PATIENCE_MS && stats.blocks + stats.lost < blocks; i++) {
        (void)usleep(1000);
        stats = stats_of(s);
    }
    CU_ASSERT_EQUAL(stats.blocks + stats.lost, blocks);
}

static void a_full_channel_tells_what_it_lost(void)
{
    struct memory memory = {0};
    struct setup u = {.start = 1001, .channel = 3, .when_full = MIG_FULL_GAP, .memory = &memory};
    open_chain(2);
    advance(12);
    struct mig_stream *s = stream_of(&u);
    wait_for_blocks(s, 10);
    expect(s, "B1001");
    expect(s, "B1002");
    expect(s, "B1003");
    expect(s, "G1004-1010f"); /* also when nothing comes behind it */
    advance(1);
    expect(s, "B1011");
    mig_stream_stop(&s);
    s = stream_of(&u); /* a gap is part of what a restart remembers */
    advance(1);
    expect(s, "B1012");
    CU_ASSERT_EQUAL(stats_of(s).gaps, 0);
    mig_stream_stop(&s);
    close_chain();
}

static void a_lost_block_need_not_be_taken_back(void)
{
    open_chain(6);
    advance(6); /* 1006 */
    struct mig_stream *s = stream_of(&(struct setup){
        .optimistic = true, .start = 1001, .channel = 4, .when_full = MIG_FULL_GAP});
    wait_for_blocks(s, 6); /* 1005 and 1006 did not fit */
    op("{\"op\":\"fork\",\"blocks\":%" PRIu64 "}", 1);
    wait_for_blocks(s, 8); /* 1006 again, and 1007 */
    for (int i = 0; i < 4; i++)
        done(s, next(s));
    expect(s, "G1005-1007f");
    op("{\"op\":\"fork\",\"blocks\":%" PRIu64 "}", 4); /* of 1004 to 1007 */
    expect(s, "R1007");
    expect(s, "R1006");
    expect(s, "R1005");
    expect(s, "R1004"); /* must arrive, and does; what follows may fit or be a gap */
    mig_stream_stop(&s);
    close_chain();
}

/* ---- what is not to be had ---- */

static void check_gap(enum backend backend)
{
    open_chain(2);
    advance(12);
    op("{\"op\":\"archive\",\"blocks\":2,\"height\":%" PRIu64 "}", 1003);
    struct mig_stream *s = stream_of(&(struct setup){.backend = backend, .start = 1001});
    expect(s, "B1001");
    expect(s, "B1002");
    if (backend == RPC) { /* its headers are there */
        expect(s, "G1003-1003n");
        expect(s, "G1004-1004n");
    } else
        expect(s, "G1003-1004n");
    expect(s, "B1005");
    expect(s, "B1006");
    mig_stream_stop(&s);
    close_chain();
}

static void data_that_is_gone_is_a_gap(void)
{
    both_backends(check_gap);
}

static void a_node_that_forgot_the_start_gives_a_gap(void)
{
    struct memory memory = {0};
    struct setup u = {.start = 1001, .memory = &memory};
    open_chain(2);
    advance(3);
    struct mig_stream *s = stream_of(&u);
    expect(s, "B1001");
    mig_stream_stop(&s);
    advance(700); /* 1703 */
    op("{\"op\":\"archive\",\"header\":true,\"blocks\":600,\"height\":%" PRIu64 "}", 1000);
    s = stream_of(&u);
    expect(s, "G1002-1599n");
    expect(s, "B1600");
    expect(s, "B1601");
    mig_stream_stop(&s);
    s = stream_of(&(struct setup){.start = 1001});
    expect(s, "G1001-1599n");
    expect(s, "B1600");
    mig_stream_stop(&s);
    close_chain();
}

/* Whatever the source answers meanwhile, the blocks come afterwards, all of them. */
static void check_faults(enum backend backend)
{
    static const struct {
        const char *fault;
        enum mig_err err;
    } faults[] = {
        {"{\"op\":\"fault\",\"kind\":\"garbage\"}", MIG_ERR_MALFORMED},
        {"{\"op\":\"fault\",\"kind\":\"http\",\"value\":503}", MIG_ERR_RETRY},
        {"{\"op\":\"fault\",\"kind\":\"http\",\"value\":403}", MIG_ERR_DENIED},
        {"{\"op\":\"fault\",\"kind\":\"slow\",\"value\":600}", MIG_ERR_RETRY},
        {"{\"op\":\"fault\",\"kind\":\"oversize\",\"value\":100000}", MIG_ERR_MALFORMED},
        {"{\"op\":\"fault\",\"kind\":\"wrong_value\"}", MIG_ERR_MALFORMED}, /* other shards */
    };
    open_chain(2);
    struct mig_stream *s = stream_of(
        &(struct setup){.backend = backend, .start = 1001, .timeout_ms = 300, .body_max = 60000});
    advance(2);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        char wanted[32];
        op(faults[i].fault, 0);
        advance(1);
        struct mig_stream_stats stats = failing(s, 5); /* more than a gap would need */
        for (int k = 0; k < PATIENCE_MS && stats.err != faults[i].err; k++) {
            (void)usleep(1000); /* a busy machine may add failures of its own */
            stats = stats_of(s);
        }
        if (stats.err != faults[i].err)
            printf("%s: %s, %s\n", faults[i].fault, mig_err_text(stats.err), stats.reason);
        CU_ASSERT_EQUAL(stats.err, faults[i].err);
        CU_ASSERT(stats.reason[0] != '\0');
        op("{\"op\":\"fault\",\"kind\":\"none\"}", 0);
        (void)snprintf(wanted, sizeof wanted, "B%zu", 1001 + i);
        expect(s, wanted);
        CU_ASSERT_EQUAL(stats_of(s).failing, 0);
    }
    CU_ASSERT_EQUAL(stats_of(s).gaps, 0);
    mig_stream_stop(&s);
    close_chain();
}

static void false_answers_only_delay(void)
{
    both_backends(check_faults);
}

/* ---- ends ---- */

static void *cancel_soon(void *arg)
{
    (void)usleep(20000);
    mig_stream_cancel(arg);
    return NULL;
}

static void cancel_ends_a_wait_for_events(void)
{
    pthread_t thread;
    struct mig_stream_event *e;
    open_chain(2);
    struct mig_stream *s = stream_of(&(struct setup){.start = 5000});
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, cancel_soon, s), 0);
    CU_ASSERT_EQUAL(mig_stream_next(s, 600000, &e), MIG_ERR_CANCELLED);
    CU_ASSERT_EQUAL(mig_stream_next(s, 600000, &e), MIG_ERR_CANCELLED);
    (void)pthread_join(thread, NULL);
    mig_stream_stop(&s);
    mig_stream_stop(&s); /* harmless */
    close_chain();
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Before, during and after each of its questions, with a full and an empty channel,
 * and while the source says nothing. */
static void stops_at_any_moment(void)
{
    open_chain(2);
    advance(60);
    for (unsigned i = 0; i < 60; i++) {
        struct mig_stream *s = stream_of(&(struct setup){
            .backend = i % 2 == 0 ? RPC : HTTP, .start = 1001, .channel = 2 + i % 40});
        (void)usleep(i * 200);
        if (i % 3 == 0)
            done(s, next(s));
        mig_stream_stop(&s);
        CU_ASSERT_PTR_NULL(s);
    }
    op("{\"op\":\"fault\",\"kind\":\"slow\",\"value\":3000}", 0);
    struct mig_stream *s = stream_of(&(struct setup){.start = 1001});
    double from = seconds();
    mig_stream_stop(&s);
    CU_ASSERT(seconds() - from < 2.5);
    close_chain();
}

int main(void)
{
    static const struct test tests[] = {
        TEST(sees_requests_and_completions_once_and_in_order),
        TEST(passes_over_skipped_heights),
        TEST(starts_behind_skipped_heights),
        TEST(starts_at_the_head_when_no_height_is_given),
        TEST(waits_for_a_start_that_is_to_come),
        TEST(catches_up_from_far_behind),
        TEST(takes_a_fork_back_newest_first),
        TEST(final_blocks_know_no_forks),
        TEST(restart_at_any_point_neither_loses_nor_repeats),
        TEST(restart_at_any_point_of_a_fork_arrives_at_the_chain),
        TEST(a_checkpoint_that_is_not_saved_is_not_done),
        TEST(refuses_a_damaged_or_foreign_checkpoint),
        TEST(will_not_go_on_with_another_chain),
        TEST(a_full_channel_waits_and_loses_nothing),
        TEST(a_full_channel_tells_what_it_lost),
        TEST(a_lost_block_need_not_be_taken_back),
        TEST(data_that_is_gone_is_a_gap),
        TEST(a_node_that_forgot_the_start_gives_a_gap),
        TEST(false_answers_only_delay),
        TEST(cancel_ends_a_wait_for_events),
        TEST(stops_at_any_moment),
    };
    return run_tests("blocks", tests, sizeof tests / sizeof *tests);
}

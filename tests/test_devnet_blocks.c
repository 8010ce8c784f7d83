/* SPDX-License-Identifier: MIT */
/* What the devnet gives to indexers, and the scenarios around it. */
#include "devnet/devnet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/block.h"
#include "chain/rpc.h"
#include "chain/tx.h"
#include "tests/harness.h"

static struct mig_devnet *net;
static struct mig_identity *key;
static struct mig_rpc *rpc;
static uint64_t nonce;

static void open_chain(unsigned final_lag)
{
    char genesis[1024], text[MIG_KEY_TEXT_MAX], why[MIG_DEVNET_ERROR_MAX], url[64];
    uint8_t seed[MIG_SEED_LEN] = {9};
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &key), MIG_OK);
    mig_key_format(key->public_key, text);
    (void)snprintf(genesis, sizeof genesis,
                   "{\"dialect\":\"3.14.1\",\"height\":1000,\"contract\":{\"account_id\":"
                   "\"v1.signer\"},\"accounts\":[{\"account_id\":\"app.near\",\"balance\":"
                   "\"1000000000000000000000000000\",\"keys\":[{\"public_key\":\"%s\"}]}]}",
                   text);
    config.genesis = genesis;
    config.block_ms = 3600000; /* no timer: every block is a test's doing */
    config.final_lag = final_lag;
    CU_ASSERT_EQUAL_FATAL(mig_devnet_start(&config, &net, why), MIG_OK);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", mig_devnet_rpc_port(net));
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&(struct mig_rpc_options){.url = url}, &rpc), MIG_OK);
    nonce = 0;
}

static void close_chain(void)
{
    mig_rpc_free(&rpc);
    mig_devnet_stop(&net);
    mig_identity_free(&key);
}

static enum mig_err op(const char *text)
{
    char why[MIG_DEVNET_ERROR_MAX];
    enum mig_err err = mig_devnet_scenario(net, text, why);
    CU_ASSERT_EQUAL(err == MIG_OK, why[0] == '\0');
    return err;
}

/* The signed bytes of a call; the caller frees them. */
static uint8_t *sign_call(const char *method, size_t *len, uint8_t hash[MIG_DIGEST_LEN])
{
    struct mig_tip tip;
    uint8_t *bytes;
    struct mig_action action = {
        .kind = MIG_ACTION_CALL,
        .call = {.method = method, .args = "{}", .args_len = 2, .gas = 30000000000000}};
    struct mig_tx tx = {.signer = "app.near",
                        .receiver = "v1.signer",
                        .nonce = ++nonce,
                        .actions = &action,
                        .action_count = 1};
    CU_ASSERT_EQUAL_FATAL(mig_rpc_final_block(rpc, &tip), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_hash_parse(tip.hash, tx.block_hash), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_tx_sign(&tx, key, &bytes, len, hash), MIG_OK);
    return bytes;
}

static void send(const uint8_t *bytes, size_t len)
{
    struct mig_outcome outcome;
    CU_ASSERT_EQUAL(mig_rpc_send_tx(rpc, bytes, len, MIG_WAIT_EXECUTED_OPTIMISTIC, &outcome),
                    MIG_OK);
    CU_ASSERT_EQUAL(outcome.status, MIG_TX_EXECUTED);
}

static void call(const char *method)
{
    size_t len;
    uint8_t hash[MIG_DIGEST_LEN], *bytes = sign_call(method, &len, hash);
    send(bytes, len);
    free(bytes);
}

/* Status and body of a GET. */
static long get(const char *path, struct mig_http_answer *a)
{
    CU_ASSERT_EQUAL_FATAL(mig_rpc_get(rpc, path, a), MIG_OK);
    return a->status;
}

static bool body_is(const struct mig_http_answer *a, const char *text)
{
    return a->len == strlen(text) && memcmp(a->body, text, a->len) == 0;
}

static void messages_come_by_height(void)
{
    struct mig_http_answer a;
    struct mig_block_update u;
    open_chain(2);
    call("sign");                                                   /* 1001, 1002 */
    CU_ASSERT_EQUAL(op("{\"op\":\"skip\",\"heights\":3}"), MIG_OK); /* 1006 */
    CU_ASSERT_EQUAL(op("{\"op\":\"advance\"}"), MIG_OK);            /* 1007 */
    CU_ASSERT_EQUAL(get("/v0/block/1002", &a), 200);
    CU_ASSERT_EQUAL(mig_block_parse(a.body, a.len, "v1.signer", false, &u), MIG_OK);
    CU_ASSERT(u.count == 1 && u.context.height == 1002 && u.context.prev_height == 1001);
    mig_block_update_clear(&u);
    CU_ASSERT_EQUAL(get("/v0/block/1006", &a), 404); /* not final yet */
    CU_ASSERT_EQUAL(get("/v0/block_opt/1006", &a), 200);
    CU_ASSERT_EQUAL(get("/v0/block_opt/1004", &a), 200);
    CU_ASSERT(body_is(&a, "null"));
    CU_ASSERT_EQUAL(get("/v0/block_opt/1008", &a), 404);
    CU_ASSERT_EQUAL(get("/v0/block/0", &a), 404);
    CU_ASSERT_EQUAL(get("/v0/block/x", &a), 404);
    CU_ASSERT_EQUAL(get("/v0/elsewhere", &a), 404);
    CU_ASSERT_EQUAL(get("/v0/last_block/final", &a), 302);
    CU_ASSERT(a.location != NULL && strstr(a.location, "/v0/block/1002") != NULL);
    CU_ASSERT_EQUAL(get("/v0/last_block/optimistic", &a), 302);
    CU_ASSERT(a.location != NULL && strstr(a.location, "/v0/block_opt/1007") != NULL);
    struct mig_tip tip; /* the next call posts again */
    CU_ASSERT_EQUAL(mig_rpc_final_block(rpc, &tip), MIG_OK);
    CU_ASSERT_EQUAL(tip.block.height, 1002);
    close_chain();
}

/* The block at a height, as its hash. */
static void hash_at(uint64_t height, char hash[MIG_HASH_TEXT_MAX])
{
    struct mig_http_answer a;
    struct mig_block_update u;
    char path[64];
    (void)snprintf(path, sizeof path, "/v0/block_opt/%" PRIu64, height);
    CU_ASSERT_EQUAL(get(path, &a), 200);
    CU_ASSERT_EQUAL_FATAL(mig_block_parse(a.body, a.len, "v1.signer", false, &u), MIG_OK);
    mig_hash_format(u.context.hash, hash);
    mig_block_update_clear(&u);
}

static void ignore(struct mig_json *j, void *out, struct mig_rpc_error *e, bool *failed)
{
    (void)out, (void)e, (void)failed;
    mig_json_skip(j);
}

static enum mig_fault indexer_fault(const char *hash)
{
    char params[128];
    (void)snprintf(params, sizeof params, "{\"block_hash\":\"%s\"}", hash);
    enum mig_err err = mig_rpc_ask(rpc, "EXPERIMENTAL_indexer_block", params, ignore, NULL);
    CU_ASSERT_EQUAL(err == MIG_OK, mig_rpc_error(rpc)->fault == MIG_FAULT_NONE);
    return mig_rpc_error(rpc)->fault;
}

static void archived_blocks_have_no_data(void)
{
    struct mig_http_answer a;
    struct mig_tip tip;
    char hash[MIG_HASH_TEXT_MAX];
    open_chain(2);
    CU_ASSERT_EQUAL(op("{\"op\":\"advance\",\"blocks\":6}"), MIG_OK);
    hash_at(1002, hash);
    CU_ASSERT_EQUAL(indexer_fault(hash), MIG_FAULT_NONE);
    CU_ASSERT_EQUAL(op("{\"op\":\"archive\",\"height\":1002}"), MIG_OK);
    CU_ASSERT_EQUAL(indexer_fault(hash), MIG_FAULT_NO_DATA);
    CU_ASSERT_EQUAL(mig_rpc_block(rpc, hash, &tip), MIG_OK);
    CU_ASSERT_EQUAL(get("/v0/block/1002", &a), 404);
    CU_ASSERT_EQUAL(op("{\"op\":\"archive\",\"height\":1002,\"header\":true}"), MIG_OK);
    CU_ASSERT_EQUAL(indexer_fault(hash), MIG_FAULT_UNKNOWN_BLOCK);
    CU_ASSERT_NOT_EQUAL(mig_rpc_block(rpc, hash, &tip), MIG_OK);
    CU_ASSERT_EQUAL(indexer_fault("x"), MIG_FAULT_OTHER);
    CU_ASSERT_EQUAL(op("{\"op\":\"archive\",\"height\":1003,\"blocks\":9}"), MIG_ERR_NOT_FOUND);
    hash_at(1003, hash); /* nothing was done */
    close_chain();
}

static void a_fork_undoes_what_happened_in_it(void)
{
    size_t len;
    uint8_t hash[MIG_DIGEST_LEN];
    char text[MIG_HASH_TEXT_MAX], before[MIG_HASH_TEXT_MAX], after[MIG_HASH_TEXT_MAX];
    struct mig_outcome outcome;
    open_chain(4);
    uint8_t *bytes = sign_call("sign", &len, hash); /* 1001, 1002 */
    mig_hash_format(hash, text);
    send(bytes, len);
    hash_at(1001, before);
    CU_ASSERT_EQUAL(op("{\"op\":\"fork\",\"blocks\":1}"), MIG_ERR_STATE); /* half of it */
    CU_ASSERT_EQUAL(op("{\"op\":\"fork\",\"blocks\":5}"), MIG_ERR_STATE); /* final */
    CU_ASSERT_EQUAL(op("{\"op\":\"fork\",\"blocks\":0}"), MIG_ERR_STATE);
    CU_ASSERT_EQUAL(mig_devnet_height(net), 1002);
    CU_ASSERT_EQUAL(op("{\"op\":\"fork\",\"blocks\":2}"), MIG_OK);
    CU_ASSERT_EQUAL(mig_devnet_height(net), 1003);
    hash_at(1001, after);
    CU_ASSERT_STRING_NOT_EQUAL(before, after);
    CU_ASSERT_EQUAL(mig_rpc_tx(rpc, text, "app.near", &outcome), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(op("{\"op\":\"complete\"}"), MIG_ERR_STATE);
    send(bytes, len); /* the nonce is free again */
    CU_ASSERT_EQUAL(op("{\"op\":\"complete\"}"), MIG_OK);
    CU_ASSERT_EQUAL(op("{\"op\":\"complete\"}"), MIG_ERR_STATE);
    CU_ASSERT_EQUAL(op("{\"op\":\"fork\"}"), MIG_OK);
    CU_ASSERT_EQUAL(op("{\"op\":\"complete\"}"), MIG_OK); /* it waits again */
    free(bytes);
    close_chain();
}

/* How many changes the block had, by the number of their causes. */
static void count_causes(struct mig_json *j, void *out, struct mig_rpc_error *e, bool *failed)
{
    static const char *const fields[] = {"changes", NULL};
    unsigned seen = 0;
    (void)e, (void)failed;
    mig_json_object(j);
    while (mig_json_field(j, fields, &seen) >= 0)
        for (mig_json_array(j); mig_json_item(j); ++*(size_t *)out)
            mig_json_skip(j);
    mig_json_need(j, seen == 1);
}

static size_t changes(const char *account, uint64_t height)
{
    size_t n = 0;
    char params[256];
    (void)snprintf(params, sizeof params,
                   "{\"changes_type\":\"data_changes\",\"account_ids\":[\"%s\"],"
                   "\"key_prefix_base64\":\"\",\"block_id\":%" PRIu64 "}",
                   account, height);
    CU_ASSERT_EQUAL(mig_rpc_ask(rpc, "changes", params, count_causes, &n), MIG_OK);
    return n;
}

static void changes_show_where_the_contract_was_called(void)
{
    size_t n = 0;
    open_chain(2);
    call("sign");
    CU_ASSERT_EQUAL(changes("v1.signer", 1001), 0);
    CU_ASSERT_EQUAL(changes("v1.signer", 1002), 1);
    CU_ASSERT_EQUAL(changes("app.near", 1002), 0);
    CU_ASSERT_NOT_EQUAL(mig_rpc_ask(rpc, "EXPERIMENTAL_changes", "{}", count_causes, &n), MIG_OK);
    close_chain();
}

int main(void)
{
    static const struct test tests[] = {
        TEST(messages_come_by_height),
        TEST(archived_blocks_have_no_data),
        TEST(a_fork_undoes_what_happened_in_it),
        TEST(changes_show_where_the_contract_was_called),
    };
    return run_tests("devnet_blocks", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
#include "devnet/devnet.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chain/rpc.h"
#include "chain/tx.h"
#include "crypto/encoding.h"
#include "tests/harness.h"

#define K_TLS_A "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define K_TLS_B "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define K_NEW "ed25519:GFRaCJ8UDCWt7ZawnTbQ83RGPo7o3viyyer68jysLmVM"
#define ONE_NEAR ((unsigned __int128)1000000000000 * 1000000000000)
#define REGISTER "{\"backup_service_info\":{\"public_key\":\"" K_NEW "\"}}"

/* Keys: operator (full access), node (function calls to the contract), stranger. */
static struct mig_identity *operator_key, *node_key, *stranger_key;
static char operator_text[MIG_KEY_TEXT_MAX], node_text[MIG_KEY_TEXT_MAX];
static struct mig_devnet *net;

static struct mig_identity *make_key(uint8_t fill)
{
    uint8_t seed[MIG_SEED_LEN];
    struct mig_identity *id;
    memset(seed, fill, sizeof seed);
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &id), MIG_OK);
    return id;
}

static void make_keys(void)
{
    if (operator_key != NULL)
        return;
    operator_key = make_key(1);
    node_key = make_key(2);
    stranger_key = make_key(3);
    mig_key_format(operator_key->public_key, operator_text);
    mig_key_format(node_key->public_key, node_text);
}

static const char *genesis(void)
{
    static char text[4096];
    make_keys();
    (void)snprintf(
        text, sizeof text,
        "{\"dialect\":\"3.14.1\",\"height\":1000,\"contract\":{\"account_id\":\"v1.signer\","
        "\"epoch_id\":5,"
        "\"threshold\":2,\"participants\":[{\"account_id\":\"alice.near\",\"url\":\"http://a:80\","
        "\"tls_public_key\":\"" K_TLS_A "\"},{\"account_id\":\"bob.near\",\"url\":\"http://b:80\","
        "\"tls_public_key\":\"" K_TLS_B
        "\"}],\"domains\":[{\"protocol\":\"Frost\"}]},\"accounts\":["
        "{\"account_id\":\"alice.near\",\"balance\":\"1000000000000000000000000000\",\"keys\":["
        "{\"public_key\":\"%s\"},{\"public_key\":\"%s\",\"permission\":{\"FunctionCall\":{"
        "\"allowance\":"
        "\"1000000000000000000000000\",\"receiver_id\":\"v1.signer\",\"method_names\":"
        "[\"conclude_node_migration\",\"submit_participant_info\"]}}}]},"
        "{\"account_id\":\"poor.near\",\"balance\":\"1\",\"keys\":[{\"public_key\":\"%s\"}]}]}",
        operator_text, node_text, operator_text);
    return text;
}

static void start_with(struct mig_devnet_config config)
{
    char why[MIG_DEVNET_ERROR_MAX];
    config.genesis = genesis();
    enum mig_err err = mig_devnet_start(&config, &net, why);
    if (err != MIG_OK)
        printf("%s\n", why);
    CU_ASSERT_EQUAL_FATAL(err, MIG_OK);
}

/* Blocks only when something happens: every height in a test is its own doing. */
static void start(void)
{
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    config.block_ms = 0;
    start_with(config);
}

static void stop(void)
{
    mig_devnet_stop(&net);
    CU_ASSERT_PTR_NULL(net);
}

static void scenario(const char *op)
{
    char why[MIG_DEVNET_ERROR_MAX];
    enum mig_err err = mig_devnet_scenario(net, op, why);
    if (err != MIG_OK)
        printf("%s: %s\n", op, why);
    CU_ASSERT_EQUAL(err, MIG_OK);
}

/* RPC */

static json_t *ask_raw(const char *body, unsigned status)
{
    unsigned got;
    char *text;
    CU_ASSERT_EQUAL_FATAL(mig_devnet_request(net, body, strlen(body), &got, &text), MIG_OK);
    CU_ASSERT_EQUAL(got, status);
    json_t *answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
    free(text);
    return answer;
}

static json_t *ask(const char *method, const char *params, unsigned status)
{
    struct mig_print t = {0};
    mig_print_printf(&t, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"%s\",\"params\":", method);
    mig_print_put(&t, params);
    mig_print_put(&t, "}");
    json_t *answer = ask_raw(t.s, status);
    mig_print_clear(&t);
    return answer;
}

/* Walks "a.b.0.c". */
static json_t *at(const json_t *value, const char *path)
{
    char name[64];
    while (value != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, path);
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(name))
                                     : json_object_get(value, name);
        path += n + (path[n] == '.');
    }
    return (json_t *)value;
}

static bool says(const json_t *value, const char *path, const char *text)
{
    const char *got = json_string_value(at(value, path));
    bool same = got != NULL && strcmp(got, text) == 0;
    if (!same)
        printf("%s: found %s, expected %s\n", path, got != NULL ? got : "nothing", text);
    return same;
}

static uint64_t number_at(const json_t *value, const char *path)
{
    return (uint64_t)json_integer_value(at(value, path));
}

/* The view's answer as parsed JSON, of the block that `where` names. */
static json_t *view_at(const char *method, const char *where)
{
    char params[512];
    char text[16384];
    size_t len = 0;
    (void)snprintf(params, sizeof params,
                   "{\"request_type\":\"call_function\",%s,\"account_id\":\"v1.signer\",\"method_"
                   "name\":\"%s\","
                   "\"args_base64\":\"e30=\"}",
                   where, method);
    json_t *answer = ask("query", params, 200);
    const json_t *bytes = at(answer, "result.result");
    CU_ASSERT(json_is_array(bytes));
    for (size_t i = 0; i < json_array_size(bytes) && len < sizeof text; i++)
        text[len++] = (char)json_integer_value(json_array_get(bytes, i));
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(value);
    json_decref(answer);
    return value;
}

static bool state_is(const char *phase, const char *where)
{
    json_t *state = view_at("state", where);
    bool is = json_object_get(state, phase) != NULL;
    json_decref(state);
    return is;
}

#define FINAL "\"finality\":\"final\""
#define OPTIMISTIC "\"finality\":\"optimistic\""

/* Transactions */

struct wish {
    const char *signer;
    const char *receiver;
    const char *method;
    const char *args;
    uint64_t deposit;
    uint64_t nonce;         /* 0: one that fits */
    const char *block_hash; /* NULL: of a final block */
};

static uint64_t next_nonce;

static char *block_hash(const char *reference)
{
    json_t *answer = ask("block", reference, 200);
    char *hash = strdup(json_string_value(at(answer, "result.header.hash")));
    json_decref(answer);
    return hash;
}

static char *sign(const struct wish *w, const struct mig_identity *key)
{
    char *final = block_hash("{" FINAL "}");
    const char *args = w->args != NULL ? w->args : "{}";
    struct mig_action action = {.kind = MIG_ACTION_CALL,
                                .call = {.method = w->method,
                                         .args = args,
                                         .args_len = strlen(args),
                                         .gas = 30000000000000,
                                         .deposit = {0, w->deposit}}};
    struct mig_tx tx = {.signer = w->signer != NULL ? w->signer : "alice.near",
                        .receiver = w->receiver != NULL ? w->receiver : "v1.signer",
                        .nonce = w->nonce != 0 ? w->nonce : ++next_nonce,
                        .actions = &action,
                        .action_count = 1};
    uint8_t *bytes;
    uint8_t hash[MIG_DIGEST_LEN];
    size_t len;
    CU_ASSERT_EQUAL_FATAL(
        mig_hash_parse(w->block_hash != NULL ? w->block_hash : final, tx.block_hash), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_tx_sign(&tx, key, &bytes, &len, hash), MIG_OK);
    char *text = malloc(MIG_BASE64_LEN(len));
    CU_ASSERT_EQUAL_FATAL(mig_base64_encode(bytes, len, text, MIG_BASE64_LEN(len)), MIG_OK);
    free(bytes);
    free(final);
    return text;
}

static json_t *send_text(const char *text, const char *wait, unsigned status)
{
    struct mig_print t = {0};
    mig_print_printf(&t, "{\"signed_tx_base64\":\"%s\",\"wait_until\":\"%s\"}", text, wait);
    json_t *answer = ask("send_tx", t.s, status);
    mig_print_clear(&t);
    return answer;
}

static json_t *submit(const struct wish *w, const struct mig_identity *key)
{
    char *text = sign(w, key);
    json_t *answer = send_text(text, "EXECUTED_OPTIMISTIC", 200);
    free(text);
    return answer;
}

/* What INVALID_TRANSACTION carries. */
static json_t *refusal(const struct wish *w, const struct mig_identity *key, const char *path)
{
    json_t *answer = submit(w, key);
    CU_ASSERT(says(answer, "error.name", "HANDLER_ERROR"));
    CU_ASSERT(says(answer, "error.cause.name", "INVALID_TRANSACTION"));
    json_t *detail =
        json_incref(at(at(answer, "error.data.TxExecutionError.InvalidTxError"), path));
    CU_ASSERT_PTR_NOT_NULL(detail);
    json_decref(answer);
    return detail;
}

static void refused_as(const struct wish *w, const struct mig_identity *key, const char *path,
                       const char *text)
{
    json_t *detail = refusal(w, key, path);
    if (text != NULL)
        CU_ASSERT(says(detail, "", text));
    json_decref(detail);
}

static unsigned __int128 balance(const char *account)
{
    char params[256];
    unsigned __int128 amount;
    (void)snprintf(params, sizeof params,
                   "{\"request_type\":\"view_account\"," OPTIMISTIC ",\"account_id\":\"%s\"}",
                   account);
    json_t *answer = ask("query", params, 200);
    const char *text = json_string_value(at(answer, "result.amount"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(mig_amount_parse(text, strlen(text), &amount), MIG_OK);
    json_decref(answer);
    return amount;
}

/* Envelope */

static void echoes_the_id_as_it_came(void)
{
    start();
    json_t *a = ask_raw(
        "{\"jsonrpc\":\"2.0\",\"id\":\"123\",\"method\":\"gas_price\",\"params\":[null]}", 200);
    CU_ASSERT(says(a, "id", "123"));
    CU_ASSERT(says(a, "result.gas_price", "100000000"));
    json_decref(a);
    a = ask_raw("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"status\",\"params\":null}", 200);
    CU_ASSERT_EQUAL(number_at(a, "id"), 7);
    CU_ASSERT(says(a, "result.chain_id", "mpc-devnet"));
    json_decref(a);
    stop();
}

static void refuses_what_is_not_a_request(void)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{\"jsonrpc\":\"2.0\"}",
        "{\"jsonrpc\":\"1.0\",\"method\":\"status\",\"id\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"status\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"query\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"query\",\"params\":{\"request_type\":\"view_account\","
        "\"account_id\":\"a\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"query\",\"params\":{\"request_type\":\"x\"," FINAL "}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"block\",\"params\":{" FINAL ",\"block_id\":1000}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"block\",\"params\":{\"finality\":\"sometime\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"send_tx\",\"params\":{\"signed_tx_base64\":\"!!\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"send_tx\",\"params\":{\"signed_tx_base64\":\"AAAA\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"tx\",\"params\":[\"0\",\"alice.near\"]}",
    };
    start();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *a = ask_raw(bad[i], 400);
        CU_ASSERT(says(a, "error.cause.name", "PARSE_ERROR"));
        json_decref(a);
    }
    json_t *a = ask("no_such", "{}", 400);
    CU_ASSERT(says(a, "error.cause.name", "METHOD_NOT_FOUND"));
    CU_ASSERT(says(a, "error.cause.info.method_name", "no_such"));
    json_decref(a);
    stop();
}

static void reports_contract_errors_inside_the_result(void)
{
    start();
    json_t *a = ask("query",
                    "{\"request_type\":\"call_function\"," FINAL
                    ",\"account_id\":\"v1.signer\",\"method_name\":\"nope\",\"args_base64\":\"\"}",
                    200);
    CU_ASSERT(says(a, "result.error",
                   "wasm execution failed with error: MethodResolveError(MethodNotFound)"));
    json_decref(a);
    a = ask("query",
            "{\"request_type\":\"call_function\"," FINAL
            ",\"account_id\":\"alice.near\",\"method_name\":\"state\",\"args_base64\":\"\"}",
            200);
    CU_ASSERT(says(a, "result.error",
                   "wasm execution failed with error: CompilationError(CodeDoesNotExist { "
                   "account_id: \"alice.near\" })"));
    json_decref(a);
    a = ask(
        "query",
        "{\"request_type\":\"call_function\"," FINAL
        ",\"account_id\":\"v1.signer\",\"method_name\":\"get_attestation\",\"args_base64\":\"\"}",
        200);
    CU_ASSERT(says(
        a, "result.error",
        "wasm execution failed with error: HostError(GuestPanic { panic_msg: \"Failed to "
        "deserialize input from JSON. Error: `EOF while parsing a value at line 1 column 0`\" })"));
    json_decref(a);
    a = ask("query",
            "{\"request_type\":\"call_function\"," FINAL
            ",\"account_id\":\"v1.signer\",\"method_name\":\"conclude_node_migration\",\"args_"
            "base64\":\"\"}",
            200);
    CU_ASSERT(says(a, "result.error",
                   "wasm execution failed with error: HostError(ProhibitedInView { method_name: "
                   "\"attached_deposit\" })"));
    json_decref(a);
    a = ask("query",
            "{\"request_type\":\"view_access_key\"," FINAL
            ",\"account_id\":\"alice.near\",\"public_key\":\"" K_NEW "\"}",
            200);
    CU_ASSERT(says(a, "result.error", "access key " K_NEW " does not exist while viewing"));
    json_decref(a);
    a = ask("EXPERIMENTAL_call_function",
            "{" FINAL
            ",\"account_id\":\"v1.signer\",\"method_name\":\"nope\",\"args_base64\":\"\"}",
            200);
    CU_ASSERT(says(a, "error.cause.name", "CONTRACT_EXECUTION_ERROR"));
    CU_ASSERT(says(a, "error.cause.info.vm_error.MethodResolveError", "MethodNotFound"));
    json_decref(a);
    stop();
}

static void reports_missing_things_as_handler_errors(void)
{
    start();
    json_t *a = ask(
        "query", "{\"request_type\":\"view_account\"," FINAL ",\"account_id\":\"zoe.near\"}", 200);
    CU_ASSERT(says(a, "error.cause.name", "UNKNOWN_ACCOUNT"));
    CU_ASSERT(says(a, "error.data", "account zoe.near does not exist while viewing"));
    json_decref(a);
    a = ask("query", "{\"request_type\":\"view_code\"," FINAL ",\"account_id\":\"alice.near\"}",
            200);
    CU_ASSERT(says(a, "error.cause.name", "NO_CONTRACT_CODE"));
    json_decref(a);
    a = ask("block", "{\"block_id\":1}", 422);
    CU_ASSERT(says(a, "error.cause.name", "UNKNOWN_BLOCK"));
    json_decref(a);
    a = ask("block", "{\"block_id\":999999}", 200);
    CU_ASSERT(says(a, "error.cause.name", "UNKNOWN_BLOCK"));
    json_decref(a);
    a = ask("block", "{\"block_id\":\"11111111111111111111111111111111\"}", 200);
    CU_ASSERT(says(a, "error.cause.name", "UNKNOWN_BLOCK"));
    json_decref(a);
    a = ask("tx", "[\"11111111111111111111111111111111\",\"alice.near\"]", 200);
    CU_ASSERT(says(a, "error.cause.name", "UNKNOWN_TRANSACTION"));
    json_decref(a);
    stop();
}

/* Transactions */

static void runs_a_call_and_gives_the_excess_back(void)
{
    start();
    unsigned __int128 before = balance("alice.near");
    json_t *a =
        submit(&(struct wish){.method = "register_backup_service", .args = REGISTER, .deposit = 6},
               operator_key);
    CU_ASSERT(says(a, "result.status.SuccessValue", "bnVsbA=="));
    CU_ASSERT(says(a, "result.transaction.actions.0.FunctionCall.method_name",
                   "register_backup_service"));
    CU_ASSERT(says(a, "result.transaction.actions.0.FunctionCall.deposit", "6"));
    CU_ASSERT(says(a, "result.receipts_outcome.0.outcome.executor_id", "v1.signer"));
    CU_ASSERT(says(a, "result.receipts_outcome.1.outcome.executor_id", "alice.near"));
    CU_ASSERT_EQUAL(json_array_size(at(a, "result.receipts_outcome.0.outcome.logs")), 2);
    CU_ASSERT_STRING_EQUAL(
        json_string_value(at(a, "result.transaction_outcome.outcome.status.SuccessReceiptId")),
        json_string_value(at(a, "result.receipts_outcome.0.id")));
    json_decref(a);
    unsigned __int128 spent = before - balance("alice.near");
    CU_ASSERT(spent > 1 && spent < ONE_NEAR / 100);
    CU_ASSERT(spent % 100000000 == 1);
    json_t *info = view_at("migration_info", FINAL);
    CU_ASSERT(says(json_object_get(info, "alice.near"), "0.public_key", K_NEW));
    json_decref(info);
    stop();
}

static void a_panic_is_a_failure_that_costs_no_deposit(void)
{
    start();
    unsigned __int128 before = balance("alice.near");
    json_t *a = submit(
        &(struct wish){.method = "register_backup_service", .args = "{}", .deposit = 1000000},
        operator_key);
    CU_ASSERT(says(
        a, "result.status.Failure.ActionError.kind.FunctionCallError.ExecutionError",
        "Smart contract panicked: Failed to deserialize input from JSON. Error: `missing field "
        "`backup_service_info` at line 1 column 2`"));
    json_decref(a);
    CU_ASSERT((before - balance("alice.near")) % 100000000 == 0);
    a = submit(&(struct wish){.method = "nope"}, operator_key);
    CU_ASSERT(says(a, "result.status.Failure.ActionError.kind.FunctionCallError.MethodResolveError",
                   "MethodNotFound"));
    json_decref(a);
    a = submit(&(struct wish){.method = "state", .receiver = "poor.near"}, operator_key);
    CU_ASSERT(says(a,
                   "result.status.Failure.ActionError.kind.FunctionCallError.CompilationError."
                   "CodeDoesNotExist.account_id",
                   "poor.near"));
    json_decref(a);
    a = submit(&(struct wish){.method = "state", .receiver = "zoe.near"}, operator_key);
    CU_ASSERT(says(a, "result.status.Failure.ActionError.kind.AccountDoesNotExist.account_id",
                   "zoe.near"));
    json_decref(a);
    stop();
}

static void nonces_only_rise_and_stay_below_the_ceiling(void)
{
    start();
    next_nonce = 100;
    json_t *a = submit(&(struct wish){.method = "version"}, operator_key);
    CU_ASSERT_PTR_NOT_NULL(at(a, "result.status.SuccessValue"));
    json_decref(a);
    json_t *d =
        refusal(&(struct wish){.method = "state", .nonce = 101}, operator_key, "InvalidNonce");
    CU_ASSERT_EQUAL(number_at(d, "tx_nonce"), 101);
    CU_ASSERT_EQUAL(number_at(d, "ak_nonce"), 101);
    json_decref(d);
    refused_as(&(struct wish){.method = "state", .nonce = 50}, operator_key, "InvalidNonce", NULL);
    uint64_t bound = mig_devnet_height(net) * 1000000;
    d = refusal(&(struct wish){.method = "state", .nonce = bound}, operator_key, "NonceTooLarge");
    CU_ASSERT_EQUAL(number_at(d, "upper_bound"), bound);
    json_decref(d);
    a = submit(&(struct wish){.method = "version", .nonce = bound - 1}, operator_key);
    CU_ASSERT_PTR_NOT_NULL(at(a, "result.status.SuccessValue"));
    json_decref(a);
    stop();
}

static void a_function_call_key_may_do_only_what_it_names(void)
{
    start();
    refused_as(&(struct wish){.method = "submit_participant_info", .deposit = 1}, node_key,
               "InvalidAccessKeyError", "DepositWithFunctionCall");
    refused_as(&(struct wish){.method = "state"}, node_key,
               "InvalidAccessKeyError.MethodNameMismatch.method_name", "state");
    refused_as(&(struct wish){.method = "conclude_node_migration", .receiver = "bob.near"},
               node_key, "InvalidAccessKeyError.ReceiverMismatch.ak_receiver", "v1.signer");
    json_t *a = submit(&(struct wish){.method = "conclude_node_migration"}, node_key);
    CU_ASSERT_PTR_NOT_NULL(at(a, "result.status.Failure"));
    json_decref(a);
    stop();
}

static void refuses_strangers_the_poor_and_old_blocks(void)
{
    start();
    refused_as(&(struct wish){.method = "state"}, stranger_key,
               "InvalidAccessKeyError.AccessKeyNotFound.account_id", "alice.near");
    refused_as(&(struct wish){.method = "state", .signer = "zoe.near"}, operator_key,
               "SignerDoesNotExist.signer_id", "zoe.near");
    refused_as(&(struct wish){.method = "state", .signer = "poor.near"}, operator_key,
               "NotEnoughBalance.balance", "1");
    refused_as(&(struct wish){.method = "state", .block_hash = "11111111111111111111111111111111"},
               operator_key, "", "Expired");
    stop();
}

static void refuses_a_signature_of_another_message(void)
{
    start();
    char *text = sign(&(struct wish){.method = "version"}, operator_key);
    size_t len;
    uint8_t bytes[1024];
    CU_ASSERT_EQUAL_FATAL(mig_base64_decode(text, strlen(text), bytes, sizeof bytes, &len), MIG_OK);
    bytes[len - 70] ^= 1; /* the deposit */
    CU_ASSERT_EQUAL_FATAL(mig_base64_encode(bytes, len, text, strlen(text) + 1), MIG_OK);
    json_t *a = send_text(text, "EXECUTED_OPTIMISTIC", 200);
    CU_ASSERT(says(a, "error.data.TxExecutionError.InvalidTxError", "InvalidSignature"));
    json_decref(a);
    free(text);
    stop();
}

static void the_same_bytes_again_name_the_same_outcome(void)
{
    start();
    char *text =
        sign(&(struct wish){.method = "register_backup_service", .args = REGISTER, .deposit = 1},
             operator_key);
    json_t *first = send_text(text, "FINAL", 200);
    CU_ASSERT(says(first, "result.final_execution_status", "FINAL"));
    uint64_t height = mig_devnet_height(net);
    json_t *second = send_text(text, "EXECUTED_OPTIMISTIC", 200);
    CU_ASSERT(json_equal(at(first, "result.transaction_outcome"),
                         at(second, "result.transaction_outcome")));
    CU_ASSERT_EQUAL(mig_devnet_height(net), height);
    char params[256];
    (void)snprintf(params, sizeof params, "[\"%s\",\"alice.near\"]",
                   json_string_value(at(first, "result.transaction.hash")));
    json_t *found = ask("EXPERIMENTAL_tx_status", params, 200);
    CU_ASSERT(says(found, "result.receipts.0.receiver_id", "v1.signer"));
    json_decref(found);
    json_decref(first);
    json_decref(second);
    free(text);
    stop();
}

static void broadcast_answers_with_the_hash_or_the_outcome(void)
{
    start();
    struct mig_print t = {0};
    char *text = sign(&(struct wish){.method = "version"}, operator_key);
    mig_print_printf(&t, "[\"%s\"]", text);
    json_t *a = ask("broadcast_tx_async", t.s, 200);
    CU_ASSERT(json_is_string(at(a, "result")));
    json_t *b = ask("broadcast_tx_commit", t.s, 200);
    CU_ASSERT_STRING_EQUAL(json_string_value(at(b, "result.transaction.hash")),
                           json_string_value(at(a, "result")));
    CU_ASSERT(says(b, "result.status.SuccessValue", "IjMuMTQuMSI="));
    json_t *c = send_text(text, "NONE", 200);
    CU_ASSERT(says(c, "result.final_execution_status", "NONE"));
    json_decref(a);
    json_decref(b);
    json_decref(c);
    mig_print_clear(&t);
    free(text);
    stop();
}

/* Blocks */

static void a_recent_block_answers_as_it_was(void)
{
    char where[128];
    start();
    char *before = block_hash("{" OPTIMISTIC "}");
    scenario("{\"op\":\"start_resharing\"}");
    char *after = block_hash("{" OPTIMISTIC "}");
    (void)snprintf(where, sizeof where, "\"block_id\":\"%s\"", before);
    CU_ASSERT(state_is("Running", where));
    (void)snprintf(where, sizeof where, "\"block_id\":\"%s\"", after);
    CU_ASSERT(state_is("Resharing", where));
    CU_ASSERT(state_is("Running", "\"block_id\":1000"));
    scenario("{\"op\":\"advance\",\"blocks\":600}");
    json_t *a = ask(
        "query",
        "{\"request_type\":\"view_account\",\"block_id\":1000,\"account_id\":\"alice.near\"}", 200);
    CU_ASSERT(says(a, "error.cause.name", "GARBAGE_COLLECTED_BLOCK"));
    json_decref(a);
    free(before);
    free(after);
    stop();
}

static void final_lags_and_catches_up_with_the_timer(void)
{
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    config.block_ms = 40;
    start_with(config);
    scenario("{\"op\":\"freeze\"}");
    uint64_t frozen = mig_devnet_height(net);
    CU_ASSERT_EQUAL(mig_devnet_height(net), frozen);
    scenario("{\"op\":\"advance\",\"blocks\":3}");
    CU_ASSERT_EQUAL(mig_devnet_height(net), frozen + 3);
    CU_ASSERT_EQUAL(mig_devnet_final_height(net), frozen + 1);
    scenario("{\"op\":\"start_resharing\"}");
    scenario("{\"op\":\"advance\",\"blocks\":1}");
    CU_ASSERT(state_is("Resharing", OPTIMISTIC));
    CU_ASSERT(state_is("Running", FINAL));
    scenario("{\"op\":\"freeze\",\"on\":false}");
    char *text = sign(&(struct wish){.method = "version", .nonce = 5}, operator_key);
    json_t *a = send_text(text, "FINAL", 200); /* waits for the timer */
    CU_ASSERT(says(a, "result.final_execution_status", "FINAL"));
    CU_ASSERT(state_is("Resharing", FINAL));
    json_decref(a);
    free(text);
    stop();
}

static void a_frozen_chain_keeps_transactions_until_it_thaws(void)
{
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    config.block_ms = 0;
    config.wait_ms = 20;
    start_with(config);
    scenario("{\"op\":\"freeze\"}");
    uint64_t height = mig_devnet_height(net);
    char *text = sign(
        &(struct wish){
            .method = "register_backup_service", .args = REGISTER, .deposit = 1, .nonce = 9},
        operator_key);
    json_t *a = send_text(text, "EXECUTED_OPTIMISTIC", 408);
    CU_ASSERT(says(a, "error.cause.name", "TIMEOUT_ERROR"));
    json_decref(a);
    CU_ASSERT_EQUAL(mig_devnet_height(net), height);
    scenario("{\"op\":\"freeze\",\"on\":false}");
    a = send_text(text, "EXECUTED_OPTIMISTIC", 200);
    CU_ASSERT(says(a, "result.status.SuccessValue", "bnVsbA=="));
    json_decref(a);
    free(text);
    stop();
}

static void headers_carry_the_time_in_both_forms(void)
{
    start();
    json_t *a = ask("block", "{" FINAL "}", 200);
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, number_at(a, "result.header.timestamp"));
    CU_ASSERT(says(a, "result.header.timestamp_nanosec", text));
    uint64_t now = (uint64_t)time(NULL);
    CU_ASSERT(number_at(a, "result.header.timestamp") / 1000000000 + 60 > now);
    char params[128];
    (void)snprintf(params, sizeof params, "[\"%s\"]",
                   json_string_value(at(a, "result.chunks.0.chunk_hash")));
    json_t *chunk = ask("chunk", params, 200);
    CU_ASSERT_EQUAL(number_at(chunk, "result.header.height_created"),
                    number_at(a, "result.header.height"));
    json_decref(chunk);
    json_decref(a);
    stop();
}

/* Scenario */

static void faults_lie_as_told_and_stop(void)
{
    start();
    scenario("{\"op\":\"fault\",\"kind\":\"freeze_views\"}");
    scenario("{\"op\":\"start_resharing\"}");
    CU_ASSERT(state_is("Running", OPTIMISTIC));
    scenario("{\"op\":\"fault\",\"kind\":\"none\"}");
    CU_ASSERT(state_is("Resharing", OPTIMISTIC));
    uint64_t height = mig_devnet_height(net);
    scenario("{\"op\":\"fault\",\"kind\":\"height_back\",\"value\":2}");
    json_t *a = ask("block", "{" OPTIMISTIC "}", 200);
    CU_ASSERT_EQUAL(number_at(a, "result.header.height"), mig_devnet_height(net) - 2);
    CU_ASSERT(mig_devnet_height(net) >= height);
    json_decref(a);
    scenario("{\"op\":\"fault\",\"kind\":\"none\"}");
    scenario("{\"op\":\"fault\",\"kind\":\"oversize\"}");
    a = ask("query",
            "{\"request_type\":\"call_function\"," FINAL
            ",\"account_id\":\"v1.signer\",\"method_name\":\"state\",\"args_base64\":\"\"}",
            200);
    CU_ASSERT(json_array_size(at(a, "result.result")) > 200000);
    json_decref(a);
    scenario("{\"op\":\"fault\",\"kind\":\"none\"}");
    scenario("{\"op\":\"fault\",\"kind\":\"wrong_type\"}");
    a = ask("query",
            "{\"request_type\":\"call_function\"," FINAL
            ",\"account_id\":\"v1.signer\",\"method_name\":\"state\",\"args_base64\":\"\"}",
            200);
    CU_ASSERT(json_is_string(at(a, "result.result")));
    json_decref(a);
    stop();
}

static void a_scenario_that_fails_says_why_and_changes_nothing(void)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"op\":\"nonsense\"}",
        "{\"op\":\"advance\",\"blocks\":-1}",
        "{\"op\":\"fault\"}",
        "{\"op\":\"fault\",\"kind\":\"x\"}",
        "{\"op\":\"finish_resharing\"}",
        "{\"op\":\"freeze\",\"on\":1}",
        "{\"op\":\"add_account\",\"account_id\":\"Bad\",\"balance\":\"1\"}",
        "{\"op\":\"add_account\",\"account_id\":\"good.near\"}",
        "{\"op\":\"delete_key\",\"account_id\":\"alice.near\",\"public_key\":\"" K_NEW "\"}",
    };
    char why[MIG_DEVNET_ERROR_MAX];
    start();
    uint64_t height = mig_devnet_height(net);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_NOT_EQUAL(mig_devnet_scenario(net, bad[i], why), MIG_OK);
        CU_ASSERT(why[0] != '\0');
    }
    CU_ASSERT_EQUAL(mig_devnet_height(net), height);
    stop();
}

static void accounts_and_keys_can_be_added_and_taken(void)
{
    char op[512];
    start();
    (void)snprintf(op, sizeof op,
                   "{\"op\":\"add_account\",\"account_id\":\"carol.near\",\"balance\":\"%s\","
                   "\"keys\":[{\"public_key\":\"%s\"}]}",
                   "1000000000000000000000000", operator_text);
    scenario(op);
    CU_ASSERT(balance("carol.near") == ONE_NEAR);
    json_t *a = submit(&(struct wish){.method = "version", .signer = "carol.near"}, operator_key);
    CU_ASSERT_PTR_NOT_NULL(at(a, "result.status.SuccessValue"));
    json_decref(a);
    (void)snprintf(op, sizeof op,
                   "{\"op\":\"delete_key\",\"account_id\":\"carol.near\",\"public_key\":\"%s\"}",
                   operator_text);
    scenario(op);
    refused_as(&(struct wish){.method = "version", .signer = "carol.near"}, operator_key,
               "InvalidAccessKeyError.AccessKeyNotFound", NULL);
    stop();
}

/* Persistence */

static void state_survives_a_restart_with_a_greater_height(void)
{
    char path[512];
    char why[MIG_DEVNET_ERROR_MAX];
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    (void)snprintf(path, sizeof path, "%s/devnet.json", test_dir());
    config.block_ms = 0;
    config.state_path = path;
    start_with(config);
    char *text = sign(
        &(struct wish){
            .method = "register_backup_service", .args = REGISTER, .deposit = 1, .nonce = 77},
        operator_key);
    char *late = sign(&(struct wish){.method = "version", .nonce = 78}, operator_key);
    json_t *first = send_text(text, "EXECUTED_OPTIMISTIC", 200);
    uint64_t height = mig_devnet_height(net);
    stop();

    config.genesis = NULL;
    CU_ASSERT_EQUAL_FATAL(mig_devnet_start(&config, &net, why), MIG_OK);
    CU_ASSERT(mig_devnet_final_height(net) > height);
    json_t *info = view_at("migration_info", FINAL);
    CU_ASSERT(says(json_object_get(info, "alice.near"), "0.public_key", K_NEW));
    json_decref(info);
    json_t *again = send_text(text, "EXECUTED_OPTIMISTIC", 200);
    CU_ASSERT(json_equal(at(first, "result.transaction_outcome"),
                         at(again, "result.transaction_outcome")));
    json_t *old_base = send_text(late, "EXECUTED_OPTIMISTIC", 200);
    CU_ASSERT_PTR_NOT_NULL(at(old_base, "result.status.SuccessValue"));
    json_decref(old_base);
    json_decref(again);
    stop();

    config.has_version = true;
    config.version = MIG_CONTRACT_DRAFT;
    CU_ASSERT_EQUAL(mig_devnet_start(&config, &net, why), MIG_ERR_CONFLICT);
    CU_ASSERT_PTR_NULL(net);
    json_decref(first);
    free(text);
    free(late);
}

static void a_damaged_state_file_is_an_error_not_a_new_chain(void)
{
    char path[512];
    char why[MIG_DEVNET_ERROR_MAX];
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    static const char *const damages[] = {"", "{}", "{\"format\":2}", "not json"};
    (void)snprintf(path, sizeof path, "%s/damaged.json", test_dir());
    config.genesis = genesis();
    config.state_path = path;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        FILE *f = fopen(path, "w");
        (void)fputs(damages[i], f);
        (void)fclose(f);
        CU_ASSERT_EQUAL(mig_devnet_start(&config, &net, why), MIG_ERR_MALFORMED);
        CU_ASSERT_PTR_NOT_NULL(strstr(why, "damaged"));
        f = fopen(path, "r");
        char kept[64] = "";
        CU_ASSERT_EQUAL(fread(kept, 1, sizeof kept - 1, f), strlen(damages[i]));
        (void)fclose(f);
        CU_ASSERT_STRING_EQUAL(kept, damages[i]);
    }
    CU_ASSERT_EQUAL(unlink(path), 0);
}

static void refuses_a_genesis_that_does_not_fit(void)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"dialect\":\"9\",\"contract\":{\"account_id\":\"v1.signer\"},\"accounts\":[]}",
        "{\"dialect\":\"draft\",\"contract\":{\"account_id\":\"V1\"},\"accounts\":[]}",
        "{\"dialect\":\"draft\",\"contract\":{\"account_id\":\"v1.signer\"}}",
        "{\"dialect\":\"draft\",\"contract\":{\"account_id\":\"v1.signer\"},\"accounts\":[],"
        "\"height\":-1}",
        "{\"dialect\":\"draft\",\"contract\":{\"account_id\":\"v1.signer\",\"participants\":[],"
        "\"threshold\":1},\"accounts\":[]}",
        "{\"dialect\":\"draft\",\"contract\":{\"account_id\":\"v1.signer\"},\"accounts\":[{"
        "\"account_id\":\"a.near\",\"balance\":5}]}",
        "{\"dialect\":\"draft\",\"contract\":{\"account_id\":\"v1.signer\"},\"accounts\":[{"
        "\"account_id\":\"a.near\",\"balance\":\"5\",\"keys\":[{\"public_key\":\"x\"}]}]}",
        "{\"dialect\":\"draft\",\"contract\":{\"account_id\":\"v1.signer\"},\"accounts\":[{"
        "\"account_id\":\"a.near\",\"balance\":\"5\",\"keys\":[{\"public_key\":\"" K_NEW
        "\",\"permission\":\"Some\"}]}]}",
    };
    char why[MIG_DEVNET_ERROR_MAX];
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config.genesis = bad[i];
        CU_ASSERT_EQUAL(mig_devnet_start(&config, &net, why), MIG_ERR_MALFORMED);
        CU_ASSERT(why[0] != '\0');
        CU_ASSERT_PTR_NULL(net);
    }
    config.genesis = genesis();
    config.address = "0.0.0.0";
    CU_ASSERT_EQUAL(mig_devnet_start(&config, &net, why), MIG_ERR_MALFORMED);
}

/* Over sockets */

static size_t collect(char *data, size_t size, size_t count, void *cls)
{
    mig_print_add(cls, data, size * count);
    return size * count;
}

static long http(uint16_t port, const char *path, const char *body, size_t len,
                 struct mig_print *answer)
{
    char url[128];
    long status = 0;
    CURL *curl = curl_easy_init();
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    if (body != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)len);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    CU_ASSERT_EQUAL(curl_easy_perform(curl), CURLE_OK);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    return status;
}

static long post(uint16_t port, const char *path, const char *body, struct mig_print *answer)
{
    return http(port, path, body, strlen(body), answer);
}

static void both_ports_answer_over_http(void)
{
    struct mig_print t = {0};
    start();
    uint16_t rpc = mig_devnet_rpc_port(net);
    uint16_t port = mig_devnet_scenario_port(net);
    CU_ASSERT(rpc != 0 && port != 0 && rpc != port);
    CU_ASSERT_EQUAL(post(rpc, "/", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nope\"}", &t), 400);
    mig_print_clear(&t);
    CU_ASSERT_EQUAL(http(rpc, "/status", NULL, 0, &t), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.s, "\"chain_id\":\"mpc-devnet\""));
    mig_print_clear(&t);
    CU_ASSERT_EQUAL(http(rpc, "/health", NULL, 0, &t), 200);
    CU_ASSERT_EQUAL(http(rpc, "/other", NULL, 0, &t), 404);
    CU_ASSERT_EQUAL(http(rpc, "/", NULL, 0, &t), 405);
    mig_print_clear(&t);
    CU_ASSERT_EQUAL(post(port, "/scenario", "{\"op\":\"start_resharing\"}", &t), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.s, "\"ok\":true"));
    CU_ASSERT_EQUAL(post(port, "/scenario",
                         "{\"op\":\"add_domains\",\"domains\":[{\"protocol\":\"Frost\"}]}", &t),
                    409);
    CU_ASSERT_EQUAL(post(port, "/scenario", "{\"op\":\"x\"}", &t), 400);
    CU_ASSERT_EQUAL(http(port, "/scenario", NULL, 0, &t), 405);
    mig_print_clear(&t);
    CU_ASSERT_EQUAL(http(port, "/state", NULL, 0, &t), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(t.s, "\"Resharing\""));
    mig_print_clear(&t);
    CU_ASSERT_EQUAL(
        post(port, "/scenario", "{\"op\":\"fault\",\"kind\":\"http\",\"value\":503}", &t), 200);
    CU_ASSERT_EQUAL(http(rpc, "/status", NULL, 0, &t), 503);
    mig_print_clear(&t);
    stop();
}

static void a_body_over_the_cap_is_refused(void)
{
    enum { LONG = 5 * 1024 * 1024 };
    struct mig_print t = {0};
    char *body = malloc(LONG);
    memset(body, ' ', LONG);
    start();
    CU_ASSERT_EQUAL(http(mig_devnet_rpc_port(net), "/", body, LONG, &t), 413);
    mig_print_clear(&t);
    stop();
    free(body);
}

static void our_own_client_works_against_it(void)
{
    char url[64];
    struct mig_rpc *rpc;
    struct mig_tip tip;
    struct mig_returned returned;
    struct mig_access_key key;
    start();
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", mig_devnet_rpc_port(net));
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&(struct mig_rpc_options){.url = url}, &rpc), MIG_OK);
    CU_ASSERT_EQUAL(mig_rpc_final_block(rpc, &tip), MIG_OK);
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1.signer", "version", "{}", NULL, &returned), MIG_OK);
    mig_returned_clear(&returned);
    CU_ASSERT_EQUAL(mig_rpc_access_key(rpc, "alice.near", node_key->public_key, &key), MIG_OK);
    CU_ASSERT_EQUAL(mig_rpc_access_key(rpc, "alice.near", stranger_key->public_key, &key),
                    MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1.signer", "nope", "{}", NULL, &returned),
                    MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "v1.signer", "get_attestation", "", NULL, &returned),
                    MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(mig_rpc_view(rpc, "zoe.near", "state", "{}", NULL, &returned),
                    MIG_ERR_NOT_FOUND);
    mig_rpc_free(&rpc);
    stop();
}

int main(void)
{
    static const struct test tests[] = {
        TEST(echoes_the_id_as_it_came),
        TEST(refuses_what_is_not_a_request),
        TEST(reports_contract_errors_inside_the_result),
        TEST(reports_missing_things_as_handler_errors),
        TEST(runs_a_call_and_gives_the_excess_back),
        TEST(a_panic_is_a_failure_that_costs_no_deposit),
        TEST(nonces_only_rise_and_stay_below_the_ceiling),
        TEST(a_function_call_key_may_do_only_what_it_names),
        TEST(refuses_strangers_the_poor_and_old_blocks),
        TEST(refuses_a_signature_of_another_message),
        TEST(the_same_bytes_again_name_the_same_outcome),
        TEST(broadcast_answers_with_the_hash_or_the_outcome),
        TEST(a_recent_block_answers_as_it_was),
        TEST(final_lags_and_catches_up_with_the_timer),
        TEST(a_frozen_chain_keeps_transactions_until_it_thaws),
        TEST(headers_carry_the_time_in_both_forms),
        TEST(faults_lie_as_told_and_stop),
        TEST(a_scenario_that_fails_says_why_and_changes_nothing),
        TEST(accounts_and_keys_can_be_added_and_taken),
        TEST(state_survives_a_restart_with_a_greater_height),
        TEST(a_damaged_state_file_is_an_error_not_a_new_chain),
        TEST(refuses_a_genesis_that_does_not_fit),
        TEST(both_ports_answer_over_http),
        TEST(a_body_over_the_cap_is_refused),
        TEST(our_own_client_works_against_it),
    };
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    int status = run_tests("devnet", tests, sizeof tests / sizeof *tests);
    mig_identity_free(&operator_key);
    mig_identity_free(&node_key);
    mig_identity_free(&stranger_key);
    return status;
}

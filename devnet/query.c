/* SPDX-License-Identifier: MIT */
/* Reads of the state as of one block. */
#include "devnet/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"
#include "crypto/exchange.h"

static const uint8_t code[] = {0, 'a', 's', 'm',
                               1, 0,   0,   0}; /* an empty module stands for the contract */

static void block_members(struct mig_print *t, const struct mig_devnet_block *b)
{
    mig_print_printf(t, ",\"block_height\":%" PRIu64 ",\"block_hash\":", b->height);
    mig_devnet_base58(t, b->hash, MIG_DIGEST_LEN);
    mig_print_put(t, "}");
}

/* {"<name>":"<value>","block_height":…,"block_hash":…} */
static void block_error(struct mig_devnet_call *c, const char *cause, const char *name,
                        const char *value, const struct mig_devnet_block *b, const char *format)
{
    struct mig_print info = {0};
    char data[256];
    mig_print_printf(&info, "{\"%s\":", name);
    mig_print_json(&info, value);
    block_members(&info, b);
    (void)snprintf(data, sizeof data, "%s %.128s %s",
                   strcmp(name, "public_key") == 0 ? "access key" : "account", value, format);
    mig_devnet_handler_error(c, cause, info.s != NULL ? info.s : "{}", data);
    mig_print_clear(&info);
}

/* An error inside the result, as `query` reports what the execution said. */
static void result_error(struct mig_devnet_call *c, const char *text, const char *logs,
                         const struct mig_devnet_block *b)
{
    mig_print_put(&c->result, "{\"error\":");
    mig_print_json(&c->result, text);
    mig_print_printf(&c->result, ",\"logs\":[%s]", logs);
    block_members(&c->result, b);
}

static const char *account_param(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    const char *account = mig_devnet_param_text(c, "account_id", SIZE_MAX);
    if (account == NULL)
        mig_devnet_parse_error(c, "Failed parsing args: missing field `account_id`");
    else if (mig_devnet_account_find(b->ledger, account) == NULL) {
        block_error(c, "UNKNOWN_ACCOUNT", "requested_account_id", account, b,
                    "does not exist while viewing");
        account = NULL;
    }
    return account;
}

static bool is_contract(const struct mig_devnet_block *b, const char *account)
{
    return strcmp(mig_contract_account(b->ledger->contract), account) == 0;
}

/* call_function */

static uint8_t *decode_args(struct mig_devnet_call *c, size_t *len)
{
    const char *text = mig_devnet_param_text(c, "args_base64", SIZE_MAX);
    size_t cap = text != NULL ? strlen(text) + 1 : 1;
    uint8_t *args = malloc(cap);
    *len = 0;
    if (args == NULL ||
        (text != NULL && mig_base64_decode(text, strlen(text), args, cap, len) != MIG_OK)) {
        mig_devnet_parse_error(c, "Failed parsing args: args_base64 is not base64");
        free(args);
        args = NULL;
    }
    return args;
}

static void join_logs(struct mig_print *t, const struct mig_contract_outcome *out)
{
    for (size_t i = 0; i < out->log_count; i++) {
        mig_print_put(t, i == 0 ? "" : ",");
        mig_print_json(t, out->logs[i]);
    }
    mig_print_put(t, "");
}

/* What the deployed nodes print for each way a call can fail: the error's
 * debug form after a fixed phrase, or a structured object. */
static void failure_texts(const struct mig_contract_outcome *out, struct mig_print *debug,
                          struct mig_print *object)
{
    mig_print_put(debug, "wasm execution failed with error: ");
    switch (out->verdict) {
    case MIG_CONTRACT_RETURNED:
        break;
    case MIG_CONTRACT_PANICKED:
        mig_print_put(debug, "HostError(GuestPanic { panic_msg: ");
        mig_print_debug(debug, out->text);
        mig_print_put(debug, " })");
        mig_print_put(object, "{\"HostError\":{\"GuestPanic\":{\"panic_msg\":");
        mig_print_json(object, out->text);
        mig_print_put(object, "}}}");
        break;
    case MIG_CONTRACT_NO_METHOD:
        mig_print_put(debug, "MethodResolveError(MethodNotFound)");
        mig_print_put(object, "{\"MethodResolveError\":\"MethodNotFound\"}");
        break;
    case MIG_CONTRACT_PROHIBITED:
        mig_print_printf(debug, "HostError(ProhibitedInView { method_name: \"%s\" })", out->text);
        mig_print_printf(object, "{\"HostError\":{\"ProhibitedInView\":{\"method_name\":\"%s\"}}}",
                         out->text);
        break;
    }
}

static void contract_error(struct mig_devnet_call *c, const struct mig_devnet_block *b,
                           const char *debug, const char *object, const char *logs)
{
    if (!c->is_experimental) {
        result_error(c, debug, logs, b);
        return;
    }
    struct mig_print info = {0};
    mig_print_put(&info, "{\"vm_error\":");
    mig_print_put(&info, object);
    block_members(&info, b);
    mig_devnet_handler_error(c, "CONTRACT_EXECUTION_ERROR", info.s != NULL ? info.s : "{}", debug);
    mig_print_clear(&info);
}

/* A lie about the shape of the value, when a fault asks for one. */
static void put_value(struct mig_devnet_call *c, const char *method, const char *value)
{
    const struct mig_devnet_faults *f = &c->d->faults;
    struct mig_print t = {0};
    const char *brace = strcmp(method, "state") == 0 ? strstr(value, ":{") : NULL;
    if (f->wrong_value)
        mig_print_put(&t, value[0] == '{' ? "{\"Running\":5}" : "5");
    else if (f->oversize > 0 && brace != NULL) {
        mig_print_add(&t, value, (size_t)(brace + 2 - value));
        mig_print_put(&t, "\"padding\":\"");
        for (uint64_t i = 0; i < f->oversize; i++)
            mig_print_add(&t, "x", 1);
        mig_print_put(&t, "\",");
        mig_print_put(&t, brace + 2);
    } else
        mig_print_put(&t, value);
    if (f->wrong_type)
        mig_devnet_base64(&c->result, (const uint8_t *)(t.s != NULL ? t.s : ""), t.len);
    else
        mig_print_numbers(&c->result, (const uint8_t *)t.s, t.len);
    c->result.failed = c->result.failed || t.failed;
    mig_print_clear(&t);
}

static void call_result(struct mig_devnet_call *c, const struct mig_devnet_block *b,
                        const char *method, const struct mig_contract_outcome *out)
{
    struct mig_print logs = {0};
    join_logs(&logs, out);
    const char *joined = logs.s != NULL ? logs.s : "";
    if (out->verdict == MIG_CONTRACT_RETURNED) {
        mig_print_put(&c->result, "{\"result\":");
        put_value(c, method, out->text);
        mig_print_put(&c->result, ",\"logs\":[");
        mig_print_put(&c->result, joined);
        mig_print_put(&c->result, "]");
        block_members(&c->result, b);
    } else {
        struct mig_print debug = {0};
        struct mig_print object = {0};
        failure_texts(out, &debug, &object);
        if (debug.failed || object.failed)
            c->result.failed = true;
        else
            contract_error(c, b, debug.s, object.s, joined);
        mig_print_clear(&debug);
        mig_print_clear(&object);
    }
    mig_print_clear(&logs);
}

static void call_function(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    const char *account = account_param(c, b);
    const char *method = mig_devnet_param_text(c, "method_name", SIZE_MAX);
    if (account == NULL)
        return;
    if (method == NULL) {
        mig_devnet_parse_error(c, "Failed parsing args: missing field `method_name`");
        return;
    }
    if (!is_contract(b, account)) {
        char text[192];
        char object[192];
        (void)snprintf(text, sizeof text,
                       "wasm execution failed with error: CompilationError(CodeDoesNotExist { "
                       "account_id: \"%.64s\" })",
                       account);
        (void)snprintf(object, sizeof object,
                       "{\"CompilationError\":{\"CodeDoesNotExist\":{\"account_id\":\"%.64s\"}}}",
                       account);
        contract_error(c, b, text, object, "");
        return;
    }
    size_t len;
    uint8_t *args = decode_args(c, &len);
    if (args == NULL)
        return;
    struct mig_contract_call call = {.method = method,
                                     .args = (const char *)args,
                                     .args_len = len,
                                     .height = b->height,
                                     .time_ns = b->time_ns,
                                     .is_view = true};
    struct mig_contract_outcome out;
    if (mig_contract_run(b->ledger->contract, &call, &out) == MIG_OK)
        call_result(c, b, method, &out);
    else
        c->result.failed = true;
    mig_contract_outcome_clear(&out);
    free(args);
}

/* Accounts and keys */

static void view_account(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    static const uint8_t none[MIG_DIGEST_LEN];
    uint8_t hash[MIG_DIGEST_LEN];
    const char *account = account_param(c, b);
    if (account == NULL)
        return;
    mig_sha256(code, sizeof code, hash);
    mig_print_put(&c->result, "{\"amount\":");
    mig_devnet_amount_format(&c->result, mig_devnet_account_find(b->ledger, account)->balance);
    mig_print_put(&c->result, ",\"locked\":\"0\",\"code_hash\":");
    mig_devnet_base58(&c->result, is_contract(b, account) ? hash : none, MIG_DIGEST_LEN);
    mig_print_put(&c->result, ",\"storage_usage\":182,\"storage_paid_at\":0");
    block_members(&c->result, b);
}

static void key_members(struct mig_print *t, const struct mig_devnet_key *key)
{
    mig_print_printf(t, "\"nonce\":%" PRIu64 ",\"permission\":", key->nonce);
    mig_devnet_permission_format(t, key);
}

static void view_access_key(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    const char *account = account_param(c, b);
    const char *text = mig_devnet_param_text(c, "public_key", SIZE_MAX);
    uint8_t key[MIG_KEY_LEN];
    char error[256];
    if (account == NULL)
        return;
    if (text == NULL || mig_key_parse(text, strlen(text), key) != MIG_OK) {
        mig_devnet_parse_error(c, "Failed parsing args: public_key is not an ed25519 key");
        return;
    }
    const struct mig_devnet_key *found = mig_devnet_key_find(b->ledger, account, key);
    if (found == NULL && c->method != NULL && strcmp(c->method, "query") != 0) {
        block_error(c, "UNKNOWN_ACCESS_KEY", "public_key", text, b, "does not exist while viewing");
        return;
    }
    if (found == NULL) {
        (void)snprintf(error, sizeof error, "access key %.64s does not exist while viewing", text);
        result_error(c, error, "", b);
        return;
    }
    mig_print_put(&c->result, "{");
    key_members(&c->result, found);
    block_members(&c->result, b);
}

static void view_access_key_list(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    const char *account = account_param(c, b);
    const char *separator = "";
    if (account == NULL)
        return;
    mig_print_put(&c->result, "{\"keys\":[");
    for (size_t i = 0; i < b->ledger->key_count; i++) {
        const struct mig_devnet_key *key = &b->ledger->keys[i];
        if (strcmp(key->account, account) != 0)
            continue;
        mig_print_printf(&c->result, "%s{\"public_key\":", separator);
        separator = ",";
        mig_devnet_key_format(&c->result, key->public_key);
        mig_print_put(&c->result, ",\"access_key\":{");
        key_members(&c->result, key);
        mig_print_put(&c->result, "}}");
    }
    mig_print_put(&c->result, "]");
    block_members(&c->result, b);
}

/* Code and raw state: enough to tell the contract's account from others */

static void no_code(struct mig_devnet_call *c, const struct mig_devnet_block *b,
                    const char *account)
{
    block_error(c, "NO_CONTRACT_CODE", "contract_account_id", account, b, "has no contract code");
}

static void view_code(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    uint8_t hash[MIG_DIGEST_LEN];
    const char *account = account_param(c, b);
    if (account == NULL)
        return;
    if (!is_contract(b, account)) {
        no_code(c, b, account);
        return;
    }
    mig_sha256(code, sizeof code, hash);
    mig_print_put(&c->result, "{\"code_base64\":");
    mig_devnet_base64(&c->result, code, sizeof code);
    mig_print_put(&c->result, ",\"hash\":");
    mig_devnet_base58(&c->result, hash, sizeof hash);
    block_members(&c->result, b);
}

static void view_state(struct mig_devnet_call *c, const struct mig_devnet_block *b)
{
    const char *account = account_param(c, b);
    char *dump = NULL;
    if (account == NULL)
        return;
    mig_print_put(&c->result, "{\"values\":[");
    if (is_contract(b, account)) {
        if (mig_contract_dump(b->ledger->contract, &dump) != MIG_OK) {
            c->result.failed = true;
            return;
        }
        mig_print_put(&c->result, "{\"key\":\"U1RBVEU=\",\"value\":");
        mig_devnet_base64(&c->result, (const uint8_t *)dump, strlen(dump));
        mig_print_put(&c->result, "}");
        free(dump);
    }
    mig_print_put(&c->result, "]");
    block_members(&c->result, b);
}

void mig_devnet_query_as(struct mig_devnet_call *c, const char *request_type)
{
    static const struct {
        const char *name;
        void (*run)(struct mig_devnet_call *c, const struct mig_devnet_block *b);
    } types[] = {
        {"call_function", call_function},
        {"view_account", view_account},
        {"view_access_key", view_access_key},
        {"view_access_key_list", view_access_key_list},
        {"view_code", view_code},
        {"view_state", view_state},
    };
    const struct mig_devnet_block *b = mig_devnet_resolve(c);
    if (b == NULL)
        return;
    if (b->ledger == NULL) {
        struct mig_print info = {0};
        mig_print_printf(&info, "{\"block_height\":%" PRIu64 ",\"block_hash\":", b->height);
        mig_devnet_base58(&info, b->hash, MIG_DIGEST_LEN);
        mig_print_put(&info, "}");
        mig_devnet_handler_error(c, "GARBAGE_COLLECTED_BLOCK", info.s != NULL ? info.s : "{}",
                                 "the data for this block is garbage collected on this node");
        mig_print_clear(&info);
        return;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, request_type) == 0) {
            types[i].run(c, b);
            return;
        }
    mig_devnet_parse_error(c, "Failed parsing args: unknown request_type");
}

void mig_devnet_query(struct mig_devnet_call *c)
{
    const char *type = mig_devnet_param_text(c, "request_type", SIZE_MAX);
    if (type == NULL)
        mig_devnet_parse_error(c, "Failed parsing args: missing field `request_type`");
    else
        mig_devnet_query_as(c, type);
}

/* SPDX-License-Identifier: MIT */
/*
 * What a transaction must satisfy, and what it does: one block takes it in
 * (nonce, charge), the next runs its actions, a third carries refunds. Gas is a
 * flat figure; prices and limits look like the network's.
 */
#include "devnet/requests.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"
#include "crypto/exchange.h"

enum { GAS_PRICE = 100000000 };
static const uint64_t gas_of_conversion = 308066207802;
static const uint64_t gas_of_receipt = 5000000000000;
static const uint64_t gas_of_refund = 223182562500;
static const uint64_t nonces_per_block = 1000000;

/* Validation, in the node's order. */

static void invalid(struct mig_print *e, const char *unit)
{
    mig_print_printf(e, "{\"TxExecutionError\":{\"InvalidTxError\":\"%s\"}}", unit);
}

static void invalid_begin(struct mig_print *e, const char *name)
{
    mig_print_printf(e, "{\"TxExecutionError\":{\"InvalidTxError\":{\"%s\":", name);
}

static void invalid_end(struct mig_print *e)
{
    mig_print_put(e, "}}}");
}

static void text_member(struct mig_print *e, const char *name, const char *value)
{
    mig_print_printf(e, "\"%s\":", name);
    mig_print_json(e, value);
}

static void amount_member(struct mig_print *e, const char *name, unsigned __int128 amount)
{
    mig_print_printf(e, ",\"%s\":", name);
    mig_devnet_amount_format(e, amount);
}

static uint64_t prepaid_gas(const struct mig_devnet_tx *tx)
{
    uint64_t gas = gas_of_conversion;
    for (size_t i = 0; i < tx->action_count; i++) {
        uint64_t one = tx->actions[i].gas;
        gas = gas > UINT64_MAX - one ? UINT64_MAX : gas + one;
    }
    return gas;
}

/* False when the sum does not fit. */
static bool deposits(const struct mig_devnet_tx *tx, unsigned __int128 *sum)
{
    *sum = 0;
    for (size_t i = 0; i < tx->action_count; i++) {
        if (tx->actions[i].amount > ~(unsigned __int128)0 - *sum)
            return false;
        *sum += tx->actions[i].amount;
    }
    return true;
}

static bool check_key_use(const struct mig_devnet_tx *tx, const struct mig_devnet_key *key,
                          struct mig_print *e)
{
    const struct mig_devnet_action *a = &tx->actions[0];
    if (tx->action_count != 1 || a->kind != MIG_DEVNET_FUNCTION_CALL)
        mig_print_put(e, "\"RequiresFullAccess\"");
    else if (a->amount != 0)
        mig_print_put(e, "\"DepositWithFunctionCall\"");
    else if (strcmp(tx->receiver, key->receiver) != 0) {
        mig_print_put(e, "{\"ReceiverMismatch\":{");
        text_member(e, "tx_receiver", tx->receiver);
        mig_print_put(e, ",");
        text_member(e, "ak_receiver", key->receiver);
        mig_print_put(e, "}}");
    } else {
        bool allowed = key->method_count == 0;
        for (size_t i = 0; i < key->method_count; i++)
            allowed = allowed || strcmp(key->methods[i], a->method) == 0;
        if (!allowed) {
            mig_print_put(e, "{\"MethodNameMismatch\":{");
            text_member(e, "method_name", a->method);
            mig_print_put(e, "}}");
        }
        return allowed;
    }
    return false;
}

static void check_balance(const struct mig_devnet_ledger *l, const struct mig_devnet_tx *tx,
                          const struct mig_devnet_key *key, struct mig_print *e)
{
    const struct mig_devnet_account *signer = mig_devnet_account_find(l, tx->signer);
    unsigned __int128 gas_cost = (unsigned __int128)prepaid_gas(tx) * GAS_PRICE;
    unsigned __int128 sum;
    bool fits = deposits(tx, &sum) && sum <= ~(unsigned __int128)0 - gas_cost;
    if (!fits)
        invalid(e, "CostOverflow");
    else if (signer->balance < sum + gas_cost) {
        invalid_begin(e, "NotEnoughBalance");
        mig_print_put(e, "{");
        text_member(e, "signer_id", tx->signer);
        amount_member(e, "balance", signer->balance);
        amount_member(e, "cost", sum + gas_cost);
        mig_print_put(e, "}");
        invalid_end(e);
    } else if (!key->full_access && key->has_allowance && key->allowance < gas_cost) {
        invalid_begin(e, "InvalidAccessKeyError");
        mig_print_put(e, "{\"NotEnoughAllowance\":{");
        text_member(e, "account_id", tx->signer);
        mig_print_put(e, ",\"public_key\":");
        mig_devnet_key_format(e, tx->public_key);
        amount_member(e, "allowance", key->allowance);
        amount_member(e, "cost", gas_cost);
        mig_print_put(e, "}}");
        invalid_end(e);
    }
}

static void check_key(const struct mig_devnet_chain *chain, const struct mig_devnet_tx *tx,
                      struct mig_print *e)
{
    const struct mig_devnet_ledger *l = chain->tip;
    const struct mig_devnet_key *key = mig_devnet_key_find(l, tx->signer, tx->public_key);
    uint64_t bound = mig_devnet_head(chain)->height * nonces_per_block;
    if (key == NULL) {
        invalid_begin(e, "InvalidAccessKeyError");
        mig_print_put(e, "{\"AccessKeyNotFound\":{");
        text_member(e, "account_id", tx->signer);
        mig_print_put(e, ",\"public_key\":");
        mig_devnet_key_format(e, tx->public_key);
        mig_print_put(e, "}}");
        invalid_end(e);
    } else if (tx->nonce <= key->nonce) {
        invalid_begin(e, "InvalidNonce");
        mig_print_printf(e, "{\"tx_nonce\":%" PRIu64 ",\"ak_nonce\":%" PRIu64 "}", tx->nonce,
                         key->nonce);
        invalid_end(e);
    } else if (tx->nonce >= bound) {
        invalid_begin(e, "NonceTooLarge");
        mig_print_printf(e, "{\"tx_nonce\":%" PRIu64 ",\"upper_bound\":%" PRIu64 "}", tx->nonce,
                         bound);
        invalid_end(e);
    } else
        check_balance(l, tx, key, e);
    if (e->len > 0 || key->full_access)
        return;
    struct mig_print reason = {0};
    if (!check_key_use(tx, key, &reason) && !reason.failed) {
        invalid_begin(e, "InvalidAccessKeyError");
        mig_print_put(e, reason.s);
        invalid_end(e);
    }
    e->failed = e->failed || reason.failed;
    mig_print_clear(&reason);
}

enum mig_err mig_devnet_validate(const struct mig_devnet_chain *chain,
                                 const struct mig_devnet_tx *tx, struct mig_print *error)
{
    const struct mig_devnet_block *base = mig_devnet_block_of(chain, tx->block_hash);
    if (!mig_signature_is_valid(tx->public_key, tx->hash, MIG_DIGEST_LEN, tx->signature))
        invalid(error, "InvalidSignature");
    else if (base == NULL || mig_devnet_head(chain)->height - base->height > MIG_DEVNET_VALIDITY)
        invalid(error, "Expired");
    else if (mig_devnet_account_find(chain->tip, tx->signer) == NULL) {
        invalid_begin(error, "SignerDoesNotExist");
        mig_print_put(error, "{");
        text_member(error, "signer_id", tx->signer);
        mig_print_put(error, "}");
        invalid_end(error);
    } else
        check_key(chain, tx, error);
    return error->failed ? MIG_ERR_NOMEM : MIG_OK;
}

/* Execution */

struct execution {
    const struct mig_devnet_tx *tx;
    struct mig_devnet_ledger *ledger; /* work copy; kept only when all actions succeed */
    uint64_t height;
    uint64_t time_ns;
    struct mig_print failure;           /* JSON of an action's error kind; "" when fine */
    struct mig_contract_outcome result; /* of the last function call */
    struct mig_print logs;              /* JSON strings, comma-separated */
    bool has_yield;                     /* the last call returned a promise that waits */
    int yield_kind;
    unsigned __int128 refund;
    char refund_to[MIG_ACCOUNT_MAX + 1];
};

__attribute__((format(printf, 2, 3))) static void kind_of_failure(struct execution *x,
                                                                  const char *format, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    mig_print_put(&x->failure, line);
}

static bool is_child(const char *account, const char *parent)
{
    size_t a = strlen(account);
    size_t p = strlen(parent);
    return a > p + 1 && account[a - p - 1] == '.' && strcmp(account + a - p, parent) == 0 &&
           memchr(account, '.', a - p - 1) == NULL;
}

/* 64 hex digits are the account of that key. */
static bool implicit_key(const char *account, uint8_t key[MIG_KEY_LEN])
{
    size_t len = 0;
    return strlen(account) == 64 && mig_hex_decode(account, 64, key, MIG_KEY_LEN, &len) == MIG_OK &&
           len == MIG_KEY_LEN;
}

static enum mig_err create_account(struct execution *x)
{
    const char *id = x->tx->receiver;
    if (mig_devnet_account_find(x->ledger, id) != NULL) {
        kind_of_failure(x, "{\"AccountAlreadyExists\":{\"account_id\":\"%s\"}}", id);
        return MIG_OK;
    }
    if (!is_child(id, x->tx->signer)) {
        kind_of_failure(
            x, "{\"CreateAccountNotAllowed\":{\"account_id\":\"%s\",\"predecessor_id\":\"%s\"}}",
            id, x->tx->signer);
        return MIG_OK;
    }
    return mig_devnet_account_add(x->ledger, id, 0);
}

static enum mig_err create_implicit(struct execution *x)
{
    struct mig_devnet_key key = {.nonce = (x->height - 1) * nonces_per_block, .full_access = true};
    if (!implicit_key(x->tx->receiver, key.public_key)) {
        kind_of_failure(x, "{\"AccountDoesNotExist\":{\"account_id\":\"%s\"}}", x->tx->receiver);
        return MIG_OK;
    }
    memcpy(key.account, x->tx->receiver, sizeof key.account);
    enum mig_err err = mig_devnet_account_add(x->ledger, x->tx->receiver, 0);
    return err != MIG_OK ? err : mig_devnet_key_add(x->ledger, &key);
}

static enum mig_err transfer(struct execution *x, const struct mig_devnet_action *a)
{
    enum mig_err err = MIG_OK;
    if (mig_devnet_account_find(x->ledger, x->tx->receiver) == NULL)
        err = create_implicit(x);
    if (err == MIG_OK && x->failure.len == 0)
        mig_devnet_account_find(x->ledger, x->tx->receiver)->balance += a->amount;
    return err;
}

static void function_call_failure(struct execution *x)
{
    switch (x->result.verdict) {
    case MIG_CONTRACT_RETURNED:
        break;
    case MIG_CONTRACT_PANICKED:
        mig_print_put(&x->failure, "{\"FunctionCallError\":{\"ExecutionError\":");
        struct mig_print text = {0};
        mig_print_put(&text, "Smart contract panicked: ");
        mig_print_put(&text, x->result.text);
        mig_print_json(&x->failure, text.s != NULL ? text.s : "");
        x->failure.failed = x->failure.failed || text.failed;
        mig_print_clear(&text);
        mig_print_put(&x->failure, "}}");
        break;
    case MIG_CONTRACT_NO_METHOD:
        mig_print_put(&x->failure,
                      "{\"FunctionCallError\":{\"MethodResolveError\":\"MethodNotFound\"}}");
        break;
    case MIG_CONTRACT_PROHIBITED: /* only in views */
        mig_print_put(&x->failure, "{\"FunctionCallError\":{\"ExecutionError\":\"prohibited\"}}");
        break;
    }
}

static void keep_logs(struct execution *x)
{
    for (size_t i = 0; i < x->result.log_count; i++) {
        mig_print_put(&x->logs, x->logs.len == 0 ? "" : ",");
        mig_print_json(&x->logs, x->result.logs[i]);
    }
}

static enum mig_err call_contract(struct execution *x, const struct mig_devnet_action *a)
{
    struct mig_contract_call call = {
        .method = a->method,
        .predecessor = x->tx->signer,
        .signer = x->tx->signer,
        .deposit = a->amount,
        .height = x->height,
        .time_ns = x->time_ns,
        .args = (const char *)a->args,
        .args_len = a->args_len,
    };
    memcpy(call.signer_key, x->tx->public_key, MIG_KEY_LEN);
    mig_contract_outcome_clear(&x->result);
    x->yield_kind = mig_devnet_request_kind(a->method);
    x->has_yield = x->yield_kind >= 0;
    enum mig_err err = x->has_yield ? mig_devnet_request_run(&call, &x->result)
                                    : mig_contract_run(x->ledger->contract, &call, &x->result);
    if (err != MIG_OK)
        return err;
    keep_logs(x);
    function_call_failure(x);
    if (x->failure.len > 0)
        return MIG_OK;
    mig_devnet_account_find(x->ledger, x->tx->receiver)->balance += a->amount - x->result.refund;
    if (x->result.refund > 0) {
        x->refund += x->result.refund;
        memcpy(x->refund_to, x->result.refund_to, sizeof x->refund_to);
    }
    return MIG_OK;
}

static enum mig_err function_call(struct execution *x, const struct mig_devnet_action *a)
{
    if (strcmp(x->tx->receiver, mig_contract_account(x->ledger->contract)) == 0)
        return call_contract(x, a);
    kind_of_failure(x,
                    "{\"FunctionCallError\":{\"CompilationError\":{\"CodeDoesNotExist\":{\"account_"
                    "id\":\"%s\"}}}}",
                    x->tx->receiver);
    return MIG_OK;
}

static enum mig_err add_key(struct execution *x, const struct mig_devnet_action *a)
{
    struct mig_devnet_key key = a->key;
    memcpy(key.account, x->tx->receiver, sizeof key.account);
    key.nonce = (x->height - 1) * nonces_per_block;
    enum mig_err err = mig_devnet_key_add(x->ledger, &key);
    if (err != MIG_ERR_CONFLICT)
        return err;
    char text[MIG_KEY_TEXT_MAX];
    mig_key_format(key.public_key, text);
    kind_of_failure(x, "{\"AddKeyAlreadyExists\":{\"account_id\":\"%s\",\"public_key\":\"%s\"}}",
                    key.account, text);
    return MIG_OK;
}

static enum mig_err delete_key(struct execution *x, const struct mig_devnet_action *a)
{
    enum mig_err err = mig_devnet_key_delete(x->ledger, x->tx->receiver, a->key.public_key);
    if (err != MIG_ERR_NOT_FOUND)
        return err;
    char text[MIG_KEY_TEXT_MAX];
    mig_key_format(a->key.public_key, text);
    kind_of_failure(x, "{\"DeleteKeyDoesNotExist\":{\"account_id\":\"%s\",\"public_key\":\"%s\"}}",
                    x->tx->receiver, text);
    return MIG_OK;
}

/* Keys belong to the account itself, or to one that this transaction creates. */
static bool may_touch_keys(const struct mig_devnet_tx *tx)
{
    return strcmp(tx->signer, tx->receiver) == 0 ||
           tx->actions[0].kind == MIG_DEVNET_CREATE_ACCOUNT;
}

static enum mig_err run_action(struct execution *x, const struct mig_devnet_action *a)
{
    bool exists = mig_devnet_account_find(x->ledger, x->tx->receiver) != NULL;
    bool touches_keys = a->kind == MIG_DEVNET_ADD_KEY || a->kind == MIG_DEVNET_DELETE_KEY;
    if (!exists && a->kind != MIG_DEVNET_CREATE_ACCOUNT && a->kind != MIG_DEVNET_TRANSFER) {
        kind_of_failure(x, "{\"AccountDoesNotExist\":{\"account_id\":\"%s\"}}", x->tx->receiver);
        return MIG_OK;
    }
    if (touches_keys && !may_touch_keys(x->tx)) {
        kind_of_failure(x, "{\"ActorNoPermission\":{\"account_id\":\"%s\",\"actor_id\":\"%s\"}}",
                        x->tx->receiver, x->tx->signer);
        return MIG_OK;
    }
    switch (a->kind) {
    case MIG_DEVNET_CREATE_ACCOUNT:
        return create_account(x);
    case MIG_DEVNET_FUNCTION_CALL:
        return function_call(x, a);
    case MIG_DEVNET_TRANSFER:
        return transfer(x, a);
    case MIG_DEVNET_ADD_KEY:
        return add_key(x, a);
    case MIG_DEVNET_DELETE_KEY:
        return delete_key(x, a);
    }
    return MIG_ERR_BUG;
}

static void execution_clear(struct execution *x)
{
    mig_devnet_ledger_release(&x->ledger);
    mig_print_clear(&x->failure);
    mig_print_clear(&x->logs);
    mig_contract_outcome_clear(&x->result);
}

/* Nonce and charge; part of the block that includes the transaction. */
static enum mig_err charge(struct mig_devnet_chain *chain, const struct mig_devnet_tx *tx)
{
    struct mig_devnet_ledger *l;
    enum mig_err err = mig_devnet_tip_edit(chain, &l);
    if (err != MIG_OK)
        return err;
    struct mig_devnet_key *key = mig_devnet_key_find(l, tx->signer, tx->public_key);
    unsigned __int128 gas = (unsigned __int128)(gas_of_conversion + gas_of_receipt) * GAS_PRICE;
    struct mig_devnet_account *signer = mig_devnet_account_find(l, tx->signer);
    unsigned __int128 sum;
    (void)deposits(tx, &sum); /* validated */
    key->nonce = tx->nonce;
    if (key->has_allowance)
        key->allowance -= key->allowance < gas ? key->allowance : gas;
    signer->balance -= sum;
    signer->balance -= signer->balance < gas ? signer->balance : gas;
    return MIG_OK;
}

static enum mig_err run_actions(struct mig_devnet_chain *chain, struct execution *x)
{
    size_t i = 0;
    enum mig_err err = mig_devnet_ledger_copy(chain->tip, &x->ledger);
    while (err == MIG_OK && i < x->tx->action_count && x->failure.len == 0) {
        err = run_action(x, &x->tx->actions[i]);
        i += x->failure.len == 0;
    }
    if (err != MIG_OK || x->failure.failed || x->logs.failed)
        return err != MIG_OK ? err : MIG_ERR_NOMEM;
    if (x->failure.len == 0) {
        struct mig_devnet_ledger *old = chain->tip;
        chain->tip = x->ledger;
        x->ledger = old;
        return MIG_OK;
    }
    struct mig_print whole = {0};
    mig_print_printf(&whole, "{\"ActionError\":{\"index\":%zu,\"kind\":%s}}", i, x->failure.s);
    mig_print_clear(&x->failure);
    x->failure = whole;
    (void)deposits(x->tx, &x->refund); /* a failed receipt gives all of it back */
    memcpy(x->refund_to, x->tx->signer, sizeof x->refund_to);
    return MIG_OK;
}

static enum mig_err give_back(struct mig_devnet_chain *chain, const struct execution *x)
{
    struct mig_devnet_ledger *l;
    enum mig_err err = mig_devnet_tip_edit(chain, &l);
    struct mig_devnet_account *to = err == MIG_OK ? mig_devnet_account_find(l, x->refund_to) : NULL;
    if (to != NULL)
        to->balance += x->refund;
    return err;
}

/* The answer */

static void receipt_id(const struct mig_devnet_tx *tx, uint8_t n, uint8_t id[MIG_DIGEST_LEN])
{
    uint8_t bytes[MIG_DIGEST_LEN + 1];
    memcpy(bytes, tx->hash, MIG_DIGEST_LEN);
    bytes[MIG_DIGEST_LEN] = n;
    mig_sha256(bytes, sizeof bytes, id);
}

struct outcome_line {
    const struct mig_devnet_block *block;
    const uint8_t *id;
    const uint8_t *next[2]; /* receipts it made, or NULL */
    const char *executor;
    const char *logs;
    uint64_t gas;
    const char *status; /* JSON */
};

static void outcome_line(struct mig_print *t, const struct outcome_line *o)
{
    mig_print_put(t, "{\"proof\":[],\"block_hash\":");
    mig_devnet_base58(t, o->block->hash, MIG_DIGEST_LEN);
    mig_print_put(t, ",\"id\":");
    mig_devnet_base58(t, o->id, MIG_DIGEST_LEN);
    mig_print_printf(t, ",\"outcome\":{\"logs\":[%s],\"receipt_ids\":[", o->logs);
    for (size_t i = 0; i < 2; i++) {
        if (o->next[i] == NULL)
            continue;
        mig_print_put(t, i == 1 && o->next[0] != NULL ? "," : "");
        mig_devnet_base58(t, o->next[i], MIG_DIGEST_LEN);
    }
    mig_print_printf(t, "],\"gas_burnt\":%" PRIu64 ",\"tokens_burnt\":", o->gas);
    mig_devnet_amount_format(t, (unsigned __int128)o->gas * GAS_PRICE);
    mig_print_put(t, ",\"executor_id\":");
    mig_print_json(t, o->executor);
    mig_print_printf(t, ",\"status\":%s,\"metadata\":{\"version\":3,\"gas_profile\":[]}}}",
                     o->status);
}

static void status_text(struct mig_print *t, const struct execution *x)
{
    if (x->failure.len > 0) {
        mig_print_put(t, "{\"Failure\":");
        mig_print_put(t, x->failure.s);
    } else {
        const char *value = x->result.text != NULL ? x->result.text : "";
        mig_print_put(t, "{\"SuccessValue\":");
        mig_devnet_base64(t, (const uint8_t *)value, strlen(value));
    }
    mig_print_put(t, "}");
}

static void receipt_text(struct mig_print *t, const struct mig_devnet_tx *tx,
                         const uint8_t id[MIG_DIGEST_LEN])
{
    mig_print_put(t, "{\"predecessor_id\":");
    mig_print_json(t, tx->signer);
    mig_print_put(t, ",\"receiver_id\":");
    mig_print_json(t, tx->receiver);
    mig_print_put(t, ",\"receipt_id\":");
    mig_devnet_base58(t, id, MIG_DIGEST_LEN);
    mig_print_put(t, ",\"priority\":0,\"receipt\":{\"Action\":{\"signer_id\":");
    mig_print_json(t, tx->signer);
    mig_print_put(t, ",\"signer_public_key\":");
    mig_devnet_key_format(t, tx->public_key);
    mig_print_printf(t, ",\"gas_price\":\"%d\",\"actions\":", GAS_PRICE);
    mig_devnet_actions_format(t, tx);
    mig_print_put(
        t, ",\"input_data_ids\":[],\"output_data_receivers\":[],\"is_promise_yield\":false}}}");
}

enum { RECEIPT, REFUND, YIELD, IDS }; /* receipts that a transaction makes */

/* A transaction's outcomes, each as JSON. */
struct texts {
    struct mig_print conversion, execution, refund;
};

static void receipt_status(struct mig_print *t, const uint8_t id[MIG_DIGEST_LEN])
{
    mig_print_put(t, "{\"SuccessReceiptId\":");
    mig_devnet_base58(t, id, MIG_DIGEST_LEN);
    mig_print_put(t, "}");
}

/* `blocks`: where it was included, executed, refunded (or NULL). */
static void outcome_lines(struct texts *out, const struct execution *x,
                          const struct mig_devnet_block *blocks[3],
                          uint8_t ids[IDS][MIG_DIGEST_LEN])
{
    struct mig_print first = {0}, second = {0};
    const uint8_t *refund = blocks[2] != NULL ? ids[REFUND] : NULL;
    const uint8_t *yield = x->has_yield && x->failure.len == 0 ? ids[YIELD] : NULL;
    receipt_status(&first, ids[RECEIPT]);
    if (yield != NULL)
        receipt_status(&second, yield);
    else
        status_text(&second, x);
    if (!first.failed && !second.failed) {
        outcome_line(&out->conversion, &(struct outcome_line){blocks[0],
                                                              x->tx->hash,
                                                              {ids[RECEIPT], NULL},
                                                              x->tx->signer,
                                                              "",
                                                              gas_of_conversion,
                                                              first.s});
        outcome_line(&out->execution, &(struct outcome_line){blocks[1],
                                                             ids[RECEIPT],
                                                             {yield, refund},
                                                             x->tx->receiver,
                                                             x->logs.s != NULL ? x->logs.s : "",
                                                             gas_of_receipt,
                                                             second.s});
        if (refund != NULL)
            outcome_line(&out->refund, &(struct outcome_line){blocks[2],
                                                              ids[REFUND],
                                                              {NULL, NULL},
                                                              x->refund_to,
                                                              "",
                                                              gas_of_refund,
                                                              "{\"SuccessValue\":\"\"}"});
    }
    out->conversion.failed = out->conversion.failed || first.failed || second.failed;
    mig_print_clear(&first);
    mig_print_clear(&second);
}

static bool texts_failed(const struct texts *x)
{
    return x->conversion.failed || x->execution.failed || x->refund.failed;
}

static void outcome_text(struct mig_print *t, const struct execution *x, const struct texts *lines)
{
    mig_print_put(t, "\"status\":");
    status_text(t, x);
    mig_print_put(t, ",\"transaction\":");
    mig_devnet_tx_format(t, x->tx);
    mig_print_put(t, ",\"transaction_outcome\":");
    mig_print_put(t, lines->conversion.s);
    mig_print_put(t, ",\"receipts_outcome\":[");
    mig_print_put(t, lines->execution.s);
    if (lines->refund.s != NULL) {
        mig_print_put(t, ",");
        mig_print_put(t, lines->refund.s);
    }
    mig_print_put(t, "]");
}

static void refund_receipt(struct mig_print *t, const struct execution *x,
                           const uint8_t id[MIG_DIGEST_LEN])
{
    mig_print_put(t, "{\"predecessor_id\":\"system\",\"receiver_id\":");
    mig_print_json(t, x->refund_to);
    mig_print_put(t, ",\"receipt_id\":");
    mig_devnet_base58(t, id, MIG_DIGEST_LEN);
    mig_print_put(t, ",\"priority\":0,\"receipt\":{\"Action\":{\"signer_id\":");
    mig_print_json(t, x->tx->signer);
    mig_print_put(t, ",\"signer_public_key\":");
    mig_devnet_key_format(t, x->tx->public_key);
    mig_print_put(t, ",\"gas_price\":\"0\",\"actions\":[{\"Transfer\":{\"deposit\":");
    mig_devnet_amount_format(t, x->refund);
    mig_print_put(t, "}}],\"input_data_ids\":[],\"output_data_receivers\":[],\"is_promise_yield\":"
                     "false}}}");
}

/* What its blocks show of it (devnet/blocks.c). */
static enum mig_err note_blocks(struct mig_devnet_chain *chain, const struct execution *x,
                                const struct mig_devnet_block *blocks[3],
                                uint8_t ids[IDS][MIG_DIGEST_LEN], const struct texts *lines,
                                const char *receipt)
{
    struct mig_print taken = {0}, run = {0}, back = {0}, touched = {0};
    mig_print_put(&taken, "{\"transaction\":");
    mig_devnet_tx_format(&taken, x->tx);
    mig_print_put(&taken, ",\"outcome\":{\"execution_outcome\":");
    mig_print_put(&taken, lines->conversion.s);
    mig_print_put(&taken, ",\"receipt\":null}}");
    mig_print_printf(&run, "{\"execution_outcome\":");
    mig_print_put(&run, lines->execution.s);
    mig_print_put(&run, ",\"receipt\":");
    mig_print_put(&run, receipt);
    mig_print_put(&run, "}");
    if (blocks[2] != NULL) {
        mig_print_put(&back, "{\"execution_outcome\":");
        mig_print_put(&back, lines->refund.s);
        mig_print_put(&back, ",\"receipt\":");
        refund_receipt(&back, x, ids[REFUND]);
        mig_print_put(&back, "}");
    }
    if (x->failure.len == 0 &&
        strcmp(x->tx->receiver, mig_contract_account(chain->tip->contract)) == 0)
        mig_devnet_base58(&touched, ids[RECEIPT], MIG_DIGEST_LEN);
    bool failed = taken.failed || run.failed || back.failed || touched.failed;
    mig_devnet_block_note(chain, blocks[0]->height, mig_print_take(&taken), NULL, NULL);
    mig_devnet_block_note(chain, blocks[1]->height, NULL, mig_print_take(&run),
                          touched.len > 0 ? mig_print_take(&touched) : NULL);
    if (blocks[2] != NULL)
        mig_devnet_block_note(chain, blocks[2]->height, NULL, mig_print_take(&back), NULL);
    return failed ? MIG_ERR_NOMEM : MIG_OK;
}

static enum mig_err remember(struct mig_devnet_chain *chain, const struct execution *x,
                             const struct mig_devnet_block *blocks[3])
{
    uint8_t ids[IDS][MIG_DIGEST_LEN];
    struct texts lines = {0};
    struct mig_print outcome = {0};
    struct mig_print receipt = {0};
    struct mig_print receipts = {0};
    for (uint8_t i = 0; i < IDS; i++)
        receipt_id(x->tx, i, ids[i]);
    outcome_lines(&lines, x, blocks, ids);
    receipt_text(&receipt, x->tx, ids[RECEIPT]);
    enum mig_err err = texts_failed(&lines) || receipt.failed ? MIG_ERR_NOMEM : MIG_OK;
    if (err == MIG_OK) {
        outcome_text(&outcome, x, &lines);
        mig_print_put(&receipts, "[");
        mig_print_put(&receipts, receipt.s);
        mig_print_put(&receipts, "]");
        err = note_blocks(chain, x, blocks, ids, &lines, receipt.s);
    }
    if (err == MIG_OK && x->has_yield && x->failure.len == 0)
        err = mig_devnet_yield_add(chain, ids[YIELD], x->yield_kind, blocks[1]->height);
    mig_print_clear(&lines.conversion);
    mig_print_clear(&lines.execution);
    mig_print_clear(&lines.refund);
    mig_print_clear(&receipt);
    struct mig_devnet_record *r = mig_devnet_record_get(chain, x->tx->hash);
    free(r->outcome);
    free(r->receipts);
    r->outcome = mig_print_take(&outcome);
    r->receipts = mig_print_take(&receipts);
    r->is_pending = false;
    memcpy(r->signer, x->tx->signer, sizeof r->signer);
    r->included = blocks[0]->height;
    r->executed = blocks[blocks[2] != NULL ? 2 : 1]->height;
    return err != MIG_OK ? err : r->outcome != NULL && r->receipts != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

static enum mig_err next_block(struct mig_devnet_chain *chain, uint64_t now_ns,
                               struct mig_devnet_block *copy)
{
    size_t pending = chain->pending_count;
    chain->pending_count = 0; /* one transaction at a time: the queue waits */
    enum mig_err err = mig_devnet_produce(chain, now_ns, true);
    chain->pending_count = pending;
    *copy = *mig_devnet_head(chain);
    return err;
}

enum mig_err mig_devnet_execute(struct mig_devnet_chain *chain, const struct mig_devnet_tx *tx,
                                uint64_t now_ns)
{
    struct mig_devnet_block at[3];
    const struct mig_devnet_block *blocks[3] = {&at[0], &at[1], NULL};
    struct execution x = {.tx = tx, .time_ns = now_ns};
    enum mig_err err = charge(chain, tx);
    if (err == MIG_OK)
        err = next_block(chain, now_ns, &at[0]);
    x.height = at[0].height + 1;
    if (err == MIG_OK)
        err = run_actions(chain, &x);
    if (err == MIG_OK)
        err = next_block(chain, now_ns, &at[1]);
    if (err == MIG_OK && x.refund > 0) {
        err = give_back(chain, &x);
        if (err == MIG_OK)
            err = next_block(chain, now_ns, &at[2]);
        blocks[2] = &at[2];
    }
    if (err == MIG_OK)
        err = remember(chain, &x, blocks);
    execution_clear(&x);
    return err;
}

/* SPDX-License-Identifier: MIT */
/*
 * JSON-RPC: the envelope, the method table and the three forms of errors of a
 * NEAR node. Errors of the contract are answered with 200: clients take 408
 * and 500 as a reason to try again for minutes.
 */
#include "devnet/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"

static void view_account(struct mig_devnet_call *c)
{
    mig_devnet_query_as(c, "view_account");
}

static void view_access_key(struct mig_devnet_call *c)
{
    mig_devnet_query_as(c, "view_access_key");
}

static void view_code(struct mig_devnet_call *c)
{
    mig_devnet_query_as(c, "view_code");
}

static void view_state(struct mig_devnet_call *c)
{
    mig_devnet_query_as(c, "view_state");
}

static void call_function(struct mig_devnet_call *c)
{
    c->is_experimental = true;
    mig_devnet_query_as(c, "call_function");
}

static const struct {
    const char *name;
    void (*run)(struct mig_devnet_call *c);
} methods[] = {
    {"query", mig_devnet_query},
    {"block", mig_devnet_block_rpc},
    {"chunk", mig_devnet_chunk_rpc},
    {"status", mig_devnet_status_rpc},
    {"health", mig_devnet_health_rpc},
    {"gas_price", mig_devnet_gas_price_rpc},
    {"network_info", mig_devnet_network_info_rpc},
    {"validators", mig_devnet_validators_rpc},
    {"send_tx", mig_devnet_send_tx_rpc},
    {"broadcast_tx_async", mig_devnet_broadcast_async_rpc},
    {"broadcast_tx_commit", mig_devnet_broadcast_commit_rpc},
    {"tx", mig_devnet_tx_rpc},
    {"tx_status", mig_devnet_tx_status_rpc},
    {"EXPERIMENTAL_tx_status", mig_devnet_tx_status_rpc},
    {"changes", mig_devnet_changes_rpc},
    {"EXPERIMENTAL_changes", mig_devnet_changes_rpc},
    {"EXPERIMENTAL_indexer_block", mig_devnet_indexer_block_rpc},
    {"EXPERIMENTAL_protocol_config", mig_devnet_protocol_config_rpc},
    {"EXPERIMENTAL_view_account", view_account},
    {"EXPERIMENTAL_view_access_key", view_access_key},
    {"EXPERIMENTAL_view_code", view_code},
    {"EXPERIMENTAL_view_state", view_state},
    {"EXPERIMENTAL_call_function", call_function},
};

json_t *mig_devnet_param(const struct mig_devnet_call *c, const char *name, size_t position)
{
    json_t *value = NULL;
    if (json_is_object(c->params))
        value = json_object_get(c->params, name);
    else if (json_is_array(c->params) && json_is_object(json_array_get(c->params, 0)))
        value = json_object_get(json_array_get(c->params, 0), name);
    else if (json_is_array(c->params) && position != SIZE_MAX)
        value = json_array_get(c->params, position);
    return json_is_null(value) ? NULL : value;
}

const char *mig_devnet_param_text(const struct mig_devnet_call *c, const char *name,
                                  size_t position)
{
    return json_string_value(mig_devnet_param(c, name, position));
}

/* Errors */

static void error(struct mig_devnet_call *c, const char *name, const char *cause, const char *info,
                  int code, const char *message, const char *data)
{
    if (c->error.len > 0)
        return;
    mig_print_printf(&c->error, "{\"name\":\"%s\",\"cause\":{\"name\":\"%s\",\"info\":", name,
                     cause);
    mig_print_put(&c->error, info);
    mig_print_printf(&c->error, "},\"code\":%d,\"message\":\"%s\",\"data\":", code, message);
    mig_print_json(&c->error, data);
    mig_print_put(&c->error, "}");
}

void mig_devnet_handler_error(struct mig_devnet_call *c, const char *cause, const char *info,
                              const char *data)
{
    error(c, "HANDLER_ERROR", cause, info, -32000, "Server error", data);
}

void mig_devnet_parse_error(struct mig_devnet_call *c, const char *message)
{
    struct mig_print info = {0};
    mig_print_put(&info, "{\"error_message\":");
    mig_print_json(&info, message);
    mig_print_put(&info, "}");
    error(c, "REQUEST_VALIDATION_ERROR", "PARSE_ERROR", info.s != NULL ? info.s : "{}", -32700,
          "Parse error", message);
    c->status = 400;
    mig_print_clear(&info);
}

void mig_devnet_timeout(struct mig_devnet_call *c)
{
    mig_devnet_handler_error(c, "TIMEOUT_ERROR", "{}", "Timeout");
    c->status = 408;
}

static void unknown_method(struct mig_devnet_call *c)
{
    struct mig_print info = {0};
    mig_print_put(&info, "{\"method_name\":");
    mig_print_json(&info, c->method);
    mig_print_put(&info, "}");
    error(c, "REQUEST_VALIDATION_ERROR", "METHOD_NOT_FOUND", info.s != NULL ? info.s : "{}", -32601,
          "Method not found", c->method);
    c->status = 400;
    mig_print_clear(&info);
}

/* Blocks */

const struct mig_devnet_block *mig_devnet_seen(const struct mig_devnet *d, uint64_t back)
{
    uint64_t height = mig_devnet_head(&d->chain)->height;
    back += d->faults.back;
    if (d->faults.is_pinned && height > d->faults.pinned)
        back += height - d->faults.pinned;
    return mig_devnet_block_back(&d->chain, back);
}

const struct mig_devnet_block *mig_devnet_seen_final(const struct mig_devnet *d)
{
    return mig_devnet_seen(d, d->chain.final_lag);
}

static const struct mig_devnet_block *by_height(struct mig_devnet_call *c, json_int_t height)
{
    const struct mig_devnet_block *b =
        height >= 0 ? mig_devnet_block_at(&c->d->chain, (uint64_t)height) : NULL;
    if (b != NULL && !b->is_hidden)
        return b;
    char data[96];
    (void)snprintf(data, sizeof data,
                   "DB Not Found Error: BLOCK HEIGHT: %" JSON_INTEGER_FORMAT " \n Cause: Unknown",
                   height);
    mig_devnet_handler_error(c, "UNKNOWN_BLOCK", "{}", data);
    /* A height below the head that has no block was skipped. */
    if ((uint64_t)height < mig_devnet_head(&c->d->chain)->height)
        c->status = 422;
    return NULL;
}

static const struct mig_devnet_block *by_hash(struct mig_devnet_call *c, const char *text)
{
    uint8_t hash[MIG_BASE58_INPUT_MAX];
    size_t len = 0;
    char data[192];
    if (mig_base58_decode(text, strlen(text), hash, sizeof hash, &len) != MIG_OK ||
        len != MIG_DIGEST_LEN) {
        mig_devnet_parse_error(c, "Failed parsing args: invalid block hash");
        return NULL;
    }
    const struct mig_devnet_block *b = mig_devnet_block_of(&c->d->chain, hash);
    (void)snprintf(data, sizeof data, "DB Not Found Error: BLOCK: %.64s \n Cause: Unknown", text);
    if (b != NULL && !b->is_hidden)
        return b;
    mig_devnet_handler_error(c, "UNKNOWN_BLOCK", "{}", data);
    return NULL;
}

static const struct mig_devnet_block *by_finality(struct mig_devnet_call *c, const char *finality)
{
    if (strcmp(finality, "optimistic") == 0)
        return mig_devnet_seen(c->d, 0);
    if (strcmp(finality, "near-final") == 0)
        return mig_devnet_seen(c->d, c->d->chain.final_lag / 2);
    if (strcmp(finality, "final") == 0)
        return mig_devnet_seen_final(c->d);
    mig_devnet_parse_error(c, "Failed parsing args: unknown variant of finality");
    return NULL;
}

const struct mig_devnet_block *mig_devnet_resolve(struct mig_devnet_call *c)
{
    const json_t *id = mig_devnet_param(c, "block_id", 0);
    const char *finality = mig_devnet_param_text(c, "finality", SIZE_MAX);
    const char *checkpoint = mig_devnet_param_text(c, "sync_checkpoint", SIZE_MAX);
    if ((id != NULL) + (finality != NULL) + (checkpoint != NULL) != 1) {
        mig_devnet_parse_error(
            c,
            "Failed parsing args: exactly one of block_id, finality and sync_checkpoint is needed");
        return NULL;
    }
    if (checkpoint != NULL)
        return mig_devnet_block_back(&c->d->chain, UINT64_MAX);
    if (finality != NULL)
        return by_finality(c, finality);
    if (json_is_integer(id))
        return by_height(c, json_integer_value(id));
    if (json_is_string(id))
        return by_hash(c, json_string_value(id));
    mig_devnet_parse_error(c, "Failed parsing args: block_id is a height or a hash");
    return NULL;
}

/* Envelope */

static void dispatch(struct mig_devnet_call *c, const json_t *request)
{
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));
    c->method = json_string_value(json_object_get(request, "method"));
    if (c->method == NULL || version == NULL || strcmp(version, "2.0") != 0) {
        mig_devnet_parse_error(c, "not a JSON-RPC 2.0 request");
        return;
    }
    c->params = json_object_get(request, "params");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i].name, c->method) == 0) {
            methods[i].run(c);
            return;
        }
    unknown_method(c);
}

static char *envelope(struct mig_devnet_call *c, const json_t *id)
{
    struct mig_print t = {0};
    char *echo = id != NULL ? json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    bool failed = c->error.len > 0;
    mig_print_put(&t,
                  failed ? "{\"jsonrpc\":\"2.0\",\"error\":" : "{\"jsonrpc\":\"2.0\",\"result\":");
    const struct mig_print *body = failed ? &c->error : &c->result;
    mig_print_add(&t, body->s != NULL ? body->s : "null", body->s != NULL ? body->len : 4);
    mig_print_put(&t, ",\"id\":");
    mig_print_put(&t, echo != NULL ? echo : "null");
    mig_print_put(&t, "}");
    t.failed = t.failed || c->error.failed || c->result.failed || (id != NULL && echo == NULL);
    free(echo);
    return mig_print_take(&t);
}

enum mig_err mig_devnet_request(struct mig_devnet *d, const char *body, size_t len,
                                unsigned *status, char **answer)
{
    struct mig_devnet_call c = {.d = d, .status = 200};
    json_t *request = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    (void)pthread_mutex_lock(&d->lock);
    if (json_is_object(request))
        dispatch(&c, request);
    else
        mig_devnet_parse_error(&c, "the request is not a JSON object");
    (void)pthread_mutex_unlock(&d->lock);
    *answer = envelope(&c, json_object_get(request, "id"));
    *status = c.status;
    json_decref(request);
    mig_print_clear(&c.result);
    mig_print_clear(&c.error);
    return *answer != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

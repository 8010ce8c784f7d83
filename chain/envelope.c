/* SPDX-License-Identifier: MIT */
#include "chain/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "chain/json.h"

/* ---- errors ---- */

static void printable(const char *text, char out[MIG_REASON_MAX])
{
    size_t n = 0;
    for (; *text != '\0' && n + 1 < MIG_REASON_MAX; text++)
        out[n++] = *text >= ' ' && *text < 0x7f ? *text : '?';
    out[n] = '\0';
}

enum mig_err mig_rpc_error_set(struct mig_rpc_error *e, enum mig_err err, enum mig_fault fault,
                               const char *text)
{
    memset(e, 0, sizeof *e);
    e->err = err;
    e->fault = fault;
    printable(text, e->reason);
    return err;
}

static enum mig_err nonsense(struct mig_rpc_error *e)
{
    return mig_rpc_error_set(e, MIG_ERR_MALFORMED, MIG_FAULT_NONSENSE,
                             "the endpoint's answer is not JSON-RPC as NEAR speaks it");
}

const char *mig_refusal_text(enum mig_refusal refusal)
{
    switch (refusal) {
    case MIG_REFUSAL_NONE:
        return "";
    case MIG_REFUSAL_NONCE_USED:
        return "the access key has already used this nonce or a higher one";
    case MIG_REFUSAL_NONCE_TOO_LARGE:
        return "the nonce is too far ahead of the chain: is the endpoint behind?";
    case MIG_REFUSAL_EXPIRED:
        return "the block hash is too old or of another chain: does the endpoint follow the "
               "network?";
    case MIG_REFUSAL_SIGNATURE:
        return "the signature does not verify";
    case MIG_REFUSAL_NO_SIGNER:
        return "the signing account does not exist on this chain";
    case MIG_REFUSAL_NO_ACCESS_KEY:
        return "the account has no such access key: add it with add-key";
    case MIG_REFUSAL_RECEIVER:
        return "the access key may call another contract only";
    case MIG_REFUSAL_METHOD:
        return "the access key may not call this method";
    case MIG_REFUSAL_FULL_ACCESS:
        return "this action needs a full-access key";
    case MIG_REFUSAL_DEPOSIT:
        return "a function-call access key cannot attach a deposit: use a full-access key";
    case MIG_REFUSAL_ALLOWANCE:
        return "the access key's allowance is used up: replace the key";
    case MIG_REFUSAL_BALANCE:
        return "the account cannot pay for the transaction";
    case MIG_REFUSAL_OTHER:
        return "the network refuses the transaction";
    }
    return "";
}

/* The names under which nodes write them. */
static const struct {
    const char *name;
    enum mig_refusal refusal;
} refusals[] = {
    {"InvalidNonce", MIG_REFUSAL_NONCE_USED},
    {"NonceTooLarge", MIG_REFUSAL_NONCE_TOO_LARGE},
    {"Expired", MIG_REFUSAL_EXPIRED},
    {"InvalidChain", MIG_REFUSAL_EXPIRED},
    {"InvalidSignature", MIG_REFUSAL_SIGNATURE},
    {"SignerDoesNotExist", MIG_REFUSAL_NO_SIGNER},
    {"AccessKeyNotFound", MIG_REFUSAL_NO_ACCESS_KEY},
    {"ReceiverMismatch", MIG_REFUSAL_RECEIVER},
    {"MethodNameMismatch", MIG_REFUSAL_METHOD},
    {"RequiresFullAccess", MIG_REFUSAL_FULL_ACCESS},
    {"DepositWithFunctionCall", MIG_REFUSAL_DEPOSIT},
    {"NotEnoughAllowance", MIG_REFUSAL_ALLOWANCE},
    {"NotEnoughBalance", MIG_REFUSAL_BALANCE},
    {"LackBalanceForState", MIG_REFUSAL_BALANCE},
};

/* What a failure's tree says: nodes nest it differently, the names are what
 * counts. */
struct failure {
    enum mig_refusal refusal;
    uint64_t key_nonce;
    char name[64];               /* the last error name seen */
    char reason[MIG_REASON_MAX]; /* the contract's text, or `name` */
};

static void note_name(struct failure *f, const struct mig_json_name *name)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (mig_json_is(name, refusals[i].name))
            f->refusal = refusals[i].refusal;
    if (name->len > 0 && name->len < sizeof f->name && name->text[0] >= 'A' &&
        name->text[0] <= 'Z') {
        memcpy(f->name, name->text, name->len);
        f->name[name->len] = '\0';
    }
}

/* A string's printable beginning, whatever its length. */
static void read_text(struct mig_json *j, char out[MIG_REASON_MAX])
{
    const char *raw;
    size_t len;
    char text[MIG_REASON_MAX] = "";
    mig_json_need(j, mig_json_peek(j) == MIG_JSON_STRING);
    mig_json_raw(j, &raw, &len);
    if (j->err != MIG_OK)
        return;
    /* Only quotes and backslashes matter in what people read. */
    size_t n = 0;
    for (size_t i = 1; i + 1 < len && n + 1 < sizeof text; i++)
        if (raw[i] != '\\' || raw[i - 1] == '\\')
            text[n++] = raw[i];
    printable(text, out);
}

static void read_failure(struct mig_json *j, struct failure *f)
{
    struct mig_json_name name;
    char text[MIG_REASON_MAX] = "";
    switch (mig_json_peek(j)) {
    case MIG_JSON_STRING:
        read_text(j, text);
        note_name(f, &(struct mig_json_name){text, strlen(text)});
        return;
    case MIG_JSON_OBJECT:
        for (mig_json_object(j); mig_json_member(j, &name);) {
            bool spoken = mig_json_is(&name, "ExecutionError");
            bool nonce = mig_json_is(&name, "ak_nonce");
            note_name(f, &name);
            if (spoken && mig_json_peek(j) == MIG_JSON_STRING)
                read_text(j, f->reason);
            else if (nonce && mig_json_peek(j) == MIG_JSON_NUMBER)
                f->key_nonce = mig_json_u64(j);
            else
                read_failure(j, f);
        }
        return;
    case MIG_JSON_NONE:
    case MIG_JSON_ARRAY:
    case MIG_JSON_NUMBER:
    case MIG_JSON_BOOL:
    case MIG_JSON_NULL:
        mig_json_skip(j);
        return;
    }
}

static void finish_failure(struct failure *f)
{
    if (f->reason[0] == '\0')
        printable(f->name[0] != '\0' ? f->name : "unnamed failure", f->reason);
}

/* Handler and request errors by the name of their cause. */
static const struct {
    const char *name;
    enum mig_err err;
    enum mig_fault fault;
} causes[] = {
    {"UNKNOWN_ACCOUNT", MIG_ERR_NOT_FOUND, MIG_FAULT_UNKNOWN_ACCOUNT},
    {"INVALID_ACCOUNT", MIG_ERR_NOT_FOUND, MIG_FAULT_UNKNOWN_ACCOUNT},
    {"NO_CONTRACT_CODE", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_CONTRACT},
    {"NO_GLOBAL_CONTRACT_CODE", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_CONTRACT},
    {"METHOD_NOT_FOUND", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_METHOD},
    {"UNKNOWN_ACCESS_KEY", MIG_ERR_NOT_FOUND, MIG_FAULT_UNKNOWN_KEY},
    {"UNKNOWN_TRANSACTION", MIG_ERR_NOT_FOUND, MIG_FAULT_UNKNOWN_TX},
    {"CONTRACT_EXECUTION_ERROR", MIG_ERR_DENIED, MIG_FAULT_PANIC},
    {"INVALID_TRANSACTION", MIG_ERR_DENIED, MIG_FAULT_INVALID_TX},
    {"UNKNOWN_BLOCK", MIG_ERR_RETRY, MIG_FAULT_UNKNOWN_BLOCK},
    {"GARBAGE_COLLECTED_BLOCK", MIG_ERR_RETRY, MIG_FAULT_UNKNOWN_BLOCK},
    {"UNAVAILABLE_SHARD", MIG_ERR_RETRY, MIG_FAULT_UNKNOWN_BLOCK},
    {"NO_SYNCED_BLOCKS", MIG_ERR_RETRY, MIG_FAULT_UNKNOWN_BLOCK},
    {"NOT_SYNCED_YET", MIG_ERR_RETRY, MIG_FAULT_UNKNOWN_BLOCK},
    {"DATA_UNAVAILABLE", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_DATA},
    {"INCOMPLETE_DATA", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_DATA},
    {"UNSUPPORTED", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_DATA},
    {"LIMIT_EXCEEDED", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_DATA},
    {"BUSY", MIG_ERR_RETRY, MIG_FAULT_ENDPOINT},
    {"TIMEOUT_ERROR", MIG_ERR_RETRY, MIG_FAULT_TIMEOUT},
    {"INTERNAL_ERROR", MIG_ERR_RETRY, MIG_FAULT_OTHER},
};

static void read_cause(struct mig_json *j, char name[64])
{
    static const char *const fields[] = {"name", NULL};
    unsigned seen = 0;
    if (mig_json_peek(j) != MIG_JSON_OBJECT) {
        mig_json_skip(j);
        return;
    }
    mig_json_object(j);
    while (mig_json_field(j, fields, &seen) >= 0)
        (void)mig_json_string_fits(j, name, 64);
}

/* Contract failures in the text form of `query`. */
static void classify_text(struct mig_rpc_error *e, const char *text)
{
    static const struct {
        const char *part;
        enum mig_err err;
        enum mig_fault fault;
    } parts[] = {
        {"MethodNotFound", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_METHOD},
        {"CodeDoesNotExist", MIG_ERR_NOT_FOUND, MIG_FAULT_NO_CONTRACT},
        {"GuestPanic", MIG_ERR_DENIED, MIG_FAULT_PANIC},
        {"access key", MIG_ERR_NOT_FOUND, MIG_FAULT_UNKNOWN_KEY},
    };
    (void)mig_rpc_error_set(e, MIG_ERR_DENIED, MIG_FAULT_PANIC, text);
    /* The marks stand at the beginning; a contract's own words come later. */
    const char *first = NULL;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *hit = strstr(text, parts[i].part);
        if (hit == NULL || (first != NULL && hit > first))
            continue;
        first = hit;
        e->err = parts[i].err;
        e->fault = parts[i].fault;
    }
}

/* The `error` member of the envelope. */
static void read_error(struct mig_json *j, struct mig_rpc_error *e)
{
    enum { NAME, CAUSE, MESSAGE, DATA };
    static const char *const fields[] = {"name", "cause", "message", "data", NULL};
    char name[64] = "", cause[64] = "", message[MIG_REASON_MAX] = "", data[MIG_REASON_MAX] = "";
    struct failure failure = {0};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == CAUSE)
            read_cause(j, cause);
        else if (mig_json_peek(j) == MIG_JSON_STRING && f == NAME)
            (void)mig_json_string_fits(j, name, sizeof name);
        else if (mig_json_peek(j) == MIG_JSON_STRING)
            read_text(j, f == DATA ? data : message);
        else
            read_failure(j, &failure);
    }
    const char *key = cause[0] != '\0' ? cause : name;
    const char *text = data[0] != '\0' ? data : message[0] != '\0' ? message : key;
    (void)mig_rpc_error_set(e, MIG_ERR_RETRY, MIG_FAULT_OTHER, text);
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (strcmp(key, causes[i].name) == 0) {
            e->err = causes[i].err;
            e->fault = causes[i].fault;
        }
    }
    if (e->fault == MIG_FAULT_INVALID_TX) {
        e->refusal = failure.refusal != MIG_REFUSAL_NONE ? failure.refusal : MIG_REFUSAL_OTHER;
        e->key_nonce = failure.key_nonce;
        finish_failure(&failure);
        printable(e->refusal != MIG_REFUSAL_OTHER ? mig_refusal_text(e->refusal) : failure.reason,
                  e->reason);
    }
}

/* ---- the envelope ---- */

/* Enters it and goes to the result; false when there is none. An `error` on
 * the way is kept in `e`. */
static bool next_result(struct mig_json *j, struct mig_rpc_error *e, bool *failed)
{
    enum { RESULT, ERROR };
    static const char *const fields[] = {"result", "error", NULL};
    unsigned seen = 0;
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == RESULT)
            return true;
        if (mig_json_null(j))
            continue;
        read_error(j, e);
        *failed = true;
    }
    return false;
}

enum mig_err mig_envelope_read(const char *json, size_t len,
                               void (*read)(struct mig_json *j, void *out,
                                            struct mig_rpc_error *e, bool *failed),
                               void *out, struct mig_rpc_error *e)
{
    struct mig_json j;
    bool failed = false, found = false;
    memset(e, 0, sizeof *e);
    mig_json_init(&j, json, len);
    mig_json_object(&j);
    while (next_result(&j, e, &failed)) {
        if (failed) { /* an error is final, whatever stands beside it */
            mig_json_skip(&j);
        } else {
            read(&j, out, e, &failed);
            found = true;
        }
    }
    mig_json_need(&j, failed || found);
    enum mig_err err = mig_json_end(&j);
    if (err == MIG_ERR_NOMEM)
        return mig_rpc_error_set(e, MIG_ERR_NOMEM, MIG_FAULT_OTHER, "out of memory");
    if (err != MIG_OK)
        return nonsense(e);
    return failed ? e->err : MIG_OK;
}

static void read_hash(struct mig_json *j, char hash[MIG_HASH_TEXT_MAX])
{
    uint8_t bytes[MIG_DIGEST_LEN];
    mig_json_string(j, hash, MIG_HASH_TEXT_MAX);
    if (j->err == MIG_OK)
        mig_json_need(j, mig_hash_parse(hash, bytes) == MIG_OK);
}

/* The first form: an error inside the result. */
static void read_inner_error(struct mig_json *j, struct mig_rpc_error *e, bool *failed)
{
    char text[MIG_REASON_MAX] = "";
    read_text(j, text);
    classify_text(e, text);
    *failed = true;
}

/* ---- query ---- */

void mig_returned_clear(struct mig_returned *returned)
{
    free(returned->bytes);
    memset(returned, 0, sizeof *returned);
}

/* Every byte takes at least two characters: one allocation is enough. */
static void read_byte_array(struct mig_json *j, struct mig_returned *out)
{
    size_t cap = (size_t)(j->end - j->at) / 2 + 1;
    free(out->bytes);
    out->bytes = malloc(cap + 1);
    if (out->bytes == NULL) {
        mig_json_fail(j, MIG_ERR_NOMEM);
        return;
    }
    mig_json_bytes(j, (uint8_t *)out->bytes, cap, &out->len);
    out->bytes[out->len] = '\0';
    char *fitted = realloc(out->bytes, out->len + 1);
    if (fitted != NULL)
        out->bytes = fitted;
}

static void read_view(struct mig_json *j, void *value, struct mig_rpc_error *e, bool *failed)
{
    enum { RESULT, ERROR, HEIGHT, HASH };
    static const char *const fields[] = {"result", "error", "block_height", "block_hash", NULL};
    struct mig_returned *out = value;
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == RESULT)
            read_byte_array(j, out);
        else if (f == ERROR)
            read_inner_error(j, e, failed);
        else if (f == HEIGHT)
            out->height = mig_json_u64(j);
        else
            read_hash(j, out->block_hash);
    }
    mig_json_need(j, *failed || seen == (1u << RESULT | 1u << HEIGHT | 1u << HASH));
}

enum mig_err mig_envelope_view(const char *json, size_t len, struct mig_returned *out,
                               struct mig_rpc_error *e)
{
    memset(out, 0, sizeof *out);
    enum mig_err err = mig_envelope_read(json, len, read_view, out, e);
    if (err != MIG_OK)
        mig_returned_clear(out);
    return err;
}

/* "FullAccess" or {"FunctionCall":{...}}; later kinds count as restricted. */
static bool read_permission(struct mig_json *j)
{
    char text[16] = "";
    if (mig_json_peek(j) == MIG_JSON_STRING)
        (void)mig_json_string_fits(j, text, sizeof text);
    else
        mig_json_skip(j);
    return strcmp(text, "FullAccess") == 0;
}

static void read_access_key(struct mig_json *j, void *value, struct mig_rpc_error *e, bool *failed)
{
    enum { NONCE, ERROR, HEIGHT, PERMISSION };
    static const char *const fields[] = {"nonce", "error", "block_height", "permission", NULL};
    struct mig_access_key *out = value;
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == NONCE)
            out->nonce = mig_json_u64(j);
        else if (f == ERROR)
            read_inner_error(j, e, failed);
        else if (f == HEIGHT)
            out->height = mig_json_u64(j);
        else
            out->full_access = read_permission(j);
    }
    mig_json_need(j, *failed || seen == (1u << NONCE | 1u << HEIGHT | 1u << PERMISSION));
}

enum mig_err mig_envelope_access_key(const char *json, size_t len, struct mig_access_key *out,
                                     struct mig_rpc_error *e)
{
    memset(out, 0, sizeof *out);
    enum mig_err err = mig_envelope_read(json, len, read_access_key, out, e);
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

/* ---- block ---- */

static void read_header(struct mig_json *j, struct mig_tip *out)
{
    enum { HEIGHT, HASH, TIME };
    static const char *const fields[] = {"height", "hash", "timestamp", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == HEIGHT)
            out->block.height = mig_json_u64(j);
        else if (f == HASH)
            read_hash(j, out->hash);
        else
            out->block.time_ns = mig_json_u64(j);
    }
    mig_json_need(j, seen == (1u << HEIGHT | 1u << HASH | 1u << TIME));
}

static void read_block(struct mig_json *j, void *value, struct mig_rpc_error *e, bool *failed)
{
    static const char *const fields[] = {"header", NULL};
    unsigned seen = 0;
    (void)e;
    (void)failed;
    mig_json_object(j);
    while (mig_json_field(j, fields, &seen) >= 0)
        read_header(j, value);
    mig_json_need(j, seen == 1);
}

enum mig_err mig_envelope_block(const char *json, size_t len, struct mig_tip *out,
                                struct mig_rpc_error *e)
{
    memset(out, 0, sizeof *out);
    enum mig_err err = mig_envelope_read(json, len, read_block, out, e);
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

/* ---- status ---- */

static void read_node_status(struct mig_json *j, void *value, struct mig_rpc_error *e, bool *failed)
{
    static const char *const fields[] = {"chain_id", NULL};
    struct mig_node_status *out = value;
    unsigned seen = 0;
    (void)e;
    (void)failed;
    mig_json_object(j);
    while (mig_json_field(j, fields, &seen) >= 0)
        mig_json_string(j, out->chain_id, sizeof out->chain_id);
    size_t len = strlen(out->chain_id);
    mig_json_need(j, seen == 1 && len > 0 &&
                         strspn(out->chain_id, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len);
}

enum mig_err mig_envelope_status(const char *json, size_t len, struct mig_node_status *out,
                                 struct mig_rpc_error *e)
{
    memset(out, 0, sizeof *out);
    enum mig_err err = mig_envelope_read(json, len, read_node_status, out, e);
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

/* ---- transactions ---- */

/* {"SuccessValue"|"SuccessReceiptId": ...}, {"Failure": ...}, "Started", ... */
static enum mig_tx_status read_status(struct mig_json *j, char reason[MIG_REASON_MAX])
{
    struct mig_json_name name;
    enum mig_tx_status status = MIG_TX_PENDING;
    if (mig_json_peek(j) != MIG_JSON_OBJECT) {
        mig_json_need(j, mig_json_peek(j) == MIG_JSON_STRING);
        mig_json_skip(j);
        return MIG_TX_PENDING;
    }
    for (mig_json_object(j); mig_json_member(j, &name);) {
        struct failure failure = {0};
        if (mig_json_is(&name, "Failure")) {
            read_failure(j, &failure);
            finish_failure(&failure);
            memcpy(reason, failure.reason, MIG_REASON_MAX);
            status = MIG_TX_FAILED;
            continue;
        }
        if (mig_json_is(&name, "SuccessValue") || mig_json_is(&name, "SuccessReceiptId"))
            status = MIG_TX_EXECUTED;
        mig_json_skip(j);
    }
    return status;
}

/* {"outcome": {"status": ...}} */
static bool receipt_failed(struct mig_json *j)
{
    static const char *const outer[] = {"outcome", NULL}, *const inner[] = {"status", NULL};
    char reason[MIG_REASON_MAX];
    unsigned seen = 0;
    bool failed = false;
    mig_json_object(j);
    while (mig_json_field(j, outer, &seen) >= 0) {
        mig_json_object(j);
        while (mig_json_field(j, inner, &seen) >= 0)
            failed = read_status(j, reason) == MIG_TX_FAILED;
    }
    return failed;
}

/* With wait_until NONE there is no status at all. */
static void read_outcome(struct mig_json *j, void *value, struct mig_rpc_error *e, bool *failed)
{
    enum { STATUS, RECEIPTS, FINAL };
    static const char *const fields[] = {"status", "receipts_outcome", "final_execution_status",
                                         NULL};
    struct mig_outcome *out = value;
    unsigned seen = 0;
    (void)e;
    (void)failed;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == STATUS)
            out->status = read_status(j, out->reason);
        else if (f == RECEIPTS)
            for (mig_json_array(j); mig_json_item(j);)
                out->receipt_failed |= receipt_failed(j);
        else
            mig_json_skip(j);
    }
    mig_json_need(j, (seen & (1u << STATUS | 1u << FINAL)) != 0);
}

enum mig_err mig_envelope_outcome(const char *json, size_t len, struct mig_outcome *out,
                                  struct mig_rpc_error *e)
{
    memset(out, 0, sizeof *out);
    enum mig_err err = mig_envelope_read(json, len, read_outcome, out, e);
    if (err != MIG_OK)
        memset(out, 0, sizeof *out);
    return err;
}

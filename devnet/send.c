/* SPDX-License-Identifier: MIT */
/* Transactions in, and what became of them. */
#include "devnet/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/encoding.h"

enum wait {
    WAIT_NONE,
    WAIT_INCLUDED,
    WAIT_EXECUTED_OPTIMISTIC,
    WAIT_INCLUDED_FINAL,
    WAIT_EXECUTED,
    WAIT_FINAL
};
static const char *const wait_names[] = {"NONE",           "INCLUDED", "EXECUTED_OPTIMISTIC",
                                         "INCLUDED_FINAL", "EXECUTED", "FINAL"};

static bool read_wait(struct mig_devnet_call *c, size_t position, enum wait *wait)
{
    const char *text = mig_devnet_param_text(c, "wait_until", position);
    *wait = WAIT_EXECUTED_OPTIMISTIC;
    if (text == NULL)
        return true;
    for (unsigned i = 0; i < sizeof wait_names / sizeof *wait_names; i++)
        if (strcmp(wait_names[i], text) == 0) {
            *wait = (enum wait)i;
            return true;
        }
    mig_devnet_parse_error(c, "Failed parsing args: unknown variant of wait_until");
    return false;
}

static enum wait reached(const struct mig_devnet *d, const struct mig_devnet_record *r)
{
    uint64_t final = mig_devnet_block_back(&d->chain, d->chain.final_lag)->height;
    if (r->is_pending)
        return WAIT_NONE;
    return final >= r->executed   ? WAIT_FINAL
           : final >= r->included ? WAIT_EXECUTED
                                  : WAIT_EXECUTED_OPTIMISTIC;
}

static struct timespec deadline(unsigned ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Waits with the lock given up; the record is looked up anew each time. NULL:
 * unknown, or the time is over with `*timed_out`. */
static const struct mig_devnet_record *
await(struct mig_devnet *d, const uint8_t hash[MIG_DIGEST_LEN], enum wait wait, bool *timed_out)
{
    struct timespec at = deadline(d->config.wait_ms);
    *timed_out = false;
    for (;;) {
        const struct mig_devnet_record *r = mig_devnet_record_find(&d->chain, hash);
        if (r == NULL || reached(d, r) >= wait)
            return r;
        if (d->is_stopping || pthread_cond_timedwait(&d->changed, &d->lock, &at) == ETIMEDOUT) {
            *timed_out = true;
            return NULL;
        }
    }
}

static void answer(struct mig_devnet_call *c, const struct mig_devnet_record *r, bool with_receipts)
{
    mig_print_printf(&c->result, "{\"final_execution_status\":\"%s\"",
                     wait_names[reached(c->d, r)]);
    if (r->outcome != NULL) {
        mig_print_put(&c->result, ",");
        mig_print_put(&c->result, r->outcome);
    }
    if (r->receipts != NULL && with_receipts) {
        mig_print_put(&c->result, ",\"receipts\":");
        mig_print_put(&c->result, r->receipts);
    }
    mig_print_put(&c->result, "}");
}

static void unknown_transaction(struct mig_devnet_call *c, const uint8_t hash[MIG_DIGEST_LEN])
{
    struct mig_print info = {0};
    struct mig_print data = {0};
    char text[MIG_BASE58_INPUT_MAX] = "";
    if (mig_base58_encode(hash, MIG_DIGEST_LEN, text, sizeof text) != MIG_OK)
        text[0] = '\0';
    mig_print_printf(&info, "{\"requested_transaction_hash\":\"%s\"}", text);
    mig_print_printf(&data, "Transaction %s doesn't exist", text);
    mig_devnet_handler_error(c, "UNKNOWN_TRANSACTION", info.s != NULL ? info.s : "{}",
                             data.s != NULL ? data.s : "");
    mig_print_clear(&info);
    mig_print_clear(&data);
}

static void await_and_answer(struct mig_devnet_call *c, const uint8_t hash[MIG_DIGEST_LEN],
                             enum wait wait, bool with_receipts)
{
    bool timed_out;
    const struct mig_devnet_record *r = await(c->d, hash, wait, &timed_out);
    if (r != NULL)
        answer(c, r, with_receipts);
    else if (timed_out)
        mig_devnet_timeout(c);
    else
        unknown_transaction(c, hash);
}

static bool decode(struct mig_devnet_call *c, struct mig_devnet_tx *tx)
{
    const char *text = mig_devnet_param_text(c, "signed_tx_base64", 0);
    char why[MIG_DEVNET_WHY_MAX] = "not base64";
    size_t cap = text != NULL ? strlen(text) + 1 : 1;
    size_t len = 0;
    uint8_t *bytes = malloc(cap);
    bool ok = bytes != NULL && text != NULL &&
              mig_base64_decode(text, strlen(text), bytes, cap, &len) == MIG_OK &&
              mig_devnet_tx_decode(bytes, len, tx, why) == MIG_OK;
    free(bytes);
    if (!ok) {
        struct mig_print message = {0};
        mig_print_printf(&message, "Failed to decode transaction: %s", why);
        mig_devnet_parse_error(c, message.s != NULL ? message.s : why);
        mig_print_clear(&message);
    }
    return ok;
}

static void invalid_transaction(struct mig_devnet_call *c, const char *error)
{
    if (c->error.len > 0)
        return;
    mig_print_put(
        &c->error,
        "{\"name\":\"HANDLER_ERROR\",\"cause\":{\"name\":\"INVALID_TRANSACTION\",\"info\":{}},"
        "\"code\":-32000,\"message\":\"Server error\",\"data\":");
    mig_print_put(&c->error, error);
    mig_print_put(&c->error, "}");
}

/* True when the transaction is, or already was, accepted. The same bytes a
 * second time are not a replay: they name what is known. */
static bool submit(struct mig_devnet_call *c, uint8_t hash[MIG_DIGEST_LEN])
{
    struct mig_devnet_tx tx;
    struct mig_print error = {0};
    if (!decode(c, &tx))
        return false;
    memcpy(hash, tx.hash, MIG_DIGEST_LEN);
    if (mig_devnet_record_find(&c->d->chain, hash) != NULL) {
        mig_devnet_tx_clear(&tx);
        return true;
    }
    enum mig_err err = mig_devnet_validate(&c->d->chain, &tx, &error);
    bool refused = error.len > 0;
    if (err == MIG_OK && refused)
        invalid_transaction(c, error.s);
    if (err == MIG_OK && !refused)
        err = mig_devnet_submit(&c->d->chain, &tx, mig_devnet_now_ns());
    if (err == MIG_OK && !refused)
        err = mig_devnet_settle(c->d);
    if (err != MIG_OK)
        mig_devnet_handler_error(c, "INTERNAL_ERROR", "{}", mig_err_text(err));
    mig_print_clear(&error);
    mig_devnet_tx_clear(&tx);
    return err == MIG_OK && !refused;
}

static void send(struct mig_devnet_call *c, enum wait wait)
{
    uint8_t hash[MIG_DIGEST_LEN];
    if (!submit(c, hash))
        return;
    if (wait == WAIT_NONE)
        mig_print_put(&c->result, "{\"final_execution_status\":\"NONE\"}");
    else
        await_and_answer(c, hash, wait, false);
}

void mig_devnet_send_tx_rpc(struct mig_devnet_call *c)
{
    enum wait wait;
    if (read_wait(c, 1, &wait))
        send(c, wait);
}

void mig_devnet_broadcast_commit_rpc(struct mig_devnet_call *c)
{
    send(c, WAIT_EXECUTED_OPTIMISTIC);
}

void mig_devnet_broadcast_async_rpc(struct mig_devnet_call *c)
{
    uint8_t hash[MIG_DIGEST_LEN];
    if (submit(c, hash))
        mig_devnet_base58(&c->result, hash, MIG_DIGEST_LEN);
}

static void look_up(struct mig_devnet_call *c, bool with_receipts)
{
    enum wait wait;
    uint8_t hash[MIG_BASE58_INPUT_MAX];
    size_t len = 0;
    if (!read_wait(c, 2, &wait))
        return;
    const char *text = mig_devnet_param_text(c, "tx_hash", 0);
    if (text == NULL && mig_devnet_param(c, "signed_tx_base64", SIZE_MAX) != NULL) {
        send(c, wait);
        return;
    }
    if (text == NULL || mig_base58_decode(text, strlen(text), hash, sizeof hash, &len) != MIG_OK ||
        len != MIG_DIGEST_LEN) {
        mig_devnet_parse_error(c, "Failed parsing args: tx_hash is not a hash");
        return;
    }
    await_and_answer(c, hash, wait, with_receipts);
}

void mig_devnet_tx_rpc(struct mig_devnet_call *c)
{
    look_up(c, false);
}

void mig_devnet_tx_status_rpc(struct mig_devnet_call *c)
{
    look_up(c, true);
}

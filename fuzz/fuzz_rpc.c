/* SPDX-License-Identifier: MIT */
/*
 * Target: chain/envelope.h, the answers of a JSON-RPC endpoint. The endpoint
 * may be anybody on the way to the chain. Either a value is complete or an
 * error is, and what a log would print is printable.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void is_printable(const char *text)
{
    require(strlen(text) < MIG_REASON_MAX);
    for (; *text != '\0'; text++)
        require(*text >= ' ' && *text < 0x7f);
}

static void is_whole(enum mig_err err, const struct mig_rpc_error *e)
{
    require((err == MIG_OK) == (e->err == MIG_OK));
    require(err == e->err && (err == MIG_OK) == (e->fault == MIG_FAULT_NONE));
    require(e->fault == MIG_FAULT_INVALID_TX || e->refusal == MIG_REFUSAL_NONE);
    is_printable(e->reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct mig_returned view;
    struct mig_tip head;
    struct mig_access_key key;
    struct mig_outcome outcome;
    struct mig_node_status status;
    struct mig_rpc_error e;
    uint8_t hash[MIG_DIGEST_LEN];
    enum mig_err err = mig_envelope_view(text, size, &view, &e);
    is_whole(err, &e);
    require((err == MIG_OK) == (view.bytes != NULL));
    if (err == MIG_OK)
        require(view.len <= size && view.bytes[view.len] == '\0' &&
                mig_hash_parse(view.block_hash, hash) == MIG_OK);
    mig_returned_clear(&view);
    err = mig_envelope_block(text, size, &head, &e);
    is_whole(err, &e);
    require((err == MIG_OK) == (mig_hash_parse(head.hash, hash) == MIG_OK));
    is_whole(mig_envelope_status(text, size, &status, &e), &e);
    is_whole(mig_envelope_access_key(text, size, &key, &e), &e);
    is_whole(mig_envelope_outcome(text, size, &outcome, &e), &e);
    is_printable(outcome.reason);
    require((outcome.status == MIG_TX_FAILED) == (outcome.reason[0] != '\0'));
    return 0;
}

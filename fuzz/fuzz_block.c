/* SPDX-License-Identifier: MIT */
/*
 * Target: chain/block.h, the message about a block, and chain/checkpoint.h. A
 * server of messages may be anybody, and everybody on the chain writes receipts
 * into them; a checkpoint lies on a disk. Either all of it is there or nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/account.h"
#include "chain/block.h"
#include "chain/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void is_whole(const struct mig_block_update *u, size_t size)
{
    require(u->context.height > u->context.prev_height);
    size_t total = 0;
    for (size_t i = 0; i < u->count; i++) {
        const struct mig_block_event *e = &u->events[i];
        require((int)e->kind < MIG_REQUEST_KINDS && (e->args == NULL) == e->completed);
        require(mig_account_is_valid(e->predecessor, strlen(e->predecessor)));
        require(e->completed || (!e->succeeded && e->args[e->args_len] == '\0'));
        require(!e->completed || memcmp(e->id, e->receipt, MIG_DIGEST_LEN) == 0);
        for (size_t k = 0; k < i; k++)
            require(memcmp(e->receipt, u->events[k].receipt, MIG_DIGEST_LEN) != 0);
        total += e->args_len;
    }
    require(total <= size);
}

static void is_nothing(const struct mig_block_update *u)
{
    require(u->count == 0 && u->events == NULL && u->context.height == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct mig_block_update strict, loose;
    struct mig_marks marks;
    uint8_t again[MIG_CHECKPOINT_MAX];
    size_t len;
    enum mig_err err = mig_block_parse(text, size, "v1.signer", true, &strict);
    enum mig_err without = mig_block_parse(text, size, "v1.signer", false, &loose);
    require(err != MIG_OK || (without == MIG_OK && strict.count == loose.count));
    if (without == MIG_OK)
        is_whole(&loose, size);
    else
        is_nothing(&loose);
    if (err != MIG_OK)
        is_nothing(&strict);
    mig_block_update_clear(&strict);
    mig_block_update_clear(&loose);
    if (mig_checkpoint_decode(data, size, "v1.signer", &marks) == MIG_OK) {
        require(mig_checkpoint_encode(&marks, "v1.signer", again, &len) == MIG_OK);
        require(len == size && memcmp(again, data, size) == 0);
    }
    return 0;
}

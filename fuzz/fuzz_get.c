/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_got_parse. The text comes from an RPC endpoint; the first byte
 * picks the view. What is accepted is bounded and means the same when it is
 * read again.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/get.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_got got, again;
    if (size == 0)
        return 0;
    enum mig_get_kind kind = (enum mig_get_kind)(data[0] % MIG_GET_KINDS);
    const char *json = (const char *)data + 1;
    enum mig_err err = mig_got_parse(kind, json, size - 1, "alice.near", &got);
    if (err != MIG_OK) {
        require(err == MIG_ERR_MALFORMED && got.attested.list == NULL);
        return 0;
    }
    if (kind == MIG_GET_ATTESTED)
        require(got.attested.count <= MIG_ATTESTED_MAX);
    if (kind == MIG_GET_IMAGES || kind == MIG_GET_LAUNCHERS)
        require(got.allowed.count <= MIG_HASHES_MAX);
    require(mig_got_parse(kind, json, size - 1, "alice.near", &again) == MIG_OK);
    require(mig_got_is_equal(&got, &again));
    mig_got_clear(&got);
    mig_got_clear(&again);
    return 0;
}

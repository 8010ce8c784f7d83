/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_devnet_tx_decode and the JSON view of what it decoded.
 * Reached by: anyone who can reach the devnet's port.
 * Holds: one reading per input; neither a byte more nor a byte less decodes;
 * the view is JSON.
 */
#include "devnet/transaction.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool decodes(const uint8_t *data, size_t size)
{
    char why[MIG_DEVNET_WHY_MAX];
    struct mig_devnet_tx tx;
    enum mig_err err = mig_devnet_tx_decode(data, size, &tx, why);
    if ((err == MIG_OK) != (why[0] == '\0'))
        abort();
    mig_devnet_tx_clear(&tx);
    return err == MIG_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[MIG_DEVNET_WHY_MAX];
    struct mig_devnet_tx tx;
    struct mig_print t = {0};
    if (mig_devnet_tx_decode(data, size, &tx, why) != MIG_OK)
        return 0;
    uint8_t *longer = malloc(size + 1);
    if (longer == NULL)
        abort();
    memcpy(longer, data, size);
    longer[size] = 0;
    if (decodes(longer, size + 1) || decodes(longer, size - 1) || !decodes(longer, size))
        abort();
    free(longer);
    mig_devnet_tx_format(&t, &tx);
    /* Method names are raw bytes: only where they are text must the view be. */
    bool text = !t.failed;
    for (size_t i = 0; text && i < t.len; i++)
        text = (uint8_t)t.s[i] < 0x80;
    json_error_t error;
    json_t *value = text ? json_loadb(t.s, t.len, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (text && value == NULL && strstr(error.text, "too big integer") == NULL)
        abort();
    json_decref(value);
    mig_print_clear(&t);
    mig_devnet_tx_clear(&tx);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The context field of any request, read before its signature is verified.
 * Exactly the texts that the formatter writes are accepted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_context context;
    char text[MIG_CONTEXT_MAX + 1];
    size_t len;
    if (mig_context_parse((const char *)data, size, &context) != MIG_OK)
        return 0;
    if (mig_context_format(&context, text, sizeof text, &len) != MIG_OK || len != size ||
        memcmp(text, data, len) != 0)
        abort();
    return 0;
}

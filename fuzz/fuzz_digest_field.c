/* SPDX-License-Identifier: MIT */
/*
 * Content-Digest of an upload, read before its signature is verified. What is
 * accepted contains the one canonical spelling of what is returned.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t digest[MIG_DIGEST_LEN];
    char field[MIG_DIGEST_FIELD_LEN];
    if (mig_digest_field_parse((struct mig_text){(const char *)data, size}, digest) != MIG_OK)
        return 0;
    mig_digest_field_format(digest, field);
    if (memmem(data, size, field, strlen(field)) == NULL)
        abort();
    return 0;
}

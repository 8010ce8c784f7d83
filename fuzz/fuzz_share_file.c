/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_share_file_parse and _open. Whoever can write to the disk (or a
 * disk that fails) chooses these bytes; they are read at every start. The
 * unkeyed digest at the end is put right first, so that the fuzzer gets past it.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/exchange.h"
#include "store/share_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mig_secret *key, *scratch, *shares;

static void start(void)
{
    if (key != NULL)
        return;
    if (mig_crypto_init() != MIG_OK)
        abort();
    key = mig_secret_new(MIG_STORE_KEY_LEN);
    scratch = mig_secret_new(MIG_SHARE_FILE_SCRATCH);
    shares = mig_secret_new((size_t)MIG_DOMAINS_MAX * MIG_SHARE_LEN);
    if (key == NULL || scratch == NULL || shares == NULL)
        abort();
    memset(key->bytes, 7, key->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_share_file file;
    start();
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    if (size > MIG_DIGEST_LEN)
        mig_sha256(bytes, size - MIG_DIGEST_LEN, bytes + size - MIG_DIGEST_LEN);
    if (mig_share_file_parse(bytes, size, &file) == MIG_OK) {
        if (file.keyset.count == 0 || file.keyset.count > MIG_DOMAINS_MAX)
            abort();
        enum mig_err err = mig_share_file_open(key, bytes, size, scratch, (void *)shares->bytes,
                                               file.keyset.count);
        if (err != MIG_OK && err != MIG_ERR_DENIED)
            abort();
        mig_share_file_clear(&file);
    }
    free(bytes);
    return 0;
}

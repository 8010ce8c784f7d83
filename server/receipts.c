/* SPDX-License-Identifier: MIT */
#include "server/receipts.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/record.h"

#define RECORD "backup-receipts"

enum { ENTRY_LEN = 8 + 8 + MIG_DIGEST_LEN + MIG_DIGEST_LEN };

static void encode(const struct mig_backup_receipt *r, uint8_t out[ENTRY_LEN])
{
    uint64_t epoch = htobe64(r->epoch), at = htobe64(r->recorded_at);
    memcpy(out, &epoch, 8);
    memcpy(out + 8, &at, 8);
    memcpy(out + 16, r->keyset, MIG_DIGEST_LEN);
    memcpy(out + 16 + MIG_DIGEST_LEN, r->context_hash, MIG_DIGEST_LEN);
}

static void decode(const uint8_t in[ENTRY_LEN], struct mig_backup_receipt *r)
{
    uint64_t epoch, at;
    memcpy(&epoch, in, 8);
    memcpy(&at, in + 8, 8);
    r->epoch = be64toh(epoch);
    r->recorded_at = be64toh(at);
    memcpy(r->keyset, in + 16, MIG_DIGEST_LEN);
    memcpy(r->context_hash, in + 16 + MIG_DIGEST_LEN, MIG_DIGEST_LEN);
}

enum mig_err mig_receipts_load(struct mig_receipts *receipts, const char *folder)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    receipts->count = 0;
    enum mig_err err = mig_record_load(folder, RECORD, &bytes, &len);
    if (err == MIG_OK && (len % ENTRY_LEN != 0 || len / ENTRY_LEN > MIG_RECEIPTS_MAX))
        err = MIG_ERR_MALFORMED;
    for (size_t i = 0; err == MIG_OK && i < len / ENTRY_LEN; i++)
        decode(bytes + i * ENTRY_LEN, &receipts->list[receipts->count++]);
    free(bytes);
    return err == MIG_ERR_NOT_FOUND ? MIG_OK : err;
}

static bool has(const struct mig_receipts *receipts, const struct mig_backup_receipt *receipt)
{
    for (size_t i = 0; i < receipts->count; i++)
        if (memcmp(receipts->list[i].context_hash, receipt->context_hash, MIG_DIGEST_LEN) == 0)
            return true;
    return false;
}

enum mig_err mig_receipts_add(struct mig_receipts *receipts,
                              const struct mig_backup_receipt *receipt, const char *folder)
{
    if (has(receipts, receipt))
        return MIG_OK;
    size_t skip = receipts->count == MIG_RECEIPTS_MAX ? 1 : 0;
    size_t count = receipts->count - skip;
    uint8_t bytes[MIG_RECEIPTS_MAX * ENTRY_LEN];
    for (size_t i = 0; i < count; i++)
        encode(&receipts->list[i + skip], bytes + i * ENTRY_LEN);
    encode(receipt, bytes + count * ENTRY_LEN);
    enum mig_err err = mig_record_save(folder, RECORD, bytes, (count + 1) * ENTRY_LEN);
    if (err != MIG_OK)
        return err;
    memmove(receipts->list, receipts->list + skip, count * sizeof receipts->list[0]);
    receipts->list[count] = *receipt;
    receipts->count = count + 1;
    return MIG_OK;
}

const struct mig_backup_receipt *mig_receipts_last(const struct mig_receipts *receipts)
{
    return receipts->count > 0 ? &receipts->list[receipts->count - 1] : NULL;
}

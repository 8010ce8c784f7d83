/* SPDX-License-Identifier: MIT */
/*
 * The replay window's journal, as a crash, a full disk or a bad sector may
 * leave it. What is called intact is what the writer would have written.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/journal.h"

static void compare_record(const uint8_t *data, size_t index)
{
    uint8_t bytes[MIG_JOURNAL_RECORD_LEN + MIG_JOURNAL_END_LEN];
    struct mig_nonce_record record;
    mig_journal_record(data, index, &record);
    mig_journal_put_record(&record, index, bytes);
    if (memcmp(bytes, data + MIG_JOURNAL_HEADER_LEN + index * MIG_JOURNAL_RECORD_LEN,
               MIG_JOURNAL_RECORD_LEN) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_journal_header header;
    uint8_t bytes[MIG_JOURNAL_HEADER_LEN], end[MIG_JOURNAL_END_LEN];
    size_t records;
    bool is_whole;
    if (mig_journal_parse(data, size, &header, &records, &is_whole) != MIG_OK)
        return 0;
    mig_journal_put_header(&header, bytes);
    size_t used = MIG_JOURNAL_HEADER_LEN + records * MIG_JOURNAL_RECORD_LEN;
    if (memcmp(bytes, data, sizeof bytes) != 0 || used > size)
        abort();
    for (size_t i = 0; i < records; i++)
        compare_record(data, i);
    mig_journal_put_end(end);
    bool has_end = size - used == sizeof end && memcmp(data + used, end, sizeof end) == 0;
    if (has_end != is_whole)
        abort();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_journal_decode. The record's checksum only finds accidents: who
 * can write to the folder chooses these bytes. What decodes must encode to
 * something that decodes to the same, and a machine must start from it.
 */
#include <stdlib.h>
#include <string.h>

#include "migration/journal.h"
#include "migration/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[MIG_KEY_LEN] = {'M'};
    struct mig_journal first, second;
    uint8_t *once, *twice;
    size_t once_len, twice_len;
    if (mig_journal_decode(data, size, &first) != MIG_OK)
        return 0;
    if (mig_journal_encode(&first, &once, &once_len) != MIG_OK)
        abort();
    if (mig_journal_decode(once, once_len, &second) != MIG_OK)
        abort();
    if (mig_journal_encode(&second, &twice, &twice_len) != MIG_OK)
        abort();
    if (once_len != twice_len || memcmp(once, twice, once_len) != 0)
        abort();
    struct mig_machine *machine;
    if (mig_machine_new("a.near", key, data, size, &machine) != MIG_OK)
        abort();
    mig_machine_free(&machine);
    mig_journal_clear(&first);
    mig_journal_clear(&second);
    free(once);
    free(twice);
    return 0;
}

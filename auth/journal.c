/* SPDX-License-Identifier: MIT */
#include "auth/journal.h"

#include <string.h>

#include <sodium.h>

enum { CHECK_LEN = 8, MAGIC_LEN = 8 };
static const uint8_t magic[MAGIC_LEN] = {'M', 'I', 'G', 'N', 'O', 'N', 'C', '1'};
static const uint8_t end[MIG_JOURNAL_END_LEN] = {'M', 'I', 'G', 'N', 'E', 'N', 'D', '.'};

_Static_assert(CHECK_LEN == crypto_shorthash_BYTES, "a check is one SipHash");
_Static_assert(crypto_shorthash_KEYBYTES >= 8, "its key has room for a position");

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)value;
        value >>= 8;
    }
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

/* Against accidents, not against someone who can write the file: the position
 * is the key. The header's is one that no record has. */
static void check_of(const uint8_t *bytes, size_t len, uint64_t position, uint8_t out[CHECK_LEN])
{
    uint8_t key[crypto_shorthash_KEYBYTES] = {0};
    put_u64(key, position);
    (void)crypto_shorthash(out, bytes, len, key);
}

static bool is_intact(const uint8_t *bytes, size_t len, uint64_t position)
{
    uint8_t check[CHECK_LEN];
    check_of(bytes, len - CHECK_LEN, position, check);
    return memcmp(check, bytes + len - CHECK_LEN, CHECK_LEN) == 0;
}

enum mig_err mig_journal_parse(const uint8_t *bytes, size_t len, struct mig_journal_header *header,
                               size_t *records, bool *is_whole)
{
    *header = (struct mig_journal_header){0};
    *records = 0;
    *is_whole = false;
    if (len < MIG_JOURNAL_HEADER_LEN || memcmp(bytes, magic, sizeof magic) != 0 ||
        !is_intact(bytes, MIG_JOURNAL_HEADER_LEN, UINT64_MAX))
        return MIG_ERR_MALFORMED;
    memcpy(header->boot, bytes + 8, sizeof header->boot);
    header->file = get_u64(bytes + 24);
    memcpy(header->hash_key, bytes + 32, sizeof header->hash_key);
    header->mark = get_u64(bytes + 48);
    header->floor = get_u64(bytes + 56);
    const uint8_t *at = bytes + MIG_JOURNAL_HEADER_LEN;
    size_t left = len - MIG_JOURNAL_HEADER_LEN;
    while (left >= MIG_JOURNAL_RECORD_LEN && is_intact(at, MIG_JOURNAL_RECORD_LEN, *records)) {
        at += MIG_JOURNAL_RECORD_LEN;
        left -= MIG_JOURNAL_RECORD_LEN;
        ++*records;
    }
    *is_whole = left == sizeof end && memcmp(at, end, sizeof end) == 0;
    return MIG_OK;
}

void mig_journal_record(const uint8_t *bytes, size_t index, struct mig_nonce_record *record)
{
    const uint8_t *at = bytes + MIG_JOURNAL_HEADER_LEN + index * MIG_JOURNAL_RECORD_LEN;
    memcpy(record->id, at, sizeof record->id);
    record->created = get_u64(at + 16);
    record->expires = get_u64(at + 24);
}

void mig_journal_put_header(const struct mig_journal_header *header,
                            uint8_t out[MIG_JOURNAL_HEADER_LEN])
{
    memcpy(out, magic, sizeof magic);
    memcpy(out + 8, header->boot, sizeof header->boot);
    put_u64(out + 24, header->file);
    memcpy(out + 32, header->hash_key, sizeof header->hash_key);
    put_u64(out + 48, header->mark);
    put_u64(out + 56, header->floor);
    check_of(out, MIG_JOURNAL_HEADER_LEN - CHECK_LEN, UINT64_MAX, out + 64);
}

void mig_journal_put_record(const struct mig_nonce_record *record, uint64_t index,
                            uint8_t out[MIG_JOURNAL_RECORD_LEN + MIG_JOURNAL_END_LEN])
{
    memcpy(out, record->id, sizeof record->id);
    put_u64(out + 16, record->created);
    put_u64(out + 24, record->expires);
    check_of(out, MIG_JOURNAL_RECORD_LEN - CHECK_LEN, index, out + 32);
    mig_journal_put_end(out + MIG_JOURNAL_RECORD_LEN);
}

void mig_journal_put_end(uint8_t out[MIG_JOURNAL_END_LEN])
{
    memcpy(out, end, sizeof end);
}

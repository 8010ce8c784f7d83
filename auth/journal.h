/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_JOURNAL_H
#define MIG_AUTH_JOURNAL_H
/*
 * The replay window's file; private to auth/.
 *
 *     header   "MIGNONC1" | boot 16 | file 8 | hash key 16 | mark 8 | floor 8 | check 8
 *     record   id 16 | created 8 | expires 8 | check 8        (any number)
 *     end      "MIGNEND." 8
 *
 * All numbers big-endian. The end lies after the last record and the next one
 * overwrites it, record and new end in one write(2): a file that was cut, at
 * whatever octet, is not whole. A record's check covers its position, so that
 * one that was moved or doubled does not pass either. `boot` and `file` (the
 * inode) tie the journal to this boot and to this very file: after a reboot
 * writes may be missing, and in a copy or a restored backup they are.
 *
 * Nothing is synced after a record. Within one boot the kernel keeps what was
 * written whatever happens to the process; after a reboot the journal is not
 * trusted anyhow, and start + W covers what it may have lost.
 */
#include "crypto/secret.h"

enum {
    MIG_JOURNAL_BOOT_LEN = 16,
    MIG_JOURNAL_HASH_KEY_LEN = 16,
    MIG_NONCE_ID_LEN = 16, /* keyed hash of identity key and nonce */
    MIG_JOURNAL_HEADER_LEN = 72,
    MIG_JOURNAL_RECORD_LEN = 40,
    MIG_JOURNAL_END_LEN = 8,
};

struct mig_journal_header {
    uint8_t boot[MIG_JOURNAL_BOOT_LEN];
    uint64_t file;
    uint8_t hash_key[MIG_JOURNAL_HASH_KEY_LEN]; /* not secret from who can read the file */
    uint64_t mark;                             /* highest created that was inserted */
    uint64_t floor; /* requests created up to here are refused: their nonces may be lost */
};

struct mig_nonce_record {
    uint8_t id[MIG_NONCE_ID_LEN];
    uint64_t created, expires;
};

/* Total on any bytes. `records` is how many of them follow the header intact;
 * the journal is whole only when `is_whole`. Without an intact header,
 * MIG_ERR_MALFORMED. */
enum mig_err mig_journal_parse(const uint8_t *bytes, size_t len, struct mig_journal_header *header,
                               size_t *records, bool *is_whole) MIG_MUST_USE;
/* Record `index` of bytes that mig_journal_parse accepted. */
void mig_journal_record(const uint8_t *bytes, size_t index, struct mig_nonce_record *record);

void mig_journal_put_header(const struct mig_journal_header *header, uint8_t out[MIG_JOURNAL_HEADER_LEN]);
/* Record `index`, followed by the end. */
void mig_journal_put_record(const struct mig_nonce_record *record, uint64_t index,
                            uint8_t out[MIG_JOURNAL_RECORD_LEN + MIG_JOURNAL_END_LEN]);
void mig_journal_put_end(uint8_t out[MIG_JOURNAL_END_LEN]);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_VAULT_H
#define MIG_BACKUP_VAULT_H
/*
 * Where backups are kept: put, get and list by keyset digest, a note beside
 * each, and a lease. A small table of functions, so that a shared, replicated
 * vault can stand in for the folder that mig_vault_open gives. Nothing is ever
 * replaced by something different, and nothing is deleted.
 */
#include "backup/note.h"
#include "crypto/secret.h"

struct mig_vault_entry {
    struct mig_receipt receipt; /* epoch, digest, count, time of the first durable copy */
    bool readable;              /* opens under the key and its digest fits */
    bool has_note;
    struct mig_note note;
};

/* One caller at a time. */
struct mig_vault {
    void *ctx;
    /* Durable when it returns; all or nothing. MIG_ERR_CONFLICT: other shares of this very keyset
     * are there. */
    enum mig_err (*put)(void *ctx, const struct mig_keyset *keyset,
                        const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                        const struct mig_fence *fence, struct mig_receipt *receipt);
    /* `shares` is locked memory. MIG_ERR_NOT_FOUND. */
    enum mig_err (*get)(void *ctx, const struct mig_keyset *keyset,
                        uint8_t (*shares)[MIG_SHARE_LEN]);
    /* The keyset of an entry; the caller clears it. Reads it from the medium and
     * opens and checks all of it. */
    enum mig_err (*keyset)(void *ctx, const uint8_t digest[MIG_DIGEST_LEN], struct mig_keyset *out);
    /* Newest epoch first; *list is the caller's (free). */
    enum mig_err (*list)(void *ctx, struct mig_vault_entry **list, size_t *count);
    /* The note of the keyset it names (note->parsed.keyset). */
    enum mig_err (*save_note)(void *ctx, const struct mig_note *note);
    enum mig_err (*load_note)(void *ctx, const uint8_t digest[MIG_DIGEST_LEN],
                              struct mig_note *out);
    /* Takes or renews the right to act for the account, for `seconds` from now.
     * MIG_ERR_STATE: another service has it. */
    enum mig_err (*lease)(void *ctx, uint64_t now, uint32_t seconds);
    /* How many damaged files were put aside, and kept, since the open; NULL: none ever. */
    size_t (*set_aside)(void *ctx);
    void (*close)(void *ctx);
};

enum mig_vault_mode {
    MIG_VAULT_OWNER =
        0, /* one process at a time (MIG_ERR_STATE); its lease lasts while it is open */
    MIG_VAULT_READER = 1, /* beside a running owner; refuses put, notes and the lease */
};
/* The file vault: a folder (0700, created by an owner) of sealed files. `key`
 * is borrowed until close. *why: a static sentence for the operator. */
enum mig_err mig_vault_open(const char *folder, enum mig_vault_mode mode,
                            const struct mig_secret *key, const char *contract,
                            struct mig_vault *out, const char **why) MIG_MUST_USE;
/* Closes and zeroes; harmless on a zeroed vault. */
void mig_vault_close(struct mig_vault *vault);

/* Puts and proves: reads the entry back from the medium and compares the shares. */
enum mig_err mig_vault_keep(const struct mig_vault *vault, const struct mig_keyset *keyset,
                            const struct mig_secret *shares, uint64_t now,
                            const struct mig_fence *fence,
                            struct mig_receipt *receipt) MIG_MUST_USE;

enum { MIG_VAULT_NAMED = 8 };
struct mig_vault_report {
    size_t entries; /* files */
    size_t damaged;
    uint8_t named[MIG_VAULT_NAMED][MIG_DIGEST_LEN]; /* the first of the damaged ones */
    size_t shares;                                  /* in the undamaged ones */
};
/* Reads everything: opens, compares digests, decodes every share. MIG_ERR_CONFLICT
 * when anything is damaged; the report is filled either way. */
enum mig_err mig_vault_verify(const struct mig_vault *vault,
                              struct mig_vault_report *report) MIG_MUST_USE;

#endif

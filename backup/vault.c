/* SPDX-License-Identifier: MIT */
#include "backup/vault.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "crypto/keyset.h"
#include "store/file.h"
#include "store/keystore.h"
#include "store/record.h"

enum { FOLDER_MAX = 4096, NAME_LEN = MIG_HEX_LEN(MIG_DIGEST_LEN) };

struct file_vault {
    struct mig_keystore *store;
    enum mig_vault_mode mode;
    char shares[FOLDER_MAX];
    char notes[FOLDER_MAX];
};

static enum mig_err put(void *ctx, const struct mig_keyset *keyset,
                        const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                        const struct mig_fence *fence, struct mig_receipt *receipt)
{
    struct file_vault *v = ctx;
    if (v->mode != MIG_VAULT_OWNER)
        return MIG_ERR_STATE;
    return mig_keystore_import(v->store, keyset, shares, now, fence, receipt);
}

static enum mig_err get(void *ctx, const struct mig_keyset *keyset,
                        uint8_t (*shares)[MIG_SHARE_LEN])
{
    struct file_vault *v = ctx;
    return mig_keystore_load(v->store, keyset, shares);
}

static enum mig_err get_keyset(void *ctx, const uint8_t digest[MIG_DIGEST_LEN],
                               struct mig_keyset *out)
{
    struct file_vault *v = ctx;
    return mig_keystore_keyset(v->store, digest, out);
}

static enum mig_err save_note(void *ctx, const struct mig_note *note)
{
    struct file_vault *v = ctx;
    char name[NAME_LEN], text[MIG_NOTE_MAX];
    if (v->mode != MIG_VAULT_OWNER)
        return MIG_ERR_STATE;
    enum mig_err err = mig_hex_encode(note->parsed.keyset, MIG_DIGEST_LEN, name, sizeof name);
    if (err == MIG_OK)
        err = mig_note_format(note, text);
    if (err == MIG_OK)
        err = mig_record_save(v->notes, name, text, strlen(text));
    return err;
}

static enum mig_err load_note(void *ctx, const uint8_t digest[MIG_DIGEST_LEN], struct mig_note *out)
{
    struct file_vault *v = ctx;
    char name[NAME_LEN];
    uint8_t *bytes = NULL;
    size_t len = 0;
    *out = (struct mig_note){0};
    enum mig_err err = mig_hex_encode(digest, MIG_DIGEST_LEN, name, sizeof name);
    if (err == MIG_OK)
        err = mig_record_load(v->notes, name, &bytes, &len);
    if (err == MIG_OK)
        err = mig_note_parse(bytes, len, out);
    free(bytes);
    /* A note that speaks of another keyset would acknowledge what was never backed up. */
    if (err == MIG_OK && !mig_equal(out->parsed.keyset, digest, MIG_DIGEST_LEN)) {
        *out = (struct mig_note){0};
        err = MIG_ERR_MALFORMED;
    }
    return err;
}

static bool is_listed(const struct mig_vault_entry *entries, size_t count,
                      const uint8_t digest[MIG_DIGEST_LEN])
{
    for (size_t i = 0; i < count; i++)
        if (mig_equal(entries[i].receipt.keyset, digest, MIG_DIGEST_LEN))
            return true;
    return false;
}

/* One more entry at the end. */
static struct mig_vault_entry *grow(struct mig_vault_entry **entries, size_t *count)
{
    struct mig_vault_entry *grown = realloc(*entries, (*count + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    *entries = grown;
    grown[*count] = (struct mig_vault_entry){0};
    return &grown[(*count)++];
}

static enum mig_err list_shares(struct file_vault *v, struct mig_vault_entry **out, size_t *count)
{
    struct mig_keystore_entry *entries = NULL;
    size_t found = 0;
    enum mig_err err = mig_keystore_list(v->store, &entries, &found);
    for (size_t i = 0; err == MIG_OK && i < found; i++) {
        struct mig_vault_entry *e = grow(out, count);
        if (e == NULL) {
            err = MIG_ERR_NOMEM;
            break;
        }
        e->receipt = entries[i].receipt;
        e->readable = entries[i].readable;
        e->has_note = load_note(v, e->receipt.keyset, &e->note) == MIG_OK;
        /* Of an unreadable file only the note tells. */
        if (!e->readable && e->has_note) {
            e->receipt.epoch = e->note.parsed.epoch;
            e->receipt.imported_at = e->note.stored_at;
        }
    }
    free(entries);
    return err;
}

/* A note whose shares are gone is a lost backup, and must be seen. */
static enum mig_err list_orphan(struct file_vault *v, const char *name,
                                struct mig_vault_entry **out, size_t *count)
{
    uint8_t digest[MIG_DIGEST_LEN];
    size_t len = 0;
    struct mig_note note;
    if (mig_hex_decode(name, strlen(name), digest, sizeof digest, &len) != MIG_OK ||
        len != sizeof digest || is_listed(*out, *count, digest) ||
        load_note(v, digest, &note) != MIG_OK)
        return MIG_OK;
    struct mig_vault_entry *e = grow(out, count);
    if (e == NULL)
        return MIG_ERR_NOMEM;
    e->has_note = true;
    e->note = note;
    e->receipt.epoch = note.parsed.epoch;
    e->receipt.imported_at = note.stored_at;
    memcpy(e->receipt.keyset, digest, sizeof digest);
    return MIG_OK;
}

static enum mig_err list_orphans(struct file_vault *v, struct mig_vault_entry **out, size_t *count)
{
    enum mig_err err = MIG_OK;
    DIR *folder = opendir(v->notes);
    if (folder == NULL)
        return errno == ENOENT ? MIG_OK : MIG_ERR_IO;
    for (const struct dirent *e; err == MIG_OK && (e = readdir(folder)) != NULL;)
        err = list_orphan(v, e->d_name, out, count);
    (void)closedir(folder);
    return err;
}

static enum mig_err list(void *ctx, struct mig_vault_entry **out, size_t *count)
{
    struct file_vault *v = ctx;
    *out = NULL;
    *count = 0;
    enum mig_err err = list_shares(v, out, count);
    if (err == MIG_OK)
        err = list_orphans(v, out, count);
    if (err == MIG_OK)
        return MIG_OK;
    free(*out);
    *out = NULL;
    *count = 0;
    return err;
}

/* The folder's lock is the lease: whoever holds it is alive, and alone. */
static enum mig_err lease(void *ctx, uint64_t now, uint32_t seconds)
{
    const struct file_vault *v = ctx;
    (void)now;
    (void)seconds;
    return v->mode == MIG_VAULT_OWNER ? MIG_OK : MIG_ERR_STATE;
}

static size_t set_aside(void *ctx)
{
    const struct file_vault *v = ctx;
    return mig_keystore_quarantined(v->store);
}

static void close_vault(void *ctx)
{
    struct file_vault *v = ctx;
    mig_keystore_close(&v->store);
    free(v);
}

static enum mig_err make_folder(const char *path, const char **why)
{
    int fd = -1;
    enum mig_err err = mig_folder_open(path, true, &fd, why);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

static enum mig_err open_folders(const char *folder, struct file_vault *v, const char **why)
{
    int a = snprintf(v->shares, sizeof v->shares, "%s/shares", folder);
    int b = snprintf(v->notes, sizeof v->notes, "%s/notes", folder);
    *why = "the path is too long";
    if (a >= FOLDER_MAX || b >= FOLDER_MAX)
        return MIG_ERR_MALFORMED;
    if (v->mode != MIG_VAULT_OWNER)
        return MIG_OK;
    enum mig_err err = make_folder(folder, why);
    return err == MIG_OK ? make_folder(v->notes, why) : err;
}

enum mig_err mig_vault_open(const char *folder, enum mig_vault_mode mode,
                            const struct mig_secret *key, const char *contract,
                            struct mig_vault *out, const char **why)
{
    *out = (struct mig_vault){0};
    *why = "out of memory";
    struct file_vault *v = calloc(1, sizeof *v);
    if (v == NULL)
        return MIG_ERR_NOMEM;
    v->mode = mode;
    enum mig_err err = open_folders(folder, v, why);
    if (err == MIG_OK)
        err = mig_keystore_open(v->shares,
                                mode == MIG_VAULT_OWNER ? MIG_KEYSTORE_VAULT : MIG_KEYSTORE_READER,
                                key, contract, &v->store, why);
    if (err != MIG_OK) {
        close_vault(v);
        return err;
    }
    *out = (struct mig_vault){.ctx = v,
                              .put = put,
                              .get = get,
                              .keyset = get_keyset,
                              .list = list,
                              .save_note = save_note,
                              .load_note = load_note,
                              .lease = lease,
                              .set_aside = set_aside,
                              .close = close_vault};
    *why = "";
    return MIG_OK;
}

void mig_vault_close(struct mig_vault *vault)
{
    if (vault->close != NULL)
        vault->close(vault->ctx);
    *vault = (struct mig_vault){0};
}

static enum mig_err read_back(const struct mig_vault *vault, const struct mig_keyset *keyset,
                              const uint8_t digest[MIG_DIGEST_LEN], const struct mig_secret *shares)
{
    struct mig_keyset kept = {0};
    struct mig_secret *copy = mig_secret_new(keyset->count * MIG_SHARE_LEN);
    if (copy == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = vault->keyset(vault->ctx, digest, &kept);
    if (err == MIG_OK && !mig_keyset_is_equal(&kept, keyset))
        err = MIG_ERR_IO;
    mig_keyset_clear(&kept);
    if (err == MIG_OK)
        err = vault->get(vault->ctx, keyset, (uint8_t(*)[MIG_SHARE_LEN])copy->bytes);
    if (err == MIG_OK && !mig_equal(copy->bytes, shares->bytes, keyset->count * MIG_SHARE_LEN))
        err = MIG_ERR_IO;
    mig_secret_free(&copy);
    return err == MIG_ERR_NOT_FOUND || err == MIG_ERR_MALFORMED ? MIG_ERR_IO : err;
}

enum mig_err mig_vault_keep(const struct mig_vault *vault, const struct mig_keyset *keyset,
                            const struct mig_secret *shares, uint64_t now,
                            const struct mig_fence *fence, struct mig_receipt *receipt)
{
    *receipt = (struct mig_receipt){0};
    if (keyset->count == 0 || shares->len < keyset->count * MIG_SHARE_LEN)
        return MIG_ERR_BUG;
    enum mig_err err = vault->put(
        vault->ctx, keyset, (const uint8_t(*)[MIG_SHARE_LEN])shares->bytes, now, fence, receipt);
    return err == MIG_OK ? read_back(vault, keyset, receipt->keyset, shares) : err;
}

static enum mig_err check_entry(const struct mig_vault *vault, const struct mig_vault_entry *entry)
{
    struct mig_keyset keyset = {0};
    struct mig_secret *shares = NULL;
    enum mig_err err = vault->keyset(vault->ctx, entry->receipt.keyset, &keyset);
    if (err == MIG_OK && keyset.count != entry->receipt.shares)
        err = MIG_ERR_MALFORMED;
    if (err != MIG_OK)
        goto out;
    err = MIG_ERR_NOMEM;
    shares = mig_secret_new(keyset.count * MIG_SHARE_LEN);
    if (shares == NULL)
        goto out;
    err = vault->get(vault->ctx, &keyset, (uint8_t(*)[MIG_SHARE_LEN])shares->bytes);
    for (size_t i = 0; err == MIG_OK && i < keyset.count; i++)
        if (!mig_share_is_reduced(keyset.domains[i].curve, shares->bytes + i * MIG_SHARE_LEN))
            err = MIG_ERR_MALFORMED;
out:
    mig_secret_free(&shares);
    mig_keyset_clear(&keyset);
    return err;
}

static void name_damaged(struct mig_vault_report *report, const uint8_t digest[MIG_DIGEST_LEN])
{
    if (report->damaged < MIG_VAULT_NAMED)
        memcpy(report->named[report->damaged], digest, MIG_DIGEST_LEN);
    report->damaged++;
}

enum mig_err mig_vault_verify(const struct mig_vault *vault, struct mig_vault_report *report)
{
    struct mig_vault_entry *entries = NULL;
    *report = (struct mig_vault_report){0};
    enum mig_err err = vault->list(vault->ctx, &entries, &report->entries);
    for (size_t i = 0; err == MIG_OK && i < report->entries; i++) {
        enum mig_err bad = entries[i].readable ? check_entry(vault, &entries[i]) : MIG_ERR_IO;
        if (bad == MIG_ERR_NOMEM)
            err = bad;
        else if (bad != MIG_OK)
            name_damaged(report, entries[i].receipt.keyset);
        else
            report->shares += entries[i].receipt.shares;
    }
    free(entries);
    return err == MIG_OK && report->damaged > 0 ? MIG_ERR_CONFLICT : err;
}

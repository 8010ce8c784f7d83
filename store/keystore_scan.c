/* SPDX-License-Identifier: MIT */
#include "store/keystore_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "store/file.h"

static const char SUFFIX[] = ".shares";
static const char QUARANTINE[] = "quarantine";
enum { HEX = 2 * MIG_DIGEST_LEN };

void mig_share_file_name(const uint8_t digest[MIG_DIGEST_LEN], char name[MIG_SHARE_NAME_LEN])
{
    if (mig_hex_encode(digest, MIG_DIGEST_LEN, name, MIG_SHARE_NAME_LEN) != MIG_OK)
        name[0] = '\0'; /* cannot be: the buffer fits */
    (void)strcat(name, SUFFIX);
}

/* ---- one file ---------------------------------------------------------- */

static enum mig_err parse(const struct mig_keystore_folder *folder, const uint8_t *bytes,
                          size_t len, struct mig_share_file *file)
{
    enum mig_err err = mig_share_file_parse(bytes, len, file);
    if (err != MIG_OK)
        return err;
    if (memcmp(file->key_id, folder->key_id, sizeof file->key_id) != 0)
        return MIG_ERR_DENIED;
    return strcmp(file->contract, folder->contract) == 0 ? MIG_OK : MIG_ERR_CONFLICT;
}

static void drop(struct mig_share_file *file, uint8_t **bytes, size_t *len)
{
    mig_share_file_clear(file);
    free(*bytes);
    *bytes = NULL;
    *len = 0;
}

static enum mig_err read_and_parse(const struct mig_keystore_folder *folder, const char *name,
                                   struct mig_share_file *file, uint8_t **bytes, size_t *len)
{
    *file = (struct mig_share_file){0};
    enum mig_err err = mig_file_read(folder->fd, name, MIG_SHARE_FILE_MAX, bytes, len);
    if (err == MIG_OK)
        err = parse(folder, *bytes, *len, file);
    if (err != MIG_OK)
        drop(file, bytes, len);
    return err;
}

enum mig_err mig_keystore_examine(const struct mig_keystore_folder *folder, const char *name,
                                  struct mig_share_file *file, uint8_t **bytes, size_t *len)
{
    enum mig_err err = read_and_parse(folder, name, file, bytes, len);
    if (err != MIG_OK)
        return err;
    err = mig_share_file_open(folder->key, *bytes, *len, folder->scratch,
                              (void *)folder->shares->bytes, file->keyset.count);
    if (err != MIG_OK)
        drop(file, bytes, len);
    /* Whole and of our key by its own words, but it does not verify: forged. */
    return err == MIG_ERR_DENIED ? MIG_ERR_MALFORMED : err;
}

/* The index has it, so any other answer than the file is the disk's fault. */
static enum mig_err must_be(const uint8_t digest[MIG_DIGEST_LEN], enum mig_err err,
                            struct mig_share_file *file, uint8_t **bytes, size_t *len)
{
    if (err == MIG_OK && memcmp(file->digest, digest, MIG_DIGEST_LEN) == 0)
        return MIG_OK;
    drop(file, bytes, len);
    return err == MIG_ERR_NOMEM ? err : MIG_ERR_IO;
}

enum mig_err mig_keystore_read(const struct mig_keystore_folder *folder,
                               const uint8_t digest[MIG_DIGEST_LEN], struct mig_share_file *file,
                               uint8_t **bytes, size_t *len)
{
    char name[MIG_SHARE_NAME_LEN];
    mig_share_file_name(digest, name);
    enum mig_err err = mig_keystore_examine(folder, name, file, bytes, len);
    return must_be(digest, err, file, bytes, len);
}

enum mig_err mig_keystore_fetch(const struct mig_keystore_folder *folder,
                                const uint8_t digest[MIG_DIGEST_LEN], struct mig_share_file *file,
                                uint8_t **bytes, size_t *len)
{
    char name[MIG_SHARE_NAME_LEN];
    mig_share_file_name(digest, name);
    enum mig_err err = read_and_parse(folder, name, file, bytes, len);
    return must_be(digest, err, file, bytes, len);
}

/* ---- the index --------------------------------------------------------- */

void mig_keystore_index_clear(struct mig_keystore_index *index)
{
    free(index->items);
    *index = (struct mig_keystore_index){0};
}

enum mig_err mig_keystore_index_reserve(struct mig_keystore_index *index)
{
    if (index->count < index->cap)
        return MIG_OK;
    size_t cap = index->cap * 2 + 16;
    struct mig_keystore_item *items = realloc(index->items, cap * sizeof *items);
    if (items == NULL)
        return MIG_ERR_NOMEM;
    index->items = items;
    index->cap = cap;
    return MIG_OK;
}

void mig_keystore_index_add(struct mig_keystore_index *index, const struct mig_keystore_item *item)
{
    index->items[index->count++] = *item;
}

const struct mig_keystore_item *mig_keystore_index_find(const struct mig_keystore_index *index,
                                                        const uint8_t digest[MIG_DIGEST_LEN])
{
    for (size_t i = 0; i < index->count; i++)
        if (memcmp(index->items[i].receipt.keyset, digest, MIG_DIGEST_LEN) == 0)
            return &index->items[i];
    return NULL;
}

void mig_keystore_index_remove(struct mig_keystore_index *index,
                               const uint8_t digest[MIG_DIGEST_LEN])
{
    for (size_t i = 0; i < index->count; i++)
        if (memcmp(index->items[i].receipt.keyset, digest, MIG_DIGEST_LEN) == 0) {
            index->items[i] = index->items[--index->count];
            return;
        }
}

const struct mig_keystore_item *mig_keystore_index_current(const struct mig_keystore_index *index)
{
    const struct mig_keystore_item *last = NULL;
    for (size_t i = 0; i < index->count; i++)
        if (index->items[i].readable && (last == NULL || index->items[i].sequence > last->sequence))
            last = &index->items[i];
    return last;
}

uint64_t mig_keystore_index_epoch(const struct mig_keystore_index *index)
{
    uint64_t epoch = 0;
    for (size_t i = 0; i < index->count; i++)
        if (index->items[i].receipt.epoch > epoch)
            epoch = index->items[i].receipt.epoch;
    return epoch;
}

uint64_t mig_keystore_index_next(const struct mig_keystore_index *index)
{
    const struct mig_keystore_item *last = mig_keystore_index_current(index);
    return last == NULL ? 1 : last->sequence + 1;
}

/* ---- all files --------------------------------------------------------- */

static bool is_ours(const char *name)
{
    size_t len = strlen(name);
    return name[0] != '.' && len > sizeof SUFFIX - 1 &&
           strcmp(name + len - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

/* A damaged file keeps its bytes and gets out of the way; a random ending, so
 * that it replaces nothing there. */
static enum mig_err quarantine(int folder, const char *name)
{
    if (mkdirat(folder, QUARANTINE, 0700) != 0 && errno != EEXIST)
        return MIG_ERR_IO;
    int to = openat(folder, QUARANTINE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0)
        return MIG_ERR_IO;
    uint8_t random[8];
    char ending[MIG_HEX_LEN(sizeof random)], target[NAME_MAX + 1];
    mig_random(random, sizeof random);
    enum mig_err err = mig_hex_encode(random, sizeof random, ending, sizeof ending);
    (void)snprintf(target, sizeof target, "%.200s.%s", name, ending);
    if (err == MIG_OK && renameat(folder, name, to, target) != 0)
        err = MIG_ERR_IO;
    if (err == MIG_OK)
        err = mig_folder_sync(to);
    (void)close(to);
    return err;
}

enum mig_err mig_keystore_set_aside(const struct mig_keystore_folder *folder, const char *name)
{
    return quarantine(folder->fd, name);
}

static enum mig_err add(struct mig_keystore_index *index, const struct mig_share_file *file)
{
    struct mig_keystore_item item = {.sequence = file->sequence, .readable = true};
    item.receipt.epoch = file->keyset.epoch;
    item.receipt.shares = (uint32_t)file->keyset.count;
    item.receipt.imported_at = file->imported_at;
    memcpy(item.receipt.keyset, file->digest, MIG_DIGEST_LEN);
    enum mig_err err = mig_keystore_index_reserve(index);
    if (err == MIG_OK)
        mig_keystore_index_add(index, &item);
    return err;
}

/* A reader tells of a damaged file by its name, when that is a digest. */
static enum mig_err add_unreadable(struct mig_keystore_index *index, const char *name)
{
    struct mig_keystore_item item = {0};
    size_t len = 0;
    if (strlen(name) != MIG_SHARE_NAME_LEN - 1 ||
        mig_hex_decode(name, HEX, item.receipt.keyset, MIG_DIGEST_LEN, &len) != MIG_OK)
        return MIG_OK;
    enum mig_err err = mig_keystore_index_reserve(index);
    if (err == MIG_OK)
        mig_keystore_index_add(index, &item);
    return err;
}

static enum mig_err set_aside(int folder, bool owner, const char *name,
                              struct mig_keystore_index *index, const char **why)
{
    if (!owner)
        return add_unreadable(index, name);
    *why = "a damaged file cannot be moved to quarantine";
    enum mig_err err = quarantine(folder, name);
    if (err == MIG_OK)
        index->quarantined++;
    return err;
}

static enum mig_err scan_one(struct mig_keystore_folder *folder, bool owner, const char *name,
                             struct mig_keystore_index *index, const char **why)
{
    struct mig_share_file file;
    uint8_t *bytes;
    size_t len;
    char proper[MIG_SHARE_NAME_LEN];
    enum mig_err err = mig_keystore_examine(folder, name, &file, &bytes, &len);
    mig_secret_wipe(folder->shares);
    free(bytes);
    switch (err) {
    case MIG_OK:
        mig_share_file_name(file.digest, proper);
        *why = "out of memory";
        err = strcmp(proper, name) == 0 ? add(index, &file)
                                        : set_aside(folder->fd, owner, name, index, why);
        mig_share_file_clear(&file);
        return err;
    case MIG_ERR_MALFORMED:
        return set_aside(folder->fd, owner, name, index, why);
    case MIG_ERR_NOT_FOUND: /* a reader beside an owner that moved it */
        return MIG_OK;
    case MIG_ERR_DENIED:
        *why = "the store was written with another store key: use that key, or another folder";
        return MIG_ERR_DENIED;
    case MIG_ERR_CONFLICT:
        *why = "the store belongs to another contract: use another folder";
        return MIG_ERR_DENIED;
    default:
        *why = "a file in the store cannot be read";
        return err;
    }
}

static enum mig_err scan_all(struct mig_keystore_folder *folder, bool owner, DIR *dir,
                             struct mig_keystore_index *index, const char **why)
{
    enum mig_err err = MIG_OK;
    while (err == MIG_OK) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            *why = "the folder cannot be listed";
            return errno == 0 ? MIG_OK : MIG_ERR_IO;
        }
        if (is_ours(entry->d_name))
            err = scan_one(folder, owner, entry->d_name, index, why);
    }
    return err;
}

enum mig_err mig_keystore_scan(struct mig_keystore_folder *folder, bool owner,
                               struct mig_keystore_index *index, const char **why)
{
    *why = "the folder cannot be listed";
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return MIG_ERR_IO;
    }
    enum mig_err err = scan_all(folder, owner, dir, index, why);
    (void)closedir(dir);
    return err;
}

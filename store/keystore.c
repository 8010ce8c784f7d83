/* SPDX-License-Identifier: MIT */
/*
 * Why a crash at any instruction leaves the old or the new state
 * (docs/storage.md):
 *   1. the whole file is written under a temporary name and synced: a name that
 *      the store reads never belongs to incomplete bytes;
 *   2. it is read back and opened, so what is committed is what was meant;
 *   3. the fence is asked; only then
 *   4. one rename gives it its name (never replacing anything), a second one
 *      moves the pointer, and one sync of the folder makes both durable.
 * Before 4 the store is as it was. After the first rename the import has
 * happened, acknowledged or not: the same shares again are a repeat. The
 * pointer is for people; which entry is current follows from the sequence
 * number in the authenticated headers, so a crash between the renames is
 * repaired at the next open. Two syncs in all: that is the price of durability
 * and there is no third.
 */
#include "store/keystore.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/keyset.h"
#include "store/file.h"
#include "store/keystore_scan.h"
#include "store/share_file.h"

static const char NEW_FILE[] = ".shares-new";
static const char NEW_POINTER[] = ".shares-current";
static const char NEW_PROBE[] = ".shares-probe";
static const char POINTER[] = "current";
static const char LOCK[] = "lock";

struct mig_keystore {
    struct mig_keystore_folder folder;
    enum mig_keystore_kind kind;
    int lock;
    /* Held by whoever writes or walks all files; always taken before `state`. */
    pthread_mutex_t writer;
    /* Protects everything below; never held over a write or a sync, so that a
     * backup is served while an import waits for the disk. */
    pthread_mutex_t state;
    struct mig_keystore_index index;
    struct mig_share_file cached_file; /* of the keyset loaded last, still sealed */
    uint8_t *cached;
    size_t cached_len;
    struct mig_secret *scratch;
};

/* ---- opening ----------------------------------------------------------- */

static enum mig_err take_lock(struct mig_keystore *store, const char **why)
{
    *why = "the lock file cannot be opened";
    store->lock = openat(store->folder.fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (store->lock < 0)
        return MIG_ERR_IO;
    if (flock(store->lock, LOCK_EX | LOCK_NB) == 0)
        return MIG_OK;
    if (errno != EWOULDBLOCK)
        return MIG_ERR_IO;
    *why = "another process uses the keyshare store";
    return MIG_ERR_STATE;
}

static enum mig_err alloc_scratch(struct mig_keystore *store, const char **why)
{
    *why = "no locked memory: raise RLIMIT_MEMLOCK";
    store->scratch = mig_secret_new(MIG_SHARE_FILE_SCRATCH);
    store->folder.scratch = mig_secret_new(MIG_SHARE_FILE_SCRATCH);
    store->folder.shares = mig_secret_new((size_t)MIG_DOMAINS_MAX * MIG_SHARE_LEN);
    bool all =
        store->scratch != NULL && store->folder.scratch != NULL && store->folder.shares != NULL;
    return all ? MIG_OK : MIG_ERR_NOMEM;
}

static void remove_remains(int folder)
{
    mig_file_discard(folder, NEW_FILE);
    mig_file_discard(folder, NEW_POINTER);
    mig_file_discard(folder, NEW_PROBE);
}

/* A second name of the file: unlike a symbolic link it needs no block of its
 * own, which would cost an import half a sync more; where there are no hard
 * links it is a symbolic one. */
static enum mig_err point_to(int folder, const char *file, const char *name)
{
    if (linkat(folder, file, folder, NEW_POINTER, 0) == 0)
        return MIG_OK;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
        return MIG_ERR_IO;
    return symlinkat(name, folder, NEW_POINTER) == 0 ? MIG_OK : MIG_ERR_IO;
}

static bool points_to(int folder, const char *name)
{
    struct stat pointer, file;
    return fstatat(folder, POINTER, &pointer, 0) == 0 &&
           fstatat(folder, name, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
           pointer.st_dev == file.st_dev && pointer.st_ino == file.st_ino;
}

/* For people, and derived: when it cannot be written (a full disk), the store
 * works on. */
static void repair_pointer(const struct mig_keystore *store)
{
    int fd = store->folder.fd;
    char name[MIG_SHARE_NAME_LEN];
    const struct mig_keystore_item *current = mig_keystore_index_current(&store->index);
    if (current == NULL) {
        mig_file_discard(fd, POINTER);
        return;
    }
    mig_share_file_name(current->receipt.keyset, name);
    if (points_to(fd, name))
        return;
    if (point_to(fd, name, name) == MIG_OK && mig_file_replace(fd, NEW_POINTER, POINTER) != MIG_OK)
        mig_file_discard(fd, NEW_POINTER);
}

/* Everything found counts as durable from now on, so it must be: the process
 * before us may have died between its rename and its sync. */
static enum mig_err settle(struct mig_keystore *store, const char **why)
{
    repair_pointer(store);
    *why = "the folder cannot be synced";
    return mig_folder_sync(store->folder.fd);
}

static enum mig_err open_all(struct mig_keystore *store, const char *path, const char **why)
{
    bool owner = store->kind != MIG_KEYSTORE_READER;
    enum mig_err err = mig_folder_open(path, owner, &store->folder.fd, why);
    if (err == MIG_OK && owner)
        err = take_lock(store, why);
    if (err == MIG_OK)
        err = alloc_scratch(store, why);
    if (err == MIG_OK && owner)
        remove_remains(store->folder.fd);
    if (err == MIG_OK)
        err = mig_keystore_scan(&store->folder, owner, &store->index, why);
    if (err == MIG_OK && owner)
        err = settle(store, why);
    return err;
}

enum mig_err mig_keystore_open(const char *folder, enum mig_keystore_kind kind,
                               const struct mig_secret *key, const char *contract,
                               struct mig_keystore **out, const char **why)
{
    const char *unused;
    *out = NULL;
    if (why == NULL)
        why = &unused;
    *why = "the store key or the contract has the wrong length";
    if (key->len != MIG_STORE_KEY_LEN || strlen(contract) > MIG_ACCOUNT_MAX)
        return MIG_ERR_MALFORMED;
    *why = "out of memory";
    struct mig_keystore *store = calloc(1, sizeof *store);
    if (store == NULL)
        return MIG_ERR_NOMEM;
    store->kind = kind;
    store->lock = store->folder.fd = -1;
    store->folder.key = key;
    mig_store_key_id(key, store->folder.key_id);
    memcpy(store->folder.contract, contract, strlen(contract) + 1);
    (void)pthread_mutex_init(&store->writer, NULL);
    (void)pthread_mutex_init(&store->state, NULL);

    enum mig_err err = open_all(store, folder, why);
    if (err != MIG_OK) {
        mig_keystore_close(&store);
        return err;
    }
    *why = NULL;
    *out = store;
    return MIG_OK;
}

static void forget_cached(struct mig_keystore *store)
{
    mig_share_file_clear(&store->cached_file);
    free(store->cached);
    store->cached = NULL;
}

void mig_keystore_close(struct mig_keystore **store)
{
    struct mig_keystore *s = *store;
    if (s == NULL)
        return;
    *store = NULL;
    forget_cached(s);
    mig_keystore_index_clear(&s->index);
    mig_secret_free(&s->scratch);
    mig_secret_free(&s->folder.scratch);
    mig_secret_free(&s->folder.shares);
    if (s->folder.fd >= 0)
        (void)close(s->folder.fd);
    if (s->lock >= 0)
        (void)close(s->lock); /* last: it releases the lock */
    (void)pthread_mutex_destroy(&s->writer);
    (void)pthread_mutex_destroy(&s->state);
    free(s);
}

/* ---- reading ----------------------------------------------------------- */

/* Takes over `file` and `bytes`. */
static void remember(struct mig_keystore *store, struct mig_share_file *file, uint8_t **bytes,
                     size_t len)
{
    forget_cached(store);
    store->cached_file = *file;
    store->cached = *bytes;
    store->cached_len = len;
    *file = (struct mig_share_file){0};
    *bytes = NULL;
}

/* Brings the file of this digest into the cache, unopened. Rare: after a start,
 * and when another keyset is asked for. */
static enum mig_err fetch(struct mig_keystore *store, const uint8_t digest[MIG_DIGEST_LEN])
{
    if (mig_keystore_index_find(&store->index, digest) == NULL)
        return MIG_ERR_NOT_FOUND;
    struct mig_share_file file;
    uint8_t *bytes;
    size_t len;
    enum mig_err err = mig_keystore_fetch(&store->folder, digest, &file, &bytes, &len);
    if (err == MIG_OK)
        remember(store, &file, &bytes, len);
    return err;
}

static enum mig_err load_locked(struct mig_keystore *store, const struct mig_keyset *keyset,
                                uint8_t (*shares)[MIG_SHARE_LEN])
{
    if (store->cached == NULL || !mig_keyset_is_equal(keyset, &store->cached_file.keyset)) {
        uint8_t digest[MIG_DIGEST_LEN];
        mig_keyset_digest(store->folder.contract, keyset, digest);
        enum mig_err err = fetch(store, digest);
        if (err != MIG_OK)
            return err;
    }
    enum mig_err err = mig_share_file_open(store->folder.key, store->cached, store->cached_len,
                                           store->scratch, shares, keyset->count);
    if (err == MIG_OK)
        return MIG_OK;
    forget_cached(store);
    return MIG_ERR_IO;
}

enum mig_err mig_keystore_load(struct mig_keystore *store, const struct mig_keyset *keyset,
                               uint8_t (*shares)[MIG_SHARE_LEN])
{
    if (keyset->count == 0)
        return MIG_ERR_NOT_FOUND;
    (void)pthread_mutex_lock(&store->state);
    enum mig_err err = load_locked(store, keyset, shares);
    (void)pthread_mutex_unlock(&store->state);
    return err;
}

enum mig_err mig_keystore_receipt(struct mig_keystore *store, const struct mig_keyset *keyset,
                                  struct mig_receipt *receipt)
{
    uint8_t digest[MIG_DIGEST_LEN];
    *receipt = (struct mig_receipt){0};
    mig_keyset_digest(store->folder.contract, keyset, digest);
    (void)pthread_mutex_lock(&store->state);
    const struct mig_keystore_item *item = mig_keystore_index_find(&store->index, digest);
    if (item != NULL)
        *receipt = item->receipt;
    (void)pthread_mutex_unlock(&store->state);
    return item != NULL ? MIG_OK : MIG_ERR_NOT_FOUND;
}

/* ---- importing --------------------------------------------------------- */

struct import {
    const struct mig_keyset *keyset;
    const uint8_t (*shares)[MIG_SHARE_LEN];
    const struct mig_fence *fence;
    struct mig_keystore_item item;
    char name[MIG_SHARE_NAME_LEN];
    uint8_t *bytes;
    size_t len;
    struct mig_share_file file;
};

static bool fence_holds(const struct mig_fence *fence)
{
    return fence == NULL || fence->holds(fence->ctx);
}

static bool same_shares(const struct mig_keystore *store, const struct import *im)
{
    return mig_equal(store->folder.shares->bytes, im->shares[0], im->keyset->count * MIG_SHARE_LEN);
}

/* The keyset is there already: the same shares are a repeat, others a conflict
 * that only a person can resolve. */
static enum mig_err repeat(struct mig_keystore *store, const struct import *im,
                           struct mig_receipt *receipt)
{
    struct mig_share_file file;
    uint8_t *bytes;
    size_t len;
    enum mig_err err =
        mig_keystore_read(&store->folder, im->item.receipt.keyset, &file, &bytes, &len);
    if (err != MIG_OK)
        return err;
    if (!same_shares(store, im))
        err = MIG_ERR_CONFLICT;
    else if (!fence_holds(im->fence))
        err = MIG_ERR_CANCELLED;
    else {
        *receipt = (struct mig_receipt){.epoch = file.keyset.epoch,
                                        .shares = (uint32_t)file.keyset.count,
                                        .imported_at = file.imported_at,
                                        .repeated = true};
        memcpy(receipt->keyset, file.digest, sizeof receipt->keyset);
    }
    mig_secret_wipe(store->folder.shares);
    mig_share_file_clear(&file);
    free(bytes);
    return err;
}

static enum mig_err seal(struct mig_keystore *store, struct import *im)
{
    struct mig_share_file file = {.sequence = im->item.sequence,
                                  .imported_at = im->item.receipt.imported_at,
                                  .keyset = *im->keyset};
    memcpy(file.contract, store->folder.contract, sizeof file.contract);
    return mig_share_file_seal(store->folder.key, &file, im->shares, store->folder.scratch,
                               &im->bytes, &im->len);
}

/* What the disk gives back must open to what was asked to be kept. */
static enum mig_err read_back(struct mig_keystore *store, struct import *im)
{
    uint8_t *bytes;
    size_t len;
    enum mig_err err = mig_keystore_examine(&store->folder, NEW_FILE, &im->file, &bytes, &len);
    bool same = err == MIG_OK &&
                memcmp(im->file.digest, im->item.receipt.keyset, MIG_DIGEST_LEN) == 0 &&
                same_shares(store, im);
    mig_secret_wipe(store->folder.shares);
    free(bytes);
    if (err == MIG_ERR_NOMEM)
        return err;
    return same ? MIG_OK : MIG_ERR_IO;
}

static enum mig_err write_beside(struct mig_keystore *store, struct import *im)
{
    int fd = store->folder.fd;
    remove_remains(fd);
    enum mig_err err = mig_file_create(fd, NEW_FILE, im->bytes, im->len);
    if (err == MIG_OK)
        err = read_back(store, im);
    if (err == MIG_OK)
        err = point_to(fd, NEW_FILE, im->name);
    return err == MIG_ERR_CONFLICT ? MIG_ERR_IO : err;
}

/* The renames took place but cannot be made durable: take them back, so that
 * what is refused is not there. If that fails too, what remains is a complete
 * import without an answer, which a repeat acknowledges. */
static void take_back(const struct mig_keystore *store, const struct import *im)
{
    mig_file_discard(store->folder.fd, im->name);
    remove_remains(store->folder.fd);
    repair_pointer(store);
    enum mig_err unused = mig_folder_sync(store->folder.fd);
    (void)unused;
}

static enum mig_err commit(const struct mig_keystore *store, const struct import *im)
{
    int fd = store->folder.fd;
    enum mig_err err = mig_file_publish(fd, NEW_FILE, im->name);
    if (err != MIG_OK)
        return err == MIG_ERR_CONFLICT ? err : MIG_ERR_IO;
    if (mig_file_replace(fd, NEW_POINTER, POINTER) == MIG_OK && mig_folder_sync(fd) == MIG_OK)
        return MIG_OK;
    take_back(store, im);
    return MIG_ERR_IO;
}

static enum mig_err import_new(struct mig_keystore *store, struct import *im)
{
    enum mig_err err = seal(store, im);
    if (err == MIG_OK)
        err = write_beside(store, im);
    if (err == MIG_OK && !fence_holds(im->fence))
        err = MIG_ERR_CANCELLED;
    if (err == MIG_OK)
        err = commit(store, im);
    if (err != MIG_OK) {
        remove_remains(store->folder.fd);
        return err;
    }
    (void)pthread_mutex_lock(&store->state);
    mig_keystore_index_add(&store->index, &im->item);
    remember(store, &im->file, &im->bytes, im->len);
    (void)pthread_mutex_unlock(&store->state);
    return MIG_OK;
}

/* Only the writer changes the index, so reading it here needs no `state`;
 * growing it moves it, and does. */
static enum mig_err reserve(struct mig_keystore *store)
{
    (void)pthread_mutex_lock(&store->state);
    enum mig_err err = mig_keystore_index_reserve(&store->index);
    (void)pthread_mutex_unlock(&store->state);
    return err;
}

/* The index has the keyset, but its file was damaged or removed since the
 * folder was opened: what remains is set aside, as an open would do, and the
 * keyset counts as absent. OK when it does now. */
static enum mig_err forget_lost(struct mig_keystore *store, const struct import *im)
{
    struct mig_share_file file;
    uint8_t *bytes;
    size_t len;
    enum mig_err err = mig_keystore_examine(&store->folder, im->name, &file, &bytes, &len);
    mig_secret_wipe(store->folder.shares);
    if (err == MIG_OK) {
        mig_share_file_clear(&file);
        free(bytes);
        return MIG_ERR_IO; /* it reads after all; the next try meets it */
    }
    if (err == MIG_ERR_MALFORMED)
        err = mig_keystore_set_aside(&store->folder, im->name);
    else if (err != MIG_ERR_NOT_FOUND)
        return MIG_ERR_IO;
    if (err != MIG_OK && err != MIG_ERR_NOT_FOUND)
        return MIG_ERR_IO;
    (void)pthread_mutex_lock(&store->state);
    mig_keystore_index_remove(&store->index, im->item.receipt.keyset);
    store->index.quarantined += err == MIG_OK;
    forget_cached(store);
    (void)pthread_mutex_unlock(&store->state);
    return MIG_OK;
}

static enum mig_err import_locked(struct mig_keystore *store, struct import *im,
                                  struct mig_receipt *receipt)
{
    const struct mig_keystore_index *index = &store->index;
    enum mig_err err;
    if (store->kind == MIG_KEYSTORE_NODE && im->keyset->epoch < mig_keystore_index_epoch(index))
        return MIG_ERR_CONFLICT;
    if (mig_keystore_index_find(index, im->item.receipt.keyset) != NULL) {
        err = repeat(store, im, receipt);
        if (err != MIG_ERR_IO || forget_lost(store, im) != MIG_OK)
            return err;
    }
    err = reserve(store);
    if (err == MIG_OK)
        err = import_new(store, im);
    if (err == MIG_OK)
        *receipt = im->item.receipt;
    return err;
}

enum mig_err mig_keystore_import(struct mig_keystore *store, const struct mig_keyset *keyset,
                                 const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                                 const struct mig_fence *fence, struct mig_receipt *receipt)
{
    *receipt = (struct mig_receipt){0};
    if (store->kind == MIG_KEYSTORE_READER)
        return MIG_ERR_DENIED;
    if (keyset->count == 0 || keyset->count > MIG_DOMAINS_MAX)
        return MIG_ERR_MALFORMED;
    struct import im = {.keyset = keyset, .shares = shares, .fence = fence};
    im.item.readable = true;
    im.item.receipt.epoch = keyset->epoch;
    im.item.receipt.shares = (uint32_t)keyset->count;
    im.item.receipt.imported_at = now;
    mig_keyset_digest(store->folder.contract, keyset, im.item.receipt.keyset);
    mig_share_file_name(im.item.receipt.keyset, im.name);

    (void)pthread_mutex_lock(&store->writer);
    im.item.sequence = mig_keystore_index_next(&store->index);
    enum mig_err err = import_locked(store, &im, receipt);
    (void)pthread_mutex_unlock(&store->writer);
    mig_share_file_clear(&im.file);
    free(im.bytes);
    return err;
}

/* ---- looking after it -------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
    const struct mig_keystore_item *x = a, *y = b;
    if (x->receipt.epoch != y->receipt.epoch)
        return x->receipt.epoch < y->receipt.epoch ? 1 : -1;
    return x->sequence < y->sequence ? 1 : x->sequence > y->sequence ? -1 : 0;
}

static bool opens(struct mig_keystore *store, const uint8_t digest[MIG_DIGEST_LEN])
{
    struct mig_share_file file;
    uint8_t *bytes;
    size_t len;
    if (mig_keystore_read(&store->folder, digest, &file, &bytes, &len) != MIG_OK)
        return false;
    mig_secret_wipe(store->folder.shares);
    mig_share_file_clear(&file);
    free(bytes);
    return true;
}

static enum mig_err list_locked(struct mig_keystore *store, struct mig_keystore_entry *list)
{
    size_t count = store->index.count;
    struct mig_keystore_item *items = malloc(count * sizeof *items);
    if (items == NULL)
        return MIG_ERR_NOMEM;
    memcpy(items, store->index.items, count * sizeof *items);
    qsort(items, count, sizeof *items, newest_first);
    const struct mig_keystore_item *current = mig_keystore_index_current(&store->index);
    for (size_t i = 0; i < count; i++) {
        list[i].receipt = items[i].receipt;
        list[i].current =
            current != NULL && items[i].sequence == current->sequence &&
            memcmp(items[i].receipt.keyset, current->receipt.keyset, MIG_DIGEST_LEN) == 0;
        list[i].readable = opens(store, items[i].receipt.keyset);
    }
    free(items);
    return MIG_OK;
}

enum mig_err mig_keystore_list(struct mig_keystore *store, struct mig_keystore_entry **list,
                               size_t *count)
{
    enum mig_err err = MIG_OK;
    *list = NULL;
    *count = 0;
    (void)pthread_mutex_lock(&store->writer);
    size_t n = store->index.count;
    struct mig_keystore_entry *entries = n > 0 ? calloc(n, sizeof *entries) : NULL;
    if (n > 0)
        err = entries != NULL ? list_locked(store, entries) : MIG_ERR_NOMEM;
    (void)pthread_mutex_unlock(&store->writer);
    if (err != MIG_OK) {
        free(entries);
        return err;
    }
    *list = entries;
    *count = n;
    return MIG_OK;
}

enum mig_err mig_keystore_keyset(struct mig_keystore *store, const uint8_t digest[MIG_DIGEST_LEN],
                                 struct mig_keyset *out)
{
    struct mig_share_file file;
    uint8_t *bytes;
    size_t len;
    *out = (struct mig_keyset){0};
    (void)pthread_mutex_lock(&store->writer);
    enum mig_err err = MIG_ERR_NOT_FOUND;
    if (mig_keystore_index_find(&store->index, digest) != NULL)
        err = mig_keystore_read(&store->folder, digest, &file, &bytes, &len);
    mig_secret_wipe(store->folder.shares);
    (void)pthread_mutex_unlock(&store->writer);
    if (err != MIG_OK)
        return err;
    *out = file.keyset;
    free(bytes);
    return MIG_OK;
}

enum mig_err mig_keystore_probe(struct mig_keystore *store)
{
    static const uint8_t block[4096]; /* so that a full disk is noticed */
    if (store->kind == MIG_KEYSTORE_READER)
        return MIG_ERR_DENIED;
    (void)pthread_mutex_lock(&store->writer);
    int fd = store->folder.fd;
    mig_file_discard(fd, NEW_PROBE);
    enum mig_err err = mig_file_create(fd, NEW_PROBE, block, sizeof block);
    mig_file_discard(fd, NEW_PROBE);
    if (err == MIG_OK)
        err = mig_folder_sync(fd);
    (void)pthread_mutex_unlock(&store->writer);
    return err == MIG_OK || err == MIG_ERR_NOMEM ? err : MIG_ERR_IO;
}

size_t mig_keystore_quarantined(const struct mig_keystore *store)
{
    return store->index.quarantined;
}

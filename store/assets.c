/* SPDX-License-Identifier: MIT */
/*
 * Opening, closing and repairing. folder/: lock, keys (store/asset_keys.h), db/
 * (the engine's), quarantine/.
 */
#include "store/assets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "store/assets_purge.h"
#include "store/file.h"

static const char LOCK[] = "lock";
static const char KEYS[] = "keys";
static const char DB[] = "db";
static const char QUARANTINE[] = "quarantine";

static enum mig_err refuse(enum mig_err err, const char *sentence, const char **why)
{
    *why = sentence;
    return err;
}

/* ---- start ------------------------------------------------------------- */

static bool is_there(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum mig_err open_keys(struct mig_assets *a, const char **why)
{
    enum mig_err err = mig_asset_keys_open(a->folder, KEYS, a->key, &a->keys);
    if (err == MIG_ERR_NOT_FOUND) {
        if (is_there(a->folder, DB))
            return refuse(MIG_ERR_MALFORMED, "the assets are there without their keys", why);
        *why = "the key file cannot be created";
        err = mig_asset_keys_create(a->folder, KEYS, a->key);
        if (err == MIG_OK)
            err = mig_asset_keys_open(a->folder, KEYS, a->key, &a->keys);
        return err;
    }
    if (err == MIG_ERR_DENIED)
        return refuse(err, "the assets were stored under another store key", why);
    *why = err == MIG_ERR_MALFORMED ? "the key file is damaged or not one" : "the key file cannot be read";
    return err;
}

static enum mig_err open_engine(struct mig_assets *a, const char **why)
{
    bool created = mkdirat(a->folder, DB, 0700) == 0;
    if ((!created && errno != EEXIST) || (created && mig_folder_sync(a->folder) != MIG_OK))
        return refuse(MIG_ERR_IO, "the folder of the assets cannot be created", why);
    struct stat st;
    if (fstatat(a->folder, DB, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return refuse(MIG_ERR_MALFORMED, "the folder of the assets is a link or not a folder", why);
    a->garbage = (struct mig_engine_garbage){mig_asset_sets_is_garbage, &a->sets};
    enum mig_err err = mig_engine_open(a->path, &a->garbage, &a->engine);
    *why = err == MIG_ERR_MALFORMED ? "the stored assets are damaged or not ours"
                                    : "the stored assets cannot be opened";
    return err;
}

/* A log that was cut short may have lost a removal: nothing in it may be handed
 * out again. */
static enum mig_err check_mark(const struct mig_assets *a, const char **why)
{
    if (mig_engine_sequence(a->engine) >= a->keys.mark)
        return MIG_OK;
    return refuse(MIG_ERR_MALFORMED, "the stored assets are older than they were", why);
}

static enum mig_err write_meta(struct mig_assets *a)
{
    uint8_t bytes[MIG_ASSET_META_LEN];
    struct mig_asset_at at = mig_asset_at_meta();
    struct mig_engine_batch *batch = mig_engine_batch_new();
    mig_asset_meta_format(&a->meta, bytes);
    mig_engine_batch_put(batch, mig_asset_at(&at), (struct mig_bytes){bytes, sizeof bytes});
    enum mig_err err = mig_engine_commit(a->engine, batch, true);
    mig_engine_batch_free(&batch);
    return err;
}

static enum mig_err load_meta(struct mig_assets *a, const char **why)
{
    uint8_t bytes[MIG_ASSET_META_LEN];
    size_t len;
    struct mig_asset_at at = mig_asset_at_meta();
    enum mig_err err = mig_engine_get(a->engine, mig_asset_at(&at), bytes, sizeof bytes, &len);
    *why = "the stored assets are not those of the key file";
    if (err == MIG_ERR_NOT_FOUND && a->keys.slots == 0 && a->keys.mark == 0) {
        *why = "the first record cannot be written";
        memcpy(a->meta.store_id, a->keys.store_id, sizeof a->meta.store_id);
        a->meta.next_set = 1;
        return write_meta(a);
    }
    if (err == MIG_ERR_NOT_FOUND)
        return MIG_ERR_MALFORMED;
    if (err == MIG_OK)
        err = mig_asset_meta_parse((struct mig_bytes){bytes, len}, &a->meta);
    if (err == MIG_OK && memcmp(a->meta.store_id, a->keys.store_id, sizeof a->meta.store_id) != 0)
        err = MIG_ERR_MALFORMED;
    return err;
}

/* ---- sets -------------------------------------------------------------- */

static enum mig_err load_counts(struct mig_assets *a, struct mig_asset_set *set)
{
    enum mig_err err = MIG_OK;
    for (int kind = MIG_ASSET_TRIPLE; err == MIG_OK && kind <= MIG_ASSET_PRESIGNATURE; kind++) {
        struct mig_asset_at at = mig_asset_at_count(set->set, (enum mig_asset_kind)kind);
        err = mig_engine_count(a->engine, mig_asset_at(&at), &set->held[kind]);
    }
    return err;
}

static enum mig_err load_set_key(struct mig_assets *a, struct mig_asset_set *set)
{
    struct mig_asset_set_name name = {set->set, set->ids, set->count};
    enum mig_err err = mig_asset_keys_load(&a->keys, &name, set->slot, mig_assets_set_key(a, set));
    if (err == MIG_ERR_NOT_FOUND) {
        set->state = MIG_ASSET_SET_CONDEMNED; /* a purge got as far as its key */
        return MIG_OK;
    }
    if (err == MIG_ERR_MALFORMED) {
        set->state = MIG_ASSET_SET_DAMAGED;
        a->damaged++;
        return MIG_OK;
    }
    return err == MIG_ERR_CONFLICT ? MIG_ERR_MALFORMED : err;
}

static enum mig_err load_set(struct mig_assets *a, uint32_t number, struct mig_bytes value)
{
    uint32_t slot, ids[MIG_ASSET_PARTICIPANTS_MAX];
    size_t count;
    struct mig_asset_set *set;
    enum mig_err err = mig_asset_set_parse(value, &slot, ids, &count);
    if (err == MIG_OK && (number == 0 || number >= a->meta.next_set || slot >= MIG_ASSET_SETS_MAX))
        err = MIG_ERR_MALFORMED;
    if (err == MIG_OK)
        err = mig_asset_sets_add(&a->sets, number, slot, ids, count, &set);
    if (err == MIG_OK)
        err = load_counts(a, set);
    return err == MIG_OK ? load_set_key(a, set) : err;
}

static enum mig_err load_sets(struct mig_assets *a, const char **why)
{
    *why = "the list of participant sets is damaged";
    struct mig_asset_at from = mig_asset_at_set(0), to = mig_asset_at_set(UINT32_MAX);
    struct mig_bytes at, value;
    struct mig_engine_cursor *cursor = mig_engine_cursor_new(a->engine, mig_asset_at(&from), mig_asset_at(&to));
    if (cursor == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err;
    while ((err = mig_engine_cursor_next(cursor, &at, &value)) == MIG_OK) {
        const uint8_t *p = at.bytes;
        if (at.len != from.len) {
            err = MIG_ERR_MALFORMED;
            break;
        }
        uint32_t number = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
        if ((err = load_set(a, number, value)) != MIG_OK)
            break;
    }
    mig_engine_cursor_free(&cursor);
    if (err != MIG_ERR_NOT_FOUND)
        return err;
    mig_asset_sets_complete(&a->sets);
    return MIG_OK;
}

static enum mig_err start(struct mig_assets *a, const char **why)
{
    mig_asset_sets_init(&a->sets);
    enum mig_err err = open_keys(a, why);
    if (err == MIG_OK)
        err = open_engine(a, why);
    if (err == MIG_OK)
        err = load_meta(a, why);
    if (err == MIG_OK)
        err = check_mark(a, why);
    if (err == MIG_OK)
        err = load_sets(a, why);
    if (err == MIG_OK) {
        *why = "an interrupted purge cannot be finished";
        err = mig_assets_finish(a);
    }
    return err;
}

static void stop(struct mig_assets *a)
{
    mig_engine_close(&a->engine);
    mig_asset_keys_close(&a->keys);
    mig_asset_sets_clear(&a->sets);
    mig_secret_wipe(a->set_keys);
}

/* ---- quarantine -------------------------------------------------------- */

static enum mig_err move_aside(int folder, const char *name, int to, const char *ending)
{
    char target[64];
    (void)snprintf(target, sizeof target, "%s.%s", name, ending);
    if (!is_there(folder, name))
        return MIG_OK;
    return renameat(folder, name, to, target) == 0 ? MIG_OK : MIG_ERR_IO;
}

/* Both halves, whichever is damaged: neither is of use without the other. */
static enum mig_err quarantine(struct mig_assets *a)
{
    if (mkdirat(a->folder, QUARANTINE, 0700) != 0 && errno != EEXIST)
        return MIG_ERR_IO;
    int to = openat(a->folder, QUARANTINE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0)
        return MIG_ERR_IO;
    uint8_t random[8];
    char ending[MIG_HEX_LEN(sizeof random)];
    mig_random(random, sizeof random);
    enum mig_err err = mig_hex_encode(random, sizeof random, ending, sizeof ending);
    if (err == MIG_OK)
        err = move_aside(a->folder, DB, to, ending);
    if (err == MIG_OK)
        err = move_aside(a->folder, KEYS, to, ending);
    if (err == MIG_OK && (mig_folder_sync(to) != MIG_OK || mig_folder_sync(a->folder) != MIG_OK))
        err = MIG_ERR_IO;
    (void)close(to);
    return err;
}

static enum mig_err start_or_quarantine(struct mig_assets *a, const char **why)
{
    enum mig_err err = start(a, why);
    if (err != MIG_ERR_MALFORMED)
        return err;
    a->reason = *why;
    stop(a);
    a->damaged = 0;
    if ((err = quarantine(a)) != MIG_OK) {
        mig_asset_sets_init(&a->sets); /* for the close that follows */
        (void)pthread_mutex_init(&a->keys.marking, NULL);
        return refuse(err, "a damaged store of assets cannot be moved to quarantine", why);
    }
    a->quarantined++;
    err = start(a, why);
    return err == MIG_ERR_MALFORMED ? MIG_ERR_IO : err;
}

/* ---- open and close ---------------------------------------------------- */

static enum mig_err take_lock(struct mig_assets *a, const char **why)
{
    a->lock = openat(a->folder, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (a->lock < 0)
        return refuse(MIG_ERR_IO, "the lock file cannot be opened", why);
    if (flock(a->lock, LOCK_EX | LOCK_NB) == 0)
        return MIG_OK;
    if (errno != EWOULDBLOCK)
        return refuse(MIG_ERR_IO, "the lock file cannot be locked", why);
    return refuse(MIG_ERR_STATE, "another process uses the asset store", why);
}

static enum mig_err prepare(struct mig_assets *a, const uint8_t key[MIG_KEY_LEN], const char **why)
{
    *why = "no locked memory: raise RLIMIT_MEMLOCK";
    a->key = mig_secret_new(MIG_KEY_LEN);
    a->set_keys = mig_secret_new((size_t)MIG_ASSET_SETS_MAX * MIG_ASSET_SET_KEY_LEN);
    if (a->key == NULL || a->set_keys == NULL)
        return MIG_ERR_NOMEM;
    memcpy(a->key->bytes, key, MIG_KEY_LEN);
    return MIG_OK;
}

/* The engine wants a path; it must hold when the process changes its folder. */
static enum mig_err name_engine(struct mig_assets *a, const char *folder, const char **why)
{
    char *whole = realpath(folder, NULL);
    size_t room = whole != NULL ? strlen(whole) + sizeof "/" + sizeof DB : 0;
    if (whole != NULL && (a->path = malloc(room)) != NULL)
        (void)snprintf(a->path, room, "%s/%s", whole, DB);
    free(whole);
    return a->path != NULL ? MIG_OK : refuse(MIG_ERR_IO, "the folder's path cannot be resolved", why);
}

static void init_locks(struct mig_assets *a)
{
    pthread_rwlockattr_t attr;
    (void)pthread_rwlockattr_init(&attr);
    /* A purge must not starve behind takes. */
    (void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&a->gate, &attr);
    (void)pthread_rwlockattr_destroy(&attr);
    (void)pthread_mutex_init(&a->put, NULL);
    (void)pthread_mutex_init(&a->state, NULL);
    (void)pthread_cond_init(&a->landed, NULL);
}

static struct mig_assets *new_store(void)
{
    struct mig_assets *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->folder = a->lock = a->keys.fd = -1;
    a->reason = "";
    init_locks(a);
    mig_asset_sets_init(&a->sets);
    (void)pthread_mutex_init(&a->keys.marking, NULL);
    return a;
}

enum mig_err mig_assets_open(const char *folder, const uint8_t key[MIG_KEY_LEN], struct mig_assets **out,
                             const char **why)
{
    const char *unused;
    if (why == NULL)
        why = &unused;
    *out = NULL;
    *why = "out of memory, or the cipher does not start";
    enum mig_err err = mig_crypto_init();
    if (err != MIG_OK)
        return err;
    struct mig_assets *a = new_store();
    if (a == NULL)
        return MIG_ERR_NOMEM;
    err = prepare(a, key, why);
    if (err == MIG_OK)
        err = mig_folder_open(folder, true, &a->folder, why);
    if (err == MIG_OK)
        err = name_engine(a, folder, why);
    if (err == MIG_OK)
        err = take_lock(a, why);
    if (err == MIG_OK)
        err = start_or_quarantine(a, why);
    if (err == MIG_OK)
        *out = a;
    else
        mig_assets_close(&a);
    return err;
}

void mig_assets_close(struct mig_assets **assets)
{
    struct mig_assets *a = assets != NULL ? *assets : NULL;
    if (a == NULL)
        return;
    stop(a);
    mig_secret_free(&a->key);
    mig_secret_free(&a->set_keys);
    free(a->path);
    if (a->folder >= 0)
        (void)close(a->folder);
    if (a->lock >= 0)
        (void)close(a->lock); /* last: it releases the lock */
    (void)pthread_rwlock_destroy(&a->gate);
    (void)pthread_mutex_destroy(&a->put);
    (void)pthread_mutex_destroy(&a->state);
    (void)pthread_cond_destroy(&a->landed);
    free(a);
    *assets = NULL;
}

/* ---- the gate ---------------------------------------------------------- */

enum mig_err mig_assets_commit(struct mig_assets *assets, struct mig_engine_batch *batch, bool durable)
{
    enum mig_err err = mig_engine_commit(assets->engine, batch, durable);
    if (err != MIG_OK)
        assets->broken = true;
    return err;
}

/* The engine says what became of the write that failed. */
enum mig_err mig_assets_repair(struct mig_assets *assets)
{
    const char *why;
    if (!assets->broken && assets->engine != NULL)
        return MIG_OK;
    mig_engine_close(&assets->engine);
    assets->broken = true;
    enum mig_err err = open_engine(assets, &why);
    if (err == MIG_OK)
        err = check_mark(assets, &why);
    for (size_t i = 0; err == MIG_OK && i < assets->sets.count; i++)
        err = load_counts(assets, assets->sets.by_number[i]);
    if (err != MIG_OK) {
        mig_engine_close(&assets->engine);
        return MIG_ERR_IO;
    }
    assets->broken = false;
    return MIG_OK;
}

static enum mig_err lock_gate(struct mig_assets *a, bool alone)
{
    int refused = alone ? pthread_rwlock_wrlock(&a->gate) : pthread_rwlock_rdlock(&a->gate);
    return refused == 0 ? MIG_OK : MIG_ERR_BUG;
}

enum mig_err mig_assets_enter(struct mig_assets *assets, bool alone)
{
    enum { TRIES = 3 }; /* a repair may be followed by the next failure */
    for (int i = 0; i < TRIES; i++) {
        enum mig_err err = lock_gate(assets, alone);
        if (err != MIG_OK)
            return err;
        if (!assets->broken)
            return MIG_OK;
        mig_assets_leave(assets);
        if ((err = lock_gate(assets, true)) != MIG_OK)
            return err;
        err = mig_assets_repair(assets);
        mig_assets_leave(assets);
        if (err != MIG_OK)
            return err;
    }
    return MIG_ERR_IO;
}

void mig_assets_leave(struct mig_assets *assets)
{
    (void)pthread_rwlock_unlock(&assets->gate);
}

/* ---- small things ------------------------------------------------------ */

enum mig_err mig_assets_sync(struct mig_assets *assets)
{
    enum mig_err err = mig_assets_enter(assets, false);
    if (err != MIG_OK)
        return err;
    err = mig_engine_sync(assets->engine);
    if (err != MIG_OK)
        assets->broken = true;
    mig_assets_leave(assets);
    return err;
}

enum mig_err mig_assets_reclaim(struct mig_assets *assets)
{
    enum mig_err err = mig_assets_enter(assets, false);
    if (err != MIG_OK)
        return err;
    err = mig_engine_reclaim(assets->engine);
    if (err != MIG_OK)
        assets->broken = true;
    mig_assets_leave(assets);
    return err;
}

void mig_assets_stats(struct mig_assets *assets, struct mig_assets_stats *out)
{
    struct statvfs fs;
    *out = (struct mig_assets_stats){0};
    if (fstatvfs(assets->folder, &fs) == 0)
        out->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (lock_gate(assets, false) != MIG_OK)
        return;
    (void)pthread_mutex_lock(&assets->state);
    for (size_t i = 0; i < assets->sets.count; i++) {
        const struct mig_asset_set *s = assets->sets.by_number[i];
        if (s->state != MIG_ASSET_SET_USABLE)
            continue;
        out->sets++;
        out->triples += s->held[MIG_ASSET_TRIPLE];
        out->presignatures += s->held[MIG_ASSET_PRESIGNATURE];
    }
    out->damaged = assets->damaged;
    (void)pthread_mutex_unlock(&assets->state);
    out->quarantined = assets->quarantined;
    if (assets->engine != NULL)
        out->bytes = mig_engine_bytes(assets->engine);
    mig_assets_leave(assets);
}

const char *mig_assets_quarantine_reason(const struct mig_assets *assets)
{
    return assets->reason;
}

/* SPDX-License-Identifier: MIT */
/*
 * 128 bytes of head: "MPCASSK1" || store id 16 || key id 16 || check 32.
 * 128 bytes of mark: sequence u64 || check 16.
 * Then slots of 128 bytes: nonce 24 || wrapped key 48 || zeros; all zero: free,
 * or its key destroyed. Big-endian.
 */
#include "store/asset_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"
#include "store/share_file.h"

static const char magic[8] = "MPCASSK1";
static const char wrap_label[] = "mpc-asset-wrap-v1";
static const char set_label[] = "mpc-asset-set-v1";

enum {
    SLOT = 128, /* divides a sector */
    MARK_AT = SLOT,
    SLOTS_AT = 2 * SLOT,
    HEAD_CHECKED = sizeof magic + 16 + MIG_STORE_KEY_ID_LEN,
    CHECK = 32,
    MARK_CHECK = 16,
    WRAPPED = MIG_ASSET_SET_KEY_LEN + MIG_ASSET_TAG_LEN,
    SLOT_USED = MIG_ASSET_NONCE_LEN + WRAPPED,
    GROW = 32, /* slots added at a time, so that most additions change no length */
};
_Static_assert(HEAD_CHECKED + CHECK <= SLOT && SLOT_USED <= SLOT, "they fit");

static void write_number(uint8_t *out, uint64_t v, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(v >> 8 * (len - 1 - i));
}

static uint64_t number(const uint8_t *bytes, size_t len)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | bytes[i];
    return v;
}

static off_t place(uint32_t slot)
{
    return SLOTS_AT + (off_t)slot * SLOT;
}

static enum mig_err write_at(int fd, const void *bytes, size_t len, off_t at)
{
    const uint8_t *p = bytes;
    while (len > 0) {
        ssize_t n = pwrite(fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return MIG_ERR_IO;
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return MIG_OK;
}

static enum mig_err read_at(int fd, void *bytes, size_t len, off_t at)
{
    uint8_t *p = bytes;
    while (len > 0) {
        ssize_t n = pread(fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MIG_ERR_IO;
        if (n == 0)
            return MIG_ERR_MALFORMED; /* shorter than it was */
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return MIG_OK;
}

/* ---- head and mark ----------------------------------------------------- */

static void mark_check(const struct mig_asset_keys *keys, const uint8_t *sequence, uint8_t check[MARK_CHECK])
{
    (void)crypto_generichash(check, MARK_CHECK, sequence, 8, keys->store_id, sizeof keys->store_id);
}

enum mig_err mig_asset_keys_create(int folder, const char *name, const struct mig_secret *key)
{
    uint8_t file[SLOTS_AT] = {0};
    memcpy(file, magic, sizeof magic);
    mig_random(file + sizeof magic, 16);
    mig_store_key_id(key, file + sizeof magic + 16);
    (void)crypto_generichash(file + HEAD_CHECKED, CHECK, file, HEAD_CHECKED, NULL, 0);
    struct mig_asset_keys fresh = {0};
    memcpy(fresh.store_id, file + sizeof magic, sizeof fresh.store_id);
    mark_check(&fresh, file + MARK_AT, file + MARK_AT + 8);
    enum mig_err err = mig_file_create(folder, name, file, sizeof file);
    return err == MIG_OK ? mig_folder_sync(folder) : err;
}

static enum mig_err read_head(struct mig_asset_keys *keys, const struct mig_secret *key)
{
    uint8_t file[SLOTS_AT], check[CHECK], id[MIG_STORE_KEY_ID_LEN];
    enum mig_err err = read_at(keys->fd, file, sizeof file, 0);
    if (err != MIG_OK)
        return err;
    (void)crypto_generichash(check, CHECK, file, HEAD_CHECKED, NULL, 0);
    if (memcmp(file, magic, sizeof magic) != 0 || memcmp(check, file + HEAD_CHECKED, CHECK) != 0)
        return MIG_ERR_MALFORMED;
    mig_store_key_id(key, id);
    if (memcmp(id, file + sizeof magic + 16, sizeof id) != 0)
        return MIG_ERR_DENIED;
    memcpy(keys->store_id, file + sizeof magic, sizeof keys->store_id);
    mark_check(keys, file + MARK_AT, check);
    if (memcmp(check, file + MARK_AT + 8, MARK_CHECK) != 0)
        return MIG_ERR_MALFORMED;
    keys->mark = number(file + MARK_AT, 8);
    return MIG_OK;
}

static enum mig_err measure(struct mig_asset_keys *keys)
{
    struct stat st;
    if (fstat(keys->fd, &st) != 0)
        return MIG_ERR_IO;
    /* A crash while it grew may leave part of a slot, all zero or unused. */
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size < SLOTS_AT ||
        st.st_size > place(MIG_ASSET_SETS_MAX))
        return MIG_ERR_MALFORMED;
    keys->slots = (uint32_t)((st.st_size - SLOTS_AT) / SLOT);
    return MIG_OK;
}

static enum mig_err derive_wrap(struct mig_asset_keys *keys, const struct mig_secret *key)
{
    uint8_t message[sizeof wrap_label - 1 + sizeof keys->store_id];
    keys->wrap = mig_secret_new(MIG_ASSET_SET_KEY_LEN);
    if (keys->wrap == NULL)
        return MIG_ERR_NOMEM;
    memcpy(message, wrap_label, sizeof wrap_label - 1);
    memcpy(message + sizeof wrap_label - 1, keys->store_id, sizeof keys->store_id);
    (void)crypto_generichash(keys->wrap->bytes, keys->wrap->len, message, sizeof message, key->bytes, key->len);
    return MIG_OK;
}

static enum mig_err open_all(int folder, const char *name, const struct mig_secret *key,
                             struct mig_asset_keys *keys)
{
    keys->fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (keys->fd < 0 && errno == ENOENT)
        return MIG_ERR_NOT_FOUND;
    if (keys->fd < 0)
        return errno == ELOOP || errno == EISDIR || errno == ENXIO ? MIG_ERR_MALFORMED : MIG_ERR_IO;
    enum mig_err err = measure(keys);
    if (err == MIG_OK)
        err = read_head(keys, key);
    if (err == MIG_OK)
        err = derive_wrap(keys, key);
    if (err == MIG_OK && (keys->used = calloc(MIG_ASSET_SETS_MAX, 1)) == NULL)
        err = MIG_ERR_NOMEM;
    return err;
}

enum mig_err mig_asset_keys_open(int folder, const char *name, const struct mig_secret *key,
                                 struct mig_asset_keys *out)
{
    *out = (struct mig_asset_keys){.fd = -1};
    (void)pthread_mutex_init(&out->marking, NULL);
    enum mig_err err = open_all(folder, name, key, out);
    if (err != MIG_OK)
        mig_asset_keys_close(out);
    return err;
}

void mig_asset_keys_close(struct mig_asset_keys *keys)
{
    if (keys->fd >= 0)
        (void)close(keys->fd);
    keys->fd = -1;
    mig_secret_free(&keys->wrap);
    free(keys->used);
    keys->used = NULL;
    (void)pthread_mutex_destroy(&keys->marking);
}

void mig_asset_keys_mark(struct mig_asset_keys *keys, uint64_t sequence)
{
    uint8_t bytes[8 + MARK_CHECK];
    (void)pthread_mutex_lock(&keys->marking);
    if (sequence > keys->mark) {
        write_number(bytes, sequence, 8);
        mark_check(keys, bytes, bytes + 8);
        keys->mark = sequence;
        (void)write_at(keys->fd, bytes, sizeof bytes, MARK_AT);
    }
    (void)pthread_mutex_unlock(&keys->marking);
}

/* ---- slots ------------------------------------------------------------- */

static void hash_name(const struct mig_asset_keys *keys, const struct mig_asset_set_name *name,
                      uint8_t ad[CHECK])
{
    uint8_t bytes[4];
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, keys->store_id, sizeof keys->store_id, CHECK);
    (void)crypto_generichash_update(&state, (const uint8_t *)set_label, sizeof set_label - 1);
    write_number(bytes, name->set, 4);
    (void)crypto_generichash_update(&state, bytes, sizeof bytes);
    for (size_t i = 0; i < name->count; i++) {
        write_number(bytes, name->ids[i], 4);
        (void)crypto_generichash_update(&state, bytes, sizeof bytes);
    }
    (void)crypto_generichash_final(&state, ad, CHECK);
}

static enum mig_err grow(struct mig_asset_keys *keys)
{
    static const uint8_t zeros[GROW * SLOT];
    enum mig_err err = write_at(keys->fd, zeros, sizeof zeros, place(keys->slots));
    if (err == MIG_OK && fsync(keys->fd) != 0)
        err = MIG_ERR_IO;
    if (err == MIG_OK)
        keys->slots += GROW;
    return err;
}

static enum mig_err find_free(struct mig_asset_keys *keys, uint32_t *slot)
{
    for (*slot = 0; *slot < keys->slots; ++*slot)
        if (!keys->used[*slot])
            return MIG_OK;
    return keys->slots + GROW <= MIG_ASSET_SETS_MAX ? grow(keys) : MIG_ERR_STATE;
}

enum mig_err mig_asset_keys_add(struct mig_asset_keys *keys, const struct mig_asset_set_name *name,
                                uint8_t key[MIG_ASSET_SET_KEY_LEN], uint32_t *slot)
{
    uint8_t bytes[SLOT] = {0}, ad[CHECK];
    enum mig_err err = find_free(keys, slot);
    if (err != MIG_OK)
        return err;
    mig_random(key, MIG_ASSET_SET_KEY_LEN);
    mig_random(bytes, MIG_ASSET_NONCE_LEN);
    hash_name(keys, name, ad);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(bytes + MIG_ASSET_NONCE_LEN, NULL, key,
                                                     MIG_ASSET_SET_KEY_LEN, ad, sizeof ad, NULL, bytes,
                                                     keys->wrap->bytes);
    err = write_at(keys->fd, bytes, sizeof bytes, place(*slot));
    if (err == MIG_OK && fdatasync(keys->fd) != 0)
        err = MIG_ERR_IO;
    if (err == MIG_OK)
        keys->used[*slot] = 1;
    else
        mig_wipe(key, MIG_ASSET_SET_KEY_LEN);
    return err;
}

enum mig_err mig_asset_keys_load(struct mig_asset_keys *keys, const struct mig_asset_set_name *name,
                                 uint32_t slot, uint8_t key[MIG_ASSET_SET_KEY_LEN])
{
    uint8_t bytes[SLOT], ad[CHECK];
    memset(key, 0, MIG_ASSET_SET_KEY_LEN);
    if (slot >= keys->slots)
        return MIG_ERR_CONFLICT;
    enum mig_err err = read_at(keys->fd, bytes, sizeof bytes, place(slot));
    if (err != MIG_OK)
        return err;
    if (keys->used[slot])
        return MIG_ERR_CONFLICT;
    keys->used[slot] = 1;
    if (sodium_is_zero(bytes, sizeof bytes))
        return MIG_ERR_NOT_FOUND;
    hash_name(keys, name, ad);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, bytes + MIG_ASSET_NONCE_LEN, WRAPPED, ad,
                                                   sizeof ad, bytes, keys->wrap->bytes) == 0)
        return MIG_OK;
    mig_wipe(key, MIG_ASSET_SET_KEY_LEN);
    return MIG_ERR_MALFORMED;
}

/* Neighbours are overwritten together. */
static size_t run_of(const uint32_t *slots, size_t count)
{
    size_t n = 1;
    while (n < count && n < GROW && slots[n] == slots[0] + n)
        n++;
    return n;
}

enum mig_err mig_asset_keys_destroy(struct mig_asset_keys *keys, const uint32_t *slots, size_t count)
{
    static const uint8_t zeros[GROW * SLOT];
    enum mig_err err = MIG_OK;
    for (size_t i = 0, n = 0; i < count && err == MIG_OK; i += n) {
        n = run_of(slots + i, count - i);
        err = write_at(keys->fd, zeros, n * SLOT, place(slots[i]));
    }
    if (err == MIG_OK && count > 0 && fdatasync(keys->fd) != 0)
        err = MIG_ERR_IO;
    return err;
}

void mig_asset_keys_release(struct mig_asset_keys *keys, uint32_t slot)
{
    keys->used[slot] = 0;
}

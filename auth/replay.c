/* SPDX-License-Identifier: MIT */
/*
 * What is forgotten can never be valid again: a nonce goes only when it had
 * expired for every clock that would still be believed, which is every clock
 * not more than W behind the high-water mark of `created`. So a clock that
 * steps back brings no nonce back to life: within W it is still remembered,
 * beyond W everything is refused.
 *
 * After a start whose journal cannot be trusted, nonces are missing. Every
 * request that was accepted before it was created by start + W, or by the mark
 * that the old journal still shows; up to there (the floor) all are refused.
 * The floor is kept in the new journal, for a restart within those seconds.
 */
#include "auth/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "auth/journal.h"
#include "crypto/exchange.h"

enum {
    CAPACITY_MAX = 1 << 24,
    NONE = 0,             /* no entry: the first one is never used */
    SWEEP = 64,           /* expired nonces dropped per insert: bounds its time, and outruns it */
    COMPACT_SLACK = 8192, /* records that a journal may hold beyond twice the live ones */
    OPEN_TRIES = 8,
};

_Static_assert(MIG_NONCE_ID_LEN == crypto_shorthash_siphashx24_BYTES, "an id is one SipHash-128");
_Static_assert(MIG_JOURNAL_HASH_KEY_LEN == crypto_shorthash_siphashx24_KEYBYTES, "and its key");

struct entry {
    uint8_t id[MIG_NONCE_ID_LEN];
    uint64_t expires;
    uint32_t next; /* in its chain, or in the list of released entries */
};

struct mig_replay {
    pthread_mutex_t lock; /* protects everything below */
    uint32_t skew;
    struct mig_journal_header header; /* mark and floor are the live ones */

    /* The set: entries in hash chains, and a heap of them by expiry. Memory
     * that no nonce has needed yet is never touched. */
    size_t capacity, count, chain_count;
    struct entry *entries;
    uint32_t *chains;
    uint32_t *heap;
    uint32_t released, unused;

    char *path; /* NULL: memory only */
    int fd;
    uint64_t records; /* in the file */
    uint64_t compact_at;
};

/* ---- the set ---- */

static void id_of(const struct mig_replay *r, const uint8_t key[MIG_KEY_LEN], struct mig_text nonce,
                  uint8_t id[MIG_NONCE_ID_LEN])
{
    uint8_t bytes[MIG_KEY_LEN + MIG_NONCE_MAX];
    memcpy(bytes, key, MIG_KEY_LEN);
    memcpy(bytes + MIG_KEY_LEN, nonce.at, nonce.len);
    (void)crypto_shorthash_siphashx24(id, bytes, MIG_KEY_LEN + nonce.len, r->header.hash_key);
}

static uint32_t *chain_of(const struct mig_replay *r, const uint8_t id[MIG_NONCE_ID_LEN])
{
    uint64_t hash;
    memcpy(&hash, id, sizeof hash);
    return &r->chains[hash & (r->chain_count - 1)];
}

static bool is_in(const struct mig_replay *r, const uint8_t id[MIG_NONCE_ID_LEN])
{
    for (uint32_t i = *chain_of(r, id); i != NONE; i = r->entries[i].next) {
        if (memcmp(r->entries[i].id, id, MIG_NONCE_ID_LEN) == 0)
            return true;
    }
    return false;
}

static uint64_t expiry_at(const struct mig_replay *r, size_t place)
{
    return r->entries[r->heap[place]].expires;
}

static void swap(struct mig_replay *r, size_t a, size_t b)
{
    uint32_t other = r->heap[a];
    r->heap[a] = r->heap[b];
    r->heap[b] = other;
}

static void sift_up(struct mig_replay *r, size_t place)
{
    while (place > 0 && expiry_at(r, place) < expiry_at(r, (place - 1) / 2)) {
        swap(r, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static void sift_down(struct mig_replay *r, size_t place)
{
    for (;;) {
        size_t least = place;
        for (size_t child = 2 * place + 1; child <= 2 * place + 2 && child < r->count; child++) {
            if (expiry_at(r, child) < expiry_at(r, least))
                least = child;
        }
        if (least == place)
            return;
        swap(r, place, least);
        place = least;
    }
}

static void add(struct mig_replay *r, const uint8_t id[MIG_NONCE_ID_LEN], uint64_t expires)
{
    uint32_t index = r->released != NONE ? r->released : r->unused++;
    struct entry *entry = &r->entries[index];
    uint32_t *chain = chain_of(r, id);
    if (index == r->released)
        r->released = entry->next;
    memcpy(entry->id, id, MIG_NONCE_ID_LEN);
    entry->expires = expires;
    entry->next = *chain;
    *chain = index;
    r->heap[r->count++] = index;
    sift_up(r, r->count - 1);
}

static void drop_first(struct mig_replay *r)
{
    uint32_t index = r->heap[0];
    uint32_t *link = chain_of(r, r->entries[index].id);
    while (*link != index)
        link = &r->entries[*link].next;
    *link = r->entries[index].next;
    r->entries[index].next = r->released;
    r->released = index;
    r->heap[0] = r->heap[--r->count];
    sift_down(r, 0);
}

/* No believable clock finds this time in the future or the present. */
static bool is_past(const struct mig_replay *r, uint64_t expires)
{
    return expires < r->header.mark && r->header.mark - expires > r->skew;
}

static void sweep(struct mig_replay *r)
{
    for (int i = 0; i < SWEEP && r->count > 0 && is_past(r, expiry_at(r, 0)); i++)
        drop_first(r);
}

static void clear_set(struct mig_replay *r)
{
    if (r->count > 0)
        memset(r->chains, 0, r->chain_count * sizeof *r->chains);
    r->count = 0;
    r->released = NONE;
    r->unused = NONE + 1;
}

static enum mig_err new_set(struct mig_replay *r, size_t capacity)
{
    if (capacity == 0 || capacity > CAPACITY_MAX)
        return MIG_ERR_MALFORMED;
    r->capacity = capacity;
    r->chain_count = 1;
    while (r->chain_count < capacity)
        r->chain_count *= 2;
    r->entries = calloc(capacity + 1, sizeof *r->entries);
    r->heap = calloc(capacity, sizeof *r->heap);
    r->chains = calloc(r->chain_count, sizeof *r->chains);
    if (r->entries == NULL || r->heap == NULL || r->chains == NULL)
        return MIG_ERR_NOMEM;
    clear_set(r);
    return MIG_OK;
}

/* ---- the journal's file ---- */

static bool write_all(int fd, const uint8_t *bytes, size_t len, off_t at)
{
    return pwrite(fd, bytes, len, at) == (ssize_t)len;
}

/* The live set as a whole new file. */
static uint8_t *image(const struct mig_replay *r, uint64_t inode, size_t *len)
{
    struct mig_journal_header header = r->header;
    header.file = inode;
    *len = MIG_JOURNAL_HEADER_LEN + r->count * MIG_JOURNAL_RECORD_LEN + MIG_JOURNAL_END_LEN;
    uint8_t *bytes = malloc(*len);
    if (bytes == NULL)
        return NULL;
    mig_journal_put_header(&header, bytes);
    mig_journal_put_end(bytes + MIG_JOURNAL_HEADER_LEN);
    for (size_t i = 0; i < r->count; i++) {
        const struct entry *entry = &r->entries[r->heap[i]];
        /* `created` served the mark, and that is in the header now. */
        struct mig_nonce_record record = {.expires = entry->expires};
        memcpy(record.id, entry->id, sizeof record.id);
        mig_journal_put_record(&record, i,
                               bytes + MIG_JOURNAL_HEADER_LEN + i * MIG_JOURNAL_RECORD_LEN);
    }
    return bytes;
}

static enum mig_err write_image(const struct mig_replay *r, int fd)
{
    struct stat st;
    size_t len;
    if (fstat(fd, &st) != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return MIG_ERR_IO;
    uint8_t *bytes = image(r, (uint64_t)st.st_ino, &len);
    if (bytes == NULL)
        return MIG_ERR_NOMEM;
    bool written = write_all(fd, bytes, len, 0);
    free(bytes);
    return written ? MIG_OK : MIG_ERR_IO;
}

/* A new file beside the old one, locked before it takes the name: at no moment
 * does the name lead to a journal that is torn or that nobody holds. */
static enum mig_err compact(struct mig_replay *r)
{
    enum mig_err err = MIG_ERR_IO;
    size_t len = strlen(r->path);
    char *temporary = malloc(len + sizeof ".new");
    if (temporary == NULL)
        return MIG_ERR_NOMEM;
    memcpy(temporary, r->path, len);
    memcpy(temporary + len, ".new", sizeof ".new");
    (void)unlink(temporary);
    int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        goto out;
    err = write_image(r, fd);
    if (err == MIG_OK && rename(temporary, r->path) != 0)
        err = MIG_ERR_IO;
    if (err != MIG_OK) {
        (void)unlink(temporary);
        (void)close(fd);
        goto out;
    }
    if (r->fd >= 0)
        (void)close(r->fd);
    r->fd = fd;
    r->records = r->count;
out:
    free(temporary);
    return err;
}

static uint64_t compaction_point(const struct mig_replay *r)
{
    return 2 * (uint64_t)r->count + COMPACT_SLACK;
}

/* One write, see journal.h. When it fails or falls short the next record goes
 * to the same place: what is half-written never comes to lie inside. */
static enum mig_err append(struct mig_replay *r, const struct mig_nonce_record *record)
{
    uint8_t bytes[MIG_JOURNAL_RECORD_LEN + MIG_JOURNAL_END_LEN];
    if (r->path == NULL)
        return MIG_OK;
    if (r->records >= r->compact_at) {
        /* Tried again a little later when it fails; the old file still serves. */
        enum mig_err err = compact(r);
        r->compact_at = err == MIG_OK ? compaction_point(r) : r->records + COMPACT_SLACK;
    }
    mig_journal_put_record(record, r->records, bytes);
    off_t at = (off_t)(MIG_JOURNAL_HEADER_LEN + r->records * MIG_JOURNAL_RECORD_LEN);
    if (!write_all(r->fd, bytes, sizeof bytes, at))
        return MIG_ERR_IO;
    r->records++;
    return MIG_OK;
}

/* Opens (or creates) and locks the file that has the name now, not one that
 * another process has replaced between the two calls. */
static enum mig_err open_locked(struct mig_replay *r)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct stat held, named;
        r->fd = open(r->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (r->fd < 0)
            return MIG_ERR_IO;
        if (flock(r->fd, LOCK_EX | LOCK_NB) != 0)
            return errno == EWOULDBLOCK ? MIG_ERR_CONFLICT : MIG_ERR_IO;
        if (fstat(r->fd, &held) != 0 || !S_ISREG(held.st_mode))
            return MIG_ERR_IO;
        if (lstat(r->path, &named) == 0 && named.st_ino == held.st_ino &&
            named.st_dev == held.st_dev)
            return MIG_OK;
        (void)close(r->fd);
        r->fd = -1;
    }
    return MIG_ERR_CONFLICT;
}

/* The whole file; nothing when it is empty, too long to be ours, or others
 * could have written it. */
static enum mig_err read_file(const struct mig_replay *r, uint8_t **bytes, size_t *len,
                              uint64_t *inode)
{
    struct stat st;
    size_t max = MIG_JOURNAL_HEADER_LEN + MIG_JOURNAL_END_LEN +
                 (2 * (size_t)CAPACITY_MAX + COMPACT_SLACK) * MIG_JOURNAL_RECORD_LEN;
    *bytes = NULL;
    *len = 0;
    if (fstat(r->fd, &st) != 0)
        return MIG_ERR_IO;
    *inode = (uint64_t)st.st_ino;
    if (st.st_size <= 0 || (uint64_t)st.st_size > max || (st.st_mode & 022) != 0 ||
        st.st_uid != geteuid())
        return MIG_OK;
    *bytes = malloc((size_t)st.st_size);
    if (*bytes == NULL)
        return MIG_ERR_NOMEM;
    ssize_t got = pread(r->fd, *bytes, (size_t)st.st_size, 0);
    *len = got > 0 ? (size_t)got : 0;
    return MIG_OK;
}

/* ---- start ---- */

static void raise_mark(struct mig_replay *r, uint64_t created)
{
    if (created > r->header.mark)
        r->header.mark = created;
}

/* Takes over what the old journal remembers; true when that is everything. */
static bool load(struct mig_replay *r, const uint8_t *bytes, size_t len, uint64_t inode)
{
    struct mig_journal_header old;
    struct mig_nonce_record record;
    size_t records;
    bool is_whole;
    if (mig_journal_parse(bytes, len, &old, &records, &is_whole) != MIG_OK)
        return false;
    r->header.mark = old.mark;
    r->header.floor = old.floor;
    for (size_t i = 0; i < records; i++) {
        mig_journal_record(bytes, i, &record);
        raise_mark(r, record.created);
    }
    if (!is_whole || old.file != inode || memcmp(old.boot, r->header.boot, sizeof old.boot) != 0)
        return false;
    memcpy(r->header.hash_key, old.hash_key, sizeof old.hash_key);
    for (size_t i = 0; i < records; i++) {
        mig_journal_record(bytes, i, &record);
        if (is_past(r, record.expires) || is_in(r, record.id))
            continue;
        if (r->count == r->capacity)
            return false;
        add(r, record.id, record.expires);
    }
    return true;
}

static void distrust(struct mig_replay *r, uint64_t now)
{
    uint64_t floor;
    if (__builtin_add_overflow(now, r->skew, &floor))
        floor = UINT64_MAX;
    if (floor < r->header.mark)
        floor = r->header.mark;
    if (floor > r->header.floor)
        r->header.floor = floor;
    clear_set(r);
    mig_random(r->header.hash_key, sizeof r->header.hash_key);
}

static enum mig_err open_journal(struct mig_replay *r, uint64_t now)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    uint64_t inode = 0;
    enum mig_err err = open_locked(r);
    if (err == MIG_OK)
        err = read_file(r, &bytes, &len, &inode);
    if (err == MIG_OK) {
        if (!load(r, bytes, len, inode))
            distrust(r, now);
        err = compact(r);
    }
    r->compact_at = compaction_point(r);
    free(bytes);
    return err;
}

static enum mig_err read_boot_id(char *out, size_t cap, size_t *len)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return MIG_ERR_IO;
    ssize_t got = read(fd, out, cap);
    (void)close(fd);
    *len = got > 0 ? (size_t)got : 0;
    return got > 0 ? MIG_OK : MIG_ERR_IO;
}

/* Hashed to a fixed length. A kernel that does not tell gets a random one:
 * then no start trusts. */
static void identify_boot(const char *boot_id, uint8_t boot[MIG_JOURNAL_BOOT_LEN])
{
    char text[64];
    size_t len = 0;
    uint8_t digest[MIG_DIGEST_LEN];
    if (boot_id != NULL) {
        mig_sha256(boot_id, strlen(boot_id), digest);
    } else if (read_boot_id(text, sizeof text, &len) == MIG_OK) {
        while (len > 0 && text[len - 1] == '\n')
            len--;
        mig_sha256(text, len, digest);
    } else {
        mig_random(digest, sizeof digest);
    }
    memcpy(boot, digest, MIG_JOURNAL_BOOT_LEN);
}

enum mig_err mig_replay_open(const struct mig_replay_config *config, struct mig_replay **out)
{
    *out = NULL;
    struct mig_replay *r = calloc(1, sizeof *r);
    if (r == NULL || pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        return MIG_ERR_NOMEM;
    }
    r->fd = -1;
    r->skew = config->skew;
    enum mig_err err = new_set(r, config->capacity);
    if (err != MIG_OK)
        goto out;
    identify_boot(config->boot_id, r->header.boot);
    if (config->journal == NULL) {
        distrust(r, config->now);
    } else {
        r->path = strdup(config->journal);
        err = r->path != NULL ? open_journal(r, config->now) : MIG_ERR_NOMEM;
    }
    if (err == MIG_OK) {
        *out = r;
        r = NULL;
    }
out:
    mig_replay_close(&r);
    return err;
}

void mig_replay_close(struct mig_replay **replay)
{
    struct mig_replay *r = *replay;
    if (r == NULL)
        return;
    if (r->fd >= 0)
        (void)close(r->fd);
    free(r->path);
    free(r->entries);
    free(r->heap);
    free(r->chains);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
    *replay = NULL;
}

/* ---- insert ---- */

static bool is_behind(const struct mig_replay *r, uint64_t now)
{
    return now < r->header.mark && r->header.mark - now > r->skew;
}

static enum mig_err insert(struct mig_replay *r, const uint8_t id[MIG_NONCE_ID_LEN],
                           uint64_t created, uint64_t expires, uint64_t now)
{
    struct mig_nonce_record record = {.created = created, .expires = expires};
    if (is_in(r, id))
        return MIG_ERR_DENIED;
    if (is_behind(r, now) || created <= r->header.floor)
        return MIG_ERR_RETRY;
    raise_mark(r, created);
    sweep(r);
    memcpy(record.id, id, sizeof record.id);
    if (r->count == r->capacity || append(r, &record) != MIG_OK)
        return MIG_ERR_RETRY;
    add(r, id, expires);
    return MIG_OK;
}

enum mig_err mig_replay_insert(struct mig_replay *replay, const uint8_t key[MIG_KEY_LEN],
                               struct mig_text nonce, uint64_t created, uint64_t expires,
                               uint64_t now)
{
    uint8_t id[MIG_NONCE_ID_LEN];
    /* What the caller has checked; a mark raised by anything else would shut
     * everyone out. */
    if (nonce.len == 0 || nonce.len > MIG_NONCE_MAX || now > expires ||
        (created > now && created - now > replay->skew))
        return MIG_ERR_DENIED;
    (void)pthread_mutex_lock(&replay->lock);
    id_of(replay, key, nonce, id);
    enum mig_err err = insert(replay, id, created, expires, now);
    (void)pthread_mutex_unlock(&replay->lock);
    return err;
}

uint32_t mig_replay_retry_after(struct mig_replay *replay, uint64_t now)
{
    (void)pthread_mutex_lock(&replay->lock);
    uint64_t from = replay->header.floor;
    if (replay->header.mark > replay->skew && replay->header.mark - replay->skew > from)
        from = replay->header.mark - replay->skew;
    (void)pthread_mutex_unlock(&replay->lock);
    uint64_t wait = from > now ? from - now : 0;
    return wait < MIG_SKEW_MAX ? (uint32_t)wait + 1 : MIG_SKEW_MAX;
}

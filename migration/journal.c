/* SPDX-License-Identifier: MIT */
/*
 * "MPCJRNL1" || flags u8 || seen u64 || lost u64 || done, if known || target,
 * if known || n u32 || touched ids u32. A set: epoch u64 || threshold u64 ||
 * n u32, then by ascending id: id u32 || length u8 + account || TLS key 32 ||
 * (with addresses) length u16 + URL. Big-endian.
 */
#include "migration/journal.h"

#include <stdlib.h>
#include <string.h>

static const char magic[8] = "MPCJRNL1";

enum {
    FLAG_HELD = 1,
    FLAG_DONE = 2,
    FLAG_TARGET = 4,
    FLAG_PURGE_ALL = 8,
    FLAG_URLS = 16,
    FLAGS = 31,
    PARTICIPANT_MIN = 4 + 1 + MIG_KEY_LEN,
};

void mig_epoch_set_clear(struct mig_epoch_set *set)
{
    mig_participants_clear(&set->set);
    *set = (struct mig_epoch_set){0};
}

void mig_journal_clear(struct mig_journal *journal)
{
    mig_epoch_set_clear(&journal->done);
    mig_epoch_set_clear(&journal->target);
    mig_ids_clear(&journal->touched);
    *journal = (struct mig_journal){0};
}

/* ---- encoding ---------------------------------------------------------- */

/* Writes, or with `at` NULL only counts. */
struct writer {
    uint8_t *at;
    size_t len;
};

static void put_bytes(struct writer *w, const void *bytes, size_t len)
{
    if (w->at != NULL && len > 0)
        memcpy(w->at + w->len, bytes, len);
    w->len += len;
}

static void put(struct writer *w, uint64_t v, size_t bytes)
{
    uint8_t out[8];
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
    put_bytes(w, out, bytes);
}

static void put_set(struct writer *w, const struct mig_epoch_set *set, bool urls)
{
    if (!set->known)
        return;
    put(w, set->epoch, 8);
    put(w, set->set.threshold, 8);
    put(w, set->set.count, 4);
    for (size_t i = 0; i < set->set.count; i++) {
        const struct mig_participant *p = &set->set.list[i];
        put(w, p->id, 4);
        put(w, strlen(p->account), 1);
        put_bytes(w, p->account, strlen(p->account));
        put_bytes(w, p->tls_key, MIG_KEY_LEN);
        if (urls) {
            put(w, strlen(p->url), 2);
            put_bytes(w, p->url, strlen(p->url));
        }
    }
}

static void put_journal(struct writer *w, const struct mig_journal *j, bool urls)
{
    put_bytes(w, magic, sizeof magic);
    put(w,
        (j->seat_held ? FLAG_HELD : 0u) | (j->done.known ? FLAG_DONE : 0u) |
            (j->target.known ? FLAG_TARGET : 0u) | (j->purge_all ? FLAG_PURGE_ALL : 0u) |
            (urls ? FLAG_URLS : 0u),
        1);
    put(w, j->seat_seen_at, 8);
    put(w, j->seat_lost_at, 8);
    put_set(w, &j->done, urls);
    put_set(w, &j->target, urls);
    put(w, j->touched.count, 4);
    for (size_t i = 0; i < j->touched.count; i++)
        put(w, j->touched.list[i], 4);
}

static size_t journal_len(const struct mig_journal *journal, bool urls)
{
    struct writer w = {0};
    put_journal(&w, journal, urls);
    return w.len;
}

enum mig_err mig_journal_encode(const struct mig_journal *journal, uint8_t **bytes, size_t *len)
{
    *bytes = NULL;
    *len = 0;
    bool urls = journal_len(journal, true) <= MIG_JOURNAL_MAX;
    size_t need = journal_len(journal, urls);
    if (need > MIG_JOURNAL_MAX)
        return MIG_ERR_BUG;
    struct writer w = {malloc(need), 0};
    if (w.at == NULL)
        return MIG_ERR_NOMEM;
    put_journal(&w, journal, urls);
    *bytes = w.at;
    *len = w.len;
    return MIG_OK;
}

/* ---- decoding ---------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    if (r->failed || r->left < len) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += len;
    r->left -= len;
    return at;
}

static uint64_t take_number(struct reader *r, size_t bytes)
{
    const uint8_t *at = take(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; at != NULL && i < bytes; i++)
        v = v << 8 | at[i];
    return v;
}

/* `text` has room for `max` characters and is zero. */
static void take_text(struct reader *r, size_t len_bytes, char *text, size_t max)
{
    size_t len = (size_t)take_number(r, len_bytes);
    const uint8_t *at = len <= max ? take(r, len) : NULL;
    if (at == NULL || memchr(at, '\0', len) != NULL)
        r->failed = true;
    else
        memcpy(text, at, len);
}

static void take_participant(struct reader *r, bool urls, struct mig_participant *p)
{
    p->id = (uint32_t)take_number(r, 4);
    take_text(r, 1, p->account, MIG_ACCOUNT_MAX);
    const uint8_t *key = take(r, MIG_KEY_LEN);
    if (key != NULL)
        memcpy(p->tls_key, key, MIG_KEY_LEN);
    if (urls)
        take_text(r, 2, p->url, MIG_URL_MAX);
}

static enum mig_err take_set(struct reader *r, bool urls, struct mig_epoch_set *out)
{
    out->known = true;
    out->epoch = take_number(r, 8);
    out->set.threshold = take_number(r, 8);
    size_t count = (size_t)take_number(r, 4);
    if (r->failed || count > r->left / PARTICIPANT_MIN)
        return MIG_ERR_MALFORMED;
    if (count == 0)
        return MIG_OK;
    out->set.list = calloc(count, sizeof *out->set.list);
    if (out->set.list == NULL)
        return MIG_ERR_NOMEM;
    out->set.count = count;
    for (size_t i = 0; i < count && !r->failed; i++) {
        take_participant(r, urls, &out->set.list[i]);
        if (i > 0 && out->set.list[i].id <= out->set.list[i - 1].id)
            r->failed = true;
    }
    return r->failed ? MIG_ERR_MALFORMED : MIG_OK;
}

static enum mig_err take_ids(struct reader *r, struct mig_ids *out)
{
    size_t count = (size_t)take_number(r, 4);
    if (r->failed || count > MIG_JOURNAL_IDS_MAX || count > r->left / 4)
        return MIG_ERR_MALFORMED;
    if (count == 0)
        return MIG_OK;
    out->list = malloc(count * sizeof *out->list);
    if (out->list == NULL)
        return MIG_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        out->list[i] = (uint32_t)take_number(r, 4);
        if (i > 0 && out->list[i] <= out->list[i - 1])
            return MIG_ERR_MALFORMED;
        out->count = i + 1;
    }
    return MIG_OK;
}

/* Nothing is touched or to be purged unless a change is under way, and a seat
 * that is held is not lost. */
static bool makes_sense(const struct mig_journal *j)
{
    if (j->seat_held && j->seat_lost_at != 0)
        return false;
    return j->target.known || (!j->purge_all && j->touched.count == 0);
}

static enum mig_err take_journal(struct reader *r, struct mig_journal *out)
{
    const uint8_t *start = take(r, sizeof magic);
    unsigned flags = (unsigned)take_number(r, 1);
    if (r->failed || memcmp(start, magic, sizeof magic) != 0 || (flags & ~(unsigned)FLAGS) != 0)
        return MIG_ERR_MALFORMED;
    bool urls = (flags & FLAG_URLS) != 0;
    enum mig_err err = MIG_OK;
    out->seat_held = (flags & FLAG_HELD) != 0;
    out->purge_all = (flags & FLAG_PURGE_ALL) != 0;
    out->seat_seen_at = take_number(r, 8);
    out->seat_lost_at = take_number(r, 8);
    if ((flags & FLAG_DONE) != 0)
        err = take_set(r, urls, &out->done);
    if (err == MIG_OK && (flags & FLAG_TARGET) != 0)
        err = take_set(r, urls, &out->target);
    if (err == MIG_OK)
        err = take_ids(r, &out->touched);
    if (err == MIG_OK && (r->left != 0 || !makes_sense(out)))
        err = MIG_ERR_MALFORMED;
    return err;
}

enum mig_err mig_journal_decode(const uint8_t *bytes, size_t len, struct mig_journal *out)
{
    struct reader r = {bytes, len, false};
    *out = (struct mig_journal){0};
    enum mig_err err = len > MIG_JOURNAL_MAX ? MIG_ERR_MALFORMED : take_journal(&r, out);
    if (err != MIG_OK)
        mig_journal_clear(out);
    return err;
}

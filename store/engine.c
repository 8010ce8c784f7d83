/* SPDX-License-Identifier: MIT */
/*
 * RocksDB, tuned for little memory (docs/storage.md): two write buffers of
 * 4 MiB, an 8 MiB cache that also holds indices and filters, 64 open files. No
 * compression: what we store is sealed.
 */
#include "store/engine.h"

#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIB = 1024 * 1024,
    WRITE_BUFFER = 4 * MIB,
    WRITE_BUFFERS = 2,
    CACHE = 8 * MIB,
    FILE_SIZE = 8 * MIB,
    LEVEL_BASE = 32 * MIB,
    OPEN_FILES = 64,
    /* Only what it says while it opens: the writer of its diary stops the
     * process (an assertion) when it goes on after the disk was full. */
    NO_DIARY = 5,
    BLOCK = 4096,
    FILTER_BITS = 10,
    /* An incomplete last write is what a power cut leaves; anything else that
     * does not fit is damage, which could bring back what was taken. */
    TOLERATE_INCOMPLETE_END = 0,
};

struct mig_engine {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *durable, *soon;
    rocksdb_compactionfilter_t *filter;
    const struct mig_engine_garbage *garbage;
};

struct mig_engine_cursor {
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    uint8_t to[MIG_ENGINE_KEY_MAX]; /* the engine borrows it */
    bool started;
};

/* ---- its errors -------------------------------------------------------- */

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_damage(const char *text)
{
    return starts_with(text, "Corruption") || starts_with(text, "Invalid argument") ||
           starts_with(text, "Not implemented") || strstr(text, "No such file") != NULL ||
           strstr(text, "ot a directory") != NULL || strstr(text, "Is a directory") != NULL;
}

/* Takes the engine's sentence. */
static enum mig_err judge(char *text)
{
    if (text == NULL)
        return MIG_OK;
    enum mig_err err = is_damage(text) ? MIG_ERR_MALFORMED : MIG_ERR_IO;
    rocksdb_free(text);
    return err;
}

/* ---- open -------------------------------------------------------------- */

static unsigned char may_forget(void *state, int level, const char *key, size_t key_len, const char *value,
                                size_t value_len, char **new_value, size_t *new_len,
                                unsigned char *changed)
{
    (void)level;
    (void)new_value;
    (void)new_len;
    (void)changed;
    const struct mig_engine_garbage *garbage = state;
    struct mig_bytes k = {key, key_len}, v = {value, value_len};
    return garbage->is_garbage(garbage->ctx, k, v);
}

static const char *filter_name(void *state)
{
    (void)state;
    return "mpc-assets-garbage";
}

static void nothing_to_free(void *state)
{
    (void)state;
}

static void set_tables(rocksdb_options_t *o)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(CACHE);
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(FILTER_BITS));
    rocksdb_options_set_block_based_table_factory(o, table);
    rocksdb_cache_destroy(cache); /* both are counted */
    rocksdb_block_based_options_destroy(table);
}

static void set_options(rocksdb_options_t *o)
{
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_wal_recovery_mode(o, TOLERATE_INCOMPLETE_END);
    rocksdb_options_set_uint64add_merge_operator(o);
    rocksdb_options_set_compression(o, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(o, WRITE_BUFFER);
    rocksdb_options_set_max_write_buffer_number(o, WRITE_BUFFERS);
    rocksdb_options_set_target_file_size_base(o, FILE_SIZE);
    rocksdb_options_set_max_bytes_for_level_base(o, LEVEL_BASE);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_max_open_files(o, OPEN_FILES);
    rocksdb_options_set_max_file_opening_threads(o, 1); /* of its own at every open, else 16 */
    rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
    rocksdb_options_set_info_log_level(o, NO_DIARY);
    rocksdb_options_set_keep_log_file_num(o, 1);
    set_tables(o);
}

enum mig_err mig_engine_open(const char *folder, const struct mig_engine_garbage *garbage,
                             struct mig_engine **out)
{
    *out = NULL;
    struct mig_engine *e = calloc(1, sizeof *e);
    if (e == NULL)
        return MIG_ERR_NOMEM;
    e->garbage = garbage;
    e->options = rocksdb_options_create();
    e->read = rocksdb_readoptions_create();
    e->durable = rocksdb_writeoptions_create();
    e->soon = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(e->durable, 1);
    set_options(e->options);
    if (garbage != NULL) {
        e->filter = rocksdb_compactionfilter_create((void *)(uintptr_t)garbage, nothing_to_free, may_forget,
                                                    filter_name);
        rocksdb_options_set_compaction_filter(e->options, e->filter);
    }
    char *text = NULL;
    e->db = rocksdb_open(e->options, folder, &text);
    enum mig_err err = judge(text);
    if (err != MIG_OK)
        mig_engine_close(&e);
    *out = e;
    return err;
}

void mig_engine_close(struct mig_engine **engine)
{
    struct mig_engine *e = engine != NULL ? *engine : NULL;
    if (e == NULL)
        return;
    if (e->db != NULL) {
        /* What waits in the background is not worth waiting for. */
        rocksdb_cancel_all_background_work(e->db, 1);
        rocksdb_close(e->db);
    }
    rocksdb_options_destroy(e->options);
    rocksdb_readoptions_destroy(e->read);
    rocksdb_writeoptions_destroy(e->durable);
    rocksdb_writeoptions_destroy(e->soon);
    if (e->filter != NULL)
        rocksdb_compactionfilter_destroy(e->filter);
    free(e);
    *engine = NULL;
}

/* ---- reading ----------------------------------------------------------- */

enum mig_err mig_engine_get(struct mig_engine *engine, struct mig_bytes key, void *value, size_t cap,
                            size_t *len)
{
    *len = 0;
    char *text = NULL;
    rocksdb_pinnableslice_t *found = rocksdb_get_pinned(engine->db, engine->read, key.bytes, key.len, &text);
    if (text != NULL)
        return judge(text);
    if (found == NULL)
        return MIG_ERR_NOT_FOUND;
    size_t n;
    const char *bytes = rocksdb_pinnableslice_value(found, &n);
    bool fits = n <= cap;
    if (fits && n > 0)
        memcpy(value, bytes, n);
    *len = fits ? n : 0;
    rocksdb_pinnableslice_destroy(found);
    return fits ? MIG_OK : MIG_ERR_MALFORMED;
}

/* The engine's adding operator keeps little-endian numbers. */
static uint64_t little(const uint8_t *bytes)
{
    uint64_t v = 0;
    for (size_t i = sizeof v; i > 0; i--)
        v = v << 8 | bytes[i - 1];
    return v;
}

enum mig_err mig_engine_count(struct mig_engine *engine, struct mig_bytes key, uint64_t *count)
{
    uint8_t bytes[sizeof(uint64_t)];
    size_t len;
    *count = 0;
    enum mig_err err = mig_engine_get(engine, key, bytes, sizeof bytes, &len);
    if (err == MIG_ERR_NOT_FOUND)
        return MIG_OK;
    if (err != MIG_OK)
        return err;
    if (len != sizeof bytes)
        return MIG_ERR_MALFORMED;
    *count = little(bytes);
    return MIG_OK;
}

struct mig_engine_cursor *mig_engine_cursor_new(struct mig_engine *engine, struct mig_bytes from,
                                                struct mig_bytes to)
{
    struct mig_engine_cursor *c = calloc(1, sizeof *c);
    if (c == NULL || to.len > sizeof c->to) {
        free(c);
        return NULL;
    }
    memcpy(c->to, to.bytes, to.len);
    c->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_upper_bound(c->read, (const char *)c->to, to.len);
    c->it = rocksdb_create_iterator(engine->db, c->read);
    rocksdb_iter_seek(c->it, from.bytes, from.len);
    return c;
}

void mig_engine_cursor_free(struct mig_engine_cursor **cursor)
{
    struct mig_engine_cursor *c = cursor != NULL ? *cursor : NULL;
    if (c == NULL)
        return;
    rocksdb_iter_destroy(c->it);
    rocksdb_readoptions_destroy(c->read);
    free(c);
    *cursor = NULL;
}

enum mig_err mig_engine_cursor_next(struct mig_engine_cursor *cursor, struct mig_bytes *key,
                                    struct mig_bytes *value)
{
    *key = *value = (struct mig_bytes){0};
    if (cursor->started)
        rocksdb_iter_next(cursor->it);
    cursor->started = true;
    if (!rocksdb_iter_valid(cursor->it)) {
        char *text = NULL;
        rocksdb_iter_get_error(cursor->it, &text);
        cursor->started = false; /* a step past the end would be one too many */
        return text != NULL ? judge(text) : MIG_ERR_NOT_FOUND;
    }
    key->bytes = rocksdb_iter_key(cursor->it, &key->len);
    value->bytes = rocksdb_iter_value(cursor->it, &value->len);
    return MIG_OK;
}

/* ---- writing ----------------------------------------------------------- */

/* A batch is the engine's own object under our name. */
static rocksdb_writebatch_t *inner(struct mig_engine_batch *batch)
{
    return (rocksdb_writebatch_t *)batch;
}

struct mig_engine_batch *mig_engine_batch_new(void)
{
    return (struct mig_engine_batch *)rocksdb_writebatch_create();
}

void mig_engine_batch_free(struct mig_engine_batch **batch)
{
    if (batch == NULL || *batch == NULL)
        return;
    rocksdb_writebatch_destroy(inner(*batch));
    *batch = NULL;
}

void mig_engine_batch_put(struct mig_engine_batch *batch, struct mig_bytes key, struct mig_bytes value)
{
    rocksdb_writebatch_put(inner(batch), key.bytes, key.len, value.bytes, value.len);
}

void mig_engine_batch_remove(struct mig_engine_batch *batch, struct mig_bytes key)
{
    rocksdb_writebatch_delete(inner(batch), key.bytes, key.len);
}

void mig_engine_batch_remove_range(struct mig_engine_batch *batch, struct mig_bytes from, struct mig_bytes to)
{
    rocksdb_writebatch_delete_range(inner(batch), from.bytes, from.len, to.bytes, to.len);
}

void mig_engine_batch_add(struct mig_engine_batch *batch, struct mig_bytes key, int64_t difference)
{
    uint64_t v = (uint64_t)difference; /* adding wraps round */
    char bytes[sizeof v];
    for (size_t i = 0; i < sizeof v; i++)
        bytes[i] = (char)(v >> 8 * i & 0xff);
    rocksdb_writebatch_merge(inner(batch), key.bytes, key.len, bytes, sizeof bytes);
}

enum mig_err mig_engine_commit(struct mig_engine *engine, struct mig_engine_batch *batch, bool durable)
{
    char *text = NULL;
    rocksdb_write(engine->db, durable ? engine->durable : engine->soon, inner(batch), &text);
    if (text == NULL)
        return MIG_OK;
    rocksdb_free(text);
    return MIG_ERR_IO;
}

enum mig_err mig_engine_sync(struct mig_engine *engine)
{
    char *text = NULL;
    rocksdb_flush_wal(engine->db, 1, &text);
    if (text == NULL)
        return MIG_OK;
    rocksdb_free(text);
    return MIG_ERR_IO;
}

uint64_t mig_engine_sequence(struct mig_engine *engine)
{
    return rocksdb_get_latest_sequence_number(engine->db);
}

enum mig_err mig_engine_reclaim(struct mig_engine *engine)
{
    char *text = NULL;
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    rocksdb_flush(engine->db, flush, &text);
    rocksdb_flushoptions_destroy(flush);
    if (text != NULL) {
        rocksdb_free(text);
        return MIG_ERR_IO;
    }
    rocksdb_compact_range(engine->db, NULL, 0, NULL, 0);
    return MIG_OK;
}

uint64_t mig_engine_bytes(struct mig_engine *engine)
{
    uint64_t files = 0, memory = 0;
    (void)rocksdb_property_int(engine->db, "rocksdb.total-sst-files-size", &files);
    (void)rocksdb_property_int(engine->db, "rocksdb.cur-size-all-mem-tables", &memory);
    return files + memory; /* what is in memory is in the log */
}

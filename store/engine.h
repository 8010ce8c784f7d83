/* SPDX-License-Identifier: MIT */
#ifndef MIG_STORE_ENGINE_H
#define MIG_STORE_ENGINE_H
/*
 * The ordered key-value engine below the asset store, and all that the house
 * asks of one: point reads, a cursor, atomic batches with range deletes and
 * counters, and a log that loses nothing but its end. Nothing outside
 * store/engine.c knows which engine it is (RocksDB: docs/storage.md says why).
 * Any thread. After a failed commit or sync an engine takes no more writes: close it
 * and open it again.
 */
#include "include/mpc_migration.h"

enum { MIG_ENGINE_KEY_MAX = 32 };

struct mig_engine;
struct mig_engine_batch;
struct mig_engine_cursor;

struct mig_bytes {
    const void *bytes;
    size_t len;
};

/* Whether the engine may forget a record when it next rewrites it. Called on
 * the engine's threads. */
struct mig_engine_garbage {
    bool (*is_garbage)(void *ctx, struct mig_bytes key, struct mig_bytes value);
    void *ctx;
};

/* Creates the folder when missing. MIG_ERR_MALFORMED: damaged or not an
 * engine's. `garbage` is borrowed until close. */
enum mig_err mig_engine_open(const char *folder, const struct mig_engine_garbage *garbage,
                             struct mig_engine **out) MIG_MUST_USE;
void mig_engine_close(struct mig_engine **engine);

/* MIG_ERR_NOT_FOUND; MIG_ERR_MALFORMED when longer than `cap`, or damaged on the disk. */
enum mig_err mig_engine_get(struct mig_engine *engine, struct mig_bytes key, void *value, size_t cap,
                            size_t *len) MIG_MUST_USE;
/* A counter that mig_engine_batch_add made; 0 when there is none. */
enum mig_err mig_engine_count(struct mig_engine *engine, struct mig_bytes key, uint64_t *count) MIG_MUST_USE;

/* Records with from <= key < to, ascending, as they are now. NULL: no memory. */
struct mig_engine_cursor *mig_engine_cursor_new(struct mig_engine *engine, struct mig_bytes from,
                                                struct mig_bytes to);
void mig_engine_cursor_free(struct mig_engine_cursor **cursor);
/* The next record, valid until the next call; MIG_ERR_NOT_FOUND at the end. */
enum mig_err mig_engine_cursor_next(struct mig_engine_cursor *cursor, struct mig_bytes *key,
                                    struct mig_bytes *value) MIG_MUST_USE;

struct mig_engine_batch *mig_engine_batch_new(void);
void mig_engine_batch_free(struct mig_engine_batch **batch);
void mig_engine_batch_put(struct mig_engine_batch *batch, struct mig_bytes key, struct mig_bytes value);
void mig_engine_batch_remove(struct mig_engine_batch *batch, struct mig_bytes key);
/* Every key with from <= key < to. */
void mig_engine_batch_remove_range(struct mig_engine_batch *batch, struct mig_bytes from, struct mig_bytes to);
void mig_engine_batch_add(struct mig_engine_batch *batch, struct mig_bytes key, int64_t difference);

/* All or nothing. `durable`: on the disk, with all commits before it, when this returns. */
enum mig_err mig_engine_commit(struct mig_engine *engine, struct mig_engine_batch *batch,
                               bool durable) MIG_MUST_USE;
enum mig_err mig_engine_sync(struct mig_engine *engine) MIG_MUST_USE;
/* Grows by at least one for every record that a commit touches. */
uint64_t mig_engine_sequence(struct mig_engine *engine);
/* Rewrites what holds removed records. */
enum mig_err mig_engine_reclaim(struct mig_engine *engine) MIG_MUST_USE;
/* What its files take, about. */
uint64_t mig_engine_bytes(struct mig_engine *engine);

#endif

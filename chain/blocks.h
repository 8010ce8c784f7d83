/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_BLOCKS_H
#define MIG_CHAIN_BLOCKS_H
/*
 * The block stream: every block from a start on, once and in order, with the
 * contract's requests and completions. It follows hashes: a block is delivered
 * only behind the block it names as the one before it. When the chain is
 * another one (only possible with `optimistic`), the blocks that are no longer
 * part of it are taken back, newest first, before the new ones come.
 *
 * Nothing is left out silently: what cannot be had, or did not fit, is an event
 * of its own. What was finished with mig_stream_done is kept by the checkpoint:
 * a stream that is started with it goes on behind that, whatever happened to
 * the chain meanwhile.
 *
 * One thread per stream, which asks the source. The consumer is one thread; the
 * functions say which others may call.
 */
#include "chain/block_source.h"
#include "chain/checkpoint.h"

struct mig_stream;

enum mig_when_full {
    MIG_FULL_WAIT = 0, /* the stream waits for the consumer */
    MIG_FULL_GAP = 1,  /* blocks that do not fit become one gap, delivered when there is room */
};

struct mig_stream_options {
    const struct mig_block_source *source; /* taken over, also on failure */
    const char *contract;
    bool optimistic;       /* newest blocks, with rollbacks; otherwise final ones only */
    uint64_t start_height; /* without a checkpoint: the first block at or above; 0: the newest */
    unsigned interval_ms;  /* between looks at the head; 0: 500 */
    unsigned backoff_max_ms; /* after failures; 0: 10 000 */
    size_t channel;        /* events that wait for the consumer, 2 or more; 0: 256 */
    enum mig_when_full when_full;
    /* Tries before a block whose data is gone for good becomes a gap; 0: 5. Garbage,
     * silence and false answers never become one: they are retried for ever. */
    unsigned missing_tries;
    /* The checkpoint. Both may be NULL: then nothing is kept. `load`: a heap block, or
     * MIG_ERR_NOT_FOUND. `save` must be atomic and durable; called on the consumer's thread. */
    enum mig_err (*load)(void *ctx, uint8_t **bytes, size_t *len);
    enum mig_err (*save)(void *ctx, const uint8_t *bytes, size_t len);
    void *ctx;
};

enum mig_stream_kind {
    MIG_STREAM_BLOCK = 0,    /* `block` */
    MIG_STREAM_ROLLBACK = 1, /* the block of block.context's hash and height is undone */
    MIG_STREAM_GAP = 2,      /* the blocks from `from` to `to` will not be delivered */
};
enum mig_gap_reason {
    MIG_GAP_NO_DATA = 0, /* the source no longer has them */
    MIG_GAP_FULL = 1,    /* the channel was full */
};
struct mig_stream_event {
    enum mig_stream_kind kind;
    struct mig_block_update block;
    uint64_t from, to; /* heights, both included */
    enum mig_gap_reason reason;
    /* The stream's own. */
    uint64_t number;
    struct mig_mark mark; /* a gap's end */
    bool settles;         /* the block itself is final */
    struct mig_stream_event *next;
};

/* MIG_ERR_MALFORMED for a checkpoint that is damaged, MIG_ERR_CONFLICT for one of
 * another contract: never taken for none. What `load` gives, _NOMEM, _BUG. */
enum mig_err mig_stream_start(const struct mig_stream_options *options,
                              struct mig_stream **out) MIG_MUST_USE;
/* Ends the question under way, joins the thread. Events handed out stay valid, but
 * can no longer be finished. */
void mig_stream_stop(struct mig_stream **stream);

/* The next event, the caller's until mig_stream_done or _drop; waits for it.
 * MIG_ERR_RETRY when none came in time, MIG_ERR_CANCELLED after mig_stream_cancel. */
enum mig_err mig_stream_next(struct mig_stream *stream, unsigned timeout_ms,
                             struct mig_stream_event **out) MIG_MUST_USE;
/* Taken in: saves the checkpoint, then releases the event. In the order of delivery
 * (MIG_ERR_BUG otherwise). When saving fails the event stays the caller's, who may
 * try again. */
enum mig_err mig_stream_done(struct mig_stream *stream,
                             struct mig_stream_event **event) MIG_MUST_USE;
/* Releases an event without finishing it: after a restart it comes again. */
void mig_stream_drop(struct mig_stream_event **event);

/* Ends mig_stream_next and the stream's work, now and later. Any thread. */
void mig_stream_cancel(struct mig_stream *stream);

struct mig_stream_stats {
    uint64_t head;      /* newest block the source showed */
    uint64_t height;    /* newest block taken into the channel */
    uint64_t done;      /* newest block finished */
    uint64_t blocks, rollbacks, gaps; /* events so far */
    uint64_t lost;      /* blocks so far that did not fit */
    uint64_t failures;  /* of the source, so far */
    uint32_t failing;   /* in a row */
    size_t waiting;     /* events in the channel */
    enum mig_err err;   /* the last failure; MIG_OK after a success. CONFLICT: the source's
                         * chain does not hold a block that was final */
    char reason[MIG_SOURCE_REASON_MAX];
};
/* Any thread. */
void mig_stream_stats(struct mig_stream *stream, struct mig_stream_stats *out);

#endif

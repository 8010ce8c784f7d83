/* SPDX-License-Identifier: MIT */
#ifndef MPC_MIGRATION_H
#define MPC_MIGRATION_H
/*
 * The migration service of an MPC node, as a library.
 *
 * A node that embeds it calls mig_start() with a configuration and a table of
 * host functions, lets it poll the contract (or feeds it), and mig_stop()s it.
 * The library is a guest: it never exits, aborts, prints, reads the
 * environment or installs signal handlers, and starts no more threads than
 * mig_start() says.
 *
 * Conventions. Every function that can fail returns enum mig_err and leaves
 * its outputs empty when it does. `const T *` is borrowed for the call. What a
 * `_new` or mig_start() gives, the matching `_free` or mig_stop() takes; these
 * accept a pointer to NULL and null the pointer. Times are Unix seconds unless
 * the name says otherwise.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MIG_API __attribute__((visibility("default")))
#define MIG_MUST_USE __attribute__((warn_unused_result))

/* Each code says what the caller does next. */
enum mig_err {
    MIG_OK = 0,
    MIG_ERR_MALFORMED, /* the input is not well-formed: drop it, it will not improve */
    MIG_ERR_DENIED,    /* not authentic, or not allowed: refuse */
    MIG_ERR_STATE,     /* not possible now (wrong state, stale view): wait for a change */
    MIG_ERR_CONFLICT,  /* would replace something different: keep what is there, tell a person */
    MIG_ERR_NOT_FOUND, /* there is no such thing */
    MIG_ERR_CANCELLED, /* abandoned because what allowed it changed: start over if still wanted */
    MIG_ERR_RETRY,     /* a temporary failure (network, busy): try again later */
    MIG_ERR_IO,        /* the disk or the system refused: report, try again later */
    MIG_ERR_NOMEM,     /* out of memory (locked memory too) */
    MIG_ERR_BUG,       /* must not happen: report */
};

/* A short lower-case name of the code, for logs. Static; never NULL. */
MIG_API const char *mig_err_text(enum mig_err err);

enum {
    MIG_KEY_LEN = 32,       /* ed25519 and X25519 public keys */
    MIG_SHARE_LEN = 32,     /* one scalar */
    MIG_DIGEST_LEN = 32,    /* SHA-256 */
    MIG_GROUP_KEY_MAX = 96, /* the longest group key, bls12381g2 */
    MIG_DOMAINS_MAX = 1024, /* domains in a keyset */
    MIG_ACCOUNT_MAX = 64,   /* characters of a NEAR account id */
    MIG_URL_MAX = 512,      /* characters of a participant's URL that we accept */
};

/* Numbers of the wire protocol and of stored files (docs/protocol.md). */
enum mig_curve {
    MIG_CURVE_SECP256K1 = 1,  /* 64-byte key x||y, share big-endian */
    MIG_CURVE_ED25519 = 2,    /* 32-byte key, share little-endian */
    MIG_CURVE_BLS12381G2 = 3, /* 96-byte compressed key, share little-endian */
};

/* One domain's key in a keyset. Epoch, domain and attempt together are the
 * contract's KeyEventId; a superseded attempt has the same epoch and key. */
struct mig_domain_key {
    uint64_t domain;
    uint64_t attempt;
    enum mig_curve curve;
    uint16_t key_len; /* 64, 32 or 96, by curve */
    uint8_t key[MIG_GROUP_KEY_MAX];
};

/* What the contract calls a keyset. `domains` is sorted by ascending, unique
 * domain id. */
struct mig_keyset {
    uint64_t epoch;
    size_t count;
    struct mig_domain_key *domains;
};

struct mig_participant {
    uint32_t id;
    char account[MIG_ACCOUNT_MAX + 1];
    uint8_t tls_key[MIG_KEY_LEN]; /* ed25519: the identity of the node */
    char url[MIG_URL_MAX + 1];
};

/* Sorted by ascending, unique id. */
struct mig_participants {
    uint64_t threshold;
    size_t count;
    struct mig_participant *list;
};

/* ---- what the host does for the library ------------------------------- */

/* A question an import asks the moment before it makes shares durable: is this
 * operation still admitted? False means abandon: keep nothing. */
struct mig_fence {
    bool (*holds)(void *ctx);
    void *ctx;
};

struct mig_receipt {
    uint64_t epoch;
    uint8_t keyset[MIG_DIGEST_LEN]; /* keyset digest */
    uint32_t shares;                /* how many */
    uint64_t imported_at;           /* of the first durable import */
    bool repeated;                  /* the very same shares were there already */
};

/* A change of the participant set, from the last one whose consequences are
 * done. Identity is (id, account, TLS key): an id whose account or key changed
 * counts as gone and as new. */
struct mig_change {
    const struct mig_participants *before; /* NULL: none known */
    const struct mig_participants *after;
    uint64_t epoch_before;
    uint64_t epoch_after;
    bool purge_all;       /* new epoch: every triple and presignature goes */
    const uint32_t *gone; /* ids that left or were re-keyed, ascending */
    size_t gone_count;
    bool active; /* this node is in the active set: take part; else stop */
};

/* Stages of this node's own onboarding, as the wire names them. */
enum mig_job {
    MIG_JOB_NONE = 0,      /* not a destination and not the participant */
    MIG_JOB_WAITING = 1,   /* destination; no shares yet */
    MIG_JOB_IMPORTING = 2, /* an upload is being imported */
    MIG_JOB_IMPORTED = 3,  /* shares durable; concluding */
    MIG_JOB_DONE = 4,      /* this node is the participant */
};

enum mig_log_level {
    MIG_LOG_ERROR = 3, /* journald's priorities */
    MIG_LOG_WARNING = 4,
    MIG_LOG_NOTICE = 5,
    MIG_LOG_INFO = 6,
    MIG_LOG_DEBUG = 7,
};

/*
 * Functions of the host; `ctx` comes back in each. A NULL function means the
 * default in brackets. load_keyshares, import_keyshares and load_receipt are
 * called on the listener's thread, log on any, the others on the worker's; one
 * call of each at a time. Any may fail: what must happen (purge, reconnect,
 * conclude) is called again, with growing pauses and across restarts, until it
 * reports MIG_OK.
 */
struct mig_host {
    void *ctx;
    /* Writes the share of each domain of exactly this keyset, in its order, into
     * locked memory; all or nothing. MIG_ERR_NOT_FOUND: lacks one.
     * [the keyshare store below state_dir] */
    enum mig_err (*load_keyshares)(void *ctx, const struct mig_keyset *keyset,
                                   uint8_t (*shares)[MIG_SHARE_LEN]);
    /* Makes all shares durable before it returns, or none; asks `fence` right
     * before the deciding step (MIG_ERR_CANCELLED when it does not hold). The
     * same shares again: MIG_OK with receipt->repeated. Different shares for
     * the keyset: MIG_ERR_CONFLICT. An epoch older than one it holds:
     * MIG_ERR_CONFLICT. [the keyshare store] */
    enum mig_err (*import_keyshares)(void *ctx, const struct mig_keyset *keyset,
                                     const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                                     const struct mig_fence *fence, struct mig_receipt *receipt);
    /* The receipt of the import of this keyset. MIG_ERR_NOT_FOUND: none.
     * [the keyshare store] */
    enum mig_err (*load_receipt)(void *ctx, const struct mig_keyset *keyset,
                                 struct mig_receipt *receipt);
    /* Sends the conclude transaction; success is observed in the contract, not
     * here. [our transaction sender, with access_key] */
    enum mig_err (*conclude)(void *ctx, const struct mig_keyset *keyset);
    /* Drops and re-establishes connections to peers; stops taking part when
     * !change->active. [nothing] */
    enum mig_err (*participants_changed)(void *ctx, const struct mig_change *change);
    /* Removes triples and presignatures that involve change->gone, or all.
     * [nothing] */
    enum mig_err (*purge_assets)(void *ctx, const struct mig_change *change);
    /* The onboarding job moved; information only. [nothing] */
    void (*job_changed)(void *ctx, enum mig_job job);
    /* One event: a stable name and a printable, single-line text without
     * secrets. [nothing] */
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
};

#ifdef __cplusplus
}
#endif
#endif

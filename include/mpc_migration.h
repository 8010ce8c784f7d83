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

/* What the host does about an event, as it tells it: for /status and metrics. */
enum mig_hook {
    MIG_HOOK_PARTICIPANTS_CHANGED = 0,
    MIG_HOOK_PURGE_ASSETS = 1,
    MIG_HOOK_JOB_CHANGED = 2,
    MIG_HOOK_BACKUP_SERVED = 3,
    MIG_HOOK_RECOVERED = 4,
};
enum { MIG_HOOK_COUNT = 5 };
struct mig_hook_stats {
    uint64_t runs;     /* begun since the start */
    uint64_t failures; /* in a row, up to now */
    uint64_t last_ms;  /* how long the last one took */
    bool pending;      /* an event is not dealt with yet */
};

/*
 * Functions of the host; `ctx` comes back in each. A NULL function means the
 * default in brackets. import_keyshares, backup_served and recovered are called
 * on the listener's thread, load_keyshares and load_receipt there and on the
 * admin listener's and the worker's, log and job_changed on any, hook_stats on
 * the admin listener's, the others on the worker's. Never two of the three
 * storing functions at once, and of every other but log one call at a time. Any
 * may fail: what must happen (purge, reconnect, conclude) is called again, with
 * growing pauses and across restarts, until it reports MIG_OK.
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
     * !change->active. When purge_all or gone_count > 0, purge_assets of the same
     * change follows once this succeeded: assets made before it did are purged
     * with the others. [nothing] */
    enum mig_err (*participants_changed)(void *ctx, const struct mig_change *change);
    /* Removes triples and presignatures that involve change->gone, or all.
     * [nothing] */
    enum mig_err (*purge_assets)(void *ctx, const struct mig_change *change);
    /* The onboarding job moved; information only. [nothing] */
    void (*job_changed)(void *ctx, enum mig_job job);
    /* A backup of this keyset is on its way to the registered backup service;
     * information only, return at once. [nothing] */
    void (*backup_served)(void *ctx, uint64_t epoch, const uint8_t keyset[MIG_DIGEST_LEN]);
    /* Shares were imported and are durable; information only, return at once.
     * receipt->repeated: they had been before. [nothing] */
    void (*recovered)(void *ctx, const struct mig_receipt *receipt);
    /* How the host's own handling of one kind of event goes; false: nothing to
     * tell of it. Return at once. [nothing is told] */
    bool (*hook_stats)(void *ctx, enum mig_hook hook, struct mig_hook_stats *out);
    /* One event: a stable name and a printable, single-line text without
     * secrets. [nothing] */
    void (*log)(void *ctx, enum mig_log_level level, const char *event, const char *text);
};

/* ---- the library itself ------------------------------------------------ */

/* How ephemeral keys travel: signed headers, or published in the contract. */
enum mig_config_announce { MIG_CONFIG_ANNOUNCE_HEADER = 0, MIG_CONFIG_ANNOUNCE_CONTRACT = 1 };
enum mig_config_dialect {
    MIG_CONFIG_DIALECT_AUTO = 0, /* ask the contract's `version` */
    MIG_CONFIG_DIALECT_DRAFT = 1,
    MIG_CONFIG_DIALECT_DEPLOYED = 2,
};

/*
 * Everything mig_start() needs; zero means the default in brackets. Strings
 * are copied. Addresses are "host:port" with a literal address or a name; port
 * 0 lets the system choose (mig_address() tells).
 */
struct mig_config {
    const char *contract;     /* account id of the MPC contract */
    const char *account;      /* account id of this node's operator */
    const char *identity_key; /* file: the node's ed25519 TLS identity (crypto: NEAR key file) */
    const char
        *access_key; /* file: the node's account key, for conclude [NULL: the host concludes] */
    const char *operator_key; /* file: 64 hex digits, mixed into every sealing key [NULL: none] */
    const char *state_dir;    /* folder, 0700: keyshares, nonce journal, records */
    const char
        *store_key;  /* file: 64 hex digits, seals the keyshare store [NULL: the host stores] */
    const char *rpc; /* JSON-RPC URLs "url, url, url", at most 8 [NULL: the host feeds the contract
                        state] */
    uint32_t quorum; /* a change is believed when so many of them tell it [more than half] */
    enum mig_config_dialect dialect;
    uint32_t poll_interval_ms;  /* [1000] */
    uint32_t max_staleness_s;   /* older views refuse [30] */
    const char *listen;         /* migration listener */
    bool listen_plain;          /* HTTP without TLS; only on loopback ... [TLS] */
    bool listen_plain_anywhere; /* ... unless this says so */
    const char *admin;          /* admin listener, plain [NULL: none] */
    enum mig_config_announce announce;
    uint32_t key_delay_s; /* a new backup key is honoured after this [0] */
    uint32_t skew_s;      /* allowed clock skew, at most 300 [30] */
};

struct mig_plugin;

/*
 * Starts the service: loads keys, opens the store, binds the listeners, starts
 * its threads (one per listener, one for deadlines, one for hooks and
 * transactions, and with `rpc` one that polls for each URL) and returns without waiting for
 * the chain. `host` is copied; NULL means all defaults. On failure nothing is
 * left running and `why` (NULL or at least MIG_WHY_MAX bytes) holds one
 * sentence for the operator: what is wrong and what to do, without secrets.
 */
enum { MIG_WHY_MAX = 512 };
MIG_API enum mig_err mig_start(const struct mig_config *config, const struct mig_host *host,
                               struct mig_plugin **out, char *why) MIG_MUST_USE;

/* Reads and judges the configuration and every file it names as mig_start()
 * would, without opening the store, binding or starting anything. */
MIG_API enum mig_err mig_check(const struct mig_config *config, const struct mig_host *host,
                               char *why) MIG_MUST_USE;

/*
 * For hosts that follow the contract themselves (config.rpc NULL): the answer
 * of a view method as the contract gave it, and the final block it was read
 * at. Any thread, one at a time. MIG_ERR_MALFORMED changes nothing.
 */
enum mig_feed {
    MIG_FEED_STATE = 0,     /* `state` */
    MIG_FEED_MIGRATION = 1, /* `migration_info` or `recovery_info` */
    MIG_FEED_EPHEMERAL = 2, /* `ephemeral_keys` */
};
MIG_API enum mig_err mig_feed(struct mig_plugin *plugin, enum mig_feed part, uint64_t block_height,
                              uint64_t block_time_ns, const char *json, size_t len) MIG_MUST_USE;

/* Stops listening, lets requests in progress end (at most `drain_ms`), stops
 * all threads, wipes. No host function is called after it returned. */
MIG_API void mig_stop(struct mig_plugin **plugin, uint32_t drain_ms);

/* The real "address:port" of a listener; "" when it does not exist. Valid
 * until mig_stop. */
enum mig_listener_name { MIG_LISTENER_MIGRATION = 0, MIG_LISTENER_ADMIN = 1 };
MIG_API const char *mig_address(const struct mig_plugin *plugin, enum mig_listener_name which);

/* Where the node's own onboarding stands. Any thread. */
MIG_API enum mig_job mig_current_job(struct mig_plugin *plugin);
/* Ready: the view is fresh, the store writable, the keyset can be served. */
MIG_API bool mig_is_ready(struct mig_plugin *plugin);

/* "major.minor.patch" of the library. */
MIG_API const char *mig_version(void);

#ifdef __cplusplus
}
#endif
#endif

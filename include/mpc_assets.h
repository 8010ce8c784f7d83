/* SPDX-License-Identifier: MIT */
#ifndef MPC_ASSETS_H
#define MPC_ASSETS_H
/*
 * A store of triples and presignatures for nodes that have none: a library of
 * its own (libmpcassets), so that a node with its own store does not carry a
 * storage engine. A guest like libmpcmigration: it never exits, prints or reads
 * the environment; the engine keeps two background threads per process.
 *
 * An asset is taken once: its removal is on the disk before its value is handed
 * out. Values are sealed at rest under a key of their participant set, and
 * bound to their place; a purge destroys the keys of the sets concerned, so
 * that what it removes cannot be read from then on, whenever the engine gives
 * the space back. Any thread, except open and close.
 */
#include "mpc_migration.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MIG_ASSET_ID_LEN = 16,
    MIG_ASSET_VALUE_MAX = 16384,
    MIG_ASSET_PARTICIPANTS_MAX = 1024,
    MIG_ASSET_BATCH_MAX = 1024, /* assets in one put */
};

/* Stored numbers. */
enum mig_asset_kind {
    MIG_ASSET_TRIPLE = 1,       /* scope: the threshold */
    MIG_ASSET_PRESIGNATURE = 2, /* scope: the domain */
};

struct mig_asset_key {
    enum mig_asset_kind kind;
    uint64_t scope;
    uint8_t id[MIG_ASSET_ID_LEN]; /* unique within kind and scope; says nothing to the store */
};

struct mig_asset {
    struct mig_asset_key key;
    const uint32_t *participants; /* ids, ascending, unique, at least one */
    size_t participant_count;
    const uint8_t *value;
    size_t len; /* at most MIG_ASSET_VALUE_MAX */
};

/* What comes with a value that was taken. */
struct mig_asset_taken {
    struct mig_asset_key key;
    size_t participant_count;
    uint32_t participants[MIG_ASSET_PARTICIPANTS_MAX];
};

struct mig_assets;

/*
 * Opens (creates, 0700) the folder; one process at a time (MIG_ERR_STATE). `key` is
 * copied into locked memory. Another key than the folder's: MIG_ERR_DENIED,
 * nothing touched. A damaged, truncated or foreign store is moved to
 * quarantine/ below the folder, never deleted, and an empty one begun: see
 * mig_assets_stats and report it. Ends a purge that a crash interrupted.
 * *why: a static sentence for the operator; may be NULL.
 */
MIG_API enum mig_err mig_assets_open(const char *folder, const uint8_t key[MIG_KEY_LEN],
                                     struct mig_assets **out, const char **why) MIG_MUST_USE;
MIG_API void mig_assets_close(struct mig_assets **assets);

/*
 * Stores all or none. MIG_ERR_CONFLICT: a key is in the store, or twice in the
 * batch. MIG_ERR_MALFORMED: against the rules above. MIG_ERR_STATE: too many
 * different participant sets. Survives the end of the process when it returns,
 * and a power cut once mig_assets_sync (or any take) returned after it. MIG_ERR_IO:
 * they may be there or not.
 */
MIG_API enum mig_err mig_assets_put(struct mig_assets *assets, const struct mig_asset *list,
                                    size_t count) MIG_MUST_USE;
MIG_API enum mig_err mig_assets_sync(struct mig_assets *assets) MIG_MUST_USE;

/*
 * Hands out one asset, durably removed before: `value` holds `cap` bytes
 * (MIG_ASSET_VALUE_MAX always suffice), secret, the caller's to keep and to
 * wipe. `taken` may be NULL. MIG_ERR_NOT_FOUND: it is not there, or no more.
 * MIG_ERR_MALFORMED: it does not open (damaged, or moved from another place);
 * it stays. MIG_ERR_IO: not handed out; after that it may be there or not.
 * MIG_ERR_BUG: `cap` is too small; it stays. On any failure *len is 0.
 */
MIG_API enum mig_err mig_assets_take(struct mig_assets *assets, const struct mig_asset_key *key,
                                     uint8_t *value, size_t cap, size_t *len,
                                     struct mig_asset_taken *taken) MIG_MUST_USE;
/* Any asset of this kind and scope all of whose participants are in `among`
 * (ascending), for example those that are alive. Damaged ones are passed over. */
MIG_API enum mig_err mig_assets_take_any(struct mig_assets *assets, enum mig_asset_kind kind, uint64_t scope,
                                         const uint32_t *among, size_t among_count, uint8_t *value,
                                         size_t cap, size_t *len, struct mig_asset_taken *taken) MIG_MUST_USE;

/*
 * Removes every asset that involves one of these ids (ascending), whoever owns
 * it; or all. When it returns MIG_OK their keys are destroyed on the disk. Takes
 * and puts wait. On MIG_ERR_IO some may be gone and none of the rest of those
 * concerned can be taken any more: call it again. The time it takes grows with the
 * number of participant sets removed, not with the assets stored.
 */
MIG_API enum mig_err mig_assets_purge(struct mig_assets *assets, const uint32_t *gone,
                                      size_t count) MIG_MUST_USE;
MIG_API enum mig_err mig_assets_purge_all(struct mig_assets *assets) MIG_MUST_USE;
/* Gives the space of what was removed back to the file system now, instead of
 * little by little. Slow (a second per half gigabyte); takes and puts go on. */
MIG_API enum mig_err mig_assets_reclaim(struct mig_assets *assets) MIG_MUST_USE;

struct mig_assets_stats {
    uint64_t triples, presignatures;
    uint64_t sets;        /* participant sets */
    uint64_t damaged;     /* sets whose key does not open, and assets that did not, since the start */
    uint64_t quarantined; /* stores moved to quarantine/ by this open: report them */
    uint64_t bytes;       /* on disk, about */
    uint64_t free_bytes;  /* left to this user on that file system */
};
MIG_API void mig_assets_stats(struct mig_assets *assets, struct mig_assets_stats *out);
/* Why this open moved a store to quarantine/; "" when it did not. Static. */
MIG_API const char *mig_assets_quarantine_reason(const struct mig_assets *assets);

#ifdef __cplusplus
}
#endif
#endif

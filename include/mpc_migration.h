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

#ifdef __cplusplus
}
#endif
#endif

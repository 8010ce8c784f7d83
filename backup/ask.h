/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_ASK_H
#define MIG_BACKUP_ASK_H
/*
 * The requests of docs/protocol.md, built without a socket or a clock.
 */
#include "auth/digest.h"
#include "auth/signature.h"
#include "crypto/exchange.h"
#include "crypto/keyset.h"

/* Whom we speak to and who we are. Everything borrowed. */
struct mig_peer {
    const char *contract;
    const char *account;
    uint8_t node[MIG_KEY_LEN]; /* its TLS identity, from the contract: must sign its answers */
    const struct mig_identity *service;
    enum mig_announce announce;
    const struct mig_secret *operator_key; /* NULL: none configured */
    const char *authority;                 /* Host, as sent */
};

enum mig_ask_kind {
    MIG_ASK_FETCH = 1,   /* GET /shares_backup */
    MIG_ASK_RECEIPT = 2, /* POST /shares_backup */
    MIG_ASK_OFFER = 3,   /* GET /shares_recover */
    MIG_ASK_UPLOAD = 4,  /* PUT /shares_recover */
};

enum { MIG_ASK_FIELDS_MAX = 8 };

/* One request, ready to send. Its slices point into itself: do not copy. */
struct mig_ask {
    enum mig_ask_kind kind;
    struct mig_context context;
    char context_text[MIG_CONTEXT_MAX + 1];
    size_t context_len;
    char nonce[MIG_NONCE_MIN + 1];
    uint64_t created;
    uint8_t *body; /* sealed bytes; NULL: none */
    size_t body_len;
    struct mig_message message;
    /* private */
    struct mig_field fields[MIG_ASK_FIELDS_MAX];
    char digest[MIG_DIGEST_FIELD_LEN];
    char length[24];
    struct mig_signature_fields signature;
};

/* Each fills *ask, which the caller clears. `now`: Unix seconds. `keyset` is
 * the contract's current one; own->public_key becomes client-key. */
/* `node_key`: the published ephemeral key with announce=contract, else NULL. */
enum mig_err mig_ask_fetch(const struct mig_peer *peer, const struct mig_keyset *keyset,
                           const struct mig_ephemeral *own, const uint8_t *node_key, uint64_t now,
                           struct mig_ask *ask) MIG_MUST_USE;
/* `final_context` is that of the backup, byte for byte. */
enum mig_err mig_ask_receipt(const struct mig_peer *peer, const char *final_context, uint64_t now,
                             struct mig_ask *ask) MIG_MUST_USE;
enum mig_err mig_ask_offer(const struct mig_peer *peer, const struct mig_keyset *keyset,
                           uint64_t now, struct mig_ask *ask) MIG_MUST_USE;
/* Seals `shares` (keyset->count scalars in locked memory) to the offer's key.
 * MIG_ERR_MALFORMED when that key is not usable. */
enum mig_err mig_ask_upload(const struct mig_peer *peer, const struct mig_keyset *keyset,
                            const struct mig_secret *shares, const struct mig_ephemeral *own,
                            const uint8_t node_key[MIG_KEY_LEN], uint64_t now,
                            struct mig_ask *ask) MIG_MUST_USE;
void mig_ask_clear(struct mig_ask *ask);

#endif

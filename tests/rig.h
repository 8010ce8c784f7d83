/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_RIG_H
#define MIG_TESTS_RIG_H
/*
 * A node without sockets, and a backup service that talks to it: real crypto,
 * signatures, replay window and contract cache; a clock, a keeper and a host
 * that do what a test says. Anything the rig itself cannot do ends the program.
 *
 *     rig_open(&rig);
 *     rig_ask(&rig, MIG_RESOURCE_BACKUP);   what to ask; change it as you like
 *     rig_send(&rig);                       compose, sign, begin, body, finish
 *     ... rig.answer, rig_code(&rig), rig_is_signed(&rig) ...
 *     rig_close(&rig);
 */
#include "auth/digest.h"
#include "crypto/container.h"
#include "crypto/keyset.h"
#include "handlers/exchange.h"

enum {
    RIG_DOMAINS_MAX = MIG_DOMAINS_MAX,
    RIG_BODY_MAX = MIG_SEALED_MAX + 4096,
    RIG_FIELDS_MAX = 32,
};

/* What the contract says; rig_tell publishes it at the next block. */
struct rig_world {
    enum mig_protocol protocol;
    uint64_t epoch;
    uint64_t attempt; /* of the first domain */
    size_t domains;
    const struct mig_identity *seat;        /* who is alice's participant; NULL: nobody */
    const struct mig_identity *service;     /* the registered backup service; NULL: none */
    const struct mig_identity *destination; /* of a running migration; NULL: none */
    unsigned record; /* another number is another record of the same destination */
    const uint8_t *published_node, *published_service; /* X25519; NULL: not published */
};

/* The request under construction. */
struct rig_ask {
    enum mig_resource resource;
    const char *method, *target, *authority;
    struct mig_context context;
    const struct mig_identity *signer;
    char nonce[MIG_NONCE_MAX + 1]; /* "": a new one */
    uint64_t created, expires;     /* 0: now, now + 60 */
    size_t body_len;
    int64_t content_length; /* -1: the body's, if it takes one; -2: none */
    const char *content_type;
    const char *context_text;  /* NULL: of `context` */
    struct mig_field extra[4]; /* appended; not covered */
    size_t extra_count;
};

struct rig_options {
    enum mig_announce announce; /* 0: header */
    bool with_operator_key;
    bool is_destination;  /* the node is where a migration goes; rig->other has the seat */
    size_t domains;       /* 0: 2 */
    uint32_t budget;      /* verifications per second; 0: 500 */
    const char *journal;  /* of nonces; NULL: none */
    size_t nonces;        /* kept at once; 0: 65536 */
    bool distrusts_start; /* leave the clock at the start of the replay window */
    bool untold;          /* no view yet */
};

struct rig {
    struct rig_world world;
    struct mig_identity *node, *other, *backup, *rotated;
    struct mig_secret *operator_key;
    uint64_t wall_ns, mono_ns, height;
    struct mig_cache *cache;
    struct mig_replay *replay;
    struct mig_budget *budget;
    struct mig_counters counters;
    struct mig_service *service;
    struct mig_address peer;

    /* The keeper. */
    enum mig_job job;
    bool key_delayed, import_taken;
    uint64_t seat_lost_at;
    enum mig_err import_begin_err, writable_err, acknowledge_err;
    unsigned imports_begun, imports_ended, acknowledged;
    _Atomic unsigned served;
    uint8_t import_keyset[MIG_DIGEST_LEN]; /* of the last import begun */
    bool ended_with_receipt, acknowledged_known;
    uint8_t acknowledged_hash[MIG_DIGEST_LEN];
    struct mig_ephemeral published; /* secret of `announced`, until it is taken */
    uint8_t announced[MIG_KEY_LEN];
    bool publishes;

    /* The host. */
    enum mig_err load_err, import_err, receipt_err;
    bool asks_fence; /* as a host must */
    bool has_receipt;
    struct mig_receipt receipt;
    uint8_t shares[RIG_DOMAINS_MAX][MIG_SHARE_LEN];
    uint8_t imported[RIG_DOMAINS_MAX][MIG_SHARE_LEN];
    void (*during_load)(struct rig *rig);
    void (*during_import)(struct rig *rig); /* before the fence is asked */
    void (*after_fence)(struct rig *rig);
    char logged[8][64]; /* events */
    size_t logged_count;
    struct rig_options options;

    /* The service's side. */
    struct mig_ephemeral client;
    uint8_t offered[MIG_KEY_LEN];
    bool has_offer;
    struct rig_ask ask;
    uint8_t *body; /* RIG_BODY_MAX */
    char context_text[MIG_CONTEXT_MAX + 1];
    char length_text[24], digest_text[MIG_DIGEST_FIELD_LEN];
    struct mig_field fields[RIG_FIELDS_MAX];
    size_t field_count;
    struct mig_signature_fields signature;
    struct mig_message message;
    struct mig_exchange *exchange;
    const struct mig_response *answer;
};

/* A Running contract where rig->node is alice.near's participant, its backup
 * service is registered and no migration runs. */
void rig_open(struct rig *rig);
/* The same with configuration of one's own. */
void rig_open_with(struct rig *rig, const struct rig_options *options);
void rig_close(struct rig *rig);
/* The node process starts anew, with what it had on disk. */
void rig_restart(struct rig *rig, const char *journal);
/* A service's configuration on the rig's parts. */
void rig_config(struct rig *rig, struct mig_service_config *config);

/* Publishes rig->world one block (a second) later. */
void rig_tell(struct rig *rig);
/* The same with the block's time given and the clock left alone. */
void rig_tell_at(struct rig *rig, uint64_t time_ns);
/* Time goes by; the contract is not asked. */
void rig_wait(struct rig *rig, double seconds);

/* The keyset the world shows now; clear it with mig_keyset_clear. */
void rig_keyset(const struct rig *rig, struct mig_keyset *keyset);

/* Fills rig->ask with the request an honest backup service would make now; for
 * an upload with the offer last seen and the node's own shares as the body. */
void rig_ask(struct rig *rig, enum mig_resource resource);
/* Seals these shares for the context of rig->ask; the ephemeral key is kept. */
void rig_seal(struct rig *rig, const struct mig_keyset *keyset,
              const uint8_t (*shares)[MIG_SHARE_LEN]);
/* Seals any plaintext likewise. */
void rig_seal_bytes(struct rig *rig, const void *plain, size_t len);

void rig_compose(struct rig *rig); /* fields without signature */
void rig_sign(struct rig *rig);
/* One header field, replaced before or after signing; NULL removes it. */
void rig_set_field(struct rig *rig, const char *name, const char *value);
enum mig_step rig_begin(struct rig *rig);
void rig_feed_body(struct rig *rig, const void *bytes, size_t len);
void rig_finish(struct rig *rig);
void rig_end(struct rig *rig); /* ends the exchange, if any */
/* All of it. */
void rig_send(struct rig *rig);
/* GET /shares_recover, and remembers the offer. */
void rig_get_offer(struct rig *rig);
void rig_send_offer(struct rig *rig); /* after rig_ask */

unsigned rig_status(const struct rig *rig);
/* Member `code` of a problem, or "" for other answers. */
const char *rig_code(const struct rig *rig);
/* Value of a field of the answer, NUL-terminated, or NULL. */
const char *rig_field(const struct rig *rig, const char *name);
/* Body of the answer as text. */
const char *rig_text(const struct rig *rig);
/* Verifies signature, nonce, key and digest; false also for unsigned answers. */
bool rig_is_signed(const struct rig *rig);
/* Opens the sealed answer with the response's own context; true when it holds
 * exactly `shares` of the world's keyset. */
bool rig_opens_to(struct rig *rig, const uint8_t (*shares)[MIG_SHARE_LEN]);
bool rig_logged(const struct rig *rig, const char *event);

#endif

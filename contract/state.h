/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_STATE_H
#define MIG_CONTRACT_STATE_H
/*
 * What the contract stores. Internal to contract/; others hold it as an opaque
 * struct mig_contract and read it through views. Arrays are heap blocks of flat
 * elements, so that a copy is one memcpy per array: the devnet keeps one copy
 * per change to answer for recent blocks, and a method that panics runs on a
 * copy that is thrown away.
 */
#include "contract/contract.h"

enum {
    MIG_COUNCIL_MAX = 1024,  /* participants */
    MIG_RECORDS_MAX = 4096,  /* accounts with a record, attestations, keys */
    MIG_INSTANCE_BLOCKS = 30 /* a key event's attempt expires after so many blocks */
};

enum mig_phase {
    MIG_PHASE_NOT_INITIALIZED = 0,
    MIG_PHASE_INITIALIZING = 1,
    MIG_PHASE_RUNNING = 2,
    MIG_PHASE_RESHARING = 3,
};

/* Order as on the wire: mig_scheme_names, mig_purpose_names. */
enum mig_scheme { MIG_CAITSITH, MIG_FROST, MIG_CONFIDENTIAL, MIG_DAMGARD };
enum mig_purpose { MIG_PURPOSE_SIGN, MIG_PURPOSE_FOREIGN, MIG_PURPOSE_CKD };
extern const char *const mig_scheme_names[4];
extern const char *const mig_purpose_names[3];
enum mig_curve mig_scheme_curve(enum mig_scheme scheme);

struct mig_contract_domain {
    uint64_t id;
    enum mig_scheme scheme;
    uint64_t threshold;
    enum mig_purpose purpose;
};

struct mig_registry {
    uint64_t next_id;
    size_t count;
    struct mig_contract_domain *list;
};

/* Participants in the contract's own order, with their threshold. */
struct mig_council {
    uint64_t threshold;
    uint32_t next_id;
    size_t count;
    struct mig_participant *list;
};

/* A running key generation or resharing of one domain. */
struct mig_key_event {
    uint64_t epoch;
    uint64_t next_attempt;
    struct mig_contract_domain domain;
    struct mig_council council; /* the proposed parameters */
    bool has_instance;
    uint64_t attempt;
    uint64_t started_in;
    uint64_t expires_on;
    size_t completed_count;
    uint32_t *completed; /* participant ids */
    bool has_key;
    struct mig_domain_key key;
};

struct mig_domain_threshold {
    uint64_t domain;
    uint64_t threshold;
};

/* Valid members by phase. Running: registry, keyset, council, cancelled_epoch.
 * Initializing: registry, fresh (epoch and keys), event. Resharing: those of
 * Running (the previous running state), fresh, event, thresholds. */
struct mig_contract_protocol {
    enum mig_phase phase;
    struct mig_registry registry;
    struct mig_keyset keyset; /* in the contract's order */
    struct mig_council council;
    bool has_cancelled_epoch;
    uint64_t cancelled_epoch;
    struct mig_keyset fresh;
    struct mig_key_event event;
    size_t threshold_count;
    struct mig_domain_threshold *thresholds;
};

/* An account's migration record; lists of these are sorted by account. */
struct mig_migration {
    char account[MIG_ACCOUNT_MAX + 1];
    bool has_service;
    bool has_destination;
    bool has_node_ephemeral; /* the rest: draft only */
    bool has_service_ephemeral;
    uint8_t service[MIG_KEY_LEN];
    uint8_t signer_key[MIG_KEY_LEN]; /* account key of the destination node */
    uint8_t tls_key[MIG_KEY_LEN];
    char url[MIG_URL_MAX + 1];
    uint64_t epoch; /* draft: when the recovery was called for */
    uint8_t node_ephemeral[MIG_KEY_LEN];
    uint8_t service_ephemeral[MIG_KEY_LEN];
};

struct mig_attestation {
    uint8_t tls_key[MIG_KEY_LEN]; /* the key of this list; sorted by it */
    char account[MIG_ACCOUNT_MAX + 1];
    bool has_account_key;
    uint8_t account_key[MIG_KEY_LEN];
    bool valid;
    uint64_t expires; /* Unix seconds; 0: never */
};

struct mig_allowed_hash {
    uint8_t hash[MIG_DIGEST_LEN];
    uint64_t expires; /* Unix seconds; 0: never */
};

struct mig_contract {
    enum mig_contract_version version;
    bool initialised;                  /* false: only init answers */
    char account[MIG_ACCOUNT_MAX + 1]; /* the contract's own */
    struct mig_contract_protocol protocol;
    size_t migration_count;
    struct mig_migration *migrations;
    size_t attestation_count;
    struct mig_attestation *attestations;
    size_t image_count;
    struct mig_allowed_hash *images; /* newest first */
    size_t launcher_count;
    struct mig_allowed_hash *launchers;
};

bool mig_contract_is_draft(const struct mig_contract *c);
void mig_account_set(char to[MIG_ACCOUNT_MAX + 1], const char *account);

/* Deep copies over `*to`, which must hold nothing. MIG_ERR_NOMEM leaves it empty. */
enum mig_err mig_council_copy(const struct mig_council *from, struct mig_council *to) MIG_MUST_USE;
enum mig_err mig_registry_copy(const struct mig_registry *from,
                               struct mig_registry *to) MIG_MUST_USE;
enum mig_err mig_protocol_copy(const struct mig_contract_protocol *from,
                               struct mig_contract_protocol *to) MIG_MUST_USE;
void mig_council_clear(struct mig_council *council);
void mig_registry_clear(struct mig_registry *registry);
void mig_key_event_clear(struct mig_key_event *event);
void mig_protocol_clear(struct mig_contract_protocol *protocol);
void mig_contract_clear(struct mig_contract *c);

struct mig_participant *mig_council_find(const struct mig_council *council, const char *account);
const struct mig_contract_domain *mig_registry_find(const struct mig_registry *registry,
                                                    uint64_t id);
/* Adds one element at the end; the array may move. */
enum mig_err mig_registry_add(struct mig_registry *registry,
                              const struct mig_contract_domain *domain) MIG_MUST_USE;
enum mig_err mig_council_add(struct mig_council *council,
                             const struct mig_participant *one) MIG_MUST_USE;
enum mig_err mig_contract_keyset_add(struct mig_keyset *keyset,
                                     const struct mig_domain_key *key) MIG_MUST_USE;
/* Structural and ordered, as the contract compares. */
bool mig_contract_keyset_is_same(const struct mig_keyset *a, const struct mig_keyset *b);

struct mig_migration *mig_migration_find(const struct mig_contract *c, const char *account);
/* Finds or makes the account's record. NULL: out of memory, or MIG_RECORDS_MAX reached. */
struct mig_migration *mig_migration_get(struct mig_contract *c, const char *account);
/* Removes records that say nothing. */
void mig_migration_sweep(struct mig_contract *c);
struct mig_attestation *mig_attestation_find(const struct mig_contract *c,
                                             const uint8_t tls_key[MIG_KEY_LEN]);
struct mig_attestation *mig_attestation_get(struct mig_contract *c,
                                            const uint8_t tls_key[MIG_KEY_LEN]);
void mig_attestation_remove(struct mig_contract *c, const uint8_t tls_key[MIG_KEY_LEN]);
enum mig_err mig_allowed_hash_add(struct mig_allowed_hash **list, size_t *count,
                                  const struct mig_allowed_hash *one) MIG_MUST_USE;

#endif

/* SPDX-License-Identifier: MIT */
#include "contract/state.h"

#include <stdlib.h>
#include <string.h>

const char *const mig_scheme_names[4] = {"CaitSith", "Frost", "ConfidentialKeyDerivation",
                                         "DamgardEtAl"};
const char *const mig_purpose_names[3] = {"Sign", "ForeignTx", "CKD"};

enum mig_curve mig_scheme_curve(enum mig_scheme scheme)
{
    switch (scheme) {
    case MIG_CAITSITH:
    case MIG_DAMGARD:
        return MIG_CURVE_SECP256K1;
    case MIG_FROST:
        return MIG_CURVE_ED25519;
    case MIG_CONFIDENTIAL:
        return MIG_CURVE_BLS12381G2;
    }
    return MIG_CURVE_ED25519;
}

void mig_account_set(char to[MIG_ACCOUNT_MAX + 1], const char *account)
{
    size_t len = strnlen(account, MIG_ACCOUNT_MAX);
    memcpy(to, account, len);
    to[len] = '\0';
}

bool mig_contract_is_draft(const struct mig_contract *c)
{
    return c->version == MIG_CONTRACT_DRAFT;
}

/* Copies an array of flat elements; *to stays NULL when there are none. */
static enum mig_err duplicate(const void *from, size_t count, size_t size, void **to)
{
    *to = NULL;
    if (count == 0)
        return MIG_OK;
    void *block = calloc(count, size);
    if (block == NULL)
        return MIG_ERR_NOMEM;
    memcpy(block, from, count * size);
    *to = block;
    return MIG_OK;
}

/* Makes room for one more element at `at` and zeroes it. */
static void *insert(void **list, size_t *count, size_t size, size_t at, size_t max)
{
    if (*count >= max)
        return NULL;
    uint8_t *block = realloc(*list, (*count + 1) * size);
    if (block == NULL)
        return NULL;
    memmove(block + (at + 1) * size, block + at * size, (*count - at) * size);
    memset(block + at * size, 0, size);
    *list = block;
    ++*count;
    return block + at * size;
}

static void take_out(void *list, size_t *count, size_t size, size_t at)
{
    uint8_t *block = list;
    memmove(block + at * size, block + (at + 1) * size, (*count - at - 1) * size);
    --*count;
}

/* Councils, registries, keysets */

void mig_council_clear(struct mig_council *council)
{
    free(council->list);
    *council = (struct mig_council){0};
}

enum mig_err mig_council_copy(const struct mig_council *from, struct mig_council *to)
{
    void *list;
    *to = (struct mig_council){0};
    enum mig_err err = duplicate(from->list, from->count, sizeof *from->list, &list);
    if (err != MIG_OK)
        return err;
    *to = *from;
    to->list = list;
    return MIG_OK;
}

struct mig_participant *mig_council_find(const struct mig_council *council, const char *account)
{
    for (size_t i = 0; i < council->count; i++)
        if (strcmp(council->list[i].account, account) == 0)
            return &council->list[i];
    return NULL;
}

enum mig_err mig_council_add(struct mig_council *council, const struct mig_participant *one)
{
    void *list = council->list;
    struct mig_participant *at =
        insert(&list, &council->count, sizeof *at, council->count, MIG_COUNCIL_MAX);
    council->list = list;
    if (at == NULL)
        return MIG_ERR_NOMEM;
    *at = *one;
    return MIG_OK;
}

void mig_registry_clear(struct mig_registry *registry)
{
    free(registry->list);
    *registry = (struct mig_registry){0};
}

enum mig_err mig_registry_copy(const struct mig_registry *from, struct mig_registry *to)
{
    void *list;
    *to = (struct mig_registry){0};
    enum mig_err err = duplicate(from->list, from->count, sizeof *from->list, &list);
    if (err != MIG_OK)
        return err;
    *to = *from;
    to->list = list;
    return MIG_OK;
}

const struct mig_contract_domain *mig_registry_find(const struct mig_registry *registry,
                                                    uint64_t id)
{
    for (size_t i = 0; i < registry->count; i++)
        if (registry->list[i].id == id)
            return &registry->list[i];
    return NULL;
}

enum mig_err mig_registry_add(struct mig_registry *registry,
                              const struct mig_contract_domain *domain)
{
    void *list = registry->list;
    struct mig_contract_domain *at =
        insert(&list, &registry->count, sizeof *at, registry->count, MIG_DOMAINS_MAX);
    registry->list = list;
    if (at == NULL)
        return MIG_ERR_NOMEM;
    *at = *domain;
    return MIG_OK;
}

static void keyset_clear(struct mig_keyset *keyset)
{
    free(keyset->domains);
    *keyset = (struct mig_keyset){0};
}

static enum mig_err keyset_copy(const struct mig_keyset *from, struct mig_keyset *to)
{
    void *list;
    *to = (struct mig_keyset){0};
    enum mig_err err = duplicate(from->domains, from->count, sizeof *from->domains, &list);
    if (err != MIG_OK)
        return err;
    *to = *from;
    to->domains = list;
    return MIG_OK;
}

enum mig_err mig_contract_keyset_add(struct mig_keyset *keyset, const struct mig_domain_key *key)
{
    void *list = keyset->domains;
    struct mig_domain_key *at =
        insert(&list, &keyset->count, sizeof *at, keyset->count, MIG_DOMAINS_MAX);
    keyset->domains = list;
    if (at == NULL)
        return MIG_ERR_NOMEM;
    *at = *key;
    return MIG_OK;
}

static bool domain_key_is_same(const struct mig_domain_key *a, const struct mig_domain_key *b)
{
    return a->domain == b->domain && a->attempt == b->attempt && a->curve == b->curve &&
           a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

bool mig_contract_keyset_is_same(const struct mig_keyset *a, const struct mig_keyset *b)
{
    if (a->epoch != b->epoch || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!domain_key_is_same(&a->domains[i], &b->domains[i]))
            return false;
    return true;
}

/* The protocol */

void mig_key_event_clear(struct mig_key_event *event)
{
    mig_council_clear(&event->council);
    free(event->completed);
    *event = (struct mig_key_event){0};
}

static enum mig_err key_event_copy(const struct mig_key_event *from, struct mig_key_event *to)
{
    void *completed = NULL;
    struct mig_council council;
    *to = (struct mig_key_event){0};
    enum mig_err err = mig_council_copy(&from->council, &council);
    if (err == MIG_OK)
        err =
            duplicate(from->completed, from->completed_count, sizeof *from->completed, &completed);
    if (err != MIG_OK) {
        mig_council_clear(&council);
        return err;
    }
    *to = *from;
    to->council = council;
    to->completed = completed;
    return MIG_OK;
}

void mig_protocol_clear(struct mig_contract_protocol *protocol)
{
    mig_registry_clear(&protocol->registry);
    keyset_clear(&protocol->keyset);
    mig_council_clear(&protocol->council);
    keyset_clear(&protocol->fresh);
    mig_key_event_clear(&protocol->event);
    free(protocol->thresholds);
    *protocol = (struct mig_contract_protocol){0};
}

enum mig_err mig_protocol_copy(const struct mig_contract_protocol *from,
                               struct mig_contract_protocol *to)
{
    void *thresholds = NULL;
    *to = (struct mig_contract_protocol){
        .phase = from->phase,
        .has_cancelled_epoch = from->has_cancelled_epoch,
        .cancelled_epoch = from->cancelled_epoch,
    };
    enum mig_err err = mig_registry_copy(&from->registry, &to->registry);
    if (err == MIG_OK)
        err = keyset_copy(&from->keyset, &to->keyset);
    if (err == MIG_OK)
        err = mig_council_copy(&from->council, &to->council);
    if (err == MIG_OK)
        err = keyset_copy(&from->fresh, &to->fresh);
    if (err == MIG_OK)
        err = key_event_copy(&from->event, &to->event);
    if (err == MIG_OK)
        err = duplicate(from->thresholds, from->threshold_count, sizeof *from->thresholds,
                        &thresholds);
    if (err != MIG_OK) {
        mig_protocol_clear(to);
        return err;
    }
    to->thresholds = thresholds;
    to->threshold_count = from->threshold_count;
    return MIG_OK;
}

/* Migration records */

static size_t migration_place(const struct mig_contract *c, const char *account)
{
    size_t at = 0;
    while (at < c->migration_count && strcmp(c->migrations[at].account, account) < 0)
        at++;
    return at;
}

struct mig_migration *mig_migration_find(const struct mig_contract *c, const char *account)
{
    size_t at = migration_place(c, account);
    bool found = at < c->migration_count && strcmp(c->migrations[at].account, account) == 0;
    return found ? &c->migrations[at] : NULL;
}

struct mig_migration *mig_migration_get(struct mig_contract *c, const char *account)
{
    struct mig_migration *m = mig_migration_find(c, account);
    if (m != NULL)
        return m;
    void *list = c->migrations;
    m = insert(&list, &c->migration_count, sizeof *m, migration_place(c, account), MIG_RECORDS_MAX);
    c->migrations = list;
    if (m != NULL)
        mig_account_set(m->account, account);
    return m;
}

void mig_migration_sweep(struct mig_contract *c)
{
    for (size_t i = c->migration_count; i-- > 0;) {
        const struct mig_migration *m = &c->migrations[i];
        if (!m->has_service && !m->has_destination && !m->has_node_ephemeral &&
            !m->has_service_ephemeral)
            take_out(c->migrations, &c->migration_count, sizeof *m, i);
    }
}

/* Attestations */

static size_t attestation_place(const struct mig_contract *c, const uint8_t tls_key[MIG_KEY_LEN])
{
    size_t at = 0;
    while (at < c->attestation_count &&
           memcmp(c->attestations[at].tls_key, tls_key, MIG_KEY_LEN) < 0)
        at++;
    return at;
}

struct mig_attestation *mig_attestation_find(const struct mig_contract *c,
                                             const uint8_t tls_key[MIG_KEY_LEN])
{
    size_t at = attestation_place(c, tls_key);
    bool found =
        at < c->attestation_count && memcmp(c->attestations[at].tls_key, tls_key, MIG_KEY_LEN) == 0;
    return found ? &c->attestations[at] : NULL;
}

struct mig_attestation *mig_attestation_get(struct mig_contract *c,
                                            const uint8_t tls_key[MIG_KEY_LEN])
{
    struct mig_attestation *a = mig_attestation_find(c, tls_key);
    if (a != NULL)
        return a;
    void *list = c->attestations;
    a = insert(&list, &c->attestation_count, sizeof *a, attestation_place(c, tls_key),
               MIG_RECORDS_MAX);
    c->attestations = list;
    if (a != NULL)
        memcpy(a->tls_key, tls_key, MIG_KEY_LEN);
    return a;
}

void mig_attestation_remove(struct mig_contract *c, const uint8_t tls_key[MIG_KEY_LEN])
{
    struct mig_attestation *a = mig_attestation_find(c, tls_key);
    if (a != NULL)
        take_out(c->attestations, &c->attestation_count, sizeof *a, (size_t)(a - c->attestations));
}

enum mig_err mig_allowed_hash_add(struct mig_allowed_hash **list, size_t *count,
                                  const struct mig_allowed_hash *one)
{
    void *block = *list;
    struct mig_allowed_hash *at = insert(&block, count, sizeof *at, *count, MIG_RECORDS_MAX);
    *list = block;
    if (at == NULL)
        return MIG_ERR_NOMEM;
    *at = *one;
    return MIG_OK;
}

/* The contract */

void mig_contract_clear(struct mig_contract *c)
{
    mig_protocol_clear(&c->protocol);
    free(c->migrations);
    free(c->attestations);
    free(c->images);
    free(c->launchers);
    *c = (struct mig_contract){0};
}

enum mig_err mig_contract_new(const char *account, enum mig_contract_version version,
                              struct mig_contract **out)
{
    *out = NULL;
    if (account[0] == '\0' || strlen(account) > MIG_ACCOUNT_MAX)
        return MIG_ERR_MALFORMED;
    struct mig_contract *c = calloc(1, sizeof *c);
    if (c == NULL)
        return MIG_ERR_NOMEM;
    c->version = version;
    mig_account_set(c->account, account);
    *out = c;
    return MIG_OK;
}

static enum mig_err copy_lists(const struct mig_contract *from, struct mig_contract *to)
{
    void *lists[4] = {0};
    enum mig_err err =
        duplicate(from->migrations, from->migration_count, sizeof *from->migrations, &lists[0]);
    if (err == MIG_OK)
        err = duplicate(from->attestations, from->attestation_count, sizeof *from->attestations,
                        &lists[1]);
    if (err == MIG_OK)
        err = duplicate(from->images, from->image_count, sizeof *from->images, &lists[2]);
    if (err == MIG_OK)
        err = duplicate(from->launchers, from->launcher_count, sizeof *from->launchers, &lists[3]);
    to->migrations = lists[0];
    to->attestations = lists[1];
    to->images = lists[2];
    to->launchers = lists[3];
    return err;
}

enum mig_err mig_contract_copy(const struct mig_contract *from, struct mig_contract **out)
{
    *out = NULL;
    struct mig_contract *c = calloc(1, sizeof *c);
    if (c == NULL)
        return MIG_ERR_NOMEM;
    *c = *from;
    c->protocol = (struct mig_contract_protocol){0};
    enum mig_err err = copy_lists(from, c);
    if (err == MIG_OK)
        err = mig_protocol_copy(&from->protocol, &c->protocol);
    if (err != MIG_OK) {
        mig_contract_free(&c);
        return err;
    }
    *out = c;
    return MIG_OK;
}

void mig_contract_free(struct mig_contract **c)
{
    if (*c == NULL)
        return;
    mig_contract_clear(*c);
    free(*c);
    *c = NULL;
}

const char *mig_contract_account(const struct mig_contract *c)
{
    return c->account;
}

static const char *const version_texts[] = {"draft", "3.13.0", "3.14.1"};

const char *mig_contract_version_text(enum mig_contract_version version)
{
    return version_texts[version];
}

enum mig_err mig_contract_version_parse(const char *text, enum mig_contract_version *version)
{
    *version = MIG_CONTRACT_DRAFT;
    for (unsigned i = 0; i < sizeof version_texts / sizeof *version_texts; i++)
        if (strcmp(version_texts[i], text) == 0) {
            *version = (enum mig_contract_version)i;
            return MIG_OK;
        }
    return MIG_ERR_MALFORMED;
}

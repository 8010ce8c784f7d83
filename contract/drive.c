/* SPDX-License-Identifier: MIT */
/*
 * What the network does to the contract by votes, in one step each: key
 * generation, resharing, attestations. An operation is parsed whole, applied
 * to a copy, and kept only when it succeeded.
 */
#include "contract/operation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/method.h"
#include "crypto/exchange.h"
#include "crypto/key.h"

struct drive {
    struct mig_contract *c;
    const struct mig_operation *op;
    uint64_t height;
    char *why;
};

static bool has(const struct mig_operation *op, enum mig_operation_member m)
{
    return (op->seen & (1u << m)) != 0;
}

__attribute__((format(printf, 3, 4))) static enum mig_err refuse(struct drive *d, enum mig_err err,
                                                                 const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(d->why, MIG_CONTRACT_WHY_MAX, format, ap);
    va_end(ap);
    return err;
}

/* Steps */

/* Running is over: what the draft calls cancelled is gone for good. */
static void leave_running(struct mig_contract *c)
{
    if (!mig_contract_is_draft(c))
        return;
    for (size_t i = 0; i < c->migration_count; i++) {
        struct mig_migration *m = &c->migrations[i];
        m->has_destination = m->has_node_ephemeral = m->has_service_ephemeral = false;
    }
    mig_migration_sweep(c);
}

/* The participant of the account, before and among the operation's. */
static enum mig_err seat_to_participant(struct drive *d, const struct mig_operation_seat *seat,
                                        const struct mig_council *old, struct mig_council *council)
{
    const struct mig_participant *before = mig_council_find(old, seat->who.account);
    struct mig_participant p = seat->who;
    if (mig_council_find(council, p.account) != NULL)
        return refuse(d, MIG_ERR_MALFORMED, "participant %s occurs twice", p.account);
    if (!seat->has_info && before == NULL)
        return refuse(d, MIG_ERR_MALFORMED, "new participant %s needs url and tls_public_key",
                      p.account);
    if (!seat->has_info) {
        memcpy(p.url, before->url, sizeof p.url);
        memcpy(p.tls_key, before->tls_key, MIG_KEY_LEN);
    }
    if (!seat->has_id)
        p.id = before != NULL ? before->id : council->next_id;
    if (p.id >= council->next_id)
        council->next_id = p.id + 1;
    for (size_t i = 0; i < council->count; i++)
        if (council->list[i].id == p.id)
            return refuse(d, MIG_ERR_MALFORMED, "participant id %u occurs twice", p.id);
    return mig_council_add(council, &p);
}

static enum mig_err attest(struct mig_contract *c, const struct mig_participant *p,
                           const struct mig_operation_seat *seat)
{
    struct mig_attestation *a = mig_attestation_get(c, p->tls_key);
    if (a == NULL)
        return MIG_ERR_NOMEM;
    memcpy(a->account, p->account, sizeof a->account);
    a->valid = true;
    if (seat->has_account_key) {
        a->has_account_key = true;
        memcpy(a->account_key, seat->account_key, MIG_KEY_LEN);
    }
    return MIG_OK;
}

/* The operation's participants and threshold over `old`; mig_operation_members not given stay. */
static enum mig_err propose(struct drive *d, const struct mig_council *old,
                            struct mig_council *council)
{
    enum mig_err err = MIG_OK;
    *council = (struct mig_council){.threshold = old->threshold, .next_id = old->next_id};
    if (!has(d->op, MIG_OP_PARTICIPANTS))
        err = mig_council_copy(old, council);
    for (size_t i = 0; err == MIG_OK && i < d->op->seat_count; i++) {
        err = seat_to_participant(d, &d->op->seats[i], old, council);
        if (err == MIG_OK)
            err = attest(d->c, &council->list[council->count - 1], &d->op->seats[i]);
    }
    if (has(d->op, MIG_OP_THRESHOLD))
        council->threshold = d->op->threshold;
    if (err == MIG_OK && (council->threshold < 1 || council->threshold > council->count))
        err = refuse(d, MIG_ERR_MALFORMED, "the threshold does not fit %zu participants",
                     council->count);
    if (err != MIG_OK)
        mig_council_clear(council);
    return err;
}

static void begin_event(struct mig_key_event *event, const struct mig_contract_domain *domain)
{
    free(event->completed);
    event->completed = NULL;
    event->completed_count = 0;
    event->domain = *domain;
    event->next_attempt = 0;
    event->has_instance = event->has_key = false;
}

static void clear_fresh(struct mig_contract_protocol *p)
{
    free(p->fresh.domains);
    p->fresh = (struct mig_keyset){0};
}

static enum mig_err start_resharing(struct drive *d)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    struct mig_council council;
    if (p->phase != MIG_PHASE_RUNNING && p->phase != MIG_PHASE_RESHARING)
        return refuse(d, MIG_ERR_STATE, "the protocol is neither Running nor Resharing");
    if (p->registry.count == 0)
        return refuse(d, MIG_ERR_STATE, "there is no domain to reshare");
    enum mig_err err = propose(d, &p->council, &council);
    if (err != MIG_OK)
        return err;
    uint64_t epoch = p->phase == MIG_PHASE_RESHARING ? p->event.epoch
                     : p->has_cancelled_epoch && p->cancelled_epoch > p->keyset.epoch
                         ? p->cancelled_epoch
                         : p->keyset.epoch;
    clear_fresh(p);
    mig_key_event_clear(&p->event);
    free(p->thresholds);
    p->thresholds = NULL;
    p->threshold_count = 0;
    p->event.epoch = p->fresh.epoch = epoch + 1;
    p->event.council = council;
    begin_event(&p->event, &p->registry.list[0]);
    for (size_t i = 0; i < d->op->override.threshold_count; i++)
        if (mig_registry_find(&p->registry, d->op->override.thresholds[i].domain) == NULL)
            return refuse(d, MIG_ERR_MALFORMED, "per_domain_thresholds names an unknown domain");
    struct mig_contract_protocol overrides = {0};
    err = mig_protocol_copy(&d->op->override, &overrides);
    p->thresholds = overrides.thresholds;
    p->threshold_count = overrides.threshold_count;
    p->phase = MIG_PHASE_RESHARING;
    leave_running(d->c);
    return err;
}

static bool in_key_event(const struct drive *d)
{
    enum mig_phase phase = d->c->protocol.phase;
    return phase == MIG_PHASE_INITIALIZING || phase == MIG_PHASE_RESHARING;
}

static enum mig_err start_attempt(struct drive *d)
{
    struct mig_key_event *event = &d->c->protocol.event;
    if (!in_key_event(d))
        return refuse(d, MIG_ERR_STATE, "no key event is running");
    event->has_instance = true;
    event->attempt = event->next_attempt++;
    event->started_in = d->height;
    event->expires_on = d->height + MIG_INSTANCE_BLOCKS;
    return MIG_OK;
}

static enum mig_err fail_attempt(struct drive *d)
{
    if (!in_key_event(d) || !d->c->protocol.event.has_instance)
        return refuse(d, MIG_ERR_STATE, "no attempt is running");
    d->c->protocol.event.has_instance = false;
    return MIG_OK;
}

/* A stand-in for a generated key; not a point anybody knows the secret of. */
static void invent_key(const struct mig_key_event *event, struct mig_domain_key *key)
{
    static const uint16_t lengths[] = {0, 64, 32, 96};
    key->curve = mig_scheme_curve(event->domain.scheme);
    key->key_len = lengths[key->curve];
    for (uint16_t at = 0; at < key->key_len; at = (uint16_t)(at + MIG_DIGEST_LEN)) {
        char label[96];
        int n = snprintf(label, sizeof label, "devnet key %llu/%llu/%llu/%u",
                         (unsigned long long)event->epoch, (unsigned long long)event->domain.id,
                         (unsigned long long)key->attempt, at);
        mig_sha256(label, (size_t)n, key->key + at);
    }
}

static enum mig_err event_key(struct drive *d, struct mig_domain_key *key)
{
    const struct mig_contract_protocol *p = &d->c->protocol;
    uint64_t attempt = has(d->op, MIG_OP_ATTEMPT) ? d->op->attempt
                       : p->event.has_instance    ? p->event.attempt
                                                  : p->event.next_attempt;
    *key = (struct mig_domain_key){0};
    if (p->phase == MIG_PHASE_RESHARING) {
        for (size_t i = 0; i < p->keyset.count; i++)
            if (p->keyset.domains[i].domain == p->event.domain.id)
                *key = p->keyset.domains[i];
    } else if (has(d->op, MIG_OP_PUBLIC_KEY)) {
        *key = d->op->key;
        if (key->curve != mig_scheme_curve(p->event.domain.scheme))
            return refuse(d, MIG_ERR_MALFORMED, "the public key's curve is not the protocol's");
    } else if (p->event.has_key)
        *key = p->event.key;
    key->domain = p->event.domain.id;
    key->attempt = attempt;
    if (key->key_len == 0)
        invent_key(&p->event, key);
    return MIG_OK;
}

static const struct mig_contract_domain *next_domain(const struct mig_contract_protocol *p)
{
    for (size_t i = 0; i + 1 < p->registry.count; i++)
        if (p->registry.list[i].id == p->event.domain.id)
            return &p->registry.list[i + 1];
    return NULL;
}

static void apply_thresholds(struct mig_contract_protocol *p)
{
    for (size_t i = 0; i < p->threshold_count; i++)
        for (size_t j = 0; j < p->registry.count; j++)
            if (p->registry.list[j].id == p->thresholds[i].domain)
                p->registry.list[j].threshold = p->thresholds[i].threshold;
    free(p->thresholds);
    p->thresholds = NULL;
    p->threshold_count = 0;
}

/* The last domain is done: the proposed becomes the current. */
static void enter_running(struct mig_contract *c)
{
    struct mig_contract_protocol *p = &c->protocol;
    bool reshared = p->phase == MIG_PHASE_RESHARING;
    apply_thresholds(p);
    free(p->keyset.domains);
    p->keyset = p->fresh;
    p->fresh = (struct mig_keyset){0};
    mig_council_clear(&p->council);
    p->council = p->event.council;
    p->event.council = (struct mig_council){0};
    mig_key_event_clear(&p->event);
    p->has_cancelled_epoch = false;
    p->phase = MIG_PHASE_RUNNING;
    if (reshared)
        mig_contract_clean_orphans(c);
}

static enum mig_err finish_domain(struct drive *d)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    struct mig_domain_key key;
    if (!in_key_event(d))
        return refuse(d, MIG_ERR_STATE, "no key event is running");
    enum mig_err err = event_key(d, &key);
    if (err == MIG_OK)
        err = mig_contract_keyset_add(&p->fresh, &key);
    if (err != MIG_OK)
        return err;
    const struct mig_contract_domain *next = next_domain(p);
    if (next != NULL)
        begin_event(&p->event, next);
    else
        enter_running(d->c);
    return MIG_OK;
}

static enum mig_err finish(struct drive *d, enum mig_phase phase)
{
    enum mig_err err = MIG_OK;
    if (d->c->protocol.phase != phase)
        return refuse(d, MIG_ERR_STATE, "the protocol is not %s",
                      phase == MIG_PHASE_RESHARING ? "Resharing" : "Initializing");
    while (err == MIG_OK && d->c->protocol.phase == phase)
        err = finish_domain(d);
    return err;
}

static enum mig_err finish_resharing(struct drive *d)
{
    return finish(d, MIG_PHASE_RESHARING);
}

static enum mig_err finish_initializing(struct drive *d)
{
    return finish(d, MIG_PHASE_INITIALIZING);
}

static enum mig_err cancel_resharing(struct drive *d)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    if (p->phase != MIG_PHASE_RESHARING)
        return refuse(d, MIG_ERR_STATE, "the protocol is not Resharing");
    p->has_cancelled_epoch = true;
    p->cancelled_epoch = p->event.epoch;
    clear_fresh(p);
    mig_key_event_clear(&p->event);
    free(p->thresholds);
    p->thresholds = NULL;
    p->threshold_count = 0;
    p->phase = MIG_PHASE_RUNNING;
    return MIG_OK;
}

static enum mig_err add_domains(struct drive *d)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    enum mig_err err = MIG_OK;
    if (p->phase != MIG_PHASE_RUNNING)
        return refuse(d, MIG_ERR_STATE, "the protocol is not Running");
    if (d->op->domain_count == 0)
        return refuse(d, MIG_ERR_MALFORMED, "domains must name at least one");
    size_t first = p->registry.count;
    for (size_t i = 0; err == MIG_OK && i < d->op->domain_count; i++) {
        struct mig_contract_domain domain = d->op->domains[i].domain;
        domain.id = p->registry.next_id++;
        if (!d->op->domains[i].has_threshold)
            domain.threshold = p->council.threshold;
        err = mig_registry_add(&p->registry, &domain);
    }
    if (err != MIG_OK)
        return err;
    clear_fresh(p);
    p->fresh = p->keyset;
    p->keyset = (struct mig_keyset){0};
    mig_key_event_clear(&p->event);
    p->event.epoch = p->fresh.epoch;
    p->event.council = p->council;
    p->council = (struct mig_council){0};
    begin_event(&p->event, &p->registry.list[first]);
    p->phase = MIG_PHASE_INITIALIZING;
    leave_running(d->c);
    return MIG_OK;
}

/* Domains without a key are dropped; their ids are not used again. */
static enum mig_err cancel_initializing(struct drive *d)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    if (p->phase != MIG_PHASE_INITIALIZING)
        return refuse(d, MIG_ERR_STATE, "the protocol is not Initializing");
    if (p->registry.count > p->fresh.count)
        p->registry.count = p->fresh.count;
    enter_running(d->c);
    return MIG_OK;
}

static enum mig_err set_participants(struct drive *d)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    struct mig_council council;
    if (p->phase != MIG_PHASE_RUNNING)
        return refuse(d, MIG_ERR_STATE, "the protocol is not Running");
    enum mig_err err = propose(d, &p->council, &council);
    if (err != MIG_OK)
        return err;
    mig_council_clear(&p->council);
    p->council = council;
    return MIG_OK;
}

static enum mig_err set_epoch(struct drive *d)
{
    if (d->c->protocol.phase != MIG_PHASE_RUNNING)
        return refuse(d, MIG_ERR_STATE, "the protocol is not Running");
    d->c->protocol.keyset.epoch = d->op->epoch;
    return MIG_OK;
}

/* The same domain, another attempt or key: a keyset that the epoch does not tell apart. */
static enum mig_err set_domain(struct drive *d)
{
    struct mig_keyset *keyset = &d->c->protocol.keyset;
    if (d->c->protocol.phase != MIG_PHASE_RUNNING)
        return refuse(d, MIG_ERR_STATE, "the protocol is not Running");
    for (size_t i = 0; i < keyset->count; i++) {
        struct mig_domain_key *key = &keyset->domains[i];
        if (key->domain != d->op->domain_id)
            continue;
        if (has(d->op, MIG_OP_PUBLIC_KEY) && d->op->key.curve != key->curve)
            return refuse(d, MIG_ERR_MALFORMED, "the public key's curve is not the protocol's");
        if (has(d->op, MIG_OP_PUBLIC_KEY))
            memcpy(key->key, d->op->key.key, key->key_len);
        if (has(d->op, MIG_OP_ATTEMPT))
            key->attempt = d->op->attempt;
        return MIG_OK;
    }
    return refuse(d, MIG_ERR_NOT_FOUND, "no such domain");
}

static enum mig_err set_attestation(struct drive *d)
{
    const struct mig_operation *op = d->op;
    if (mig_attestation_find(d->c, op->tls_key) == NULL && !has(op, MIG_OP_ACCOUNT))
        return refuse(d, MIG_ERR_MALFORMED, "a new attestation needs account_id");
    struct mig_attestation *a = mig_attestation_get(d->c, op->tls_key);
    if (a == NULL)
        return MIG_ERR_NOMEM;
    a->valid = op->valid;
    if (has(op, MIG_OP_EXPIRES))
        a->expires = op->expires;
    if (has(op, MIG_OP_ACCOUNT))
        memcpy(a->account, op->account, sizeof a->account);
    if (has(op, MIG_OP_ACCOUNT_KEY)) {
        a->has_account_key = true;
        memcpy(a->account_key, op->account_key, MIG_KEY_LEN);
    }
    return MIG_OK;
}

static enum mig_err remove_attestation(struct drive *d)
{
    if (mig_attestation_find(d->c, d->op->tls_key) == NULL)
        return refuse(d, MIG_ERR_NOT_FOUND, "no such attestation");
    mig_attestation_remove(d->c, d->op->tls_key);
    return MIG_OK;
}

/* Newest first, as the view shows them. */
static enum mig_err allow(struct mig_allowed_hash **list, size_t *count,
                          const struct mig_operation *op)
{
    struct mig_allowed_hash one = {.expires = op->expires};
    memcpy(one.hash, op->hash, MIG_DIGEST_LEN);
    enum mig_err err = mig_allowed_hash_add(list, count, &one);
    if (err != MIG_OK)
        return err;
    memmove(*list + 1, *list, (*count - 1) * sizeof **list);
    (*list)[0] = one;
    return MIG_OK;
}

static enum mig_err allow_image(struct drive *d)
{
    return allow(&d->c->images, &d->c->image_count, d->op);
}

static enum mig_err allow_launcher(struct drive *d)
{
    return allow(&d->c->launchers, &d->c->launcher_count, d->op);
}

static enum mig_err set_state(struct drive *d)
{
    bool was_running = d->c->protocol.phase == MIG_PHASE_RUNNING;
    mig_protocol_clear(&d->c->protocol);
    enum mig_err err = mig_protocol_copy(&d->op->state, &d->c->protocol);
    d->c->initialised = true;
    if (was_running && d->op->state.phase != MIG_PHASE_RUNNING)
        leave_running(d->c);
    return err;
}

static enum mig_err genesis_domain(struct drive *d, const struct mig_operation_domain *from)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    struct mig_contract_domain domain = from->domain;
    struct mig_domain_key key = from->key;
    domain.id = key.domain = p->registry.next_id++;
    if (!from->has_threshold)
        domain.threshold = p->council.threshold;
    if (!from->has_key)
        invent_key(&(struct mig_key_event){.epoch = p->keyset.epoch, .domain = domain}, &key);
    enum mig_err err = mig_registry_add(&p->registry, &domain);
    return err != MIG_OK ? err : mig_contract_keyset_add(&p->keyset, &key);
}

static enum mig_err genesis(struct drive *d)
{
    struct mig_contract_protocol *p = &d->c->protocol;
    const struct mig_council nobody = {0};
    if (d->c->initialised)
        return refuse(d, MIG_ERR_STATE, "the contract has already been initialized");
    enum mig_err err = propose(d, &nobody, &p->council);
    p->keyset.epoch = d->op->epoch;
    for (size_t i = 0; err == MIG_OK && i < d->op->domain_count; i++)
        err = genesis_domain(d, &d->op->domains[i]);
    p->phase = MIG_PHASE_RUNNING;
    d->c->initialised = true;
    return err;
}

static enum mig_err set_service(struct drive *d)
{
    if (has(d->op, MIG_OP_PUBLIC_KEY) && d->op->key.curve != MIG_CURVE_ED25519)
        return refuse(d, MIG_ERR_MALFORMED, "public_key is not an ed25519 key");
    struct mig_migration *m = mig_migration_get(d->c, d->op->account);
    if (m == NULL)
        return MIG_ERR_NOMEM;
    m->has_service = has(d->op, MIG_OP_PUBLIC_KEY);
    memcpy(m->service, d->op->public_key, MIG_KEY_LEN);
    mig_migration_sweep(d->c);
    return MIG_OK;
}

#define NEEDS(m) (1u << (m))
static const struct {
    const char *name;
    uint32_t needs;
    enum mig_err (*run)(struct drive *d);
} operations[] = {
    {"genesis", NEEDS(MIG_OP_PARTICIPANTS) | NEEDS(MIG_OP_THRESHOLD), genesis},
    {"start_resharing", 0, start_resharing},
    {"start_attempt", 0, start_attempt},
    {"fail_attempt", 0, fail_attempt},
    {"finish_domain", 0, finish_domain},
    {"finish_resharing", 0, finish_resharing},
    {"cancel_resharing", 0, cancel_resharing},
    {"add_domains", NEEDS(MIG_OP_DOMAINS), add_domains},
    {"finish_initializing", 0, finish_initializing},
    {"cancel_initializing", 0, cancel_initializing},
    {"set_participants", 0, set_participants},
    {"set_epoch", NEEDS(MIG_OP_EPOCH), set_epoch},
    {"set_domain", NEEDS(MIG_OP_DOMAIN_ID), set_domain},
    {"set_attestation", NEEDS(MIG_OP_TLS_KEY) | NEEDS(MIG_OP_VALID), set_attestation},
    {"remove_attestation", NEEDS(MIG_OP_TLS_KEY), remove_attestation},
    {"set_service", NEEDS(MIG_OP_ACCOUNT), set_service},
    {"allow_image", NEEDS(MIG_OP_HASH), allow_image},
    {"allow_launcher", NEEDS(MIG_OP_HASH), allow_launcher},
    {"set_state", NEEDS(MIG_OP_STATE), set_state},
};

static enum mig_err apply(struct drive *d)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strcmp(operations[i].name, d->op->op) != 0)
            continue;
        for (unsigned m = 0; m < MIG_OP_MEMBERS; m++)
            if ((operations[i].needs & ~d->op->seen & NEEDS(m)) != 0)
                return refuse(d, MIG_ERR_MALFORMED, "missing member %s", mig_operation_members[m]);
        return operations[i].run(d);
    }
    return refuse(d, MIG_ERR_NOT_FOUND, "unknown op");
}

enum mig_err mig_contract_drive(struct mig_contract *c, const char *text, size_t len,
                                uint64_t height, char why[MIG_CONTRACT_WHY_MAX])
{
    struct mig_serde s;
    struct mig_operation op = {0};
    struct drive d = {.op = &op, .height = height, .why = why};
    why[0] = '\0';
    mig_serde_init(&s, text, len);
    mig_operation_read(&s, &op);
    enum mig_err err = MIG_OK;
    if (s.failed)
        err = refuse(&d, s.nomem ? MIG_ERR_NOMEM : MIG_ERR_MALFORMED, "%s", s.error);
    if (err == MIG_OK)
        err = mig_contract_copy(c, &d.c);
    if (err == MIG_OK)
        err = apply(&d);
    if (err == MIG_OK) {
        struct mig_contract old = *c;
        *c = *d.c;
        *d.c = old;
    }
    mig_contract_free(&d.c);
    mig_operation_clear(&op);
    return err;
}

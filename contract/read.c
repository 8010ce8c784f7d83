/* SPDX-License-Identifier: MIT */
#include "contract/form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"
#include "crypto/key.h"

static void keep(struct mig_serde *s, enum mig_err err)
{
    if (err == MIG_OK)
        return;
    s->nomem = err == MIG_ERR_NOMEM;
    mig_serde_fail(s, "too many, or out of memory");
}

void mig_read_text(struct mig_serde *s, char *out, size_t cap, const char *name)
{
    char *text = mig_serde_string(s, "a string");
    if (text != NULL && strlen(text) >= cap)
        mig_serde_fail(s, "%s is too long", name);
    else if (text != NULL)
        memcpy(out, text, strlen(text) + 1);
    free(text);
}

void mig_read_x25519(struct mig_serde *s, uint8_t key[MIG_KEY_LEN])
{
    static const char prefix[] = "x25519:";
    uint8_t bytes[MIG_BASE58_INPUT_MAX];
    size_t len = 0;
    memset(key, 0, MIG_KEY_LEN);
    char *text = mig_serde_string(s, "a string");
    if (text == NULL)
        return;
    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        mig_serde_fail(s, "wrong prefix");
    else if (mig_base58_decode(text + sizeof prefix - 1, strlen(text) - (sizeof prefix - 1), bytes,
                               sizeof bytes, &len) != MIG_OK ||
             len != MIG_KEY_LEN)
        mig_serde_fail(s, "invalid key length");
    else
        memcpy(key, bytes, MIG_KEY_LEN);
    free(text);
}

void mig_read_hex(struct mig_serde *s, uint8_t hash[MIG_DIGEST_LEN])
{
    size_t len = 0;
    char *text = mig_serde_string(s, "a string");
    if (text != NULL && (mig_hex_decode(text, strlen(text), hash, MIG_DIGEST_LEN, &len) != MIG_OK ||
                         len != MIG_DIGEST_LEN))
        mig_serde_fail(s, "not a hash of 64 hex digits");
    free(text);
}

void mig_read_info(struct mig_serde *s, char url[MIG_URL_MAX + 1], uint8_t tls_key[MIG_KEY_LEN])
{
    static const char *const names[] = {"url", "tls_public_key"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct ParticipantInfo", names, 2, 3);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_read_text(s, url, MIG_URL_MAX + 1, "url");
        else
            mig_serde_ed25519(s, tls_key);
    }
    mig_serde_leave(s, &o);
}

/* Group keys */

static void group_key_text(struct mig_serde *s, struct mig_domain_key *key)
{
    char *text = mig_serde_string(s, "a string");
    if (text != NULL && mig_group_key_parse(text, strlen(text), key) != MIG_OK)
        mig_serde_fail(s,
                       strchr(text, ':') == NULL ? "missing ':' separator" : "invalid key length");
    free(text);
}

/* The redundant copy of an ed25519 key; a difference cannot equal any keyset
 * of the contract, so it is refused here. */
static void edwards_point(struct mig_serde *s, const struct mig_domain_key *key, bool have_key)
{
    uint8_t point[MIG_KEY_LEN] = {0};
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "an array of length 32");
    while (mig_serde_item(s, &l)) {
        uint64_t v = mig_serde_u64(s);
        if (v > UINT8_MAX || l.count > MIG_KEY_LEN)
            mig_serde_fail(s, "invalid edwards point");
        else
            point[l.count - 1] = (uint8_t)v;
    }
    if (!s->failed && l.count != MIG_KEY_LEN)
        mig_serde_fail(s, "invalid length %zu, expected an array of length 32", l.count);
    mig_serde_leave_list(s, &l);
    if (!s->failed && have_key && memcmp(point, key->key, MIG_KEY_LEN) != 0)
        mig_serde_fail(s, "the edwards point is not the key's");
}

static void group_key_object(struct mig_serde *s, int variant, struct mig_domain_key *key)
{
    static const char *const secp[] = {"near_public_key"};
    static const char *const ed[] = {"near_public_key_compressed", "edwards_point"};
    static const char *const bls[] = {"public_key"};
    static const enum mig_curve curves[] = {MIG_CURVE_SECP256K1, MIG_CURVE_ED25519,
                                            MIG_CURVE_BLS12381G2};
    static const char *const whats[] = {"struct variant PublicKeyExtended::Secp256k1",
                                        "struct variant PublicKeyExtended::Ed25519",
                                        "struct variant PublicKeyExtended::Bls12381"};
    const char *const *names = variant == 0 ? secp : variant == 1 ? ed : bls;
    unsigned count = variant == 1 ? 2 : 1;
    struct mig_serde_object o;
    bool have = false;
    int field;
    mig_serde_enter(s, &o, whats[variant], names, count, (1u << count) - 1);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 1)
            edwards_point(s, key, have);
        else
            group_key_text(s, key);
        have = have || field == 0;
    }
    if (!s->failed && key->curve != curves[variant])
        mig_serde_fail(s, "wrong prefix");
    mig_serde_leave(s, &o);
}

void mig_read_group_key(struct mig_serde *s, struct mig_domain_key *key)
{
    static const char *const variants[] = {"Secp256k1", "Ed25519", "Bls12381"};
    bool unit;
    if (mig_serde_peek(s) == '"') {
        group_key_text(s, key);
        return;
    }
    int variant = mig_serde_variant(s, "enum PublicKeyExtended", variants, 3, &unit);
    if (variant < 0)
        return;
    group_key_object(s, variant, key);
    mig_serde_variant_end(s);
}

static void domain_key(struct mig_serde *s, struct mig_domain_key *key)
{
    static const char *const names[] = {"domain_id", "key", "attempt"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct KeyForDomain", names, 3, 7);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            key->domain = mig_serde_u64(s);
        else if (field == 1)
            mig_read_group_key(s, key);
        else
            key->attempt = mig_serde_u64(s);
    }
    mig_serde_leave(s, &o);
}

static void key_list(struct mig_serde *s, struct mig_keyset *keyset)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        struct mig_domain_key key = {0};
        domain_key(s, &key);
        if (!s->failed)
            keep(s, mig_contract_keyset_add(keyset, &key));
    }
    mig_serde_leave_list(s, &l);
}

void mig_read_keyset(struct mig_serde *s, struct mig_keyset *keyset)
{
    static const char *const names[] = {"epoch_id", "domains"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct Keyset", names, 2, 3);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            keyset->epoch = mig_serde_u64(s);
        else
            key_list(s, keyset);
    }
    mig_serde_leave(s, &o);
}

/* Participants */

static void participant(struct mig_serde *s, struct mig_participant *p)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a tuple of size 3");
    if (mig_serde_item(s, &l))
        mig_read_text(s, p->account, sizeof p->account, "account id");
    if (mig_serde_item(s, &l))
        p->id = mig_serde_u32(s);
    if (mig_serde_item(s, &l))
        mig_read_info(s, p->url, p->tls_key);
    if (!s->failed && l.count != 3)
        mig_serde_fail(s, "invalid length %zu, expected a tuple of size 3", l.count);
    mig_serde_leave_list(s, &l);
}

static void participant_list(struct mig_serde *s, struct mig_council *council)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        struct mig_participant p = {0};
        participant(s, &p);
        for (size_t i = 0; i < council->count; i++)
            if (strcmp(council->list[i].account, p.account) == 0 || council->list[i].id == p.id)
                mig_serde_fail(s, "a participant's account or id occurs twice");
        if (!s->failed)
            keep(s, mig_council_add(council, &p));
    }
    mig_serde_leave_list(s, &l);
}

static void participants(struct mig_serde *s, struct mig_council *council)
{
    static const char *const names[] = {"next_id", "participants"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct Participants", names, 2, 3);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            council->next_id = mig_serde_u32(s);
        else
            participant_list(s, council);
    }
    mig_serde_leave(s, &o);
}

void mig_read_council(struct mig_serde *s, struct mig_council *council)
{
    static const char *const names[] = {"participants", "threshold"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct GovernanceThresholdParameters", names, 2, 3);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            participants(s, council);
        else
            council->threshold = mig_serde_u64(s);
    }
    mig_serde_leave(s, &o);
}

/* Domains */

static int unit_variant(struct mig_serde *s, const char *what, const char *const *names,
                        unsigned count)
{
    bool unit;
    int variant = mig_serde_variant(s, what, names, count, &unit);
    if (variant >= 0 && !unit) {
        mig_serde_fail(s, "invalid type: newtype variant, expected unit variant");
        mig_serde_variant_end(s);
    }
    return s->failed ? 0 : variant;
}

void mig_read_domain(struct mig_serde *s, struct mig_contract_domain *domain)
{
    static const char *const names[] = {"id", "protocol", "reconstruction_threshold", "purpose"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct DomainConfig", names, 4, 15);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            domain->id = mig_serde_u64(s);
        else if (field == 1)
            domain->scheme = (enum mig_scheme)unit_variant(s, "enum Protocol", mig_scheme_names, 4);
        else if (field == 2)
            domain->threshold = mig_serde_u64(s);
        else
            domain->purpose =
                (enum mig_purpose)unit_variant(s, "enum DomainPurpose", mig_purpose_names, 3);
    }
    mig_serde_leave(s, &o);
}

static void domain_list(struct mig_serde *s, struct mig_registry *registry)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        struct mig_contract_domain d = {0};
        mig_read_domain(s, &d);
        if (!s->failed && mig_registry_find(registry, d.id) != NULL)
            mig_serde_fail(s, "a domain occurs twice");
        if (!s->failed)
            keep(s, mig_registry_add(registry, &d));
    }
    mig_serde_leave_list(s, &l);
}

static void registry(struct mig_serde *s, struct mig_registry *r)
{
    static const char *const names[] = {"domains", "next_domain_id"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct DomainRegistry", names, 2, 3);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            domain_list(s, r);
        else
            r->next_id = mig_serde_u64(s);
    }
    mig_serde_leave(s, &o);
}

/* Key events */

static void completed(struct mig_serde *s, struct mig_key_event *event)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        uint32_t id = mig_serde_u32(s);
        uint32_t *list = s->failed || l.count > MIG_COUNCIL_MAX
                             ? NULL
                             : realloc(event->completed, l.count * sizeof *list);
        if (list == NULL) {
            keep(s, s->failed ? MIG_OK : MIG_ERR_NOMEM);
            break;
        }
        event->completed = list;
        event->completed[event->completed_count++] = id;
    }
    mig_serde_leave_list(s, &l);
}

static void instance(struct mig_serde *s, struct mig_key_event *event)
{
    static const char *const names[] = {"attempt_id", "started_in", "expires_on", "completed",
                                        "public_key"};
    struct mig_serde_object o;
    int field;
    if (mig_serde_null(s))
        return;
    event->has_instance = true;
    mig_serde_enter(s, &o, "struct KeyEventInstance", names, 5, 15);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            event->attempt = mig_serde_u64(s);
        else if (field == 1)
            event->started_in = mig_serde_u64(s);
        else if (field == 2)
            event->expires_on = mig_serde_u64(s);
        else if (field == 3)
            completed(s, event);
        else if (!mig_serde_null(s)) {
            event->has_key = true;
            mig_read_group_key(s, &event->key);
        }
    }
    mig_serde_leave(s, &o);
}

static void key_event(struct mig_serde *s, struct mig_key_event *event)
{
    static const char *const names[] = {"epoch_id", "domain", "parameters", "instance",
                                        "next_attempt_id"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct KeyEvent", names, 5, 1 | 2 | 4 | 16);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            event->epoch = mig_serde_u64(s);
        else if (field == 1)
            mig_read_domain(s, &event->domain);
        else if (field == 2)
            mig_read_council(s, &event->council);
        else if (field == 3)
            instance(s, event);
        else
            event->next_attempt = mig_serde_u64(s);
    }
    mig_serde_leave(s, &o);
}

/* Protocol states. Votes are not modelled: members are skipped. */

static void running(struct mig_serde *s, struct mig_contract_protocol *p)
{
    static const char *const names[] = {"domains", "keyset", "parameters",
                                        "previously_cancelled_resharing_epoch_id"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct RunningContractState", names, 4, 7);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            registry(s, &p->registry);
        else if (field == 1)
            mig_read_keyset(s, &p->keyset);
        else if (field == 2)
            mig_read_council(s, &p->council);
        else if (!mig_serde_null(s)) {
            p->has_cancelled_epoch = true;
            p->cancelled_epoch = mig_serde_u64(s);
        }
    }
    mig_serde_leave(s, &o);
}

static void initializing(struct mig_serde *s, struct mig_contract_protocol *p)
{
    static const char *const names[] = {"domains", "epoch_id", "generated_keys", "generating_key"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct InitializingContractState", names, 4, 15);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            registry(s, &p->registry);
        else if (field == 1)
            p->fresh.epoch = mig_serde_u64(s);
        else if (field == 2)
            key_list(s, &p->fresh);
        else
            key_event(s, &p->event);
    }
    mig_serde_leave(s, &o);
}

void mig_read_thresholds(struct mig_serde *s, struct mig_contract_protocol *p)
{
    struct mig_serde_object o;
    char *key;
    mig_serde_enter(s, &o, "a map", NULL, 0, 0);
    while ((key = mig_serde_key(s, &o)) != NULL) {
        char *end;
        uint64_t id = strtoull(key, &end, 10);
        bool number = key[0] >= '0' && key[0] <= '9' && *end == '\0';
        free(key);
        struct mig_domain_threshold one = {.domain = id, .threshold = mig_serde_u64(s)};
        if (!number || p->threshold_count >= MIG_DOMAINS_MAX) {
            mig_serde_fail(s, "not a domain id");
            break;
        }
        struct mig_domain_threshold *list =
            realloc(p->thresholds, (p->threshold_count + 1) * sizeof *list);
        keep(s, list == NULL ? MIG_ERR_NOMEM : MIG_OK);
        if (list == NULL)
            break;
        p->thresholds = list;
        p->thresholds[p->threshold_count++] = one;
    }
    mig_serde_leave(s, &o);
}

static void resharing(struct mig_serde *s, struct mig_contract_protocol *p)
{
    static const char *const names[] = {"previous_running_state", "reshared_keys", "resharing_key",
                                        "per_domain_thresholds"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "struct ResharingContractState", names, 4, 7);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            running(s, p);
        else if (field == 1)
            key_list(s, &p->fresh);
        else if (field == 2)
            key_event(s, &p->event);
        else
            mig_read_thresholds(s, p);
    }
    mig_serde_leave(s, &o);
    p->fresh.epoch = p->event.epoch;
}

void mig_read_protocol(struct mig_serde *s, struct mig_contract_protocol *p)
{
    static const char *const names[] = {"NotInitialized", "Initializing", "Running", "Resharing"};
    bool unit;
    int variant = mig_serde_variant(s, "enum ProtocolContractState", names, 4, &unit);
    if (variant < 0)
        return;
    p->phase = (enum mig_phase)variant;
    if (unit != (variant == MIG_PHASE_NOT_INITIALIZED)) {
        mig_serde_fail(s, "invalid type: %s variant", unit ? "unit" : "newtype");
        return;
    }
    if (variant == MIG_PHASE_INITIALIZING)
        initializing(s, p);
    else if (variant == MIG_PHASE_RUNNING)
        running(s, p);
    else if (variant == MIG_PHASE_RESHARING)
        resharing(s, p);
    if (!unit)
        mig_serde_variant_end(s);
}

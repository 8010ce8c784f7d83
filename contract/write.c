/* SPDX-License-Identifier: MIT */
#include "contract/form.h"

#include <inttypes.h>

#include "crypto/encoding.h"

static void prefixed(struct mig_print *t, const char *prefix, const uint8_t *key, size_t len)
{
    char text[MIG_BASE58_INPUT_MAX];
    if (mig_base58_encode(key, len, text, sizeof text) != MIG_OK)
        t->failed = true;
    else
        mig_print_printf(t, "\"%s:%s\"", prefix, text);
}

void mig_form_key(struct mig_print *t, const uint8_t key[MIG_KEY_LEN])
{
    prefixed(t, "ed25519", key, MIG_KEY_LEN);
}

void mig_form_x25519(struct mig_print *t, const uint8_t key[MIG_KEY_LEN])
{
    prefixed(t, "x25519", key, MIG_KEY_LEN);
}

void mig_form_hex(struct mig_print *t, const uint8_t hash[MIG_DIGEST_LEN])
{
    char text[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    if (mig_hex_encode(hash, MIG_DIGEST_LEN, text, sizeof text) != MIG_OK)
        t->failed = true;
    else
        mig_print_printf(t, "\"%s\"", text);
}

void mig_form_info(struct mig_print *t, const char *url, const uint8_t tls_key[MIG_KEY_LEN])
{
    mig_print_put(t, "{\"url\":");
    mig_print_json(t, url);
    mig_print_put(t, ",\"tls_public_key\":");
    mig_form_key(t, tls_key);
    mig_print_put(t, "}");
}

static void group_key(struct mig_print *t, const struct mig_domain_key *key)
{
    switch (key->curve) {
    case MIG_CURVE_SECP256K1:
        mig_print_put(t, "{\"Secp256k1\":{\"near_public_key\":");
        prefixed(t, "secp256k1", key->key, key->key_len);
        mig_print_put(t, "}}");
        break;
    case MIG_CURVE_ED25519:
        mig_print_put(t, "{\"Ed25519\":{\"near_public_key_compressed\":");
        prefixed(t, "ed25519", key->key, key->key_len);
        mig_print_put(t, ",\"edwards_point\":");
        mig_print_numbers(t, key->key, key->key_len);
        mig_print_put(t, "}}");
        break;
    case MIG_CURVE_BLS12381G2:
        mig_print_put(t, "{\"Bls12381\":{\"public_key\":");
        prefixed(t, "bls12381g2", key->key, key->key_len);
        mig_print_put(t, "}}");
        break;
    }
}

static void key_list(struct mig_print *t, const struct mig_keyset *keyset)
{
    mig_print_put(t, "[");
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *key = &keyset->domains[i];
        mig_print_printf(t, "%s{\"domain_id\":%" PRIu64 ",\"key\":", i == 0 ? "" : ",",
                         key->domain);
        group_key(t, key);
        mig_print_printf(t, ",\"attempt\":%" PRIu64 "}", key->attempt);
    }
    mig_print_put(t, "]");
}

void mig_form_keyset(struct mig_print *t, const struct mig_keyset *keyset)
{
    mig_print_printf(t, "{\"epoch_id\":%" PRIu64 ",\"domains\":", keyset->epoch);
    key_list(t, keyset);
    mig_print_put(t, "}");
}

static void domain(struct mig_print *t, const struct mig_contract_domain *d)
{
    mig_print_printf(t,
                     "{\"id\":%" PRIu64 ",\"protocol\":\"%s\",\"reconstruction_threshold\":%" PRIu64
                     ",\"purpose\":\"%s\"}",
                     d->id, mig_scheme_names[d->scheme], d->threshold,
                     mig_purpose_names[d->purpose]);
}

static void registry(struct mig_print *t, const struct mig_registry *r)
{
    mig_print_put(t, "{\"domains\":[");
    for (size_t i = 0; i < r->count; i++) {
        mig_print_put(t, i == 0 ? "" : ",");
        domain(t, &r->list[i]);
    }
    mig_print_printf(t, "],\"next_domain_id\":%" PRIu64 "}", r->next_id);
}

static void council(struct mig_print *t, const struct mig_council *set)
{
    mig_print_printf(t, "{\"participants\":{\"next_id\":%" PRIu32 ",\"participants\":[",
                     set->next_id);
    for (size_t i = 0; i < set->count; i++) {
        mig_print_put(t, i == 0 ? "[" : ",[");
        mig_print_json(t, set->list[i].account);
        mig_print_printf(t, ",%" PRIu32 ",", set->list[i].id);
        mig_form_info(t, set->list[i].url, set->list[i].tls_key);
        mig_print_put(t, "]");
    }
    mig_print_printf(t, "]},\"threshold\":%" PRIu64 "}", set->threshold);
}

/* The Running state's members; Resharing repeats them as its previous state. */
static void running(struct mig_print *t, const struct mig_contract_protocol *p)
{
    mig_print_put(t, "{\"domains\":");
    registry(t, &p->registry);
    mig_print_put(t, ",\"keyset\":");
    mig_form_keyset(t, &p->keyset);
    mig_print_put(t, ",\"parameters\":");
    council(t, &p->council);
    mig_print_put(t, ",\"parameters_votes\":{\"proposal_by_account\":{}}"
                     ",\"add_domains_votes\":{\"proposal_by_account\":{}}"
                     ",\"previously_cancelled_resharing_epoch_id\":");
    if (p->has_cancelled_epoch)
        mig_print_printf(t, "%" PRIu64 "}", p->cancelled_epoch);
    else
        mig_print_put(t, "null}");
}

static void instance(struct mig_print *t, const struct mig_key_event *event)
{
    if (!event->has_instance) {
        mig_print_put(t, "null");
        return;
    }
    mig_print_printf(t,
                     "{\"attempt_id\":%" PRIu64 ",\"started_in\":%" PRIu64
                     ",\"expires_on\":%" PRIu64 ",\"completed\":[",
                     event->attempt, event->started_in, event->expires_on);
    for (size_t i = 0; i < event->completed_count; i++)
        mig_print_printf(t, "%s%" PRIu32, i == 0 ? "" : ",", event->completed[i]);
    mig_print_put(t, "],\"public_key\":");
    if (event->has_key)
        group_key(t, &event->key);
    else
        mig_print_put(t, "null");
    mig_print_put(t, "}");
}

static void key_event(struct mig_print *t, const struct mig_key_event *event)
{
    mig_print_printf(t, "{\"epoch_id\":%" PRIu64 ",\"domain\":", event->epoch);
    domain(t, &event->domain);
    mig_print_put(t, ",\"parameters\":");
    council(t, &event->council);
    mig_print_put(t, ",\"instance\":");
    instance(t, event);
    mig_print_printf(t, ",\"next_attempt_id\":%" PRIu64 "}", event->next_attempt);
}

static void initializing(struct mig_print *t, const struct mig_contract_protocol *p)
{
    mig_print_put(t, "{\"domains\":");
    registry(t, &p->registry);
    mig_print_printf(t, ",\"epoch_id\":%" PRIu64 ",\"generated_keys\":", p->fresh.epoch);
    key_list(t, &p->fresh);
    mig_print_put(t, ",\"generating_key\":");
    key_event(t, &p->event);
    mig_print_put(t, ",\"cancel_votes\":[]}");
}

static void resharing(struct mig_print *t, const struct mig_contract_protocol *p)
{
    mig_print_put(t, "{\"previous_running_state\":");
    running(t, p);
    mig_print_put(t, ",\"reshared_keys\":");
    key_list(t, &p->fresh);
    mig_print_put(t, ",\"resharing_key\":");
    key_event(t, &p->event);
    mig_print_put(t, ",\"cancellation_requests\":[],\"per_domain_thresholds\":{");
    for (size_t i = 0; i < p->threshold_count; i++)
        mig_print_printf(t, "%s\"%" PRIu64 "\":%" PRIu64, i == 0 ? "" : ",",
                         p->thresholds[i].domain, p->thresholds[i].threshold);
    mig_print_put(t, "}}");
}

void mig_form_protocol(struct mig_print *t, const struct mig_contract_protocol *protocol)
{
    switch (protocol->phase) {
    case MIG_PHASE_NOT_INITIALIZED:
        mig_print_put(t, "\"NotInitialized\"");
        return;
    case MIG_PHASE_INITIALIZING:
        mig_print_put(t, "{\"Initializing\":");
        initializing(t, protocol);
        break;
    case MIG_PHASE_RUNNING:
        mig_print_put(t, "{\"Running\":");
        running(t, protocol);
        break;
    case MIG_PHASE_RESHARING:
        mig_print_put(t, "{\"Resharing\":");
        resharing(t, protocol);
        break;
    }
    mig_print_put(t, "}");
}

void mig_debug_key(struct mig_print *t, const uint8_t key[MIG_KEY_LEN])
{
    mig_print_put(t, "Ed25519PublicKey(");
    mig_print_bytes(t, key, MIG_KEY_LEN);
    mig_print_put(t, ")");
}

void mig_debug_info(struct mig_print *t, const char *url, const uint8_t tls_key[MIG_KEY_LEN])
{
    mig_print_put(t, "ParticipantInfo { url: ");
    mig_print_debug(t, url);
    mig_print_put(t, ", tls_public_key: ");
    mig_debug_key(t, tls_key);
    mig_print_put(t, " }");
}

static void debug_group_key(struct mig_print *t, const struct mig_domain_key *key)
{
    switch (key->curve) {
    case MIG_CURVE_SECP256K1:
        mig_print_put(t, "Secp256k1 { near_public_key: ");
        prefixed(t, "secp256k1", key->key, key->key_len);
        break;
    case MIG_CURVE_ED25519:
        mig_print_put(t, "Ed25519 { near_public_key_compressed: ");
        prefixed(t, "ed25519", key->key, key->key_len);
        mig_print_put(t, ", edwards_point: ");
        mig_print_bytes(t, key->key, key->key_len);
        break;
    case MIG_CURVE_BLS12381G2:
        mig_print_put(t, "Bls12381 { public_key: Bls12381(Bls12381G2PublicKey(");
        mig_print_bytes(t, key->key, key->key_len);
        mig_print_put(t, "))");
        break;
    }
    mig_print_put(t, " }");
}

void mig_debug_keyset(struct mig_print *t, const struct mig_keyset *keyset)
{
    mig_print_printf(t, "Keyset { epoch_id: EpochId(%" PRIu64 "), domains: [", keyset->epoch);
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *key = &keyset->domains[i];
        mig_print_printf(t, "%sKeyForDomain { domain_id: DomainId(%" PRIu64 "), key: ",
                         i == 0 ? "" : ", ", key->domain);
        debug_group_key(t, key);
        mig_print_printf(t, ", attempt: AttemptId(%" PRIu64 ") }", key->attempt);
    }
    mig_print_put(t, "] }");
}

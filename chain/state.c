/* SPDX-License-Identifier: MIT */
#include "chain/state.h"

#include <stdlib.h>
#include <string.h>

#include "chain/fields.h"
#include "crypto/key.h"
#include "crypto/keyset.h"

#define BIT(n) (1u << (n))

/* One more element of a list, zeroed; NULL, and the reader failed, when there
 * is no memory or the list would pass `max`. */
static void *append(struct mig_json *j, void **list, size_t *count, size_t max, size_t size)
{
    size_t n = *count;
    mig_json_need(j, n < max);
    if (j->err != MIG_OK)
        return NULL;
    if ((n & (n - 1)) == 0) { /* full at every power of two */
        void *moved = realloc(*list, (n == 0 ? 1 : 2 * n) * size);
        if (moved == NULL) {
            mig_json_fail(j, MIG_ERR_NOMEM);
            return NULL;
        }
        *list = moved;
    }
    *count = n + 1;
    return memset((char *)*list + n * size, 0, size);
}

/* ---- keys ---- */

/* The compressed point must repeat the key: the contract compares both. */
static void read_edwards_point(struct mig_json *j, uint8_t point[MIG_KEY_LEN])
{
    size_t len = 0;
    mig_json_bytes(j, point, MIG_KEY_LEN, &len);
    mig_json_need(j, len == MIG_KEY_LEN);
}

static void read_group_key(struct mig_json *j, enum mig_curve curve, struct mig_domain_key *key)
{
    char text[MIG_GROUP_KEY_TEXT_MAX];
    mig_json_string(j, text, sizeof text);
    if (j->err == MIG_OK)
        mig_json_need(j, mig_group_key_parse(text, strlen(text), key) == MIG_OK &&
                             key->curve == curve);
}

/* The body of PublicKeyExtended's variants. */
static void read_variant(struct mig_json *j, enum mig_curve curve, struct mig_domain_key *key)
{
    static const char *const names[][3] = {
        [MIG_CURVE_SECP256K1] = {"near_public_key", NULL},
        [MIG_CURVE_ED25519] = {"near_public_key_compressed", "edwards_point", NULL},
        [MIG_CURVE_BLS12381G2] = {"public_key", NULL},
    };
    uint8_t point[MIG_KEY_LEN] = {0};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, names[curve], &seen)) >= 0;) {
        if (f == 0)
            read_group_key(j, curve, key);
        else
            read_edwards_point(j, point);
    }
    bool edwards = curve == MIG_CURVE_ED25519;
    mig_json_need(j, seen == (edwards ? 3u : 1u));
    mig_json_need(j, !edwards || memcmp(point, key->key, MIG_KEY_LEN) == 0);
}

/* PublicKeyExtended: an object with exactly one of three members. */
static void read_public_key(struct mig_json *j, struct mig_domain_key *key)
{
    struct mig_json_name name;
    mig_json_object(j);
    mig_json_need(j, mig_json_member(j, &name));
    if (mig_json_is(&name, "Secp256k1"))
        read_variant(j, MIG_CURVE_SECP256K1, key);
    else if (mig_json_is(&name, "Ed25519"))
        read_variant(j, MIG_CURVE_ED25519, key);
    else if (mig_json_is(&name, "Bls12381"))
        read_variant(j, MIG_CURVE_BLS12381G2, key);
    else
        mig_json_need(j, false);
    mig_json_need(j, !mig_json_member(j, &name));
}

static void read_key_for_domain(struct mig_json *j, struct mig_domain_key *key)
{
    enum { DOMAIN, KEY, ATTEMPT };
    static const char *const fields[] = {"domain_id", "key", "attempt", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == DOMAIN)
            key->domain = mig_json_u64(j);
        else if (f == ATTEMPT)
            key->attempt = mig_json_u64(j);
        else
            read_public_key(j, key);
    }
    mig_json_need(j, seen == (BIT(DOMAIN) | BIT(KEY) | BIT(ATTEMPT)));
}

static void read_domain_keys(struct mig_json *j, struct mig_keyset *keyset)
{
    for (mig_json_array(j); mig_json_item(j);) {
        struct mig_domain_key *key = append(j, (void **)&keyset->domains, &keyset->count,
                                            MIG_DOMAINS_MAX, sizeof *keyset->domains);
        if (key != NULL)
            read_key_for_domain(j, key);
    }
    if (j->err == MIG_OK)
        mig_json_need(j, mig_keyset_normalise(keyset) == MIG_OK);
}

/* [KeyForDomain] of an unfinished keyset: checked, not kept. */
static void check_domain_keys(struct mig_json *j)
{
    struct mig_keyset unfinished = {0};
    read_domain_keys(j, &unfinished);
    mig_keyset_clear(&unfinished);
}

static void read_keyset(struct mig_json *j, struct mig_keyset *keyset)
{
    enum { EPOCH, DOMAINS };
    static const char *const fields[] = {"epoch_id", "domains", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == EPOCH)
            keyset->epoch = mig_json_u64(j);
        else
            read_domain_keys(j, keyset);
    }
    mig_json_need(j, seen == (BIT(EPOCH) | BIT(DOMAINS)));
}

/* Reads it, and keeps its text as it stands. */
static void read_kept_keyset(struct mig_json *j, struct mig_state *state)
{
    (void)mig_json_peek(j); /* past white space */
    const char *start = j->at;
    read_keyset(j, &state->keyset);
    if (j->err != MIG_OK)
        return;
    free(state->keyset_json); /* a duplicate member: refused at the object's end */
    state->keyset_json = strndup(start, (size_t)(j->at - start));
    if (state->keyset_json == NULL)
        mig_json_fail(j, MIG_ERR_NOMEM);
}

/* ---- participants ---- */

/* [account, id, {url, tls_public_key}] */
static void read_participant(struct mig_json *j, struct mig_participant *p)
{
    mig_json_array(j);
    mig_json_need(j, mig_json_item(j));
    mig_field_account(j, p->account);
    mig_json_need(j, mig_json_item(j));
    p->id = mig_json_u32(j);
    mig_json_need(j, mig_json_item(j));
    mig_field_participant_info(j, p->url, p->tls_key);
    mig_json_need(j, !mig_json_item(j));
}

static int by_id(const void *a, const void *b)
{
    const struct mig_participant *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_account(const void *a, const void *b)
{
    const struct mig_participant *x = a, *y = b;
    return strcmp(x->account, y->account);
}

/* Sorts by id; neither an id nor an account may occur twice. */
static bool order_participants(struct mig_participants *set)
{
    bool unique = true;
    if (set->count < 2)
        return true;
    qsort(set->list, set->count, sizeof *set->list, by_account);
    for (size_t i = 1; i < set->count; i++)
        unique = unique && by_account(&set->list[i - 1], &set->list[i]) != 0;
    qsort(set->list, set->count, sizeof *set->list, by_id);
    for (size_t i = 1; i < set->count; i++)
        unique = unique && by_id(&set->list[i - 1], &set->list[i]) != 0;
    return unique;
}

static void read_participant_list(struct mig_json *j, struct mig_participants *set)
{
    for (mig_json_array(j); mig_json_item(j);) {
        struct mig_participant *p =
            append(j, (void **)&set->list, &set->count, MIG_PARTICIPANTS_MAX, sizeof *set->list);
        if (p != NULL)
            read_participant(j, p);
    }
    if (j->err == MIG_OK)
        mig_json_need(j, order_participants(set));
}

static void read_participants(struct mig_json *j, struct mig_participants *set)
{
    enum { NEXT, LIST };
    static const char *const fields[] = {"next_id", "participants", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == NEXT)
            (void)mig_json_u32(j);
        else
            read_participant_list(j, set);
    }
    mig_json_need(j, seen == (BIT(NEXT) | BIT(LIST)));
}

/* "parameters": participants and threshold. */
static void read_parameters(struct mig_json *j, struct mig_participants *set)
{
    enum { PARTICIPANTS, THRESHOLD };
    static const char *const fields[] = {"participants", "threshold", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == THRESHOLD)
            set->threshold = mig_json_u64(j);
        else
            read_participants(j, set);
    }
    mig_json_need(j, seen == (BIT(PARTICIPANTS) | BIT(THRESHOLD)));
}

/* ---- domains ---- */

/* The curve, where a contract still says it, is ignored: the keys tell it. */
static void check_domain(struct mig_json *j)
{
    enum { ID, PROTOCOL, THRESHOLD, PURPOSE };
    static const char *const fields[] = {"id", "protocol", "reconstruction_threshold", "purpose",
                                         NULL};
    static const char *const protocols[] = {"CaitSith", "Frost", "ConfidentialKeyDerivation",
                                            "DamgardEtAl", NULL};
    static const char *const purposes[] = {"Sign", "ForeignTx", "CKD", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == PROTOCOL)
            (void)mig_json_choice(j, protocols);
        else if (f == PURPOSE)
            (void)mig_json_choice(j, purposes);
        else
            (void)mig_json_u64(j);
    }
    mig_json_need(j, seen == (BIT(ID) | BIT(PROTOCOL) | BIT(THRESHOLD) | BIT(PURPOSE)));
}

static void read_registry(struct mig_json *j, uint64_t *next_domain)
{
    enum { DOMAINS, NEXT };
    static const char *const fields[] = {"domains", "next_domain_id", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == NEXT)
            *next_domain = mig_json_u64(j);
        else
            for (mig_json_array(j); mig_json_item(j);)
                check_domain(j);
    }
    mig_json_need(j, seen == (BIT(DOMAINS) | BIT(NEXT)));
}

/* {"<domain id>": u64} */
static void check_thresholds(struct mig_json *j)
{
    struct mig_json_name name;
    for (mig_json_object(j); mig_json_member(j, &name);) {
        bool decimal = name.len > 0 && name.len <= 20 && (name.len == 1 || name.text[0] != '0');
        for (size_t i = 0; i < name.len; i++)
            decimal = decimal && name.text[i] >= '0' && name.text[i] <= '9';
        mig_json_need(j, decimal);
        (void)mig_json_u64(j);
    }
}

static void check_ids(struct mig_json *j)
{
    for (mig_json_array(j); mig_json_item(j);)
        (void)mig_json_u32(j);
}

static void check_accounts(struct mig_json *j)
{
    char account[MIG_ACCOUNT_MAX + 1];
    for (mig_json_array(j); mig_json_item(j);)
        mig_field_account(j, account);
}

/* Votes change nothing for us; they must only be an object. */
static void skip_votes(struct mig_json *j)
{
    mig_json_need(j, mig_json_peek(j) == MIG_JSON_OBJECT);
    mig_json_skip(j);
}

/* ---- key events ---- */

static void check_instance(struct mig_json *j)
{
    enum { ATTEMPT, STARTED, EXPIRES, COMPLETED, KEY };
    static const char *const fields[] = {"attempt_id", "started_in", "expires_on",
                                         "completed",  "public_key", NULL};
    struct mig_domain_key key = {0};
    unsigned seen = 0;
    if (mig_json_null(j))
        return;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == COMPLETED)
            check_ids(j);
        else if (f != KEY)
            (void)mig_json_u64(j);
        else if (!mig_json_null(j))
            read_public_key(j, &key);
    }
    unsigned required = BIT(ATTEMPT) | BIT(STARTED) | BIT(EXPIRES) | BIT(COMPLETED);
    mig_json_need(j, (seen & required) == required);
}

/* Gives the participants who are making the keys. */
static void read_key_event(struct mig_json *j, struct mig_participants *set)
{
    enum { EPOCH, DOMAIN, PARAMETERS, INSTANCE, NEXT };
    static const char *const fields[] = {"epoch_id", "domain",          "parameters",
                                         "instance", "next_attempt_id", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == DOMAIN)
            check_domain(j);
        else if (f == PARAMETERS)
            read_parameters(j, set);
        else if (f == INSTANCE)
            check_instance(j);
        else
            (void)mig_json_u64(j);
    }
    unsigned required = BIT(EPOCH) | BIT(DOMAIN) | BIT(PARAMETERS) | BIT(NEXT);
    mig_json_need(j, (seen & required) == required);
}

/* ---- the four states ---- */

static void read_running(struct mig_json *j, struct mig_state *state)
{
    enum { DOMAINS, KEYSET, PARAMETERS, VOTES, DOMAIN_VOTES, CANCELLED };
    static const char *const fields[] = {"domains",
                                         "keyset",
                                         "parameters",
                                         "parameters_votes",
                                         "add_domains_votes",
                                         "previously_cancelled_resharing_epoch_id",
                                         NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == DOMAINS) {
            read_registry(j, &state->next_domain);
        } else if (f == KEYSET) {
            read_kept_keyset(j, state);
        } else if (f == PARAMETERS) {
            read_parameters(j, &state->participants);
        } else if (f == CANCELLED) {
            state->has_cancelled_epoch = !mig_json_null(j);
            state->cancelled_epoch = state->has_cancelled_epoch ? mig_json_u64(j) : 0;
        } else {
            skip_votes(j);
        }
    }
    unsigned required = BIT(CANCELLED) - 1;
    mig_json_need(j, (seen & required) == required);
}

static void read_initializing(struct mig_json *j, struct mig_state *state)
{
    enum { DOMAINS, EPOCH, GENERATED, GENERATING, CANCEL };
    static const char *const fields[] = {"domains",        "epoch_id",     "generated_keys",
                                         "generating_key", "cancel_votes", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == DOMAINS)
            read_registry(j, &state->next_domain);
        else if (f == EPOCH)
            (void)mig_json_u64(j);
        else if (f == GENERATED)
            check_domain_keys(j);
        else if (f == GENERATING)
            read_key_event(j, &state->participants);
        else
            check_ids(j);
    }
    mig_json_need(j, seen == BIT(CANCEL + 1) - 1);
}

static void read_resharing(struct mig_json *j, struct mig_state *state)
{
    enum { PREVIOUS, RESHARED, RESHARING, CANCELLATIONS, THRESHOLDS };
    static const char *const fields[] = {"previous_running_state", "reshared_keys",
                                         "resharing_key",          "cancellation_requests",
                                         "per_domain_thresholds",  NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == PREVIOUS)
            read_running(j, state);
        else if (f == RESHARED)
            check_domain_keys(j);
        else if (f == RESHARING)
            read_key_event(j, &state->prospective);
        else if (f == CANCELLATIONS)
            check_accounts(j);
        else
            check_thresholds(j);
    }
    unsigned required = BIT(THRESHOLDS) - 1;
    mig_json_need(j, (seen & required) == required);
}

/* An enum, externally tagged: "NotInitialized", or an object of one member. */
static void read_state(struct mig_json *j, struct mig_state *state)
{
    static const char *const units[] = {"NotInitialized", NULL};
    struct mig_json_name name;
    if (mig_json_peek(j) == MIG_JSON_STRING) {
        (void)mig_json_choice(j, units);
        return;
    }
    mig_json_object(j);
    mig_json_need(j, mig_json_member(j, &name));
    if (mig_json_is(&name, "Running")) {
        state->protocol = MIG_PROTOCOL_RUNNING;
        read_running(j, state);
    } else if (mig_json_is(&name, "Initializing")) {
        state->protocol = MIG_PROTOCOL_INITIALIZING;
        read_initializing(j, state);
    } else if (mig_json_is(&name, "Resharing")) {
        state->protocol = MIG_PROTOCOL_RESHARING;
        read_resharing(j, state);
    } else {
        mig_json_need(j, false);
    }
    mig_json_need(j, !mig_json_member(j, &name));
}

enum mig_err mig_state_parse(const char *json, size_t len, struct mig_state *out)
{
    struct mig_json j;
    memset(out, 0, sizeof *out);
    mig_json_init(&j, json, len);
    mig_json_need(&j, len <= MIG_STATE_MAX);
    read_state(&j, out);
    enum mig_err err = mig_json_end(&j);
    if (err != MIG_OK)
        mig_state_clear(out);
    return err;
}

void mig_state_clear(struct mig_state *state)
{
    mig_keyset_clear(&state->keyset);
    free(state->keyset_json);
    free(state->participants.list);
    free(state->prospective.list);
    memset(state, 0, sizeof *state);
}

/* SPDX-License-Identifier: MIT */
/* The whole store as one JSON object; `protocol` is exactly what `state` shows. */
#include "contract/form.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void optional_key(struct mig_print *t, const char *name, bool has,
                         const uint8_t key[MIG_KEY_LEN], bool x25519)
{
    mig_print_printf(t, ",\"%s\":", name);
    if (!has)
        mig_print_put(t, "null");
    else if (x25519)
        mig_form_x25519(t, key);
    else
        mig_form_key(t, key);
}

static void migration(struct mig_print *t, const struct mig_migration *m)
{
    mig_print_put(t, "{\"account_id\":");
    mig_print_json(t, m->account);
    optional_key(t, "service", m->has_service, m->service, false);
    optional_key(t, "node_ephemeral", m->has_node_ephemeral, m->node_ephemeral, true);
    optional_key(t, "service_ephemeral", m->has_service_ephemeral, m->service_ephemeral, true);
    mig_print_put(t, ",\"destination\":");
    if (m->has_destination) {
        mig_print_put(t, "{\"info\":");
        mig_form_info(t, m->url, m->tls_key);
        mig_print_put(t, ",\"signer_key\":");
        mig_form_key(t, m->signer_key);
        mig_print_printf(t, ",\"epoch\":%" PRIu64 "}", m->epoch);
    } else
        mig_print_put(t, "null");
    mig_print_put(t, "}");
}

static void attestation(struct mig_print *t, const struct mig_attestation *a)
{
    mig_print_put(t, "{\"account_id\":");
    mig_print_json(t, a->account);
    mig_print_put(t, ",\"tls_public_key\":");
    mig_form_key(t, a->tls_key);
    optional_key(t, "account_public_key", a->has_account_key, a->account_key, false);
    mig_print_printf(t, ",\"valid\":%s,\"expires\":%" PRIu64 "}", a->valid ? "true" : "false",
                     a->expires);
}

static void hashes(struct mig_print *t, const struct mig_allowed_hash *list, size_t count)
{
    mig_print_put(t, "[");
    for (size_t i = 0; i < count; i++) {
        mig_print_put(t, i == 0 ? "{\"hash\":" : ",{\"hash\":");
        mig_form_hex(t, list[i].hash);
        mig_print_printf(t, ",\"expires\":%" PRIu64 "}", list[i].expires);
    }
    mig_print_put(t, "]");
}

enum mig_err mig_contract_dump(const struct mig_contract *c, char **text)
{
    struct mig_print t = {0};
    mig_print_put(&t, "{\"account_id\":");
    mig_print_json(&t, c->account);
    mig_print_printf(&t, ",\"version\":\"%s\",\"initialised\":%s,\"protocol\":",
                     mig_contract_version_text(c->version), c->initialised ? "true" : "false");
    mig_form_protocol(&t, &c->protocol);
    mig_print_put(&t, ",\"migrations\":[");
    for (size_t i = 0; i < c->migration_count; i++) {
        mig_print_put(&t, i == 0 ? "" : ",");
        migration(&t, &c->migrations[i]);
    }
    mig_print_put(&t, "],\"attestations\":[");
    for (size_t i = 0; i < c->attestation_count; i++) {
        mig_print_put(&t, i == 0 ? "" : ",");
        attestation(&t, &c->attestations[i]);
    }
    mig_print_put(&t, "],\"images\":");
    hashes(&t, c->images, c->image_count);
    mig_print_put(&t, ",\"launchers\":");
    hashes(&t, c->launchers, c->launcher_count);
    mig_print_put(&t, "}");
    *text = mig_print_take(&t);
    return *text != NULL ? MIG_OK : MIG_ERR_NOMEM;
}

/* Reading back */

static void read_destination(struct mig_serde *s, struct mig_migration *m)
{
    static const char *const names[] = {"info", "signer_key", "epoch"};
    struct mig_serde_object o;
    int field;
    if (mig_serde_null(s))
        return;
    m->has_destination = true;
    mig_serde_enter(s, &o, "a destination", names, 3, 7);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_read_info(s, m->url, m->tls_key);
        else if (field == 1)
            mig_serde_ed25519(s, m->signer_key);
        else
            m->epoch = mig_serde_u64(s);
    }
    mig_serde_leave(s, &o);
}

static bool present(struct mig_serde *s)
{
    return !mig_serde_null(s) && !s->failed;
}

static void read_migration(struct mig_serde *s, struct mig_migration *m)
{
    static const char *const names[] = {"account_id", "service", "node_ephemeral",
                                        "service_ephemeral", "destination"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "a migration record", names, 5, 31);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_read_text(s, m->account, sizeof m->account, "account id");
        else if (field == 1 && (m->has_service = present(s)))
            mig_serde_ed25519(s, m->service);
        else if (field == 2 && (m->has_node_ephemeral = present(s)))
            mig_read_x25519(s, m->node_ephemeral);
        else if (field == 3 && (m->has_service_ephemeral = present(s)))
            mig_read_x25519(s, m->service_ephemeral);
        else if (field == 4)
            read_destination(s, m);
    }
    mig_serde_leave(s, &o);
}

static void read_migrations(struct mig_serde *s, struct mig_contract *c)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        struct mig_migration one = {0};
        read_migration(s, &one);
        if (s->failed)
            break;
        struct mig_migration *m = mig_migration_get(c, one.account);
        if (m == NULL)
            mig_serde_fail(s, "too many records, or out of memory");
        else
            *m = one;
    }
    mig_serde_leave_list(s, &l);
}

static void read_attestation(struct mig_serde *s, struct mig_attestation *a)
{
    static const char *const names[] = {"account_id", "tls_public_key", "account_public_key",
                                        "valid", "expires"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "an attestation", names, 5, 31);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_read_text(s, a->account, sizeof a->account, "account id");
        else if (field == 1)
            mig_serde_ed25519(s, a->tls_key);
        else if (field == 2 && (a->has_account_key = present(s)))
            mig_serde_ed25519(s, a->account_key);
        else if (field == 3)
            a->valid = mig_serde_bool(s);
        else if (field == 4)
            a->expires = mig_serde_u64(s);
    }
    mig_serde_leave(s, &o);
}

static void read_attestations(struct mig_serde *s, struct mig_contract *c)
{
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        struct mig_attestation one = {0};
        read_attestation(s, &one);
        if (s->failed)
            break;
        struct mig_attestation *a = mig_attestation_get(c, one.tls_key);
        if (a == NULL)
            mig_serde_fail(s, "too many attestations, or out of memory");
        else
            *a = one;
    }
    mig_serde_leave_list(s, &l);
}

static void read_hashes(struct mig_serde *s, struct mig_allowed_hash **list, size_t *count)
{
    static const char *const names[] = {"hash", "expires"};
    struct mig_serde_list l;
    mig_serde_enter_list(s, &l, "a sequence");
    while (mig_serde_item(s, &l)) {
        struct mig_allowed_hash one = {0};
        struct mig_serde_object o;
        int field;
        mig_serde_enter(s, &o, "an allowed hash", names, 2, 1);
        while ((field = mig_serde_field(s, &o)) >= 0) {
            if (field == 0)
                mig_read_hex(s, one.hash);
            else
                one.expires = mig_serde_u64(s);
        }
        mig_serde_leave(s, &o);
        if (!s->failed && mig_allowed_hash_add(list, count, &one) != MIG_OK)
            mig_serde_fail(s, "too many hashes, or out of memory");
    }
    mig_serde_leave_list(s, &l);
}

static void read_version(struct mig_serde *s, enum mig_contract_version *version)
{
    char *text = mig_serde_string(s, "a version");
    if (text != NULL && mig_contract_version_parse(text, version) != MIG_OK)
        mig_serde_fail(s, "unknown version");
    free(text);
}

static void read_contract(struct mig_serde *s, struct mig_contract *c)
{
    static const char *const names[] = {"account_id", "version",      "initialised", "protocol",
                                        "migrations", "attestations", "images",      "launchers"};
    struct mig_serde_object o;
    int field;
    mig_serde_enter(s, &o, "a contract", names, 8, 255);
    while ((field = mig_serde_field(s, &o)) >= 0) {
        if (field == 0)
            mig_read_text(s, c->account, sizeof c->account, "account id");
        else if (field == 1)
            read_version(s, &c->version);
        else if (field == 2)
            c->initialised = mig_serde_bool(s);
        else if (field == 3)
            mig_read_protocol(s, &c->protocol);
        else if (field == 4)
            read_migrations(s, c);
        else if (field == 5)
            read_attestations(s, c);
        else if (field == 6)
            read_hashes(s, &c->images, &c->image_count);
        else
            read_hashes(s, &c->launchers, &c->launcher_count);
    }
    mig_serde_leave(s, &o);
    mig_serde_end(s);
}

enum mig_err mig_contract_load(const char *text, size_t len, struct mig_contract **out,
                               char why[MIG_CONTRACT_WHY_MAX])
{
    *out = NULL;
    why[0] = '\0';
    struct mig_serde s;
    struct mig_contract *c = calloc(1, sizeof *c);
    if (c == NULL)
        return MIG_ERR_NOMEM;
    mig_serde_init(&s, text, len);
    read_contract(&s, c);
    if (s.failed) {
        (void)snprintf(why, MIG_CONTRACT_WHY_MAX, "%.*s", MIG_CONTRACT_WHY_MAX - 1, s.error);
        mig_contract_free(&c);
        return s.nomem ? MIG_ERR_NOMEM : MIG_ERR_MALFORMED;
    }
    *out = c;
    return MIG_OK;
}

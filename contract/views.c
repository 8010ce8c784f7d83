/* SPDX-License-Identifier: MIT */
#include "contract/method.h"

#include <inttypes.h>
#include <string.h>

/* Views without arguments ignore what is sent. */

void mig_method_state(struct mig_frame *f)
{
    struct mig_print t = {0};
    mig_form_protocol(&t, &f->c->protocol);
    mig_frame_return(f, &t);
}

void mig_method_version(struct mig_frame *f)
{
    struct mig_print t = {0};
    bool draft = mig_contract_is_draft(f->c);
    mig_print_json(&t, draft ? "0.1.0-draft" : mig_contract_version_text(f->c->version));
    mig_frame_return(f, &t);
}

static void destination(struct mig_print *t, const struct mig_migration *m)
{
    mig_print_put(t, "{\"signer_account_pk\":");
    mig_form_key(t, m->signer_key);
    mig_print_put(t, ",\"destination_node_info\":");
    mig_form_info(t, m->url, m->tls_key);
    mig_print_put(t, "}");
}

static void service(struct mig_print *t, const struct mig_migration *m)
{
    mig_print_put(t, "{\"public_key\":");
    mig_form_key(t, m->service);
    mig_print_put(t, "}");
}

void mig_method_migration_info(struct mig_frame *f)
{
    struct mig_print line = {0};
    struct mig_print t = {0};
    mig_print_put(&line, "migration_info");
    mig_frame_log(f, &line);
    mig_print_put(&t, "{");
    for (size_t i = 0; i < f->c->migration_count; i++) {
        const struct mig_migration *m = &f->c->migrations[i];
        mig_print_put(&t, i == 0 ? "" : ",");
        mig_print_json(&t, m->account);
        mig_print_put(&t, ":[");
        if (m->has_service)
            service(&t, m);
        else
            mig_print_put(&t, "null");
        mig_print_put(&t, ",");
        if (m->has_destination)
            destination(&t, m);
        else
            mig_print_put(&t, "null");
        mig_print_put(&t, "]");
    }
    mig_print_put(&t, "}");
    mig_frame_return(f, &t);
}

static void recovery(struct mig_print *t, const struct mig_migration *m)
{
    mig_print_printf(t, "{\"epoch_id\":%" PRIu64 ",\"participant_info\":", m->epoch);
    mig_form_info(t, m->url, m->tls_key);
    mig_print_put(t, ",\"node_account_public_key\":");
    mig_form_key(t, m->signer_key);
    mig_print_put(t, "}");
}

static void begin_entry(struct mig_print *t, const char *account, bool *first)
{
    mig_print_put(t, *first ? "" : ",");
    *first = false;
    mig_print_json(t, account);
    mig_print_put(t, ":");
}

void mig_method_recovery_info(struct mig_frame *f)
{
    struct mig_print t = {0};
    bool first = true;
    mig_print_put(&t, "{\"backup_services\":{");
    for (size_t i = 0; i < f->c->migration_count; i++)
        if (f->c->migrations[i].has_service) {
            begin_entry(&t, f->c->migrations[i].account, &first);
            service(&t, &f->c->migrations[i]);
        }
    first = true;
    mig_print_put(&t, "},\"recoveries\":{");
    for (size_t i = 0; i < f->c->migration_count; i++)
        if (f->c->migrations[i].has_destination) {
            begin_entry(&t, f->c->migrations[i].account, &first);
            recovery(&t, &f->c->migrations[i]);
        }
    mig_print_put(&t, "}}");
    mig_frame_return(f, &t);
}

static void ephemeral(struct mig_print *t, bool has, const uint8_t key[MIG_KEY_LEN])
{
    if (has)
        mig_form_x25519(t, key);
    else
        mig_print_put(t, "null");
}

void mig_method_ephemeral_keys(struct mig_frame *f)
{
    struct mig_print t = {0};
    bool first = true;
    mig_print_put(&t, "{");
    for (size_t i = 0; i < f->c->migration_count; i++) {
        const struct mig_migration *m = &f->c->migrations[i];
        if (!m->has_node_ephemeral && !m->has_service_ephemeral)
            continue;
        begin_entry(&t, m->account, &first);
        mig_print_put(&t, "{\"node\":");
        ephemeral(&t, m->has_node_ephemeral, m->node_ephemeral);
        mig_print_put(&t, ",\"service\":");
        ephemeral(&t, m->has_service_ephemeral, m->service_ephemeral);
        mig_print_put(&t, "}");
    }
    mig_print_put(&t, "}");
    mig_frame_return(f, &t);
}

void mig_method_get_tee_accounts(struct mig_frame *f)
{
    struct mig_print t = {0};
    mig_print_put(&t, "[");
    for (size_t i = 0; i < f->c->attestation_count; i++) {
        const struct mig_attestation *a = &f->c->attestations[i];
        mig_print_put(&t, i == 0 ? "{\"account_id\":" : ",{\"account_id\":");
        mig_print_json(&t, a->account);
        mig_print_put(&t, ",\"tls_public_key\":");
        mig_form_key(&t, a->tls_key);
        mig_print_put(&t, ",\"account_public_key\":");
        if (a->has_account_key)
            mig_form_key(&t, a->account_key);
        else
            mig_print_put(&t, "null");
        mig_print_put(&t, "}");
    }
    mig_print_put(&t, "]");
    mig_frame_return(f, &t);
}

void mig_method_get_attestation(struct mig_frame *f)
{
    static const char *const names[] = {"tls_public_key"};
    struct mig_serde_object o;
    struct mig_print t = {0};
    uint8_t key[MIG_KEY_LEN] = {0};
    mig_serde_enter(&f->args, &o, "struct Input", names, 1, 1);
    while (mig_serde_field(&f->args, &o) >= 0)
        mig_serde_ed25519(&f->args, key);
    mig_serde_leave(&f->args, &o);
    if (!mig_frame_args_end(f))
        return;
    const struct mig_attestation *a = mig_attestation_find(f->c, key);
    bool valid = a != NULL && mig_attestation_is_valid(a, f->call->time_ns);
    mig_print_put(&t, a == NULL ? "null"
                      : valid   ? "{\"Mock\":\"Valid\"}"
                                : "{\"Mock\":\"Invalid\"}");
    mig_frame_return(f, &t);
}

/* Bare strings before 3.14, objects since. */
static void hash_list(struct mig_frame *f, const struct mig_allowed_hash *list, size_t count,
                      bool objects)
{
    struct mig_print t = {0};
    mig_print_put(&t, "[");
    for (size_t i = 0; i < count; i++) {
        mig_print_put(&t, i == 0 ? "" : ",");
        if (objects)
            mig_print_put(&t, "{\"image_hash\":");
        mig_form_hex(&t, list[i].hash);
        if (objects && list[i].expires != 0)
            mig_print_printf(&t, ",\"expiry_timestamp_seconds\":%" PRIu64 "}", list[i].expires);
        else if (objects)
            mig_print_put(&t, ",\"expiry_timestamp_seconds\":null}");
    }
    mig_print_put(&t, "]");
    mig_frame_return(f, &t);
}

void mig_method_image_hashes(struct mig_frame *f)
{
    hash_list(f, f->c->images, f->c->image_count, f->c->version == MIG_CONTRACT_3_14_1);
}

void mig_method_launcher_hashes(struct mig_frame *f)
{
    hash_list(f, f->c->launchers, f->c->launcher_count, false);
}

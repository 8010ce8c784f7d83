/* SPDX-License-Identifier: MIT */
/* What the contract says about one account. Every entry of an answer is
 * checked, also those of the others: a contract writes all of them or none. */
#include "chain/state.h"

#include <string.h>

#include "chain/fields.h"

/* {public_key} */
static void read_service(struct mig_json *j, uint8_t key[MIG_KEY_LEN])
{
    static const char *const fields[] = {"public_key", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    while (mig_json_field(j, fields, &seen) >= 0)
        mig_field_key(j, key);
    mig_json_need(j, seen == 1);
}

/* DestinationNodeInfo: {signer_account_pk, destination_node_info}. */
static void read_destination(struct mig_json *j, struct mig_destination *d)
{
    enum { SIGNER, INFO };
    static const char *const fields[] = {"signer_account_pk", "destination_node_info", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == SIGNER)
            mig_field_key(j, d->signer_key);
        else
            mig_field_participant_info(j, d->url, d->tls_key);
    }
    mig_json_need(j, seen == (1u << SIGNER | 1u << INFO));
}

/* [BackupServiceInfo|null, DestinationNodeInfo|null] */
static void read_migration(struct mig_json *j, struct mig_info *info)
{
    mig_json_array(j);
    mig_json_need(j, mig_json_item(j));
    info->has_service_key = !mig_json_null(j);
    if (info->has_service_key)
        read_service(j, info->service_key);
    mig_json_need(j, mig_json_item(j));
    info->has_destination = !mig_json_null(j);
    if (info->has_destination)
        read_destination(j, &info->destination);
    mig_json_need(j, !mig_json_item(j));
}

static enum mig_err finish(struct mig_json *j, void *out, size_t size)
{
    enum mig_err err = mig_json_end(j);
    if (err != MIG_OK)
        memset(out, 0, size);
    return err;
}

static void begin(struct mig_json *j, const char *json, size_t len)
{
    mig_json_init(j, json, len);
    mig_json_need(j, len <= MIG_STATE_MAX);
}

enum mig_err mig_migration_info_parse(const char *json, size_t len, const char *account,
                                      struct mig_info *out)
{
    struct mig_json j;
    struct mig_json_name name;
    begin(&j, json, len);
    memset(out, 0, sizeof *out);
    for (mig_json_object(&j); mig_json_member(&j, &name);) {
        struct mig_info entry = {0};
        bool ours = mig_json_is(&name, account);
        read_migration(&j, &entry);
        if (ours)
            *out = entry;
    }
    return finish(&j, out, sizeof *out);
}

/* RecoveringNode: {epoch_id, participant_info, node_account_public_key}. */
static void read_recovery(struct mig_json *j, struct mig_info *info)
{
    enum { EPOCH, INFO, ACCOUNT_KEY };
    static const char *const fields[] = {"epoch_id", "participant_info", "node_account_public_key",
                                         NULL};
    struct mig_destination *d = &info->destination;
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == EPOCH)
            info->epoch = mig_json_u64(j);
        else if (f == INFO)
            mig_field_participant_info(j, d->url, d->tls_key);
        else
            mig_field_key(j, d->signer_key);
    }
    mig_json_need(j, seen == (1u << EPOCH | 1u << INFO | 1u << ACCOUNT_KEY));
    info->has_destination = info->has_epoch = true;
}

static void read_services(struct mig_json *j, const char *account, struct mig_info *out)
{
    struct mig_json_name name;
    for (mig_json_object(j); mig_json_member(j, &name);) {
        uint8_t key[MIG_KEY_LEN] = {0};
        bool ours = mig_json_is(&name, account);
        read_service(j, key);
        if (ours) {
            out->has_service_key = true;
            memcpy(out->service_key, key, sizeof key);
        }
    }
}

static void read_recoveries(struct mig_json *j, const char *account, struct mig_info *out)
{
    struct mig_json_name name;
    for (mig_json_object(j); mig_json_member(j, &name);) {
        struct mig_info entry = {0};
        bool ours = mig_json_is(&name, account);
        read_recovery(j, &entry);
        if (ours) {
            out->has_destination = out->has_epoch = true;
            out->destination = entry.destination;
            out->epoch = entry.epoch;
        }
    }
}

enum mig_err mig_recovery_info_parse(const char *json, size_t len, const char *account,
                                     struct mig_info *out)
{
    enum { SERVICES, RECOVERIES };
    static const char *const fields[] = {"backup_services", "recoveries", NULL};
    struct mig_json j;
    unsigned seen = 0;
    begin(&j, json, len);
    memset(out, 0, sizeof *out);
    mig_json_object(&j);
    for (int f; (f = mig_json_field(&j, fields, &seen)) >= 0;) {
        if (f == SERVICES)
            read_services(&j, account, out);
        else
            read_recoveries(&j, account, out);
    }
    mig_json_need(&j, seen == (1u << SERVICES | 1u << RECOVERIES));
    return finish(&j, out, sizeof *out);
}

/* {node, service}: keys or null; a missing one is null. */
static void read_published(struct mig_json *j, struct mig_published *p)
{
    enum { NODE, SERVICE };
    static const char *const fields[] = {"node", "service", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        bool *has = f == NODE ? &p->has_node : &p->has_service;
        *has = !mig_json_null(j);
        if (*has)
            mig_field_x25519(j, f == NODE ? p->node : p->service);
    }
}

enum mig_err mig_ephemeral_keys_parse(const char *json, size_t len, const char *account,
                                      struct mig_published *out)
{
    struct mig_json j;
    struct mig_json_name name;
    begin(&j, json, len);
    memset(out, 0, sizeof *out);
    for (mig_json_object(&j); mig_json_member(&j, &name);) {
        struct mig_published entry = {0};
        bool ours = mig_json_is(&name, account);
        read_published(&j, &entry);
        if (ours)
            *out = entry;
    }
    return finish(&j, out, sizeof *out);
}

enum mig_err mig_version_parse(const char *json, size_t len, char out[MIG_VERSION_MAX + 1])
{
    struct mig_json j;
    begin(&j, json, len);
    mig_json_string(&j, out, MIG_VERSION_MAX + 1);
    for (const char *p = out; *p != '\0'; p++)
        mig_json_need(&j, *p > ' ' && *p < 0x7f);
    mig_json_need(&j, out[0] != '\0');
    return finish(&j, out, 1);
}

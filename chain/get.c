/* SPDX-License-Identifier: MIT */
#include "chain/get.h"

#include <stdlib.h>
#include <string.h>

#include "chain/fields.h"
#include "chain/meaning.h"
#include "crypto/encoding.h"

static const char *const methods[MIG_GET_KINDS] = {
    [MIG_GET_STATE] = "state",
    [MIG_GET_MIGRATION] = "migration_info",
    [MIG_GET_ATTESTED] = "get_tee_accounts",
    [MIG_GET_IMAGES] = "allowed_docker_image_hashes",
    [MIG_GET_LAUNCHERS] = "allowed_launcher_compose_hashes",
    [MIG_GET_VERSION] = "version",
    [MIG_GET_RECOVERY] = "recovery_info",
    [MIG_GET_EPHEMERAL] = "ephemeral_keys",
};

const char *mig_get_method(enum mig_get_kind kind)
{
    return methods[kind];
}

/* Room for one more of `size` bytes; NULL fails the reader. */
static void *room(struct mig_json *j, void *list, size_t count, size_t max, size_t size)
{
    mig_json_need(j, count < max);
    if (j->err != MIG_OK)
        return NULL;
    if ((count & (count - 1)) != 0)
        return list; /* grows at powers of two */
    void *moved = realloc(list, (count == 0 ? 1 : 2 * count) * size);
    if (moved == NULL)
        mig_json_fail(j, MIG_ERR_NOMEM);
    return moved;
}

/* ---- attested nodes ---- */

static void read_node(struct mig_json *j, struct mig_attested_node *node)
{
    enum { ACCOUNT, TLS_KEY, ACCOUNT_KEY };
    static const char *const fields[] = {"account_id", "tls_public_key", "account_public_key",
                                         NULL};
    unsigned seen = 0, needed = 1u << ACCOUNT | 1u << TLS_KEY;
    memset(node, 0, sizeof *node);
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == ACCOUNT) {
            mig_field_account(j, node->account);
        } else if (f == TLS_KEY) {
            mig_field_key(j, node->tls_key);
        } else if (!mig_json_null(j)) {
            mig_field_key(j, node->account_key);
            node->has_account_key = true;
        }
    }
    mig_json_need(j, (seen & needed) == needed);
}

static int by_node(const void *a, const void *b)
{
    const struct mig_attested_node *x = a, *y = b;
    int order = strcmp(x->account, y->account);
    return order != 0 ? order : memcmp(x->tls_key, y->tls_key, MIG_KEY_LEN);
}

static void read_attested(struct mig_json *j, struct mig_attested *out)
{
    for (mig_json_array(j); mig_json_item(j);) {
        void *list = room(j, out->list, out->count, MIG_ATTESTED_MAX, sizeof *out->list);
        if (list == NULL)
            return;
        out->list = list;
        read_node(j, &out->list[out->count++]);
    }
    if (out->count > 1)
        qsort(out->list, out->count, sizeof *out->list, by_node);
    for (size_t i = 1; i < out->count; i++)
        mig_json_need(j, by_node(&out->list[i - 1], &out->list[i]) != 0);
}

/* ---- hashes ---- */

static void read_hash(struct mig_json *j, uint8_t hash[MIG_DIGEST_LEN])
{
    char text[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    size_t len = 0;
    mig_json_string(j, text, sizeof text);
    if (j->err == MIG_OK)
        mig_json_need(j, mig_hex_decode(text, strlen(text), hash, MIG_DIGEST_LEN, &len) == MIG_OK &&
                             len == MIG_DIGEST_LEN);
}

/* "<hex>", or {image_hash, expiry_timestamp_seconds}. */
static void read_allowed_hash(struct mig_json *j, struct mig_allowed_hash *out)
{
    enum { HASH, EXPIRY };
    static const char *const fields[] = {"image_hash", "expiry_timestamp_seconds", NULL};
    unsigned seen = 0;
    memset(out, 0, sizeof *out);
    if (mig_json_peek(j) == MIG_JSON_STRING) {
        read_hash(j, out->hash);
        return;
    }
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == HASH) {
            read_hash(j, out->hash);
        } else if (!mig_json_null(j)) {
            out->expires = true;
            out->expires_at = mig_json_u64(j);
        }
    }
    mig_json_need(j, (seen & 1u << HASH) != 0);
}

static void read_allowed(struct mig_json *j, struct mig_allowed *out)
{
    for (mig_json_array(j); mig_json_item(j);) {
        void *list = room(j, out->list, out->count, MIG_HASHES_MAX, sizeof *out->list);
        if (list == NULL)
            return;
        out->list = list;
        read_allowed_hash(j, &out->list[out->count++]);
    }
}

/* ---- all of them ---- */

void mig_got_clear(struct mig_got *got)
{
    if (got->kind == MIG_GET_STATE)
        mig_state_clear(&got->state);
    else if (got->kind == MIG_GET_ATTESTED)
        free(got->attested.list);
    else if (got->kind == MIG_GET_IMAGES || got->kind == MIG_GET_LAUNCHERS)
        free(got->allowed.list);
    memset(got, 0, sizeof *got);
}

static enum mig_err parse_lists(enum mig_get_kind kind, const char *json, size_t len,
                                struct mig_got *out)
{
    struct mig_json j;
    mig_json_init(&j, json, len);
    mig_json_need(&j, len <= MIG_STATE_MAX);
    if (kind == MIG_GET_ATTESTED)
        read_attested(&j, &out->attested);
    else
        read_allowed(&j, &out->allowed);
    return mig_json_end(&j);
}

static enum mig_err parse(enum mig_get_kind kind, const char *json, size_t len, const char *account,
                          struct mig_got *out)
{
    switch (kind) {
    case MIG_GET_STATE:
        return mig_state_parse(json, len, &out->state);
    case MIG_GET_MIGRATION:
        return mig_migration_info_parse(json, len, account, &out->info);
    case MIG_GET_RECOVERY:
        return mig_recovery_info_parse(json, len, account, &out->info);
    case MIG_GET_EPHEMERAL:
        return mig_ephemeral_keys_parse(json, len, account, &out->published);
    case MIG_GET_VERSION:
        return mig_version_parse(json, len, out->version);
    case MIG_GET_ATTESTED:
    case MIG_GET_IMAGES:
    case MIG_GET_LAUNCHERS:
        return parse_lists(kind, json, len, out);
    case MIG_GET_KINDS:
        break;
    }
    return MIG_ERR_BUG;
}

enum mig_err mig_got_parse(enum mig_get_kind kind, const char *json, size_t len,
                           const char *account, struct mig_got *out)
{
    memset(out, 0, sizeof *out);
    out->kind = kind;
    enum mig_err err = parse(kind, json, len, account, out);
    if (err != MIG_OK)
        mig_got_clear(out);
    return err;
}

static bool same_attested(const struct mig_attested *a, const struct mig_attested *b)
{
    for (size_t i = 0; a->count == b->count && i < a->count; i++)
        if (by_node(&a->list[i], &b->list[i]) != 0 ||
            a->list[i].has_account_key != b->list[i].has_account_key ||
            memcmp(a->list[i].account_key, b->list[i].account_key, MIG_KEY_LEN) != 0)
            return false;
    return a->count == b->count;
}

static bool same_allowed(const struct mig_allowed *a, const struct mig_allowed *b)
{
    for (size_t i = 0; a->count == b->count && i < a->count; i++)
        if (memcmp(a->list[i].hash, b->list[i].hash, MIG_DIGEST_LEN) != 0 ||
            a->list[i].expires != b->list[i].expires ||
            a->list[i].expires_at != b->list[i].expires_at)
            return false;
    return a->count == b->count;
}

static bool same_info(const struct mig_info *a, const struct mig_info *b)
{
    const struct mig_destination *x = &a->destination, *y = &b->destination;
    return a->has_service_key == b->has_service_key &&
           memcmp(a->service_key, b->service_key, MIG_KEY_LEN) == 0 &&
           a->has_destination == b->has_destination && a->has_epoch == b->has_epoch &&
           a->epoch == b->epoch && memcmp(x->tls_key, y->tls_key, MIG_KEY_LEN) == 0 &&
           memcmp(x->signer_key, y->signer_key, MIG_KEY_LEN) == 0 && strcmp(x->url, y->url) == 0;
}

bool mig_got_is_equal(const struct mig_got *a, const struct mig_got *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case MIG_GET_STATE:
        return mig_meaning_is_same_state(&a->state, &b->state);
    case MIG_GET_MIGRATION:
    case MIG_GET_RECOVERY:
        return same_info(&a->info, &b->info);
    case MIG_GET_EPHEMERAL:
        return a->published.has_node == b->published.has_node &&
               a->published.has_service == b->published.has_service &&
               memcmp(a->published.node, b->published.node, MIG_KEY_LEN) == 0 &&
               memcmp(a->published.service, b->published.service, MIG_KEY_LEN) == 0;
    case MIG_GET_VERSION:
        return strcmp(a->version, b->version) == 0;
    case MIG_GET_ATTESTED:
        return same_attested(&a->attested, &b->attested);
    case MIG_GET_IMAGES:
    case MIG_GET_LAUNCHERS:
        return same_allowed(&a->allowed, &b->allowed);
    case MIG_GET_KINDS:
        break;
    }
    return false;
}

enum mig_err mig_get(struct mig_rpc *rpc, const char *contract, enum mig_get_kind kind,
                     const char *account, struct mig_got *out)
{
    struct mig_returned r;
    memset(out, 0, sizeof *out);
    enum mig_err err = mig_rpc_view(rpc, contract, methods[kind], "{}", NULL, &r);
    if (err == MIG_OK)
        err = mig_got_parse(kind, r.bytes, r.len, account, out);
    if (err == MIG_OK) {
        out->height = r.height;
        memcpy(out->block_hash, r.block_hash, sizeof out->block_hash);
    }
    mig_returned_clear(&r);
    return err;
}

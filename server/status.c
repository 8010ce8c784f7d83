/* SPDX-License-Identifier: MIT */
#include "server/status.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"
#include "crypto/key.h"

enum { NS_PER_S = 1000000000, NUMBER_MAX = 24, DIGEST_TEXT_MAX = 48 };

size_t mig_status_reasons(const struct mig_status *status, const char *reasons[MIG_REASONS_MAX])
{
    size_t n = 0;
    if (!status->has_view)
        reasons[n++] = "the contract has not been seen yet";
    else if (!status->is_fresh)
        reasons[n++] = "the view of the contract is stale";
    if (status->keep.store_failing)
        reasons[n++] = "the store does not take writes";
    if (status->keep.shares_missing)
        reasons[n++] = "this node lacks shares of the current keyset";
    return n;
}

/* Numbers of the contract exceed what many JSON parsers keep exactly. */
static json_t *big(uint64_t n)
{
    char text[NUMBER_MAX];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    return json_string(text);
}

static json_t *key_text(bool has, const uint8_t key[MIG_KEY_LEN])
{
    char text[MIG_KEY_TEXT_MAX];
    if (!has)
        return json_null();
    mig_key_format(key, text);
    return json_string(text);
}

static json_t *digest_text(const uint8_t digest[MIG_DIGEST_LEN])
{
    char text[DIGEST_TEXT_MAX];
    if (mig_base64_encode(digest, MIG_DIGEST_LEN, text, sizeof text) != MIG_OK)
        return NULL;
    return json_string(text);
}

static json_t *time_or_null(uint64_t seconds)
{
    return seconds != 0 ? json_integer((json_int_t)seconds) : json_null();
}

static json_t *last_backup(const _Atomic uint64_t *epoch, const _Atomic uint64_t *at)
{
    uint64_t when = atomic_load(at);
    if (when == 0)
        return json_null();
    return json_pack("{s:o,s:o}", "epoch", big(atomic_load(epoch)), "at", time_or_null(when));
}

static const char *seat_text(enum mig_seat seat)
{
    switch (seat) {
    case MIG_SEAT_NONE:
        return "none";
    case MIG_SEAT_STANDBY:
        return "standby";
    case MIG_SEAT_HELD:
        return "held";
    }
    return "unknown";
}

static const char *job_text(enum mig_job job)
{
    switch (job) {
    case MIG_JOB_NONE:
        return "none";
    case MIG_JOB_WAITING:
        return "waiting";
    case MIG_JOB_IMPORTING:
        return "importing";
    case MIG_JOB_IMPORTED:
        return "imported";
    case MIG_JOB_DONE:
        return "done";
    }
    return "unknown";
}

static json_t *contract_json(const struct mig_status *s)
{
    if (!s->has_view)
        return json_null();
    return json_pack(
        "{s:s,s:b,s:I,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o,s:s}", "protocol",
        mig_protocol_text(s->protocol), "fresh", s->is_fresh, "age_seconds",
        (json_int_t)(s->view_age_ns / NS_PER_S), "generation", big(s->generation), "state_height",
        big(s->state_block.height), "migration_height", big(s->info_block.height), "epoch",
        s->has_keyset ? big(s->epoch) : json_null(), "keyset",
        s->has_keyset ? digest_text(s->keyset) : json_null(), "domains", (json_int_t)s->domains,
        "participants", (json_int_t)s->participants, "backup_service",
        key_text(s->has_service_key, s->service_key), "destination",
        !s->has_destination ? "none" : (s->is_destination ? "this node" : "another node"));
}

/* Null unless this node was in the set and is not any more. */
static json_t *decommissioned_json(const struct mig_keep_status *keep)
{
    if (keep->seat_lost_at == 0)
        return json_null();
    return json_pack("{s:o}", "last_seated_height", big(keep->seat_lost_at));
}

static json_t *node_json(const struct mig_status *s)
{
    return json_pack(
        "{s:s,s:s,s:o,s:o,s:b,s:b,s:b,s:b,s:I,s:I,s:I,s:I}", "seat", seat_text(s->keep.seat), "job",
        job_text(s->keep.job), "decommissioned", decommissioned_json(&s->keep), "stored_epoch",
        s->has_stored ? big(s->stored_epoch) : json_null(), "shares_missing",
        s->keep.shares_missing, "store_failing", s->keep.store_failing, "consequences_pending",
        s->keep.consequences_pending, "key_delayed", s->keep.key_delayed, "key_changes",
        (json_int_t)s->keep.key_changes, "conclude_attempts", (json_int_t)s->keep.machine.concludes,
        "hook_failures", (json_int_t)s->keep.machine.hook_failures, "bugs",
        (json_int_t)s->keep.machine.bugs);
}

const char *mig_hook_text(enum mig_hook hook)
{
    switch (hook) {
    case MIG_HOOK_PARTICIPANTS_CHANGED:
        return "participants_changed";
    case MIG_HOOK_PURGE_ASSETS:
        return "purge_assets";
    case MIG_HOOK_JOB_CHANGED:
        return "job_changed";
    case MIG_HOOK_BACKUP_SERVED:
        return "backup_served";
    case MIG_HOOK_RECOVERED:
        return "recovered";
    }
    return "unknown";
}

static json_t *hooks_json(const struct mig_status *s)
{
    json_t *all = json_object();
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++) {
        const struct mig_hook_stats *h = &s->hook[i];
        if (!s->has_hook[i])
            continue;
        (void)json_object_set_new(all, mig_hook_text((enum mig_hook)i),
                                  json_pack("{s:I,s:I,s:b,s:I}", "runs", (json_int_t)h->runs,
                                            "failures_in_a_row", (json_int_t)h->failures, "pending",
                                            h->pending, "last_ms", (json_int_t)h->last_ms));
    }
    return all;
}

static json_t *traffic_json(const struct mig_status *s)
{
    const struct mig_connections_stats *c = &s->listener.connections;
    return json_pack("{s:I,s:I,s:{s:I,s:I,s:I,s:I},s:I}", "open", (json_int_t)c->open, "accepted",
                     (json_int_t)c->accepted, "reaped", "head",
                     (json_int_t)c->reaped[MIG_REAPED_HEAD], "request",
                     (json_int_t)c->reaped[MIG_REAPED_REQUEST], "limit",
                     (json_int_t)c->reaped[MIG_REAPED_LIMIT], "cancelled",
                     (json_int_t)c->reaped[MIG_REAPED_CANCELLED], "cancellations",
                     (json_int_t)s->listener.cancels);
}

static json_t *reasons_json(const struct mig_status *s)
{
    const char *reasons[MIG_REASONS_MAX];
    size_t n = mig_status_reasons(s, reasons);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_string(reasons[i]));
    return list;
}

static json_t *endpoint_json(const struct mig_watch_stats *e)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:s?,s:I,s:I,s:I,s:o}", "origin", e->origin, "agreement",
                     mig_agreement_text(e->agreement), "chain", e->chain_id, "height",
                     big(e->height), "failure", e->reason[0] != '\0' ? e->reason : NULL, "requests",
                     (json_int_t)e->polls, "failures", (json_int_t)e->failures, "disagreements",
                     (json_int_t)e->disagreements, "answered_at", time_or_null(e->ok_at));
}

/* Sums first, then each endpoint. */
static json_t *rpc_json(const struct mig_status *s)
{
    json_int_t requests = 0, failures = 0, disagreements = 0;
    json_t *list = json_array();
    for (size_t i = 0; i < s->rpc_count; i++) {
        requests += (json_int_t)s->rpc[i].polls;
        failures += (json_int_t)s->rpc[i].failures;
        disagreements += (json_int_t)s->rpc[i].disagreements;
        (void)json_array_append_new(list, endpoint_json(&s->rpc[i]));
    }
    return json_pack("{s:I,s:I,s:I,s:I,s:o}", "requests", requests, "failures", failures,
                     "disagreements", disagreements, "quorum", (json_int_t)s->rpc_quorum,
                     "endpoints", list);
}

char *mig_status_json(const struct mig_status *s, size_t *len)
{
    const char *reasons[MIG_REASONS_MAX];
    const struct mig_counters *c = s->counters;
    json_t *root = json_pack(
        "{s:s,s:b,s:o,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "version",
        MIG_VERSION, "ready", mig_status_reasons(s, reasons) == 0, "reasons", reasons_json(s),
        "contract_id", s->contract, "account", s->account, "identity", key_text(true, s->identity),
        "started_at", time_or_null(s->started_at), "contract", contract_json(s), "node",
        node_json(s), "hooks", hooks_json(s), "last_backup_served",
        last_backup(&c->last_backup_served_epoch, &c->last_backup_served_at),
        "last_backup_acknowledged",
        last_backup(&c->last_backup_acknowledged_epoch, &c->last_backup_acknowledged_at), "rpc",
        rpc_json(s), "connections", traffic_json(s));
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    *len = text != NULL ? strlen(text) : 0;
    return text;
}

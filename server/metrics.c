/* SPDX-License-Identifier: MIT */
/*
 * Numbers are printed without floating point: the host's locale would put its
 * own decimal separator into them.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/process.h"
#include "server/status.h"

enum { NS_PER_S = 1000000000, MS_PER_S = 1000 };

static const char *const endpoints[MIG_ENDPOINT_COUNT] = {
    [MIG_ENDPOINT_BACKUP_GET] = "backup_get",
    [MIG_ENDPOINT_BACKUP_POST] = "backup_post",
    [MIG_ENDPOINT_RECOVER_GET] = "recover_get",
    [MIG_ENDPOINT_RECOVER_PUT] = "recover_put",
    [MIG_ENDPOINT_OTHER] = "other",
};

static const char *const auth_failures[MIG_AUTH_FAILURE_COUNT] = {
    [MIG_AUTH_NO_SIGNATURE] = "no_signature",
    [MIG_AUTH_MALFORMED] = "malformed",
    [MIG_AUTH_NO_KEY] = "no_key",
    [MIG_AUTH_COVERAGE] = "coverage",
    [MIG_AUTH_PARAMETER] = "parameter",
    [MIG_AUTH_TAG] = "tag",
    [MIG_AUTH_KEYID] = "keyid",
    [MIG_AUTH_TIME] = "time",
    [MIG_AUTH_SIGNATURE] = "signature",
    [MIG_AUTH_REPLAY] = "replay",
    [MIG_AUTH_RATE] = "rate",
};

static const char *const imports[MIG_IMPORT_RESULT_COUNT] = {
    [MIG_IMPORT_STORED] = "stored",   [MIG_IMPORT_REPEATED] = "repeated",
    [MIG_IMPORT_REFUSED] = "refused", [MIG_IMPORT_CANCELLED] = "cancelled",
    [MIG_IMPORT_FAILED] = "failed",
};

static const char *const reaped[MIG_REAPED_COUNT] = {
    [MIG_REAPED_HEAD] = "head",
    [MIG_REAPED_REQUEST] = "request",
    [MIG_REAPED_LIMIT] = "limit",
    [MIG_REAPED_CANCELLED] = "cancelled",
};

static const char *const seats[] = {
    [MIG_SEAT_NONE] = "none", [MIG_SEAT_STANDBY] = "standby", [MIG_SEAT_HELD] = "held"};
static const char *const jobs[] = {[MIG_JOB_NONE] = "none",
                                   [MIG_JOB_WAITING] = "waiting",
                                   [MIG_JOB_IMPORTING] = "importing",
                                   [MIG_JOB_IMPORTED] = "imported",
                                   [MIG_JOB_DONE] = "done"};
static const char *const protocols[] = {[MIG_PROTOCOL_NOT_INITIALIZED] = "not_initialized",
                                        [MIG_PROTOCOL_INITIALIZING] = "initializing",
                                        [MIG_PROTOCOL_RUNNING] = "running",
                                        [MIG_PROTOCOL_RESHARING] = "resharing"};

static void head(FILE *f, const char *name, const char *type, const char *help)
{
    (void)fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(FILE *f, const char *name, uint64_t value)
{
    (void)fprintf(f, "%s %llu\n", name, (unsigned long long)value);
}

static void one(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
    head(f, name, type, help);
    number(f, name, value);
}

static void labelled(FILE *f, const char *name, const char *label, const char *text, uint64_t value)
{
    (void)fprintf(f, "%s{%s=\"%s\"} %llu\n", name, label, text, (unsigned long long)value);
}

static void seconds(FILE *f, const char *name, uint64_t ns)
{
    (void)fprintf(f, "%s %llu.%09llu\n", name, (unsigned long long)(ns / NS_PER_S),
                  (unsigned long long)(ns % NS_PER_S));
}

/* One sample per state, 1 for the one that is. */
static void states(FILE *f, const char *name, const char *help, const char *const *texts,
                   size_t count, unsigned current)
{
    head(f, name, "gauge", help);
    for (size_t i = 0; i < count; i++)
        labelled(f, name, "state", texts[i], i == current);
}

/* Names that the network's alerts already know. */
static void write_backups(FILE *f, const struct mig_status *s)
{
    const struct mig_counters *c = s->counters;
    one(f, "mpc_last_backup_served_epoch", "gauge",
        "Epoch of the last backup served; 0: none since the start.",
        atomic_load(&c->last_backup_served_epoch));
    one(f, "mpc_last_backup_served_timestamp_seconds", "gauge",
        "When the last backup was served; 0: not since the start.",
        atomic_load(&c->last_backup_served_at));
    one(f, "mpc_last_backup_acknowledged_epoch", "gauge",
        "Epoch of the last backup the service reported as durable; 0: none.",
        atomic_load(&c->last_backup_acknowledged_epoch));
    one(f, "mpc_last_backup_acknowledged_timestamp_seconds", "gauge",
        "When the last backup was reported as durable; 0: never.",
        atomic_load(&c->last_backup_acknowledged_at));
    if (s->has_view && s->has_keyset)
        one(f, "mpc_current_epoch_id", "gauge",
            "Epoch of the contract's keyset; while resharing the old one.", s->epoch);
}

static void write_contract(FILE *f, const struct mig_status *s)
{
    const char *reasons[MIG_REASONS_MAX];
    one(f, "mpc_migration_ready", "gauge", "1 when /readyz says so.",
        mig_status_reasons(s, reasons) == 0);
    one(f, "mpc_migration_contract_view_known", "gauge", "1 once the contract has been seen.",
        s->has_view);
    if (!s->has_view)
        return;
    head(f, "mpc_migration_contract_view_age_seconds", "gauge",
         "Age of the older of the two blocks the view was read at.");
    seconds(f, "mpc_migration_contract_view_age_seconds", s->view_age_ns);
    one(f, "mpc_migration_contract_view_height", "gauge",
        "Height of the block the protocol state was read at.", s->state_block.height);
    one(f, "mpc_migration_contract_view_changes", "gauge",
        "Generation of the view: grows by one with every relevant change.", s->generation);
    states(f, "mpc_migration_protocol", "State of the protocol.", protocols,
           sizeof protocols / sizeof *protocols, s->protocol);
    one(f, "mpc_migration_destination", "gauge",
        "1 while the contract names this node as the destination of a migration.",
        s->is_destination);
}

static void write_node(FILE *f, const struct mig_status *s)
{
    const struct mig_keep_status *k = &s->keep;
    states(f, "mpc_migration_seat", "Where this node stands among the participants.", seats,
           sizeof seats / sizeof *seats, k->seat);
    states(f, "mpc_migration_job", "This node's own onboarding.", jobs, sizeof jobs / sizeof *jobs,
           k->job);
    one(f, "mpc_migration_decommissioned", "gauge",
        "1 while this node has lost its seat; it serves nothing.", k->seat_lost_at != 0);
    if (s->has_stored)
        one(f, "mpc_migration_stored_keyset_epoch", "gauge",
            "Epoch of the keyset last imported here.", s->stored_epoch);
    one(f, "mpc_migration_shares_missing", "gauge",
        "1 when this node holds the seat and lacks a share of the keyset.", k->shares_missing);
    one(f, "mpc_migration_store_failing", "gauge", "1 when the last write of a record failed.",
        k->store_failing);
    one(f, "mpc_migration_consequences_pending", "gauge",
        "1 while a changed participant set has not been dealt with.", k->consequences_pending);
    one(f, "mpc_migration_key_delayed", "gauge",
        "1 while a new backup key waits for its delay; no key authenticates.", k->key_delayed);
    one(f, "mpc_migration_key_changes_total", "counter", "Times another backup key was seen.",
        k->key_changes);
    one(f, "mpc_migration_conclude_attempts", "gauge",
        "Transactions sent to conclude the current migration.", k->machine.concludes);
    one(f, "mpc_migration_hook_failures", "gauge", "Failed calls of host functions in a row.",
        k->machine.hook_failures);
    one(f, "mpc_migration_bugs_total", "counter", "Impossible states reached; must stay 0.",
        k->machine.bugs);
}

static void hook_sample(FILE *f, const char *name, const struct mig_status *s, unsigned i,
                        uint64_t value)
{
    if (s->has_hook[i])
        labelled(f, name, "hook", mig_hook_text((enum mig_hook)i), value);
}

static void write_hooks(FILE *f, const struct mig_status *s)
{
    static const char runs[] = "mpc_migration_hook_runs_total",
                      failures[] = "mpc_migration_hook_failures_in_a_row",
                      pending[] = "mpc_migration_hook_pending",
                      last[] = "mpc_migration_hook_last_duration_seconds";
    bool any = false;
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++)
        any = any || s->has_hook[i];
    if (!any)
        return;
    head(f, runs, "counter", "Runs of the host's hooks.");
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++)
        hook_sample(f, runs, s, i, s->hook[i].runs);
    head(f, failures, "gauge", "Failed runs of a hook since its last success.");
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++)
        hook_sample(f, failures, s, i, s->hook[i].failures);
    head(f, pending, "gauge", "1 while a hook has not dealt with the newest event.");
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++)
        hook_sample(f, pending, s, i, s->hook[i].pending);
    head(f, last, "gauge", "How long the last run of a hook took.");
    for (unsigned i = 0; i < MIG_HOOK_COUNT; i++)
        if (s->has_hook[i])
            (void)fprintf(f, "%s{hook=\"%s\"} %llu.%03llu\n", last, mig_hook_text((enum mig_hook)i),
                          (unsigned long long)(s->hook[i].last_ms / MS_PER_S),
                          (unsigned long long)(s->hook[i].last_ms % MS_PER_S));
}

static void write_requests(FILE *f, const struct mig_counters *c)
{
    static const char name[] = "mpc_migration_requests_total";
    head(f, name, "counter", "Requests answered, by resource and status.");
    for (size_t e = 0; e < MIG_ENDPOINT_COUNT; e++) {
        for (size_t i = 0; i < MIG_STATUS_COUNT; i++) {
            uint64_t n = atomic_load(&c->requests[e][i]);
            if (n != 0)
                (void)fprintf(f, "%s{endpoint=\"%s\",code=\"%zu\"} %llu\n", name, endpoints[e],
                              i + MIG_STATUS_MIN, (unsigned long long)n);
        }
    }
}

static void write_durations(FILE *f, const struct mig_counters *c)
{
    static const char name[] = "mpc_migration_request_duration_seconds";
    head(f, name, "summary",
         "From the end of the head to the answer, waiting for a body included.");
    for (size_t e = 0; e < MIG_ENDPOINT_COUNT; e++) {
        uint64_t ns = atomic_load(&c->duration_ns[e]);
        (void)fprintf(f, "%s_sum{endpoint=\"%s\"} %llu.%09llu\n%s_count{endpoint=\"%s\"} %llu\n",
                      name, endpoints[e], (unsigned long long)(ns / NS_PER_S),
                      (unsigned long long)(ns % NS_PER_S), name, endpoints[e],
                      (unsigned long long)atomic_load(&c->duration_count[e]));
    }
}

static void write_family(FILE *f, const char *name, const char *help, const char *label,
                         const char *const *texts, const _Atomic uint64_t *values, size_t count)
{
    head(f, name, "counter", help);
    for (size_t i = 0; i < count; i++)
        labelled(f, name, label, texts[i], atomic_load(&values[i]));
}

static void write_listener(FILE *f, const struct mig_listener_stats *l)
{
    one(f, "mpc_migration_connections", "gauge", "Open connections of the migration listener.",
        l->connections.open);
    one(f, "mpc_migration_connections_accepted_total", "counter", "Connections accepted.",
        l->connections.accepted);
    head(f, "mpc_migration_connections_reaped_total", "counter", "Connections cut, by cause.");
    for (size_t i = 0; i < MIG_REAPED_COUNT; i++)
        labelled(f, "mpc_migration_connections_reaped_total", "why", reaped[i],
                 l->connections.reaped[i]);
    head(f, "mpc_migration_refused_heads_total", "counter",
         "Requests refused for the form of their head, by the first fault.");
    for (enum mig_hygiene v = MIG_HYGIENE_SIZE; v < MIG_HYGIENE_COUNT; v++)
        labelled(f, "mpc_migration_refused_heads_total", "fault", mig_hygiene_text(v),
                 l->refused[v]);
}

static void write_cancellations(FILE *f, const struct mig_listener_stats *l)
{
    static const char name[] = "mpc_migration_cancel_seconds";
    static const char *const bounds[MIG_CANCEL_BUCKETS] = {"0.0001", "0.0005", "0.001", "0.005",
                                                           "0.01",   "0.05",   "0.5"};
    uint64_t below = 0;
    head(f, name, "histogram", "From a change of the contract to the last connection it cut.");
    for (size_t i = 0; i < MIG_CANCEL_BUCKETS; i++) {
        below += l->cancel_buckets[i];
        (void)fprintf(f, "%s_bucket{le=\"%s\"} %llu\n", name, bounds[i], (unsigned long long)below);
    }
    (void)fprintf(f, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)l->cancels);
    seconds(f, "mpc_migration_cancel_seconds_sum", l->cancel_ns);
    number(f, "mpc_migration_cancel_seconds_count", l->cancels);
}

/* One sample per endpoint, in the order of the configuration. */
static void write_endpoints(FILE *f, const struct mig_status *s, const char *name, const char *type,
                            const char *help, uint64_t (*value)(const struct mig_watch_stats *e))
{
    head(f, name, type, help);
    for (size_t i = 0; i < s->rpc_count; i++)
        (void)fprintf(f, "%s{endpoint_index=\"%zu\"} %llu\n", name, i,
                      (unsigned long long)value(&s->rpc[i]));
}

static uint64_t requests_of(const struct mig_watch_stats *e)
{
    return e->polls;
}

static uint64_t failures_of(const struct mig_watch_stats *e)
{
    return e->failures;
}

static uint64_t disagreements_of(const struct mig_watch_stats *e)
{
    return e->disagreements;
}

static uint64_t height_of(const struct mig_watch_stats *e)
{
    return e->height;
}

static uint64_t agreement_of(const struct mig_watch_stats *e)
{
    return e->agreement == MIG_AGREEMENT_AGREES;
}

static void write_rpc(FILE *f, const struct mig_status *s)
{
    if (s->rpc_count == 0)
        return;
    write_endpoints(f, s, "mpc_migration_rpc_requests_total", "counter",
                    "Looks at the contract through this endpoint.", requests_of);
    write_endpoints(f, s, "mpc_migration_rpc_failures_total", "counter",
                    "Looks without a usable answer.", failures_of);
    write_endpoints(f, s, "mpc_migration_rpc_disagreements_total", "counter",
                    "Times the endpoint was outvoted, and its contrary answers while it was.",
                    disagreements_of);
    write_endpoints(f, s, "mpc_migration_rpc_height", "gauge", "Newest final block it told of.",
                    height_of);
    if (s->rpc_count == 1)
        return;
    write_endpoints(f, s, "mpc_migration_rpc_agrees", "gauge",
                    "1 while the endpoint tells what is believed.", agreement_of);
    one(f, "mpc_migration_rpc_quorum", "gauge", "Endpoints that must agree.", s->rpc_quorum);
}

static void milliseconds(FILE *f, const char *name, uint64_t ms)
{
    (void)fprintf(f, "%s %llu.%03llu\n", name, (unsigned long long)(ms / MS_PER_S),
                  (unsigned long long)(ms % MS_PER_S));
}

static void write_process(FILE *f)
{
    struct mig_process p;
    head(f, "mpc_migration_build_info", "gauge", "Version of this software.");
    (void)fprintf(f, "mpc_migration_build_info{version=\"%s\",libmicrohttpd=\"%s\"} 1\n",
                  MIG_VERSION, MHD_get_version());
    if (mig_process_look(&p) != MIG_OK)
        return;
    head(f, "process_cpu_seconds_total", "counter", "User and system CPU time.");
    milliseconds(f, "process_cpu_seconds_total", p.cpu_ms);
    one(f, "process_virtual_memory_bytes", "gauge", "Virtual memory.", p.virtual_bytes);
    one(f, "process_resident_memory_bytes", "gauge", "Resident memory.", p.resident_bytes);
    head(f, "process_start_time_seconds", "gauge", "Start of the process, Unix time.");
    milliseconds(f, "process_start_time_seconds", p.started_at_ms);
    one(f, "process_open_fds", "gauge", "Open file descriptors.", p.open_fds);
    one(f, "process_max_fds", "gauge", "Most file descriptors there may be.", p.max_fds);
}

char *mig_status_metrics(const struct mig_status *s, size_t *len)
{
    char *text = NULL;
    *len = 0;
    FILE *f = open_memstream(&text, len);
    if (f == NULL)
        return NULL;
    write_backups(f, s);
    write_contract(f, s);
    write_node(f, s);
    write_hooks(f, s);
    write_requests(f, s->counters);
    write_durations(f, s->counters);
    write_family(f, "mpc_migration_auth_failures_total",
                 "Requests that did not become authenticated, by cause.", "reason", auth_failures,
                 s->counters->auth_failures, MIG_AUTH_FAILURE_COUNT);
    write_family(f, "mpc_migration_import_commits_total", "Uploads that were judged to the end.",
                 "result", imports, s->counters->imports, MIG_IMPORT_RESULT_COUNT);
    write_listener(f, &s->listener);
    write_cancellations(f, &s->listener);
    write_rpc(f, s);
    write_process(f);
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed) {
        free(text);
        text = NULL;
    }
    return text;
}

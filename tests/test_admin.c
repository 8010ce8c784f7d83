/* SPDX-License-Identifier: MIT */
#include "server/admin.h"

#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"
#include "tests/wire.h"

static struct mig_reaper *reaper;
static struct mig_listener *listener;
static struct mig_status now;
static struct mig_counters counters;
static struct wire wire;

static void status(void *ctx, struct mig_status *out)
{
    (void)ctx;
    *out = now;
}

static struct mig_admin admin = {.status = status};

/* A node that has just started. */
static void start(void)
{
    memset(&counters, 0, sizeof counters);
    now = (struct mig_status){
        .contract = "v1.signer",
        .account = "alice.near",
        .started_at = 1795305600,
        .counters = &counters,
    };
    memset(now.identity, 7, sizeof now.identity);
    CU_ASSERT_EQUAL_FATAL(mig_reaper_new(&reaper), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_admin_start("127.0.0.1:0", &admin, reaper, NULL, &listener, NULL),
                          MIG_OK);
}

/* ... that holds its seat and serves. */
static void start_serving(void)
{
    start();
    now.has_view = now.is_fresh = true;
    now.view_age_ns = 1234567890;
    now.generation = 3;
    now.state_block = (struct mig_block){1000, 1};
    now.info_block = (struct mig_block){1001, 2};
    now.protocol = MIG_PROTOCOL_RUNNING;
    now.has_keyset = true;
    now.epoch = 18446744073709551615u;
    now.domains = 2;
    now.participants = 4;
    now.has_service_key = true;
    now.keep.seat = MIG_SEAT_HELD;
    now.keep.job = MIG_JOB_DONE;
    now.has_stored = true;
    now.stored_epoch = 5;
    counters.requests[MIG_ENDPOINT_BACKUP_GET][100] = 12; /* 200 */
    counters.requests[MIG_ENDPOINT_OTHER][300] = 1;       /* 400 */
    counters.duration_count[MIG_ENDPOINT_BACKUP_GET] = 12;
    counters.duration_ns[MIG_ENDPOINT_BACKUP_GET] = 1500000001;
    counters.auth_failures[MIG_AUTH_REPLAY] = 2;
    counters.imports[MIG_IMPORT_STORED] = 1;
    counters.last_backup_served_epoch = 5;
    counters.last_backup_served_at = 1795305601;
    now.listener.cancels = 3;
    now.listener.cancel_ns = 2000000;
    now.listener.cancel_buckets[0] = 2;
    now.listener.cancel_buckets[3] = 1;
    now.listener.connections.reaped[MIG_REAPED_HEAD] = 9;
}

static void stop(void)
{
    mig_listener_stop(&listener, 100);
    mig_reaper_free(&reaper);
}

static unsigned get(const char *target)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", target);
    wire_ask(&wire, mig_listener_address(listener), text);
    return wire_status(&wire);
}

static void is_live_before_it_knows_anything(void)
{
    start();
    CU_ASSERT_EQUAL(get("/livez"), 200);
    CU_ASSERT_STRING_EQUAL(wire_body(&wire), "live\n");
    stop();
}

static void is_not_ready_without_a_view(void)
{
    start();
    CU_ASSERT_EQUAL(get("/readyz"), 503);
    CU_ASSERT_STRING_EQUAL(wire_body(&wire), "not ready\n");
    CU_ASSERT_EQUAL(get("/readyz?verbose"), 503);
    CU_ASSERT_STRING_EQUAL(wire_body(&wire), "not ready\nthe contract has not been seen yet\n");
    stop();
}

static void is_not_ready_for_each_reason_alone_and_says_all(void)
{
    start_serving();
    CU_ASSERT_EQUAL(get("/readyz?verbose"), 200);
    CU_ASSERT_STRING_EQUAL(wire_body(&wire), "ready\n");
    now.is_fresh = false;
    CU_ASSERT_EQUAL(get("/readyz"), 503);
    now.is_fresh = true;
    now.keep.shares_missing = true;
    CU_ASSERT_EQUAL(get("/readyz"), 503);
    now.keep.shares_missing = false;
    now.keep.store_failing = true;
    CU_ASSERT_EQUAL(get("/readyz"), 503);
    now.is_fresh = false;
    now.keep.shares_missing = true;
    CU_ASSERT_EQUAL(get("/readyz?verbose"), 503);
    CU_ASSERT_STRING_EQUAL(wire_body(&wire), "not ready\nthe view of the contract is stale\nthe "
                                             "store does not take writes\nthis node lacks shares "
                                             "of the current keyset\n");
    stop();
}

static bool has_line(const char *line)
{
    for (const char *at = wire.text; (at = strstr(at, line)) != NULL; at++) {
        if (at[-1] == '\n' && at[strlen(line)] == '\n')
            return true;
    }
    return false;
}

static bool promtool_accepts(void)
{
    char path[512], command[640];
    (void)snprintf(path, sizeof path, "%s/metrics", test_dir());
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT(fputs(wire_body(&wire), f) >= 0);
    CU_ASSERT_EQUAL(fclose(f), 0);
    (void)snprintf(command, sizeof command, "promtool check metrics <%s 1>&2", path);
    return system(command) == 0;
}

static void promtool_accepts_the_metrics_of_a_node_that_knows_nothing(void)
{
    start();
    CU_ASSERT_EQUAL(get("/metrics"), 200);
    CU_ASSERT_STRING_EQUAL(wire_field(&wire, "content-type"),
                           "text/plain; version=0.0.4; charset=utf-8");
    CU_ASSERT(has_line("mpc_migration_ready 0"));
    CU_ASSERT_PTR_NULL(strstr(wire.text, "\nmpc_current_epoch_id"));
    CU_ASSERT(promtool_accepts());
    stop();
}

static void promtool_accepts_the_metrics_of_a_node_that_serves(void)
{
    start_serving();
    CU_ASSERT_EQUAL(get("/metrics"), 200);
    static const char *const lines[] = {
        "mpc_migration_ready 1",
        "mpc_current_epoch_id 18446744073709551615",
        "mpc_last_backup_served_epoch 5",
        "mpc_last_backup_served_timestamp_seconds 1795305601",
        "mpc_migration_contract_view_age_seconds 1.234567890",
        "mpc_migration_contract_view_height 1000",
        "mpc_migration_protocol{state=\"running\"} 1",
        "mpc_migration_protocol{state=\"resharing\"} 0",
        "mpc_migration_seat{state=\"held\"} 1",
        "mpc_migration_job{state=\"done\"} 1",
        "mpc_migration_stored_keyset_epoch 5",
        "mpc_migration_requests_total{endpoint=\"backup_get\",code=\"200\"} 12",
        "mpc_migration_requests_total{endpoint=\"other\",code=\"400\"} 1",
        "mpc_migration_request_duration_seconds_sum{endpoint=\"backup_get\"} 1.500000001",
        "mpc_migration_auth_failures_total{reason=\"replay\"} 2",
        "mpc_migration_import_commits_total{result=\"stored\"} 1",
        "mpc_migration_connections_reaped_total{why=\"head\"} 9",
        "mpc_migration_cancel_seconds_bucket{le=\"0.0001\"} 2",
        "mpc_migration_cancel_seconds_bucket{le=\"0.001\"} 2",
        "mpc_migration_cancel_seconds_bucket{le=\"0.005\"} 3",
        "mpc_migration_cancel_seconds_bucket{le=\"+Inf\"} 3",
        "mpc_migration_cancel_seconds_sum 0.002000000",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!has_line(lines[i]))
            printf("\n  missing: %s\n", lines[i]);
        CU_ASSERT(has_line(lines[i]));
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(wire.text, "\nprocess_resident_memory_bytes "));
    CU_ASSERT(promtool_accepts());
    stop();
}

/* A list of names that docs/metrics.md does not have would be a lie by omission. */
static void every_metric_is_documented(void)
{
    char name[128];
    FILE *f = fopen("docs/metrics.md", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    static char doc[64 * 1024];
    size_t n = fread(doc, 1, sizeof doc - 1, f);
    doc[n] = '\0';
    (void)fclose(f);
    start_serving();
    now.has_hook[MIG_HOOK_RECOVERED] = true;
    CU_ASSERT_EQUAL(get("/metrics"), 200);
    unsigned count = 0;
    for (const char *at = wire.text; (at = strstr(at, "# TYPE ")) != NULL; at++) {
        (void)snprintf(name, sizeof name, "`%.*s`", (int)strcspn(at + 7, " "), at + 7);
        if (strstr(doc, name) == NULL)
            printf("\n  not in docs/metrics.md: %s\n", name);
        CU_ASSERT_PTR_NOT_NULL(strstr(doc, name));
        count++;
    }
    CU_ASSERT(count > 20);
    stop();
}

static void status_is_json_with_exact_numbers(void)
{
    start_serving();
    CU_ASSERT_EQUAL(get("/status"), 200);
    CU_ASSERT_STRING_EQUAL(wire_field(&wire, "content-type"), "application/json");
    json_t *root = json_loads(wire_body(&wire), JSON_REJECT_DUPLICATES, NULL);
    const char *epoch = "", *account = "", *protocol = "", *service = "", *seat = "", *served = "";
    int ready = 0, head = -1;
    CU_ASSERT_EQUAL(json_unpack(root, "{s:s,s:b,s:{s:s,s:s,s:s},s:{s:s},s:{s:s},s:{s:{s:i}}}",
                                "account", &account, "ready", &ready, "contract", "epoch", &epoch,
                                "protocol", &protocol, "backup_service", &service, "node", "seat",
                                &seat, "last_backup_served", "epoch", &served, "connections",
                                "reaped", "head", &head),
                    0);
    CU_ASSERT_STRING_EQUAL(epoch, "18446744073709551615");
    CU_ASSERT_STRING_EQUAL(account, "alice.near");
    CU_ASSERT_STRING_EQUAL(protocol, "running");
    CU_ASSERT_STRING_EQUAL(service, "ed25519:11111111111111111111111111111111");
    CU_ASSERT_STRING_EQUAL(seat, "held");
    CU_ASSERT_STRING_EQUAL(served, "5");
    CU_ASSERT_EQUAL(ready, 1);
    CU_ASSERT_EQUAL(head, 9);
    json_decref(root);
    stop();
}

static void status_without_a_view_is_json_too(void)
{
    start();
    CU_ASSERT_EQUAL(get("/status"), 200);
    json_t *root = json_loads(wire_body(&wire), JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT(json_is_null(json_object_get(root, "contract")));
    CU_ASSERT(json_is_false(json_object_get(root, "ready")));
    CU_ASSERT_EQUAL(json_array_size(json_object_get(root, "reasons")), 1);
    json_decref(root);
    stop();
}

static void hooks_are_told_in_status_and_metrics(void)
{
    start_serving();
    now.has_hook[MIG_HOOK_PURGE_ASSETS] = now.has_hook[MIG_HOOK_BACKUP_SERVED] = true;
    now.hook[MIG_HOOK_PURGE_ASSETS] =
        (struct mig_hook_stats){.runs = 7, .failures = 3, .last_ms = 30001, .pending = true};
    now.hook[MIG_HOOK_BACKUP_SERVED] = (struct mig_hook_stats){.runs = 2, .last_ms = 4};
    CU_ASSERT_EQUAL(get("/metrics"), 200);
    CU_ASSERT(has_line("mpc_migration_hook_runs_total{hook=\"purge_assets\"} 7"));
    CU_ASSERT(has_line("mpc_migration_hook_failures_in_a_row{hook=\"purge_assets\"} 3"));
    CU_ASSERT(has_line("mpc_migration_hook_pending{hook=\"purge_assets\"} 1"));
    CU_ASSERT(has_line("mpc_migration_hook_pending{hook=\"backup_served\"} 0"));
    CU_ASSERT(has_line("mpc_migration_hook_last_duration_seconds{hook=\"purge_assets\"} 30.001"));
    CU_ASSERT_PTR_NULL(strstr(wire.text, "hook=\"recovered\""));
    CU_ASSERT(promtool_accepts());
    CU_ASSERT_EQUAL(get("/status"), 200);
    json_t *root = json_loads(wire_body(&wire), JSON_REJECT_DUPLICATES, NULL);
    json_t *hooks = json_object_get(root, "hooks");
    int runs = 0, failures = 0, pending = 0, last = 0;
    CU_ASSERT_EQUAL(json_unpack(hooks, "{s:{s:i,s:i,s:b,s:i}}", "purge_assets", "runs", &runs,
                                "failures_in_a_row", &failures, "pending", &pending, "last_ms",
                                &last),
                    0);
    CU_ASSERT(runs == 7 && failures == 3 && pending == 1 && last == 30001);
    CU_ASSERT_EQUAL(json_object_size(hooks), 2);
    json_decref(root);
    stop();
}

static void a_decommissioned_node_says_so(void)
{
    start_serving();
    CU_ASSERT_EQUAL(get("/metrics"), 200);
    CU_ASSERT(has_line("mpc_migration_decommissioned 0"));
    CU_ASSERT_EQUAL(get("/status"), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(wire.text, "\"decommissioned\": null"));
    now.keep.seat = MIG_SEAT_STANDBY;
    now.keep.job = MIG_JOB_NONE;
    now.keep.seat_lost_at = 18446744073709551615u;
    CU_ASSERT_EQUAL(get("/metrics"), 200);
    CU_ASSERT(has_line("mpc_migration_decommissioned 1"));
    CU_ASSERT_EQUAL(get("/status"), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(wire.text, "\"last_seated_height\": \"18446744073709551615\""));
    stop();
}

static void numbers_do_not_follow_the_locale(void)
{
    start_serving();
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        (void)setlocale(LC_NUMERIC, "fr_FR.UTF-8");
    CU_ASSERT_EQUAL(get("/metrics"), 200);
    (void)setlocale(LC_NUMERIC, "C");
    CU_ASSERT(has_line("mpc_migration_contract_view_age_seconds 1.234567890"));
    stop();
}

static void knows_no_other_page_and_no_other_method(void)
{
    start();
    static const char *const targets[] = {
        "/",         "/metrics/",      "/readyz?",       "/readyz?verbose=1",
        "/status?x", "/livez?verbose", "/shares_backup", "/debug"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        CU_ASSERT_EQUAL(get(targets[i]), 404);
    static const char *const methods[] = {"POST", "PUT", "DELETE", "HEAD"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "%s /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", methods[i]);
        wire_ask(&wire, mig_listener_address(listener), text);
        CU_ASSERT_EQUAL(wire_status(&wire), 405);
        CU_ASSERT_STRING_EQUAL(wire_field(&wire, "allow"), "GET");
    }
    stop();
}

static void the_gate_stands_here_too(void)
{
    start();
    wire_ask(&wire, mig_listener_address(listener),
             "GET /livez HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n");
    CU_ASSERT_EQUAL(wire_status(&wire), 400);
    stop();
}

static void keeps_the_connection_of_a_scraper(void)
{
    start_serving();
    wire_open(&wire, mig_listener_address(listener));
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(wire_say(&wire, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"));
        CU_ASSERT(wire_read_answer(&wire));
        CU_ASSERT_EQUAL(wire_status(&wire), 200);
    }
    wire_close(&wire);
    stop();
}

int main(void)
{
    static const struct test tests[] = {
        TEST(is_live_before_it_knows_anything),
        TEST(is_not_ready_without_a_view),
        TEST(is_not_ready_for_each_reason_alone_and_says_all),
        TEST(promtool_accepts_the_metrics_of_a_node_that_knows_nothing),
        TEST(promtool_accepts_the_metrics_of_a_node_that_serves),
        TEST(every_metric_is_documented),
        TEST(status_is_json_with_exact_numbers),
        TEST(status_without_a_view_is_json_too),
        TEST(hooks_are_told_in_status_and_metrics),
        TEST(a_decommissioned_node_says_so),
        TEST(numbers_do_not_follow_the_locale),
        TEST(knows_no_other_page_and_no_other_method),
        TEST(the_gate_stands_here_too),
        TEST(keeps_the_connection_of_a_scraper),
    };
    return run_tests("admin", tests, sizeof tests / sizeof *tests);
}

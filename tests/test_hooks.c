/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/hooks.h"
#include "tests/harness.h"

static char script[300], output[300];

static void write_script(const char *body)
{
    (void)snprintf(script, sizeof script, "%s/hook", test_dir());
    (void)snprintf(output, sizeof output, "%s/out", test_dir());
    (void)unlink(output);
    FILE *f = fopen(script, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    (void)fprintf(f, "#!/bin/sh\n%s\n", body);
    (void)fclose(f);
    (void)chmod(script, 0700);
}

static size_t read_output(char *text, size_t cap)
{
    FILE *f = fopen(output, "r");
    size_t n = f != NULL ? fread(text, 1, cap - 1, f) : 0;
    if (f != NULL)
        (void)fclose(f);
    text[n] = '\0';
    return n;
}

static void hands_json_to_standard_input(void)
{
    char body[400], text[200];
    (void)snprintf(body, sizeof body, "cat >%s/out", test_dir());
    write_script(body);
    CU_ASSERT_EQUAL(mig_hook_run(script, "{\"event\":\"x\"}", 5000), MIG_OK);
    CU_ASSERT(read_output(text, sizeof text) > 0);
    CU_ASSERT_STRING_EQUAL(text, "{\"event\":\"x\"}");
}

static void a_program_inherits_no_descriptor(void)
{
    char body[400], text[200];
    int leak = open("/dev/null", O_RDONLY); /* as libraries do: without O_CLOEXEC */
    CU_ASSERT(leak >= 0);
    (void)snprintf(body, sizeof body, "[ -e /proc/self/fd/%d ] && echo leaked >%s/out", leak,
                   test_dir());
    write_script(body);
    CU_ASSERT_EQUAL(mig_hook_run(script, "{}", 5000), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(read_output(text, sizeof text), 0);
    (void)close(leak);
}

static void exit_status_other_than_zero_asks_for_a_retry(void)
{
    write_script("exit 3");
    CU_ASSERT_EQUAL(mig_hook_run(script, "{}", 5000), MIG_ERR_RETRY);
    write_script("kill -9 $$");
    CU_ASSERT_EQUAL(mig_hook_run(script, "{}", 5000), MIG_ERR_RETRY);
}

static void a_program_that_does_not_exist_is_an_error(void)
{
    CU_ASSERT_EQUAL(mig_hook_run("/nonexistent/hook", "{}", 5000), MIG_ERR_IO);
}

static void a_hanging_program_is_killed_with_its_children(void)
{
    char body[400], text[64];
    (void)snprintf(body, sizeof body,
                   "cat >/dev/null; (echo $$ >%s/out; exec tail -f /dev/null) & wait", test_dir());
    write_script(body);
    CU_ASSERT_EQUAL(mig_hook_run(script, "{}", 500), MIG_ERR_RETRY);
    CU_ASSERT(read_output(text, sizeof text) > 0);
    char proc[64];
    (void)snprintf(proc, sizeof proc, "/proc/%d", atoi(text));
    CU_ASSERT_EQUAL(access(proc, F_OK), -1);
}

static void a_program_that_never_reads_is_no_failure(void)
{
    char *big = malloc(1 << 20);
    CU_ASSERT_PTR_NOT_NULL_FATAL(big);
    memset(big, 'x', (1 << 20) - 1);
    big[(1 << 20) - 1] = '\0';
    write_script("exit 0");
    CU_ASSERT_EQUAL(mig_hook_run(script, big, 5000), MIG_OK);
    free(big);
}

static void megabytes_of_output_go_nowhere(void)
{
    write_script("head -c 5000000 /dev/zero; exit 0");
    CU_ASSERT_EQUAL(mig_hook_run(script, "{}", 20000), MIG_OK);
}

static void tells_who_left_and_who_is_there(void)
{
    struct mig_participant after[1] = {{.id = 3, .account = "a.near", .url = "http://a:80"}};
    struct mig_participants set = {.threshold = 1, .count = 1, .list = after};
    const uint32_t gone[2] = {1, 2};
    struct mig_change change = {.after = &set,
                                .epoch_before = 5,
                                .epoch_after = UINT64_MAX,
                                .gone = gone,
                                .gone_count = 2,
                                .active = true};
    char body[400], text[2000];
    (void)snprintf(body, sizeof body, "cat >%s/out", test_dir());
    write_script(body);
    struct mig_hooks_config config = {.program = {script, script, NULL}, .deadline_ms = 5000};
    struct mig_hooks *hooks = NULL;
    CU_ASSERT_EQUAL_FATAL(mig_hooks_new(&config, &hooks), MIG_OK);
    CU_ASSERT_EQUAL(mig_hooks_participants_changed(hooks, &change), MIG_OK);
    CU_ASSERT(read_output(text, sizeof text) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"event\":\"participants_changed\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"gone\":[1,2]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"epoch_after\":\"18446744073709551615\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"account\":\"a.near\""));
    CU_ASSERT_EQUAL(mig_hooks_purge_assets(hooks, &change), MIG_OK);
    CU_ASSERT(read_output(text, sizeof text) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"event\":\"purge_assets\""));
    mig_hooks_free(&hooks);
    CU_ASSERT_PTR_NULL(hooks);
}

static void a_job_is_told_again_until_the_program_takes_it(void)
{
    /* The first run fails, the second writes to a FIFO that the test reads. */
    char fifo[300], body[900], text[100] = "";
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", test_dir());
    CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
    (void)snprintf(body, sizeof body, "if [ ! -e %s/once ]; then : >%s/once; exit 1; fi; cat >%s",
                   test_dir(), test_dir(), fifo);
    write_script(body);
    int fd = open(fifo, O_RDWR);
    struct mig_hooks_config config = {.program = {NULL, NULL, script}, .deadline_ms = 5000};
    struct mig_hooks *hooks = NULL;
    CU_ASSERT_EQUAL_FATAL(mig_hooks_new(&config, &hooks), MIG_OK);
    mig_hooks_job_changed(hooks, MIG_JOB_IMPORTED);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CU_ASSERT_EQUAL(poll(&p, 1, 20000), 1);
    CU_ASSERT(read(fd, text, sizeof text - 1) > 0);
    CU_ASSERT_STRING_EQUAL(text, "{\"event\":\"job_changed\",\"job\":\"imported\"}");
    (void)close(fd);
    mig_hooks_free(&hooks);
}

/* Scripts that write to a FIFO of their own, which the test reads. */
struct ear {
    char script[300], fifo[300];
    int fd;
};

static struct ear listen_to(const char *name, const char *body)
{
    struct ear e;
    (void)snprintf(e.script, sizeof e.script, "%s/%s", test_dir(), name);
    (void)snprintf(e.fifo, sizeof e.fifo, "%s/%s.fifo", test_dir(), name);
    CU_ASSERT_EQUAL_FATAL(mkfifo(e.fifo, 0600), 0);
    e.fd = open(e.fifo, O_RDWR | O_CLOEXEC);
    FILE *f = fopen(e.script, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    (void)fprintf(f, "#!/bin/sh\nout=%s\n%s\n", e.fifo, body);
    (void)fclose(f);
    (void)chmod(e.script, 0700);
    return e;
}

/* What the script wrote next, up to the newline. */
static const char *hear(const struct ear *e)
{
    static char text[400];
    size_t n = 0;
    struct pollfd p = {.fd = e->fd, .events = POLLIN};
    while (n + 1 < sizeof text && poll(&p, 1, 20000) == 1 && read(e->fd, text + n, 1) == 1 &&
           text[n] != '\n')
        n++;
    text[n] = '\0';
    return text;
}

#define TELL "cat >$out; echo >$out"

static void a_served_backup_and_a_recovery_are_told(void)
{
    struct ear served = listen_to("served", TELL), recovered = listen_to("recovered", TELL);
    struct mig_hooks_config config = {
        .program =
            {[MIG_HOOK_BACKUP_SERVED] = served.script, [MIG_HOOK_RECOVERED] = recovered.script},
        .deadline_ms = 5000};
    struct mig_hooks *hooks = NULL;
    uint8_t digest[MIG_DIGEST_LEN];
    struct mig_receipt receipt = {
        .epoch = 18446744073709551615u, .shares = 3, .imported_at = 1795305600, .repeated = true};
    memset(digest, 0xab, sizeof digest);
    memset(receipt.keyset, 0xcd, sizeof receipt.keyset);
    CU_ASSERT_EQUAL_FATAL(mig_hooks_new(&config, &hooks), MIG_OK);
    mig_hooks_backup_served(hooks, 5, digest);
    CU_ASSERT_STRING_EQUAL(hear(&served),
                           "{\"event\":\"backup_served\",\"epoch\":\"5\",\"keyset\":\""
                           "abababababababababababababababababababababababababababababababab\"}");
    mig_hooks_recovered(hooks, &receipt);
    CU_ASSERT_STRING_EQUAL(
        hear(&recovered),
        "{\"event\":\"recovered\",\"epoch\":\"18446744073709551615\",\"keyset\":\""
        "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\",\"shares\":3,"
        "\"imported_at\":1795305600,\"repeated\":true}");
    mig_hooks_free(&hooks);
    (void)close(served.fd);
    (void)close(recovered.fd);
}

static void a_hook_that_hangs_delays_no_other_and_a_newer_event_takes_its_place(void)
{
    /* The first backup_served run hangs until its deadline; meanwhile the job
     * is told and two more backups are served, of which only the last counts. */
    struct ear served =
        listen_to("hanging", "if mkdir $out.once 2>/dev/null; then echo begun >$out;"
                             " exec tail -f /dev/null; fi; " TELL);
    struct ear job = listen_to("quick", TELL);
    struct mig_hooks_config config = {
        .program = {[MIG_HOOK_BACKUP_SERVED] = served.script, [MIG_HOOK_JOB_CHANGED] = job.script},
        .deadline_ms = 1500};
    struct mig_hooks *hooks = NULL;
    struct mig_hook_stats stats;
    const uint8_t digest[MIG_DIGEST_LEN] = {0};
    CU_ASSERT_EQUAL_FATAL(mig_hooks_new(&config, &hooks), MIG_OK);
    mig_hooks_backup_served(hooks, 1, digest);
    CU_ASSERT_STRING_EQUAL(hear(&served), "begun");
    mig_hooks_job_changed(hooks, MIG_JOB_WAITING);
    CU_ASSERT_STRING_EQUAL(hear(&job), "{\"event\":\"job_changed\",\"job\":\"waiting\"}");
    CU_ASSERT(mig_hooks_stats(hooks, MIG_HOOK_BACKUP_SERVED, &stats));
    CU_ASSERT(stats.runs == 1 && stats.pending);
    mig_hooks_backup_served(hooks, 2, digest);
    mig_hooks_backup_served(hooks, 3, digest);
    CU_ASSERT_PTR_NOT_NULL(strstr(hear(&served), "\"epoch\":\"3\""));
    mig_hooks_free(&hooks);
    (void)close(served.fd);
    (void)close(job.fd);
}

static void runs_and_failures_are_counted(void)
{
    struct mig_change change = {0};
    struct mig_hook_stats stats;
    struct mig_hooks *hooks = NULL;
    write_script("cat >/dev/null; [ -e \"$0.ok\" ]");
    struct mig_hooks_config config = {.program = {[MIG_HOOK_PURGE_ASSETS] = script},
                                      .deadline_ms = 5000};
    CU_ASSERT_EQUAL_FATAL(mig_hooks_new(&config, &hooks), MIG_OK);
    CU_ASSERT_FALSE(mig_hooks_stats(hooks, MIG_HOOK_PARTICIPANTS_CHANGED, &stats));
    CU_ASSERT(mig_hooks_stats(hooks, MIG_HOOK_PURGE_ASSETS, &stats));
    CU_ASSERT(stats.runs == 0 && stats.failures == 0 && !stats.pending);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(mig_hooks_purge_assets(hooks, &change), MIG_ERR_RETRY);
    CU_ASSERT(mig_hooks_stats(hooks, MIG_HOOK_PURGE_ASSETS, &stats));
    CU_ASSERT(stats.runs == 3 && stats.failures == 3 && stats.pending);
    char ok[320];
    (void)snprintf(ok, sizeof ok, "%s.ok", script);
    (void)close(open(ok, O_CREAT | O_WRONLY, 0600));
    CU_ASSERT_EQUAL(mig_hooks_purge_assets(hooks, &change), MIG_OK);
    CU_ASSERT(mig_hooks_stats(hooks, MIG_HOOK_PURGE_ASSETS, &stats));
    CU_ASSERT(stats.runs == 4 && stats.failures == 0 && !stats.pending);
    mig_hooks_free(&hooks);
}

static void hooks_that_are_not_configured_are_done_at_once(void)
{
    struct mig_hooks_config config = {.deadline_ms = 1};
    struct mig_hooks *hooks = NULL;
    struct mig_change change = {0};
    CU_ASSERT_EQUAL_FATAL(mig_hooks_new(&config, &hooks), MIG_OK);
    CU_ASSERT_EQUAL(mig_hooks_participants_changed(hooks, &change), MIG_OK);
    CU_ASSERT_EQUAL(mig_hooks_purge_assets(hooks, &change), MIG_OK);
    mig_hooks_job_changed(hooks, MIG_JOB_DONE);
    mig_hooks_backup_served(hooks, 1, (const uint8_t[MIG_DIGEST_LEN]){0});
    mig_hooks_recovered(hooks, &(struct mig_receipt){0});
    mig_hooks_free(&hooks);
    mig_hooks_free(&hooks);
    CU_ASSERT_PTR_NULL(hooks);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(hands_json_to_standard_input),
        TEST(a_program_inherits_no_descriptor),
        TEST(exit_status_other_than_zero_asks_for_a_retry),
        TEST(a_program_that_does_not_exist_is_an_error),
        TEST(a_hanging_program_is_killed_with_its_children),
        TEST(a_program_that_never_reads_is_no_failure),
        TEST(megabytes_of_output_go_nowhere),
        TEST(tells_who_left_and_who_is_there),
        TEST(a_job_is_told_again_until_the_program_takes_it),
        TEST(a_served_backup_and_a_recovery_are_told),
        TEST(a_hook_that_hangs_delays_no_other_and_a_newer_event_takes_its_place),
        TEST(runs_and_failures_are_counted),
        TEST(hooks_that_are_not_configured_are_done_at_once),
    };
    return run_tests("hooks", tests, sizeof tests / sizeof *tests);
}

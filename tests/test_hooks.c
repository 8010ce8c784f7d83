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

static void hooks_that_are_not_configured_are_done_at_once(void)
{
    struct mig_hooks_config config = {.deadline_ms = 1};
    struct mig_hooks *hooks = NULL;
    struct mig_change change = {0};
    CU_ASSERT_EQUAL_FATAL(mig_hooks_new(&config, &hooks), MIG_OK);
    CU_ASSERT_EQUAL(mig_hooks_participants_changed(hooks, &change), MIG_OK);
    CU_ASSERT_EQUAL(mig_hooks_purge_assets(hooks, &change), MIG_OK);
    mig_hooks_job_changed(hooks, MIG_JOB_DONE);
    mig_hooks_free(&hooks);
    mig_hooks_free(&hooks);
    CU_ASSERT_PTR_NULL(hooks);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(hands_json_to_standard_input),
        TEST(exit_status_other_than_zero_asks_for_a_retry),
        TEST(a_program_that_does_not_exist_is_an_error),
        TEST(a_hanging_program_is_killed_with_its_children),
        TEST(a_program_that_never_reads_is_no_failure),
        TEST(megabytes_of_output_go_nowhere),
        TEST(tells_who_left_and_who_is_there),
        TEST(a_job_is_told_again_until_the_program_takes_it),
        TEST(hooks_that_are_not_configured_are_done_at_once),
    };
    return run_tests("hooks", tests, sizeof tests / sizeof *tests);
}

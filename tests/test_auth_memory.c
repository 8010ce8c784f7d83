/* SPDX-License-Identifier: MIT */
/* Fails the n-th allocation, for every n, in everything of auth/ that
 * allocates. A sanitizer has an allocator of its own; there nothing fails. */
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/bucket.h"
#include "auth/digest.h"
#include "auth/replay.h"

static _Thread_local unsigned long countdown; /* 0: nothing fails */
static _Thread_local bool has_failed;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define ALLOCATION_FAILS 0
#else
#define ALLOCATION_FAILS 1
static bool is_to_fail(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    has_failed = true;
    return true;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);

void *malloc(size_t size)
{
    return is_to_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_to_fail() ? NULL : __libc_calloc(count, size);
}
#endif

static enum mig_err use_digest(void)
{
    struct mig_digest *digest = NULL;
    enum mig_err err = mig_digest_new(&digest);
    CU_ASSERT_EQUAL(err == MIG_OK, digest != NULL);
    mig_digest_free(&digest);
    return err;
}

static enum mig_err use_budget(void)
{
    static const struct mig_budget_config config = {10, 10, 10};
    struct mig_budget *budget = NULL;
    enum mig_err err = mig_budget_new(&config, &budget);
    CU_ASSERT_EQUAL(err == MIG_OK, budget != NULL);
    mig_budget_free(&budget);
    return err;
}

static enum mig_err use_replay(void)
{
    char path[300];
    struct mig_replay *replay = NULL;
    (void)snprintf(path, sizeof path, "%s/nonces", test_dir());
    const struct mig_replay_config config = {
        .journal = path, .capacity = 10, .skew = 30, .now = 1000};
    enum mig_err err = mig_replay_open(&config, &replay);
    CU_ASSERT_EQUAL(err == MIG_OK, replay != NULL);
    mig_replay_close(&replay);
    return err;
}

static void fails_cleanly(enum mig_err (*use)(void))
{
    unsigned long failures = 0;
    CU_ASSERT_EQUAL(use(), MIG_OK);
    for (unsigned long n = 1;; n++) {
        has_failed = false;
        countdown = n;
        enum mig_err err = use();
        countdown = 0;
        if (!has_failed) {
            CU_ASSERT_EQUAL(err, MIG_OK);
            break;
        }
        failures++;
        CU_ASSERT_EQUAL(err, MIG_ERR_NOMEM);
    }
    CU_ASSERT_EQUAL(failures > 0, ALLOCATION_FAILS);
    CU_ASSERT_EQUAL(use(), MIG_OK);
}

static void a_digest_fails_cleanly(void)
{
    fails_cleanly(use_digest);
}

static void a_budget_fails_cleanly(void)
{
    fails_cleanly(use_budget);
}

static void a_replay_window_fails_cleanly(void)
{
    fails_cleanly(use_replay);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_digest_fails_cleanly),
        TEST(a_budget_fails_cleanly),
        TEST(a_replay_window_fails_cleanly),
    };
    (void)test_dir();
    return run_tests("auth memory", tests, sizeof tests / sizeof *tests);
}

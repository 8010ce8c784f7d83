/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_HARNESS_H
#define MIG_TESTS_HARNESS_H
/*
 * A test program is one CUnit suite: functions named as the sentence they
 * prove, listed once. CHECK and friends are CUnit's assertions.
 *
 *     static void rejects_replayed_nonce(void) { CU_ASSERT(...); }
 *     int main(void) {
 *         static const struct test tests[] = { TEST(rejects_replayed_nonce) };
 *         return run_tests("replay", tests, sizeof tests / sizeof *tests);
 *     }
 */
#include <CUnit/CUnit.h>
#include <stddef.h>
#include <stdint.h>

struct test {
    const char *name;
    void (*run)(void);
};
#define TEST(function) {#function, function}

/* Starts crypto, runs all tests (or those named on TEST_ONLY), prints CUnit's
 * summary; the exit status is 0 only when at least one ran and none failed. */
int run_tests(const char *suite, const struct test *tests, size_t count);

/* A fresh directory (0700) below $TMPDIR, removed when the program ends. */
const char *test_dir(void);
/* tests/data/<name> as a NUL-terminated heap string; fails the test and
 * returns NULL when it cannot be read. */
char *test_data(const char *name, size_t *len);

#endif

/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <CUnit/Basic.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/secret.h"

static char dir[256];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_dir(void)
{
    if (dir[0] != '\0')
        (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void)
{
    if (dir[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(dir, sizeof dir, "%s/mig-test-XXXXXX", base != NULL ? base : "/tmp");
        if (mkdtemp(dir) == NULL)
            abort();
        (void)atexit(remove_dir);
    }
    return dir;
}

char *test_data(const char *name, size_t *len)
{
    char path[512];
    (void)snprintf(path, sizeof path, "tests/data/%s", name);
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t used = 0;
    if (f != NULL) {
        size_t cap = 1 << 16;
        text = malloc(cap + 1);
        while (text != NULL) {
            used += fread(text + used, 1, cap - used, f);
            if (used < cap)
                break;
            cap *= 2;
            text = realloc(text, cap + 1);
        }
        (void)fclose(f);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    text[used] = '\0';
    if (len != NULL)
        *len = used;
    return text;
}

int run_tests(const char *suite, const struct test *tests, size_t count)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (mig_crypto_init() != MIG_OK || CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    const char *only = getenv("TEST_ONLY");
    CU_pSuite s = CU_add_suite(suite, NULL, NULL);
    for (size_t i = 0; s != NULL && i < count; i++) {
        if (only != NULL && strcmp(only, tests[i].name) != 0)
            continue;
        if (CU_add_test(s, tests[i].name, tests[i].run) == NULL)
            return 2;
    }
    CU_basic_set_mode(getenv("TEST_VERBOSE") != NULL ? CU_BRM_VERBOSE : CU_BRM_NORMAL);
    (void)CU_basic_run_tests();
    unsigned run = CU_get_number_of_tests_run();
    unsigned failed = CU_get_number_of_tests_failed();
    CU_cleanup_registry();
    return run > 0 && failed == 0 ? 0 : 1;
}

/* SPDX-License-Identifier: MIT */
#include "store/wipe.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"

static char folder[400];

static const char *path_of(const char *name)
{
    static char path[700];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, size_t len)
{
    FILE *f = fopen(path_of(name), "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (size_t i = 0; i < len; i++)
        (void)fputc('s', f);
    (void)fclose(f);
}

static bool is_there(const char *name)
{
    struct stat st;
    return lstat(path_of(name), &st) == 0;
}

/* A store with an entry, its pointer, a temporary file and a quarantine. */
static void make_store(void)
{
    static unsigned round;
    (void)snprintf(folder, sizeof folder, "%s/store%u", test_dir(), round++);
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
    CU_ASSERT_EQUAL_FATAL(mkdir(path_of("quarantine"), 0700), 0);
    write_file("a.shares", 10000);
    write_file(".shares-new", 7);
    write_file("quarantine/b.shares.1", 1);
    write_file("empty", 0);
}

/* How many of the `len` bytes of a file are still what was written. */
static size_t bytes_left(const char *path)
{
    size_t n = 0;
    int c;
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while ((c = fgetc(f)) != EOF)
        n += c == 's' ? 1 : 0;
    (void)fclose(f);
    return n;
}

static void every_file_is_overwritten_and_unlinked(void)
{
    char witness[450];
    struct mig_wipe wipe;
    const char *why = "";
    size_t files = 0;
    make_store();
    /* Another name of the same bytes shows what became of them. */
    (void)snprintf(witness, sizeof witness, "%s.witness", folder);
    CU_ASSERT_EQUAL(link(path_of("a.shares"), witness), 0);
    CU_ASSERT_EQUAL(symlink("/etc/passwd", path_of("current")), 0);
    CU_ASSERT_EQUAL_FATAL(mig_wipe_begin(folder, &wipe, &why), MIG_OK);
    CU_ASSERT_EQUAL(mig_wipe_count(&wipe, &files), MIG_OK);
    CU_ASSERT_EQUAL(files, 5);
    CU_ASSERT(is_there("a.shares"));
    CU_ASSERT_EQUAL(mig_wipe_run(&wipe, &files), MIG_OK);
    CU_ASSERT_EQUAL(files, 5);
    static const char *const names[] = {"a.shares", ".shares-new", "quarantine/b.shares.1", "empty",
                                        "current"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CU_ASSERT_FALSE(is_there(names[i]));
    CU_ASSERT(bytes_left(witness) < 200); /* one byte in 256, by chance */
    CU_ASSERT(is_there("lock"));
    CU_ASSERT_EQUAL(mig_wipe_run(&wipe, &files), MIG_OK);
    CU_ASSERT_EQUAL(files, 0);
    mig_wipe_end(&wipe);
    mig_wipe_end(&wipe);
}

static void a_store_in_use_is_left_alone(void)
{
    struct mig_wipe wipe, second;
    const char *why = "";
    make_store();
    CU_ASSERT_EQUAL_FATAL(mig_wipe_begin(folder, &wipe, &why), MIG_OK);
    CU_ASSERT_EQUAL(mig_wipe_begin(folder, &second, &why), MIG_ERR_STATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "another process"));
    mig_wipe_end(&wipe);
    CU_ASSERT_EQUAL(mig_wipe_begin(folder, &second, &why), MIG_OK);
    mig_wipe_end(&second);
    CU_ASSERT(is_there("a.shares"));
}

static void what_resists_stays_and_the_others_go(void)
{
    struct mig_wipe wipe;
    const char *why = "";
    size_t files = 0;
    make_store();
    CU_ASSERT_EQUAL_FATAL(mkdir(path_of("not-a-file"), 0700), 0);
    CU_ASSERT_EQUAL_FATAL(mig_wipe_begin(folder, &wipe, &why), MIG_OK);
    CU_ASSERT_EQUAL(mig_wipe_run(&wipe, &files), MIG_ERR_IO);
    CU_ASSERT_EQUAL(files, 4);
    CU_ASSERT_FALSE(is_there("a.shares"));
    CU_ASSERT_EQUAL_FATAL(rmdir(path_of("not-a-file")), 0);
    CU_ASSERT_EQUAL(mig_wipe_run(&wipe, &files), MIG_OK);
    mig_wipe_end(&wipe);
}

static void refuses_what_is_no_store_of_ours(void)
{
    struct mig_wipe wipe;
    const char *why = "";
    CU_ASSERT_EQUAL(mig_wipe_begin("/nonexistent/store", &wipe, &why), MIG_ERR_NOT_FOUND);
    make_store();
    CU_ASSERT_EQUAL(chmod(folder, 0755), 0);
    CU_ASSERT_EQUAL(mig_wipe_begin(folder, &wipe, &why), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(chmod(folder, 0700), 0);
    /* A quarantine that points elsewhere is not followed. */
    char aside[450];
    (void)snprintf(aside, sizeof aside, "%s.aside", folder);
    CU_ASSERT_EQUAL_FATAL(rename(path_of("quarantine"), aside), 0);
    CU_ASSERT_EQUAL_FATAL(symlink(aside, path_of("quarantine")), 0);
    size_t files = 0;
    CU_ASSERT_EQUAL_FATAL(mig_wipe_begin(folder, &wipe, &why), MIG_OK);
    CU_ASSERT_EQUAL(mig_wipe_run(&wipe, &files), MIG_ERR_IO);
    CU_ASSERT_EQUAL(files, 3);
    mig_wipe_end(&wipe);
    memcpy(folder, aside, strlen(aside) + 1);
    CU_ASSERT(is_there("b.shares.1"));
}

int main(void)
{
    static const struct test tests[] = {
        TEST(every_file_is_overwritten_and_unlinked),
        TEST(a_store_in_use_is_left_alone),
        TEST(what_resists_stays_and_the_others_go),
        TEST(refuses_what_is_no_store_of_ours),
    };
    return run_tests("wipe", tests, sizeof tests / sizeof *tests);
}

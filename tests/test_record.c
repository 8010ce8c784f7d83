/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/record.h"

static char folder[512];

static void fresh(const char *name)
{
    (void)snprintf(folder, sizeof folder, "%s/%s", test_dir(), name);
}

static char *path_of(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static bool holds(const char *name, const char *want)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum mig_err err = mig_record_load(folder, name, &bytes, &len);
    bool same = err == MIG_OK && len == strlen(want) && memcmp(bytes, want, len) == 0;
    free(bytes);
    return same;
}

static enum mig_err load(const char *name)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum mig_err err = mig_record_load(folder, name, &bytes, &len);
    CU_ASSERT(err == MIG_OK || (bytes == NULL && len == 0));
    free(bytes);
    return err;
}

static void flip(const char *name, off_t at)
{
    int fd = open(path_of(name), O_RDWR);
    uint8_t b = 0;
    CU_ASSERT_FATAL(fd >= 0 && pread(fd, &b, 1, at) == 1);
    b ^= 1;
    CU_ASSERT_FATAL(pwrite(fd, &b, 1, at) == 1);
    (void)close(fd);
}

static void missing_record_is_not_found(void)
{
    fresh("missing");
    CU_ASSERT_EQUAL(load("key"), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_record_save(folder, "other", "x", 1), MIG_OK);
    CU_ASSERT_EQUAL(load("key"), MIG_ERR_NOT_FOUND);
}

static void what_was_saved_is_loaded(void)
{
    fresh("saved");
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "first", 5), MIG_OK);
    CU_ASSERT(holds("key", "first"));
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "the second one", 14), MIG_OK);
    CU_ASSERT(holds("key", "the second one"));
    CU_ASSERT_EQUAL(mig_record_save(folder, "empty", "", 0), MIG_OK);
    CU_ASSERT(holds("empty", ""));
}

static void largest_record_fits_and_a_larger_one_is_refused(void)
{
    fresh("large");
    uint8_t *big = calloc(1, MIG_RECORD_MAX + 1);
    uint8_t *back = NULL;
    size_t len = 0;
    CU_ASSERT_EQUAL(mig_record_save(folder, "big", big, MIG_RECORD_MAX + 1), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(load("big"), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_record_save(folder, "big", big, MIG_RECORD_MAX), MIG_OK);
    CU_ASSERT_EQUAL(mig_record_load(folder, "big", &back, &len), MIG_OK);
    CU_ASSERT_EQUAL(len, MIG_RECORD_MAX);
    free(back);
    free(big);
}

static void every_flipped_byte_is_noticed(void)
{
    fresh("flipped");
    for (off_t at = 0; at < 8 + 32 + 5; at++) {
        CU_ASSERT_EQUAL(mig_record_save(folder, "key", "bytes", 5), MIG_OK);
        flip("key", at);
        CU_ASSERT_EQUAL(load("key"), MIG_ERR_MALFORMED);
    }
}

static void every_truncation_and_extension_is_noticed(void)
{
    fresh("cut");
    for (off_t len = 0; len < 8 + 32 + 5; len++) {
        CU_ASSERT_EQUAL(mig_record_save(folder, "key", "bytes", 5), MIG_OK);
        CU_ASSERT_EQUAL_FATAL(truncate(path_of("key"), len), 0);
        CU_ASSERT_EQUAL(load("key"), MIG_ERR_MALFORMED);
    }
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "bytes", 5), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(truncate(path_of("key"), 8 + 32 + 6), 0);
    CU_ASSERT_EQUAL(load("key"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL_FATAL(truncate(path_of("key"), 2 * MIG_RECORD_MAX), 0);
    CU_ASSERT_EQUAL(load("key"), MIG_ERR_MALFORMED);
}

static void names_that_leave_the_folder_are_refused(void)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "/etc/passwd",
        "0123456789012345678901234567890123456789012345678901234567890123x"};
    fresh("names");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(mig_record_save(folder, bad[i], "x", 1), MIG_ERR_BUG);
        CU_ASSERT_EQUAL(load(bad[i]), MIG_ERR_BUG);
    }
}

static void links_and_odd_files_are_not_followed(void)
{
    fresh("links");
    CU_ASSERT_EQUAL(mig_record_save(folder, "real", "bytes", 5), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(symlink("real", path_of("link")), 0);
    CU_ASSERT_EQUAL(load("link"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL_FATAL(mkfifo(path_of("fifo"), 0600), 0);
    CU_ASSERT_EQUAL(load("fifo"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL_FATAL(mkdir(path_of("dir"), 0700), 0);
    CU_ASSERT_EQUAL(load("dir"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_record_save(folder, "dir", "x", 1), MIG_ERR_IO);
    /* Saving replaces the link itself, never what it points to. */
    CU_ASSERT_EQUAL(mig_record_save(folder, "link", "other", 5), MIG_OK);
    CU_ASSERT(holds("real", "bytes"));
    CU_ASSERT(holds("link", "other"));
}

static void open_folder_is_refused(void)
{
    fresh("open");
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
    CU_ASSERT_EQUAL_FATAL(chmod(folder, 0750), 0);
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "x", 1), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(load("key"), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL_FATAL(chmod(folder, 0701), 0);
    CU_ASSERT_EQUAL(load("key"), MIG_ERR_DENIED);
}

static void folder_without_parent_is_an_error(void)
{
    fresh("no/such");
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "x", 1), MIG_ERR_IO);
    CU_ASSERT_EQUAL(load("key"), MIG_ERR_NOT_FOUND);
}

static void remains_of_a_crash_are_replaced(void)
{
    fresh("remains");
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "old", 3), MIG_OK);
    int fd = open(path_of(".record-key"), O_CREAT | O_WRONLY, 0600);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, "torn", 4) == 4);
    (void)close(fd);
    CU_ASSERT(holds("key", "old"));
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "new", 3), MIG_OK);
    CU_ASSERT(holds("key", "new"));
    CU_ASSERT_NOT_EQUAL(access(path_of(".record-key"), F_OK), 0);
}

static void files_are_private(void)
{
    struct stat st;
    fresh("private");
    (void)umask(0);
    CU_ASSERT_EQUAL(mig_record_save(folder, "key", "x", 1), MIG_OK);
    CU_ASSERT(stat(path_of("key"), &st) == 0 && (st.st_mode & 07777) == 0600);
    CU_ASSERT(stat(folder, &st) == 0 && (st.st_mode & 07777) == 0700);
    (void)umask(022);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(missing_record_is_not_found),
        TEST(what_was_saved_is_loaded),
        TEST(largest_record_fits_and_a_larger_one_is_refused),
        TEST(every_flipped_byte_is_noticed),
        TEST(every_truncation_and_extension_is_noticed),
        TEST(names_that_leave_the_folder_are_refused),
        TEST(links_and_odd_files_are_not_followed),
        TEST(open_folder_is_refused),
        TEST(folder_without_parent_is_an_error),
        TEST(remains_of_a_crash_are_replaced),
        TEST(files_are_private),
    };
    return run_tests("record", tests, sizeof tests / sizeof *tests);
}

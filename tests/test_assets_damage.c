/* SPDX-License-Identifier: MIT */
/*
 * The asset store's files damaged, cut short, exchanged, and the disk full:
 * nothing is deleted, nothing opens that was not put there, and nothing that
 * was taken or purged comes back.
 */
#include "tests/assets.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/assets.h"

static const uint32_t abc[] = {1, 2, 3}, abd[] = {1, 2, 4};
enum { SLOTS_AT = 256, SLOT = 128 };

/* ---- files ------------------------------------------------------------- */

static const char *in(const char *path, const char *name)
{
    static char text[2][700];
    static int n;
    n = 1 - n;
    (void)snprintf(text[n], sizeof text[n], "%s/%s", path, name);
    return text[n];
}

/* The first (or last) that matches below `path`; "" when none does. */
static const char *find(const char *path, const char *pattern, bool last)
{
    static char text[700];
    glob_t found;
    text[0] = '\0';
    if (glob(in(path, pattern), 0, NULL, &found) == 0) {
        (void)snprintf(text, sizeof text, "%s", found.gl_pathv[last ? found.gl_pathc - 1 : 0]);
        globfree(&found);
    }
    return text;
}

static size_t how_many(const char *path, const char *pattern)
{
    glob_t found;
    size_t n = 0;
    if (glob(in(path, pattern), 0, NULL, &found) == 0) {
        n = found.gl_pathc;
        globfree(&found);
    }
    return n;
}

static off_t size_of(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0 ? st.st_size : -1;
}

static void flip(const char *file, off_t at)
{
    uint8_t byte = 0;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 0x10;
    CU_ASSERT(pwrite(fd, &byte, 1, at) == 1);
    (void)close(fd);
}

static void copy(const char *from, const char *to)
{
    char command[1500];
    (void)snprintf(command, sizeof command, "cp -r '%s' '%s'", from, to);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

/* Whether any file below the folder holds these bytes. */
static bool disk_holds(const char *path, const void *bytes, size_t len)
{
    static const char *const patterns[] = {"*", "db/*"};
    for (size_t p = 0; p < 2; p++) {
        glob_t found;
        if (glob(in(path, patterns[p]), 0, NULL, &found) != 0)
            continue;
        for (size_t i = 0; i < found.gl_pathc; i++) {
            FILE *f = fopen(found.gl_pathv[i], "rb");
            off_t size = size_of(found.gl_pathv[i]);
            uint8_t *content = malloc((size_t)size + 1);
            size_t n = f != NULL ? fread(content, 1, (size_t)size, f) : 0;
            bool has = n > 0 && memmem(content, n, bytes, len) != NULL;
            free(content);
            if (f != NULL)
                (void)fclose(f);
            if (has) {
                globfree(&found);
                return true;
            }
        }
        globfree(&found);
    }
    return false;
}

/* Ids 0..n-1; even ones involve 1 2 3, odd ones 1 2 4. */
static struct mig_asset_key nth(uint32_t n)
{
    return key_of(MIG_ASSET_TRIPLE, 2, n);
}

static struct mig_assets *filled(const char *path, uint32_t n)
{
    struct mig_assets *a = open_assets(path);
    for (uint32_t i = 0; i < n; i++) {
        struct mig_asset_key key = nth(i);
        CU_ASSERT_EQUAL(put(a, &key, i % 2 == 0 ? abc : abd, 3), MIG_OK);
    }
    return a;
}

static const char *made(uint32_t n)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s", fresh_path());
    struct mig_assets *a = filled(path, n);
    mig_assets_close(&a);
    return path;
}

/* ---- exchanged --------------------------------------------------------- */

/* Behind the store's back. */
static void swap_values(const char *path, uint32_t set, uint32_t n, uint32_t other_set, uint32_t m)
{
    struct mig_engine *engine;
    struct mig_asset_key x = nth(n), y = nth(m);
    struct mig_asset_at at_x = mig_asset_at_value(set, &x), at_y = mig_asset_at_value(other_set, &y);
    uint8_t vx[1000], vy[1000];
    size_t nx, ny;
    CU_ASSERT_EQUAL_FATAL(mig_engine_open(in(path, "db"), NULL, &engine), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_engine_get(engine, mig_asset_at(&at_x), vx, sizeof vx, &nx), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_engine_get(engine, mig_asset_at(&at_y), vy, sizeof vy, &ny), MIG_OK);
    struct mig_engine_batch *batch = mig_engine_batch_new();
    mig_engine_batch_put(batch, mig_asset_at(&at_x), (struct mig_bytes){vy, ny});
    mig_engine_batch_put(batch, mig_asset_at(&at_y), (struct mig_bytes){vx, nx});
    CU_ASSERT_EQUAL(mig_engine_commit(engine, batch, true), MIG_OK);
    mig_engine_batch_free(&batch);
    mig_engine_close(&engine);
}

static void exchanged_values_do_not_open(void)
{
    const char *path = made(6);
    swap_values(path, 1, 0, 1, 2); /* of one set */
    swap_values(path, 1, 4, 2, 1); /* of two */
    struct mig_assets *a = open_assets(path);
    struct mig_assets_stats stats;
    for (int round = 0; round < 2; round++) /* they stay */
        for (uint32_t n = 0; n < 5; n++) {
            struct mig_asset_key key = nth(n);
            if (n != 3)
                CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_MALFORMED);
        }
    uint8_t value[MIG_ASSET_VALUE_MAX];
    size_t len;
    struct mig_asset_taken taken;
    static const uint32_t all[] = {1, 2, 3, 4};
    for (int i = 0; i < 2; i++)
        CU_ASSERT_EQUAL(mig_assets_take_any(a, MIG_ASSET_TRIPLE, 2, all, 4, value, sizeof value, &len, &taken), MIG_OK);
    CU_ASSERT_NOT_EQUAL(mig_assets_take_any(a, MIG_ASSET_TRIPLE, 2, all, 4, value, sizeof value, &len, &taken), MIG_OK);
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.damaged >= 8 && stats.triples == 4);
    mig_assets_close(&a);
}

static void an_index_that_points_elsewhere_finds_nothing(void)
{
    const char *path = made(4);
    struct mig_engine *engine;
    struct mig_asset_key key = nth(0);
    struct mig_asset_at at = mig_asset_at_index(&key);
    static const uint8_t other[] = {0, 0, 0, 2}, unknown[] = {0, 0, 9, 9};
    CU_ASSERT_EQUAL_FATAL(mig_engine_open(in(path, "db"), NULL, &engine), MIG_OK);
    struct mig_engine_batch *batch = mig_engine_batch_new();
    mig_engine_batch_put(batch, mig_asset_at(&at), (struct mig_bytes){other, 4});
    key = nth(1);
    at = mig_asset_at_index(&key);
    mig_engine_batch_put(batch, mig_asset_at(&at), (struct mig_bytes){unknown, 4});
    CU_ASSERT_EQUAL(mig_engine_commit(engine, batch, true), MIG_OK);
    mig_engine_batch_free(&batch);
    mig_engine_close(&engine);
    struct mig_assets *a = open_assets(path);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_NOT_FOUND);
    key = nth(0);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_MALFORMED);
    mig_assets_close(&a);
}

/* ---- quarantine -------------------------------------------------------- */

/* An empty store that works; the old one, or what there was of it, set aside. */
static void check_quarantined(const char *path, size_t keys, size_t db)
{
    struct mig_assets *a = open_assets(path);
    struct mig_assets_stats stats;
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.quarantined == 1 && stats.triples == 0);
    CU_ASSERT(strlen(mig_assets_quarantine_reason(a)) > 0);
    CU_ASSERT_EQUAL(how_many(path, "quarantine/keys.*"), keys);
    CU_ASSERT_EQUAL(how_many(path, "quarantine/db.*"), db);
    struct mig_asset_key key = nth(0);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    mig_assets_close(&a);
    a = open_assets(path);
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.quarantined == 0 && stats.triples == 1);
    CU_ASSERT_STRING_EQUAL(mig_assets_quarantine_reason(a), "");
    mig_assets_close(&a);
}

static void a_damaged_key_file_is_set_aside(void)
{
    static const off_t places[] = {0, 7, 8, 24, 45, 128, 140};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *path = made(4);
        /* The mark is only there to be damaged once something was taken. */
        flip(in(path, "keys"), places[i]);
        check_quarantined(path, 1, 1);
    }
}

static void a_key_file_cut_short_is_set_aside(void)
{
    static const off_t lengths[] = {0, 100, SLOTS_AT - 1, SLOTS_AT, SLOTS_AT + SLOT, SLOTS_AT + 2 * SLOT - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const char *path = made(4);
        CU_ASSERT_EQUAL(truncate(in(path, "keys"), lengths[i]), 0);
        check_quarantined(path, 1, 1);
    }
}

static void half_a_store_is_set_aside(void)
{
    char command[800];
    const char *path = made(4);
    CU_ASSERT_EQUAL(unlink(in(path, "keys")), 0);
    check_quarantined(path, 0, 1);
    path = made(4);
    (void)snprintf(command, sizeof command, "rm -r '%s/db'", path);
    CU_ASSERT_EQUAL(system(command), 0);
    check_quarantined(path, 1, 1); /* the empty one that was begun */
}

static void another_stores_assets_are_set_aside(void)
{
    char first[512], command[1200];
    (void)snprintf(first, sizeof first, "%s", made(4));
    const char *path = made(4);
    (void)snprintf(command, sizeof command, "rm -r '%s/db' && cp -r '%s/db' '%s/db'", path, first, path);
    CU_ASSERT_EQUAL(system(command), 0);
    check_quarantined(path, 1, 1);
}

static void what_is_not_an_engines_folder_is_set_aside(void)
{
    char command[1600];
    const char *path = made(4);
    (void)snprintf(command, sizeof command, "rm -r '%s/db' && echo hello >'%s/db'", path, path);
    CU_ASSERT_EQUAL(system(command), 0);
    check_quarantined(path, 1, 1);
    path = made(4);
    (void)snprintf(command, sizeof command, "mv '%s/db' '%s/elsewhere' && ln -s elsewhere '%s/db'", path, path, path);
    CU_ASSERT_EQUAL(system(command), 0);
    check_quarantined(path, 1, 1);
    path = made(4);
    (void)snprintf(command, sizeof command, "echo nonsense >'%s/db/CURRENT'", path);
    CU_ASSERT_EQUAL(system(command), 0);
    check_quarantined(path, 1, 1);
    path = made(4);
    CU_ASSERT_EQUAL(truncate(find(path, "db/MANIFEST-*", true), 20), 0);
    check_quarantined(path, 1, 1);
    path = made(4);
    CU_ASSERT_EQUAL(unlink(find(path, "db/MANIFEST-*", true)), 0);
    check_quarantined(path, 1, 1);
    path = made(4);
    flip(find(path, "db/MANIFEST-*", true), 40);
    check_quarantined(path, 1, 1);
}

static void a_linked_or_open_folder_is_refused(void)
{
    struct mig_assets *a = NULL;
    char link[600];
    const char *path = made(1), *why = "";
    (void)snprintf(link, sizeof link, "%s-link", path);
    CU_ASSERT_EQUAL(symlink(path, link), 0);
    CU_ASSERT_EQUAL(mig_assets_open(link, store_key, &a, &why), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(chmod(path, 0750), 0);
    CU_ASSERT_EQUAL(mig_assets_open(path, store_key, &a, NULL), MIG_ERR_DENIED);
    CU_ASSERT_PTR_NULL(a);
}

/* ---- the engine's files ------------------------------------------------ */

/* A store out of which 0..9 of 20 were taken, its log still unread. */
static const char *partly_taken(void)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s", fresh_path());
    struct mig_assets *a = filled(path, 20);
    for (uint32_t n = 0; n < 10; n++) {
        struct mig_asset_key key = nth(n);
        CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    }
    mig_assets_close(&a);
    return path;
}

static void check_nothing_taken_comes_back(const char *path)
{
    struct mig_assets *a = open_assets(path);
    for (uint32_t n = 0; n < 20; n++) {
        struct mig_asset_key key = nth(n);
        enum mig_err err = take(a, &key); /* checks the value */
        if (n < 10)
            CU_ASSERT_NOT_EQUAL(err, MIG_OK);
    }
    mig_assets_close(&a);
}

static void a_log_cut_short_brings_nothing_back(void)
{
    char original[512], path[600];
    (void)snprintf(original, sizeof original, "%s", partly_taken());
    off_t size = size_of(find(original, "db/*.log", true));
    CU_ASSERT(size > 1000);
    for (off_t cut = 0; cut < 12; cut++) {
        (void)snprintf(path, sizeof path, "%s-%d", original, (int)cut);
        copy(original, path);
        const char *log = find(path, "db/*.log", true);
        off_t length = cut == 10 ? size - 1 : size * cut / 10;
        CU_ASSERT_EQUAL(cut == 11 ? unlink(log) : truncate(log, length), 0);
        check_nothing_taken_comes_back(path);
        CU_ASSERT_EQUAL(how_many(path, "quarantine/db.*"), 1);
    }
}

static void a_damaged_log_brings_nothing_back(void)
{
    char original[512], path[600];
    (void)snprintf(original, sizeof original, "%s", partly_taken());
    off_t size = size_of(find(original, "db/*.log", true));
    for (off_t i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof path, "%s-%d", original, (int)i);
        copy(original, path);
        flip(find(path, "db/*.log", true), size * i / 10 + 3);
        check_nothing_taken_comes_back(path);
        CU_ASSERT_EQUAL(how_many(path, "quarantine/db.*"), 1);
    }
}

static void a_damaged_table_gives_no_wrong_value(void)
{
    char original[512], path[600];
    (void)snprintf(original, sizeof original, "%s", fresh_path());
    struct mig_assets *a = filled(original, 20);
    for (uint32_t n = 0; n < 10; n++) {
        struct mig_asset_key key = nth(n);
        CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    }
    CU_ASSERT_EQUAL(mig_assets_reclaim(a), MIG_OK);
    mig_assets_close(&a);
    off_t size = size_of(find(original, "db/*.sst", true));
    CU_ASSERT(size > 1000);
    for (off_t i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof path, "%s-%d", original, (int)i);
        copy(original, path);
        flip(find(path, "db/*.sst", true), size * i / 10 + 3);
        check_nothing_taken_comes_back(path);
    }
    (void)snprintf(path, sizeof path, "%s-short", original);
    copy(original, path);
    CU_ASSERT_EQUAL(truncate(find(path, "db/*.sst", true), size / 2), 0);
    check_quarantined(path, 1, 1);
    (void)snprintf(path, sizeof path, "%s-gone", original);
    copy(original, path);
    CU_ASSERT_EQUAL(unlink(find(path, "db/*.sst", true)), 0);
    check_quarantined(path, 1, 1);
}

/* ---- keys of sets ------------------------------------------------------ */

static void a_damaged_set_key_costs_that_set_only(void)
{
    const char *path = made(6);
    struct mig_assets_stats stats;
    static const uint32_t gone[] = {3};
    flip(in(path, "keys"), SLOTS_AT + 30); /* of 1 2 3 */
    struct mig_assets *a = open_assets(path);
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.damaged == 1 && stats.quarantined == 0 && stats.triples == 3 && stats.sets == 1);
    struct mig_asset_key lost = nth(0), fine = nth(1), fresh = nth(100);
    CU_ASSERT_EQUAL(take(a, &lost), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(take(a, &fine), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &lost, abc, 3), MIG_ERR_CONFLICT); /* kept for whoever repairs it */
    CU_ASSERT_EQUAL(put(a, &fresh, abc, 3), MIG_OK);
    mig_assets_close(&a);
    a = open_assets(path);
    CU_ASSERT_EQUAL(take(a, &fresh), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &lost, abc, 3), MIG_OK);
    mig_assets_close(&a);
}

static void keys_in_exchanged_slots_do_not_open(void)
{
    const char *path = made(6);
    struct mig_assets_stats stats;
    uint8_t slots[2][SLOT];
    int fd = open(in(path, "keys"), O_RDWR | O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0 && pread(fd, slots, sizeof slots, SLOTS_AT) == sizeof slots);
    CU_ASSERT(pwrite(fd, slots[1], SLOT, SLOTS_AT) == SLOT && pwrite(fd, slots[0], SLOT, SLOTS_AT + SLOT) == SLOT);
    (void)close(fd);
    struct mig_assets *a = open_assets(path);
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.damaged == 2 && stats.triples == 0);
    mig_assets_close(&a);
}

/* What a crash in the middle of a purge leaves. */
static void a_destroyed_key_ends_its_purge_at_the_next_open(void)
{
    const char *path = made(6);
    static const uint8_t zeros[SLOT];
    struct mig_assets_stats stats;
    int fd = open(in(path, "keys"), O_RDWR | O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0 && pwrite(fd, zeros, SLOT, SLOTS_AT) == SLOT);
    (void)close(fd);
    struct mig_assets *a = open_assets(path);
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.damaged == 0 && stats.triples == 3 && stats.sets == 1);
    struct mig_asset_key key = nth(0);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    mig_assets_close(&a);
}

/* The value itself may stay on the disk for long: it is of no use. */
static void a_purged_key_is_nowhere_on_the_disk(void)
{
    char path[512];
    static const uint32_t gone[] = {3};
    uint8_t slot[SLOT], plain[ASSET_LEN], sealed[1000], key_before[32], opened[1000];
    size_t len, opened_len;
    (void)snprintf(path, sizeof path, "%s", fresh_path());
    struct mig_assets *a = filled(path, 6);
    struct mig_asset_key key = nth(0);
    struct mig_asset_at at = mig_asset_at_value(1, &key);
    value_of(&key, plain);
    CU_ASSERT_EQUAL(mig_engine_get(a->engine, mig_asset_at(&at), sealed, sizeof sealed, &len), MIG_OK);
    memcpy(key_before, a->set_keys->bytes, sizeof key_before);
    CU_ASSERT_EQUAL(mig_asset_open(key_before, mig_asset_at(&at), (struct mig_bytes){sealed, len}, opened, &opened_len), MIG_OK);
    int fd = open(in(path, "keys"), O_RDONLY | O_CLOEXEC);
    CU_ASSERT(pread(fd, slot, SLOT, SLOTS_AT) == SLOT);
    (void)close(fd);
    CU_ASSERT(disk_holds(path, slot + 24, 48)); /* the scan finds what is there */
    CU_ASSERT(disk_holds(path, sealed, len));
    CU_ASSERT_FALSE(disk_holds(path, plain, sizeof plain));
    CU_ASSERT_FALSE(disk_holds(path, key_before, sizeof key_before));

    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_OK);
    CU_ASSERT(disk_holds(path, sealed, len));
    CU_ASSERT_FALSE(disk_holds(path, slot, 24));
    CU_ASSERT_FALSE(disk_holds(path, slot + 24, 48));
    CU_ASSERT_FALSE(disk_holds(path, key_before, sizeof key_before));
    static const uint8_t zeros[32];
    CU_ASSERT_EQUAL(memcmp(a->set_keys->bytes, zeros, sizeof zeros), 0); /* nor in memory */
    /* None of the keys that are left opens it. */
    for (uint32_t i = 0; i < MIG_ASSET_SETS_MAX; i += i < 64 ? 1 : 1000)
        CU_ASSERT_EQUAL(mig_asset_open(a->set_keys->bytes + 32 * i, mig_asset_at(&at), (struct mig_bytes){sealed, len}, opened, &opened_len), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_assets_reclaim(a), MIG_OK);
    mig_assets_close(&a);
    CU_ASSERT_FALSE(disk_holds(path, sealed, len));
}

/* ---- a full disk ------------------------------------------------------- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_during_a_purge_can_be_resumed(void)
{
    static const uint32_t gone[] = {4};
    const char *path = fresh_path();
    (void)signal(SIGXFSZ, SIG_IGN);
    struct mig_assets *a = filled(path, 200);
    limit_files(8192); /* the key file is shorter, the log longer */
    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_ERR_IO);
    for (uint32_t n = 1; n < 10; n += 2) {
        struct mig_asset_key key = nth(n);
        CU_ASSERT_NOT_EQUAL(take(a, &key), MIG_OK);
    }
    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_ERR_IO);
    limit_files(RLIM_INFINITY);
    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_OK);
    CU_ASSERT_EQUAL(held(a), 100);
    for (uint32_t n = 0; n < 200; n++) {
        struct mig_asset_key key = nth(n);
        CU_ASSERT_EQUAL(take(a, &key), n % 2 == 0 ? MIG_OK : MIG_ERR_NOT_FOUND);
    }
    mig_assets_close(&a);
}

static void a_full_disk_during_a_purge_leaves_nothing_to_a_restart(void)
{
    static const uint32_t gone[] = {4};
    char path[512];
    (void)snprintf(path, sizeof path, "%s", fresh_path());
    struct mig_assets *a = filled(path, 200);
    limit_files(8192);
    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_ERR_IO);
    mig_assets_close(&a);
    limit_files(RLIM_INFINITY);
    a = open_assets(path);
    struct mig_assets_stats stats;
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.quarantined == 0 && stats.triples == 100 && stats.sets == 1);
    for (uint32_t n = 0; n < 200; n++) {
        struct mig_asset_key key = nth(n);
        CU_ASSERT_EQUAL(take(a, &key), n % 2 == 0 ? MIG_OK : MIG_ERR_NOT_FOUND);
    }
    mig_assets_close(&a);
}

static void a_full_disk_fails_takes_and_puts_and_passes(void)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s", fresh_path());
    struct mig_assets *a = filled(path, 200);
    struct mig_asset_key key = nth(0), fresh = nth(1000);
    limit_files(8192);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_IO);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_IO); /* it cannot be repaired either */
    CU_ASSERT_EQUAL(put(a, &fresh, abc, 3), MIG_ERR_IO);
    CU_ASSERT_EQUAL(mig_assets_sync(a), MIG_ERR_IO);
    CU_ASSERT_EQUAL(mig_assets_reclaim(a), MIG_ERR_IO);
    limit_files(RLIM_INFINITY);
    int got = 0;
    for (int i = 0; i < 3; i++)
        got += take(a, &key) == MIG_OK;
    CU_ASSERT(got <= 1);
    CU_ASSERT_EQUAL(held(a), 199);
    CU_ASSERT_EQUAL(put(a, &fresh, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_sync(a), MIG_OK);
    mig_assets_close(&a);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(exchanged_values_do_not_open),
        TEST(an_index_that_points_elsewhere_finds_nothing),
        TEST(a_damaged_key_file_is_set_aside),
        TEST(a_key_file_cut_short_is_set_aside),
        TEST(half_a_store_is_set_aside),
        TEST(another_stores_assets_are_set_aside),
        TEST(what_is_not_an_engines_folder_is_set_aside),
        TEST(a_linked_or_open_folder_is_refused),
        TEST(a_log_cut_short_brings_nothing_back),
        TEST(a_damaged_log_brings_nothing_back),
        TEST(a_damaged_table_gives_no_wrong_value),
        TEST(a_damaged_set_key_costs_that_set_only),
        TEST(keys_in_exchanged_slots_do_not_open),
        TEST(a_destroyed_key_ends_its_purge_at_the_next_open),
        TEST(a_purged_key_is_nowhere_on_the_disk),
        TEST(a_full_disk_during_a_purge_can_be_resumed),
        TEST(a_full_disk_during_a_purge_leaves_nothing_to_a_restart),
        TEST(a_full_disk_fails_takes_and_puts_and_passes),
    };
    return run_tests("assets_damage", tests, sizeof tests / sizeof *tests);
}

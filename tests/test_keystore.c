/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "crypto/exchange.h"
#include "store/keystore.h"
#include "tests/views.h"

static char folder[512];
static struct mig_secret *key;
static struct mig_keystore *store;
static const char *why;
static struct mig_receipt receipt;

typedef uint8_t share[MIG_SHARE_LEN];
static share mine[8];

static void fill(share *shares, uint8_t with)
{
    for (size_t i = 0; i < 8; i++)
        memset(shares[i], with + (int)i, MIG_SHARE_LEN);
}

static enum mig_err open_as(enum mig_keystore_kind kind)
{
    return mig_keystore_open(folder, kind, key, "v1.signer", &store, &why);
}

static void fresh(const char *name)
{
    (void)snprintf(folder, sizeof folder, "%s/%s", test_dir(), name);
    mig_secret_free(&key);
    key = mig_secret_new(32);
    memset(key->bytes, 7, 32);
    fill(mine, 10);
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_NODE), MIG_OK);
}

static void reopen(void)
{
    mig_keystore_close(&store);
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_NODE), MIG_OK);
}

static void end(void)
{
    mig_keystore_close(&store);
    mig_secret_free(&key);
}

static enum mig_err import(const struct mig_keyset *keyset, const share *shares, uint64_t now)
{
    return mig_keystore_import(store, keyset, shares, now, NULL, &receipt);
}

static bool holds(const struct mig_keyset *keyset, const share *want)
{
    share got[8];
    memset(got, 0xee, sizeof got);
    return mig_keystore_load(store, keyset, got) == MIG_OK &&
           memcmp(got, want, keyset->count * MIG_SHARE_LEN) == 0;
}

static bool lacks(const struct mig_keyset *keyset)
{
    share got[8];
    struct mig_receipt none;
    return mig_keystore_load(store, keyset, got) == MIG_ERR_NOT_FOUND &&
           mig_keystore_receipt(store, keyset, &none) == MIG_ERR_NOT_FOUND;
}

static char *path_of(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *file_of(const struct mig_keyset *keyset)
{
    static char name[128];
    uint8_t digest[MIG_DIGEST_LEN];
    mig_keyset_digest("v1.signer", keyset, digest);
    CU_ASSERT_EQUAL_FATAL(mig_hex_encode(digest, sizeof digest, name, sizeof name), MIG_OK);
    strcat(name, ".shares");
    return name;
}

static int count_in(const char *sub, const char *ending)
{
    char path[1024];
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, sub);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name), end_len = strlen(ending);
        n +=
            e->d_name[0] != '.' && len >= end_len && strcmp(e->d_name + len - end_len, ending) == 0;
    }
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static int hidden(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += strncmp(e->d_name, ".shares", 7) == 0;
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static void put_file(const char *name, const void *bytes, size_t len)
{
    int fd = open(path_of(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CU_ASSERT_FATAL(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    (void)close(fd);
}

static size_t get_file(const char *name, uint8_t *bytes, size_t cap)
{
    int fd = open(path_of(name), O_RDONLY);
    CU_ASSERT_FATAL(fd >= 0);
    ssize_t n = read(fd, bytes, cap);
    (void)close(fd);
    return (size_t)n;
}

/* ---- refusals first ---------------------------------------------------- */

static void a_folder_open_to_others_is_refused(void)
{
    fresh("modes");
    mig_keystore_close(&store);
    static const mode_t bad[] = {0701, 0710, 0704, 0740, 0777};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL_FATAL(chmod(folder, bad[i]), 0);
        CU_ASSERT_EQUAL(open_as(MIG_KEYSTORE_NODE), MIG_ERR_DENIED);
        CU_ASSERT(store == NULL && strstr(why, "chmod") != NULL);
    }
    end();
}

static void a_folder_of_another_user_is_refused(void)
{
    if (geteuid() != 0)
        return; /* only root can give a folder away */
    fresh("foreign");
    mig_keystore_close(&store);
    CU_ASSERT_EQUAL_FATAL(chown(folder, 65534, 65534), 0);
    CU_ASSERT_EQUAL(open_as(MIG_KEYSTORE_NODE), MIG_ERR_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "another user"));
    end();
}

static void a_link_or_a_file_is_no_folder(void)
{
    fresh("real");
    mig_keystore_close(&store);
    char link[1024];
    (void)snprintf(link, sizeof link, "%s-link", folder);
    CU_ASSERT_EQUAL_FATAL(symlink(folder, link), 0);
    CU_ASSERT_EQUAL(mig_keystore_open(link, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why),
                    MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(
        mig_keystore_open(path_of("lock"), MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why),
        MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(
        mig_keystore_open(path_of("a/b"), MIG_KEYSTORE_NODE, key, "v1.signer", &store, NULL),
        MIG_ERR_IO);
    end();
}

static void a_second_owner_is_refused_and_a_reader_is_not(void)
{
    fresh("twice");
    struct mig_keyset set = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    struct mig_keystore *first = store;
    CU_ASSERT_EQUAL(open_as(MIG_KEYSTORE_NODE), MIG_ERR_STATE);
    CU_ASSERT(store == NULL && strstr(why, "another process") != NULL);
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_READER), MIG_OK);
    CU_ASSERT(holds(&set, mine));
    CU_ASSERT_EQUAL(import(&set, mine, 1), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_ERR_DENIED);
    mig_keystore_close(&store);
    mig_keystore_close(&first);
    CU_ASSERT_EQUAL(open_as(MIG_KEYSTORE_NODE), MIG_OK);
    mig_keyset_clear(&set);
    end();
}

static void a_reader_creates_nothing(void)
{
    (void)snprintf(folder, sizeof folder, "%s/absent", test_dir());
    key = mig_secret_new(32);
    CU_ASSERT_EQUAL(open_as(MIG_KEYSTORE_READER), MIG_ERR_NOT_FOUND);
    CU_ASSERT_NOT_EQUAL(access(folder, F_OK), 0);
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
    put_file("x.shares", "junk", 4);
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_READER), MIG_OK);
    CU_ASSERT_EQUAL(count_in("", ""), 1);
    end();
}

static void a_wrong_store_key_is_refused_and_moves_nothing(void)
{
    fresh("key");
    struct mig_keyset set = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    mig_keystore_close(&store);
    key->bytes[31] ^= 1;
    CU_ASSERT_EQUAL(open_as(MIG_KEYSTORE_NODE), MIG_ERR_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "store key"));
    key->bytes[31] ^= 1;
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_NODE), MIG_OK);
    CU_ASSERT(holds(&set, mine) && mig_keystore_quarantined(store) == 0);
    mig_keyset_clear(&set);
    end();
}

static void another_contract_is_refused_and_moves_nothing(void)
{
    fresh("contract");
    struct mig_keyset set = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    mig_keystore_close(&store);
    CU_ASSERT_EQUAL(mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v2.signer", &store, &why),
                    MIG_ERR_DENIED);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "contract"));
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_NODE), MIG_OK);
    CU_ASSERT(holds(&set, mine));
    mig_keyset_clear(&set);
    end();
}

static void keys_and_names_of_a_wrong_length_are_refused(void)
{
    fresh("lengths");
    mig_keystore_close(&store);
    struct mig_secret *brief = mig_secret_new(31);
    CU_ASSERT_EQUAL(mig_keystore_open(folder, MIG_KEYSTORE_NODE, brief, "v1.signer", &store, &why),
                    MIG_ERR_MALFORMED);
    char name[MIG_ACCOUNT_MAX + 2];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    CU_ASSERT_EQUAL(mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, name, &store, &why),
                    MIG_ERR_MALFORMED);
    mig_secret_free(&brief);
    end();
}

static void odd_keysets_are_refused(void)
{
    fresh("odd");
    struct mig_keyset set = keyset_of(5, 0, 3);
    struct mig_domain_key saved = set.domains[1];
    set.domains[1].domain = set.domains[0].domain; /* duplicated */
    CU_ASSERT_EQUAL(import(&set, mine, 1), MIG_ERR_MALFORMED);
    set.domains[1] = saved;
    set.domains[1].domain = 100; /* not sorted */
    CU_ASSERT_EQUAL(import(&set, mine, 1), MIG_ERR_MALFORMED);
    set.domains[1] = saved;
    set.domains[1].key_len = 31;
    CU_ASSERT_EQUAL(import(&set, mine, 1), MIG_ERR_MALFORMED);
    set.domains[1] = saved;
    set.count = 0;
    share got[1];
    CU_ASSERT_EQUAL(import(&set, mine, 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_keystore_load(store, &set, got), MIG_ERR_NOT_FOUND);
    set.count = MIG_DOMAINS_MAX + 1;
    CU_ASSERT_EQUAL(import(&set, mine, 1), MIG_ERR_MALFORMED);
    CU_ASSERT(count_in("", ".shares") == 0 && hidden() == 0);
    mig_keyset_clear(&set);
    end();
}

static void an_older_epoch_is_refused_by_a_node_and_kept_by_a_vault(void)
{
    fresh("older");
    struct mig_keyset six = keyset_of(6, 0, 3), five = keyset_of(5, 0, 3),
                      zero = keyset_of(0, 0, 1);
    CU_ASSERT_EQUAL(import(&five, mine, 1000), MIG_OK);
    CU_ASSERT_EQUAL(import(&six, mine, 1001), MIG_OK);
    CU_ASSERT_EQUAL(import(&five, mine, 1002), MIG_ERR_CONFLICT); /* even the same shares */
    CU_ASSERT_EQUAL(import(&zero, mine, 1003), MIG_ERR_CONFLICT);
    CU_ASSERT(lacks(&zero) && holds(&five, mine));
    reopen();
    CU_ASSERT_EQUAL(import(&zero, mine, 1004), MIG_ERR_CONFLICT);
    mig_keystore_close(&store);
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_VAULT), MIG_OK);
    CU_ASSERT_EQUAL(import(&zero, mine, 1005), MIG_OK);
    CU_ASSERT(holds(&zero, mine));
    mig_keyset_clear(&six);
    mig_keyset_clear(&five);
    mig_keyset_clear(&zero);
    end();
}

static void different_shares_never_replace_what_is_there(void)
{
    fresh("different");
    struct mig_keyset set = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    for (size_t i = 0; i < 3; i++) {
        share other[8];
        memcpy(other, mine, sizeof other);
        other[i][31] ^= 1;
        CU_ASSERT_EQUAL(import(&set, other, 1001), MIG_ERR_CONFLICT);
        CU_ASSERT(holds(&set, mine));
    }
    reopen();
    CU_ASSERT(holds(&set, mine));
    mig_keyset_clear(&set);
    end();
}

/* ---- what it keeps ----------------------------------------------------- */

static void what_was_imported_is_loaded_also_after_a_restart(void)
{
    fresh("keeps");
    struct mig_keyset set = keyset_of(5, 2, 3);
    struct mig_receipt again;
    CU_ASSERT(lacks(&set));
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    CU_ASSERT(receipt.epoch == 5 && receipt.shares == 3 && receipt.imported_at == 1000 &&
              !receipt.repeated);
    CU_ASSERT(holds(&set, mine));
    reopen();
    CU_ASSERT(holds(&set, mine) && holds(&set, mine));
    CU_ASSERT_EQUAL(mig_keystore_receipt(store, &set, &again), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(&again, &receipt, sizeof again), 0);
    mig_keyset_clear(&set);
    end();
}

static void the_same_shares_are_a_repeat_with_the_first_time(void)
{
    fresh("repeat");
    struct mig_keyset set = keyset_of(5, 0, 2);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    struct stat a, b;
    CU_ASSERT_EQUAL_FATAL(stat(path_of(file_of(&set)), &a), 0);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(import(&set, mine, 2000), MIG_OK);
        CU_ASSERT(receipt.repeated && receipt.imported_at == 1000 && receipt.shares == 2 &&
                  receipt.epoch == 5);
        reopen();
    }
    CU_ASSERT(stat(path_of(file_of(&set)), &b) == 0 && a.st_ino == b.st_ino &&
              a.st_mtime == b.st_mtime);
    mig_keyset_clear(&set);
    end();
}

static void another_attempt_of_the_epoch_is_kept_beside(void)
{
    fresh("attempt");
    struct mig_keyset first = keyset_of(5, 0, 3), second = keyset_of(5, 1, 3);
    share other[8];
    fill(other, 90);
    CU_ASSERT_EQUAL(import(&second, other, 1000), MIG_OK);
    CU_ASSERT_EQUAL(import(&first, mine, 1001), MIG_OK);
    CU_ASSERT(holds(&first, mine) && holds(&second, other));
    reopen();
    CU_ASSERT(holds(&first, mine) && holds(&second, other));
    struct mig_keystore_entry *list;
    size_t count;
    CU_ASSERT_EQUAL_FATAL(mig_keystore_list(store, &list, &count), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT(list[0].current && list[0].receipt.imported_at == 1001 && !list[1].current);
    free(list);
    mig_keyset_clear(&first);
    mig_keyset_clear(&second);
    end();
}

static bool points_to(const struct mig_keyset *keyset)
{
    struct stat a, b;
    return stat(path_of("current"), &a) == 0 && stat(path_of(file_of(keyset)), &b) == 0 &&
           a.st_ino == b.st_ino;
}

static void the_pointer_names_the_newest_import(void)
{
    fresh("pointer");
    struct mig_keyset five = keyset_of(5, 0, 3), six = keyset_of(6, 0, 3);
    CU_ASSERT_EQUAL(import(&five, mine, 1000), MIG_OK);
    CU_ASSERT(points_to(&five));
    CU_ASSERT_EQUAL(import(&six, mine, 1000), MIG_OK);
    CU_ASSERT(points_to(&six));
    CU_ASSERT_EQUAL(import(&six, mine, 1000), MIG_OK); /* a repeat moves nothing */
    CU_ASSERT(points_to(&six) && hidden() == 0);
    /* Lost or wrong, it is put right at the next open. */
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL_FATAL(unlink(path_of("current")), 0);
        if (i == 1)
            CU_ASSERT_EQUAL_FATAL(symlink("/etc/passwd", path_of("current")), 0);
        if (i == 2)
            put_file("current", "x", 1);
        if (i == 3)
            CU_ASSERT_EQUAL_FATAL(symlink(file_of(&five), path_of("current")), 0);
        reopen();
        CU_ASSERT(points_to(&six) && hidden() == 0);
    }
    mig_keyset_clear(&five);
    mig_keyset_clear(&six);
    end();
}

static void a_store_without_entries_has_no_pointer(void)
{
    fresh("none");
    struct mig_keyset five = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&five, mine, 1000), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(truncate(path_of(file_of(&five)), 9), 0);
    reopen();
    CU_ASSERT(access(path_of("current"), F_OK) != 0 && mig_keystore_quarantined(store) == 1);
    mig_keyset_clear(&five);
    end();
}

static void a_pointer_that_cannot_be_written_stops_nothing(void)
{
    fresh("stuck");
    struct mig_keyset five = keyset_of(5, 0, 1), six = keyset_of(6, 0, 1);
    CU_ASSERT_EQUAL(import(&five, mine, 1000), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(unlink(path_of("current")), 0);
    CU_ASSERT_EQUAL_FATAL(mkdir(path_of("current"), 0700), 0);
    reopen();
    CU_ASSERT(holds(&five, mine) && hidden() == 0);
    /* But an import that cannot move it takes itself back. */
    CU_ASSERT_EQUAL(import(&six, mine, 1000), MIG_ERR_IO);
    CU_ASSERT(lacks(&six) && hidden() == 0);
    CU_ASSERT_EQUAL(count_in("", ".shares"), 1);
    mig_keyset_clear(&five);
    mig_keyset_clear(&six);
    end();
}

static void the_largest_keyset_fits(void)
{
    fresh("largest");
    struct mig_keyset set = keyset_of(5, 0, MIG_DOMAINS_MAX);
    share *shares = calloc(MIG_DOMAINS_MAX, sizeof *shares),
          *got = calloc(MIG_DOMAINS_MAX, sizeof *got);
    mig_random(shares, MIG_DOMAINS_MAX * sizeof *shares);
    CU_ASSERT_EQUAL(import(&set, (const share *)shares, 1000), MIG_OK);
    reopen();
    CU_ASSERT_EQUAL(mig_keystore_load(store, &set, got), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(shares, got, MIG_DOMAINS_MAX * sizeof *shares), 0);
    free(shares);
    free(got);
    mig_keyset_clear(&set);
    end();
}

static void files_are_private_and_hold_no_share_in_clear(void)
{
    fresh("private");
    (void)umask(0);
    struct mig_keyset set = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    (void)umask(022);
    struct stat st;
    CU_ASSERT(stat(path_of(file_of(&set)), &st) == 0 && (st.st_mode & 07777) == 0600);
    CU_ASSERT(stat(folder, &st) == 0 && (st.st_mode & 07777) == 0700);
    uint8_t bytes[8192];
    size_t len = get_file(file_of(&set), bytes, sizeof bytes);
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_PTR_NULL(memmem(bytes, len, mine[i], 8));
    mig_keyset_clear(&set);
    end();
}

static void a_keyset_that_differs_in_anything_is_another(void)
{
    fresh("identity");
    struct mig_keyset set = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    for (int i = 0; i < 5; i++) {
        struct mig_keyset other = keyset_of(5, 0, 3);
        if (i == 0)
            other.epoch = 6;
        else if (i == 1)
            other.domains[2].attempt++;
        else if (i == 2)
            other.domains[2].domain++;
        else if (i == 3)
            other.domains[0].key[63] ^= 1;
        else
            other.count = 2;
        CU_ASSERT(lacks(&other));
        mig_keyset_clear(&other);
    }
    CU_ASSERT(holds(&set, mine));
    mig_keyset_clear(&set);
    end();
}

static void the_list_is_newest_first_and_tells_what_reads(void)
{
    fresh("list");
    struct mig_keystore_entry *list;
    size_t count;
    CU_ASSERT_EQUAL(mig_keystore_list(store, &list, &count), MIG_OK);
    CU_ASSERT(list == NULL && count == 0);
    struct mig_keyset set[3];
    for (uint64_t i = 0; i < 3; i++) {
        set[i] = keyset_of(5 + i, 0, 1 + i);
        CU_ASSERT_EQUAL(import(&set[i], mine, 1000 + i), MIG_OK);
    }
    CU_ASSERT_EQUAL_FATAL(truncate(path_of(file_of(&set[1])), 50), 0);
    CU_ASSERT_EQUAL_FATAL(mig_keystore_list(store, &list, &count), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(count, 3);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(list[i].receipt.epoch, 7 - i);
        CU_ASSERT_EQUAL(list[i].receipt.shares, 3 - i);
        CU_ASSERT_EQUAL(list[i].current, i == 0);
        CU_ASSERT_EQUAL(list[i].readable, i != 1);
    }
    /* Damage that comes later is an error, never another share. */
    share got[8];
    CU_ASSERT_EQUAL(mig_keystore_load(store, &set[1], got), MIG_ERR_IO);
    CU_ASSERT_EQUAL(import(&set[2], mine, 1), MIG_OK);
    struct mig_keyset back;
    CU_ASSERT_EQUAL(mig_keystore_keyset(store, list[1].receipt.keyset, &back), MIG_ERR_IO);
    CU_ASSERT_EQUAL(mig_keystore_keyset(store, list[0].receipt.keyset, &back), MIG_OK);
    CU_ASSERT(mig_keyset_is_equal(&back, &set[2]));
    mig_keyset_clear(&back);
    list[0].receipt.keyset[0] ^= 1;
    CU_ASSERT_EQUAL(mig_keystore_keyset(store, list[0].receipt.keyset, &back), MIG_ERR_NOT_FOUND);
    free(list);
    for (size_t i = 0; i < 3; i++)
        mig_keyset_clear(&set[i]);
    end();
}

/* ---- the fence --------------------------------------------------------- */

struct asked {
    int times;
    bool answer;
    bool nothing_there; /* no file had its name yet */
};

static bool ask(void *ctx)
{
    struct asked *asked = ctx;
    asked->times++;
    asked->nothing_there = count_in("", ".shares") == 0;
    return asked->answer;
}

static void a_fence_that_does_not_hold_leaves_nothing(void)
{
    fresh("fence");
    struct mig_keyset set = keyset_of(5, 0, 3);
    struct asked asked = {0};
    struct mig_fence fence = {ask, &asked};
    CU_ASSERT_EQUAL(mig_keystore_import(store, &set, mine, 1000, &fence, &receipt),
                    MIG_ERR_CANCELLED);
    CU_ASSERT(asked.times == 1 && asked.nothing_there);
    CU_ASSERT(lacks(&set) && count_in("", ".shares") == 0 && hidden() == 0);
    CU_ASSERT_EQUAL(access(path_of("current"), F_OK), -1);
    reopen();
    CU_ASSERT(lacks(&set));
    asked.answer = true;
    CU_ASSERT_EQUAL(mig_keystore_import(store, &set, mine, 1001, &fence, &receipt), MIG_OK);
    CU_ASSERT(asked.times == 2 && asked.nothing_there && receipt.imported_at == 1001);
    asked.answer = false; /* a repeat is an answer too */
    CU_ASSERT_EQUAL(mig_keystore_import(store, &set, mine, 1002, &fence, &receipt),
                    MIG_ERR_CANCELLED);
    CU_ASSERT(holds(&set, mine));
    mig_keyset_clear(&set);
    end();
}

/* ---- damage ------------------------------------------------------------ */

static void every_flipped_byte_is_quarantined_never_served(void)
{
    fresh("flip");
    struct mig_keyset set = keyset_of(5, 0, 3);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    char name[128];
    uint8_t good[4096], bad[4096];
    strcpy(name, file_of(&set));
    size_t len = get_file(name, good, sizeof good);
    for (size_t at = 0; at < len; at += at < 100 ? 1 : 7) {
        memcpy(bad, good, len);
        bad[at] ^= 1;
        put_file(name, bad, len);
        reopen();
        CU_ASSERT(lacks(&set) && mig_keystore_quarantined(store) == 1);
    }
    int moved = count_in("quarantine", "");
    CU_ASSERT(moved > 100);
    put_file(name, good, len);
    reopen();
    CU_ASSERT(holds(&set, mine) && mig_keystore_quarantined(store) == 0);
    CU_ASSERT_EQUAL(count_in("quarantine", ""), moved);
    mig_keyset_clear(&set);
    end();
}

static void what_was_damaged_since_the_open_is_imported_again(void)
{
    fresh("heals");
    struct mig_keyset set = keyset_of(5, 0, 3);
    char name[128];
    uint8_t good[4096];
    share other[8];
    fill(other, 90);
    for (int gone = 0; gone <= 1; gone++) {
        CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
        strcpy(name, file_of(&set));
        size_t len = get_file(name, good, sizeof good);
        good[150] ^= 1;
        put_file(name, good, len);
        if (gone) {
            CU_ASSERT_EQUAL(unlink(path_of(name)), 0);
        }
        /* What is lost has no say about what may come. */
        CU_ASSERT_EQUAL(import(&set, other, 2000), MIG_OK);
        CU_ASSERT(holds(&set, other));
        CU_ASSERT_EQUAL(mig_keystore_quarantined(store), gone ? 0 : 1);
        CU_ASSERT_EQUAL(import(&set, mine, 3000), MIG_ERR_CONFLICT);
        reopen();
        CU_ASSERT(holds(&set, other) && mig_keystore_quarantined(store) == 0);
        CU_ASSERT_EQUAL(unlink(path_of(name)), 0);
        reopen();
    }
    mig_keyset_clear(&set);
    end();
}

static void every_length_but_the_right_one_is_quarantined(void)
{
    fresh("length");
    struct mig_keyset set = keyset_of(5, 0, 1);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    char name[128];
    uint8_t good[4096] = {0};
    strcpy(name, file_of(&set));
    size_t len = get_file(name, good, sizeof good);
    for (size_t cut = 0; cut <= len + 1; cut += cut < len - 2 ? 5 : 1) {
        if (cut == len)
            continue;
        put_file(name, good, cut);
        reopen();
        CU_ASSERT(lacks(&set) && mig_keystore_quarantined(store) == 1);
    }
    mig_keyset_clear(&set);
    end();
}

static void foreign_files_are_quarantined_or_left_alone(void)
{
    fresh("alien");
    struct mig_keyset set = keyset_of(5, 0, 2);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    uint8_t good[4096];
    size_t len = get_file(file_of(&set), good, sizeof good);
    put_file("copy.shares", good, len); /* a good file under a wrong name */
    put_file("empty.shares", "", 0);
    put_file("README", "mine", 4);
    put_file("honoured-key", "a record", 8);
    CU_ASSERT_EQUAL_FATAL(mkdir(path_of("dir.shares"), 0700), 0);
    CU_ASSERT_EQUAL_FATAL(mkfifo(path_of("fifo.shares"), 0600), 0);
    CU_ASSERT_EQUAL_FATAL(symlink("/etc/passwd", path_of("link.shares")), 0);
    reopen();
    CU_ASSERT_EQUAL(mig_keystore_quarantined(store), 5);
    CU_ASSERT(holds(&set, mine));
    CU_ASSERT_EQUAL(count_in("quarantine", ""), 5);
    CU_ASSERT(access(path_of("README"), F_OK) == 0 && access(path_of("honoured-key"), F_OK) == 0);
    CU_ASSERT_EQUAL(count_in("", ".shares"), 1);
    mig_keyset_clear(&set);
    end();
}

/* As one with write access to the disk would: the digest put right. */
static void a_forged_file_is_quarantined(void)
{
    fresh("forged");
    struct mig_keyset set = keyset_of(5, 0, 2);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    uint8_t bytes[4096];
    char name[128];
    strcpy(name, file_of(&set));
    size_t len = get_file(name, bytes, sizeof bytes);
    bytes[len - 60] ^= 1; /* a sealed share */
    mig_sha256(bytes, len - MIG_DIGEST_LEN, bytes + len - MIG_DIGEST_LEN);
    put_file(name, bytes, len);
    share got[8];
    reopen();
    CU_ASSERT(lacks(&set) && mig_keystore_quarantined(store) == 1);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    /* Forged while the store is open and not loaded yet: an error, until the
     * shares come again. */
    reopen();
    put_file(name, bytes, len);
    CU_ASSERT_EQUAL(mig_keystore_load(store, &set, got), MIG_ERR_IO);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    CU_ASSERT_EQUAL(mig_keystore_quarantined(store), 1);
    CU_ASSERT_EQUAL(mig_keystore_load(store, &set, got), MIG_OK);
    mig_keyset_clear(&set);
    end();
}

static void files_that_changed_places_are_not_mistaken(void)
{
    fresh("places");
    struct mig_keyset five = keyset_of(5, 0, 2), six = keyset_of(6, 0, 2);
    CU_ASSERT_EQUAL(import(&five, mine, 1000), MIG_OK);
    CU_ASSERT_EQUAL(import(&six, mine, 1000), MIG_OK);
    reopen();
    char from[1024];
    strcpy(from, path_of(file_of(&five)));
    CU_ASSERT_EQUAL_FATAL(rename(from, path_of(file_of(&six))), 0);
    share got[8];
    CU_ASSERT_EQUAL(mig_keystore_load(store, &six, got), MIG_ERR_IO);
    CU_ASSERT_EQUAL(mig_keystore_load(store, &five, got), MIG_ERR_IO);
    CU_ASSERT_EQUAL(import(&six, mine, 1000), MIG_ERR_IO);
    mig_keyset_clear(&five);
    mig_keyset_clear(&six);
    end();
}

/* As after copying files together from elsewhere. */
static void the_list_orders_attempts_by_import(void)
{
    fresh("attempts");
    struct mig_keystore_entry *list;
    size_t count;
    for (uint64_t attempt = 0; attempt < 6; attempt++) {
        struct mig_keyset set = keyset_of(attempt < 4 ? 5 : 6, attempt, 1);
        CU_ASSERT_EQUAL(import(&set, mine, 1000 + attempt), MIG_OK);
        mig_keyset_clear(&set);
    }
    reopen();
    CU_ASSERT_EQUAL_FATAL(mig_keystore_list(store, &list, &count), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(count, 6);
    for (size_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(list[i].receipt.imported_at, 1005 - i);
        CU_ASSERT_EQUAL(list[i].current, i == 0);
    }
    free(list);
    end();
}

static void a_reader_lists_damage_and_moves_nothing(void)
{
    fresh("reader");
    struct mig_keyset set = keyset_of(5, 0, 2), six = keyset_of(6, 0, 2);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    CU_ASSERT_EQUAL(import(&six, mine, 1000), MIG_OK);
    mig_keystore_close(&store);
    CU_ASSERT_EQUAL_FATAL(truncate(path_of(file_of(&six)), 100), 0);
    put_file("z.shares", "junk", 4);
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_READER), MIG_OK);
    struct mig_keystore_entry *list;
    size_t count;
    CU_ASSERT_EQUAL_FATAL(mig_keystore_list(store, &list, &count), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(count, 2);
    CU_ASSERT(list[0].readable && list[0].current && !list[1].readable && !list[1].current);
    free(list);
    share got[8];
    CU_ASSERT(holds(&set, mine));
    CU_ASSERT_EQUAL(mig_keystore_load(store, &six, got), MIG_ERR_IO);
    CU_ASSERT(count_in("", ".shares") == 3 && access(path_of("quarantine"), F_OK) != 0);
    mig_keyset_clear(&set);
    mig_keyset_clear(&six);
    end();
}

static void a_quarantine_that_is_a_link_is_not_used(void)
{
    fresh("trap");
    mig_keystore_close(&store);
    CU_ASSERT_EQUAL_FATAL(symlink("/tmp", path_of("quarantine")), 0);
    put_file("x.shares", "junk", 4);
    CU_ASSERT_EQUAL(open_as(MIG_KEYSTORE_NODE), MIG_ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "quarantine"));
    CU_ASSERT_EQUAL(access(path_of("x.shares"), F_OK), 0);
    end();
}

static void remains_of_a_crash_are_removed(void)
{
    fresh("remains");
    mig_keystore_close(&store);
    put_file(".shares-new", "torn", 4);
    put_file(".shares-probe", "torn", 4);
    CU_ASSERT_EQUAL_FATAL(symlink("nowhere", path_of(".shares-current")), 0);
    CU_ASSERT_EQUAL_FATAL(open_as(MIG_KEYSTORE_NODE), MIG_OK);
    CU_ASSERT(hidden() == 0 && mig_keystore_quarantined(store) == 0);
    end();
}

static void a_planted_file_is_not_replaced(void)
{
    fresh("planted");
    struct mig_keyset set = keyset_of(5, 0, 2);
    put_file(file_of(&set), "something else", 14);
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_ERR_CONFLICT);
    uint8_t bytes[64];
    CU_ASSERT(get_file(file_of(&set), bytes, sizeof bytes) == 14 &&
              memcmp(bytes, "something else", 14) == 0);
    CU_ASSERT_EQUAL(hidden(), 0);
    reopen();
    CU_ASSERT_EQUAL(import(&set, mine, 1000), MIG_OK);
    mig_keyset_clear(&set);
    end();
}

static void the_probe_leaves_nothing(void)
{
    fresh("probe");
    CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_OK);
    CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_OK);
    CU_ASSERT_EQUAL(hidden(), 0);
    CU_ASSERT_EQUAL_FATAL(mkdir(path_of(".shares-probe"), 0700), 0);
    CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_ERR_IO);
    end();
}

/* ---- threads ----------------------------------------------------------- */

static void *load_often(void *arg)
{
    const struct mig_keyset *set = arg;
    uintptr_t bad = 0;
    for (int i = 0; i < 2000; i++)
        bad += !holds(set, mine);
    return (void *)bad;
}

static void loads_and_imports_run_side_by_side(void)
{
    fresh("threads");
    struct mig_keyset five = keyset_of(5, 0, 3), six = keyset_of(6, 0, 2);
    CU_ASSERT_EQUAL(import(&five, mine, 1000), MIG_OK);
    CU_ASSERT_EQUAL(import(&six, mine, 1000), MIG_OK);
    pthread_t thread[2];
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[0], NULL, load_often, &five), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[1], NULL, load_often, &six), 0);
    for (uint64_t i = 0; i < 40; i++) {
        struct mig_keyset set = keyset_of(7 + i, 0, 3);
        struct mig_keystore_entry *list;
        size_t count;
        CU_ASSERT_EQUAL(import(&set, mine, i), MIG_OK);
        CU_ASSERT_EQUAL(import(&set, mine, i), MIG_OK);
        CU_ASSERT_EQUAL(mig_keystore_list(store, &list, &count), MIG_OK);
        CU_ASSERT_EQUAL(count, 3 + i);
        free(list);
        mig_keyset_clear(&set);
    }
    for (int i = 0; i < 2; i++) {
        void *bad = NULL;
        CU_ASSERT_EQUAL(pthread_join(thread[i], &bad), 0);
        CU_ASSERT_PTR_NULL(bad);
    }
    mig_keyset_clear(&five);
    mig_keyset_clear(&six);
    end();
}

static void close_twice_is_harmless(void)
{
    fresh("close");
    mig_keystore_close(&store);
    mig_keystore_close(&store);
    end();
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_folder_open_to_others_is_refused),
        TEST(a_folder_of_another_user_is_refused),
        TEST(a_link_or_a_file_is_no_folder),
        TEST(a_second_owner_is_refused_and_a_reader_is_not),
        TEST(a_reader_creates_nothing),
        TEST(a_wrong_store_key_is_refused_and_moves_nothing),
        TEST(another_contract_is_refused_and_moves_nothing),
        TEST(keys_and_names_of_a_wrong_length_are_refused),
        TEST(odd_keysets_are_refused),
        TEST(an_older_epoch_is_refused_by_a_node_and_kept_by_a_vault),
        TEST(different_shares_never_replace_what_is_there),
        TEST(what_was_imported_is_loaded_also_after_a_restart),
        TEST(the_same_shares_are_a_repeat_with_the_first_time),
        TEST(another_attempt_of_the_epoch_is_kept_beside),
        TEST(the_pointer_names_the_newest_import),
        TEST(a_store_without_entries_has_no_pointer),
        TEST(a_pointer_that_cannot_be_written_stops_nothing),
        TEST(the_largest_keyset_fits),
        TEST(files_are_private_and_hold_no_share_in_clear),
        TEST(a_keyset_that_differs_in_anything_is_another),
        TEST(the_list_is_newest_first_and_tells_what_reads),
        TEST(a_fence_that_does_not_hold_leaves_nothing),
        TEST(every_flipped_byte_is_quarantined_never_served),
        TEST(what_was_damaged_since_the_open_is_imported_again),
        TEST(every_length_but_the_right_one_is_quarantined),
        TEST(foreign_files_are_quarantined_or_left_alone),
        TEST(a_forged_file_is_quarantined),
        TEST(files_that_changed_places_are_not_mistaken),
        TEST(the_list_orders_attempts_by_import),
        TEST(a_reader_lists_damage_and_moves_nothing),
        TEST(a_quarantine_that_is_a_link_is_not_used),
        TEST(remains_of_a_crash_are_removed),
        TEST(a_planted_file_is_not_replaced),
        TEST(the_probe_leaves_nothing),
        TEST(loads_and_imports_run_side_by_side),
        TEST(close_twice_is_harmless),
    };
    return run_tests("keystore", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
/*
 * Fails the n-th allocation, for every n, in everything of store/ and
 * migration/ that allocates: the answer is MIG_ERR_NOMEM, nothing half-done is
 * kept, and the next attempt works. A sanitizer has an allocator of its own;
 * there nothing fails.
 */
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/journal.h"
#include "migration/machine.h"
#include "store/keystore.h"
#include "store/record.h"
#include "tests/views.h"

static unsigned long countdown; /* 0: nothing fails */
static bool has_failed;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if !defined(__SANITIZE_ADDRESS__)
static bool is_to_fail(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    has_failed = true;
    return true;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);

void *malloc(size_t size)
{
    return is_to_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_to_fail() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *at, size_t size)
{
    return is_to_fail() ? NULL : __libc_realloc(at, size);
}
#endif

/* Runs `attempt` with the 1st, 2nd, ... allocation failing, until none does. */
static void sweep(enum mig_err (*attempt)(void), void (*check)(void))
{
    for (unsigned long n = 1; n < 500; n++) {
        has_failed = false;
        countdown = n;
        enum mig_err err = attempt();
        countdown = 0;
        CU_ASSERT(err == (has_failed ? MIG_ERR_NOMEM : MIG_OK));
        if (check != NULL)
            check();
        if (!has_failed)
            return;
    }
    CU_FAIL("never came to an end");
}

/* ---- store ------------------------------------------------------------- */

typedef uint8_t share[MIG_SHARE_LEN];
static const share shares[3] = {{1}, {2}, {3}};
static char folder[512];
static struct mig_secret *key;
static struct mig_keystore *store;
static struct mig_keyset five, six;
static struct mig_receipt receipt;

static enum mig_err open_store(void)
{
    const char *why;
    mig_keystore_close(&store);
    return mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why);
}

static void prepare(const char *name)
{
    if (key == NULL) {
        key = mig_secret_new(32);
        five = keyset_of(5, 0, 3);
        six = keyset_of(6, 0, 3);
    }
    (void)snprintf(folder, sizeof folder, "%s/%s", test_dir(), name);
    CU_ASSERT_EQUAL_FATAL(open_store(), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_keystore_import(store, &five, shares, 1, NULL, &receipt), MIG_OK);
}

static bool has(const struct mig_keyset *keyset)
{
    share got[3];
    return mig_keystore_load(store, keyset, got) == MIG_OK && memcmp(got, shares, sizeof got) == 0;
}

static enum mig_err import_six(void)
{
    return mig_keystore_import(store, &six, shares, 2, NULL, &receipt);
}

static void old_is_whole(void)
{
    share got[3];
    CU_ASSERT(has(&five));
    enum mig_err err = mig_keystore_load(store, &six, got);
    CU_ASSERT(err == MIG_OK || err == MIG_ERR_NOT_FOUND);
}

static void an_import_without_memory_keeps_the_old(void)
{
    prepare("import");
    sweep(import_six, old_is_whole);
    CU_ASSERT(has(&six));
    sweep(import_six, old_is_whole); /* and a repeat */
    CU_ASSERT(receipt.repeated);
    mig_keystore_close(&store);
}

static void opening_without_memory_loses_nothing(void)
{
    prepare("open");
    sweep(open_store, NULL);
    CU_ASSERT(has(&five) && mig_keystore_quarantined(store) == 0);
    mig_keystore_close(&store);
}

static enum mig_err load_five(void)
{
    share got[3];
    return mig_keystore_load(store, &five, got);
}

static enum mig_err list_all(void)
{
    struct mig_keystore_entry *list;
    size_t count;
    enum mig_err err = mig_keystore_list(store, &list, &count);
    CU_ASSERT(err == MIG_OK ? count == 1 : list == NULL);
    /* Without memory to read a file the list says so, or calls it unreadable. */
    if (err == MIG_OK && has_failed)
        err = list[0].readable ? MIG_ERR_BUG : MIG_ERR_NOMEM;
    free(list);
    return err;
}

static enum mig_err keyset_of_five(void)
{
    struct mig_keyset out;
    uint8_t digest[MIG_DIGEST_LEN];
    mig_keyset_digest("v1.signer", &five, digest);
    enum mig_err err = mig_keystore_keyset(store, digest, &out);
    mig_keyset_clear(&out);
    return err;
}

static void reading_without_memory_says_so(void)
{
    prepare("read");
    CU_ASSERT_EQUAL_FATAL(open_store(), MIG_OK);
    sweep(load_five, NULL);
    sweep(list_all, NULL);
    sweep(keyset_of_five, NULL);
    mig_keystore_close(&store);
}

static enum mig_err save_record(void)
{
    return mig_record_save(folder, "record", "bytes", 5);
}

static enum mig_err load_record(void)
{
    uint8_t *bytes;
    size_t len;
    enum mig_err err = mig_record_load(folder, "record", &bytes, &len);
    free(bytes);
    return err;
}

static void records_without_memory_say_so(void)
{
    prepare("records");
    mig_keystore_close(&store);
    sweep(save_record, NULL);
    sweep(load_record, NULL);
}

/* ---- migration --------------------------------------------------------- */

static struct mig_machine *machine;
static const struct mig_view *view;
static uint8_t *journal;
static size_t journal_len;

static enum mig_err start_machine(void)
{
    static const uint8_t own[MIG_KEY_LEN] = {'M'};
    mig_machine_free(&machine);
    return mig_machine_new("a.near", own, journal, journal_len, &machine);
}

static enum mig_err see(void)
{
    unsigned notes;
    return mig_machine_view(machine, view, &notes);
}

static struct mig_task task;
static enum mig_err next(void)
{
    return mig_machine_next(machine, 1, &task);
}

/* Every task there is, each asked for until there is memory for it. */
static void work_off(void)
{
    for (int i = 0; i < 20; i++) {
        sweep(next, NULL);
        if (task.kind == MIG_TASK_NONE)
            return;
        if (task.kind == MIG_TASK_SAVE) {
            free(journal);
            journal = task.bytes;
            journal_len = task.len;
            task.bytes = NULL;
        }
        (void)mig_machine_finish(machine, &task, MIG_OK, 1, 0);
    }
    CU_FAIL("never came to rest");
}

static void show(const char *set, uint64_t generation)
{
    struct view_spec spec = {.generation = generation,
                             .height = generation,
                             .protocol = MIG_PROTOCOL_RUNNING,
                             .epoch = 5,
                             .domains = 2,
                             .set = set};
    view = view_of(&spec);
    sweep(see, NULL);
    mig_view_release(&view);
}

static void a_machine_without_memory_catches_up(void)
{
    static const char *const sets[] = {"0aA 1bB 2cC", "0aA 1bX 2cC", "0aA 1bX! 2cC",
                                       "1bX! 2cC 3dD"};
    sweep(start_machine, NULL);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        show(sets[i], i + 1);
        work_off();
        CU_ASSERT_FALSE(mig_machine_is_pending(machine));
    }
    show("1bY 2cC 3dD", 9);
    show("1bZ 2cC 3dX", 10); /* a second one before the first is done */
    work_off();
    sweep(start_machine, NULL);
    show("1bZ 2cC 3dX", 1);
    CU_ASSERT_FALSE(mig_machine_is_pending(machine));
    mig_machine_free(&machine);
}

static enum mig_err decode(void)
{
    struct mig_journal back;
    enum mig_err err = mig_journal_decode(journal, journal_len, &back);
    mig_journal_clear(&back);
    return err;
}

static void a_journal_without_memory_says_so(void)
{
    uint32_t touched[] = {1, 2};
    struct mig_journal j = {.done = {true, 5, set_of("0aA 1bB", 2)},
                            .target = {true, 5, set_of("0aA", 2)},
                            .touched = {2, touched}};
    free(journal);
    CU_ASSERT_EQUAL_FATAL(mig_journal_encode(&j, &journal, &journal_len), MIG_OK);
    sweep(decode, NULL);
    mig_participants_clear(&j.done.set);
    mig_participants_clear(&j.target.set);
    free(journal);
    journal = NULL;
}

int main(void)
{
    static const struct test tests[] = {
        TEST(an_import_without_memory_keeps_the_old), TEST(opening_without_memory_loses_nothing),
        TEST(reading_without_memory_says_so),         TEST(records_without_memory_say_so),
        TEST(a_machine_without_memory_catches_up),    TEST(a_journal_without_memory_says_so),
    };
    return run_tests("store_memory", tests, sizeof tests / sizeof *tests);
}

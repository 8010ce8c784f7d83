/* SPDX-License-Identifier: MIT */
/* The owner of the state machine, with a host that does what a test says. */
#include "server/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/views.h"

static struct mig_keep *keep;
static struct mig_keeper table;
static struct mig_counters counters;
static char folder[300], hidden[320];
static atomic_uint looks, logged_keys, logged_unwritable;
static _Atomic(enum mig_err) load_answer;

static enum mig_err load(void *ctx, const struct mig_keyset *keyset,
                         uint8_t (*shares)[MIG_SHARE_LEN])
{
    (void)ctx;
    memset(shares, 1, keyset->count * MIG_SHARE_LEN);
    atomic_fetch_add(&looks, 1);
    return atomic_load(&load_answer);
}

static enum mig_err changed(void *ctx, const struct mig_change *change)
{
    (void)ctx;
    (void)change;
    return MIG_OK;
}

static enum mig_err conclude(void *ctx, const struct mig_keyset *keyset)
{
    (void)ctx;
    (void)keyset;
    return MIG_ERR_RETRY;
}

/* A host's log may look around. */
static void note_line(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    struct mig_keep_status status;
    (void)ctx;
    (void)level;
    (void)text;
    if (keep != NULL)
        mig_keep_status(keep, &status);
    atomic_fetch_add(&logged_keys, strcmp(event, "backup_key") == 0);
    atomic_fetch_add(&logged_unwritable, strcmp(event, "store_unwritable") == 0);
}

/* The node is account a with the TLS key 'B'. */
static void open_again(void)
{
    char why[MIG_WHY_MAX];
    struct mig_keep_config config = {
        .account = "a.near",
        .contract = "v1.signer",
        .state_dir = folder,
        .host = {.load_keyshares = load,
                 .conclude = conclude,
                 .participants_changed = changed,
                 .purge_assets = changed,
                 .log = note_line},
        .counters = &counters,
    };
    letter_key('B', config.tls_key);
    CU_ASSERT_EQUAL_FATAL(mig_keep_new(&config, &keep, why), MIG_OK);
    mig_keep_table(keep, &table);
}

static void open_fresh(void)
{
    static unsigned round;
    (void)snprintf(folder, sizeof folder, "%s/state%u", test_dir(), round++);
    (void)snprintf(hidden, sizeof hidden, "%s.away", folder);
    CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
    atomic_store(&looks, 0);
    atomic_store(&logged_keys, 0);
    atomic_store(&logged_unwritable, 0);
    atomic_store(&load_answer, MIG_OK);
    open_again();
}

static void show(const struct view_spec *spec)
{
    const struct mig_view *view = view_of(spec);
    (void)mig_keep_view(keep, view);
    mig_view_release(&view);
}

static const struct view_spec seated = {.generation = 1,
                                        .height = 100,
                                        .protocol = MIG_PROTOCOL_RUNNING,
                                        .epoch = 5,
                                        .domains = 2,
                                        .set = "0aB 1bC",
                                        .service = 'S'};
static const struct view_spec migrating = {.generation = 1,
                                           .height = 100,
                                           .protocol = MIG_PROTOCOL_RUNNING,
                                           .epoch = 5,
                                           .domains = 2,
                                           .set = "0aA 1bC",
                                           .service = 'S',
                                           .destination = 'B',
                                           .since = 90};

static void digest_of(const struct view_spec *spec, uint8_t out[MIG_DIGEST_LEN])
{
    struct mig_keyset keyset = keyset_of(spec->epoch, spec->attempt, spec->domains);
    mig_keyset_digest("v1.signer", &keyset, out);
    mig_keyset_clear(&keyset);
}

/* Between the cache's swap and the machine's, a request may be admitted under
 * a keyset that the machine does not know yet: were it imported as another's,
 * nobody would conclude. */
static void an_import_of_another_keyset_than_the_machine_sees_has_to_come_again(void)
{
    uint8_t now[MIG_DIGEST_LEN], next[MIG_DIGEST_LEN];
    struct view_spec later = migrating;
    later.generation++;
    later.attempt++;
    digest_of(&migrating, now);
    digest_of(&later, next);
    open_fresh();
    show(&migrating);
    CU_ASSERT_EQUAL(table.import_begin(table.ctx, next), MIG_ERR_STATE);
    CU_ASSERT_EQUAL(mig_keep_job(keep), MIG_JOB_WAITING);
    show(&later);
    CU_ASSERT_EQUAL(table.import_begin(table.ctx, now), MIG_ERR_STATE);
    CU_ASSERT_EQUAL(table.import_begin(table.ctx, next), MIG_OK);
    CU_ASSERT_EQUAL(table.import_begin(table.ctx, next), MIG_ERR_STATE);
    CU_ASSERT_EQUAL(mig_keep_job(keep), MIG_JOB_IMPORTING);
    table.import_end(table.ctx, NULL);
    mig_keep_free(&keep);
}

static bool is_honoured(const struct view_spec *spec)
{
    uint8_t key[MIG_KEY_LEN];
    const struct mig_view *view = view_of(spec);
    bool is = table.honoured_key(table.ctx, view, key);
    mig_view_release(&view);
    return is;
}

static void no_key_is_honoured_until_the_record_is_durable(void)
{
    struct view_spec next = seated;
    open_fresh();
    CU_ASSERT_EQUAL(rename(folder, hidden), 0);
    int file = open(folder, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT(file >= 0);
    (void)close(file);
    show(&seated);
    CU_ASSERT_FALSE(is_honoured(&seated));
    next.height++;
    show(&next);
    CU_ASSERT_FALSE(is_honoured(&seated));
    CU_ASSERT_EQUAL(atomic_load(&logged_unwritable), 1);
    struct mig_keep_status status;
    mig_keep_status(keep, &status);
    CU_ASSERT(status.store_failing);
    CU_ASSERT_EQUAL(unlink(folder), 0);
    CU_ASSERT_EQUAL(rename(hidden, folder), 0);
    next.height++;
    show(&next);
    CU_ASSERT(is_honoured(&seated));
    mig_keep_status(keep, &status);
    CU_ASSERT_FALSE(status.store_failing);
    mig_keep_free(&keep);
}

static bool store_fails(void)
{
    struct mig_keep_status status;
    mig_keep_status(keep, &status);
    return status.store_failing;
}

/* Before anybody uploads: a health check that waits for a victim is none. */
static void a_store_that_would_refuse_an_import_says_so_unasked(void)
{
    open_fresh();
    CU_ASSERT_FALSE(store_fails());
    CU_ASSERT_EQUAL(rename(folder, hidden), 0);
    CU_ASSERT_NOT_EQUAL(table.store_writable(table.ctx), MIG_OK);
    CU_ASSERT(store_fails());
    CU_ASSERT_EQUAL(rename(hidden, folder), 0);
    CU_ASSERT_FALSE(store_fails());
    mig_keep_free(&keep);
}

static uint64_t key_changes(void)
{
    struct mig_keep_status status;
    mig_keep_status(keep, &status);
    return status.key_changes;
}

static void a_key_that_changed_while_the_node_was_down_is_a_change(void)
{
    struct view_spec next = seated;
    open_fresh();
    show(&seated);
    CU_ASSERT_EQUAL(key_changes(), 0);
    mig_keep_free(&keep);
    open_again();
    show(&seated);
    CU_ASSERT_EQUAL(key_changes(), 0);
    mig_keep_free(&keep);
    open_again();
    next.service = 'T';
    show(&next);
    CU_ASSERT_EQUAL(key_changes(), 1);
    CU_ASSERT_EQUAL(atomic_load(&logged_keys), 3);
    show(&next);
    CU_ASSERT_EQUAL(key_changes(), 1);
    CU_ASSERT_EQUAL(atomic_load(&logged_keys), 3);
    mig_keep_free(&keep);
}

static bool lacks_shares(void)
{
    struct mig_keep_status status;
    mig_keep_status(keep, &status);
    return status.shares_missing;
}

static bool comes_to(bool (*holds)(void), bool wanted)
{
    for (int i = 0; i < 10000 && holds() != wanted; i++)
        (void)poll(NULL, 0, 1);
    return holds() == wanted;
}

static void shares_that_could_not_be_read_once_are_looked_for_again(void)
{
    open_fresh();
    atomic_store(&load_answer, MIG_ERR_IO);
    CU_ASSERT_EQUAL_FATAL(mig_keep_start(keep), MIG_OK);
    show(&seated);
    CU_ASSERT(comes_to(lacks_shares, true));
    atomic_store(&load_answer, MIG_OK);
    CU_ASSERT(comes_to(lacks_shares, false));
    unsigned so_far = atomic_load(&looks);
    struct view_spec next = seated;
    next.height++;
    show(&next);
    CU_ASSERT_EQUAL(atomic_load(&looks), so_far);
    mig_keep_free(&keep);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(an_import_of_another_keyset_than_the_machine_sees_has_to_come_again),
        TEST(no_key_is_honoured_until_the_record_is_durable),
        TEST(a_store_that_would_refuse_an_import_says_so_unasked),
        TEST(a_key_that_changed_while_the_node_was_down_is_a_change),
        TEST(shares_that_could_not_be_read_once_are_looked_for_again),
    };
    return run_tests("keeper", tests, sizeof tests / sizeof *tests);
}

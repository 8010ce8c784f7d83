/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/journal.h"
#include "auth/replay.h"

#define START UINT64_C(1000000)
enum { W = 30 };
/* The first second whose requests an untrusting start accepts. */
#define OPEN (START + W + 1)

static const uint8_t key[MIG_KEY_LEN] = {1, 2, 3};

static const char *journal(void)
{
    static char path[300];
    (void)snprintf(path, sizeof path, "%s/nonces", test_dir());
    return path;
}

static enum mig_err open_with(const char *path, const char *boot, size_t capacity, uint64_t now,
                              struct mig_replay **r)
{
    const struct mig_replay_config config = {
        .journal = path, .boot_id = boot, .capacity = capacity, .skew = W, .now = now};
    return mig_replay_open(&config, r);
}

static struct mig_replay *open_at(uint64_t now)
{
    struct mig_replay *r = NULL;
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), "boot", 100, now, &r), MIG_OK);
    return r;
}

static struct mig_replay *open_fresh(uint64_t now)
{
    (void)unlink(journal());
    return open_at(now);
}

static enum mig_err insert_until(struct mig_replay *r, const char *nonce, uint64_t created,
                                 uint64_t expires, uint64_t now)
{
    return mig_replay_insert(r, key, (struct mig_text){nonce, strlen(nonce)}, created, expires,
                             now);
}

static enum mig_err insert(struct mig_replay *r, const char *nonce, uint64_t now)
{
    return insert_until(r, nonce, now, now + 60, now);
}

static const char *nonce_of(unsigned n)
{
    static _Thread_local char nonce[40];
    (void)snprintf(nonce, sizeof nonce, "nonce-nonce-nonce-%08u", n);
    return nonce;
}

static uint8_t *read_journal(size_t *len)
{
    static uint8_t bytes[1 << 20];
    FILE *f = fopen(journal(), "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    *len = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    return bytes;
}

/* In place: the file stays the same one. */
static void overwrite_journal(const void *bytes, size_t len)
{
    int fd = open(journal(), O_WRONLY | O_TRUNC);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, bytes, len), (ssize_t)len);
    (void)close(fd);
}

/* ---- one nonce, once ---- */

static void a_nonce_is_used_once(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN + 1), MIG_ERR_DENIED);
    mig_replay_close(&r);
    CU_ASSERT_PTR_NULL(r);
    mig_replay_close(&r);
}

static void each_key_has_its_own_nonces(void)
{
    struct mig_replay *r = open_fresh(START);
    static const uint8_t other[MIG_KEY_LEN] = {9};
    struct mig_text nonce = {nonce_of(1), strlen(nonce_of(1))};
    CU_ASSERT_EQUAL(mig_replay_insert(r, key, nonce, OPEN, OPEN, OPEN), MIG_OK);
    CU_ASSERT_EQUAL(mig_replay_insert(r, other, nonce, OPEN, OPEN, OPEN), MIG_OK);
    CU_ASSERT_EQUAL(mig_replay_insert(r, other, nonce, OPEN, OPEN, OPEN), MIG_ERR_DENIED);
    mig_replay_close(&r);
}

static void refuses_what_no_check_lets_through(void)
{
    struct mig_replay *r = open_fresh(START);
    char longest[MIG_NONCE_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CU_ASSERT_EQUAL(insert(r, longest, OPEN), MIG_ERR_DENIED);
    longest[MIG_NONCE_MAX] = '\0';
    CU_ASSERT_EQUAL(insert(r, longest, OPEN), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, "", OPEN), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), OPEN, OPEN + 10, OPEN + 11), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), OPEN + W + 1, OPEN + 90, OPEN), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), OPEN + W, OPEN + 90, OPEN), MIG_OK);
    mig_replay_close(&r);
}

struct racer {
    struct mig_replay *r;
    pthread_barrier_t *barrier;
    unsigned won;
};

enum { THREADS = 8, NONCES = 20000 };

/* All run through the same nonces, so that they meet at every step. */
static void *race(void *cls)
{
    struct racer *racer = cls;
    (void)pthread_barrier_wait(racer->barrier);
    for (unsigned i = 0; i < NONCES; i++)
        racer->won += insert(racer->r, nonce_of(i), OPEN) == MIG_OK;
    return NULL;
}

static void of_many_threads_exactly_one_wins(void)
{
    struct mig_replay *r = NULL;
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];
    struct racer racers[THREADS];
    unsigned won = 0;
    (void)unlink(journal());
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), "boot", NONCES, START, &r), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){r, &barrier, 0};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        won += racers[i].won;
    }
    CU_ASSERT_EQUAL(won, NONCES);
    (void)pthread_barrier_destroy(&barrier);
    mig_replay_close(&r);
    /* And the journal says the same. */
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), "boot", NONCES + 1, OPEN, &r), MIG_OK);
    for (unsigned i = 0; i < NONCES; i += 997)
        CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert(r, nonce_of(NONCES), OPEN), MIG_OK);
    mig_replay_close(&r);
}

/* ---- time ---- */

static void is_kept_while_it_has_not_expired_whatever_the_skew(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(0), OPEN, OPEN + 300, OPEN), MIG_OK);
    for (unsigned t = 1; t <= 300; t++) {
        CU_ASSERT_EQUAL(insert_until(r, nonce_of(t), OPEN + t, OPEN + t, OPEN + t), MIG_OK);
        CU_ASSERT_EQUAL(insert_until(r, nonce_of(0), OPEN + t, OPEN + 300, OPEN + t),
                        MIG_ERR_DENIED);
    }
    mig_replay_close(&r);
}

static void expired_nonces_make_room(void)
{
    struct mig_replay *r = open_fresh(START); /* room for 100 */
    for (unsigned i = 0; i < 2000; i++)
        CU_ASSERT_EQUAL(insert_until(r, nonce_of(i), OPEN + i, OPEN + i, OPEN + i), MIG_OK);
    mig_replay_close(&r);
}

static void a_full_store_refuses_and_never_evicts(void)
{
    struct mig_replay *r = open_fresh(START);
    for (unsigned i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(100), OPEN), MIG_ERR_RETRY);
    for (unsigned i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert(r, nonce_of(100), OPEN), MIG_ERR_RETRY);
    /* They expire at OPEN + 60, for a clock that may be W behind, which a mark
     * up to W ahead of it proves. */
    CU_ASSERT_EQUAL(insert(r, nonce_of(100), OPEN + 60 + W + 1), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(100), OPEN + 60 + W + 1), MIG_ERR_DENIED);
    mig_replay_close(&r);
}

static void a_clock_behind_the_mark_is_not_believed(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN + 1000), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN + 1000 - W), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(3), OPEN + 1000 - W - 1), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(mig_replay_retry_after(r, OPEN + 1000 - W - 5), 6);
    CU_ASSERT_EQUAL(insert(r, nonce_of(3), OPEN + 1000 - W), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(4), OPEN), MIG_ERR_RETRY);
    mig_replay_close(&r);
}

/* The hole a plain "expires < now" leaves: use, let it expire, set the clock
 * back a little, use again. */
static void a_clock_set_back_revives_no_nonce(void)
{
    struct mig_replay *r = open_fresh(START);
    uint64_t created = OPEN + 500, expires = created + 5;
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), created, expires, created), MIG_OK);
    for (uint64_t now = created; now <= created + 200; now += 7) {
        CU_ASSERT_EQUAL(insert_until(r, nonce_of((unsigned)now), now, now, now), MIG_OK);
        for (uint64_t back = created - W; back <= expires; back++)
            CU_ASSERT_NOT_EQUAL(insert_until(r, nonce_of(1), created, expires, back), MIG_OK);
    }
    mig_replay_close(&r);
}

/* ---- start ---- */

static void without_a_journal_nothing_older_than_the_start_passes(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), START), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(mig_replay_retry_after(r, START), W + 1);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), START + W, START + 90, START + W), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(mig_replay_retry_after(r, START + W), 1);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), START + W + 1, START + 90, START + W), MIG_OK);
    CU_ASSERT_EQUAL(mig_replay_retry_after(r, START + 1000), 1);
    mig_replay_close(&r);
    CU_ASSERT_EQUAL_FATAL(open_with(NULL, NULL, 10, START, &r), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), START), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_ERR_DENIED);
    mig_replay_close(&r);
}

static void a_restart_within_the_boot_remembers(void)
{
    struct mig_replay *r = open_fresh(START);
    for (unsigned i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
    mig_replay_close(&r);
    for (int restart = 0; restart < 3; restart++) {
        r = open_at(OPEN + 1);
        for (unsigned i = 0; i < 50; i++)
            CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN + 1), MIG_ERR_DENIED);
        CU_ASSERT_EQUAL(insert(r, nonce_of(60 + (unsigned)restart), OPEN + 1), MIG_OK);
        CU_ASSERT_EQUAL(insert(r, nonce_of(60), OPEN + 1), MIG_ERR_DENIED);
        mig_replay_close(&r);
    }
}

static void an_untrusting_start_survives_a_restart(void)
{
    struct mig_replay *r = open_fresh(START);
    mig_replay_close(&r);
    r = open_at(START + 5); /* whole, this boot: and still the first seconds are closed */
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), START + W), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    mig_replay_close(&r);
}

static void the_mark_survives_a_restart(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN + 1000), MIG_OK);
    mig_replay_close(&r);
    r = open_at(OPEN + 100);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN + 100), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN + 1000 - W), MIG_OK);
    mig_replay_close(&r);
}

/* After a reboot with a clock that lost time, start + W alone would let the
 * requests between there and the mark in a second time. */
static void after_a_reboot_everything_up_to_the_mark_is_refused(void)
{
    struct mig_replay *r = open_fresh(START);
    uint64_t mark = OPEN + 1000;
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), mark), MIG_OK);
    mig_replay_close(&r);
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), "another boot", 100, mark - 500, &r), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), mark - 500 + W + 1), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), mark, mark + 60, mark), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), mark + 1), MIG_OK);
    mig_replay_close(&r);
}

static void another_boot_is_not_trusted(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    mig_replay_close(&r);
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), "another boot", 100, OPEN + 10, &r), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN + 10), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN + 10 + W), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN + 10 + W + 1), MIG_OK);
    mig_replay_close(&r);
}

static void the_kernels_boot_id_is_the_default(void)
{
    struct mig_replay *r = NULL;
    (void)unlink(journal());
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), NULL, 100, START, &r), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    mig_replay_close(&r);
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), NULL, 100, OPEN, &r), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_OK);
    mig_replay_close(&r);
}

/* ---- damage ---- */

static bool is_trusted(struct mig_replay *r, uint64_t now)
{
    enum mig_err err = insert(r, "is-it-trusted-or-not-00", now);
    CU_ASSERT(err == MIG_OK || err == MIG_ERR_RETRY);
    return err == MIG_OK;
}

static void a_journal_cut_at_any_octet_is_not_trusted(void)
{
    struct mig_replay *r = open_fresh(START);
    static uint8_t kept[2000];
    size_t len;
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
    mig_replay_close(&r);
    uint8_t *bytes = read_journal(&len);
    CU_ASSERT_EQUAL_FATAL(len, MIG_JOURNAL_HEADER_LEN + 3 * MIG_JOURNAL_RECORD_LEN +
                                   MIG_JOURNAL_END_LEN);
    memcpy(kept, bytes, len);
    for (size_t cut = 0; cut < len; cut++) {
        r = open_fresh(START); /* a file of its own, then cut: its inode is its own, too */
        for (unsigned i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
        mig_replay_close(&r);
        CU_ASSERT_EQUAL_FATAL(truncate(journal(), (off_t)cut), 0);
        r = open_at(OPEN + 5);
        CU_ASSERT_FALSE(is_trusted(r, OPEN + 5));
        CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN + 5), MIG_ERR_RETRY);
        CU_ASSERT(is_trusted(r, OPEN + 5 + W + 1));
        mig_replay_close(&r);
    }
}

static void a_journal_with_any_changed_octet_is_not_trusted(void)
{
    struct mig_replay *r = open_fresh(START);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
    mig_replay_close(&r);
    size_t len;
    (void)read_journal(&len);
    for (size_t at = 0; at < len; at++) {
        r = open_fresh(START);
        for (unsigned i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
        mig_replay_close(&r);
        uint8_t *bytes = read_journal(&len);
        bytes[at] ^= 0x40;
        overwrite_journal(bytes, len);
        r = open_at(OPEN + 5);
        CU_ASSERT_FALSE(is_trusted(r, OPEN + 5));
        mig_replay_close(&r);
    }
}

static void records_that_were_moved_doubled_or_dropped_are_noticed(void)
{
    enum { H = MIG_JOURNAL_HEADER_LEN, R = MIG_JOURNAL_RECORD_LEN };
    for (int kind = 0; kind < 4; kind++) {
        struct mig_replay *r = open_fresh(START);
        size_t len;
        for (unsigned i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
        mig_replay_close(&r);
        uint8_t *b = read_journal(&len), record[R];
        if (kind == 0) { /* swapped */
            memcpy(record, b + H, R);
            memcpy(b + H, b + H + R, R);
            memcpy(b + H + R, record, R);
        } else if (kind == 1) { /* doubled */
            memmove(b + H + R, b + H, len - H);
            len += R;
        } else if (kind == 2) { /* dropped */
            memmove(b + H, b + H + R, len - H - R);
            len -= R;
        } else { /* extended */
            b[len++] = '.';
        }
        overwrite_journal(b, len);
        r = open_at(OPEN + 5);
        CU_ASSERT_FALSE(is_trusted(r, OPEN + 5));
        mig_replay_close(&r);
    }
}

/* A restored backup or a copied folder: every octet is right and nonces are missing. */
static void a_copy_of_the_journal_is_not_trusted(void)
{
    struct mig_replay *r = open_fresh(START);
    char copy[400];
    size_t len;
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    uint8_t *bytes = read_journal(&len);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_OK);
    mig_replay_close(&r);
    (void)snprintf(copy, sizeof copy, "%s.copy", journal());
    int fd = open(copy, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, bytes, len), (ssize_t)len);
    (void)close(fd);
    CU_ASSERT_EQUAL(rename(copy, journal()), 0);
    r = open_at(OPEN + 5);
    CU_ASSERT_FALSE(is_trusted(r, OPEN + 5));
    CU_ASSERT_NOT_EQUAL(insert(r, nonce_of(2), OPEN + 5), MIG_OK);
    mig_replay_close(&r);
}

static void a_foreign_file_is_not_trusted(void)
{
    static const char *const texts[] = {
        "", "x", "MIGNONC1", "{\"nonces\": []}",
        "MIGNONC1MIGNONC1MIGNONC1MIGNONC1MIGNONC1MIGNONC1MIGNONC1MIGNONC1MIGNONC1MIGNEND."};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        (void)unlink(journal());
        int fd = open(journal(), O_WRONLY | O_CREAT, 0600);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
        (void)close(fd);
        struct mig_replay *r = open_at(START);
        CU_ASSERT_FALSE(is_trusted(r, START + W));
        CU_ASSERT(is_trusted(r, OPEN));
        mig_replay_close(&r);
    }
}

static void a_journal_that_others_could_write_is_not_trusted(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    mig_replay_close(&r);
    CU_ASSERT_EQUAL(chmod(journal(), 0620), 0);
    r = open_at(OPEN + 5);
    CU_ASSERT_FALSE(is_trusted(r, OPEN + 5));
    struct stat st;
    CU_ASSERT_EQUAL(stat(journal(), &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    mig_replay_close(&r);
}

static void more_nonces_than_fit_are_not_half_remembered(void)
{
    struct mig_replay *r = open_fresh(START);
    for (unsigned i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_OK);
    mig_replay_close(&r);
    CU_ASSERT_EQUAL_FATAL(open_with(journal(), "boot", 10, OPEN + 5, &r), MIG_OK);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN + 5), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(50), OPEN + 5 + W), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(insert(r, nonce_of(50), OPEN + 5 + W + 1), MIG_OK);
    mig_replay_close(&r);
}

/* ---- the disk ---- */

/* A limit on the size of files makes write(2) fall short, then fail. */
static void limit_files(rlim_t size)
{
    struct rlimit limit;
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_failed_write_says_come_again_and_spoils_nothing(void)
{
    enum { H = MIG_JOURNAL_HEADER_LEN, R = MIG_JOURNAL_RECORD_LEN, E = MIG_JOURNAL_END_LEN };
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t extra = 0; extra < R; extra += 13) {
        struct mig_replay *r = open_fresh(START);
        CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
        limit_files(H + R + E + extra);
        CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_ERR_RETRY);
        CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_ERR_RETRY);
        CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_ERR_DENIED);
        limit_files(RLIM_INFINITY);
        CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_OK); /* refused, so not used up */
        CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_ERR_DENIED);
        CU_ASSERT_EQUAL(insert(r, nonce_of(3), OPEN), MIG_OK);
        mig_replay_close(&r);
        r = open_at(OPEN);
        for (unsigned i = 1; i <= 3; i++)
            CU_ASSERT_EQUAL(insert(r, nonce_of(i), OPEN), MIG_ERR_DENIED);
        CU_ASSERT_EQUAL(insert(r, nonce_of(4), OPEN), MIG_OK);
        mig_replay_close(&r);
    }
}

static void a_write_that_never_succeeded_leaves_a_torn_journal(void)
{
    struct mig_replay *r = open_fresh(START);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK);
    limit_files(MIG_JOURNAL_HEADER_LEN + MIG_JOURNAL_RECORD_LEN + MIG_JOURNAL_END_LEN + 5);
    CU_ASSERT_EQUAL(insert(r, nonce_of(2), OPEN), MIG_ERR_RETRY);
    limit_files(RLIM_INFINITY);
    mig_replay_close(&r);
    r = open_at(OPEN + 5);
    CU_ASSERT_FALSE(is_trusted(r, OPEN + 5));
    mig_replay_close(&r);
}

static void the_journal_does_not_grow_for_ever(void)
{
    struct mig_replay *r = open_fresh(START);
    struct stat st;
    uint64_t now = OPEN;
    for (unsigned i = 0; i < 30000; i++) {
        now = OPEN + i / 2;
        if (insert_until(r, nonce_of(i), now, now, now) != MIG_OK)
            break;
    }
    CU_ASSERT_EQUAL(now, OPEN + 14999);
    CU_ASSERT_EQUAL(stat(journal(), &st), 0);
    CU_ASSERT(st.st_size < 9000 * MIG_JOURNAL_RECORD_LEN);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(29999), now, now, now), MIG_ERR_DENIED);
    mig_replay_close(&r);
    r = open_at(now);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(29999), now, now, now), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(30000), now, now, now), MIG_OK);
    mig_replay_close(&r);
}

/* The name of the temporary file is taken by a folder: compaction fails, the
 * old journal goes on serving. */
static void a_failed_compaction_loses_nothing(void)
{
    struct mig_replay *r = open_fresh(START);
    char blocker[400];
    (void)snprintf(blocker, sizeof blocker, "%s.new", journal());
    CU_ASSERT_EQUAL_FATAL(mkdir(blocker, 0700), 0);
    uint64_t now = OPEN;
    unsigned inserted = 0;
    for (unsigned i = 0; i < 20000; i++) {
        now = OPEN + i / 2;
        inserted += insert_until(r, nonce_of(i), now, now, now) == MIG_OK;
    }
    CU_ASSERT_EQUAL(inserted, 20000);
    struct stat st;
    CU_ASSERT_EQUAL(stat(journal(), &st), 0);
    CU_ASSERT(st.st_size > 20000 * MIG_JOURNAL_RECORD_LEN);
    struct mig_replay *second = NULL;
    mig_replay_close(&r);
    CU_ASSERT_EQUAL(open_with(journal(), "boot", 100, now, &second), MIG_ERR_IO);
    CU_ASSERT_PTR_NULL(second);
    CU_ASSERT_EQUAL(rmdir(blocker), 0);
    r = open_at(now);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(19999), now, now, now), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(20000), now, now, now), MIG_OK);
    mig_replay_close(&r);
}

static void a_full_disk_at_start_is_reported(void)
{
    struct mig_replay *r = NULL;
    (void)unlink(journal());
    limit_files(50);
    CU_ASSERT_EQUAL(open_with(journal(), "boot", 10, START, &r), MIG_ERR_IO);
    limit_files(RLIM_INFINITY);
    CU_ASSERT_PTR_NULL(r);
}

static void the_journal_is_private_and_has_one_owner(void)
{
    struct mig_replay *r = open_fresh(START), *second = NULL;
    struct stat st;
    CU_ASSERT_EQUAL(stat(journal(), &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT_EQUAL(open_with(journal(), "boot", 100, START, &second), MIG_ERR_CONFLICT);
    CU_ASSERT_PTR_NULL(second);
    CU_ASSERT_EQUAL(insert(r, nonce_of(1), OPEN), MIG_OK); /* and the first one goes on */
    mig_replay_close(&r);
}

static void refuses_paths_and_sizes_that_cannot_be(void)
{
    struct mig_replay *r = NULL;
    char path[400];
    (void)snprintf(path, sizeof path, "%s/none/nonces", test_dir());
    CU_ASSERT_EQUAL(open_with(path, "boot", 10, START, &r), MIG_ERR_IO);
    CU_ASSERT_EQUAL(open_with(test_dir(), "boot", 10, START, &r), MIG_ERR_IO);
    CU_ASSERT_EQUAL(open_with("/dev/null", "boot", 10, START, &r), MIG_ERR_IO);
    (void)snprintf(path, sizeof path, "%s/link", test_dir());
    (void)unlink(journal());
    CU_ASSERT_EQUAL(symlink(journal(), path), 0);
    CU_ASSERT_EQUAL(open_with(path, "boot", 10, START, &r), MIG_ERR_IO);
    CU_ASSERT_EQUAL(open_with(NULL, "boot", 0, START, &r), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(open_with(NULL, "boot", SIZE_MAX, START, &r), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(r);
    CU_ASSERT_EQUAL_FATAL(open_with(NULL, "boot", 1, UINT64_MAX, &r), MIG_OK);
    CU_ASSERT_EQUAL(insert_until(r, nonce_of(1), UINT64_MAX, UINT64_MAX, UINT64_MAX),
                    MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(mig_replay_retry_after(r, 0), MIG_SKEW_MAX);
    mig_replay_close(&r);
}

/* ---- the format ---- */

static void a_journal_reads_back_as_it_was_written(void)
{
    enum { COUNT = 3 };
    uint8_t bytes[MIG_JOURNAL_HEADER_LEN + COUNT * MIG_JOURNAL_RECORD_LEN + MIG_JOURNAL_END_LEN];
    struct mig_journal_header header = {.file = 0x0102030405060708, .mark = 77, .floor = 99}, back;
    struct mig_nonce_record record = {.created = 5, .expires = 6}, read;
    size_t records;
    bool is_whole;
    memset(header.boot, 3, sizeof header.boot);
    memset(header.hash_key, 4, sizeof header.hash_key);
    mig_journal_put_header(&header, bytes);
    for (size_t i = 0; i < COUNT; i++) {
        record.id[0] = (uint8_t)i;
        mig_journal_put_record(&record, i,
                               bytes + MIG_JOURNAL_HEADER_LEN + i * MIG_JOURNAL_RECORD_LEN);
    }
    CU_ASSERT_EQUAL(mig_journal_parse(bytes, sizeof bytes, &back, &records, &is_whole), MIG_OK);
    CU_ASSERT(is_whole);
    CU_ASSERT_EQUAL(records, COUNT);
    CU_ASSERT(memcmp(&header, &back, sizeof header) == 0);
    mig_journal_record(bytes, 2, &read);
    CU_ASSERT(memcmp(&record, &read, sizeof record) == 0);
    CU_ASSERT_EQUAL(mig_journal_parse(bytes, sizeof bytes - 1, &back, &records, &is_whole), MIG_OK);
    CU_ASSERT_FALSE(is_whole);
    CU_ASSERT_EQUAL(records, COUNT);
    CU_ASSERT_EQUAL(
        mig_journal_parse(bytes, MIG_JOURNAL_HEADER_LEN - 1, &back, &records, &is_whole),
        MIG_ERR_MALFORMED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_nonce_is_used_once),
        TEST(each_key_has_its_own_nonces),
        TEST(refuses_what_no_check_lets_through),
        TEST(of_many_threads_exactly_one_wins),
        TEST(is_kept_while_it_has_not_expired_whatever_the_skew),
        TEST(expired_nonces_make_room),
        TEST(a_full_store_refuses_and_never_evicts),
        TEST(a_clock_behind_the_mark_is_not_believed),
        TEST(a_clock_set_back_revives_no_nonce),
        TEST(without_a_journal_nothing_older_than_the_start_passes),
        TEST(a_restart_within_the_boot_remembers),
        TEST(an_untrusting_start_survives_a_restart),
        TEST(the_mark_survives_a_restart),
        TEST(after_a_reboot_everything_up_to_the_mark_is_refused),
        TEST(another_boot_is_not_trusted),
        TEST(the_kernels_boot_id_is_the_default),
        TEST(a_journal_cut_at_any_octet_is_not_trusted),
        TEST(a_journal_with_any_changed_octet_is_not_trusted),
        TEST(records_that_were_moved_doubled_or_dropped_are_noticed),
        TEST(a_copy_of_the_journal_is_not_trusted),
        TEST(a_foreign_file_is_not_trusted),
        TEST(a_journal_that_others_could_write_is_not_trusted),
        TEST(more_nonces_than_fit_are_not_half_remembered),
        TEST(a_failed_write_says_come_again_and_spoils_nothing),
        TEST(a_write_that_never_succeeded_leaves_a_torn_journal),
        TEST(the_journal_does_not_grow_for_ever),
        TEST(a_failed_compaction_loses_nothing),
        TEST(a_full_disk_at_start_is_reported),
        TEST(the_journal_is_private_and_has_one_owner),
        TEST(refuses_paths_and_sizes_that_cannot_be),
        TEST(a_journal_reads_back_as_it_was_written),
    };
    return run_tests("replay", tests, sizeof tests / sizeof *tests);
}

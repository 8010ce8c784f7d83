/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/exchange.h"
#include "crypto/key.h"
#include "crypto/secret.h"

/* The flags of the mapping that holds `p`, from the kernel's own account. */
static bool mapping_has(const void *p, const char *flag)
{
    char line[512];
    bool inside = false, has = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long from, to;
        char dash;
        if (sscanf(line, "%lx%c%lx ", &from, &dash, &to) == 3 && dash == '-')
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            has = strstr(line, flag) != NULL;
    }
    (void)fclose(f);
    return has;
}

/* Sanitizers turn mlock into nothing, and then nothing can be refused. */
static bool mlock_is_real(void)
{
    void *p = aligned_alloc(4096, 4096);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    bool real = mlock(p, 4096) == 0 && mapping_has(p, " lo") && munlock(p, 4096) == 0;
    free(p);
    return real;
}

/* Takes locked memory away (root's exemption too) and gives it back. */
static void forbid_locking(bool forbid)
{
    static struct rlimit before;
    if (forbid) {
        CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_MEMLOCK, &before), 0);
        struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
        CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        if (getuid() == 0)
            CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
        return;
    }
    if (getuid() == 0)
        CU_ASSERT_EQUAL_FATAL(seteuid(0), 0);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

static void bytes_start_as_zero_and_aligned(void)
{
    static const size_t lens[] = {0, 1, 11, 15, 16, 17, 32, 64, 100, 4095, 4096, 4097, 262144};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct mig_secret *s = mig_secret_new(lens[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s);
        CU_ASSERT_EQUAL(s->len, lens[i]);
        CU_ASSERT_EQUAL((uintptr_t)s->bytes % 16, 0);
        uint8_t any = 0;
        for (size_t k = 0; k < s->len; k++)
            any |= s->bytes[k];
        CU_ASSERT_EQUAL(any, 0);
        memset(s->bytes, 0x5a, s->len);
        mig_secret_wipe(s);
        for (size_t k = 0; k < s->len; k++)
            any |= s->bytes[k];
        CU_ASSERT_EQUAL(any, 0);
        mig_secret_free(&s);
        CU_ASSERT_PTR_NULL(s);
    }
}

static void memory_is_locked_and_kept_out_of_dumps(void)
{
    struct mig_secret *s = mig_secret_new(32);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    CU_ASSERT(!mlock_is_real() || mapping_has(s->bytes, " lo"));
    CU_ASSERT(mapping_has(s->bytes, " dd"));
    mig_secret_free(&s);
}

static void a_byte_past_the_end_is_fatal(void)
{
    struct mig_secret *s = mig_secret_new(32);
    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(STDERR_FILENO); /* a sanitizer would report it */
        ((volatile uint8_t *)s->bytes)[32] = 1;
        _exit(0);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    mig_secret_free(&s);
}

static void free_twice_is_harmless(void)
{
    struct mig_secret *s = mig_secret_new(8);
    mig_secret_free(&s);
    mig_secret_free(&s);
    mig_secret_free(NULL);
    mig_secret_wipe(NULL);
    CU_ASSERT_PTR_NULL(s);
}

static void impossible_sizes_give_nothing(void)
{
    CU_ASSERT_PTR_NULL(mig_secret_new(SIZE_MAX));
    CU_ASSERT_PTR_NULL(mig_secret_new(SIZE_MAX - 16));
    CU_ASSERT_PTR_NULL(mig_secret_new(SIZE_MAX / 2));
}

static void unlockable_memory_is_refused(void)
{
    uint8_t seed[MIG_SEED_LEN] = {1};
    struct mig_identity *id = NULL;
    struct mig_ephemeral pair = {.secret = NULL};

    if (!mlock_is_real())
        return;
    forbid_locking(true);
    enum mig_err init = mig_crypto_init();
    struct mig_secret *s = mig_secret_new(32);
    enum mig_err from_seed = mig_identity_from_seed(seed, &id);
    enum mig_err generate = mig_identity_generate(&id);
    enum mig_err ephemeral = mig_ephemeral_generate(&pair);
    forbid_locking(false);

    CU_ASSERT_EQUAL(init, MIG_ERR_NOMEM);
    CU_ASSERT_PTR_NULL(s);
    CU_ASSERT_EQUAL(from_seed, MIG_ERR_NOMEM);
    CU_ASSERT_EQUAL(generate, MIG_ERR_NOMEM);
    CU_ASSERT_PTR_NULL(id);
    CU_ASSERT_EQUAL(ephemeral, MIG_ERR_NOMEM);
    CU_ASSERT_EQUAL(mig_crypto_init(), MIG_OK);
}

static void *start(void *arg)
{
    *(enum mig_err *)arg = mig_crypto_init();
    return NULL;
}

static void many_threads_may_start_it(void)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    enum mig_err results[THREADS];
    for (int i = 0; i < THREADS; i++) {
        results[i] = MIG_ERR_BUG;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, start, &results[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(results[i], MIG_OK);
    }
}

static void equal_means_every_byte(void)
{
    uint8_t a[33] = {0}, b[33] = {0};
    CU_ASSERT(mig_equal(a, b, sizeof a));
    CU_ASSERT(mig_equal(a, b, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] = 0x80;
        CU_ASSERT(!mig_equal(a, b, sizeof a));
        b[i] = 0;
    }
}

static void random_and_wipe_touch_all_bytes(void)
{
    uint8_t seen[64] = {0}, bytes[64];
    for (int round = 0; round < 16; round++) {
        mig_random(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof seen; i++)
        CU_ASSERT_NOT_EQUAL(seen[i], 0);
    mig_wipe(seen, sizeof seen);
    for (size_t i = 0; i < sizeof seen; i++)
        CU_ASSERT_EQUAL(seen[i], 0);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(bytes_start_as_zero_and_aligned), TEST(memory_is_locked_and_kept_out_of_dumps),
        TEST(a_byte_past_the_end_is_fatal),    TEST(free_twice_is_harmless),
        TEST(impossible_sizes_give_nothing),   TEST(unlockable_memory_is_refused),
        TEST(many_threads_may_start_it),       TEST(equal_means_every_byte),
        TEST(random_and_wipe_touch_all_bytes),
    };
    return run_tests("secret", tests, sizeof tests / sizeof *tests);
}

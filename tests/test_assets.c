/* SPDX-License-Identifier: MIT */
/* The asset store as a host meets it. Damage and full disks: test_assets_damage.c. */
#include "tests/assets.h"

#include <pthread.h>

#include "store/assets.h"
#include "store/assets_purge.h"

static const uint32_t abc[] = {1, 2, 3}, abd[] = {1, 2, 4}, cde[] = {3, 4, 5};

/* ---- taking ------------------------------------------------------------ */

static void a_take_gives_value_and_participants(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 7, 1);
    struct mig_asset_taken taken;
    uint8_t value[MIG_ASSET_VALUE_MAX], expected[ASSET_LEN];
    size_t len;
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_take(a, &key, value, sizeof value, &len, &taken), MIG_OK);
    value_of(&key, expected);
    CU_ASSERT(len == ASSET_LEN && memcmp(value, expected, len) == 0);
    CU_ASSERT(taken.participant_count == 3 && memcmp(taken.participants, abc, sizeof abc) == 0);
    CU_ASSERT(memcmp(taken.key.id, key.id, sizeof key.id) == 0 && taken.key.scope == 7);
    mig_assets_close(&a);
}

static void a_second_take_finds_nothing(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    struct mig_asset_key key = key_of(MIG_ASSET_PRESIGNATURE, 0, 1);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_NOT_FOUND);
    mig_assets_close(&a);
}

static void kind_and_scope_and_id_name_an_asset(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    struct mig_asset_key keys[] = {key_of(MIG_ASSET_TRIPLE, 2, 1), key_of(MIG_ASSET_TRIPLE, 3, 1),
                                   key_of(MIG_ASSET_PRESIGNATURE, 2, 1), key_of(MIG_ASSET_TRIPLE, 2, 2),
                                   key_of(MIG_ASSET_TRIPLE, UINT64_MAX, 1)};
    enum { N = sizeof keys / sizeof *keys };
    for (size_t i = 0; i < N; i++)
        CU_ASSERT_EQUAL(put(a, &keys[i], i % 2 == 0 ? abc : abd, 3), MIG_OK);
    for (size_t i = 0; i < N; i++) {
        CU_ASSERT_EQUAL(held(a), N - i);
        CU_ASSERT_EQUAL(take(a, &keys[i]), MIG_OK);
        CU_ASSERT_EQUAL(take(a, &keys[i]), MIG_ERR_NOT_FOUND);
    }
    mig_assets_close(&a);
}

static void a_small_buffer_leaves_the_asset(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, 1);
    uint8_t value[ASSET_LEN - 1];
    size_t len = 9;
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_take(a, &key, value, sizeof value, &len, NULL), MIG_ERR_BUG);
    CU_ASSERT_EQUAL(len, 0);
    CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    mig_assets_close(&a);
}

/* ---- putting ----------------------------------------------------------- */

static enum mig_err put_odd(struct mig_assets *a, enum mig_asset_kind kind, const uint32_t *ids, size_t count, size_t len)
{
    static uint8_t value[MIG_ASSET_VALUE_MAX + 1];
    struct mig_asset asset = {key_of(kind, 1, 1), ids, count, value, len};
    return mig_assets_put(a, &asset, 1);
}

static void rejects_improper_assets(void)
{
    static const uint32_t descending[] = {2, 1}, twice[] = {1, 1};
    static uint32_t many[MIG_ASSET_PARTICIPANTS_MAX + 1];
    for (uint32_t i = 0; i < MIG_ASSET_PARTICIPANTS_MAX + 1; i++)
        many[i] = i;
    struct mig_assets *a = open_assets(fresh_path());
    CU_ASSERT_EQUAL(put_odd(a, MIG_ASSET_TRIPLE, descending, 2, 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(put_odd(a, MIG_ASSET_TRIPLE, twice, 2, 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(put_odd(a, MIG_ASSET_TRIPLE, abc, 0, 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(put_odd(a, MIG_ASSET_TRIPLE, many, MIG_ASSET_PARTICIPANTS_MAX + 1, 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(put_odd(a, MIG_ASSET_TRIPLE, abc, 3, MIG_ASSET_VALUE_MAX + 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(put_odd(a, (enum mig_asset_kind)3, abc, 3, 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(put_odd(a, (enum mig_asset_kind)0, abc, 3, 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(held(a), 0);
    CU_ASSERT_EQUAL(put_odd(a, MIG_ASSET_TRIPLE, abc, 3, MIG_ASSET_VALUE_MAX), MIG_OK);
    CU_ASSERT_EQUAL(put_odd(a, MIG_ASSET_PRESIGNATURE, abc, 3, 0), MIG_OK);
    static const uint32_t unsorted[] = {4, 2};
    CU_ASSERT_EQUAL(mig_assets_purge(a, unsorted, 2), MIG_ERR_MALFORMED);
    uint8_t value[MIG_ASSET_VALUE_MAX];
    size_t len;
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 1, 1);
    CU_ASSERT_EQUAL(mig_assets_take(a, &key, value, sizeof value, &len, NULL), MIG_OK);
    CU_ASSERT_EQUAL(len, MIG_ASSET_VALUE_MAX);
    key.kind = (enum mig_asset_kind)9;
    CU_ASSERT_EQUAL(mig_assets_take(a, &key, value, sizeof value, &len, NULL), MIG_ERR_MALFORMED);
    mig_assets_close(&a);
}

static void a_key_is_not_put_twice(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, 1), other = key_of(MIG_ASSET_TRIPLE, 2, 2);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_ERR_CONFLICT);
    CU_ASSERT_EQUAL(put(a, &key, abd, 3), MIG_ERR_CONFLICT); /* whoever its participants are */
    uint8_t value[4] = {0};
    struct mig_asset batch[] = {{other, abc, 3, value, 4}, {key, abc, 3, value, 4}};
    CU_ASSERT_EQUAL(mig_assets_put(a, batch, 2), MIG_ERR_CONFLICT);
    batch[1].key = other;
    CU_ASSERT_EQUAL(mig_assets_put(a, batch, 2), MIG_ERR_CONFLICT);
    CU_ASSERT_EQUAL(take(a, &other), MIG_ERR_NOT_FOUND); /* all or none */
    CU_ASSERT_EQUAL(held(a), 1);
    CU_ASSERT_EQUAL(mig_assets_put(a, batch, MIG_ASSET_BATCH_MAX + 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_assets_put(a, NULL, 0), MIG_OK);
    mig_assets_close(&a);
}

/* ---- restarts ---------------------------------------------------------- */

static void put_and_take_survive_a_restart(void)
{
    const char *path = fresh_path();
    struct mig_assets *a = open_assets(path);
    struct mig_asset_key kept = key_of(MIG_ASSET_TRIPLE, 2, 1), taken = key_of(MIG_ASSET_TRIPLE, 2, 2);
    CU_ASSERT_EQUAL(put(a, &kept, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &taken, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &taken), MIG_OK);
    for (int i = 0; i < 3; i++) {
        mig_assets_close(&a);
        a = open_assets(path);
        CU_ASSERT_EQUAL(held(a), 1);
        CU_ASSERT_EQUAL(take(a, &taken), MIG_ERR_NOT_FOUND);
    }
    CU_ASSERT_EQUAL(take(a, &kept), MIG_OK);
    mig_assets_close(&a);
}

static void a_second_owner_is_refused(void)
{
    const char *path = fresh_path(), *why = "";
    struct mig_assets *a = open_assets(path), *b = NULL;
    CU_ASSERT_EQUAL(mig_assets_open(path, store_key, &b, &why), MIG_ERR_STATE);
    CU_ASSERT_PTR_NULL(b);
    CU_ASSERT(strlen(why) > 0);
    mig_assets_close(&a);
    mig_assets_close(&a);
    mig_assets_close(NULL);
}

static void another_store_key_is_refused_and_nothing_touched(void)
{
    const char *path = fresh_path(), *why = "";
    static const uint8_t other[MIG_KEY_LEN] = {8};
    struct mig_assets *a = open_assets(path), *b = NULL;
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, 1);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    mig_assets_close(&a);
    CU_ASSERT_EQUAL(mig_assets_open(path, other, &b, &why), MIG_ERR_DENIED);
    CU_ASSERT_PTR_NULL(b);
    a = open_assets(path);
    CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    mig_assets_close(&a);
}

/* ---- any asset --------------------------------------------------------- */

static void take_any_stays_among_those_alive(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    static const uint32_t alive[] = {1, 2, 3, 5};
    struct mig_asset_taken taken;
    uint8_t value[MIG_ASSET_VALUE_MAX];
    size_t len;
    for (uint32_t i = 0; i < 20; i++) {
        struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, i);
        CU_ASSERT_EQUAL(put(a, &key, i % 2 == 0 ? abc : abd, 3), MIG_OK);
    }
    for (uint32_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(mig_assets_take_any(a, MIG_ASSET_TRIPLE, 2, alive, 4, value, sizeof value, &len, &taken), MIG_OK);
        CU_ASSERT(taken.participant_count == 3 && memcmp(taken.participants, abc, sizeof abc) == 0);
        CU_ASSERT_EQUAL(take(a, &taken.key), MIG_ERR_NOT_FOUND);
    }
    CU_ASSERT_EQUAL(mig_assets_take_any(a, MIG_ASSET_TRIPLE, 2, alive, 4, value, sizeof value, &len, NULL), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(held(a), 10);
    /* One that sorts before all that were taken is found. */
    struct mig_asset_key low = key_of(MIG_ASSET_TRIPLE, 2, 0);
    CU_ASSERT_EQUAL(put(a, &low, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_take_any(a, MIG_ASSET_TRIPLE, 3, alive, 4, value, sizeof value, &len, NULL), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_assets_take_any(a, MIG_ASSET_PRESIGNATURE, 2, alive, 4, value, sizeof value, &len, NULL), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_assets_take_any(a, (enum mig_asset_kind)5, 2, alive, 4, value, sizeof value, &len, NULL), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_assets_take_any(a, MIG_ASSET_TRIPLE, 2, alive, 4, value, sizeof value, &len, &taken), MIG_OK);
    CU_ASSERT_EQUAL(memcmp(taken.key.id, low.id, sizeof low.id), 0);
    mig_assets_close(&a);
}

/* ---- threads ----------------------------------------------------------- */

enum { SHARED = 400 };
struct crowd {
    struct mig_assets *assets;
    atomic_int got[SHARED];
    bool any;
};

static void *take_everything(void *arg)
{
    struct crowd *crowd = arg;
    uint8_t value[MIG_ASSET_VALUE_MAX];
    size_t len;
    for (uint32_t i = 0; i < SHARED; i++) {
        struct mig_asset_taken taken;
        struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, i);
        enum mig_err err = crowd->any ? mig_assets_take_any(crowd->assets, MIG_ASSET_TRIPLE, 2, abc, 3, value, sizeof value, &len, &taken)
                                      : mig_assets_take(crowd->assets, &key, value, sizeof value, &len, &taken);
        if (err == MIG_OK)
            crowd->got[(size_t)taken.key.id[14] << 8 | taken.key.id[15]]++;
    }
    return NULL;
}

static void take_in_threads(bool any)
{
    static struct crowd crowd;
    pthread_t threads[4];
    crowd = (struct crowd){.assets = open_assets(fresh_path()), .any = any};
    for (uint32_t i = 0; i < SHARED; i++) {
        struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, i);
        CU_ASSERT_EQUAL(put(crowd.assets, &key, abc, 3), MIG_OK);
    }
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_everything, &crowd), 0);
    for (size_t i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    for (size_t i = 0; i < SHARED; i++)
        CU_ASSERT_EQUAL(crowd.got[i], 1);
    CU_ASSERT_EQUAL(held(crowd.assets), 0);
    mig_assets_close(&crowd.assets);
}

static void threads_that_take_everything_never_get_the_same(void)
{
    take_in_threads(false);
    take_in_threads(true);
}

static void *put_many(void *arg)
{
    struct mig_assets *a = arg;
    for (uint32_t i = 0; i < SHARED; i++) {
        struct mig_asset_key key = key_of(MIG_ASSET_PRESIGNATURE, 1, i);
        enum mig_err err = put(a, &key, i % 2 == 0 ? abd : cde, 3);
        CU_ASSERT(err == MIG_OK || err == MIG_ERR_CONFLICT);
    }
    return NULL;
}

static void a_purge_among_puts_and_takes_leaves_nothing_of_the_gone(void)
{
    static const uint32_t gone[] = {4};
    static struct crowd crowd;
    pthread_t threads[3];
    crowd = (struct crowd){.assets = open_assets(fresh_path())};
    for (uint32_t i = 0; i < SHARED; i++) {
        struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, i);
        CU_ASSERT_EQUAL(put(crowd.assets, &key, i % 2 == 0 ? abc : abd, 3), MIG_OK);
    }
    CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[0], NULL, take_everything, &crowd), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[1], NULL, put_many, crowd.assets), 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[2], NULL, put_many, crowd.assets), 0);
    for (int i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(mig_assets_purge(crowd.assets, gone, 1), MIG_OK);
    for (size_t i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(mig_assets_purge(crowd.assets, gone, 1), MIG_OK);
    for (size_t i = 0; i < SHARED; i++)
        CU_ASSERT(i % 2 == 0 ? crowd.got[i] == 1 : crowd.got[i] <= 1);
    CU_ASSERT_EQUAL(held(crowd.assets), 0);
    mig_assets_close(&crowd.assets);
}

/* ---- purges ------------------------------------------------------------ */

static void purge_removes_peers_assets_too(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    static const uint32_t gone[] = {3};
    /* The unique id begins with its owner, as the network's do. */
    struct mig_asset_key ours = key_of(MIG_ASSET_TRIPLE, 2, 1), theirs = ours, kept = key_of(MIG_ASSET_TRIPLE, 2, 3);
    ours.id[3] = 1;
    theirs.id[3] = 2;
    CU_ASSERT_EQUAL(put(a, &ours, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &theirs, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &kept, abd, 3), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &ours), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(take(a, &theirs), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(take(a, &kept), MIG_OK);
    mig_assets_close(&a);
}

static void purge_is_idempotent_and_the_key_free_again(void)
{
    const char *path = fresh_path();
    struct mig_assets *a = open_assets(path);
    static const uint32_t gone[] = {4, 9};
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, 1), kept = key_of(MIG_ASSET_TRIPLE, 2, 2);
    CU_ASSERT_EQUAL(put(a, &key, abd, 3), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &kept, abc, 3), MIG_OK);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 2), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_purge(a, NULL, 0), MIG_OK); /* nobody is gone */
    CU_ASSERT_EQUAL(held(a), 1);
    CU_ASSERT_EQUAL(put(a, &key, abd, 3), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    mig_assets_close(&a);
    a = open_assets(path);
    CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &kept), MIG_OK);
    mig_assets_close(&a);
}

static void purge_all_leaves_nothing(void)
{
    const char *path = fresh_path();
    struct mig_assets *a = open_assets(path);
    struct mig_assets_stats stats;
    for (uint32_t i = 0; i < 100; i++) {
        struct mig_asset_key key = key_of(i % 2 == 0 ? MIG_ASSET_TRIPLE : MIG_ASSET_PRESIGNATURE, i % 3, i);
        CU_ASSERT_EQUAL(put(a, &key, i % 5 == 0 ? cde : abd, 3), MIG_OK);
    }
    CU_ASSERT_EQUAL(mig_assets_purge_all(a), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_purge_all(a), MIG_OK);
    mig_assets_stats(a, &stats);
    CU_ASSERT(stats.triples == 0 && stats.presignatures == 0 && stats.sets == 0);
    CU_ASSERT(stats.free_bytes > 0);
    mig_assets_close(&a);
    a = open_assets(path);
    CU_ASSERT_EQUAL(held(a), 0);
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 0, 0);
    CU_ASSERT_EQUAL(take(a, &key), MIG_ERR_NOT_FOUND);
    mig_assets_close(&a);
}

static void a_thousand_participants_with_sparse_ids(void)
{
    const char *path = fresh_path();
    static uint32_t all[1000], most[999];
    for (uint32_t i = 0; i < 1000; i++)
        all[i] = i * 4294967u;
    memcpy(most, all, 500 * sizeof *all);
    memcpy(most + 500, all + 501, 499 * sizeof *all);
    struct mig_assets *a = open_assets(path);
    struct mig_asset_key with = key_of(MIG_ASSET_TRIPLE, 600, 1), without = key_of(MIG_ASSET_TRIPLE, 600, 2);
    CU_ASSERT_EQUAL(put(a, &with, all, 1000), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &without, most, 999), MIG_OK);
    mig_assets_close(&a);
    a = open_assets(path);
    uint32_t stranger[] = {1, all[500] + 1, UINT32_MAX};
    CU_ASSERT_EQUAL(mig_assets_purge(a, stranger, 3), MIG_OK);
    CU_ASSERT_EQUAL(held(a), 2);
    CU_ASSERT_EQUAL(mig_assets_purge(a, &all[500], 1), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &with), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(take(a, &without), MIG_OK);
    mig_assets_close(&a);
}

/* ---- random histories against a naive model ---------------------------- */

enum { MODEL = 300, STEPS = 800 };
struct model {
    bool present[MODEL];
    uint32_t members[MODEL]; /* bits */
};
static uint64_t dice;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(dice >> 33) % sides;
}

static size_t list_of(uint32_t bits, uint32_t ids[8])
{
    size_t n = 0;
    for (uint32_t i = 0; i < 8; i++)
        if ((bits >> i & 1) != 0)
            ids[n++] = i * i * 1000; /* sparse */
    return n;
}

static struct mig_asset_key model_key(uint32_t i)
{
    return key_of(i % 2 == 0 ? MIG_ASSET_TRIPLE : MIG_ASSET_PRESIGNATURE, i % 3, i);
}

static void one_step(struct mig_assets **a, struct model *m, const char *path)
{
    uint32_t i = roll(MODEL), ids[8], bits = 1 + roll(255);
    struct mig_asset_key key = model_key(i);
    size_t n = list_of(bits, ids);
    switch (roll(60)) {
    case 0: /* two purges in either order are one */
        CU_ASSERT_EQUAL(mig_assets_purge(*a, &ids[n - 1], 1), MIG_OK);
        CU_ASSERT_EQUAL(mig_assets_purge(*a, &ids[0], 1), MIG_OK);
        bits &= 1u << __builtin_ctz(bits) | 1u << (31 - __builtin_clz(bits));
        for (uint32_t k = 0; k < MODEL; k++)
            m->present[k] = m->present[k] && (m->members[k] & bits) == 0;
        break;
    case 1:
        if (roll(10) == 0) {
            CU_ASSERT_EQUAL(mig_assets_purge_all(*a), MIG_OK);
            memset(m->present, 0, sizeof m->present);
        }
        break;
    case 2:
        mig_assets_close(a);
        *a = open_assets(path);
        break;
    case 3:
        if (roll(4) == 0)
            CU_ASSERT_EQUAL(mig_assets_reclaim(*a), MIG_OK);
        break;
    case 4: case 5: case 6: case 7: case 8: case 9: case 10: case 11: case 12: case 13:
        CU_ASSERT_EQUAL(take(*a, &key), m->present[i] ? MIG_OK : MIG_ERR_NOT_FOUND);
        m->present[i] = false;
        break;
    default:
        CU_ASSERT_EQUAL(put(*a, &key, ids, n), m->present[i] ? MIG_ERR_CONFLICT : MIG_OK);
        if (!m->present[i])
            m->members[i] = bits;
        m->present[i] = true;
    }
}

static void random_histories_agree_with_a_naive_model(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        static struct model m;
        const char *path = fresh_path();
        struct mig_assets *a = open_assets(path);
        memset(&m, 0, sizeof m);
        dice = seed;
        for (int step = 0; step < STEPS; step++) {
            one_step(&a, &m, path);
            uint64_t expected = 0;
            for (uint32_t i = 0; i < MODEL; i++)
                expected += m.present[i];
            CU_ASSERT_EQUAL(held(a), expected);
        }
        for (uint32_t i = 0; i < MODEL; i++) {
            struct mig_asset_key key = model_key(i);
            CU_ASSERT_EQUAL(take(a, &key), m.present[i] ? MIG_OK : MIG_ERR_NOT_FOUND);
        }
        mig_assets_close(&a);
    }
}

/* ---- inside ------------------------------------------------------------ */

static size_t records_of(struct mig_assets *a, uint8_t sort)
{
    uint8_t from[] = {sort}, to[] = {(uint8_t)(sort + 1)};
    struct mig_engine_cursor *c = mig_engine_cursor_new(a->engine, (struct mig_bytes){from, 1}, (struct mig_bytes){to, 1});
    struct mig_bytes key, value;
    size_t n = 0;
    while (mig_engine_cursor_next(c, &key, &value) == MIG_OK)
        n++;
    mig_engine_cursor_free(&c);
    return n;
}

static void reclaiming_forgets_the_index_of_purged_sets(void)
{
    static const uint32_t gone[] = {4};
    struct mig_assets *a = open_assets(fresh_path());
    for (uint32_t i = 0; i < 100; i++) {
        struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, i);
        CU_ASSERT_EQUAL(put(a, &key, i < 30 ? abc : abd, 3), MIG_OK);
    }
    CU_ASSERT_EQUAL(mig_assets_purge(a, gone, 1), MIG_OK);
    CU_ASSERT_EQUAL(records_of(a, 'A'), 30);
    CU_ASSERT_EQUAL(records_of(a, 'S'), 1);
    CU_ASSERT_EQUAL(records_of(a, 'C'), 1);
    CU_ASSERT_EQUAL(records_of(a, 'I'), 100);
    CU_ASSERT_EQUAL(mig_assets_reclaim(a), MIG_OK);
    CU_ASSERT_EQUAL(records_of(a, 'I'), 30);
    CU_ASSERT_EQUAL(records_of(a, 'A'), 30);
    mig_assets_close(&a);
}

static void empty_sets_make_room(void)
{
    struct mig_assets *a = open_assets(fresh_path());
    struct mig_assets_stats stats;
    struct mig_asset_key key = key_of(MIG_ASSET_TRIPLE, 2, 1), kept = key_of(MIG_ASSET_TRIPLE, 2, 2);
    CU_ASSERT_EQUAL(put(a, &key, abc, 3), MIG_OK);
    CU_ASSERT_EQUAL(put(a, &kept, abd, 3), MIG_OK);
    CU_ASSERT_EQUAL(take(a, &key), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_assets_enter(a, true), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_collect(a), MIG_OK);
    CU_ASSERT_EQUAL(mig_assets_collect(a), MIG_ERR_STATE);
    mig_assets_leave(a);
    mig_assets_stats(a, &stats);
    CU_ASSERT_EQUAL(stats.sets, 1);
    CU_ASSERT_EQUAL(take(a, &kept), MIG_OK);
    mig_assets_close(&a);
}

static void sets_are_bounded(void)
{
    struct mig_asset_sets sets;
    struct mig_asset_set *set;
    mig_asset_sets_init(&sets);
    for (uint32_t i = 1; i <= MIG_ASSET_SETS_MAX; i++)
        CU_ASSERT_EQUAL_FATAL(mig_asset_sets_add(&sets, i, i, &i, 1, &set), MIG_OK);
    uint32_t more = MIG_ASSET_SETS_MAX + 1;
    CU_ASSERT_EQUAL(mig_asset_sets_add(&sets, more, 0, &more, 1, &set), MIG_ERR_STATE);
    for (uint32_t i = 1; i <= MIG_ASSET_SETS_MAX; i++)
        if (i % 2 == 0)
            mig_asset_sets_find(&sets, i)->state = MIG_ASSET_SET_CONDEMNED;
    mig_asset_sets_sweep(&sets);
    CU_ASSERT_EQUAL(sets.count, MIG_ASSET_SETS_MAX / 2);
    CU_ASSERT_EQUAL(mig_asset_sets_add(&sets, 3, 0, &more, 1, &set), MIG_ERR_BUG); /* numbers only grow */
    uint32_t two = 2, three = 3;
    CU_ASSERT_PTR_NULL(mig_asset_sets_of(&sets, &two, 1));
    CU_ASSERT_PTR_NOT_NULL(mig_asset_sets_of(&sets, &three, 1));
    mig_asset_sets_clear(&sets);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_take_gives_value_and_participants),
        TEST(a_second_take_finds_nothing),
        TEST(kind_and_scope_and_id_name_an_asset),
        TEST(a_small_buffer_leaves_the_asset),
        TEST(rejects_improper_assets),
        TEST(a_key_is_not_put_twice),
        TEST(put_and_take_survive_a_restart),
        TEST(a_second_owner_is_refused),
        TEST(another_store_key_is_refused_and_nothing_touched),
        TEST(take_any_stays_among_those_alive),
        TEST(threads_that_take_everything_never_get_the_same),
        TEST(a_purge_among_puts_and_takes_leaves_nothing_of_the_gone),
        TEST(purge_removes_peers_assets_too),
        TEST(purge_is_idempotent_and_the_key_free_again),
        TEST(purge_all_leaves_nothing),
        TEST(a_thousand_participants_with_sparse_ids),
        TEST(random_histories_agree_with_a_naive_model),
        TEST(reclaiming_forgets_the_index_of_purged_sets),
        TEST(empty_sets_make_room),
        TEST(sets_are_bounded),
    };
    return run_tests("assets", tests, sizeof tests / sizeof *tests);
}

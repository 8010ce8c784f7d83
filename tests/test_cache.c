/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/cache.h"
#include "crypto/encoding.h"
#include "crypto/key.h"
#include "tests/harness.h"

#define ALICE_KEY "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define BOB_KEY "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define SERVICE "{\"alice.near\":[{\"public_key\":\"" ALICE_KEY "\"},null]}"
#define RECORD_AT(url)                                                                             \
    "{\"alice.near\":[null,{\"signer_account_pk\":\"" BOB_KEY "\",\"destination_node_info\":{"     \
    "\"url\":\"" url "\",\"tls_public_key\":\"" BOB_KEY "\"}}]}"
#define RECORD RECORD_AT("http://new.example:80")
#define OTHER_RECORD RECORD_AT("http://newer.example:80")

/* The contract's states, read once, by the first new_cache. */
static char *running, *resharing, *initializing;

static char *swapped(const char *text, const char *from, const char *to)
{
    const char *hit = strstr(text, from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(hit);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    sprintf(out, "%.*s%s%s", (int)(hit - text), text, to, hit + strlen(from));
    return out;
}

static struct mig_cache *new_cache(enum mig_dialect dialect)
{
    struct mig_cache *cache = NULL;
    if (running == NULL) {
        running = test_data("state-running.json", NULL);
        resharing = test_data("state-resharing.json", NULL);
        initializing = test_data("state-initializing.json", NULL);
    }
    CU_ASSERT_EQUAL_FATAL(mig_cache_new("v1.signer", "alice.near", dialect, &cache), MIG_OK);
    return cache;
}

static enum mig_err feed(struct mig_cache *cache, enum mig_part part, uint64_t height,
                         const char *json)
{
    struct mig_block block = {height, height * 1000000000u};
    return mig_cache_feed(cache, part, &block, json, strlen(json));
}

static void state(struct mig_cache *cache, uint64_t height, const char *json)
{
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_STATE, height, json), MIG_OK);
}

static void info(struct mig_cache *cache, uint64_t height, const char *json)
{
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_MIGRATION, height, json), MIG_OK);
}

/* Both at one block, as the watcher does. */
static void both(struct mig_cache *cache, uint64_t height, const char *s, const char *i)
{
    struct mig_block block = {height, height * 1000000000u};
    const struct mig_answer answers[] = {{MIG_PART_STATE, s, strlen(s)},
                                         {MIG_PART_MIGRATION, i, strlen(i)}};
    CU_ASSERT_EQUAL(mig_cache_feed_all(cache, &block, answers, 2), MIG_OK);
}

static bool is_active(struct mig_cache *cache)
{
    const struct mig_view *view = mig_cache_view(cache);
    bool active = view->has_destination && view->destination.active;
    mig_view_release(&view);
    return active;
}

static void refuses_names_that_are_no_accounts(void)
{
    struct mig_cache *cache;
    CU_ASSERT_EQUAL(mig_cache_new("V1", "alice.near", MIG_DIALECT_AUTO, &cache), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(cache);
    CU_ASSERT_EQUAL(mig_cache_new("v1", "alice..near", MIG_DIALECT_AUTO, &cache),
                    MIG_ERR_MALFORMED);
    mig_cache_free(&cache);
}

static void there_is_no_view_before_both_parts(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    CU_ASSERT_PTR_NULL(mig_cache_view(cache));
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 0);
    state(cache, 10, running);
    CU_ASSERT_PTR_NULL(mig_cache_view(cache));
    info(cache, 11, SERVICE);
    const struct mig_view *view = mig_cache_view(cache);
    CU_ASSERT_PTR_NOT_NULL_FATAL(view);
    CU_ASSERT(view->generation == 1 && mig_cache_generation(cache) == 1);
    CU_ASSERT(view->state_block.height == 10 && view->info_block.height == 11);
    CU_ASSERT(view->protocol == MIG_PROTOCOL_RUNNING && view->keyset.count == 3);
    CU_ASSERT(view->has_service_key && !view->has_destination);
    char hex[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    CU_ASSERT_EQUAL(mig_hex_encode(view->keyset_digest, MIG_DIGEST_LEN, hex, sizeof hex), MIG_OK);
    CU_ASSERT_STRING_EQUAL(hex, "619aa27783f185cbd287e7d9af0e80f1f695fb7bf049e499925fd9a694c1a175");
    mig_view_release(&view);
    CU_ASSERT_PTR_NULL(view);
    mig_cache_free(&cache);
    CU_ASSERT_PTR_NULL(cache);
}

static void an_older_answer_is_ignored(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 10, running, SERVICE);
    state(cache, 9, resharing);
    state(cache, 10, resharing);
    info(cache, 10, "{}");
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 1);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_STATE, 9, "garbage"), MIG_OK);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_STATE, 10, "garbage"), MIG_OK);
    state(cache, 11, resharing);
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 2);
    info(cache, 11, "{}");
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 3);
    mig_cache_free(&cache);
}

static void the_same_meaning_refreshes_the_block_only(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 10, running, SERVICE);
    both(cache, 20, running, SERVICE);
    const struct mig_view *view = mig_cache_view(cache);
    CU_ASSERT(view->generation == 1 && view->state_block.height == 20 &&
              view->info_block.height == 20);
    mig_view_release(&view);
    static const struct {
        const char *from, *to;
    } same[] = {
        {"{\"next_id\":2,", "{ \"new\" : [1] , \"next_id\" : 2,"},
        {"\"proposal_by_account\":{}", "\"proposal_by_account\":{\"bob.near\":{\"v\":1}}"},
        {"\"next_id\":2", "\"next_id\":3"},
        {"\"reconstruction_threshold\":2", "\"reconstruction_threshold\":3"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char *text = swapped(running, same[i].from, same[i].to);
        state(cache, 30 + i, text);
        CU_ASSERT_EQUAL(mig_cache_generation(cache), 1);
        free(text);
    }
    mig_cache_free(&cache);
}

static void the_order_of_participants_means_nothing(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    const char *a = strstr(running, "[\"alice.near\""), *b = strstr(running, "[\"bob.near\"");
    const char *end = strstr(b, "}]]") + 2;
    char *text = malloc(strlen(running) + 1);
    sprintf(text, "%.*s%.*s,%.*s%s", (int)(a - running), running, (int)(end - b), b,
            (int)(b - 1 - a), a, end);
    CU_ASSERT(strcmp(text, running) != 0);
    both(cache, 10, running, SERVICE);
    state(cache, 11, text);
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 1);
    free(text);
    mig_cache_free(&cache);
}

static void every_relevant_change_is_a_generation(void)
{
    static const struct {
        const char *from, *to;
    } changes[] = {
        {"\"threshold\":2}", "\"threshold\":1}"},
        {"\"epoch_id\":5", "\"epoch_id\":6"},
        {"\"attempt\":2", "\"attempt\":3"},
        {"\"domain_id\":2", "\"domain_id\":3"},
        {"http://bob.example:80", "http://bob.example:81"},
        {"\"bob.near\",1", "\"bob.near\",2"},
        {"\"bob.near\",1", "\"bobby.near\",1"},
        {BOB_KEY, "ed25519:GFRaCJ8UDCWt7ZawnTbQ83RGPo7o3viyyer68jysLmVM"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
        char *text = swapped(running, changes[i].from, changes[i].to);
        both(cache, 10, running, SERVICE);
        state(cache, 11, text);
        CU_ASSERT_EQUAL(mig_cache_generation(cache), 2);
        state(cache, 12, running);
        CU_ASSERT_EQUAL(mig_cache_generation(cache), 3);
        free(text);
        mig_cache_free(&cache);
    }
}

static void a_change_of_the_prospective_set_is_a_generation(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    char *other_tail =
        swapped(strstr(resharing, "\"resharing_key\""), "\"bob.near\"", "\"carol.near\"");
    char *other = swapped(resharing, strstr(resharing, "\"resharing_key\""), other_tail);
    both(cache, 10, resharing, SERVICE);
    state(cache, 11, other);
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 2);
    free(other_tail);
    free(other);
    mig_cache_free(&cache);
}

static void the_records_of_the_account_are_generations(void)
{
    static const char *const infos[] = {SERVICE, "{}", RECORD, OTHER_RECORD, "{}"};
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 10, running, SERVICE);
    for (uint64_t i = 0; i < 5; i++) {
        info(cache, 11 + i, infos[i]);
        CU_ASSERT_EQUAL(mig_cache_generation(cache), i + 1);
    }
    info(cache, 20, "{\"bob.near\":[{\"public_key\":\"" ALICE_KEY "\"},null]}");
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 5);
    mig_cache_free(&cache);
}

static void what_does_not_parse_changes_nothing(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 10, running, SERVICE);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_STATE, 20, "{}"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_MIGRATION, 20, "[]"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_EPHEMERAL, 20, "[]"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(feed(cache, (enum mig_part)3, 20, "{}"), MIG_ERR_BUG);
    struct mig_block block = {30, 30};
    const struct mig_answer half[] = {{MIG_PART_STATE, resharing, strlen(resharing)},
                                      {MIG_PART_MIGRATION, "x", 1}};
    CU_ASSERT_EQUAL(mig_cache_feed_all(cache, &block, half, 2), MIG_ERR_MALFORMED);
    const struct mig_view *view = mig_cache_view(cache);
    CU_ASSERT(view->generation == 1 && view->state_block.height == 10 &&
              view->info_block.height == 10);
    CU_ASSERT_EQUAL(view->protocol, MIG_PROTOCOL_RUNNING);
    mig_view_release(&view);
    state(cache, 11, resharing); /* the refused heights count for nothing */
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 2);
    mig_cache_free(&cache);
}

static void age_is_that_of_the_older_block(void)
{
    struct mig_view view = {.state_block = {10, 1000}, .info_block = {20, 3000}};
    CU_ASSERT_EQUAL(mig_view_age_ns(&view, 5000), 4000);
    view.state_block.time_ns = 4500;
    CU_ASSERT_EQUAL(mig_view_age_ns(&view, 5000), 2000);
    CU_ASSERT_EQUAL(mig_view_age_ns(&view, 2000), 0);
}

/* ---- a record that survives the end of Running ---- */

static void a_record_is_active_while_running(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 10, running, RECORD);
    CU_ASSERT(is_active(cache));
    both(cache, 11, running, RECORD);
    const struct mig_view *view = mig_cache_view(cache);
    CU_ASSERT(view->destination.since == 10 && view->destination.active);
    mig_view_release(&view);
    mig_cache_free(&cache);
}

static void a_surviving_record_stays_inactive(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    char *next = swapped(running, "\"epoch_id\":5", "\"epoch_id\":6");
    both(cache, 10, running, RECORD);
    both(cache, 20, resharing, RECORD);
    CU_ASSERT(!is_active(cache));
    both(cache, 30, next, RECORD);
    CU_ASSERT(!is_active(cache));
    both(cache, 40, next, RECORD);
    CU_ASSERT(!is_active(cache));
    both(cache, 50, next, OTHER_RECORD);
    CU_ASSERT(is_active(cache));
    free(next);
    mig_cache_free(&cache);
}

static void a_surviving_record_comes_back_to_life_after_it_went(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 10, running, RECORD);
    both(cache, 20, initializing, RECORD);
    both(cache, 30, running, RECORD);
    CU_ASSERT(!is_active(cache));
    both(cache, 40, running, "{}");
    both(cache, 50, running, RECORD);
    CU_ASSERT(is_active(cache));
    mig_cache_free(&cache);
}

static void a_record_first_seen_while_not_running_is_a_survivor(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 20, resharing, RECORD);
    CU_ASSERT(!is_active(cache));
    both(cache, 30, running, RECORD);
    CU_ASSERT(!is_active(cache));
    both(cache, 31, running, OTHER_RECORD);
    CU_ASSERT(is_active(cache));
    mig_cache_free(&cache);
}

static void a_record_of_the_first_block_after_the_return_is_active(void)
{
    for (int info_first = 0; info_first < 2; info_first++) {
        struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
        both(cache, 10, running, "{}");
        both(cache, 20, resharing, "{}");
        if (info_first)
            info(cache, 30, RECORD);
        state(cache, 30, running);
        if (!info_first)
            info(cache, 30, RECORD);
        CU_ASSERT(is_active(cache));
        mig_cache_free(&cache);
    }
}

static void an_end_of_running_between_two_polls_counts(void)
{
    static const struct {
        const char *from, *to;
    } traces[] = {
        {"\"epoch_id\":5", "\"epoch_id\":6"},
        {"\"attempt\":2", "\"attempt\":3"},
        {"\"next_domain_id\":3", "\"next_domain_id\":4"},
        {"_epoch_id\":null", "_epoch_id\":6"},
    };
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
        char *later = swapped(running, traces[i].from, traces[i].to);
        both(cache, 10, running, RECORD);
        both(cache, 900, later, RECORD);
        CU_ASSERT(!is_active(cache));
        CU_ASSERT_EQUAL(mig_cache_generation(cache), 2);
        both(cache, 901, later, OTHER_RECORD);
        CU_ASSERT(is_active(cache));
        free(later);
        mig_cache_free(&cache);
    }
}

static void participants_may_change_without_an_end_of_running(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    char *moved = swapped(running, BOB_KEY, ALICE_KEY);
    both(cache, 10, running, RECORD);
    both(cache, 11, moved, RECORD);
    CU_ASSERT(is_active(cache));
    free(moved);
    mig_cache_free(&cache);
}

static void a_draft_record_of_another_epoch_is_inactive(void)
{
    static const char format[] = "{\"backup_services\":{},\"recoveries\":{\"alice.near\":{\"epoch_"
                                 "id\":%d,\"participant_info\":{"
                                 "\"url\":\"http://n:1\",\"tls_public_key\":\"" BOB_KEY
                                 "\"},\"node_account_public_key\":\"" BOB_KEY "\"}}}";
    char this_epoch[512], other_epoch[512];
    (void)snprintf(this_epoch, sizeof this_epoch, format, 5);
    (void)snprintf(other_epoch, sizeof other_epoch, format, 4);
    struct mig_cache *cache = new_cache(MIG_DIALECT_DRAFT);
    both(cache, 10, running, other_epoch);
    CU_ASSERT(!is_active(cache));
    both(cache, 11, running, this_epoch);
    CU_ASSERT(is_active(cache));
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 2);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_MIGRATION, 12, SERVICE), MIG_ERR_MALFORMED);
    mig_cache_free(&cache);
}

static void an_unknown_dialect_is_told_by_the_shape(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_AUTO);
    both(cache, 10, running, SERVICE);
    info(cache, 11,
         "{\"backup_services\":{\"alice.near\":{\"public_key\":\"" BOB_KEY
         "\"}},\"recoveries\":{}}");
    const struct mig_view *view = mig_cache_view(cache);
    uint8_t bob[MIG_KEY_LEN];
    CU_ASSERT_EQUAL(mig_key_parse(BOB_KEY, strlen(BOB_KEY), bob), MIG_OK);
    CU_ASSERT(view->has_service_key && memcmp(view->service_key, bob, MIG_KEY_LEN) == 0);
    mig_view_release(&view);
    mig_cache_free(&cache);
}

static void published_keys_are_part_of_the_view(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DRAFT);
    static const char none[] = "{\"backup_services\":{},\"recoveries\":{}}";
    both(cache, 10, running, none);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_EPHEMERAL, 10, "{}"), MIG_OK);
    CU_ASSERT_EQUAL(mig_cache_generation(cache), 1);
    CU_ASSERT_EQUAL(feed(cache, MIG_PART_EPHEMERAL, 11,
                         "{\"alice.near\":{\"node\":null,\"service\":\"x25519:"
                         "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx\"}}"),
                    MIG_OK);
    const struct mig_view *view = mig_cache_view(cache);
    CU_ASSERT(view->generation == 2 && view->published.has_service && !view->published.has_node);
    mig_view_release(&view);
    mig_cache_free(&cache);
}

/* ---- seats ---- */

static void a_seat_is_account_and_key(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    uint8_t alice[MIG_KEY_LEN], bob[MIG_KEY_LEN];
    CU_ASSERT_EQUAL(mig_key_parse(ALICE_KEY, strlen(ALICE_KEY), alice), MIG_OK);
    CU_ASSERT_EQUAL(mig_key_parse(BOB_KEY, strlen(BOB_KEY), bob), MIG_OK);
    const char *tail = strstr(resharing, "\"resharing_key\"");
    char *new_tail = swapped(tail, "\"bob.near\"", "\"carol.near\"");
    char *text = swapped(resharing, tail, new_tail);
    both(cache, 10, running, "{}");
    const struct mig_view *view = mig_cache_view(cache);
    CU_ASSERT_EQUAL(mig_view_seat(view, "alice.near", alice), MIG_SEAT_HELD);
    CU_ASSERT_EQUAL(mig_view_seat(view, "alice.near", bob), MIG_SEAT_STANDBY);
    CU_ASSERT_EQUAL(mig_view_seat(view, "carol.near", alice), MIG_SEAT_NONE);
    mig_view_release(&view);
    both(cache, 11, text, "{}");
    view = mig_cache_view(cache);
    CU_ASSERT_EQUAL(mig_view_seat(view, "bob.near", bob), MIG_SEAT_NONE);
    CU_ASSERT_EQUAL(mig_view_current_seat(view, "bob.near", bob), MIG_SEAT_HELD);
    CU_ASSERT_EQUAL(mig_view_seat(view, "carol.near", bob), MIG_SEAT_HELD);
    CU_ASSERT_EQUAL(mig_view_current_seat(view, "carol.near", bob), MIG_SEAT_NONE);
    mig_view_release(&view);
    both(cache, 12, "\"NotInitialized\"", "{}");
    view = mig_cache_view(cache);
    CU_ASSERT_EQUAL(mig_view_seat(view, "alice.near", alice), MIG_SEAT_NONE);
    CU_ASSERT_STRING_EQUAL(mig_protocol_text(view->protocol), "not_initialized");
    mig_view_release(&view);
    free(text);
    free(new_tail);
    mig_cache_free(&cache);
}

/* ---- lifetimes ---- */

static void a_view_outlives_its_replacement_and_the_cache(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    both(cache, 10, running, RECORD);
    const struct mig_view *view = mig_cache_view(cache), *again = mig_view_ref(view);
    both(cache, 11, resharing, "{}");
    mig_cache_free(&cache);
    mig_view_release(&view);
    CU_ASSERT(again->keyset.count == 3 && again->keyset.domains[2].domain == 2);
    CU_ASSERT_STRING_EQUAL(again->participants.list[1].account, "bob.near");
    mig_view_release(&again);
    mig_view_release(&again);
    mig_cache_free(&cache);
}

struct heard {
    unsigned calls;
    uint64_t generation, height;
};

static void hear(void *ctx, const struct mig_view *view)
{
    struct heard *h = ctx;
    h->calls++;
    h->generation = view->generation;
    h->height = view->state_block.height;
}

static void the_listener_hears_changes_and_refreshes(void)
{
    struct mig_cache *cache = new_cache(MIG_DIALECT_DEPLOYED);
    struct heard heard = {0};
    mig_cache_on_view(cache, hear, &heard);
    state(cache, 10, running);
    CU_ASSERT_EQUAL(heard.calls, 0);
    info(cache, 10, "{}");
    CU_ASSERT(heard.calls == 1 && heard.generation == 1);
    both(cache, 12, running, "{}");
    CU_ASSERT(heard.calls == 2 && heard.generation == 1 && heard.height == 12);
    both(cache, 12, resharing, "{}");
    CU_ASSERT_EQUAL(heard.calls, 2);
    both(cache, 13, resharing, "{}");
    CU_ASSERT(heard.calls == 3 && heard.generation == 2);
    mig_cache_free(&cache);
}

struct race {
    struct mig_cache *cache;
    atomic_bool stop;
    atomic_ulong reads, bad;
};

static void *read_views(void *arg)
{
    struct race *r = arg;
    uint64_t last = 0;
    while (!atomic_load(&r->stop)) {
        uint64_t before = mig_cache_generation(r->cache);
        const struct mig_view *view = mig_cache_view(r->cache);
        bool running_view = view->protocol == MIG_PROTOCOL_RUNNING;
        bool good = view->generation + 1 >= before && view->generation >= last &&
                    view->keyset.count == (running_view ? 3u : 1u) &&
                    view->keyset.domains[0].key_len == 64 &&
                    view->participants.list[1].account[0] == 'b' &&
                    view->has_destination == running_view;
        last = view->generation;
        mig_view_release(&view);
        (void)atomic_fetch_add(&r->reads, 1);
        if (!good)
            (void)atomic_fetch_add(&r->bad, 1);
    }
    return NULL;
}

static void readers_see_whole_views_while_the_writer_swaps(void)
{
    struct race race = {.cache = new_cache(MIG_DIALECT_DEPLOYED)};
    pthread_t threads[4];
    both(race.cache, 1, running, RECORD);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, read_views, &race), 0);
    uint64_t height = 2;
    for (; height < 4000 || atomic_load(&race.reads) < 20000; height++)
        both(race.cache, height, height % 2 ? running : resharing, height % 2 ? RECORD : "{}");
    atomic_store(&race.stop, true);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(atomic_load(&race.bad), 0);
    CU_ASSERT_EQUAL(mig_cache_generation(race.cache), height - 1);
    mig_cache_free(&race.cache);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(refuses_names_that_are_no_accounts),
        TEST(there_is_no_view_before_both_parts),
        TEST(an_older_answer_is_ignored),
        TEST(the_same_meaning_refreshes_the_block_only),
        TEST(the_order_of_participants_means_nothing),
        TEST(every_relevant_change_is_a_generation),
        TEST(a_change_of_the_prospective_set_is_a_generation),
        TEST(the_records_of_the_account_are_generations),
        TEST(what_does_not_parse_changes_nothing),
        TEST(age_is_that_of_the_older_block),
        TEST(a_record_is_active_while_running),
        TEST(a_surviving_record_stays_inactive),
        TEST(a_surviving_record_comes_back_to_life_after_it_went),
        TEST(a_record_first_seen_while_not_running_is_a_survivor),
        TEST(a_record_of_the_first_block_after_the_return_is_active),
        TEST(an_end_of_running_between_two_polls_counts),
        TEST(participants_may_change_without_an_end_of_running),
        TEST(a_draft_record_of_another_epoch_is_inactive),
        TEST(an_unknown_dialect_is_told_by_the_shape),
        TEST(published_keys_are_part_of_the_view),
        TEST(a_seat_is_account_and_key),
        TEST(a_view_outlives_its_replacement_and_the_cache),
        TEST(the_listener_hears_changes_and_refreshes),
        TEST(readers_see_whole_views_while_the_writer_swaps),
    };
    int status = run_tests("cache", tests, sizeof tests / sizeof *tests);
    free(running);
    free(resharing);
    free(initializing);
    return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * Target: the reducer of chain/cache.c. An endpoint chooses which answers come
 * in which order and from which heights. Two input bytes are one answer: what,
 * and how far from the last height. After each, the view must be what the
 * whole history says, computed here the slow way.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define PARAMETERS                                                                                 \
    "{\"participants\":{\"next_id\":1,\"participants\":[[\"alice.near\",0,{\"url\":\"\",\"tls_"    \
    "public_key\":\"" KEY "\"}]]},\"threshold\":1}"
#define RUNNING_BODY(epoch, domain, cancelled)                                                     \
    "{\"domains\":{\"domains\":[],\"next_domain_id\":" domain "},\"keyset\":{\"epoch_id\":" epoch  \
    ",\"domains\":[]},\"parameters\":" PARAMETERS                                                  \
    ",\"parameters_votes\":{},\"add_domains_votes\":"                                              \
    "{},\"previously_cancelled_resharing_epoch_id\":" cancelled "}"
#define RUNNING(epoch, domain, cancelled) "{\"Running\":" RUNNING_BODY(epoch, domain, cancelled) "}"
#define EVENT                                                                                      \
    "{\"epoch_id\":6,\"domain\":{\"id\":0,\"protocol\":\"Frost\",\"reconstruction_threshold\":1,"  \
    "\"purpose\":\"Sign\"},\"parameters\":" PARAMETERS ",\"next_attempt_id\":0}"
#define RECORD(url)                                                                                \
    "{\"alice.near\":[null,{\"signer_account_pk\":\"" KEY                                          \
    "\",\"destination_node_info\":{\"url\":\"" url "\",\"tls_public_key\":\"" KEY "\"}}]}"

/* Equal numbers mean the same. */
static const struct answer {
    enum mig_part part;
    int meaning; /* 0: does not parse */
    bool running, record;
    const char *json;
} answers[] = {
    {MIG_PART_STATE, 1, true, false, RUNNING("5", "0", "null")},
    {MIG_PART_STATE, 1, true, false, " " RUNNING("5", "0", "null")},
    {MIG_PART_STATE, 2, true, false, RUNNING("6", "0", "null")},
    {MIG_PART_STATE, 3, true, false, RUNNING("5", "1", "null")},
    {MIG_PART_STATE, 4, true, false, RUNNING("5", "0", "6")},
    {MIG_PART_STATE, 5, false, false, "\"NotInitialized\""},
    {MIG_PART_STATE, 6, false, false,
     "{\"Resharing\":{\"previous_running_state\":" RUNNING_BODY(
         "5", "0", "null") ",\"reshared_keys\":[],\"resharing_key\":" EVENT
                           ",\"cancellation_requests\":[]}}"},
    {MIG_PART_STATE, 0, false, false, "{\"Running\":{}}"},
    {MIG_PART_MIGRATION, 1, false, false, "{}"},
    {MIG_PART_MIGRATION, 2, false, true, RECORD("http://a:1")},
    {MIG_PART_MIGRATION, 3, false, true, RECORD("http://b:1")},
    {MIG_PART_MIGRATION, 4, false, false, "{\"alice.near\":[{\"public_key\":\"" KEY "\"},null]}"},
    {MIG_PART_MIGRATION, 0, false, false, "[]"},
};
enum { ANSWERS = sizeof answers / sizeof *answers, EVENTS = 64 };

/* What was taken in, per part. */
struct history {
    size_t count;
    struct {
        const struct answer *answer;
        uint64_t height;
    } event[EVENTS];
};

static void require(int condition)
{
    if (!condition)
        abort();
}

/* Height of the first event of the last stretch that means the same. */
static uint64_t began(const struct history *h, bool zero_at_start)
{
    size_t i = h->count - 1;
    while (i > 0 && h->event[i - 1].answer->meaning == h->event[i].answer->meaning)
        i--;
    return i == 0 && zero_at_start ? 0 : h->event[i].height;
}

static void check_view(struct mig_cache *cache, const struct history *state,
                       const struct history *info, uint64_t *generation)
{
    const struct mig_view *view = mig_cache_view(cache);
    require((view != NULL) == (state->count > 0 && info->count > 0));
    if (view == NULL)
        return;
    const struct answer *s = state->event[state->count - 1].answer,
                        *i = info->event[info->count - 1].answer;
    require(view->state_block.height == state->event[state->count - 1].height);
    require(view->info_block.height == info->event[info->count - 1].height);
    require((view->protocol == MIG_PROTOCOL_RUNNING) == s->running &&
            view->has_destination == i->record);
    require(view->generation >= *generation && view->generation <= *generation + 1);
    require(view->generation == mig_cache_generation(cache));
    bool active = s->running && i->record && began(info, false) >= began(state, true);
    require(view->destination.active == active);
    *generation = view->generation;
    mig_view_release(&view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_cache *cache = NULL;
    struct history parts[2] = {{0}};
    uint64_t generation = 0;
    require(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_DEPLOYED, &cache) == MIG_OK);
    for (size_t n = 0; n + 1 < size && n < 2 * EVENTS; n += 2) {
        const struct answer *a = &answers[data[n] % ANSWERS];
        struct history *h = &parts[a->part];
        uint64_t last = h->count > 0 ? h->event[h->count - 1].height : 100;
        struct mig_block block = {.height = last - 4 + data[n + 1] % 16};
        bool newer = h->count == 0 || block.height > last;
        enum mig_err err = mig_cache_feed(cache, a->part, &block, a->json, strlen(a->json));
        require(err == (newer && a->meaning == 0 ? MIG_ERR_MALFORMED : MIG_OK));
        if (newer && a->meaning != 0) {
            h->event[h->count].answer = a;
            h->event[h->count++].height = block.height;
        }
        check_view(cache, &parts[MIG_PART_STATE], &parts[MIG_PART_MIGRATION], &generation);
    }
    mig_cache_free(&cache);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_VIEWS_H
#define MIG_TESTS_VIEWS_H
/*
 * Views and participant sets from a line of text, for tests and fuzzers.
 * A set: "0aA 3bB! 7cC" is id, account (a.near), TLS key (32 times 'A'), and
 * with ! another address; ids may have several digits; ascending.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/view_box.h"
#include "crypto/keyset.h"

struct view_spec {
    uint64_t generation;
    uint64_t height;
    enum mig_protocol protocol;
    uint64_t epoch;
    uint64_t attempt;
    size_t domains;   /* in the keyset */
    const char *set;  /* participants */
    const char *next; /* prospective */
    char service;     /* letter of the backup key, or 0 */
    char destination; /* letter of the destination's TLS key, or 0 */
    bool inactive;    /* that record survived an end of Running */
    uint64_t since;   /* of that record */
    const char *url;  /* of that record */
};

static inline void letter_key(char letter, uint8_t key[MIG_KEY_LEN])
{
    memset(key, letter, MIG_KEY_LEN);
}

static inline struct mig_participants set_of(const char *text, uint64_t threshold)
{
    size_t room = 1;
    for (const char *at = text; *at != '\0'; at++)
        room += *at == ' ';
    struct mig_participants set = {.threshold = threshold, .list = calloc(room, sizeof *set.list)};
    while (set.list != NULL && *text != '\0') {
        char *end;
        struct mig_participant *p = &set.list[set.count++];
        p->id = (uint32_t)strtoul(text, &end, 10);
        p->account[0] = end[0];
        strcpy(p->account + 1, ".near");
        letter_key(end[1], p->tls_key);
        strcpy(p->url, end[2] == '!' ? "http://elsewhere.example" : "http://here.example");
        text = end + (end[2] == '!' ? 3 : 2);
        text += *text == ' ';
    }
    return set;
}

static inline struct mig_keyset keyset_of(uint64_t epoch, uint64_t attempt, size_t domains)
{
    struct mig_keyset keyset = {.epoch = epoch, .count = domains};
    keyset.domains = domains > 0 ? calloc(domains, sizeof *keyset.domains) : NULL;
    for (size_t i = 0; i < domains; i++) {
        struct mig_domain_key *d = &keyset.domains[i];
        d->domain = i * 3;
        d->attempt = attempt;
        d->curve = (enum mig_curve)(i % 3 + 1);
        d->key_len = i % 3 == 0 ? 64 : i % 3 == 1 ? 32 : 96;
        memset(d->key, (int)(epoch + i), d->key_len);
    }
    return keyset;
}

/* One reference, the caller's. */
static inline const struct mig_view *view_of(const struct view_spec *spec)
{
    struct mig_state state = {.protocol = spec->protocol};
    state.participants = set_of(spec->set != NULL ? spec->set : "", 2);
    state.prospective = set_of(spec->next != NULL ? spec->next : "", 2);
    bool keys = spec->protocol == MIG_PROTOCOL_RUNNING || spec->protocol == MIG_PROTOCOL_RESHARING;
    if (keys)
        state.keyset = keyset_of(spec->epoch, spec->attempt, spec->domains);
    struct mig_snapshot *snapshot = mig_snapshot_new(&state, "", 0);
    if (keys)
        mig_keyset_digest("v1.signer", &snapshot->state.keyset, snapshot->digest);
    struct mig_view_box *box = mig_view_box_new(snapshot);
    mig_snapshot_release(&snapshot);
    struct mig_view *view = &box->view;
    view->generation = spec->generation;
    view->state_block = view->info_block =
        (struct mig_block){spec->height, spec->height * 1000000000u};
    view->has_service_key = spec->service != 0;
    letter_key(spec->service, view->service_key);
    view->has_destination = spec->destination != 0;
    if (view->has_destination) {
        letter_key(spec->destination, view->destination.tls_key);
        letter_key(spec->destination, view->destination.signer_key);
        strcpy(view->destination.url, spec->url != NULL ? spec->url : "http://new.example");
        view->destination.since = spec->since;
        view->destination.active = !spec->inactive;
    }
    return view;
}

#endif

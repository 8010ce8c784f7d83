/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_state_parse. Its text comes from an RPC endpoint; everything the
 * service does follows from what is read here. What is accepted is sorted,
 * unique, bounded, and means the same when it is read again.
 */
#include <stdlib.h>
#include <string.h>

#include "chain/json.h"
#include "chain/state.h"
#include "crypto/keyset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void is_ordered(const struct mig_participants *set)
{
    require(set->count <= MIG_PARTICIPANTS_MAX);
    for (size_t i = 1; i < set->count; i++)
        require(set->list[i - 1].id < set->list[i].id);
    for (size_t i = 0; i < set->count; i++)
        require(mig_participants_find(set, set->list[i].account) == &set->list[i]);
}

static void has_its_text(const struct mig_state *s)
{
    struct mig_json j;
    mig_json_init(&j, s->keyset_json, strlen(s->keyset_json));
    require(mig_json_peek(&j) == MIG_JSON_OBJECT);
    mig_json_skip(&j);
    require(mig_json_end(&j) == MIG_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_state s, again;
    uint8_t digest[MIG_DIGEST_LEN], digest_again[MIG_DIGEST_LEN];
    enum mig_err err = mig_state_parse((const char *)data, size, &s);
    if (err != MIG_OK) {
        require(err == MIG_ERR_MALFORMED && s.keyset.domains == NULL && s.keyset_json == NULL);
        return 0;
    }
    is_ordered(&s.participants);
    is_ordered(&s.prospective);
    for (size_t i = 1; i < s.keyset.count; i++)
        require(s.keyset.domains[i - 1].domain < s.keyset.domains[i].domain);
    bool has_keyset = s.protocol == MIG_PROTOCOL_RUNNING || s.protocol == MIG_PROTOCOL_RESHARING;
    require(has_keyset == (s.keyset_json != NULL));
    if (has_keyset)
        has_its_text(&s);
    require(mig_state_parse((const char *)data, size, &again) == MIG_OK);
    mig_keyset_digest("v1.signer", &s.keyset, digest);
    mig_keyset_digest("v1.signer", &again.keyset, digest_again);
    require(memcmp(digest, digest_again, sizeof digest) == 0);
    mig_state_clear(&s);
    mig_state_clear(&again);
    return 0;
}

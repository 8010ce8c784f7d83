/* SPDX-License-Identifier: MIT */
#include "chain/meaning.h"

#include <sodium.h>
#include <string.h>

/* Every value goes in with its length or at a fixed one, so that no two
 * meanings run together. */
struct sink {
    crypto_generichash_state hash;
};

static void begin(struct sink *s)
{
    (void)crypto_generichash_init(&s->hash, NULL, 0, MIG_DIGEST_LEN);
}

static void put(struct sink *s, const void *bytes, size_t len)
{
    (void)crypto_generichash_update(&s->hash, bytes, len);
}

static void put_u64(struct sink *s, uint64_t n)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(n >> (8 * i));
    put(s, b, sizeof b);
}

static void put_text(struct sink *s, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    put_u64(s, len);
    put(s, text != NULL ? text : "", len);
}

static void end(struct sink *s, uint8_t out[MIG_DIGEST_LEN])
{
    (void)crypto_generichash_final(&s->hash, out, MIG_DIGEST_LEN);
}

static void put_keyset(struct sink *s, const struct mig_keyset *keyset)
{
    put_u64(s, keyset->epoch);
    put_u64(s, keyset->count);
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *d = &keyset->domains[i];
        put_u64(s, d->domain);
        put_u64(s, d->attempt);
        put_u64(s, d->curve);
        put_u64(s, d->key_len);
        put(s, d->key, d->key_len);
    }
}

static void put_participants(struct sink *s, const struct mig_participants *set)
{
    put_u64(s, set->threshold);
    put_u64(s, set->count);
    for (size_t i = 0; i < set->count; i++) {
        const struct mig_participant *p = &set->list[i];
        put_u64(s, p->id);
        put_text(s, p->account);
        put_text(s, p->url);
        put(s, p->tls_key, MIG_KEY_LEN);
    }
}

static void digest_state(const struct mig_state *state, uint8_t out[MIG_DIGEST_LEN])
{
    struct sink s;
    begin(&s);
    put_u64(&s, state->protocol);
    put_keyset(&s, &state->keyset);
    put_text(&s, state->keyset_json);
    put_participants(&s, &state->participants);
    put_participants(&s, &state->prospective);
    put_u64(&s, state->next_domain);
    put_u64(&s, state->has_cancelled_epoch);
    put_u64(&s, state->cancelled_epoch);
    end(&s, out);
}

bool mig_meaning_is_same_state(const struct mig_state *a, const struct mig_state *b)
{
    uint8_t x[MIG_DIGEST_LEN], y[MIG_DIGEST_LEN];
    digest_state(a, x);
    digest_state(b, y);
    return memcmp(x, y, sizeof x) == 0;
}

static enum mig_err state_meaning(const struct mig_answer *a, uint8_t out[MIG_DIGEST_LEN])
{
    struct mig_state state;
    enum mig_err err = mig_state_parse(a->json, a->len, &state);
    if (err != MIG_OK)
        return err;
    digest_state(&state, out);
    mig_state_clear(&state);
    return MIG_OK;
}

static enum mig_err put_state(struct sink *s, const struct mig_answer *a,
                              struct mig_meaning_memo *memo)
{
    uint8_t bytes[MIG_DIGEST_LEN];
    (void)crypto_generichash(bytes, sizeof bytes, (const uint8_t *)a->json, a->len, NULL, 0);
    if (!memo->has || memcmp(bytes, memo->bytes, sizeof bytes) != 0) {
        memo->has = false;
        enum mig_err err = state_meaning(a, memo->state);
        if (err != MIG_OK)
            return err;
        memcpy(memo->bytes, bytes, sizeof bytes);
        memo->has = true;
    }
    put(s, memo->state, MIG_DIGEST_LEN);
    return MIG_OK;
}

static enum mig_err put_info(struct sink *s, enum mig_dialect dialect, const char *account,
                             const struct mig_answer *a)
{
    struct mig_info info;
    enum mig_err err = dialect == MIG_DIALECT_DRAFT
                           ? mig_recovery_info_parse(a->json, a->len, account, &info)
                           : mig_migration_info_parse(a->json, a->len, account, &info);
    if (err != MIG_OK)
        return err;
    const struct mig_destination *d = &info.destination;
    put_u64(s, info.has_service_key);
    put(s, info.service_key, MIG_KEY_LEN);
    put_u64(s, info.has_destination);
    put(s, d->tls_key, MIG_KEY_LEN);
    put(s, d->signer_key, MIG_KEY_LEN);
    put_text(s, d->url);
    put_u64(s, info.has_epoch);
    put_u64(s, info.epoch);
    return MIG_OK;
}

static enum mig_err put_published(struct sink *s, const char *account, const struct mig_answer *a)
{
    struct mig_published p;
    enum mig_err err = mig_ephemeral_keys_parse(a->json, a->len, account, &p);
    if (err != MIG_OK)
        return err;
    put_u64(s, p.has_node);
    put(s, p.node, MIG_KEY_LEN);
    put_u64(s, p.has_service);
    put(s, p.service, MIG_KEY_LEN);
    return MIG_OK;
}

static enum mig_err put_answer(struct sink *s, enum mig_dialect dialect, const char *account,
                               const struct mig_answer *a, struct mig_meaning_memo *memo)
{
    put_u64(s, a->part);
    switch (a->part) {
    case MIG_PART_STATE:
        return put_state(s, a, memo);
    case MIG_PART_MIGRATION:
        return put_info(s, dialect, account, a);
    case MIG_PART_EPHEMERAL:
        return put_published(s, account, a);
    }
    return MIG_ERR_BUG;
}

enum mig_err mig_meaning(enum mig_dialect dialect, const char *account,
                         const struct mig_answer *answers, size_t count,
                         struct mig_meaning_memo *memo, uint8_t out[MIG_DIGEST_LEN])
{
    struct sink s;
    unsigned seen = 0, needed = 1u << MIG_PART_STATE | 1u << MIG_PART_MIGRATION;
    memset(out, 0, MIG_DIGEST_LEN);
    begin(&s);
    put_u64(&s, dialect);
    for (size_t i = 0; i < count; i++) {
        enum mig_err err = put_answer(&s, dialect, account, &answers[i], memo);
        if (err != MIG_OK)
            return err;
        seen |= 1u << answers[i].part;
    }
    if ((seen & needed) != needed)
        return MIG_ERR_MALFORMED;
    end(&s, out);
    return MIG_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * Each bucket is one number: the time at which it will be full again. A token
 * costs one interval of that time, and a bucket may run at most its burst
 * ahead of the clock. Addresses live in sets of a few ways, chosen by a keyed
 * hash, so that nobody can aim at another's set.
 */
#include "auth/bucket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "crypto/secret.h"

enum { WAYS = 8 };
#define SECOND UINT64_C(1000000000)

struct rate {
    uint64_t interval; /* ns per token */
    uint64_t burst;    /* ns */
};

struct bucket {
    struct mig_address address;
    uint64_t full_at;
};

struct mig_budget {
    pthread_mutex_t lock; /* protects all_full_at and buckets */
    struct rate each, all;
    uint64_t all_full_at;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    size_t sets;
    struct bucket buckets[];
};

static struct rate rate_of(uint32_t per_second)
{
    struct rate rate = {SECOND / per_second, 0};
    rate.burst = rate.interval * per_second;
    return rate;
}

enum mig_err mig_budget_new(const struct mig_budget_config *config, struct mig_budget **out)
{
    enum { ADDRESSES_MAX = 1 << 20, RATE_MAX = 1000 * 1000 };
    *out = NULL;
    if (config->per_address == 0 || config->per_address > RATE_MAX || config->total == 0 ||
        config->total > RATE_MAX || config->addresses == 0 || config->addresses > ADDRESSES_MAX)
        return MIG_ERR_MALFORMED;
    size_t sets = (config->addresses + WAYS - 1) / WAYS;
    struct mig_budget *budget = calloc(1, sizeof *budget + sets * WAYS * sizeof budget->buckets[0]);
    if (budget == NULL || pthread_mutex_init(&budget->lock, NULL) != 0) {
        free(budget);
        return MIG_ERR_NOMEM;
    }
    budget->each = rate_of(config->per_address);
    budget->all = rate_of(config->total);
    budget->sets = sets;
    mig_random(budget->hash_key, sizeof budget->hash_key);
    *out = budget;
    return MIG_OK;
}

void mig_budget_free(struct mig_budget **budget)
{
    if (*budget != NULL)
        (void)pthread_mutex_destroy(&(*budget)->lock);
    free(*budget);
    *budget = NULL;
}

/* One host commands a whole IPv6 /64, but only one IPv4 address. */
static struct mig_address payer(const struct mig_address *address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct mig_address key = *address;
    if (memcmp(key.bytes, mapped, sizeof mapped) != 0)
        memset(key.bytes + 8, 0, 8);
    return key;
}

static struct bucket *set_of(struct mig_budget *budget, const struct mig_address *key)
{
    uint8_t bytes[crypto_shorthash_BYTES];
    uint64_t hash;
    (void)crypto_shorthash(bytes, key->bytes, sizeof key->bytes, budget->hash_key);
    memcpy(&hash, bytes, sizeof hash);
    return &budget->buckets[hash % budget->sets * WAYS];
}

static struct bucket *find(struct bucket *set, const struct mig_address *key)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (memcmp(&set[i].address, key, sizeof *key) == 0)
            return &set[i];
    }
    return NULL;
}

/* The one that loses least by being forgotten: nothing when it is full. */
static struct bucket *fullest(struct bucket *set)
{
    struct bucket *best = set;
    for (size_t i = 1; i < WAYS; i++) {
        if (set[i].full_at < best->full_at)
            best = &set[i];
    }
    return best;
}

static bool has_token(uint64_t full_at, struct rate rate, uint64_t now_ns)
{
    return full_at <= now_ns || full_at - now_ns <= rate.burst - rate.interval;
}

static uint64_t spent(uint64_t full_at, struct rate rate, uint64_t now_ns)
{
    return (full_at > now_ns ? full_at : now_ns) + rate.interval;
}

static bool take(struct mig_budget *budget, const struct mig_address *key, uint64_t now_ns)
{
    struct bucket *set = set_of(budget, key);
    struct bucket *bucket = find(set, key);
    if (!has_token(budget->all_full_at, budget->all, now_ns) ||
        (bucket != NULL && !has_token(bucket->full_at, budget->each, now_ns)))
        return false;
    if (bucket == NULL) {
        bucket = fullest(set);
        *bucket = (struct bucket){.address = *key};
    }
    bucket->full_at = spent(bucket->full_at, budget->each, now_ns);
    budget->all_full_at = spent(budget->all_full_at, budget->all, now_ns);
    return true;
}

bool mig_budget_take(struct mig_budget *budget, const struct mig_address *address, uint64_t now_ns)
{
    const struct mig_address key = payer(address);
    (void)pthread_mutex_lock(&budget->lock);
    bool taken = take(budget, &key, now_ns);
    (void)pthread_mutex_unlock(&budget->lock);
    return taken;
}

static void refund(uint64_t *full_at, struct rate rate, uint64_t now_ns)
{
    if (*full_at > now_ns)
        *full_at -= *full_at - now_ns < rate.interval ? *full_at - now_ns : rate.interval;
}

void mig_budget_give(struct mig_budget *budget, const struct mig_address *address, uint64_t now_ns)
{
    const struct mig_address key = payer(address);
    (void)pthread_mutex_lock(&budget->lock);
    struct bucket *bucket = find(set_of(budget, &key), &key);
    if (bucket != NULL)
        refund(&bucket->full_at, budget->each, now_ns);
    refund(&budget->all_full_at, budget->all, now_ns);
    (void)pthread_mutex_unlock(&budget->lock);
}

/* A bucket fills in a second, so the next token is never further away. */
uint32_t mig_budget_retry_after(const struct mig_budget *budget)
{
    (void)budget;
    return 1;
}

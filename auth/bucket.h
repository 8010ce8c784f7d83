/* SPDX-License-Identifier: MIT */
#ifndef MIG_AUTH_BUCKET_H
#define MIG_AUTH_BUCKET_H
/*
 * The verification budget: processor time, in verifications per second, per
 * address (IPv6: per /64) and in all. Fixed memory; an address whose bucket is
 * full again costs nothing.
 */
#include "include/mpc_migration.h"

struct mig_budget;
struct mig_budget_config {
    uint32_t per_address; /* verifications per second, also the burst (500) */
    uint32_t total;       /* (5000) */
    size_t addresses;     /* buckets kept (1024) */
};
/* 16 bytes: an IPv6 address, IPv4 mapped (::ffff:a.b.c.d). */
struct mig_address {
    uint8_t bytes[16];
};
enum mig_err mig_budget_new(const struct mig_budget_config *config, struct mig_budget **out) MIG_MUST_USE;
void mig_budget_free(struct mig_budget **budget);
/* Takes one token from both buckets or none. Any thread. */
bool mig_budget_take(struct mig_budget *budget, const struct mig_address *address, uint64_t now_ns);
/* A request that became authenticated gives its token back. */
void mig_budget_give(struct mig_budget *budget, const struct mig_address *address, uint64_t now_ns);
/* Seconds until a token is there again; at least 1. */
uint32_t mig_budget_retry_after(const struct mig_budget *budget);

#endif

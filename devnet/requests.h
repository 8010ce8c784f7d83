/* SPDX-License-Identifier: MIT */
#ifndef MIG_DEVNET_REQUESTS_H
#define MIG_DEVNET_REQUESTS_H
/*
 * A stand-in for the part of the MPC contract that takes requests: `sign`,
 * `request_app_private_key`, `verify_foreign_transaction`. It makes the receipts
 * that the block stream looks for, and no signatures.
 */
#include "devnet/chain.h"

/* The number of a request's method, or -1. */
int mig_devnet_request_kind(const char *method);
/* Accepts any JSON object. */
enum mig_err mig_devnet_request_run(const struct mig_contract_call *call,
                                    struct mig_contract_outcome *out) MIG_MUST_USE;
enum mig_err mig_devnet_yield_add(struct mig_devnet_chain *chain, const uint8_t id[MIG_DIGEST_LEN],
                                  int kind, uint64_t height) MIG_MUST_USE;
/* Completes the oldest `count` requests that wait, in one block; with `fails` as
 * after their time is over. MIG_ERR_STATE when there are not so many. */
enum mig_err mig_devnet_complete(struct mig_devnet_chain *chain, uint64_t count, bool fails,
                                 uint64_t now_ns) MIG_MUST_USE;

#endif

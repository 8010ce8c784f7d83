/* SPDX-License-Identifier: MIT */
#ifndef MIG_BACKUP_ANSWER_H
#define MIG_BACKUP_ANSWER_H
/*
 * The JSON bodies a node answers with (docs/protocol.md, "Resources"). Parsed
 * after the signature verified, and still total: the node itself may be
 * hostile. Unknown members are ignored, missing or ill-typed ones an error.
 */
#include "include/mpc_migration.h"

enum { MIG_ANSWER_MAX = 16384, MIG_CODE_MAX = 32 };

/* GET /shares_recover. `receipt` counts only with has_receipt. */
struct mig_offered {
    enum mig_job job; /* WAITING, IMPORTING, IMPORTED or DONE */
    uint64_t epoch;
    uint8_t keyset[MIG_DIGEST_LEN];
    bool has_node_key; /* exactly in WAITING and IMPORTED */
    uint8_t node_key[MIG_KEY_LEN];
    uint64_t expires_in; /* seconds */
    bool has_receipt;
    struct mig_receipt receipt;
};
enum mig_err mig_offered_parse(const void *json, size_t len, struct mig_offered *out) MIG_MUST_USE;
/* PUT /shares_recover; `repeated` is left false. */
enum mig_err mig_receipt_parse(const void *json, size_t len, struct mig_receipt *out) MIG_MUST_USE;

/* POST /shares_backup. */
struct mig_acknowledgement {
    uint64_t epoch;
    uint8_t keyset[MIG_DIGEST_LEN];
    uint8_t context[MIG_DIGEST_LEN]; /* SHA-256 of the final context */
    uint64_t recorded_at;
    bool known; /* this very process of the node served that backup */
};
enum mig_err mig_acknowledgement_parse(const void *json, size_t len,
                                       struct mig_acknowledgement *out) MIG_MUST_USE;

/* Any answer >= 400. */
struct mig_problem_body {
    uint64_t status;
    char code[MIG_CODE_MAX]; /* [a-z_]+ */
    bool retryable;
};
enum mig_err mig_problem_body_parse(const void *json, size_t len,
                                    struct mig_problem_body *out) MIG_MUST_USE;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_HANDLERS_PROBLEM_H
#define MIG_HANDLERS_PROBLEM_H
/*
 * What can go wrong, as the wire names it: one table from situation to status,
 * code, retryable and a fixed sentence (docs/protocol.md, second table).
 * Bodies are static RFC 9457 documents; nothing of the input is ever echoed.
 */
#include "handlers/exchange.h"

enum mig_problem {
    MIG_PROBLEM_NONE = 0,
    MIG_PROBLEM_MALFORMED,
    MIG_PROBLEM_DIGEST_MISMATCH,
    MIG_PROBLEM_UNAUTHORIZED,
    MIG_PROBLEM_NOT_PARTICIPANT,
    MIG_PROBLEM_DECOMMISSIONED,
    MIG_PROBLEM_NOT_DESTINATION,
    MIG_PROBLEM_NOT_FOUND,
    MIG_PROBLEM_METHOD_NOT_ALLOWED,
    MIG_PROBLEM_TIMEOUT,
    MIG_PROBLEM_KEYSET_MISMATCH,
    MIG_PROBLEM_NO_MIGRATION,
    MIG_PROBLEM_ANNOUNCE_MISMATCH,
    MIG_PROBLEM_EPHEMERAL_UNPUBLISHED,
    MIG_PROBLEM_OPERATOR_KEY,
    MIG_PROBLEM_OFFER_UNKNOWN,
    MIG_PROBLEM_SHARES_CONFLICT,
    MIG_PROBLEM_BUSY,
    MIG_PROBLEM_LENGTH_REQUIRED,
    MIG_PROBLEM_TOO_LARGE,
    MIG_PROBLEM_UNSUPPORTED_TYPE,
    MIG_PROBLEM_EXPECTATION_FAILED,
    MIG_PROBLEM_MISDIRECTED,
    MIG_PROBLEM_WRONG_KEY,
    MIG_PROBLEM_INCOMPLETE,
    MIG_PROBLEM_RATE_LIMITED,
    MIG_PROBLEM_HEADERS_TOO_LARGE,
    MIG_PROBLEM_NOT_RUNNING,
    MIG_PROBLEM_STALE_VIEW,
    MIG_PROBLEM_STORE_UNAVAILABLE,
    MIG_PROBLEM_SHARES_MISSING,
    MIG_PROBLEM_RESTARTING,
    MIG_PROBLEM_COUNT,
};

#define MIG_PROBLEM_TYPE "application/problem+json"

/* Retry-After is never longer: a client waits no longer anyway. */
enum { MIG_RETRY_AFTER_MAX = 60 };

struct mig_problem_info {
    unsigned status;
    const char *code;
    uint32_t retry_after; /* default Retry-After in seconds; 0: none */
    struct mig_text body;
};

const struct mig_problem_info *mig_problem_info(enum mig_problem problem);
enum mig_problem mig_problem_of_verdict(enum mig_verdict verdict);
/* The whole answer, unsigned, in static bytes (`allow` too must be static).
 * `retry_after` 0: the table's. */
void mig_problem_response(enum mig_problem problem, const char *allow, uint32_t retry_after,
                          struct mig_response *out);

/* For when there is not even memory for an exchange. */
extern const struct mig_response mig_response_no_memory;

/* Appends a field; both texts must outlive the response. */
void mig_response_add(struct mig_response *response, struct mig_text name, struct mig_text value);

#endif

/* SPDX-License-Identifier: MIT */
#include "handlers/problem.h"

#include <string.h>

/* The body is one literal, so that refusing costs no memory and no formatting. */
#define BODY(status_, code_, retryable_, sentence_)                                                \
    "{\"type\":\"about:blank\",\"title\":\"" code_ "\",\"status\":" #status_ ",\"code\":\"" code_  \
    "\",\"retryable\":" retryable_ ",\"detail\":\"" sentence_ "\"}"
#define ROW(status_, code_, retryable_, wait_, sentence_)                                          \
    {                                                                                              \
        .status = status_, .code = code_, .retry_after = wait_,                                    \
        .body = {BODY(status_, code_, retryable_, sentence_),                                      \
                 sizeof(BODY(status_, code_, retryable_, sentence_)) - 1},                         \
    }

static const struct mig_problem_info TABLE[MIG_PROBLEM_COUNT] = {
    [MIG_PROBLEM_MALFORMED] = ROW(400, "malformed", "false", 0, "The request is not well-formed."),
    [MIG_PROBLEM_DIGEST_MISMATCH] = ROW(400, "digest_mismatch", "false", 0,
                                        "The body does not have the digest that was signed."),
    [MIG_PROBLEM_UNAUTHORIZED] = ROW(401, "unauthorized", "false", 0,
                                     "The request is not signed by the backup service that the "
                                     "contract names."),
    [MIG_PROBLEM_NOT_PARTICIPANT] =
        ROW(403, "not_participant", "false", 0, "This node is not a participant."),
    [MIG_PROBLEM_DECOMMISSIONED] =
        ROW(403, "decommissioned", "false", 0, "This node has lost its seat."),
    [MIG_PROBLEM_NOT_DESTINATION] =
        ROW(403, "not_destination", "false", 0, "The migration names another node."),
    [MIG_PROBLEM_NOT_FOUND] = ROW(404, "not_found", "false", 0, "There is no such resource."),
    [MIG_PROBLEM_METHOD_NOT_ALLOWED] =
        ROW(405, "method_not_allowed", "false", 0, "The resource does not have this method."),
    [MIG_PROBLEM_TIMEOUT] = ROW(408, "timeout", "true", 0, "The request did not arrive in time."),
    [MIG_PROBLEM_KEYSET_MISMATCH] = ROW(409, "keyset_mismatch", "true", 0,
                                        "Epoch or keyset are not the contract's current ones."),
    [MIG_PROBLEM_NO_MIGRATION] = ROW(409, "no_migration", "false", 0,
                                     "The contract shows no running migration of this account."),
    [MIG_PROBLEM_ANNOUNCE_MISMATCH] = ROW(409, "announce_mismatch", "false", 0,
                                          "The node expects keys to be announced another way."),
    [MIG_PROBLEM_EPHEMERAL_UNPUBLISHED] = ROW(409, "ephemeral_unpublished", "true", 0,
                                              "The contract does not show the announced key."),
    [MIG_PROBLEM_OPERATOR_KEY] = ROW(409, "operator_key", "false", 0,
                                     "The operator keys of node and backup service differ."),
    [MIG_PROBLEM_OFFER_UNKNOWN] = ROW(409, "offer_unknown", "true", 0,
                                      "The offer has been used or has lapsed: ask for a new one."),
    [MIG_PROBLEM_SHARES_CONFLICT] = ROW(409, "shares_conflict", "false", 0,
                                        "Different shares are stored already; they are kept."),
    [MIG_PROBLEM_BUSY] = ROW(409, "busy", "true", 0, "Another import is running."),
    [MIG_PROBLEM_LENGTH_REQUIRED] =
        ROW(411, "length_required", "false", 0, "Content-Length is required."),
    [MIG_PROBLEM_TOO_LARGE] = ROW(413, "too_large", "false", 0, "The body is longer than allowed."),
    [MIG_PROBLEM_UNSUPPORTED_TYPE] = ROW(415, "unsupported_type", "false", 0,
                                         "The body must be a sealed container, without coding."),
    [MIG_PROBLEM_EXPECTATION_FAILED] =
        ROW(417, "expectation_failed", "false", 0, "Only 100-continue can be expected."),
    [MIG_PROBLEM_MISDIRECTED] = ROW(421, "misdirected", "false", 0,
                                    "The request is meant for another contract, account or node."),
    [MIG_PROBLEM_WRONG_KEY] =
        ROW(422, "wrong_key", "false", 0, "The shares belong to other public keys."),
    [MIG_PROBLEM_INCOMPLETE] =
        ROW(422, "incomplete", "false", 0, "The shares are not those of the keyset."),
    [MIG_PROBLEM_RATE_LIMITED] =
        ROW(429, "rate_limited", "true", 1, "Too many requests that could not be authenticated."),
    [MIG_PROBLEM_HEADERS_TOO_LARGE] =
        ROW(431, "headers_too_large", "false", 0, "The header fields are too many or too long."),
    [MIG_PROBLEM_NOT_RUNNING] =
        ROW(503, "not_running", "true", 10, "The protocol is not in its running state."),
    [MIG_PROBLEM_STALE_VIEW] =
        ROW(503, "stale_view", "true", 5, "The node has no recent view of the contract."),
    [MIG_PROBLEM_STORE_UNAVAILABLE] =
        ROW(503, "store_unavailable", "true", 10, "The node cannot store or read shares now."),
    [MIG_PROBLEM_SHARES_MISSING] =
        ROW(503, "shares_missing", "false", 0, "The node lacks shares of the current keyset."),
    [MIG_PROBLEM_RESTARTING] =
        ROW(503, "restarting", "true", 1, "The node cannot take requests yet."),
};

static const char SECONDS[MIG_RETRY_AFTER_MAX][3] = {
    "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",  "10", "11", "12", "13", "14", "15",
    "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30",
    "31", "32", "33", "34", "35", "36", "37", "38", "39", "40", "41", "42", "43", "44", "45",
    "46", "47", "48", "49", "50", "51", "52", "53", "54", "55", "56", "57", "58", "59", "60",
};

const struct mig_problem_info *mig_problem_info(enum mig_problem problem)
{
    return &TABLE[problem];
}

enum mig_problem mig_problem_of_verdict(enum mig_verdict verdict)
{
    switch (verdict) {
    case MIG_ADMITTED:
        return MIG_PROBLEM_NONE;
    case MIG_REFUSED_NO_VIEW:
    case MIG_REFUSED_STALE:
        return MIG_PROBLEM_STALE_VIEW;
    case MIG_REFUSED_MISDIRECTED:
        return MIG_PROBLEM_MISDIRECTED;
    case MIG_REFUSED_DIRECTION:
        return MIG_PROBLEM_MALFORMED;
    case MIG_REFUSED_NOT_RUNNING:
        return MIG_PROBLEM_NOT_RUNNING;
    case MIG_REFUSED_NOT_PARTICIPANT:
        return MIG_PROBLEM_NOT_PARTICIPANT;
    case MIG_REFUSED_DECOMMISSIONED:
        return MIG_PROBLEM_DECOMMISSIONED;
    case MIG_REFUSED_NOT_DESTINATION:
        return MIG_PROBLEM_NOT_DESTINATION;
    case MIG_REFUSED_NO_MIGRATION:
        return MIG_PROBLEM_NO_MIGRATION;
    case MIG_REFUSED_KEYSET:
        return MIG_PROBLEM_KEYSET_MISMATCH;
    case MIG_REFUSED_ANNOUNCE:
        return MIG_PROBLEM_ANNOUNCE_MISMATCH;
    case MIG_REFUSED_OPERATOR_KEY:
        return MIG_PROBLEM_OPERATOR_KEY;
    case MIG_REFUSED_EPHEMERAL:
        return MIG_PROBLEM_EPHEMERAL_UNPUBLISHED;
    }
    return MIG_PROBLEM_STALE_VIEW; /* no verdict of ours: fail closed */
}

void mig_response_add(struct mig_response *response, struct mig_text name, struct mig_text value)
{
    if (response->field_count < MIG_RESPONSE_FIELDS_MAX)
        response->fields[response->field_count++] = (struct mig_field){name, value};
}

static struct mig_text seconds(uint32_t n)
{
    const char *text = SECONDS[n < MIG_RETRY_AFTER_MAX ? n - 1 : MIG_RETRY_AFTER_MAX - 1];
    return (struct mig_text){text, strlen(text)};
}

void mig_problem_response(enum mig_problem problem, const char *allow, uint32_t retry_after,
                          struct mig_response *out)
{
    const struct mig_problem_info *info = &TABLE[problem];

    out->status = info->status;
    out->field_count = 0;
    out->body = (const uint8_t *)info->body.at;
    out->body_len = info->body.len;
    out->is_signed = false;
    mig_response_add(out, MIG_TEXT("Cache-Control"), MIG_TEXT("no-store"));
    mig_response_add(out, MIG_TEXT("Content-Type"), MIG_TEXT(MIG_PROBLEM_TYPE));
    if (problem == MIG_PROBLEM_UNAUTHORIZED) {
        mig_response_add(out, MIG_TEXT("WWW-Authenticate"),
                         MIG_TEXT("Signature realm=\"mpc-migration\""));
        mig_response_add(
            out, MIG_TEXT("Accept-Signature"),
            MIG_TEXT("sig=(\"@method\" \"@authority\" \"@path\" \"@query\" "
                     "\"mpc-migration-context\");created;expires;tag=\"" MIG_REQUEST_TAG "\""));
    }
    if (retry_after == 0)
        retry_after = info->retry_after;
    if (retry_after != 0)
        mig_response_add(out, MIG_TEXT("Retry-After"), seconds(retry_after));
    if (allow != NULL)
        mig_response_add(out, MIG_TEXT("Allow"), (struct mig_text){allow, strlen(allow)});
}

#define NO_MEMORY_BODY BODY(503, "restarting", "true", "The node cannot take requests yet.")
const struct mig_response mig_response_no_memory = {
    .status = 503,
    .field_count = 3,
    .fields = {{{"Cache-Control", 13}, {"no-store", 8}},
               {{"Content-Type", 12}, {MIG_PROBLEM_TYPE, sizeof MIG_PROBLEM_TYPE - 1}},
               {{"Retry-After", 11}, {"1", 1}}},
    .body = (const uint8_t *)NO_MEMORY_BODY,
    .body_len = sizeof NO_MEMORY_BODY - 1,
};

/* By code; a code of another status, or of nobody, is the caller's mistake and
 * becomes the first row of that status, or a plain 400. */
static enum mig_problem find(unsigned status, const char *code)
{
    enum mig_problem same_status = MIG_PROBLEM_MALFORMED;
    for (enum mig_problem p = MIG_PROBLEM_COUNT - 1; p > MIG_PROBLEM_NONE; p--) {
        if (TABLE[p].status != status)
            continue;
        if (code != NULL && strcmp(TABLE[p].code, code) == 0)
            return p;
        same_status = p;
    }
    return same_status;
}

void mig_response_problem(unsigned status, const char *code, const char *allow,
                          uint32_t retry_after, struct mig_response *out)
{
    mig_problem_response(find(status, code), allow, retry_after, out);
}

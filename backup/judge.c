/* SPDX-License-Identifier: MIT */
#include "backup/judge.h"

#include <string.h>
#include <time.h>

#include "crypto/container.h"

enum { SKEW_NOTED_S = 15 };

#define JSON_TYPE "application/json"
#define PROBLEM_TYPE "application/problem+json"

const char *mig_upshot_text(enum mig_upshot upshot)
{
    switch (upshot) {
    case MIG_UPSHOT_OK:
        return "ok";
    case MIG_UPSHOT_NO_ANSWER:
        return "no answer";
    case MIG_UPSHOT_RETRY:
        return "not now";
    case MIG_UPSHOT_REFUSED:
        return "refused";
    case MIG_UPSHOT_BROKEN:
        return "broken answer";
    case MIG_UPSHOT_CANCELLED:
        return "cancelled";
    case MIG_UPSHOT_FAILED:
        return "failed here";
    }
    return "unknown";
}

bool mig_result_is_skewed(const struct mig_result *result)
{
    return result->clock_skew > SKEW_NOTED_S || result->clock_skew < -SKEW_NOTED_S;
}

static struct mig_result verdict(struct mig_result result, enum mig_upshot upshot, const char *why)
{
    result.upshot = upshot;
    result.why = why;
    return result;
}

/* Whole seconds; dates and anything else count as not said. */
static uint32_t retry_after(const struct mig_reply *reply)
{
    struct mig_text value;
    uint32_t seconds = 0;
    if (!mig_reply_field(reply, "retry-after", &value) || value.len == 0 || value.len > 9)
        return 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return 0;
        seconds = seconds * 10 + (uint32_t)(value.at[i] - '0');
    }
    return seconds < MIG_WAIT_MAX ? seconds : MIG_WAIT_MAX;
}

static int64_t skew_of_date(const struct mig_reply *reply, uint64_t now)
{
    struct mig_text value;
    char text[40];
    struct tm tm = {0};
    if (!mig_reply_field(reply, "date", &value) || value.len >= sizeof text)
        return 0;
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return end != NULL && *end == '\0' ? (int64_t)timegm(&tm) - (int64_t)now : 0;
}

static bool digest_matches(const struct mig_reply *reply, const uint8_t expected[MIG_DIGEST_LEN])
{
    uint8_t digest[MIG_DIGEST_LEN];
    mig_sha256(reply->body, reply->body_len, digest);
    return mig_equal(digest, expected, MIG_DIGEST_LEN);
}

/* What an unsigned answer may hint at; nothing but a log ever sees it. */
static const char *hint(unsigned status)
{
    switch (status) {
    case 401:
        return "unsigned 401: the node does not accept our key, or our clock, now";
    case 429:
        return "unsigned 429: the node is busy refusing others";
    case 503:
        return "unsigned 503: the node is starting, or has not read the contract";
    default:
        return "the answer is not signed by the node";
    }
}

/* OK when this node signed this answer to this very request, body included. */
static struct mig_result authenticate(const struct mig_peer *peer, const struct mig_ask *ask,
                                      const struct mig_reply *reply, uint64_t now)
{
    struct mig_result result = {.upshot = MIG_UPSHOT_NO_ANSWER,
                                .status = reply->status,
                                .retry_after = retry_after(reply),
                                .clock_skew = skew_of_date(reply, now)};
    const struct mig_message message = {.status = reply->status,
                                        .fields = reply->fields,
                                        .field_count = reply->field_count,
                                        .request = &ask->message};
    uint8_t digest[MIG_DIGEST_LEN];
    uint64_t created = 0;
    if (reply->status == 0)
        return verdict(result, MIG_UPSHOT_NO_ANSWER, "nothing came");
    if (mig_response_verify(&message, peer->node, ask->nonce, digest, &created) != MIG_OK)
        return verdict(result, MIG_UPSHOT_NO_ANSWER, hint(reply->status));
    if (!digest_matches(reply, digest))
        return verdict(result, MIG_UPSHOT_NO_ANSWER, "the answer's body is not the signed one");
    result.clock_skew = (int64_t)(created - now);
    return verdict(result, MIG_UPSHOT_OK, "signed");
}

static bool has_type(const struct mig_reply *reply, const char *type)
{
    struct mig_text value;
    return mig_reply_field(reply, "content-type", &value) && mig_text_is(value, type);
}

/* What an operator can do about a code; the others only time can lift. */
static const char *remedy(const char *code, const char *otherwise)
{
    static const struct {
        const char *code, *text;
    } rows[] = {
        {"announce_mismatch", "[protocol] announce here is not the node's"},
        {"operator_key", "the operator key here is not the node's"},
        {"misdirected", "[contract] account or [node] account here is not the node's"},
        {"store_unavailable", "the node's disk refuses; look there"},
        {"stale_view", "the node sees no new blocks; look at its RPC endpoint and clock"},
        {"shares_missing", "the node itself lacks the shares; an alarm there"},
        {"shares_conflict", "the node holds other shares of this keyset; a person must look"},
        {"wrong_key", "the node finds our shares to be of other public keys; see verify"},
        {"incomplete", "the node finds our shares incomplete; see verify"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(code, rows[i].code) == 0)
            return rows[i].text;
    return otherwise;
}

/* A signed answer that is not a success. */
static struct mig_result judge_problem(const struct mig_reply *reply, struct mig_result result)
{
    struct mig_problem_body problem;
    if (!has_type(reply, PROBLEM_TYPE) ||
        mig_problem_body_parse(reply->body, reply->body_len, &problem) != MIG_OK ||
        problem.status != reply->status)
        return verdict(result, MIG_UPSHOT_BROKEN, "a signed error without a reason");
    memcpy(result.code, problem.code, sizeof result.code);
    return problem.retryable
               ? verdict(result, MIG_UPSHOT_RETRY, remedy(result.code, "the node says: later"))
               : verdict(result, MIG_UPSHOT_REFUSED, remedy(result.code, "the node says: no"));
}

/* OK when authentic, one of two success statuses, and of this type. */
static struct mig_result judge(const struct mig_peer *peer, const struct mig_ask *ask,
                               const struct mig_reply *reply, uint64_t now, const char *type)
{
    struct mig_result result = authenticate(peer, ask, reply, now);
    if (result.upshot != MIG_UPSHOT_OK)
        return result;
    if (reply->status >= 400)
        return judge_problem(reply, result);
    bool expected = reply->status == 200 || (reply->status == 201 && ask->kind == MIG_ASK_UPLOAD);
    if (!expected)
        return verdict(result, MIG_UPSHOT_BROKEN, "a signed answer with an unexpected status");
    if (!has_type(reply, type))
        return verdict(result, MIG_UPSHOT_BROKEN, "a signed answer of the wrong type");
    return verdict(result, MIG_UPSHOT_OK, "ok");
}

/* The text that both sides bind into the key: the request's context, followed
 * by the node's key unless it was in there already. */
static bool final_context(const struct mig_ask *ask, const struct mig_reply *reply,
                          struct mig_context *context, char out[MIG_CONTEXT_MAX + 1], size_t *len)
{
    struct mig_text value;
    if (ask->context.has_node_key) {
        *context = ask->context;
        *len = ask->context_len;
        memcpy(out, ask->context_text, *len + 1);
        /* The answer adds nothing; what it repeats must be the same. */
        const struct mig_message message = {.fields = reply->fields,
                                            .field_count = reply->field_count};
        size_t count = mig_message_field(&message, "mpc-migration-context", &value);
        return count == 0 || (count == 1 && mig_text_is(value, out));
    }
    if (!mig_reply_field(reply, "mpc-migration-context", &value) ||
        mig_context_parse(value.at, value.len, context) != MIG_OK || !context->has_node_key)
        return false;
    struct mig_context expected = ask->context;
    expected.has_node_key = true;
    memcpy(expected.node_key, context->node_key, MIG_KEY_LEN);
    return mig_context_format(&expected, out, MIG_CONTEXT_MAX + 1, len) == MIG_OK &&
           mig_text_is(value, out);
}

static const char *decode_shares(const struct mig_secret *plain, size_t plain_len,
                                 const struct mig_keyset *keyset, struct mig_secret *shares)
{
    switch (mig_shares_decode(plain->bytes, plain_len, keyset, shares)) {
    case MIG_SHARES_MATCH:
        return NULL;
    case MIG_SHARES_WRONG_KEY:
        return "the shares are for other public keys than the contract's";
    case MIG_SHARES_INCOMPLETE:
        return "the shares are not exactly those of the contract's keyset";
    }
    return "the shares cannot be judged";
}

static struct mig_result open_shares(const struct mig_peer *peer, const struct mig_ephemeral *own,
                                     const struct mig_context *context, const char *text,
                                     size_t text_len, const struct mig_keyset *keyset,
                                     const struct mig_reply *reply, struct mig_result result,
                                     struct mig_secret *shares)
{
    size_t plain_len = 0;
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    struct mig_secret *plain = mig_secret_new(mig_sealed_capacity(reply->body_len) + 1);
    result = verdict(result, MIG_UPSHOT_FAILED, "no locked memory");
    if (key == NULL || plain == NULL)
        goto out;
    result = verdict(result, MIG_UPSHOT_BROKEN, "the node's ephemeral key is not usable");
    if (mig_exchange(own, MIG_ROLE_SERVICE, context->node_key, MIG_BACKUP, text, text_len,
                     peer->operator_key, key) != MIG_OK)
        goto out;
    result = verdict(result, MIG_UPSHOT_BROKEN, "the sealed shares do not open");
    if (mig_container_open(key, reply->body, reply->body_len, plain, &plain_len) != MIG_OK)
        goto out;
    const char *wrong = decode_shares(plain, plain_len, keyset, shares);
    result = wrong == NULL ? verdict(result, MIG_UPSHOT_OK, "ok")
                           : verdict(result, MIG_UPSHOT_BROKEN, wrong);
out:
    mig_secret_free(&plain);
    mig_secret_free(&key);
    return result;
}

struct mig_result mig_judge_fetch(const struct mig_peer *peer, const struct mig_ask *ask,
                                  const struct mig_ephemeral *own, const struct mig_keyset *keyset,
                                  const struct mig_reply *reply, uint64_t now,
                                  struct mig_secret *shares, char final[MIG_CONTEXT_MAX + 1])
{
    struct mig_context context;
    size_t len = 0;
    struct mig_result result = judge(peer, ask, reply, now, MIG_SEALED_TYPE);
    if (result.upshot == MIG_UPSHOT_OK && !final_context(ask, reply, &context, final, &len))
        result = verdict(result, MIG_UPSHOT_BROKEN, "the answer's context is not the request's");
    if (result.upshot == MIG_UPSHOT_OK)
        result = open_shares(peer, own, &context, final, len, keyset, reply, result, shares);
    if (result.upshot != MIG_UPSHOT_OK) {
        mig_secret_wipe(shares);
        mig_wipe(final, MIG_CONTEXT_MAX + 1);
    }
    return result;
}

static bool names_keyset(const struct mig_ask *ask, uint64_t epoch,
                         const uint8_t keyset[MIG_DIGEST_LEN])
{
    return epoch == ask->context.epoch && mig_equal(keyset, ask->context.keyset, MIG_DIGEST_LEN);
}

struct mig_result mig_judge_receipt(const struct mig_peer *peer, const struct mig_ask *ask,
                                    const struct mig_reply *reply, uint64_t now,
                                    struct mig_acknowledgement *out)
{
    uint8_t hash[MIG_DIGEST_LEN];
    *out = (struct mig_acknowledgement){0};
    struct mig_result result = judge(peer, ask, reply, now, JSON_TYPE);
    if (result.upshot != MIG_UPSHOT_OK)
        return result;
    mig_sha256(ask->context_text, ask->context_len, hash);
    if (mig_acknowledgement_parse(reply->body, reply->body_len, out) == MIG_OK &&
        names_keyset(ask, out->epoch, out->keyset) && mig_equal(hash, out->context, MIG_DIGEST_LEN))
        return result;
    *out = (struct mig_acknowledgement){0};
    return verdict(result, MIG_UPSHOT_BROKEN, "the node acknowledges another backup");
}

struct mig_result mig_judge_offer(const struct mig_peer *peer, const struct mig_ask *ask,
                                  const struct mig_reply *reply, uint64_t now,
                                  struct mig_offered *out)
{
    *out = (struct mig_offered){0};
    struct mig_result result = judge(peer, ask, reply, now, JSON_TYPE);
    if (result.upshot != MIG_UPSHOT_OK)
        return result;
    if (mig_offered_parse(reply->body, reply->body_len, out) == MIG_OK &&
        names_keyset(ask, out->epoch, out->keyset) &&
        (!out->has_receipt || names_keyset(ask, out->receipt.epoch, out->receipt.keyset)))
        return result;
    *out = (struct mig_offered){0};
    return verdict(result, MIG_UPSHOT_BROKEN, "the offer is for another keyset or has no form");
}

struct mig_result mig_judge_upload(const struct mig_peer *peer, const struct mig_ask *ask,
                                   size_t count, const struct mig_reply *reply, uint64_t now,
                                   struct mig_receipt *out)
{
    *out = (struct mig_receipt){0};
    struct mig_result result = judge(peer, ask, reply, now, JSON_TYPE);
    if (result.upshot != MIG_UPSHOT_OK)
        return result;
    if (mig_receipt_parse(reply->body, reply->body_len, out) == MIG_OK &&
        names_keyset(ask, out->epoch, out->keyset) && out->shares == count) {
        out->repeated = reply->status == 200;
        return result;
    }
    *out = (struct mig_receipt){0};
    return verdict(result, MIG_UPSHOT_BROKEN, "the node's receipt is for something else");
}

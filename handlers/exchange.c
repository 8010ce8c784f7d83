/* SPDX-License-Identifier: MIT */
/*
 * The order of checks is the table CHECKS, cheapest first, exactly as in
 * docs/protocol.md. Up to the nonce nothing is known about the caller and
 * answers are unsigned; from there on they are signed.
 */
#include "handlers/exchange.h"

#include <string.h>
#include <strings.h>

#include "handlers/inside.h"

static const struct mig_route ROUTES[] = {
    {"/shares_backup", "GET", MIG_RESOURCE_BACKUP, MIG_ENDPOINT_BACKUP_GET, MIG_BACKUP,
     mig_backup_serve},
    {"/shares_backup", "POST", MIG_RESOURCE_RECEIPT, MIG_ENDPOINT_BACKUP_POST, MIG_BACKUP,
     mig_backup_acknowledge},
    {"/shares_recover", "GET", MIG_RESOURCE_OFFER, MIG_ENDPOINT_RECOVER_GET, MIG_RECOVER,
     mig_recover_show},
    {"/shares_recover", "PUT", MIG_RESOURCE_UPLOAD, MIG_ENDPOINT_RECOVER_PUT, MIG_RECOVER,
     mig_recover_begin},
    {"/shares_recover", "POST", MIG_RESOURCE_UPLOAD, MIG_ENDPOINT_RECOVER_PUT, MIG_RECOVER,
     mig_recover_begin},
};
enum { ROUTE_COUNT = sizeof ROUTES / sizeof ROUTES[0] };

static bool takes_body(const struct mig_exchange *x)
{
    return x->route->resource == MIG_RESOURCE_UPLOAD;
}

static enum mig_problem fail_auth(const struct mig_exchange *x, enum mig_auth_failure why,
                                  enum mig_problem problem)
{
    mig_count(&x->service->config.counters->auth_failures[why]);
    return problem;
}

/* ---- before anything is known about the caller -------------------------- */

static enum mig_problem check_target(struct mig_exchange *x)
{
    struct mig_text target = x->request->target;
    if (target.len == 0 || target.at[0] != '/' || memchr(target.at, '?', target.len) != NULL)
        return MIG_PROBLEM_MALFORMED;
    return MIG_PROBLEM_NONE;
}

static enum mig_problem check_route(struct mig_exchange *x)
{
    bool known = false;
    for (size_t i = 0; i < ROUTE_COUNT && x->route == NULL; i++) {
        if (!mig_text_is(x->request->target, ROUTES[i].path))
            continue;
        known = true;
        x->allow = ROUTES[i].resource <= MIG_RESOURCE_RECEIPT ? "GET, POST" : "GET, POST, PUT";
        if (mig_text_is(x->request->method, ROUTES[i].method))
            x->route = &ROUTES[i];
    }
    if (!known)
        return MIG_PROBLEM_NOT_FOUND;
    if (x->route == NULL)
        return MIG_PROBLEM_METHOD_NOT_ALLOWED;
    x->allow = NULL;
    x->endpoint = x->route->endpoint;
    return MIG_PROBLEM_NONE;
}

static enum mig_problem take_view(struct mig_exchange *x)
{
    x->view = mig_cache_view(x->service->config.cache);
    return x->view == NULL ? MIG_PROBLEM_STALE_VIEW : MIG_PROBLEM_NONE;
}

static enum mig_problem check_length(struct mig_exchange *x)
{
    struct mig_text value;
    if (mig_message_field(x->request, "transfer-encoding", &value) != 0)
        return MIG_PROBLEM_MALFORMED;
    if (!takes_body(x))
        return x->content_length > 0 ? MIG_PROBLEM_MALFORMED : MIG_PROBLEM_NONE;
    if (x->content_length < 0)
        return MIG_PROBLEM_LENGTH_REQUIRED;
    return x->content_length > MIG_SEALED_MAX ? MIG_PROBLEM_TOO_LARGE : MIG_PROBLEM_NONE;
}

static enum mig_problem check_type(struct mig_exchange *x)
{
    struct mig_text value;
    if (takes_body(x) && (mig_message_field(x->request, "content-type", &value) != 1 ||
                          !mig_text_is(value, MIG_SEALED_TYPE)))
        return MIG_PROBLEM_UNSUPPORTED_TYPE;
    if (mig_message_field(x->request, "content-encoding", &value) != 0)
        return MIG_PROBLEM_UNSUPPORTED_TYPE;
    return MIG_PROBLEM_NONE;
}

static enum mig_problem check_expect(struct mig_exchange *x)
{
    static const char CONTINUE[] = "100-continue";
    struct mig_text value;
    size_t n = mig_message_field(x->request, "expect", &value);
    if (n == 0 || (n == 1 && value.len == sizeof CONTINUE - 1 &&
                   strncasecmp(value.at, CONTINUE, value.len) == 0))
        return MIG_PROBLEM_NONE;
    return MIG_PROBLEM_EXPECTATION_FAILED;
}

/* Which ephemeral keys the context of this request must carry: all or exactly
 * those, so that one operation has one final context. */
static bool keys_belong(const struct mig_exchange *x)
{
    const struct mig_context *c = &x->parsed.context;
    switch (x->route->resource) {
    case MIG_RESOURCE_BACKUP:
        return c->has_client_key && c->has_node_key == (c->announce == MIG_ANNOUNCE_CONTRACT);
    case MIG_RESOURCE_OFFER:
        return !c->has_client_key && !c->has_node_key;
    case MIG_RESOURCE_RECEIPT:
    case MIG_RESOURCE_UPLOAD:
        return c->has_client_key && c->has_node_key;
    }
    return false;
}

static enum mig_problem parse_fields(struct mig_exchange *x)
{
    enum mig_err err = mig_request_parse(x->request, takes_body(x), &x->parsed);
    if (err == MIG_ERR_DENIED)
        return fail_auth(x, MIG_AUTH_NO_SIGNATURE, MIG_PROBLEM_UNAUTHORIZED);
    if (err != MIG_OK || !keys_belong(x))
        return fail_auth(x, MIG_AUTH_MALFORMED, MIG_PROBLEM_MALFORMED);
    return MIG_PROBLEM_NONE;
}

/* ---- who is asking -------------------------------------------------------- */

static enum mig_problem spend_budget(struct mig_exchange *x)
{
    struct mig_budget *budget = x->service->config.budget;
    if (mig_budget_take(budget, &x->peer, x->started_ns))
        return MIG_PROBLEM_NONE;
    x->retry_after = mig_budget_retry_after(budget);
    return fail_auth(x, MIG_AUTH_RATE, MIG_PROBLEM_RATE_LIMITED);
}

static enum mig_auth_failure reason(const char *why)
{
    static const struct {
        const char *word;
        enum mig_auth_failure reason;
    } REASONS[] = {
        {"coverage", MIG_AUTH_COVERAGE},
        {"tag", MIG_AUTH_TAG},
        {"keyid", MIG_AUTH_KEYID},
        {"time", MIG_AUTH_TIME},
    };
    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++)
        if (why != NULL && strcmp(why, REASONS[i].word) == 0)
            return REASONS[i].reason;
    return MIG_AUTH_PARAMETER;
}

static enum mig_problem check_signature(struct mig_exchange *x)
{
    const struct mig_service_config *config = &x->service->config;
    const struct mig_keeper *keeper = &config->keeper;
    struct mig_auth_policy policy = {.now = mig_now_s(x), .skew = config->skew};
    const char *why = NULL;

    if (!keeper->honoured_key(keeper->ctx, x->view, policy.key))
        return fail_auth(x, MIG_AUTH_NO_KEY, MIG_PROBLEM_UNAUTHORIZED);
    if (mig_request_check(&x->parsed, &policy, &why) != MIG_OK)
        return fail_auth(x, reason(why), MIG_PROBLEM_UNAUTHORIZED);
    if (mig_request_verify(&x->parsed, policy.key) != MIG_OK)
        return fail_auth(x, MIG_AUTH_SIGNATURE, MIG_PROBLEM_UNAUTHORIZED);
    return MIG_PROBLEM_NONE;
}

static enum mig_problem insert_nonce(struct mig_exchange *x)
{
    const struct mig_service_config *config = &x->service->config;
    uint64_t now = mig_now_s(x);
    enum mig_err err = mig_replay_insert(config->replay, x->parsed.context.service, x->parsed.nonce,
                                         x->parsed.created, x->parsed.expires, now);
    if (err == MIG_ERR_DENIED)
        return fail_auth(x, MIG_AUTH_REPLAY, MIG_PROBLEM_UNAUTHORIZED);
    if (err != MIG_OK) {
        x->retry_after = mig_replay_retry_after(config->replay, now);
        return MIG_PROBLEM_RESTARTING;
    }
    x->authenticated = true;
    mig_budget_give(config->budget, &x->peer, x->started_ns);
    return MIG_PROBLEM_NONE;
}

/* ---- what may be done ------------------------------------------------------ */

enum mig_problem mig_exchange_judge(const struct mig_exchange *x, enum mig_resource resource,
                                    const struct mig_view *view, uint64_t now_ns)
{
    const struct mig_service_config *config = &x->service->config;
    struct mig_self self = config->self;
    self.seat_lost_at = config->keeper.seat_lost_at(config->keeper.ctx);
    return mig_problem_of_verdict(mig_admit(view, &self, resource, &x->parsed.context, now_ns));
}

static bool key_is_honoured(const struct mig_exchange *x, const struct mig_view *view)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    uint8_t key[MIG_KEY_LEN];
    return view != NULL && keeper->honoured_key(keeper->ctx, view, key) &&
           memcmp(key, x->parsed.context.service, MIG_KEY_LEN) == 0;
}

/* What a fresh request would be told now. */
static enum mig_problem judge_afresh(const struct mig_exchange *x, const struct mig_view *view,
                                     uint64_t now_ns)
{
    if (!key_is_honoured(x, view))
        return MIG_PROBLEM_UNAUTHORIZED;
    return mig_exchange_judge(x, x->route->resource, view, now_ns);
}

static enum mig_problem admit(struct mig_exchange *x)
{
    return mig_exchange_judge(x, x->route->resource, x->view, x->now_ns);
}

enum mig_problem mig_exchange_recheck(struct mig_exchange *x)
{
    const struct mig_keeper *keeper = &x->service->config.keeper;
    mig_view_release(&x->view);
    x->view = mig_cache_view(x->service->config.cache);
    x->now_ns = keeper->now_ns(keeper->ctx);
    enum mig_problem problem = judge_afresh(x, x->view, x->now_ns);
    x->cancelled = x->cancelled || problem != MIG_PROBLEM_NONE;
    return problem;
}

enum mig_problem mig_exchange_recheck_if_moved(struct mig_exchange *x)
{
    if (mig_cache_generation(x->service->config.cache) == x->view->generation)
        return MIG_PROBLEM_NONE;
    return mig_exchange_recheck(x);
}

static enum mig_problem serve(struct mig_exchange *x)
{
    return x->route->serve(x);
}

static enum mig_problem (*const CHECKS[])(struct mig_exchange *) = {
    check_target, check_route,  take_view,       check_length, check_type, check_expect,
    parse_fields, spend_budget, check_signature, insert_nonce, admit,      serve,
};

/* ---- the life of one exchange ---------------------------------------------- */

static void account(struct mig_exchange *x)
{
    const struct mig_service_config *config = &x->service->config;
    struct mig_counters *counters = config->counters;
    uint64_t now_ns = config->keeper.monotonic_ns(config->keeper.ctx);

    mig_count(&counters->requests[x->endpoint][x->response.status - MIG_STATUS_MIN]);
    mig_count(&counters->duration_count[x->endpoint]);
    (void)atomic_fetch_add_explicit(&counters->duration_ns[x->endpoint], now_ns - x->started_ns,
                                    memory_order_relaxed);
}

static void answer(struct mig_exchange *x, enum mig_problem problem)
{
    if (problem != MIG_PROBLEM_NONE)
        mig_reply_problem(x, problem);
    x->stage = MIG_STAGE_ANSWERED;
    account(x);
}

enum mig_step mig_exchange_begin(struct mig_service *service, const struct mig_message *request,
                                 int64_t content_length, const struct mig_address *peer,
                                 struct mig_exchange **out)
{
    const struct mig_keeper *keeper = &service->config.keeper;
    struct mig_exchange *x = mig_exchange_take(service);
    enum mig_problem problem = MIG_PROBLEM_NONE;

    *out = x;
    if (x == NULL)
        return MIG_STEP_RESPOND;
    x->request = request;
    x->content_length = content_length;
    x->peer = *peer;
    x->started_ns = keeper->monotonic_ns(keeper->ctx);
    x->now_ns = keeper->now_ns(keeper->ctx);
    for (size_t i = 0; i < sizeof CHECKS / sizeof CHECKS[0] && problem == MIG_PROBLEM_NONE; i++)
        problem = CHECKS[i](x);
    if (x->stage == MIG_STAGE_BODY)
        return MIG_STEP_BODY;
    answer(x, problem);
    return MIG_STEP_RESPOND;
}

void mig_exchange_body(struct mig_exchange *x, const uint8_t *bytes, size_t len)
{
    if (x == NULL || x->stage != MIG_STAGE_BODY || x->overrun)
        return;
    struct mig_upload *upload = &x->service->upload;
    x->overrun = len > (size_t)x->content_length - x->received;
    if (x->overrun || len == 0)
        return;
    if (mig_digest_add(upload->digest, bytes, len) != MIG_OK)
        x->broken = true;
    memcpy(upload->body->bytes + x->received, bytes, len);
    x->received += len;
}

void mig_exchange_finish(struct mig_exchange *x)
{
    if (x == NULL || x->stage != MIG_STAGE_BODY)
        return;
    answer(x, mig_recover_finish(x));
}

const struct mig_response *mig_exchange_response(const struct mig_exchange *x)
{
    return x == NULL ? &mig_response_no_memory : &x->response;
}

bool mig_exchange_is_authenticated(const struct mig_exchange *x)
{
    return x != NULL && x->authenticated;
}

bool mig_exchange_is_admitted(const struct mig_exchange *x, const struct mig_view *view)
{
    if (x == NULL || !atomic_load_explicit(&x->holds, memory_order_acquire))
        return true;
    const struct mig_keeper *keeper = &x->service->config.keeper;
    return judge_afresh(x, view, keeper->now_ns(keeper->ctx)) == MIG_PROBLEM_NONE;
}

void mig_exchange_end(struct mig_exchange **exchange)
{
    if (exchange == NULL || *exchange == NULL)
        return;
    struct mig_exchange *x = *exchange;
    *exchange = NULL;
    if (x->stage == MIG_STAGE_BODY)
        mig_recover_abandon(x);
    mig_view_release(&x->view);
    mig_exchange_give(x);
}

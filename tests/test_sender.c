/* SPDX-License-Identifier: MIT */
#include "chain/sender.h"
#include "chain/tx.h"
#include "crypto/encoding.h"
#include "tests/scripted.h"

#define HASH "HrjUQYM4NtwTPY5Q2ZYSzbVsF13VQbtHHWPtRX8f1Ztk"
#define BLOCK(height)                                                                              \
    "{\"result\":{\"header\":{\"height\":" #height ",\"hash\":\"" HASH "\",\"timestamp\":1}}}"
#define EXECUTED "{\"result\":{\"status\":{\"SuccessValue\":\"\"}}}"
#define FAILED(text)                                                                               \
    "{\"result\":{\"status\":{\"Failure\":{\"ActionError\":{\"kind\":{\"FunctionCallError\":{"     \
    "\"ExecutionError\":\"" text "\"}}}}}}}"
#define STARTED "{\"result\":{\"status\":\"Started\"}}"
#define UNKNOWN_TX "{\"error\":{\"cause\":{\"name\":\"UNKNOWN_TRANSACTION\"}}}"
#define INVALID(detail)                                                                            \
    "{\"error\":{\"cause\":{\"name\":\"INVALID_TRANSACTION\"},\"data\":{\"TxExecutionError\":{"    \
    "\"InvalidTxError\":" detail "}}}}"
#define USED(nonce) INVALID("{\"InvalidNonce\":{\"tx_nonce\":1,\"ak_nonce\":" #nonce "}}")
#define KEY(nonce)                                                                                 \
    "{\"result\":{\"nonce\":" #nonce ",\"permission\":\"FullAccess\",\"block_height\":5}}"
#define TIMEOUT "{\"error\":{\"cause\":{\"name\":\"TIMEOUT_ERROR\"}}}"

/* What the endpoint is asked, in this order, and what it says. */
struct step {
    const char *method, *body;
};

struct script {
    const struct step *steps;
    unsigned count;
    unsigned wrong;     /* requests that were not the expected one */
    char sent[8][2048]; /* the signed bytes of each send_tx, base64 */
    unsigned sends;
};

static bool play(struct scripted *s, int fd, const char *body, unsigned n)
{
    struct script *script = (struct script *)(uintptr_t)s->ctx;
    char want[64];
    const char *hit = strstr(body, "\"signed_tx_base64\":\"");
    if (hit != NULL && script->sends < 8)
        (void)sscanf(hit + 20, "%2047[^\"]", script->sent[script->sends++]);
    if (n >= script->count) {
        script->wrong++;
        return false;
    }
    (void)snprintf(want, sizeof want, "\"method\":\"%s\"", script->steps[n].method);
    if (strstr(body, want) == NULL)
        script->wrong++;
    if (script->steps[n].body == NULL) { /* the answer is lost on its way */
        static const char torn[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";
        scripted_write(fd, torn, sizeof torn - 1);
        return false;
    }
    scripted_reply(fd, "200 OK", script->steps[n].body);
    return true;
}

struct bench {
    struct script script;
    struct scripted *server;
    struct mig_rpc *rpc;
    struct mig_identity *key;
    struct mig_sender *sender;
};

static void set_up(struct bench *b, const struct step *steps, unsigned count)
{
    static const uint8_t seed[MIG_SEED_LEN] = {1};
    memset(b, 0, sizeof *b);
    b->script.steps = steps;
    b->script.count = count;
    b->server = scripted_start(play, &b->script);
    const struct mig_rpc_options o = {.url = b->server->url, .timeout_ms = 5000};
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&o, &b->rpc), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &b->key), MIG_OK);
    const struct mig_sender_options so = {.rpc = b->rpc,
                                          .key = b->key,
                                          .account = "alice.near",
                                          .contract = "v1.signer",
                                          .attempts = 3,
                                          .pause_ms = 1};
    CU_ASSERT_EQUAL_FATAL(mig_sender_new(&so, &b->sender), MIG_OK);
}

/* Every step was taken and nothing else was asked. */
static void tear_down(struct bench *b)
{
    CU_ASSERT_EQUAL(atomic_load(&b->server->requests), b->script.count);
    mig_sender_free(&b->sender);
    mig_rpc_free(&b->rpc);
    mig_identity_free(&b->key);
    scripted_stop(b->server);
    CU_ASSERT_EQUAL(b->script.wrong, 0);
}
#define SET_UP(b, steps) set_up(&(b), (steps), sizeof(steps) / sizeof *(steps))

static enum mig_err send_it(struct bench *b, const char *args, struct mig_delivery *out)
{
    char *text = strdup(args);
    const struct mig_call call = {
        .method = "conclude_node_migration", .args = text, .gas = 1, .deposit = 0};
    enum mig_err err = mig_sender_send(b->sender, &call, out);
    free(text);
    return err;
}

/* The nonce of the n-th transaction that was sent. */
static uint64_t nonce_of(const struct bench *b, unsigned n)
{
    uint8_t bytes[1536];
    size_t len = 0, at = 4 + strlen("alice.near") + 1 + MIG_KEY_LEN;
    uint64_t nonce = 0;
    CU_ASSERT_EQUAL_FATAL(
        mig_base64_decode(b->script.sent[n], strlen(b->script.sent[n]), bytes, sizeof bytes, &len),
        MIG_OK);
    for (size_t i = 8; i-- > 0;)
        nonce = nonce << 8 | bytes[at + i];
    return nonce;
}

static void executes_a_call(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)}, {"send_tx", EXECUTED}, {"block", BLOCK(100)}, {"send_tx", EXECUTED}};
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT(d.sent == MIG_SENT_EXECUTED && d.hash[0] != '\0' && d.reason[0] == '\0');
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT_EQUAL(nonce_of(&b, 0), 99000001);
    CU_ASSERT_EQUAL(nonce_of(&b, 1), 99000002);
    tear_down(&b);
}

static void tells_the_contracts_reason(void)
{
    static const struct step steps[] = {{"block", BLOCK(100)},
                                        {"send_tx", FAILED("Smart contract panicked: boom")}};
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(d.sent, MIG_SENT_FAILED);
    CU_ASSERT_STRING_EQUAL(d.reason, "Smart contract panicked: boom");
    tear_down(&b);
}

static void sends_the_same_bytes_again_when_an_answer_is_lost(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)}, {"send_tx", NULL}, {"send_tx", TIMEOUT}, {"send_tx", EXECUTED}};
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT_EQUAL(b.script.sends, 3);
    CU_ASSERT_STRING_EQUAL(b.script.sent[0], b.script.sent[1]);
    CU_ASSERT_STRING_EQUAL(b.script.sent[0], b.script.sent[2]);
    tear_down(&b);
}

static void never_signs_again_while_the_first_may_live(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)}, {"send_tx", NULL},     {"send_tx", STARTED},
        {"send_tx", NULL},                                                   /* given up */
        {"tx", STARTED},                                                     /* second call */
        {"tx", UNKNOWN_TX},    {"block", BLOCK(101)}, {"send_tx", EXECUTED}, /* third call */
    };
    struct bench b;
    struct mig_delivery d;
    char first[MIG_HASH_TEXT_MAX];
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(d.sent, MIG_SENT_UNKNOWN);
    memcpy(first, d.hash, sizeof first);
    CU_ASSERT_EQUAL(send_it(&b, "{\"other\":1}", &d), MIG_ERR_RETRY);
    CU_ASSERT(d.sent == MIG_SENT_UNKNOWN && strcmp(d.hash, first) == 0);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT(d.sent == MIG_SENT_EXECUTED && strcmp(d.hash, first) == 0);
    for (unsigned i = 1; i < b.script.sends; i++)
        CU_ASSERT_STRING_EQUAL(b.script.sent[0], b.script.sent[i]);
    tear_down(&b);
}

static void the_outcome_of_an_undecided_call_answers_its_repetition(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)}, {"send_tx", NULL},      {"send_tx", NULL},
        {"send_tx", NULL},     {"tx", FAILED("boom")},
    };
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_DENIED);
    CU_ASSERT(d.sent == MIG_SENT_FAILED && strcmp(d.reason, "boom") == 0);
    tear_down(&b);
}

static void another_call_follows_once_the_first_is_decided(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)}, {"send_tx", NULL},     {"send_tx", NULL},     {"send_tx", NULL},
        {"tx", EXECUTED},      {"block", BLOCK(100)}, {"send_tx", EXECUTED},
    };
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(send_it(&b, "{\"other\":1}", &d), MIG_OK);
    CU_ASSERT_EQUAL(nonce_of(&b, 3), 99000002);
    tear_down(&b);
}

static void signs_anew_when_the_old_one_has_expired(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)},   {"send_tx", NULL},     {"send_tx", NULL},
        {"send_tx", NULL},       {"tx", UNKNOWN_TX},    {"block", BLOCK(86501)},
        {"block", BLOCK(86501)}, {"send_tx", EXECUTED},
    };
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT_EQUAL(nonce_of(&b, 3), 86500000001);
    tear_down(&b);
}

static void a_used_nonce_is_asked_for_and_passed(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)},     {"send_tx", USED(250000000)}, {"tx", UNKNOWN_TX},
        {"query", KEY(260000000)}, {"block", BLOCK(100)},        {"send_tx", EXECUTED},
    };
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT_EQUAL(nonce_of(&b, 0), 99000001);
    CU_ASSERT_EQUAL(nonce_of(&b, 1), 260000001);
    tear_down(&b);
}

static void a_refusal_of_bytes_sent_before_is_looked_into(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)},
        {"send_tx", NULL},
        {"send_tx", INVALID("\"Expired\"")},
        {"tx", EXECUTED},
    };
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT_EQUAL(d.sent, MIG_SENT_EXECUTED);
    tear_down(&b);
}

static void a_nonce_used_by_ourselves_is_an_execution(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)},
        {"send_tx", NULL},
        {"send_tx", USED(100000000)},
        {"tx", EXECUTED},
    };
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    CU_ASSERT_EQUAL(d.sent, MIG_SENT_EXECUTED);
    tear_down(&b);
}

static void a_used_nonce_without_a_known_outcome_is_left_to_the_view(void)
{
    static const struct step steps[] = {
        {"block", BLOCK(100)}, {"send_tx", NULL},     {"send_tx", USED(100000000)},
        {"tx", TIMEOUT},       {"block", BLOCK(101)}, {"send_tx", EXECUTED},
    };
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(d.sent, MIG_SENT_UNKNOWN);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_OK);
    tear_down(&b);
}

static void access_key_errors_are_final_and_explained(void)
{
    static const struct {
        const char *body;
        enum mig_refusal refusal;
    } cases[] = {
        {INVALID("{\"InvalidAccessKeyError\":\"DepositWithFunctionCall\"}"), MIG_REFUSAL_DEPOSIT},
        {INVALID("{\"InvalidAccessKeyError\":{\"ReceiverMismatch\":{}}}"), MIG_REFUSAL_RECEIVER},
        {INVALID("{\"InvalidAccessKeyError\":{\"MethodNameMismatch\":{}}}"), MIG_REFUSAL_METHOD},
        {INVALID("{\"InvalidAccessKeyError\":{\"AccessKeyNotFound\":{}}}"),
         MIG_REFUSAL_NO_ACCESS_KEY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct step steps[] = {{"block", BLOCK(100)}, {"send_tx", cases[i].body}};
        struct bench b;
        struct mig_delivery d;
        SET_UP(b, steps);
        CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_DENIED);
        CU_ASSERT(d.sent == MIG_SENT_NOT_EXECUTED && d.refusal == cases[i].refusal);
        CU_ASSERT_STRING_EQUAL(d.reason, mig_refusal_text(cases[i].refusal));
        tear_down(&b);
    }
}

static void a_nonce_over_the_limit_passes_by_itself(void)
{
    static const struct step steps[] = {{"block", BLOCK(100)},
                                        {"send_tx", INVALID("{\"NonceTooLarge\":{}}")}};
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_RETRY);
    CU_ASSERT(d.sent == MIG_SENT_NOT_EXECUTED && d.refusal == MIG_REFUSAL_NONCE_TOO_LARGE);
    tear_down(&b);
}

static void nothing_is_signed_without_a_block(void)
{
    static const struct step steps[] = {{"block", "{}"}, {"block", BLOCK(18446744073709551615)}};
    struct bench b;
    struct mig_delivery d;
    SET_UP(b, steps);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_MALFORMED);
    CU_ASSERT(d.sent == MIG_SENT_NOT_EXECUTED && d.hash[0] == '\0');
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_MALFORMED);
    CU_ASSERT(d.sent == MIG_SENT_NOT_EXECUTED && d.hash[0] == '\0');
    tear_down(&b);
}

static void a_cancelled_delivery_stays_undecided(void)
{
    struct bench b;
    struct mig_delivery d;
    set_up(&b, NULL, 0);
    mig_rpc_cancel(b.rpc);
    CU_ASSERT_EQUAL(send_it(&b, "{}", &d), MIG_ERR_CANCELLED);
    tear_down(&b);
}

static void refuses_accounts_that_are_none(void)
{
    struct mig_sender *s;
    const struct mig_sender_options o = {.account = "A", .contract = "v1.signer"};
    CU_ASSERT_EQUAL(mig_sender_new(&o, &s), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(s);
    mig_sender_free(&s);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(executes_a_call),
        TEST(tells_the_contracts_reason),
        TEST(sends_the_same_bytes_again_when_an_answer_is_lost),
        TEST(never_signs_again_while_the_first_may_live),
        TEST(the_outcome_of_an_undecided_call_answers_its_repetition),
        TEST(another_call_follows_once_the_first_is_decided),
        TEST(signs_anew_when_the_old_one_has_expired),
        TEST(a_used_nonce_is_asked_for_and_passed),
        TEST(a_refusal_of_bytes_sent_before_is_looked_into),
        TEST(a_nonce_used_by_ourselves_is_an_execution),
        TEST(a_used_nonce_without_a_known_outcome_is_left_to_the_view),
        TEST(access_key_errors_are_final_and_explained),
        TEST(a_nonce_over_the_limit_passes_by_itself),
        TEST(nothing_is_signed_without_a_block),
        TEST(a_cancelled_delivery_stays_undecided),
        TEST(refuses_accounts_that_are_none),
    };
    return run_tests("sender", tests, sizeof tests / sizeof *tests);
}

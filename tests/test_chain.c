/* SPDX-License-Identifier: MIT */
/* The chain side against a devnet, over real sockets, in every dialect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/poll.h"
#include "chain/sender.h"
#include "devnet/devnet.h"
#include "tests/harness.h"

#define TLS_A "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define TLS_B "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define TLS_NEW "ed25519:GFRaCJ8UDCWt7ZawnTbQ83RGPo7o3viyyer68jysLmVM"
#define URL_NEW "http://new.example:80"

static const char *const dialects[] = {"draft", "3.13.0", "3.14.1"};
enum { DRAFT, OLD, NEW, DIALECTS };

struct bench {
    struct mig_devnet *net;
    struct mig_identity *operator_key, *node_key;
    uint8_t tls_new[MIG_KEY_LEN];
    struct mig_rpc *rpc;
    struct mig_cache *cache;
    struct mig_poller poller;
    struct mig_sender *operator, * node;
};

static struct mig_identity *make_key(uint8_t fill)
{
    uint8_t seed[MIG_SEED_LEN];
    struct mig_identity *id = NULL;
    memset(seed, fill, sizeof seed);
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &id), MIG_OK);
    return id;
}

/* Blocks come only when something happens, so nothing here waits for time. */
static void start_net(struct bench *b, const char *dialect)
{
    char genesis[4096], operator_text[MIG_KEY_TEXT_MAX], node_text[MIG_KEY_TEXT_MAX],
        why[MIG_DEVNET_ERROR_MAX];
    struct mig_devnet_config config = MIG_DEVNET_DEFAULTS;
    mig_key_format(b->operator_key->public_key, operator_text);
    mig_key_format(b->node_key->public_key, node_text);
    (void)snprintf(
        genesis, sizeof genesis,
        "{\"dialect\":\"%s\",\"height\":1000,\"contract\":{\"account_id\":\"v1.signer\",\"epoch_"
        "id\":5,"
        "\"threshold\":2,\"participants\":[{\"account_id\":\"alice.near\",\"url\":\"http://a:80\","
        "\"tls_public_key\":\"" TLS_A "\"},{\"account_id\":\"bob.near\",\"url\":\"http://b:80\","
        "\"tls_public_key\":\"" TLS_B
        "\"}],\"domains\":[{\"protocol\":\"Frost\"},{\"protocol\":\"CaitSith\"}]},"
        "\"accounts\":[{\"account_id\":\"alice.near\",\"balance\":\"1000000000000000000000000000\","
        "\"keys\":["
        "{\"public_key\":\"%s\"},{\"public_key\":\"%s\",\"permission\":{\"FunctionCall\":{"
        "\"allowance\":null,"
        "\"receiver_id\":\"v1.signer\",\"method_names\":[\"conclude_node_migration\",\"conclude_"
        "recovery\","
        "\"submit_participant_info\",\"publish_ephemeral_key\"]}}}]}]}",
        dialect, operator_text, node_text);
    config.block_ms = 0;
    config.genesis = genesis;
    enum mig_err err = mig_devnet_start(&config, &b->net, why);
    if (err != MIG_OK)
        printf("%s\n", why);
    CU_ASSERT_EQUAL_FATAL(err, MIG_OK);
}

static struct mig_sender *new_sender(struct bench *b, const struct mig_identity *key)
{
    struct mig_sender *s = NULL;
    const struct mig_sender_options o = {.rpc = b->rpc,
                                         .key = key,
                                         .account = "alice.near",
                                         .contract = "v1.signer",
                                         .attempts = 3,
                                         .pause_ms = 10};
    CU_ASSERT_EQUAL_FATAL(mig_sender_new(&o, &s), MIG_OK);
    return s;
}

static enum mig_err look(struct bench *b)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    enum mig_err err =
        mig_poll(&b->poller, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    if (err != MIG_OK)
        printf("%s\n", b->poller.reason);
    return err;
}

static void set_up(struct bench *b, const char *dialect)
{
    char url[64];
    memset(b, 0, sizeof *b);
    b->operator_key = make_key(1);
    b->node_key = make_key(2);
    CU_ASSERT_EQUAL_FATAL(mig_key_parse(TLS_NEW, strlen(TLS_NEW), b->tls_new), MIG_OK);
    start_net(b, dialect);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", mig_devnet_rpc_port(b->net));
    const struct mig_rpc_options o = {.url = url, .timeout_ms = 10000};
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&o, &b->rpc), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_cache_new("v1.signer", "alice.near", MIG_DIALECT_AUTO, &b->cache),
                          MIG_OK);
    CU_ASSERT_EQUAL_FATAL(
        mig_poller_init(&b->poller, b->rpc, b->cache, "v1.signer", MIG_DIALECT_AUTO), MIG_OK);
    b->operator= new_sender(b, b->operator_key);
    b->node = new_sender(b, b->node_key);
    CU_ASSERT_EQUAL_FATAL(look(b), MIG_OK);
    CU_ASSERT_EQUAL(mig_cache_generation(b->cache), 1);
}

static void tear_down(struct bench *b)
{
    mig_sender_free(&b->operator);
    mig_sender_free(&b->node);
    mig_cache_free(&b->cache);
    mig_rpc_free(&b->rpc);
    mig_devnet_stop(&b->net);
    mig_identity_free(&b->operator_key);
    mig_identity_free(&b->node_key);
}

static void scenario(struct bench *b, const char *op)
{
    char why[MIG_DEVNET_ERROR_MAX];
    enum mig_err err = mig_devnet_scenario(b->net, op, why);
    if (err != MIG_OK)
        printf("%s: %s\n", op, why);
    CU_ASSERT_EQUAL(err, MIG_OK);
}

/* Sends and takes what mig_call_... made. */
static enum mig_err send_call(struct mig_sender *s, enum mig_err made, struct mig_call *call,
                              struct mig_delivery *out)
{
    CU_ASSERT_EQUAL_FATAL(made, MIG_OK);
    enum mig_err err = mig_sender_send(s, call, out);
    mig_call_clear(call);
    return err;
}

static void is_sent(struct mig_sender *s, enum mig_err made, struct mig_call *call)
{
    struct mig_delivery d;
    enum mig_err err = send_call(s, made, call, &d);
    if (err != MIG_OK)
        printf("%d %s\n", d.sent, d.reason);
    CU_ASSERT(err == MIG_OK && d.sent == MIG_SENT_EXECUTED);
}

static const struct mig_view *view_after(struct bench *b)
{
    CU_ASSERT_EQUAL(look(b), MIG_OK);
    const struct mig_view *view = mig_cache_view(b->cache);
    CU_ASSERT_PTR_NOT_NULL_FATAL(view);
    return view;
}

static void start_migration(struct bench *b)
{
    struct mig_call c;
    is_sent(b->operator,
            mig_call_start(&b->poller.speech, URL_NEW, b->tls_new, b->node_key->public_key, &c),
            &c);
}

static enum mig_err conclude(struct bench *b, struct mig_delivery *d)
{
    struct mig_call c;
    const struct mig_view *view = view_after(b);
    enum mig_err made = mig_call_conclude(&b->poller.speech, view, &c);
    mig_view_release(&view);
    return send_call(b->node, made, &c, d);
}

static void migrates(const char *dialect)
{
    struct bench b;
    struct mig_call c;
    struct mig_delivery d;
    set_up(&b, dialect);
    const struct mig_speech *speech = &b.poller.speech;

    is_sent(b.operator, mig_call_register(speech, b.operator_key->public_key, &c), &c);
    const struct mig_view *view = view_after(&b);
    CU_ASSERT(view->generation == 2 && view->has_service_key);
    CU_ASSERT(memcmp(view->service_key, b.operator_key->public_key, MIG_KEY_LEN) == 0);
    mig_view_release(&view);

    CU_ASSERT_EQUAL(conclude(&b, &d), MIG_ERR_DENIED); /* nothing to conclude yet */
    CU_ASSERT_EQUAL(d.sent, MIG_SENT_FAILED);
    CU_ASSERT_PTR_NOT_NULL(strstr(d.reason, "does not have an ongoing recovery"));

    start_migration(&b);
    view = view_after(&b);
    CU_ASSERT(view->generation == 3 && view->has_destination && view->destination.active);
    CU_ASSERT_STRING_EQUAL(view->destination.url, URL_NEW);
    CU_ASSERT(memcmp(view->destination.signer_key, b.node_key->public_key, MIG_KEY_LEN) == 0);
    uint32_t id = mig_participants_find(&view->participants, "alice.near")->id;
    uint8_t digest[MIG_DIGEST_LEN];
    memcpy(digest, view->keyset_digest, sizeof digest);
    mig_view_release(&view);

    CU_ASSERT_EQUAL(conclude(&b, &d), MIG_ERR_DENIED); /* not attested yet */
    CU_ASSERT_PTR_NOT_NULL(strstr(d.reason, "Attestation"));
    is_sent(b.node, mig_call_attest_mock(speech, b.tls_new, &c), &c);
    CU_ASSERT_EQUAL(conclude(&b, &d), MIG_OK);

    view = view_after(&b);
    CU_ASSERT(view->generation == 4 && !view->has_destination);
    CU_ASSERT_EQUAL(mig_view_seat(view, "alice.near", b.tls_new), MIG_SEAT_HELD);
    CU_ASSERT_EQUAL(mig_participants_find(&view->participants, "alice.near")->id, id);
    CU_ASSERT(memcmp(view->keyset_digest, digest, sizeof digest) == 0);
    mig_view_release(&view);
    tear_down(&b);
}

static void a_migration_from_register_to_conclude_in_every_dialect(void)
{
    for (int i = 0; i < DIALECTS; i++)
        migrates(dialects[i]);
}

static void the_version_tells_dialect_and_deposit(void)
{
    for (int i = 0; i < DIALECTS; i++) {
        struct bench b;
        set_up(&b, dialects[i]);
        CU_ASSERT_EQUAL(b.poller.speech.dialect,
                        i == DRAFT ? MIG_DIALECT_DRAFT : MIG_DIALECT_DEPLOYED);
        CU_ASSERT_EQUAL(b.poller.speech.deposit, i == NEW ? 1 : 0);
        tear_down(&b);
    }
}

static void ephemeral_keys_appear_in_the_view(void)
{
    struct bench b;
    struct mig_call c;
    uint8_t node[MIG_KEY_LEN] = {9}, service[MIG_KEY_LEN] = {7};
    set_up(&b, dialects[DRAFT]);
    start_migration(&b);
    is_sent(b.node, mig_call_publish(&b.poller.speech, MIG_ROLE_NODE, node, &c), &c);
    is_sent(b.operator, mig_call_publish(&b.poller.speech, MIG_ROLE_SERVICE, service, &c), &c);
    const struct mig_view *view = view_after(&b);
    CU_ASSERT(view->published.has_node && memcmp(view->published.node, node, MIG_KEY_LEN) == 0);
    CU_ASSERT(view->published.has_service &&
              memcmp(view->published.service, service, MIG_KEY_LEN) == 0);
    mig_view_release(&view);
    scenario(&b, "{\"op\":\"start_resharing\"}");
    view = view_after(&b);
    CU_ASSERT(!view->published.has_node && !view->published.has_service && !view->has_destination);
    mig_view_release(&view);
    tear_down(&b);
}

static void a_record_survives_a_resharing_and_stays_inactive(void)
{
    struct bench b;
    struct mig_call c;
    set_up(&b, dialects[NEW]);
    start_migration(&b);
    const struct mig_view *view = view_after(&b);
    CU_ASSERT(view->destination.active);
    mig_view_release(&view);
    scenario(&b, "{\"op\":\"start_resharing\"}");
    view = view_after(&b);
    CU_ASSERT(view->protocol == MIG_PROTOCOL_RESHARING && view->has_destination &&
              !view->destination.active);
    CU_ASSERT(view->keyset.epoch == 5 && view->prospective.count == 2);
    mig_view_release(&view);
    scenario(&b, "{\"op\":\"finish_resharing\"}");
    view = view_after(&b);
    CU_ASSERT(view->protocol == MIG_PROTOCOL_RUNNING && view->keyset.epoch == 6);
    CU_ASSERT(view->has_destination && !view->destination.active);
    mig_view_release(&view);
    is_sent(b.operator, mig_call_cancel(&b.poller.speech, &c), &c);
    CU_ASSERT_EQUAL(look(&b), MIG_OK);
    start_migration(&b);
    view = view_after(&b);
    CU_ASSERT(view->has_destination && view->destination.active);
    mig_view_release(&view);
    tear_down(&b);
}

/* Between two looks: the protocol ran through a cancelled resharing. */
static void a_resharing_between_two_looks_is_noticed(void)
{
    static const char *const ops[][2] = {
        {"{\"op\":\"start_resharing\"}", "{\"op\":\"finish_resharing\"}"},
        {"{\"op\":\"start_resharing\"}", "{\"op\":\"cancel_resharing\"}"},
        {"{\"op\":\"add_domains\",\"domains\":[{\"protocol\":\"Frost\"}]}",
         "{\"op\":\"finish_initializing\"}"},
        {"{\"op\":\"add_domains\",\"domains\":[{\"protocol\":\"Frost\"}]}",
         "{\"op\":\"cancel_initializing\"}"},
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct bench b;
        set_up(&b, dialects[NEW]);
        start_migration(&b);
        CU_ASSERT_EQUAL(look(&b), MIG_OK);
        scenario(&b, ops[i][0]);
        scenario(&b, ops[i][1]);
        const struct mig_view *view = view_after(&b);
        CU_ASSERT(view->protocol == MIG_PROTOCOL_RUNNING && view->has_destination);
        CU_ASSERT(!view->destination.active);
        if (view->destination.active)
            printf("%s\n", ops[i][1]);
        mig_view_release(&view);
        tear_down(&b);
    }
}

static void a_function_call_key_is_told_what_it_may_not_do(void)
{
    struct bench b;
    struct mig_call c;
    struct mig_delivery d;
    set_up(&b, dialects[NEW]);
    CU_ASSERT_EQUAL(send_call(b.node, mig_call_register(&b.poller.speech, b.tls_new, &c), &c, &d),
                    MIG_ERR_DENIED);
    CU_ASSERT(d.sent == MIG_SENT_NOT_EXECUTED && d.refusal == MIG_REFUSAL_DEPOSIT);
    tear_down(&b);
    set_up(&b, dialects[OLD]);
    CU_ASSERT_EQUAL(send_call(b.node, mig_call_register(&b.poller.speech, b.tls_new, &c), &c, &d),
                    MIG_ERR_DENIED);
    CU_ASSERT(d.sent == MIG_SENT_NOT_EXECUTED && d.refusal == MIG_REFUSAL_METHOD);
    tear_down(&b);
}

static void an_unknown_key_and_a_wrong_contract_are_told_apart(void)
{
    struct bench b;
    struct mig_call c;
    struct mig_delivery d;
    struct mig_returned r;
    struct mig_access_key key;
    set_up(&b, dialects[NEW]);
    struct mig_identity *stranger = make_key(3);
    struct mig_sender *s = new_sender(&b, stranger);
    CU_ASSERT_EQUAL(send_call(s, mig_call_attest_mock(&b.poller.speech, b.tls_new, &c), &c, &d),
                    MIG_ERR_DENIED);
    CU_ASSERT(d.sent == MIG_SENT_NOT_EXECUTED && d.refusal == MIG_REFUSAL_NO_ACCESS_KEY);
    mig_sender_free(&s);
    CU_ASSERT_EQUAL(mig_rpc_access_key(b.rpc, "alice.near", stranger->public_key, &key),
                    MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_rpc_error(b.rpc)->fault, MIG_FAULT_UNKNOWN_KEY);
    CU_ASSERT_EQUAL(mig_rpc_access_key(b.rpc, "alice.near", b.node_key->public_key, &key), MIG_OK);
    CU_ASSERT(!key.full_access);
    CU_ASSERT_EQUAL(mig_rpc_view(b.rpc, "nobody.near", "state", "{}", NULL, &r), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_rpc_error(b.rpc)->fault, MIG_FAULT_UNKNOWN_ACCOUNT);
    CU_ASSERT_EQUAL(mig_rpc_view(b.rpc, "alice.near", "state", "{}", NULL, &r), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_rpc_error(b.rpc)->fault, MIG_FAULT_NO_CONTRACT);
    CU_ASSERT_EQUAL(mig_rpc_view(b.rpc, "v1.signer", "no_such_method", "{}", NULL, &r),
                    MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_rpc_error(b.rpc)->fault, MIG_FAULT_NO_METHOD);
    mig_identity_free(&stranger);
    tear_down(&b);
}

static void faults_of_the_endpoint_change_nothing(void)
{
    static const char *const kinds[] = {"garbage", "wrong_type", "http\",\"value\":500,\"x\":\""};
    struct bench b;
    set_up(&b, dialects[NEW]);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char op[128];
        struct mig_poller p = b.poller;
        (void)snprintf(op, sizeof op, "{\"op\":\"fault\",\"kind\":\"%s\"}", kinds[i]);
        scenario(&b, "{\"op\":\"advance\",\"blocks\":3}");
        scenario(&b, op);
        CU_ASSERT_NOT_EQUAL(mig_poll(&p, (uint64_t)time(NULL) * 1000000000u), MIG_OK);
        CU_ASSERT(p.reason[0] != '\0');
        CU_ASSERT_EQUAL(mig_cache_generation(b.cache), 1);
        scenario(&b, "{\"op\":\"fault\",\"kind\":\"none\"}");
    }
    CU_ASSERT_EQUAL(look(&b), MIG_OK);
    tear_down(&b);
}

static void a_block_is_found_by_its_hash(void)
{
    struct bench b;
    struct mig_tip head, again;
    set_up(&b, dialects[NEW]);
    CU_ASSERT_EQUAL(mig_rpc_final_block(b.rpc, &head), MIG_OK);
    scenario(&b, "{\"op\":\"advance\",\"blocks\":2}");
    CU_ASSERT_EQUAL(mig_rpc_block(b.rpc, head.hash, &again), MIG_OK);
    CU_ASSERT(again.block.height == head.block.height && again.block.time_ns == head.block.time_ns);
    CU_ASSERT_EQUAL(mig_rpc_block(b.rpc, "11111111111111111111111111111111", &again),
                    MIG_ERR_RETRY);
    CU_ASSERT_EQUAL(mig_rpc_error(b.rpc)->fault, MIG_FAULT_UNKNOWN_BLOCK);
    tear_down(&b);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(the_version_tells_dialect_and_deposit),
        TEST(a_migration_from_register_to_conclude_in_every_dialect),
        TEST(ephemeral_keys_appear_in_the_view),
        TEST(a_record_survives_a_resharing_and_stays_inactive),
        TEST(a_resharing_between_two_looks_is_noticed),
        TEST(a_function_call_key_is_told_what_it_may_not_do),
        TEST(an_unknown_key_and_a_wrong_contract_are_told_apart),
        TEST(faults_of_the_endpoint_change_nothing),
        TEST(a_block_is_found_by_its_hash),
    };
    return run_tests("chain", tests, sizeof tests / sizeof *tests);
}

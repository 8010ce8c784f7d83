/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chain/dialect.h"
#include "chain/state.h"
#include "crypto/key.h"
#include "tests/harness.h"

#define ALICE_KEY "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define BOB_KEY "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"

static const struct mig_speech draft = {MIG_DIALECT_DRAFT, 0};
static const struct mig_speech old = {MIG_DIALECT_DEPLOYED, 0};
static const struct mig_speech deployed = {MIG_DIALECT_DEPLOYED, 1};

static uint8_t alice[MIG_KEY_LEN], bob[MIG_KEY_LEN];

static void the_version_picks_the_dialect(void)
{
    static const struct {
        enum mig_dialect forced;
        const char *version;
        enum mig_dialect dialect;
        uint64_t deposit;
    } cases[] = {
        {MIG_DIALECT_AUTO, "0.1.0-draft", MIG_DIALECT_DRAFT, 0},
        {MIG_DIALECT_AUTO, "3.14.0", MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_AUTO, "3.14.1", MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_AUTO, "3.13.0", MIG_DIALECT_DEPLOYED, 0},
        {MIG_DIALECT_AUTO, "3.9.1", MIG_DIALECT_DEPLOYED, 0},
        {MIG_DIALECT_AUTO, "2.20.0", MIG_DIALECT_DEPLOYED, 0},
        {MIG_DIALECT_AUTO, "3.100.0", MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_AUTO, "4.0.0", MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_AUTO, "3.14.0-rc.1", MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_AUTO, "unheard-of", MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_AUTO, "draft-3", MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_AUTO, NULL, MIG_DIALECT_DEPLOYED, 0},
        {MIG_DIALECT_DEPLOYED, NULL, MIG_DIALECT_DEPLOYED, 1},
        {MIG_DIALECT_DEPLOYED, "3.13.0", MIG_DIALECT_DEPLOYED, 0},
        {MIG_DIALECT_DRAFT, NULL, MIG_DIALECT_DRAFT, 0},
        {MIG_DIALECT_DRAFT, "3.14.1", MIG_DIALECT_DRAFT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mig_speech s = mig_speech_pick(cases[i].forced, cases[i].version);
        CU_ASSERT_EQUAL(s.dialect, cases[i].dialect);
        CU_ASSERT_EQUAL(s.deposit, cases[i].deposit);
    }
}

static void every_part_has_its_view(void)
{
    CU_ASSERT_STRING_EQUAL(mig_view_method(MIG_DIALECT_DRAFT, MIG_PART_STATE), "state");
    CU_ASSERT_STRING_EQUAL(mig_view_method(MIG_DIALECT_DRAFT, MIG_PART_MIGRATION), "recovery_info");
    CU_ASSERT_STRING_EQUAL(mig_view_method(MIG_DIALECT_DRAFT, MIG_PART_EPHEMERAL),
                           "ephemeral_keys");
    CU_ASSERT_STRING_EQUAL(mig_view_method(MIG_DIALECT_DEPLOYED, MIG_PART_STATE), "state");
    CU_ASSERT_STRING_EQUAL(mig_view_method(MIG_DIALECT_DEPLOYED, MIG_PART_MIGRATION),
                           "migration_info");
    CU_ASSERT_PTR_NULL(mig_view_method(MIG_DIALECT_DEPLOYED, MIG_PART_EPHEMERAL));
}

static void is_call(enum mig_err err, struct mig_call *call, const char *method, const char *args,
                    uint64_t deposit)
{
    CU_ASSERT_EQUAL_FATAL(err, MIG_OK);
    CU_ASSERT_STRING_EQUAL(call->method, method);
    CU_ASSERT_STRING_EQUAL(call->args, args);
    CU_ASSERT_EQUAL(call->deposit, deposit);
    CU_ASSERT_EQUAL(call->gas, 300000000000000u);
    mig_call_clear(call);
    CU_ASSERT_PTR_NULL(call->args);
}

static void writes_the_operators_calls(void)
{
    struct mig_call c;
    static const char service[] = "{\"backup_service_info\":{\"public_key\":\"" ALICE_KEY "\"}}";
    static const char destination[] =
        "{\"destination_node_info\":{\"signer_account_pk\":\"" BOB_KEY
        "\",\"destination_node_info\":{\"url\":\"http://h:80\",\"tls_public_key\":\"" ALICE_KEY
        "\"}}}";
    is_call(mig_call_register(&deployed, alice, &c), &c, "register_backup_service", service, 1);
    is_call(mig_call_register(&old, alice, &c), &c, "register_backup_service", service, 0);
    is_call(mig_call_register(&draft, alice, &c), &c, "set_backup_service",
            "{\"backup_service\":{\"public_key\":\"" ALICE_KEY "\"}}", 0);
    is_call(mig_call_start(&deployed, "http://h:80", alice, bob, &c), &c, "start_node_migration",
            destination, 1);
    is_call(mig_call_start(&old, "http://h:80", alice, bob, &c), &c, "start_node_migration",
            destination, 0);
    is_call(mig_call_start(&draft, "http://h:80", alice, bob, &c), &c, "swap_node",
            "{\"participant_info\":{\"url\":\"http://h:80\",\"tls_public_key\":\"" ALICE_KEY
            "\",\"node_account_public_key\":\"" BOB_KEY "\"}}",
            0);
    is_call(mig_call_cancel(&deployed, &c), &c, "cancel_node_migration", "{}", 1);
    CU_ASSERT_EQUAL(mig_call_cancel(&draft, &c), MIG_ERR_NOT_FOUND);
    CU_ASSERT_PTR_NULL(c.args);
}

static void writes_the_other_calls(void)
{
    struct mig_call c;
    is_call(
        mig_call_publish(&draft, MIG_ROLE_NODE, bob, &c), &c, "publish_ephemeral_key",
        "{\"role\":\"node\",\"public_key\":\"x25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx\"}",
        0);
    is_call(mig_call_publish(&draft, MIG_ROLE_SERVICE, bob, &c), &c, "publish_ephemeral_key",
            "{\"role\":\"service\",\"public_key\":\"x25519:"
            "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx\"}",
            0);
    CU_ASSERT_EQUAL(mig_call_publish(&deployed, MIG_ROLE_NODE, bob, &c), MIG_ERR_NOT_FOUND);
    is_call(
        mig_call_attest_mock(&deployed, alice, &c), &c, "submit_participant_info",
        "{\"proposed_participant_attestation\":{\"Mock\":\"Valid\"},\"tls_public_key\":\"" ALICE_KEY
        "\"}",
        0);
}

static void refuses_a_destination_url_that_peers_could_not_dial(void)
{
    static const char *const bad[] = {"h:80",           "",          "http://h/\"", "http://h'",
                                      "https://h/path", "http://h\n"};
    struct mig_call c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(mig_call_start(&deployed, bad[i], alice, bob, &c), MIG_ERR_MALFORMED);
}

static void conclude_repeats_the_contracts_own_keyset(void)
{
    struct mig_state state;
    struct mig_call c;
    size_t len;
    char *text = test_data("state-running.json", &len);
    CU_ASSERT_EQUAL_FATAL(mig_state_parse(text, len, &state), MIG_OK);
    struct mig_view view = {
        .protocol = state.protocol, .keyset = state.keyset, .keyset_json = state.keyset_json};
    CU_ASSERT_EQUAL_FATAL(mig_call_conclude(&deployed, &view, &c), MIG_OK);
    CU_ASSERT_STRING_EQUAL(c.method, "conclude_node_migration");
    CU_ASSERT_EQUAL(c.deposit, 0);
    json_t *all = json_loads(text, 0, NULL),
           *args = json_loads(c.args, JSON_REJECT_DUPLICATES, NULL);
    const json_t *keyset = json_object_get(json_object_get(all, "Running"), "keyset");
    CU_ASSERT(json_equal(keyset, json_object_get(args, "keyset")));
    CU_ASSERT_EQUAL(json_object_size(args), 1);
    json_decref(all);
    json_decref(args);
    mig_call_clear(&c);
    mig_state_clear(&state);
    free(text);
}

static void conclude_of_the_draft_names_every_key_event(void)
{
    struct mig_state state;
    struct mig_call c;
    size_t len;
    char *text = test_data("state-running.json", &len);
    CU_ASSERT_EQUAL_FATAL(mig_state_parse(text, len, &state), MIG_OK);
    struct mig_view view = {
        .protocol = state.protocol, .keyset = state.keyset, .keyset_json = state.keyset_json};
    CU_ASSERT_EQUAL_FATAL(mig_call_conclude(&draft, &view, &c), MIG_OK);
    CU_ASSERT_STRING_EQUAL(c.method, "conclude_recovery");
    static const char *const pieces[] = {
        "{\"public_keys\":[[{\"epoch_id\":5,\"domain_id\":0,\"attempt_id\":0},\"secp256k1:4Q9aK3",
        "],[{\"epoch_id\":5,\"domain_id\":1,\"attempt_id\":2},\"ed25519:"
        "GFRaCJ8UDCWt7ZawnTbQ83RGPo7o3viyyer68jysLmVM\"],[",
        "{\"epoch_id\":5,\"domain_id\":2,\"attempt_id\":0},\"bls12381g2:22a3grH",
    };
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(c.args, pieces[i]));
    json_t *args = json_loads(c.args, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(args, "public_keys")), 3);
    json_decref(args);
    mig_call_clear(&c);
    view.keyset.count = 0;
    is_call(mig_call_conclude(&draft, &view, &c), &c, "conclude_recovery", "{\"public_keys\":[]}",
            0);
    mig_state_clear(&state);
    free(text);
}

static void conclude_needs_running(void)
{
    struct mig_call c;
    struct mig_view view = {.protocol = MIG_PROTOCOL_RESHARING, .keyset_json = "{}"};
    CU_ASSERT_EQUAL(mig_call_conclude(&deployed, &view, &c), MIG_ERR_STATE);
    view.protocol = MIG_PROTOCOL_RUNNING;
    view.keyset_json = NULL;
    CU_ASSERT_EQUAL(mig_call_conclude(&draft, &view, &c), MIG_ERR_STATE);
    CU_ASSERT_PTR_NULL(c.args);
}

static void prints_the_near_cli_command(void)
{
    struct mig_call c;
    CU_ASSERT_EQUAL_FATAL(mig_call_register(&deployed, alice, &c), MIG_OK);
    char *text = mig_call_near_cli(&c, "alice.near", "v1.signer", "mainnet");
    CU_ASSERT_STRING_EQUAL(
        text,
        "near contract call-function as-transaction v1.signer register_backup_service json-args "
        "'{\"backup_service_info\":{\"public_key\":\"" ALICE_KEY "\"}}' prepaid-gas '300.0 Tgas' "
        "attached-deposit '1 yoctoNEAR' sign-as alice.near network-config mainnet "
        "sign-with-keychain send");
    free(text);
    CU_ASSERT_PTR_NULL(mig_call_near_cli(&c, "alice; rm -rf", "v1.signer", "mainnet"));
    CU_ASSERT_PTR_NULL(mig_call_near_cli(&c, "alice.near", "v1 signer", "mainnet"));
    CU_ASSERT_PTR_NULL(mig_call_near_cli(&c, "alice.near", "v1.signer", "$(id)"));
    mig_call_clear(&c);
    c = (struct mig_call){.method = "m", .args = strdup("{\"a\":\"'; id; '\"}")};
    CU_ASSERT_PTR_NULL(mig_call_near_cli(&c, "alice.near", "v1.signer", "mainnet"));
    mig_call_clear(&c);
    CU_ASSERT_EQUAL_FATAL(mig_call_register(&old, alice, &c), MIG_OK);
    text = mig_call_near_cli(&c, "alice.near", "v1.signer", "testnet");
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "attached-deposit '0 NEAR'"));
    free(text);
    mig_call_clear(&c);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(the_version_picks_the_dialect),
        TEST(every_part_has_its_view),
        TEST(writes_the_operators_calls),
        TEST(writes_the_other_calls),
        TEST(refuses_a_destination_url_that_peers_could_not_dial),
        TEST(conclude_repeats_the_contracts_own_keyset),
        TEST(conclude_of_the_draft_names_every_key_event),
        TEST(conclude_needs_running),
        TEST(prints_the_near_cli_command),
    };
    if (mig_key_parse(ALICE_KEY, strlen(ALICE_KEY), alice) != MIG_OK ||
        mig_key_parse(BOB_KEY, strlen(BOB_KEY), bob) != MIG_OK)
        return 2;
    return run_tests("dialect", tests, sizeof tests / sizeof *tests);
}

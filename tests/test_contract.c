/* SPDX-License-Identifier: MIT */
#include "contract/contract.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"
#include "tests/harness.h"

/* Values with a life of one test */

#define K_ALICE "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define K_BOB "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define K_NEW "ed25519:GFRaCJ8UDCWt7ZawnTbQ83RGPo7o3viyyer68jysLmVM"
#define K_ACCOUNT "ed25519:FAe4sisG95oZ42w7buUn5qEE4TAnfTTFPiguZUHmhiF"
#define K_SECP                                                                                     \
    "secp256k1:"                                                                                   \
    "4Q9aK3YhZAugWM3vJrePc5CAxL81yEXzkcT5zqSscURArmybYWJyDLhJ6vijgdDr6PfCcc3dgCvG2fgdoTtFfM7i"
#define X_KEY "x25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define X_ZERO "x25519:11111111111111111111111111111111"

static const char genesis[] =
    "{\"op\":\"genesis\",\"epoch_id\":5,\"threshold\":2,\"participants\":["
    "{\"account_id\":\"alice.near\",\"url\":\"http://"
    "alice.example:80\",\"tls_public_key\":\"" K_ALICE "\","
    "\"account_public_key\":\"" K_ACCOUNT "\"},"
    "{\"account_id\":\"bob.near\",\"url\":\"http://bob.example:80\",\"tls_public_key\":\"" K_BOB
    "\"}],"
    "\"domains\":[{\"protocol\":\"CaitSith\",\"public_key\":\"" K_SECP "\"},"
    "{\"protocol\":\"Frost\",\"public_key\":\"" K_NEW "\",\"attempt\":2}]}";

static struct mig_contract *contract;

static void drive(const char *op)
{
    char why[MIG_CONTRACT_WHY_MAX];
    enum mig_err err = mig_contract_drive(contract, op, strlen(op), 1000, why);
    if (err != MIG_OK)
        printf("%s: %s\n", op, why);
    CU_ASSERT_EQUAL(err, MIG_OK);
}

static void drive_fails(const char *op, enum mig_err expected)
{
    char why[MIG_CONTRACT_WHY_MAX] = "";
    char *before;
    char *after;
    CU_ASSERT_EQUAL_FATAL(mig_contract_dump(contract, &before), MIG_OK);
    CU_ASSERT_EQUAL(mig_contract_drive(contract, op, strlen(op), 1000, why), expected);
    CU_ASSERT(why[0] != '\0');
    CU_ASSERT_EQUAL_FATAL(mig_contract_dump(contract, &after), MIG_OK);
    CU_ASSERT_STRING_EQUAL(before, after);
    free(before);
    free(after);
}

static void begin(enum mig_contract_version version)
{
    CU_ASSERT_EQUAL_FATAL(mig_contract_new("v1.signer", version, &contract), MIG_OK);
    drive(genesis);
}

static void end(void)
{
    mig_contract_free(&contract);
}

static void run(const char *method, const char *signer, const char *key, unsigned deposit,
                const char *args, struct mig_contract_outcome *out)
{
    struct mig_contract_call call = {.method = method,
                                     .signer = signer,
                                     .predecessor = signer,
                                     .deposit = deposit,
                                     .height = 1000,
                                     .time_ns = 1700000000000000000,
                                     .args = args,
                                     .args_len = strlen(args),
                                     .is_view = signer == NULL};
    if (key != NULL)
        CU_ASSERT_EQUAL_FATAL(mig_key_parse(key, strlen(key), call.signer_key), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_contract_run(contract, &call, out), MIG_OK);
}

static void returns(const char *method, const char *signer, const char *key, unsigned deposit,
                    const char *args)
{
    struct mig_contract_outcome out;
    run(method, signer, key, deposit, args, &out);
    CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_RETURNED);
    if (out.verdict != MIG_CONTRACT_RETURNED)
        printf("%s: %s\n", method, out.text);
    mig_contract_outcome_clear(&out);
}

static void panics(const char *method, const char *signer, const char *key, unsigned deposit,
                   const char *args, const char *text)
{
    struct mig_contract_outcome out;
    char *before;
    char *after;
    CU_ASSERT_EQUAL_FATAL(mig_contract_dump(contract, &before), MIG_OK);
    run(method, signer, key, deposit, args, &out);
    CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_PANICKED);
    CU_ASSERT_STRING_EQUAL(out.text, text);
    if (strcmp(out.text, text) != 0)
        printf("%s\n  found    %s\n  expected %s\n", args, out.text, text);
    CU_ASSERT(out.refund == 0);
    CU_ASSERT_EQUAL_FATAL(mig_contract_dump(contract, &after), MIG_OK);
    CU_ASSERT_STRING_EQUAL(before, after);
    free(before);
    free(after);
    mig_contract_outcome_clear(&out);
}

static void shows(const char *method, const char *text)
{
    struct mig_contract_outcome out;
    run(method, NULL, NULL, 0, "{}", &out);
    CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_RETURNED);
    CU_ASSERT_STRING_EQUAL(out.text, text);
    if (strcmp(out.text, text) != 0)
        printf("%s\n  found    %s\n  expected %s\n", method, out.text, text);
    mig_contract_outcome_clear(&out);
}

static bool state_contains(const char *part)
{
    struct mig_contract_outcome out;
    run("state", NULL, NULL, 0, "", &out);
    bool found = strstr(out.text, part) != NULL;
    mig_contract_outcome_clear(&out);
    return found;
}

static const char *member(const json_t *step, const char *name)
{
    return json_string_value(json_object_get(step, name));
}

/* The recorded flow */

static void compare_logs(const json_t *step, const struct mig_contract_outcome *out)
{
    const json_t *logs = json_object_get(step, "logs");
    CU_ASSERT_EQUAL(out->log_count, json_array_size(logs));
    for (size_t i = 0; i < out->log_count; i++)
        CU_ASSERT_STRING_EQUAL(out->logs[i], json_string_value(json_array_get(logs, i)));
}

static void replay_step(const json_t *step)
{
    const char *args = member(step, "args");
    struct mig_contract_call call = {.method = member(step, "method"),
                                     .signer = member(step, "signer"),
                                     .predecessor = member(step, "predecessor"),
                                     .args = args,
                                     .args_len = strlen(args),
                                     .height = 1000,
                                     .is_view = json_is_true(json_object_get(step, "view"))};
    struct mig_contract_outcome out;
    if (!call.is_view) {
        const char *key = member(step, "signer_key");
        const char *deposit = member(step, "deposit");
        CU_ASSERT_EQUAL_FATAL(mig_key_parse(key, strlen(key), call.signer_key), MIG_OK);
        CU_ASSERT_EQUAL_FATAL(mig_amount_parse(deposit, strlen(deposit), &call.deposit), MIG_OK);
    }
    CU_ASSERT_EQUAL_FATAL(mig_contract_run(contract, &call, &out), MIG_OK);
    const char *expected = member(step, "returns");
    CU_ASSERT_EQUAL(out.verdict, expected != NULL ? MIG_CONTRACT_RETURNED : MIG_CONTRACT_PANICKED);
    expected = expected != NULL ? expected : member(step, "panics");
    CU_ASSERT_STRING_EQUAL(out.text, expected);
    if (strcmp(out.text, expected) != 0)
        printf("%s\n  found    %s\n  expected %s\n", member(step, "step"), out.text, expected);
    compare_logs(step, &out);
    const json_t *refund = json_object_get(step, "refund");
    char amount[MIG_AMOUNT_MAX];
    mig_amount_format(out.refund, amount);
    CU_ASSERT_STRING_EQUAL(amount, refund != NULL ? member(refund, "amount") : "0");
    if (refund != NULL)
        CU_ASSERT_STRING_EQUAL(out.refund_to, member(refund, "to"));
    mig_contract_outcome_clear(&out);
}

static void replay(const char *file)
{
    size_t len;
    char *text = test_data(file, &len);
    json_t *flow = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(flow);
    const json_t *steps = json_object_get(flow, "steps");
    enum mig_contract_version version;
    CU_ASSERT_EQUAL_FATAL(mig_contract_version_parse(member(flow, "version"), &version), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_contract_new(member(flow, "contract"), version, &contract), MIG_OK);
    CU_ASSERT_EQUAL(json_array_size(steps), 27);
    for (size_t i = 0; i < json_array_size(steps); i++)
        replay_step(json_array_get(steps, i));
    end();
    json_decref(flow);
    free(text);
}

static void replays_the_recorded_flow_of_3_14_1(void)
{
    replay("contract_flow_3.14.1.json");
}

static void replays_the_recorded_flow_of_3_13_0(void)
{
    replay("contract_flow_3.13.0.json");
}

/* Deployed */

#define REGISTER "{\"backup_service_info\":{\"public_key\":\"" K_ACCOUNT "\"}}"
#define START                                                                                      \
    "{\"destination_node_info\":{\"signer_account_pk\":\"" K_ACCOUNT                               \
    "\",\"destination_node_info\":{\"url\":"                                                       \
    "\"http://new.example:80\",\"tls_public_key\":\"" K_NEW "\"}}}"
#define KEYSET(attempt)                                                                            \
    "{\"keyset\":{\"epoch_id\":5,\"domains\":[{\"domain_id\":0,\"key\":{\"Secp256k1\":{\"near_"    \
    "public_key\":\"" K_SECP "\"}},\"attempt\":0},{\"domain_id\":1,\"key\":{\"Ed25519\":{\"near_"  \
    "public_key_compressed\":\"" K_NEW                                                             \
    "\",\"edwards_point\":[226,145,56,31,230,216,66,243,4,18,49,92,180,49,172,220,24,160,44,186,"  \
    "208,98,22,94,134,63,"                                                                         \
    "26,6,14,43,164,180]}},\"attempt\":" #attempt "}]}}"
#define RESHARE "{\"op\":\"start_resharing\"}"
#define ATTEST                                                                                     \
    "{\"proposed_participant_attestation\":{\"Mock\":\"Valid\"},\"tls_public_key\":\"" K_NEW "\"}"

static void explains_malformed_arguments_as_the_deployed_contract_does(void)
{
    static const struct {
        const char *args;
        const char *error;
    } cases[] = {
        {"{}", "missing field `backup_service_info` at line 1 column 2"},
        {"[", "invalid type: sequence, expected struct Input at line 1 column 0"},
        {"{\"backup_service_info\":5}",
         "invalid type: integer `5`, expected struct BackupServiceInfo at line 1 column 24"},
        {"{\"backup_service_info\":{\"public_key\":\"abc\"}}",
         "missing ':' separator at line 1 column 43"},
        {"{\"backup_service_info\":{\"public_key\":\"secp256k1:abc\"}}",
         "wrong prefix at line 1 column 53"},
        {"{\"backup_service_info\":{\"public_key\":\"ed25519:0\"}}",
         "invalid bs58 encoding at line 1 column 49"},
        {"{\"backup_service_info\":{\"public_key\":[1,2]}}",
         "invalid type: sequence, expected a string at line 1 column 37"},
        {REGISTER "x", "trailing characters at line 1 column 93"},
        {"{\"backup_service_info\":", "EOF while parsing a value at line 1 column 23"},
        {"{\"backup_service_info\"", "EOF while parsing an object at line 1 column 22"},
        {"{\"a\":1,}", "trailing comma at line 1 column 8"},
        {"{\"a\":tru}", "expected ident at line 1 column 6"},
        {"{\"a\":01}", "invalid number at line 1 column 7"},
        {"{\"a\":\"\\x\"}", "invalid escape at line 1 column 8"},
        {"\n {\"a\":\"\n\"}",
         "control character (\\u0000-\\u001F) found while parsing a string at line 3 column 0"},
        {"{\"a\":\"\xff\"}", "invalid unicode code point at line 1 column 6"},
        {"{\"backup_service_info\":{\"public_key\":\"" K_BOB "\",\"public_key\":\"" K_BOB "\"}}",
         "duplicate field `public_key` at line 1 column 103"},
    };
    begin(MIG_CONTRACT_3_14_1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "Failed to deserialize input from JSON. Error: `%s`",
                       cases[i].error);
        panics("register_backup_service", "alice.near", K_ALICE, 1, cases[i].args, text);
    }
    end();
}

static void ignores_unknown_members_however_deep(void)
{
    begin(MIG_CONTRACT_3_14_1);
    returns("register_backup_service", "alice.near", K_ALICE, 1,
            " {\"x\":[[{\"y\":[{},[],null,true,-1.5e3,\"\\ud83d\\ude00\"]}]],\"backup_service_"
            "info\":{\"attestation\":{},"
            "\"public_key\":\"" K_BOB "\"}} ");
    end();
}

static void refuses_a_depth_bomb(void)
{
    struct mig_contract_outcome out;
    char *bomb = malloc(200001);
    memset(bomb, '[', 200000);
    memcpy(bomb, "{\"a\":", 5);
    bomb[200000] = '\0';
    begin(MIG_CONTRACT_3_14_1);
    run("register_backup_service", "alice.near", K_ALICE, 1, bomb, &out);
    CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_PANICKED);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "recursion limit exceeded"));
    mig_contract_outcome_clear(&out);
    end();
    free(bomb);
}

static void a_view_refuses_to_write(void)
{
    struct mig_contract_outcome out;
    begin(MIG_CONTRACT_3_14_1);
    run("conclude_node_migration", NULL, NULL, 0, "{}", &out);
    CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_PROHIBITED);
    CU_ASSERT_STRING_EQUAL(out.text, "attached_deposit");
    mig_contract_outcome_clear(&out);
    run("register_backup_service", NULL, NULL, 0, REGISTER, &out);
    CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_PROHIBITED);
    mig_contract_outcome_clear(&out);
    end();
}

static void a_dialect_has_only_its_own_methods(void)
{
    static const char *const deployed_only[] = {"migration_info", "register_backup_service",
                                                "start_node_migration", "conclude_node_migration",
                                                "cancel_node_migration"};
    static const char *const draft_only[] = {"recovery_info",      "ephemeral_keys",
                                             "set_backup_service", "swap_node",
                                             "conclude_recovery",  "publish_ephemeral_key"};
    struct mig_contract_outcome out;
    begin(MIG_CONTRACT_DRAFT);
    for (size_t i = 0; i < 5; i++) {
        run(deployed_only[i], "alice.near", K_ALICE, 0, "{}", &out);
        CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_NO_METHOD);
        mig_contract_outcome_clear(&out);
    }
    end();
    begin(MIG_CONTRACT_3_14_1);
    for (size_t i = 0; i < 6; i++) {
        run(draft_only[i], "alice.near", K_ALICE, 0, "{}", &out);
        CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_NO_METHOD);
        mig_contract_outcome_clear(&out);
    }
    end();
}

static void only_init_answers_before_init(void)
{
    CU_ASSERT_EQUAL_FATAL(mig_contract_new("v1.signer", MIG_CONTRACT_3_14_1, &contract), MIG_OK);
    panics("state", NULL, NULL, 0, "", "Calling default not allowed.");
    panics("register_backup_service", "alice.near", K_ALICE, 1, REGISTER,
           "Calling default not allowed.");
    end();
}

static void a_refused_init_leaves_nothing_behind(void)
{
    CU_ASSERT_EQUAL_FATAL(mig_contract_new("v1.signer", MIG_CONTRACT_3_14_1, &contract), MIG_OK);
    panics(
        "init", "v1.signer", K_ALICE, 0,
        "{\"parameters\":{\"participants\":{\"next_id\":1,\"participants\":[[\"a.near\",0,{\"url\":"
        "\"http://a\",\"tls_public_key\":\"" K_ALICE "\"}]]},\"threshold\":2}}",
        "Threshold must not exceed number of participants: max 1, found 2");
    panics(
        "init", "v1.signer", K_ALICE, 0,
        "{\"parameters\":{\"participants\":{\"next_id\":0,\"participants\":[]},\"threshold\":1}}",
        "Threshold does not meet the minimum absolute requirement");
    returns(
        "init", "v1.signer", K_ALICE, 0,
        "{\"parameters\":{\"participants\":{\"next_id\":2,\"participants\":[[\"a.near\",0,{\"url\":"
        "\"http://a\",\"tls_public_key\":\"" K_ALICE "\"}],[\"b.near\",1,{\"url\":\"http://b\","
        "\"tls_public_key\":\"" K_BOB "\"}]]},\"threshold\":2}}");
    end();
}

static void version_tells_the_dialect(void)
{
    begin(MIG_CONTRACT_DRAFT);
    shows("version", "\"0.1.0-draft\"");
    end();
    begin(MIG_CONTRACT_3_13_0);
    shows("version", "\"3.13.0\"");
    end();
    begin(MIG_CONTRACT_3_14_1);
    shows("version", "\"3.14.1\"");
    end();
}

static void a_migration_moves_the_seat_in_place(void)
{
    begin(MIG_CONTRACT_3_14_1);
    returns("start_node_migration", "alice.near", K_ALICE, 1, START);
    panics("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2),
           "Invalid TEE Remote Attestation: destination node TEE quote is invalid");
    returns("submit_participant_info", "alice.near", K_ACCOUNT, 0, ATTEST);
    returns("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2));
    CU_ASSERT(state_contains(
        "[\"alice.near\",0,{\"url\":\"http://new.example:80\",\"tls_public_key\":\"" K_NEW "\"}]"));
    CU_ASSERT(state_contains("\"keyset\":{\"epoch_id\":5"));
    shows("migration_info", "{}");
    panics("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2),
           "Node does not have an ongoing recovery");
    end();
}

static void a_keyset_that_differs_only_in_the_attempt_does_not_conclude(void)
{
    struct mig_contract_outcome out;
    begin(MIG_CONTRACT_3_14_1);
    returns("start_node_migration", "alice.near", K_ALICE, 1, START);
    returns("submit_participant_info", "alice.near", K_ACCOUNT, 0, ATTEST);
    run("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(1), &out);
    CU_ASSERT_EQUAL(out.verdict, MIG_CONTRACT_PANICKED);
    CU_ASSERT_EQUAL(strncmp(out.text, "The submitted keyset differs", 28), 0);
    mig_contract_outcome_clear(&out);
    end();
}

static void conclude_needs_an_attestation_that_is_still_valid(void)
{
    static const char invalid[] =
        "Invalid TEE Remote Attestation: destination node TEE quote is invalid";
    begin(MIG_CONTRACT_3_14_1);
    returns("start_node_migration", "alice.near", K_ALICE, 1, START);
    returns("submit_participant_info", "alice.near", K_ACCOUNT, 0,
            "{\"proposed_participant_attestation\":{\"Mock\":{\"WithConstraints\":{\"expiry_"
            "timestamp_seconds\":"
            "1700000001}}},\"tls_public_key\":\"" K_NEW "\"}");
    drive("{\"op\":\"set_attestation\",\"tls_public_key\":\"" K_NEW
          "\",\"valid\":true,\"expires\":1700000000}");
    panics("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2), invalid);
    drive("{\"op\":\"set_attestation\",\"tls_public_key\":\"" K_NEW
          "\",\"valid\":false,\"expires\":0}");
    panics("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2), invalid);
    drive("{\"op\":\"remove_attestation\",\"tls_public_key\":\"" K_NEW "\"}");
    panics("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2), invalid);
    drive("{\"op\":\"set_attestation\",\"tls_public_key\":\"" K_NEW
          "\",\"valid\":true,\"account_id\":\"alice.near\"}");
    returns("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2));
    end();
}

static void submit_refuses_an_invalid_attestation_and_another_accounts_key(void)
{
    begin(MIG_CONTRACT_3_14_1);
    panics(
        "submit_participant_info", "alice.near", K_ACCOUNT, 0,
        "{\"proposed_participant_attestation\":{\"Mock\":\"Invalid\"},\"tls_public_key\":\"" K_NEW
        "\"}",
        "Invalid TEE Remote Attestation: the submitted attestation failed verification");
    returns("submit_participant_info", "alice.near", K_ACCOUNT, 0, ATTEST);
    panics("submit_participant_info", "bob.near", K_BOB, 0, ATTEST,
           "Invalid TEE Remote Attestation: the TLS key belongs to another account");
    end();
}

static void one_account_can_hold_several_attestations(void)
{
    begin(MIG_CONTRACT_3_14_1);
    returns("submit_participant_info", "alice.near", K_ACCOUNT, 0, ATTEST);
    struct mig_contract_outcome out;
    run("get_tee_accounts", NULL, NULL, 0, "{}", &out);
    CU_ASSERT_PTR_NOT_NULL(strstr(out.text,
                                  "{\"account_id\":\"alice.near\",\"tls_public_key\":\"" K_NEW
                                  "\",\"account_public_key\":\"" K_ACCOUNT "\"}"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out.text,
                                  "{\"account_id\":\"alice.near\",\"tls_public_key\":\"" K_ALICE
                                  "\",\"account_public_key\":\"" K_ACCOUNT "\"}"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "\"" K_BOB "\",\"account_public_key\":null}"));
    mig_contract_outcome_clear(&out);
    end();
}

static void cancel_removes_the_record_and_exists_only_where_it_does(void)
{
    begin(MIG_CONTRACT_3_14_1);
    panics("cancel_node_migration", "alice.near", K_ALICE, 0, "{}",
           "Attached deposit is lower than required. Attached: 0, required: 1");
    panics("cancel_node_migration", "alice.near", K_ALICE, 1, "{}",
           "Node does not have an ongoing recovery");
    returns("start_node_migration", "alice.near", K_ALICE, 1, START);
    returns("cancel_node_migration", "alice.near", K_ALICE, 1, "{}");
    shows("migration_info", "{}");
    end();
}

static void the_deployed_record_survives_a_resharing(void)
{
    begin(MIG_CONTRACT_3_14_1);
    returns("start_node_migration", "alice.near", K_ALICE, 1, START);
    drive(RESHARE);
    panics("start_node_migration", "alice.near", K_ALICE, 1, START, "The protocol is not Running.");
    panics("conclude_node_migration", "alice.near", K_ACCOUNT, 0, KEYSET(2),
           "The protocol is not Running.");
    drive("{\"op\":\"cancel_resharing\"}");
    CU_ASSERT(state_contains("\"previously_cancelled_resharing_epoch_id\":6"));
    shows("migration_info", "{\"alice.near\":[null,{\"signer_account_pk\":\"" K_ACCOUNT
                            "\",\"destination_node_info\":{\"url\":\"http://"
                            "new.example:80\",\"tls_public_key\":\"" K_NEW "\"}}]}");
    end();
}

static void the_end_of_a_resharing_tidies_up_only_behind_backup_services(void)
{
    begin(MIG_CONTRACT_3_14_1);
    returns("start_node_migration", "alice.near", K_ALICE, 1, START);
    returns("start_node_migration", "bob.near", K_BOB, 1, START);
    returns("register_backup_service", "bob.near", K_BOB, 1, REGISTER);
    drive("{\"op\":\"start_resharing\",\"threshold\":1,\"participants\":[{\"account_id\":\"carol."
          "near\",\"url\":"
          "\"http://carol.example:80\",\"tls_public_key\":\"" K_NEW "\"}]}");
    returns("register_backup_service", "carol.near", K_NEW, 1, REGISTER);
    drive("{\"op\":\"finish_resharing\"}");
    shows("migration_info", "{\"alice.near\":[null,{\"signer_account_pk\":\"" K_ACCOUNT
                            "\",\"destination_node_info\":{\"url\":"
                            "\"http://new.example:80\",\"tls_public_key\":\"" K_NEW
                            "\"}}],\"carol.near\":[{\"public_key\":\"" K_ACCOUNT "\"},null]}");
    end();
}

/* Protocol states */

static void a_resharing_raises_the_epoch_and_keeps_the_keys(void)
{
    begin(MIG_CONTRACT_3_14_1);
    drive("{\"op\":\"start_resharing\",\"participants\":[{\"account_id\":\"alice.near\"},{"
          "\"account_id\":\"bob.near\"},"
          "{\"account_id\":\"carol.near\",\"url\":\"http://"
          "carol.example:80\",\"tls_public_key\":\"" K_NEW
          "\"}],\"threshold\":3,\"per_domain_thresholds\":{\"1\":3}}");
    CU_ASSERT(state_contains("{\"Resharing\":{\"previous_running_state\":"));
    CU_ASSERT(state_contains("\"resharing_key\":{\"epoch_id\":6,\"domain\":{\"id\":0"));
    CU_ASSERT(state_contains("[\"carol.near\",2,"));
    CU_ASSERT(state_contains("\"per_domain_thresholds\":{\"1\":3}"));
    drive("{\"op\":\"start_attempt\"}");
    drive("{\"op\":\"start_attempt\"}");
    CU_ASSERT(state_contains(
        "\"instance\":{\"attempt_id\":1,\"started_in\":1000,\"expires_on\":1030,\"completed\":[],"
        "\"public_key\":null},\"next_attempt_id\":2"));
    drive("{\"op\":\"finish_domain\"}");
    CU_ASSERT(state_contains("\"reshared_keys\":[{\"domain_id\":0,"));
    drive("{\"op\":\"finish_resharing\",\"attempt\":7}");
    CU_ASSERT(state_contains(
        "\"keyset\":{\"epoch_id\":6,\"domains\":[{\"domain_id\":0,\"key\":{\"Secp256k1\":"
        "{\"near_public_key\":\"" K_SECP "\"}},\"attempt\":1}"));
    CU_ASSERT(state_contains("\"attempt\":7}"));
    CU_ASSERT(state_contains("\"reconstruction_threshold\":3"));
    CU_ASSERT(state_contains("\"next_id\":3"));
    end();
}

static void added_domains_pass_through_initializing(void)
{
    begin(MIG_CONTRACT_3_14_1);
    drive("{\"op\":\"add_domains\",\"domains\":[{\"protocol\":\"ConfidentialKeyDerivation\"},{"
          "\"protocol\":\"Frost\"}]}");
    CU_ASSERT(state_contains("{\"Initializing\":{\"domains\":"));
    CU_ASSERT(state_contains(
        "\"generating_key\":{\"epoch_id\":5,\"domain\":{\"id\":2,\"protocol\":"
        "\"ConfidentialKeyDerivation\",\"reconstruction_threshold\":2,\"purpose\":\"CKD\"}"));
    returns("register_backup_service", "alice.near", K_ALICE, 1, REGISTER);
    drive("{\"op\":\"finish_initializing\"}");
    CU_ASSERT(state_contains("\"Running\""));
    CU_ASSERT(state_contains("\"domain_id\":3"));
    CU_ASSERT(state_contains("\"next_domain_id\":4"));
    drive("{\"op\":\"add_domains\",\"domains\":[{\"protocol\":\"Frost\"}]}");
    drive("{\"op\":\"cancel_initializing\"}");
    CU_ASSERT(state_contains("\"next_domain_id\":5"));
    CU_ASSERT_FALSE(state_contains("\"domain_id\":4"));
    end();
}

static void impossible_moves_change_nothing(void)
{
    begin(MIG_CONTRACT_3_14_1);
    drive_fails("{\"op\":\"finish_resharing\"}", MIG_ERR_STATE);
    drive_fails("{\"op\":\"cancel_resharing\"}", MIG_ERR_STATE);
    drive_fails("{\"op\":\"finish_initializing\"}", MIG_ERR_STATE);
    drive_fails("{\"op\":\"cancel_initializing\"}", MIG_ERR_STATE);
    drive_fails("{\"op\":\"start_attempt\"}", MIG_ERR_STATE);
    drive_fails("{\"op\":\"add_domains\",\"domains\":[]}", MIG_ERR_MALFORMED);
    drive_fails("{\"op\":\"add_domains\"}", MIG_ERR_MALFORMED);
    drive_fails("{\"op\":\"start_resharing\",\"threshold\":3}", MIG_ERR_MALFORMED);
    drive_fails("{\"op\":\"start_resharing\",\"participants\":[{\"account_id\":\"new.near\"}]}",
                MIG_ERR_MALFORMED);
    drive_fails("{\"op\":\"start_resharing\",\"per_domain_thresholds\":{\"9\":2}}",
                MIG_ERR_MALFORMED);
    drive_fails("{\"op\":\"start_resharing\",\"participants\":[{\"account_id\":\"bob.near\"},{"
                "\"account_id\":"
                "\"bob.near\"}]}",
                MIG_ERR_MALFORMED);
    drive_fails("{\"op\":\"nonsense\"}", MIG_ERR_NOT_FOUND);
    drive_fails("{\"op\":5}", MIG_ERR_MALFORMED);
    drive_fails("{}", MIG_ERR_MALFORMED);
    drive_fails(genesis, MIG_ERR_STATE);
    drive_fails("{\"op\":\"set_domain\",\"domain_id\":9,\"attempt\":1}", MIG_ERR_NOT_FOUND);
    end();
}

static void a_dump_loads_to_the_same_contract(void)
{
    static const char *const ops[] = {
        "{\"op\":\"start_resharing\"}",
        "{\"op\":\"start_attempt\"}",
        "{\"op\":\"finish_resharing\"}",
        "{\"op\":\"add_domains\",\"domains\":[{\"protocol\":\"ConfidentialKeyDerivation\"}]}",
        "{\"op\":\"set_state\",\"state\":\"NotInitialized\"}",
        "{\"op\":\"allow_image\",\"hash\":"
        "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}",
    };
    char why[MIG_CONTRACT_WHY_MAX];
    begin(MIG_CONTRACT_DRAFT);
    returns("set_backup_service", "alice.near", K_ALICE, 0,
            "{\"backup_service\":{\"public_key\":\"" K_NEW "\"}}");
    returns("publish_ephemeral_key", "alice.near", K_ACCOUNT, 0,
            "{\"role\":\"node\",\"public_key\":\"" X_KEY "\"}");
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        char *text;
        char *again;
        struct mig_contract *copy;
        CU_ASSERT_EQUAL_FATAL(mig_contract_dump(contract, &text), MIG_OK);
        CU_ASSERT_EQUAL(mig_contract_load(text, strlen(text), &copy, why), MIG_OK);
        CU_ASSERT_STRING_EQUAL(why, "");
        CU_ASSERT_EQUAL_FATAL(mig_contract_dump(copy, &again), MIG_OK);
        CU_ASSERT_STRING_EQUAL(text, again);
        mig_contract_free(&copy);
        CU_ASSERT_EQUAL(mig_contract_load(text, strlen(text) - 1, &copy, why), MIG_ERR_MALFORMED);
        CU_ASSERT_PTR_NULL(copy);
        CU_ASSERT_EQUAL(mig_contract_load(again, strlen(again), &copy, why), MIG_OK);
        mig_contract_free(&contract);
        contract = copy;
        free(text);
        free(again);
        drive(ops[i]);
    }
    end();
}

static void docker_hashes_come_in_both_deployed_shapes(void)
{
    static const char allow[] =
        "{\"op\":\"allow_image\",\"hash\":"
        "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}";
    begin(MIG_CONTRACT_3_13_0);
    drive(allow);
    shows("allowed_docker_image_hashes",
          "[\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"]");
    end();
    begin(MIG_CONTRACT_3_14_1);
    drive(allow);
    shows("allowed_docker_image_hashes",
          "[{\"image_hash\":\"00112233445566778899aabbccddeeff00112233445566778899aabbcc"
          "ddeeff\",\"expiry_timestamp_seconds\":null}]");
    end();
}

/* Draft */

#define SWAP                                                                                       \
    "{\"participant_info\":{\"url\":\"http://new.example:80\",\"tls_public_key\":\"" K_NEW         \
    "\",\"node_account_public_key\":\"" K_BOB "\"}}"
#define PAIR(epoch, domain, attempt, key)                                                          \
    "[{\"epoch_id\":" #epoch ",\"domain_id\":" #domain ",\"attempt_id\":" #attempt "},\"" key "\"" \
    "]"
#define CONCLUDE(epoch, attempt)                                                                   \
    "{\"public_keys\":[" PAIR(epoch, 1, attempt, K_NEW) "," PAIR(epoch, 0, 0, K_SECP) "]}"

static void the_draft_swap_runs_to_its_end(void)
{
    begin(MIG_CONTRACT_DRAFT);
    returns("set_backup_service", "alice.near", K_ALICE, 0,
            "{\"backup_service\":{\"public_key\":\"" K_NEW "\"}}");
    returns("swap_node", "alice.near", K_ALICE, 0, SWAP);
    shows("recovery_info",
          "{\"backup_services\":{\"alice.near\":{\"public_key\":\"" K_NEW
          "\"}},\"recoveries\":{\"alice.near\":{\"epoch_id\":5,\"participant_info\":{\"url\":"
          "\"http://new.example:80\",\"tls_public_key\":\"" K_NEW
          "\"},\"node_account_public_key\":\"" K_BOB "\"}}}");
    returns("submit_participant_info", "alice.near", K_BOB, 0, ATTEST);
    returns("publish_ephemeral_key", "alice.near", K_BOB, 0,
            "{\"role\":\"node\",\"public_key\":\"" X_KEY "\"}");
    returns("conclude_recovery", "alice.near", K_BOB, 0, CONCLUDE(5, 2));
    CU_ASSERT(state_contains(
        "[\"alice.near\",0,{\"url\":\"http://new.example:80\",\"tls_public_key\":\"" K_NEW "\"}]"));
    shows("recovery_info", "{\"backup_services\":{\"alice.near\":{\"public_key\":\"" K_NEW
                           "\"}},\"recoveries\":{}}");
    shows("ephemeral_keys", "{}");
    end();
}

static void the_draft_conclude_refuses_whatever_does_not_fit(void)
{
    static const char differ[] = "The submitted keys differ from the contract's keyset";
    begin(MIG_CONTRACT_DRAFT);
    panics("conclude_recovery", "alice.near", K_BOB, 0, CONCLUDE(5, 2),
           "Node does not have an ongoing recovery");
    returns("swap_node", "alice.near", K_ALICE, 0, SWAP);
    panics("conclude_recovery", "alice.near", K_BOB, 0, CONCLUDE(6, 2), differ);
    panics("conclude_recovery", "alice.near", K_BOB, 0, CONCLUDE(5, 1), differ);
    panics("conclude_recovery", "alice.near", K_BOB, 0, "{\"public_keys\":[]}", differ);
    panics("conclude_recovery", "alice.near", K_BOB, 0,
           "{\"public_keys\":[" PAIR(5, 0, 0, K_SECP) "]}", differ);
    panics("conclude_recovery", "alice.near", K_BOB, 0,
           "{\"public_keys\":[" PAIR(4, 0, 0, K_SECP) "," PAIR(5, 1, 2, K_NEW) "]}", differ);
    panics("conclude_recovery", "alice.near", K_BOB, 0,
           "{\"public_keys\":[" PAIR(5, 1, 2, K_NEW) "," PAIR(5, 1, 2, K_NEW) "]}", differ);
    panics("conclude_recovery", "alice.near", K_BOB, 0,
           "{\"public_keys\":[" PAIR(5, 0, 0, K_SECP) "," PAIR(5, 1, 2, K_BOB) "]}", differ);
    panics("conclude_recovery", "alice.near", K_ACCOUNT, 0, CONCLUDE(5, 2),
           "The transaction was not signed with the recovering node's account key");
    panics("conclude_recovery", "alice.near", K_BOB, 0, CONCLUDE(5, 2),
           "Invalid TEE Remote Attestation: destination node TEE quote is invalid");
    panics("conclude_recovery", "alice.near", K_BOB, 1, CONCLUDE(5, 2),
           "Method conclude_recovery doesn't accept deposit");
    panics("conclude_recovery", "zoe.near", K_BOB, 0, CONCLUDE(5, 2),
           "Not a participant: zoe.near");
    drive("{\"op\":\"set_epoch\",\"epoch_id\":6}");
    panics("conclude_recovery", "alice.near", K_BOB, 0, CONCLUDE(6, 2),
           "The recovery belongs to another epoch");
    end();
}

static void draft_recoveries_are_emptied_when_running_ends(void)
{
    static const char *const ends[] = {
        RESHARE, "{\"op\":\"add_domains\",\"domains\":[{\"protocol\":\"Frost\"}]}",
        "{\"op\":\"set_state\",\"state\":\"NotInitialized\"}"};
    for (size_t i = 0; i < 3; i++) {
        begin(MIG_CONTRACT_DRAFT);
        returns("swap_node", "alice.near", K_ALICE, 0, SWAP);
        returns("publish_ephemeral_key", "alice.near", K_ACCOUNT, 0,
                "{\"role\":\"node\",\"public_key\":\"" X_KEY "\"}");
        drive(ends[i]);
        shows("recovery_info", "{\"backup_services\":{},\"recoveries\":{}}");
        shows("ephemeral_keys", "{}");
        end();
    }
}

static void ephemeral_keys_are_published_by_the_right_key_only(void)
{
    begin(MIG_CONTRACT_DRAFT);
    panics("publish_ephemeral_key", "alice.near", K_ALICE, 0,
           "{\"role\":\"node\",\"public_key\":\"" X_KEY "\"}",
           "Only the node's account key may publish for the node");
    panics("publish_ephemeral_key", "alice.near", K_ACCOUNT, 0,
           "{\"role\":\"service\",\"public_key\":\"" X_KEY "\"}",
           "The node's account key may not publish for the service");
    panics("publish_ephemeral_key", "alice.near", K_ACCOUNT, 0,
           "{\"role\":\"node\",\"public_key\":\"" X_ZERO "\"}", "The ephemeral key is zero");
    panics("publish_ephemeral_key", "zoe.near", K_ACCOUNT, 0,
           "{\"role\":\"node\",\"public_key\":\"" X_KEY "\"}", "Not a participant: zoe.near");
    returns("publish_ephemeral_key", "alice.near", K_ACCOUNT, 0,
            "{\"role\":\"node\",\"public_key\":\"" X_KEY "\"}");
    returns("publish_ephemeral_key", "alice.near", K_ALICE, 0,
            "{\"role\":\"service\",\"public_key\":\"" X_KEY "\"}");
    shows("ephemeral_keys", "{\"alice.near\":{\"node\":\"" X_KEY "\",\"service\":\"" X_KEY "\"}}");
    returns("swap_node", "alice.near", K_ALICE, 0, SWAP);
    returns("publish_ephemeral_key", "alice.near", K_BOB, 0,
            "{\"role\":\"node\",\"public_key\":\"" X_KEY "\"}");
    end();
}

static void amounts_keep_their_128_bits(void)
{
    unsigned __int128 amount;
    char text[MIG_AMOUNT_MAX];
    static const char max[] = "340282366920938463463374607431768211455";
    CU_ASSERT_EQUAL(mig_amount_parse(max, strlen(max), &amount), MIG_OK);
    mig_amount_format(amount, text);
    CU_ASSERT_STRING_EQUAL(text, max);
    CU_ASSERT_EQUAL(mig_amount_parse("340282366920938463463374607431768211456", 39, &amount),
                    MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_amount_parse("", 0, &amount), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_amount_parse("01", 2, &amount), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_amount_parse("-1", 2, &amount), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_amount_parse("1e3", 3, &amount), MIG_ERR_MALFORMED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(replays_the_recorded_flow_of_3_14_1),
        TEST(replays_the_recorded_flow_of_3_13_0),
        TEST(explains_malformed_arguments_as_the_deployed_contract_does),
        TEST(ignores_unknown_members_however_deep),
        TEST(refuses_a_depth_bomb),
        TEST(a_view_refuses_to_write),
        TEST(a_dialect_has_only_its_own_methods),
        TEST(only_init_answers_before_init),
        TEST(a_refused_init_leaves_nothing_behind),
        TEST(version_tells_the_dialect),
        TEST(a_migration_moves_the_seat_in_place),
        TEST(a_keyset_that_differs_only_in_the_attempt_does_not_conclude),
        TEST(conclude_needs_an_attestation_that_is_still_valid),
        TEST(submit_refuses_an_invalid_attestation_and_another_accounts_key),
        TEST(one_account_can_hold_several_attestations),
        TEST(cancel_removes_the_record_and_exists_only_where_it_does),
        TEST(the_deployed_record_survives_a_resharing),
        TEST(the_end_of_a_resharing_tidies_up_only_behind_backup_services),
        TEST(a_resharing_raises_the_epoch_and_keeps_the_keys),
        TEST(added_domains_pass_through_initializing),
        TEST(impossible_moves_change_nothing),
        TEST(a_dump_loads_to_the_same_contract),
        TEST(docker_hashes_come_in_both_deployed_shapes),
        TEST(the_draft_swap_runs_to_its_end),
        TEST(the_draft_conclude_refuses_whatever_does_not_fit),
        TEST(draft_recoveries_are_emptied_when_running_ends),
        TEST(ephemeral_keys_are_published_by_the_right_key_only),
        TEST(amounts_keep_their_128_bits),
    };
    return run_tests("contract", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/get.h"
#include "tests/scripted.h"

#define A "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define B "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define H1 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define H2 "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HASH "HrjUQYM4NtwTPY5Q2ZYSzbVsF13VQbtHHWPtRX8f1Ztk"
#define NODE(account, tls) "{\"account_id\":\"" account "\",\"tls_public_key\":\"" tls "\"}"

static enum mig_err parse(enum mig_get_kind kind, const char *json, struct mig_got *out)
{
    return mig_got_parse(kind, json, strlen(json), "alice.near", out);
}

static void refuses(enum mig_get_kind kind, const char *json)
{
    struct mig_got got;
    CU_ASSERT_EQUAL(parse(kind, json, &got), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(got.attested.list);
}

static void attested_nodes_are_read_and_sorted(void)
{
    struct mig_got got;
    CU_ASSERT_EQUAL(
        parse(MIG_GET_ATTESTED,
              "[{\"account_public_key\":\"" B "\",\"tls_public_key\":\"" B
              "\",\"new\":[1],\"account_id\":\"bob.near\"}," NODE(
                  "alice.near", B) ","
                                   "{\"account_id\":\"alice.near\",\"tls_public_key\":\"" A
                                   "\",\"account_public_key\":null}]",
              &got),
        MIG_OK);
    CU_ASSERT_EQUAL_FATAL(got.attested.count, 3);
    CU_ASSERT_STRING_EQUAL(got.attested.list[0].account, "alice.near");
    CU_ASSERT_STRING_EQUAL(got.attested.list[2].account, "bob.near");
    CU_ASSERT(memcmp(got.attested.list[0].tls_key, got.attested.list[1].tls_key, 32) < 0);
    CU_ASSERT(!got.attested.list[0].has_account_key && got.attested.list[2].has_account_key);
    mig_got_clear(&got);
    CU_ASSERT_EQUAL(parse(MIG_GET_ATTESTED, "[]", &got), MIG_OK);
    CU_ASSERT_EQUAL(got.attested.count, 0);
    mig_got_clear(&got);
}

static void attested_nodes_that_are_none_are_refused(void)
{
    refuses(MIG_GET_ATTESTED, "{}");
    refuses(MIG_GET_ATTESTED, "[" NODE("alice.near", A));
    refuses(MIG_GET_ATTESTED, "[" NODE("alice.near", A) "," NODE("alice.near", A) "]");
    refuses(MIG_GET_ATTESTED, "[" NODE("Alice\\n", A) "]");
    refuses(MIG_GET_ATTESTED, "[" NODE("alice.near", "secp256k1:1") "]");
    refuses(MIG_GET_ATTESTED, "[{\"account_id\":\"alice.near\"}]");
    refuses(MIG_GET_ATTESTED, "[" NODE("alice.near", A) "]x");
}

static void hashes_are_read_in_both_shapes(void)
{
    struct mig_got plain, rich, other;
    CU_ASSERT_EQUAL(parse(MIG_GET_IMAGES, "[\"" H1 "\",\"" H2 "\"]", &plain), MIG_OK);
    CU_ASSERT_EQUAL(parse(MIG_GET_IMAGES,
                          "[{\"image_hash\":\"" H1 "\",\"expiry_timestamp_seconds\":null},"
                          "{\"expiry_timestamp_seconds\":18446744073709551615,\"image_hash\":\"" H2
                          "\"}]",
                          &rich),
                    MIG_OK);
    CU_ASSERT(plain.allowed.count == 2 && rich.allowed.count == 2);
    CU_ASSERT_EQUAL(plain.allowed.list[1].hash[0], 0xff);
    CU_ASSERT(!rich.allowed.list[0].expires && rich.allowed.list[1].expires);
    CU_ASSERT_EQUAL(rich.allowed.list[1].expires_at, UINT64_MAX);
    CU_ASSERT_FALSE(mig_got_is_equal(&plain, &rich));
    CU_ASSERT_EQUAL(parse(MIG_GET_IMAGES, "[ \"" H1 "\" , \"" H2 "\" ]", &other), MIG_OK);
    CU_ASSERT(mig_got_is_equal(&plain, &other));
    mig_got_clear(&plain);
    mig_got_clear(&rich);
    mig_got_clear(&other);
    CU_ASSERT_EQUAL(parse(MIG_GET_LAUNCHERS, "[\"" H2 "\"]", &other), MIG_OK);
    CU_ASSERT_EQUAL(other.allowed.count, 1);
    mig_got_clear(&other);
}

static void hashes_that_are_none_are_refused(void)
{
    refuses(MIG_GET_IMAGES, "[\"00\"]");
    refuses(MIG_GET_IMAGES, "[\"" H1 "00\"]");
    refuses(MIG_GET_IMAGES, "[{\"image_hash\":\"" H1 "\",\"image_hash\":\"" H1 "\"}]");
    refuses(MIG_GET_IMAGES, "[{\"expiry_timestamp_seconds\":1}]");
    refuses(MIG_GET_IMAGES, "[{\"image_hash\":\"" H1 "\",\"expiry_timestamp_seconds\":-1}]");
    refuses(MIG_GET_IMAGES, "[\"" H1 "\",7]");
    refuses(MIG_GET_LAUNCHERS, "null");
    char *many = malloc((MIG_HASHES_MAX + 2) * 70), *p = many;
    p += sprintf(p, "[\"" H1 "\"");
    for (int i = 0; i < MIG_HASHES_MAX; i++)
        p += sprintf(p, ",\"" H1 "\"");
    strcpy(p, "]");
    refuses(MIG_GET_IMAGES, many);
    free(many);
}

static void the_others_are_those_of_the_watch(void)
{
    struct mig_got got, again;
    char *state = test_data("state-running.json", NULL);
    char *info = test_data("migration-info.json", NULL);
    CU_ASSERT_EQUAL(parse(MIG_GET_STATE, state, &got), MIG_OK);
    CU_ASSERT_EQUAL(parse(MIG_GET_STATE, state, &again), MIG_OK);
    CU_ASSERT(got.state.keyset.epoch == 5 && mig_got_is_equal(&got, &again));
    again.state.keyset.domains[0].attempt++;
    CU_ASSERT_FALSE(mig_got_is_equal(&got, &again));
    mig_got_clear(&got);
    mig_got_clear(&again);
    CU_ASSERT_EQUAL(parse(MIG_GET_MIGRATION, info, &got), MIG_OK);
    CU_ASSERT_EQUAL(parse(MIG_GET_MIGRATION, "{}", &again), MIG_OK);
    CU_ASSERT(got.info.has_service_key && !mig_got_is_equal(&got, &again));
    CU_ASSERT_EQUAL(parse(MIG_GET_RECOVERY, "{\"backup_services\":{},\"recoveries\":{}}", &got),
                    MIG_OK);
    CU_ASSERT_FALSE(mig_got_is_equal(&got, &again));
    CU_ASSERT_EQUAL(parse(MIG_GET_EPHEMERAL, "{}", &got), MIG_OK);
    CU_ASSERT(mig_got_is_equal(&got, &got));
    CU_ASSERT_EQUAL(parse(MIG_GET_VERSION, "\"3.14.1\"", &got), MIG_OK);
    CU_ASSERT_STRING_EQUAL(got.version, "3.14.1");
    CU_ASSERT(mig_got_is_equal(&got, &got));
    refuses(MIG_GET_VERSION, "3");
    refuses(MIG_GET_STATE, "{}");
    free(state);
    free(info);
}

static bool answers(struct scripted *s, int fd, const char *body, unsigned n)
{
    (void)s;
    (void)n;
    bool final = strstr(body, "\"finality\":\"final\"") != NULL;
    bool right = strstr(body, "\"method_name\":\"allowed_launcher_compose_hashes\"") != NULL;
    scripted_reply(fd, "200 OK",
                   final && right ? "{\"result\":{\"result\":[91,93],\"logs\":[],\"block_height\":"
                                    "18446744073709551615,\"block_hash\":\"" HASH "\"}}"
                                  : "{\"result\":{\"error\":\"wasm execution failed with error: "
                                    "MethodResolveError(MethodNotFound)\"}}");
    return true;
}

static void get_gives_value_and_height(void)
{
    struct scripted *s = scripted_start(answers, NULL);
    const struct mig_rpc_options o = {.url = s->url, .timeout_ms = 5000};
    struct mig_rpc *rpc;
    struct mig_got got;
    CU_ASSERT_EQUAL_FATAL(mig_rpc_new(&o, &rpc), MIG_OK);
    CU_ASSERT_EQUAL(mig_get(rpc, "v1.signer", MIG_GET_LAUNCHERS, "alice.near", &got), MIG_OK);
    CU_ASSERT(got.height == UINT64_MAX && got.allowed.count == 0);
    CU_ASSERT_STRING_EQUAL(got.block_hash, HASH);
    mig_got_clear(&got);
    CU_ASSERT_EQUAL(mig_get(rpc, "v1.signer", MIG_GET_IMAGES, "alice.near", &got),
                    MIG_ERR_NOT_FOUND);
    CU_ASSERT(got.height == 0 && got.allowed.list == NULL);
    mig_rpc_free(&rpc);
    scripted_stop(s);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(attested_nodes_are_read_and_sorted), TEST(attested_nodes_that_are_none_are_refused),
        TEST(hashes_are_read_in_both_shapes),     TEST(hashes_that_are_none_are_refused),
        TEST(the_others_are_those_of_the_watch),  TEST(get_gives_value_and_height),
    };
    return run_tests("get", tests, sizeof tests / sizeof *tests);
}

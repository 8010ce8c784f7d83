/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chain/tx.h"
#include "crypto/encoding.h"
#include "crypto/exchange.h"
#include "tests/harness.h"

static json_t *vectors(void)
{
    size_t len;
    char *text = test_data("transactions.json", &len);
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(root);
    return root;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

static struct mig_u128 decimal(const char *text)
{
    unsigned __int128 v = 0;
    for (; *text != '\0'; text++)
        v = v * 10 + (unsigned)(*text - '0');
    return (struct mig_u128){(uint64_t)(v >> 64), (uint64_t)v};
}

static struct mig_identity *signer(const json_t *root)
{
    uint8_t seed[MIG_SEED_LEN];
    size_t len;
    struct mig_identity *id = NULL;
    const char *hex = text_of(root, "seed");
    CU_ASSERT_EQUAL_FATAL(mig_hex_decode(hex, strlen(hex), seed, sizeof seed, &len), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &id), MIG_OK);
    return id;
}

struct call {
    struct mig_tx tx;
    struct mig_action actions[4];
    uint8_t args[4][1024];
};

static void read_call(const json_t *v, const struct mig_identity *id, struct call *c)
{
    memset(c, 0, sizeof *c);
    c->tx.signer = text_of(v, "signer");
    c->tx.receiver = text_of(v, "receiver");
    c->tx.nonce = strtoull(text_of(v, "nonce"), NULL, 10);
    c->tx.actions = c->actions;
    memcpy(c->tx.key, id->public_key, MIG_KEY_LEN);
    CU_ASSERT_EQUAL(mig_hash_parse(text_of(v, "block_hash"), c->tx.block_hash), MIG_OK);
    const json_t *list = json_object_get(v, "actions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *a = json_array_get(list, i);
        struct mig_action *out = &c->actions[c->tx.action_count++];
        const char *args = text_of(a, "args");
        out->kind = MIG_ACTION_CALL;
        out->call.method = text_of(a, "method");
        CU_ASSERT_EQUAL(mig_base64_decode(args, strlen(args), c->args[i], sizeof c->args[i],
                                          &out->call.args_len),
                        MIG_OK);
        out->call.args = c->args[i];
        out->call.gas = strtoull(text_of(a, "gas"), NULL, 10);
        out->call.deposit = decimal(text_of(a, "deposit"));
    }
}

static void is_hex(const uint8_t *bytes, size_t len, const char *hex)
{
    char *out = malloc(2 * len + 1);
    CU_ASSERT_EQUAL(mig_hex_encode(bytes, len, out, 2 * len + 1), MIG_OK);
    CU_ASSERT_STRING_EQUAL(out, hex);
    free(out);
}

static void encodes_and_signs_the_vectors_byte_for_byte(void)
{
    json_t *root = vectors();
    struct mig_identity *id = signer(root);
    const json_t *calls = json_object_get(root, "calls");
    CU_ASSERT_EQUAL(json_array_size(calls), 6);
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *v = json_array_get(calls, i);
        uint8_t *bytes, hash[MIG_DIGEST_LEN];
        char name[MIG_HASH_TEXT_MAX], signed_text[4096];
        struct call c;
        size_t len;
        read_call(v, id, &c);
        CU_ASSERT_EQUAL_FATAL(mig_tx_encode(&c.tx, &bytes, &len, hash), MIG_OK);
        is_hex(bytes, len, text_of(v, "unsigned"));
        mig_hash_format(hash, name);
        CU_ASSERT_STRING_EQUAL(name, text_of(v, "hash"));
        free(bytes);
        memset(c.tx.key, 0, MIG_KEY_LEN);
        CU_ASSERT_EQUAL_FATAL(mig_tx_sign(&c.tx, id, &bytes, &len, hash), MIG_OK);
        CU_ASSERT_EQUAL(mig_base64_encode(bytes, len, signed_text, sizeof signed_text), MIG_OK);
        CU_ASSERT_STRING_EQUAL(signed_text, text_of(v, "signed"));
        is_hex(bytes + len - MIG_SIG_LEN, MIG_SIG_LEN, text_of(v, "signature"));
        mig_hash_format(hash, name);
        CU_ASSERT_STRING_EQUAL(name, text_of(v, "hash"));
        free(bytes);
    }
    mig_identity_free(&id);
    json_decref(root);
}

/* The two key vectors share everything but the permission. */
static void encodes_access_keys_byte_for_byte(void)
{
    static const char *const methods[] = {"respond", "vote_pk"};
    static const char added[] = "43f1d30255da9f1364f00ffd0c244c4ac58cf68ee7d9930d9a9657752b16c558";
    json_t *root = vectors();
    struct mig_identity *id = signer(root);
    for (size_t i = 0; i < 2; i++) {
        const json_t *v = json_array_get(json_object_get(root, "keys"), i);
        struct mig_action action = {.kind = MIG_ACTION_ADD_KEY};
        struct mig_tx tx = {.signer = "node0.test.near",
                            .receiver = "node0.test.near",
                            .nonce = 3 + i,
                            .actions = &action,
                            .action_count = 1};
        uint8_t *bytes, hash[MIG_DIGEST_LEN];
        char name[MIG_HASH_TEXT_MAX];
        size_t len;
        memcpy(tx.key, id->public_key, MIG_KEY_LEN);
        CU_ASSERT_EQUAL(mig_hex_decode(added, 64, action.add_key.key, MIG_KEY_LEN, &len), MIG_OK);
        const char *unsigned_hex = text_of(v, "unsigned"),
                   *block = strstr(unsigned_hex, "e6e656172") + 9;
        block = strstr(block, "e6e656172") + 9;
        CU_ASSERT_EQUAL(mig_hex_decode(block, 64, tx.block_hash, 32, &len), MIG_OK);
        action.add_key.receiver = "v1.signer";
        action.add_key.has_allowance = i == 1;
        action.add_key.allowance = decimal("250000000000000000000000");
        action.add_key.methods = methods;
        action.add_key.method_count = i == 1 ? 2 : 0;
        CU_ASSERT_EQUAL_FATAL(mig_tx_encode(&tx, &bytes, &len, hash), MIG_OK);
        is_hex(bytes, len, unsigned_hex);
        mig_hash_format(hash, name);
        CU_ASSERT_STRING_EQUAL(name, text_of(v, "hash"));
        free(bytes);
    }
    mig_identity_free(&id);
    json_decref(root);
}

static void refuses_transactions_that_are_none(void)
{
    struct mig_action action = {.kind = MIG_ACTION_CALL,
                                .call = {.method = "m", .args = "{}", .args_len = 2}};
    const struct mig_tx good = {
        .signer = "a.b", .receiver = "c.d", .actions = &action, .action_count = 1};
    struct mig_tx tx;
    uint8_t *bytes = NULL, hash[MIG_DIGEST_LEN];
    size_t len;
    CU_ASSERT_EQUAL(mig_tx_encode(&good, &bytes, &len, hash), MIG_OK);
    free(bytes);
    tx = good, tx.signer = "A";
    CU_ASSERT_EQUAL(mig_tx_encode(&tx, &bytes, &len, hash), MIG_ERR_MALFORMED);
    CU_ASSERT_PTR_NULL(bytes);
    tx = good, tx.receiver = "";
    CU_ASSERT_EQUAL(mig_tx_encode(&tx, &bytes, &len, hash), MIG_ERR_MALFORMED);
    tx = good, tx.action_count = 0;
    CU_ASSERT_EQUAL(mig_tx_encode(&tx, &bytes, &len, hash), MIG_ERR_MALFORMED);
    tx = good, tx.action_count = MIG_TX_ACTIONS_MAX + 1;
    CU_ASSERT_EQUAL(mig_tx_encode(&tx, &bytes, &len, hash), MIG_ERR_MALFORMED);
    action.call.args_len = MIG_TX_ARGS_MAX + 1;
    CU_ASSERT_EQUAL(mig_tx_encode(&good, &bytes, &len, hash), MIG_ERR_MALFORMED);
    action.call.args_len = 2;
    action.call.method = "";
    CU_ASSERT_EQUAL(mig_tx_encode(&good, &bytes, &len, hash), MIG_ERR_MALFORMED);
}

static void every_byte_is_under_the_signature(void)
{
    json_t *root = vectors();
    struct mig_identity *id = signer(root);
    struct call c;
    uint8_t *bytes, hash[MIG_DIGEST_LEN], digest[MIG_DIGEST_LEN];
    size_t len;
    read_call(json_array_get(json_object_get(root, "calls"), 0), id, &c);
    CU_ASSERT_EQUAL_FATAL(mig_tx_sign(&c.tx, id, &bytes, &len, hash), MIG_OK);
    size_t body = len - 1 - MIG_SIG_LEN;
    mig_sha256(bytes, body, digest);
    CU_ASSERT(mig_signature_is_valid(id->public_key, digest, sizeof digest, bytes + body + 1));
    bytes[body / 2] ^= 1;
    mig_sha256(bytes, body, digest);
    CU_ASSERT(!mig_signature_is_valid(id->public_key, digest, sizeof digest, bytes + body + 1));
    free(bytes);
    mig_identity_free(&id);
    json_decref(root);
}

static void hashes_are_32_bytes_of_base58(void)
{
    uint8_t hash[MIG_DIGEST_LEN];
    char text[MIG_HASH_TEXT_MAX];
    CU_ASSERT_EQUAL(mig_hash_parse("11111111111111111111111111111111", hash), MIG_OK);
    mig_hash_format(hash, text);
    CU_ASSERT_STRING_EQUAL(text, "11111111111111111111111111111111");
    CU_ASSERT_EQUAL(mig_hash_parse("1111111111111111111111111111111", hash), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_hash_parse("111111111111111111111111111111111", hash), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_hash_parse("", hash), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_hash_parse("0OIl", hash), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_hash_parse("JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFGJEKNVnkbo3", hash),
                    MIG_ERR_MALFORMED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(encodes_and_signs_the_vectors_byte_for_byte),
        TEST(encodes_access_keys_byte_for_byte),
        TEST(refuses_transactions_that_are_none),
        TEST(every_byte_is_under_the_signature),
        TEST(hashes_are_32_bytes_of_base58),
    };
    return run_tests("tx", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
/* docs/protocol-vectors.json against the code, in both directions: everything
 * but the messages. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/container.h"
#include "crypto/encoding.h"
#include "crypto/keyset.h"
#include "tests/rig.h"
#include "tests/vectors/read.h"

/* ---- keys, keysets, plaintexts ------------------------------------------------ */

static void keys_have_their_texts(void)
{
    EACH(row, vectors, "keys")
    {
        struct mig_identity *id = identity(str(row, "name")), *read = NULL;
        char text[MIG_KEY_TEXT_MAX];
        uint8_t key[MIG_KEY_LEN];
        const char *secret_text = str(row, "secret_text");
        mig_key_format(id->public_key, text);
        CHECK(row, equals(row, "public", id->public_key, MIG_KEY_LEN));
        CHECK(row, is(row, "text", text));
        CHECK(row, mig_key_parse(text, strlen(text), key) == MIG_OK &&
                       memcmp(key, id->public_key, MIG_KEY_LEN) == 0);
        CHECK(row, mig_identity_parse((const uint8_t *)secret_text, strlen(secret_text), &read,
                                      NULL) == MIG_OK);
        CHECK(row, read != NULL && memcmp(read->secret->bytes, id->secret->bytes, 64) == 0);
        mig_identity_free(&read);
        mig_identity_free(&id);
    }
}

static void refuses_texts_that_are_no_keys(void)
{
    EACH(row, vectors, "keys_refused")
    {
        uint8_t key[MIG_KEY_LEN];
        CHECK(row,
              mig_key_parse(str(row, "text"), strlen(str(row, "text")), key) == MIG_ERR_MALFORMED);
    }
}

static void keysets_have_their_digests(void)
{
    CU_ASSERT_STRING_EQUAL(str(named("keysets", "three domains"), "digest"),
                           "619aa27783f185cbd287e7d9af0e80f1f695fb7bf049e499925fd9a694c1a175");
    EACH(row, vectors, "keysets")
    {
        struct mig_keyset k = keyset_of(row);
        uint8_t digest[MIG_DIGEST_LEN];
        mig_keyset_digest(str(row, "contract"), &k, digest);
        CHECK(row, equals(row, "digest", digest, sizeof digest));
    }
}

static void plaintexts_hold_their_shares(void)
{
    EACH(row, vectors, "plaintexts")
    {
        struct mig_keyset k = keyset_of(named("keysets", str(row, "keyset")));
        struct mig_secret *shares = mig_secret_new(k.count * MIG_SHARE_LEN);
        struct mig_secret *plain = secret(row, "plaintext");
        struct mig_secret *out = mig_secret_new(plain->len);
        size_t len = 0;
        CHECK(row, mig_shares_decode(plain->bytes, plain->len, &k, shares) == MIG_SHARES_MATCH);
        for (size_t i = 0; i < k.count; i++) {
            char hex[MIG_HEX_LEN(MIG_SHARE_LEN)];
            CU_ASSERT_EQUAL(mig_hex_encode(shares->bytes + i * 32, 32, hex, sizeof hex), MIG_OK);
            CU_ASSERT_STRING_EQUAL(
                json_string_value(json_array_get(json_object_get(row, "shares"), i)), hex);
        }
        CHECK(row, mig_shares_encode(&k, (const uint8_t(*)[MIG_SHARE_LEN])shares->bytes, out,
                                     &len) == MIG_OK);
        CHECK(row, equals(row, "plaintext", out->bytes, len));
        mig_secret_free(&shares);
        mig_secret_free(&plain);
        mig_secret_free(&out);
    }
}

static void refuses_changed_plaintexts(void)
{
    EACH(row, vectors, "plaintexts_refused")
    {
        const json_t *original = named("plaintexts", str(row, "plaintext"));
        struct mig_keyset k = keyset_of(named("keysets", str(original, "keyset")));
        struct mig_secret *shares = mig_secret_new(k.count * MIG_SHARE_LEN);
        size_t len, original_len;
        uint8_t *plain = bytes(original, "plaintext", &original_len);
        uint8_t *bad = assembled(json_object_get(row, "parts"), plain, original_len, &len);
        enum mig_shares_verdict verdict = mig_shares_decode(bad, len, &k, shares);
        CHECK(row, verdict == (is(row, "code", "wrong_key") ? MIG_SHARES_WRONG_KEY
                                                            : MIG_SHARES_INCOMPLETE));
        free(plain);
        free(bad);
        mig_secret_free(&shares);
    }
}

/* ---- contexts ------------------------------------------------------------------ */

static bool member_is(const json_t *row, const char *name, bool present, const void *value,
                      size_t len)
{
    return present ? equals(row, name, value, len) : json_is_null(json_object_get(row, name));
}

static bool key_is(const json_t *row, const char *name, const uint8_t key[MIG_KEY_LEN])
{
    char text[MIG_KEY_TEXT_MAX];
    mig_key_format(key, text);
    return is(row, name, text);
}

static void contexts_mean_their_members(void)
{
    EACH(row, vectors, "contexts")
    {
        struct mig_context c;
        const char *text = str(row, "text");
        char again[MIG_CONTEXT_MAX + 1];
        uint8_t hash[MIG_DIGEST_LEN];
        size_t len = 0;
        CHECK(row, mig_context_parse(text, strlen(text), &c) == MIG_OK);
        CHECK(row, is(row, "contract", c.contract) && is(row, "account", c.account));
        CHECK(row, key_is(row, "node", c.node) && key_is(row, "service", c.service));
        CHECK(row, is(row, "direction", c.direction == MIG_BACKUP ? "backup" : "recover"));
        CHECK(row, is(row, "announce", c.announce == MIG_ANNOUNCE_HEADER ? "header" : "contract"));
        CHECK(row, c.epoch == u64(row, "epoch"));
        CHECK(row, equals(row, "keyset", c.keyset, sizeof c.keyset));
        CHECK(row, member_is(row, "operator_key", c.has_operator_tag, c.operator_tag, 8));
        CHECK(row, member_is(row, "client_key", c.has_client_key, c.client_key, 32));
        CHECK(row, member_is(row, "node_key", c.has_node_key, c.node_key, 32));
        CHECK(row, mig_context_format(&c, again, sizeof again, &len) == MIG_OK);
        CHECK(row, len == strlen(text) && strcmp(again, text) == 0);
        mig_sha256(text, len, hash);
        CHECK(row, equals(row, "sha256", hash, sizeof hash));
    }
}

static void refuses_other_forms_of_a_context(void)
{
    EACH(row, vectors, "contexts_refused")
    {
        struct mig_context c;
        CHECK(row, mig_context_parse(str(row, "text"), strlen(str(row, "text")), &c) ==
                       MIG_ERR_MALFORMED);
    }
}

static const json_t *wanted_keys(const char *method, const char *path, const char *announce)
{
    EACH(row, vectors, "context_keys")
    {
        if (is(row, "method", method) && is(row, "path", path) && is(row, "announce", announce))
            return row;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(NULL);
    return NULL;
}

/* The node itself answers: 400 for every combination but the one listed. */
static void node_wants_the_listed_keys_of_each_request(void)
{
    static struct rig rig;
    rig_open(&rig);
    for (unsigned i = 0; i < 4 * 2 * 4; i++) {
        rig_ask(&rig, (enum mig_resource)(MIG_RESOURCE_BACKUP + i / 8));
        struct mig_context *c = &rig.ask.context;
        c->announce = (i & 4) != 0 ? MIG_ANNOUNCE_CONTRACT : MIG_ANNOUNCE_HEADER;
        c->has_client_key = (i & 1) != 0;
        c->has_node_key = (i & 2) != 0;
        const json_t *row =
            wanted_keys(rig.ask.method, rig.ask.target, (i & 4) != 0 ? "contract" : "header");
        bool fits = json_is_true(json_object_get(row, "client_key")) == c->has_client_key &&
                    json_is_true(json_object_get(row, "node_key")) == c->has_node_key;
        rig_send(&rig);
        CHECK(row, (rig_status(&rig) == 400) == !fits);
        CHECK(row, fits || strcmp(rig_code(&rig), "malformed") == 0);
        rig_end(&rig);
    }
    rig_close(&rig);
}

/* ---- exchanges ------------------------------------------------------------------- */

static void check_halves(const json_t *row, const struct mig_ephemeral *service,
                         const struct mig_ephemeral *node)
{
    uint8_t point[32], rx[32], tx[32];
    CHECK(row, crypto_scalarmult(point, service->secret->bytes, node->public_key) == 0 &&
                   equals(row, "x25519", point, 32));
    CHECK(row, crypto_kx_client_session_keys(rx, tx, service->public_key, service->secret->bytes,
                                             node->public_key) == 0);
    CHECK(row, equals(row, "node_to_service", rx, 32) && equals(row, "service_to_node", tx, 32));
}

static void both_sides_agree_on_the_sealing_key(void)
{
    EACH(row, vectors, "exchanges")
    {
        struct mig_ephemeral service = pair_of(row, "service_secret", "service_public");
        struct mig_ephemeral node = pair_of(row, "node_secret", "node_public");
        struct mig_secret *operator_key = secret(row, "operator_key");
        struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
        const char *text = str(named("contexts", str(row, "context")), "text");
        enum mig_direction direction = is(row, "direction", "backup") ? MIG_BACKUP : MIG_RECOVER;
        check_halves(row, &service, &node);
        CHECK(row, mig_exchange(&service, MIG_ROLE_SERVICE, node.public_key, direction, text,
                                strlen(text), operator_key, key) == MIG_OK &&
                       equals(row, "sealing_key", key->bytes, key->len));
        CHECK(row, mig_exchange(&node, MIG_ROLE_NODE, service.public_key, direction, text,
                                strlen(text), operator_key, key) == MIG_OK &&
                       equals(row, "sealing_key", key->bytes, key->len));
        mig_secret_free(&key);
        mig_secret_free(&operator_key);
        mig_ephemeral_clear(&service);
        mig_ephemeral_clear(&node);
    }
}

static void refuses_keys_without_a_secret(void)
{
    const json_t *first = json_array_get(json_object_get(vectors, "exchanges"), 0);
    struct mig_ephemeral node = pair_of(first, "node_secret", "node_public");
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    EACH(row, vectors, "exchanges_refused")
    {
        uint8_t peer[MIG_KEY_LEN];
        fixed(row, "public", sizeof peer, peer);
        CHECK(row, mig_exchange(&node, MIG_ROLE_NODE, peer, MIG_BACKUP, "", 0, NULL, key) ==
                       MIG_ERR_MALFORMED);
    }
    mig_secret_free(&key);
    mig_ephemeral_clear(&node);
}

static void operator_keys_have_their_members(void)
{
    EACH(row, vectors, "operator_keys")
    {
        struct mig_secret *key = secret(row, "key");
        uint8_t tag[MIG_OPERATOR_TAG_LEN];
        mig_operator_tag(key, tag);
        CHECK(row, equals(row, "member", tag, sizeof tag));
        mig_secret_free(&key);
    }
}

/* ---- containers ------------------------------------------------------------------ */

/* Byte i of a long plaintext is i mod 251. */
static uint8_t *plain_of(const json_t *row, size_t *len)
{
    if (has(row, "plaintext"))
        return bytes(row, "plaintext", len);
    *len = (size_t)u64(row, "plaintext");
    uint8_t *out = malloc(*len + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    for (size_t i = 0; i < *len; i++)
        out[i] = (uint8_t)(i % 251);
    return out;
}

/* The code takes its header from here while a vector is made again. */
static uint8_t next_header[24];

static void header_bytes(void *const out, const size_t len)
{
    uint8_t *to = out;
    for (size_t i = 0; i < len; i++)
        to[i] = next_header[i % sizeof next_header];
}

static const char *header_name(void)
{
    return "header";
}

static uint32_t header_number(void)
{
    return 4;
}

static struct randombytes_implementation headers = {
    .implementation_name = header_name, .random = header_number, .buf = header_bytes};

static uint8_t *seal_again(const json_t *row, size_t *len)
{
    size_t plain_len;
    uint8_t *plain = plain_of(row, &plain_len), *out = malloc(MIG_SEALED_MAX);
    struct mig_secret *key = secret(row, "key");
    fixed(row, "header", sizeof next_header, next_header);
    CU_ASSERT_FATAL(out != NULL && randombytes_set_implementation(&headers) == 0);
    CU_ASSERT_EQUAL_FATAL(mig_container_seal(key, plain, plain_len, out, MIG_SEALED_MAX, len),
                          MIG_OK);
    CU_ASSERT_FATAL(randombytes_set_implementation(&randombytes_sysrandom_implementation) == 0);
    mig_secret_free(&key);
    free(plain);
    return out;
}

static bool opens(const json_t *row, const uint8_t *sealed, size_t len, const uint8_t *want,
                  size_t want_len)
{
    struct mig_secret *key = secret(row, "key");
    struct mig_secret *plain = mig_secret_new(mig_sealed_capacity(MIG_SEALED_MAX));
    size_t got = 0;
    enum mig_err err = mig_container_open(key, sealed, len, plain, &got);
    bool same = err == MIG_OK && got == want_len && memcmp(plain->bytes, want, got) == 0;
    CHECK(row, err == MIG_OK || (got == 0 && sodium_is_zero(plain->bytes, plain->len)));
    mig_secret_free(&key);
    mig_secret_free(&plain);
    return same;
}

static void containers_are_made_again_and_open(void)
{
    EACH(row, vectors, "containers")
    {
        size_t len, plain_len;
        uint8_t *sealed = seal_again(row, &len), *plain = plain_of(row, &plain_len);
        uint8_t hash[MIG_DIGEST_LEN];
        mig_sha256(sealed, len, hash);
        CHECK(row, len == u64(row, "length") && len == mig_sealed_len(plain_len));
        CHECK(row, equals(row, "sha256", hash, sizeof hash));
        CHECK(row, !has(row, "container") || equals(row, "container", sealed, len));
        CHECK(row, opens(row, sealed, len, plain, plain_len));
        free(sealed);
        free(plain);
    }
}

/* Authentic frames as listed; what a pulling side starts from, a pushing side
 * can go on from. */
static uint8_t *built(const json_t *row, size_t *len)
{
    crypto_secretstream_xchacha20poly1305_state state;
    uint8_t key[32], plain[65537], *out = malloc((size_t)u64(row, "length"));
    size_t done = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out, "MPCSEAL1", 8);
    fixed(row, "key", sizeof key, key);
    fixed(row, "header", 24, out + 8);
    CU_ASSERT_EQUAL(crypto_secretstream_xchacha20poly1305_init_pull(&state, out + 8, key), 0);
    *len = 32;
    EACH(frame, row, "frames")
    {
        size_t n = (size_t)u64(frame, "bytes");
        CU_ASSERT_FATAL(n <= sizeof plain && *len + n + 21 <= u64(row, "length"));
        for (size_t i = 0; i < n; i++)
            plain[i] = (uint8_t)((done + i) % 251);
        for (int i = 0; i < 4; i++)
            out[*len + (size_t)i] = (uint8_t)((n + 17) >> (24 - 8 * i));
        (void)crypto_secretstream_xchacha20poly1305_push(&state, out + *len + 4, NULL, plain, n,
                                                         NULL, 0, (uint8_t)u64(frame, "tag"));
        *len += n + 21;
        done += n;
    }
    return out;
}

static void refuses_changed_containers(void)
{
    EACH(row, vectors, "containers_refused")
    {
        size_t len, original_len = 0;
        uint8_t *bad = NULL, *original = NULL, hash[MIG_DIGEST_LEN];
        const json_t *of = row;
        if (has(row, "container")) {
            of = named("containers", str(row, "container"));
            original = seal_again(of, &original_len);
            bad = assembled(json_object_get(row, "parts"), original, original_len, &len);
        } else {
            bad = built(row, &len);
            mig_sha256(bad, len, hash);
            CHECK(row, len == u64(row, "length") && equals(row, "sha256", hash, sizeof hash));
        }
        CHECK(row, !opens(of, bad, len, NULL, SIZE_MAX));
        struct mig_secret *key = secret(of, "key");
        struct mig_secret *plain = mig_secret_new(mig_sealed_capacity(MIG_SEALED_MAX));
        CHECK(row, mig_container_open(key, bad, len, plain, &len) == MIG_ERR_MALFORMED);
        mig_secret_free(&key);
        mig_secret_free(&plain);
        free(bad);
        free(original);
    }
}

/* `vectors_tool` makes the file; when this fails, run it again and look at the
 * difference: it is a change of the protocol. */
static void tool_prints_the_file_byte_for_byte(void)
{
    char command[512];
    const char *build = getenv("BUILD");
    (void)snprintf(command, sizeof command,
                   "%s/tests/vectors_tool | cmp - docs/protocol-vectors.json",
                   build != NULL ? build : "build");
    CU_ASSERT_EQUAL(system(command), 0);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(keys_have_their_texts),
        TEST(refuses_texts_that_are_no_keys),
        TEST(keysets_have_their_digests),
        TEST(plaintexts_hold_their_shares),
        TEST(refuses_changed_plaintexts),
        TEST(contexts_mean_their_members),
        TEST(refuses_other_forms_of_a_context),
        TEST(node_wants_the_listed_keys_of_each_request),
        TEST(both_sides_agree_on_the_sealing_key),
        TEST(refuses_keys_without_a_secret),
        TEST(operator_keys_have_their_members),
        TEST(containers_are_made_again_and_open),
        TEST(refuses_changed_containers),
        TEST(tool_prints_the_file_byte_for_byte),
    };
    int status = vectors_load() ? run_tests("vectors", tests, sizeof tests / sizeof *tests) : 2;
    json_decref(vectors);
    return status;
}

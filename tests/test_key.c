/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "crypto/key.h"

/* Of the seed 32 x 0x07, from another library. */
#define PUBLIC "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define SECRET                                                                                     \
    "ed25519:"                                                                                     \
    "99eUso3aSbE9tqGSTXzo3TLfKb9RkMTURrHKQ1K7Zh3StnzFNUx8FKCPPPPpR479qsw5zv2WNBKmgiz7WqgAJfM"
#define OTHER_PUBLIC "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"
#define MEMBERS(account, pub, secret)                                                              \
    "\"account_id\":\"" account "\",\"public_key\":\"" pub "\",\"private_key\":\"" secret "\""
#define OBJECT "{" MEMBERS("alice.near", PUBLIC, SECRET) "}"

static struct mig_identity *seven(void)
{
    uint8_t seed[MIG_SEED_LEN];
    struct mig_identity *id = NULL;
    memset(seed, 7, sizeof seed);
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &id), MIG_OK);
    return id;
}

static const char *path_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return path;
}

static const char *write_file(const char *name, const void *bytes, size_t len, mode_t mode)
{
    const char *path = path_of(name);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(write(fd, bytes, len), (ssize_t)len);
    CU_ASSERT_EQUAL_FATAL(fchmod(fd, mode), 0);
    (void)close(fd);
    return path;
}

/* The verdict on a file, with the rules every refusal keeps: nothing comes
 * out, a reason does, and the reason quotes nothing of the file. */
static enum mig_err load(const char *path)
{
    struct mig_identity *id = NULL;
    const char *why = NULL;
    enum mig_err err = mig_identity_load(path, &id, &why);
    CU_ASSERT_EQUAL(err == MIG_OK, id != NULL);
    CU_ASSERT_EQUAL(err == MIG_OK, why == NULL);
    CU_ASSERT(why == NULL || (strlen(why) > 10 && strstr(why, "99eU") == NULL));
    mig_identity_free(&id);
    return err;
}

static enum mig_err load_text(const char *text, size_t len)
{
    return load(write_file("key", text, len, 0600));
}

static enum mig_err parse(const char *text, size_t len)
{
    struct mig_identity *id = NULL;
    const char *why = NULL;
    enum mig_err err = mig_identity_parse((const uint8_t *)text, len, &id, &why);
    CU_ASSERT_EQUAL(err == MIG_OK, id != NULL);
    CU_ASSERT_EQUAL(err == MIG_OK, why == NULL);
    mig_identity_free(&id);
    CU_ASSERT_EQUAL(mig_identity_parse((const uint8_t *)text, len, &id, NULL), err);
    mig_identity_free(&id);
    return err;
}

static void signatures_are_those_of_ed25519(void)
{
    static const char want[] = "1ff6c0b9d65046b7b9e24b26788d8373e1669ea0dfa01e2ea37555021b3bf811b89"
                               "8f266b436d29c7125c88f531c2d373f487fb5d27e6b65db8908b1e321d504";
    struct mig_identity *id = seven();
    uint8_t sig[MIG_SIG_LEN];
    char hex[MIG_HEX_LEN(MIG_SIG_LEN)];
    CU_ASSERT_EQUAL(mig_identity_sign(id, "attack at dawn", 14, sig), MIG_OK);
    CU_ASSERT_EQUAL(mig_hex_encode(sig, sizeof sig, hex, sizeof hex), MIG_OK);
    CU_ASSERT_STRING_EQUAL(hex, want);
    CU_ASSERT(mig_signature_is_valid(id->public_key, "attack at dawn", 14, sig));
    CU_ASSERT(!mig_signature_is_valid(id->public_key, "attack at dusk", 14, sig));
    CU_ASSERT(!mig_signature_is_valid(id->public_key, "attack at dawn", 13, sig));
    for (size_t bit = 0; bit < sizeof sig * 8; bit++) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CU_ASSERT(!mig_signature_is_valid(id->public_key, "attack at dawn", 14, sig));
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    mig_identity_free(&id);
}

/* S + order satisfies the equation too; it must not pass as a second signature. */
static void rejects_a_signature_with_unreduced_s(void)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    struct mig_identity *id = seven();
    uint8_t sig[MIG_SIG_LEN];
    unsigned carry = 0;
    CU_ASSERT_EQUAL(mig_identity_sign(id, "x", 1, sig), MIG_OK);
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)sig[32 + i] + order[i];
        sig[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    CU_ASSERT(!mig_signature_is_valid(id->public_key, "x", 1, sig));
    mig_identity_free(&id);
}

/* Under the neutral element as key, R = 1 and S = 0 "sign" everything. */
static void rejects_a_key_of_small_order(void)
{
    uint8_t key[MIG_KEY_LEN] = {1}, sig[MIG_SIG_LEN] = {1};
    CU_ASSERT(!mig_signature_is_valid(key, "x", 1, sig));
}

static void generated_identities_differ_and_sign(void)
{
    struct mig_identity *a = NULL, *b = NULL;
    uint8_t sig[MIG_SIG_LEN];
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&a), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&b), MIG_OK);
    CU_ASSERT(!mig_equal(a->public_key, b->public_key, MIG_KEY_LEN));
    CU_ASSERT(!mig_equal(a->secret->bytes, b->secret->bytes, 32));
    CU_ASSERT_EQUAL(mig_identity_sign(a, "", 0, sig), MIG_OK);
    CU_ASSERT(mig_signature_is_valid(a->public_key, "", 0, sig));
    CU_ASSERT(!mig_signature_is_valid(b->public_key, "", 0, sig));
    CU_ASSERT_STRING_EQUAL(a->account, "");
    mig_identity_free(&a);
    mig_identity_free(&a);
    mig_identity_free(&b);
    mig_identity_free(NULL);
}

static void key_texts_go_both_ways(void)
{
    struct mig_identity *id = seven();
    char text[MIG_KEY_TEXT_MAX];
    uint8_t key[MIG_KEY_LEN];
    mig_key_format(id->public_key, text);
    CU_ASSERT_STRING_EQUAL(text, PUBLIC);
    CU_ASSERT_EQUAL(mig_key_parse(PUBLIC, strlen(PUBLIC), key), MIG_OK);
    CU_ASSERT(mig_equal(key, id->public_key, MIG_KEY_LEN));
    memset(key, 0xff, sizeof key); /* the longest text */
    mig_key_format(key, text);
    CU_ASSERT_EQUAL(mig_key_parse(text, strlen(text), key), MIG_OK);
    memset(key, 0, sizeof key);
    mig_key_format(key, text);
    CU_ASSERT_STRING_EQUAL(text, "ed25519:11111111111111111111111111111111");
    CU_ASSERT_EQUAL(mig_key_parse(text, strlen(text), key), MIG_OK);
    mig_identity_free(&id);
}

static void rejects_key_texts_that_are_not_exact(void)
{
    static const char *const bad[] = {
        "",
        "ed25519",
        "ed25519:",
        "ED25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB",
        "GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB",
        "secp256k1:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB",
        "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAE",
        "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGBB",
        "ed25519:1GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB",
        "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB ",
        "ed25519: GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB",
        " ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB",
        "ed25519:ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB",
        "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEG0",
        "ed25519:1111111111111111111111111111111",
        SECRET,
    };
    static const uint8_t zero[MIG_KEY_LEN];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t key[MIG_KEY_LEN];
        memset(key, 0xaa, sizeof key);
        CU_ASSERT_EQUAL(mig_key_parse(bad[i], strlen(bad[i]), key), MIG_ERR_MALFORMED);
        CU_ASSERT(mig_equal(key, zero, sizeof key));
    }
    uint8_t key[MIG_KEY_LEN];
    CU_ASSERT_EQUAL(mig_key_parse(PUBLIC, sizeof PUBLIC, key), MIG_ERR_MALFORMED); /* with NUL */
}

static void group_key_texts_go_both_ways(void)
{
    static const struct {
        enum mig_curve curve;
        uint16_t len;
        const char *prefix;
    } curves[] = {{MIG_CURVE_SECP256K1, 64, "secp256k1:"},
                  {MIG_CURVE_ED25519, 32, "ed25519:"},
                  {MIG_CURVE_BLS12381G2, 96, "bls12381g2:"}};
    for (size_t i = 0; i < 3; i++) {
        struct mig_domain_key key = {.domain = 7, .attempt = 8, .curve = curves[i].curve},
                              back = key;
        char text[MIG_GROUP_KEY_TEXT_MAX];
        key.key_len = curves[i].len;
        memset(key.key, 0xff, key.key_len); /* the longest text */
        mig_group_key_format(&key, text);
        CU_ASSERT_EQUAL(strncmp(text, curves[i].prefix, strlen(curves[i].prefix)), 0);
        CU_ASSERT_EQUAL(mig_group_key_parse(text, strlen(text), &back), MIG_OK);
        CU_ASSERT_EQUAL(back.curve, key.curve);
        CU_ASSERT_EQUAL(back.key_len, key.key_len);
        CU_ASSERT_EQUAL(back.domain, 7);
        CU_ASSERT_EQUAL(back.attempt, 8);
        CU_ASSERT_EQUAL(memcmp(back.key, key.key, sizeof key.key), 0);
        CU_ASSERT_EQUAL(mig_group_key_parse(text, strlen(text) - 3, &back), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(back.key_len, 0);
        /* The same bytes under another curve's name are refused by their length. */
        char wrong[MIG_GROUP_KEY_TEXT_MAX * 2];
        (void)snprintf(wrong, sizeof wrong, "%s%s", curves[(i + 1) % 3].prefix,
                       text + strlen(curves[i].prefix));
        CU_ASSERT_EQUAL(mig_group_key_parse(wrong, strlen(wrong), &back), MIG_ERR_MALFORMED);
    }
    struct mig_domain_key none = {.curve = (enum mig_curve)9};
    char text[MIG_GROUP_KEY_TEXT_MAX] = "x";
    mig_group_key_format(&none, text);
    CU_ASSERT_STRING_EQUAL(text, "");
    CU_ASSERT_EQUAL(mig_group_key_len((enum mig_curve)0), 0);
    CU_ASSERT_EQUAL(mig_group_key_parse("bls12381g1:1", 12, &none), MIG_ERR_MALFORMED);
}

static void loads_the_key_string(void)
{
    struct mig_identity *id = NULL, *want = seven();
    const char *path = write_file("key", SECRET "\n", sizeof SECRET, 0600);
    CU_ASSERT_EQUAL_FATAL(mig_identity_load(path, &id, NULL), MIG_OK);
    CU_ASSERT(mig_equal(id->public_key, want->public_key, MIG_KEY_LEN));
    CU_ASSERT(mig_equal(id->secret->bytes, want->secret->bytes, 64));
    CU_ASSERT_STRING_EQUAL(id->account, "");
    mig_identity_free(&id);
    mig_identity_free(&want);
    CU_ASSERT_EQUAL(load_text(SECRET, sizeof SECRET - 1), MIG_OK);
}

static void loads_near_credentials(void)
{
    static const char *const good[] = {
        OBJECT,
        OBJECT "\n",
        " \t\r\n{ \"account_id\" : \"alice.near\" , \"public_key\":\n\"" PUBLIC
        "\", \"secret_key\": \"" SECRET "\" } \n\n",
        "{" MEMBERS("alice.near", PUBLIC,
                    SECRET) ",\"seed_phrase_hd_path\":\"m/44'/397'/0'\",\"\":\"\"}",
    };
    struct mig_identity *want = seven();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct mig_identity *id = NULL;
        const char *path = write_file("key", good[i], strlen(good[i]), 0400);
        CU_ASSERT_EQUAL_FATAL(mig_identity_load(path, &id, NULL), MIG_OK);
        CU_ASSERT(mig_equal(id->secret->bytes, want->secret->bytes, 64));
        CU_ASSERT_STRING_EQUAL(id->account, "alice.near");
        mig_identity_free(&id);
    }
    mig_identity_free(&want);
    CU_ASSERT_EQUAL(parse("{" MEMBERS("", PUBLIC, SECRET) "}", sizeof OBJECT - 11), MIG_OK);
}

static void rejects_strings_that_are_no_key(void)
{
    static const char *const bad[] = {
        "",
        "\n",
        "ed25519:",
        PUBLIC,
        SECRET "\n\n",
        SECRET "\r\n",
        SECRET " ",
        " " SECRET,
        "\n" SECRET,
        SECRET "M",
        SECRET SECRET,
        "99eUso3aSbE9tqGSTXzo3TLfKb9RkMTURrHKQ1K7Zh3StnzFNUx8FKCPPPPpR479qsw5zv2WNBKmgiz7WqgAJfM",
        "\xef\xbb\xbf" SECRET,
        "-----BEGIN PRIVATE KEY-----",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(load_text(bad[i], strlen(bad[i])), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(load_text(SECRET, sizeof SECRET), MIG_ERR_MALFORMED); /* the NUL */
    CU_ASSERT_EQUAL(load_text("\0" SECRET, sizeof SECRET), MIG_ERR_MALFORMED);
}

static void rejects_truncation_at_every_byte(void)
{
    for (size_t cut = 0; cut < sizeof SECRET - 1; cut++)
        CU_ASSERT_EQUAL(parse(SECRET, cut), MIG_ERR_MALFORMED);
    for (size_t cut = 0; cut < sizeof OBJECT - 1; cut++)
        CU_ASSERT_EQUAL(parse(OBJECT, cut), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(parse(OBJECT, sizeof OBJECT - 1), MIG_OK);
}

static void rejects_halves_that_do_not_belong_together(void)
{
    uint8_t halves[64];
    char text[MIG_SECRET_KEY_TEXT_MAX] = "ed25519:";
    struct mig_identity *id = seven();
    for (size_t at = 0; at < 64; at += 31) {
        memcpy(halves, id->secret->bytes, 64);
        halves[at] ^= 1;
        CU_ASSERT_EQUAL(mig_base58_encode(halves, 64, text + 8, sizeof text - 8), MIG_OK);
        CU_ASSERT_EQUAL(load_text(text, strlen(text)), MIG_ERR_MALFORMED);
    }
    mig_identity_free(&id);
    static const char wrong_pub[] = "{" MEMBERS("alice.near", OTHER_PUBLIC, SECRET) "}";
    CU_ASSERT_EQUAL(load_text(wrong_pub, sizeof wrong_pub - 1), MIG_ERR_MALFORMED);
}

static void rejects_objects_that_are_not_exact(void)
{
    static const char *const bad[] = {
        "{",
        "{}",
        "[]",
        "{ }",
        "{,}",
        "{\"account_id\":\"a.near\",\"public_key\":\"" PUBLIC "\"}",
        "{\"account_id\":\"a.near\",\"private_key\":\"" SECRET "\"}",
        "{\"public_key\":\"" PUBLIC "\",\"private_key\":\"" SECRET "\"}",
        OBJECT "x",
        OBJECT OBJECT,
        OBJECT ",",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET),
        "{" MEMBERS("alice.near", PUBLIC, SECRET) "]",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) " \"x\":\"y\"}",
        "{," MEMBERS("alice.near", PUBLIC, SECRET) "}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"account_id\":\"alice.near\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"private_key\":\"" SECRET "\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"secret_key\":\"" SECRET "\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":\"\",\"x\":\"\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":1}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":null}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":{}}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":[]}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\"\"y\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",x:\"y\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":\"a\\u0041\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":\"a\nb\"}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":\"a}",
        "{" MEMBERS("Alice.near", PUBLIC, SECRET) "}",
        "{" MEMBERS("alice near", PUBLIC, SECRET) "}",
        "{" MEMBERS("a23456789012345678901234567890123456789012345678901234567890.near", PUBLIC,
                    SECRET) "}",
        "{" MEMBERS("alice.near", "GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB", SECRET) "}",
        "{" MEMBERS("alice.near", PUBLIC, PUBLIC) "}",
        "{" MEMBERS("alice.near", PUBLIC, SECRET " ") "}",
        "{" MEMBERS("alice.near", PUBLIC, "") "}",
        "\xef\xbb\xbf" OBJECT,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(load_text(bad[i], strlen(bad[i])), MIG_ERR_MALFORMED);
    static const char nul[] = "{" MEMBERS("alice.near", PUBLIC, SECRET) ",\"x\":\"\0\"}";
    CU_ASSERT_EQUAL(load_text(nul, sizeof nul - 1), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(load_text(OBJECT, sizeof OBJECT), MIG_ERR_MALFORMED);
}

static void bounds_the_members_of_an_object(void)
{
    for (int extra = 12; extra <= 14; extra++) {
        char text[1024] = "{" MEMBERS("alice.near", PUBLIC, SECRET);
        for (int i = 0; i < extra; i++) {
            size_t used = strlen(text);
            (void)snprintf(text + used, sizeof text - used, ",\"m%d\":\"\"", i);
        }
        strcat(text, "}");
        CU_ASSERT_EQUAL(parse(text, strlen(text)), extra <= 13 ? MIG_OK : MIG_ERR_MALFORMED);
    }
}

static void rejects_files_others_can_reach(void)
{
    static const mode_t modes[] = {0640, 0604, 0644, 0660, 0606, 0610, 0601, 0777, 0620, 0602};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const char *path = write_file("key", SECRET, sizeof SECRET - 1, modes[i]);
        CU_ASSERT_EQUAL(load(path), MIG_ERR_DENIED);
    }
    CU_ASSERT_EQUAL(load(write_file("key", SECRET, sizeof SECRET - 1, 0700)), MIG_OK);
    CU_ASSERT_EQUAL(load(write_file("key", SECRET, sizeof SECRET - 1, 0400)), MIG_OK);
}

struct acl_entry {
    uint16_t tag, permission;
    uint32_t id;
};

/* False where the file system keeps no access control lists. */
static bool set_acl(const char *path, const struct acl_entry *entries, size_t count)
{
    uint8_t acl[64] = {2};
    memcpy(acl + 4, entries, count * sizeof *entries);
    return setxattr(path, "system.posix_acl_access", acl, 4 + count * sizeof *entries, 0) == 0;
}

/* What systemd sets on a credential, and near misses of it. */
static void an_access_list_may_admit_this_user_only(void)
{
    const uint32_t us = geteuid(), none = UINT32_MAX;
    const struct {
        struct acl_entry entries[6];
        size_t count;
        enum mig_err want;
    } cases[] = {
        {{{1, 4, none}, {2, 4, us}, {4, 0, none}, {16, 4, none}, {32, 0, none}}, 5, MIG_OK},
        {{{1, 4, none}, {2, 4, us + 1}, {4, 0, none}, {16, 4, none}, {32, 0, none}},
         5,
         MIG_ERR_DENIED},
        {{{1, 4, none}, {2, 4, us}, {4, 4, none}, {16, 4, none}, {32, 0, none}}, 5, MIG_ERR_DENIED},
        {{{1, 4, none}, {2, 4, us}, {4, 0, none}, {16, 4, none}, {32, 4, none}}, 5, MIG_ERR_DENIED},
        {{{1, 4, none}, {2, 4, us}, {4, 0, none}, {8, 4, 4321}, {16, 4, none}, {32, 0, none}},
         6,
         MIG_ERR_DENIED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = write_file("key", SECRET, sizeof SECRET - 1, 0400);
        if (set_acl(path, cases[i].entries, cases[i].count))
            CU_ASSERT_EQUAL(load(path), cases[i].want);
    }
    /* More entries than we read is a refusal, not a guess. */
    struct acl_entry many[40] = {{1, 4, none}};
    uint8_t acl[4 + sizeof many] = {2};
    for (size_t i = 1; i < 37; i++)
        many[i] = (struct acl_entry){2, 0, (uint32_t)(1000 + i)};
    many[37] = (struct acl_entry){4, 0, none};
    many[38] = (struct acl_entry){16, 4, none};
    many[39] = (struct acl_entry){32, 0, none};
    memcpy(acl + 4, many, sizeof many);
    const char *path = write_file("key", SECRET, sizeof SECRET - 1, 0400);
    if (setxattr(path, "system.posix_acl_access", acl, sizeof acl, 0) == 0)
        CU_ASSERT_EQUAL(load(path), MIG_ERR_DENIED);
}

static void rejects_files_of_another_user(void)
{
    const char *path = write_file("key", SECRET, sizeof SECRET - 1, 0600);
    if (geteuid() != 0)
        return; /* only root can give a file away */
    CU_ASSERT_EQUAL_FATAL(chown(path, 65534, 65534), 0);
    CU_ASSERT_EQUAL(load(path), MIG_ERR_DENIED);
    /* The same file is that user's own; root's is not readable for it. */
    CU_ASSERT_EQUAL_FATAL(chmod(test_dir(), 0711), 0);
    CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
    enum mig_err own = load(path);
    CU_ASSERT_EQUAL_FATAL(seteuid(0), 0);
    CU_ASSERT_EQUAL(own, MIG_OK);
    path = write_file("key", SECRET, sizeof SECRET - 1, 0600);
    CU_ASSERT_EQUAL_FATAL(seteuid(65534), 0);
    enum mig_err roots = load(path);
    CU_ASSERT_EQUAL_FATAL(seteuid(0), 0);
    CU_ASSERT_EQUAL(roots, MIG_ERR_DENIED);
}

static void rejects_what_is_not_a_regular_file(void)
{
    char target[512];
    (void)snprintf(target, sizeof target, "%s",
                   write_file("target", SECRET, sizeof SECRET - 1, 0600));
    CU_ASSERT_EQUAL(load(target), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(symlink(target, path_of("link")), 0);
    CU_ASSERT_EQUAL(load(path_of("link")), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL_FATAL(mkfifo(path_of("fifo"), 0600), 0);
    CU_ASSERT_EQUAL(load(path_of("fifo")), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(load(test_dir()), MIG_ERR_DENIED);
    CU_ASSERT_EQUAL(load("/dev/null"), MIG_ERR_DENIED);
}

static void tells_missing_from_unreadable(void)
{
    CU_ASSERT_EQUAL(load(path_of("absent")), MIG_ERR_NOT_FOUND);
    (void)write_file("plain", "", 0, 0600);
    CU_ASSERT_EQUAL(load(path_of("plain/below")), MIG_ERR_NOT_FOUND);
    char endless[5000];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CU_ASSERT_EQUAL(load(endless), MIG_ERR_IO);
    /* A regular file of ours whose first bytes cannot be read. */
    if (access("/proc/self/mem", R_OK) == 0)
        CU_ASSERT_EQUAL(load("/proc/self/mem"), MIG_ERR_IO);
    struct mig_identity *id;
    CU_ASSERT_EQUAL(mig_identity_load(path_of("absent"), &id, NULL), MIG_ERR_NOT_FOUND);
}

static void bounds_the_file(void)
{
    static char big[MIG_KEY_FILE_MAX + 1];
    memset(big, ' ', sizeof big);
    memcpy(big, OBJECT, sizeof OBJECT - 1);
    CU_ASSERT_EQUAL(load_text(big, MIG_KEY_FILE_MAX), MIG_OK);
    CU_ASSERT_EQUAL(load_text(big, MIG_KEY_FILE_MAX + 1), MIG_ERR_MALFORMED);
}

static void saves_what_it_loads_and_replaces_nothing(void)
{
    struct mig_identity *id = seven(), *back = NULL;
    struct stat st;
    char content[128] = "";
    const char *path = path_of("saved");
    mode_t before = umask(0);
    CU_ASSERT_EQUAL(mig_identity_save(path, id), MIG_OK);
    (void)umask(0377);
    CU_ASSERT_EQUAL(mig_identity_save(path_of("saved2"), id), MIG_OK);
    (void)umask(before);
    CU_ASSERT(stat(path_of("saved2"), &st) == 0 && (st.st_mode & 07777) == 0600);
    path = path_of("saved");
    CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    int fd = open(path, O_RDONLY);
    CU_ASSERT_EQUAL(read(fd, content, sizeof content - 1), (ssize_t)sizeof SECRET);
    (void)close(fd);
    CU_ASSERT_STRING_EQUAL(content, SECRET "\n");
    CU_ASSERT_EQUAL_FATAL(mig_identity_load(path, &back, NULL), MIG_OK);
    CU_ASSERT(mig_equal(back->secret->bytes, id->secret->bytes, 64));
    mig_identity_free(&back);

    struct mig_identity *other = NULL;
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&other), MIG_OK);
    CU_ASSERT_EQUAL(mig_identity_save(path, other), MIG_ERR_CONFLICT);
    CU_ASSERT_EQUAL_FATAL(mig_identity_load(path, &back, NULL), MIG_OK);
    CU_ASSERT(mig_equal(back->secret->bytes, id->secret->bytes, 64));
    mig_identity_free(&back);
    mig_identity_free(&other);
    mig_identity_free(&id);
}

static void saves_nothing_through_a_link(void)
{
    struct mig_identity *id = seven();
    char target[512];
    (void)snprintf(target, sizeof target, "%s", path_of("elsewhere"));
    CU_ASSERT_EQUAL_FATAL(symlink(target, path_of("dangling")), 0);
    CU_ASSERT_EQUAL(mig_identity_save(path_of("dangling"), id), MIG_ERR_CONFLICT);
    CU_ASSERT_NOT_EQUAL(access(target, F_OK), 0);
    mig_identity_free(&id);
}

static void a_failed_save_leaves_nothing_behind(void)
{
    struct mig_identity *id = seven();
    struct rlimit before, none;
    const char *path = path_of("partial");
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 5; /* the disk is full after five bytes */
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum mig_err err = mig_identity_save(path, id);
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, old);
    CU_ASSERT_EQUAL(err, MIG_ERR_IO);
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_EQUAL(mig_identity_save(path_of("no/such/folder"), id), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_identity_save(path_of("plain/below"), id), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(mig_identity_save("/proc/nothing-here", id), MIG_ERR_IO);
    char endless[5000];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    CU_ASSERT_EQUAL(mig_identity_save(endless, id), MIG_ERR_IO);
    endless[4500] = '/';
    CU_ASSERT_EQUAL(mig_identity_save(endless, id), MIG_ERR_IO);
    mig_identity_free(&id);
}

static void saves_into_the_current_folder(void)
{
    struct mig_identity *id = seven();
    int here = open(".", O_RDONLY | O_DIRECTORY);
    CU_ASSERT_EQUAL_FATAL(chdir(test_dir()), 0);
    CU_ASSERT_EQUAL(mig_identity_save("bare-name", id), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(fchdir(here), 0);
    (void)close(here);
    CU_ASSERT_EQUAL(load(path_of("bare-name")), MIG_OK);
    mig_identity_free(&id);
}

static void symmetric_keys_go_round(void)
{
    struct mig_secret *key = mig_secret_new(32), *back = NULL, *small = mig_secret_new(31);
    CU_ASSERT_PTR_NOT_NULL_FATAL(key);
    mig_random(key->bytes, 32);
    CU_ASSERT_EQUAL(mig_symmetric_key_save(path_of("operator"), key), MIG_OK);
    CU_ASSERT_EQUAL(mig_symmetric_key_save(path_of("operator"), key), MIG_ERR_CONFLICT);
    CU_ASSERT_EQUAL(mig_symmetric_key_save(path_of("small"), small), MIG_ERR_BUG);
    CU_ASSERT_EQUAL_FATAL(mig_symmetric_key_load(path_of("operator"), &back, NULL), MIG_OK);
    CU_ASSERT_EQUAL(back->len, 32);
    CU_ASSERT(mig_equal(back->bytes, key->bytes, 32));
    mig_secret_free(&key);
    mig_secret_free(&back);
    mig_secret_free(&small);
}

static void rejects_symmetric_keys_that_are_not_exact(void)
{
#define HEX63 "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcde"
    static const struct {
        const char *text;
        enum mig_err want;
    } cases[] = {
        {HEX63 "f", MIG_OK},
        {HEX63 "f\n", MIG_OK},
        {"", MIG_ERR_MALFORMED},
        {"\n", MIG_ERR_MALFORMED},
        {HEX63, MIG_ERR_MALFORMED},
        {HEX63 "\n", MIG_ERR_MALFORMED},
        {HEX63 "g", MIG_ERR_MALFORMED},
        {HEX63 "f\n\n", MIG_ERR_MALFORMED},
        {HEX63 "f\r\n", MIG_ERR_MALFORMED},
        {HEX63 "ff", MIG_ERR_MALFORMED},
        {HEX63 "f00", MIG_ERR_MALFORMED},
        {"0x" HEX63 "f", MIG_ERR_MALFORMED},
        {"0000000000000000000000000000000000000000000000000000000000000000", MIG_ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mig_secret *key = NULL;
        const char *why = NULL;
        const char *path = write_file("operator-bad", cases[i].text, strlen(cases[i].text), 0600);
        CU_ASSERT_EQUAL(mig_symmetric_key_load(path, &key, &why), cases[i].want);
        CU_ASSERT_EQUAL(key == NULL, cases[i].want != MIG_OK);
        CU_ASSERT_EQUAL(why == NULL, cases[i].want == MIG_OK);
        mig_secret_free(&key);
    }
    struct mig_secret *key = NULL;
    const char *path = write_file("operator-bad", HEX63 "f", 64, 0640);
    CU_ASSERT_EQUAL(mig_symmetric_key_load(path, &key, NULL), MIG_ERR_DENIED);
    CU_ASSERT_PTR_NULL(key);
}

/* Takes locked memory away (root's exemption too) and gives it back. False
 * under a sanitizer, which turns mlock into nothing. */
static bool forbid_locking(bool forbid)
{
    static struct rlimit before;
    struct rlimit none = {.rlim_cur = 0};
    uint8_t byte = 0;
    if (!forbid)
        return (getuid() != 0 || seteuid(0) == 0) && setrlimit(RLIMIT_MEMLOCK, &before) == 0;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    none.rlim_max = before.rlim_max;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    CU_ASSERT_FATAL(getuid() != 0 || seteuid(65534) == 0);
    return mlock(&byte, 1) != 0;
}

/* Without locked memory nothing is read into, or written from, any other. */
static void refuses_without_locked_memory(void)
{
    struct mig_identity *id = seven(), *out = NULL;
    struct mig_secret *key = mig_secret_new(32), *loaded = NULL;
    const uint8_t *text = (const uint8_t *)SECRET;
    const char *why = NULL, *path;
    CU_ASSERT_EQUAL_FATAL(chmod(test_dir(), 0777), 0);
    path = write_file("key", SECRET, sizeof SECRET - 1, 0600);
    CU_ASSERT_FATAL(getuid() != 0 || chown(path, 65534, 65534) == 0);
    if (forbid_locking(true)) {
        enum mig_err results[] = {
            mig_identity_load(path, &out, &why),
            mig_symmetric_key_load(path, &loaded, NULL),
            mig_identity_parse(text, sizeof SECRET - 1, &out, &why),
            mig_identity_parse(text, sizeof SECRET - 1, &out, NULL),
            mig_identity_save(path_of("unlocked"), id),
            mig_symmetric_key_save(path_of("unlocked"), key),
        };
        for (size_t i = 0; i < sizeof results / sizeof *results; i++)
            CU_ASSERT_EQUAL(results[i], MIG_ERR_NOMEM);
        CU_ASSERT(why != NULL && strstr(why, "RLIMIT_MEMLOCK") != NULL);
        CU_ASSERT_NOT_EQUAL(access(path_of("unlocked"), F_OK), 0);
    }
    CU_ASSERT_FATAL(forbid_locking(false));
    mig_secret_free(&key);
    mig_identity_free(&id);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(signatures_are_those_of_ed25519),
        TEST(rejects_a_signature_with_unreduced_s),
        TEST(rejects_a_key_of_small_order),
        TEST(generated_identities_differ_and_sign),
        TEST(key_texts_go_both_ways),
        TEST(rejects_key_texts_that_are_not_exact),
        TEST(group_key_texts_go_both_ways),
        TEST(loads_the_key_string),
        TEST(loads_near_credentials),
        TEST(rejects_strings_that_are_no_key),
        TEST(rejects_truncation_at_every_byte),
        TEST(rejects_halves_that_do_not_belong_together),
        TEST(rejects_objects_that_are_not_exact),
        TEST(bounds_the_members_of_an_object),
        TEST(rejects_files_others_can_reach),
        TEST(an_access_list_may_admit_this_user_only),
        TEST(rejects_files_of_another_user),
        TEST(rejects_what_is_not_a_regular_file),
        TEST(tells_missing_from_unreadable),
        TEST(bounds_the_file),
        TEST(saves_what_it_loads_and_replaces_nothing),
        TEST(saves_nothing_through_a_link),
        TEST(a_failed_save_leaves_nothing_behind),
        TEST(saves_into_the_current_folder),
        TEST(symmetric_keys_go_round),
        TEST(rejects_symmetric_keys_that_are_not_exact),
        TEST(refuses_without_locked_memory),
    };
    return run_tests("key", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
#include "crypto/key.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"

_Static_assert(crypto_sign_PUBLICKEYBYTES == MIG_KEY_LEN, "ed25519 public key");
_Static_assert(crypto_sign_SEEDBYTES == MIG_SEED_LEN, "ed25519 seed");
_Static_assert(crypto_sign_BYTES == MIG_SIG_LEN, "ed25519 signature");

static const char ED25519[] = "ed25519:";
enum { ED25519_LEN = sizeof ED25519 - 1 };

static struct mig_identity *identity_new(void)
{
    struct mig_identity *id = calloc(1, sizeof *id);
    if (id == NULL)
        return NULL;
    id->secret = mig_secret_new(crypto_sign_SECRETKEYBYTES);
    if (id->secret == NULL) {
        free(id);
        return NULL;
    }
    return id;
}

enum mig_err mig_identity_from_seed(const uint8_t seed[MIG_SEED_LEN], struct mig_identity **out)
{
    *out = NULL;
    struct mig_identity *id = identity_new();
    if (id == NULL)
        return MIG_ERR_NOMEM;
    (void)crypto_sign_seed_keypair(id->public_key, id->secret->bytes, seed);
    *out = id;
    return MIG_OK;
}

enum mig_err mig_identity_generate(struct mig_identity **out)
{
    uint8_t seed[MIG_SEED_LEN];
    mig_random(seed, sizeof seed);
    enum mig_err err = mig_identity_from_seed(seed, out);
    mig_wipe(seed, sizeof seed);
    return err;
}

void mig_identity_free(struct mig_identity **id)
{
    if (id == NULL || *id == NULL)
        return;
    mig_secret_free(&(*id)->secret);
    free(*id);
    *id = NULL;
}

enum mig_err mig_identity_sign(const struct mig_identity *id, const void *msg, size_t len,
                               uint8_t sig[MIG_SIG_LEN])
{
    if (crypto_sign_detached(sig, NULL, msg, len, id->secret->bytes) != 0)
        return MIG_ERR_BUG;
    return MIG_OK;
}

/* libsodium refuses S not below the order, small-order keys and points, and
 * non-canonical keys. */
bool mig_signature_is_valid(const uint8_t key[MIG_KEY_LEN], const void *msg, size_t len,
                            const uint8_t sig[MIG_SIG_LEN])
{
    return crypto_sign_verify_detached(sig, msg, len, key) == 0;
}

/* prefix + base58 of exactly `key_len` bytes. */
static enum mig_err parse_text(const char *prefix, const char *text, size_t len, uint8_t *key,
                               size_t key_len)
{
    size_t skip = strlen(prefix), n = 0;
    if (len < skip || memcmp(text, prefix, skip) != 0)
        return MIG_ERR_MALFORMED;
    if (mig_base58_decode(text + skip, len - skip, key, key_len, &n) != MIG_OK || n != key_len)
        return MIG_ERR_MALFORMED;
    return MIG_OK;
}

/* The buffers of this file hold the longest text, so encoding cannot fail. */
static void format_text(const char *prefix, const uint8_t *key, size_t key_len, char *out,
                        size_t cap)
{
    size_t skip = strlen(prefix);
    memcpy(out, prefix, skip);
    if (mig_base58_encode(key, key_len, out + skip, cap - skip) != MIG_OK)
        out[0] = '\0';
}

enum mig_err mig_key_parse(const char *text, size_t len, uint8_t key[MIG_KEY_LEN])
{
    uint8_t bytes[MIG_KEY_LEN] = {0};
    enum mig_err err = parse_text(ED25519, text, len, bytes, sizeof bytes);
    memcpy(key, err == MIG_OK ? bytes : (const uint8_t[MIG_KEY_LEN]){0}, sizeof bytes);
    return err;
}

void mig_key_format(const uint8_t key[MIG_KEY_LEN], char out[MIG_KEY_TEXT_MAX])
{
    format_text(ED25519, key, MIG_KEY_LEN, out, MIG_KEY_TEXT_MAX);
}

static const char *group_prefix(enum mig_curve curve)
{
    switch (curve) {
    case MIG_CURVE_SECP256K1:
        return "secp256k1:";
    case MIG_CURVE_ED25519:
        return ED25519;
    case MIG_CURVE_BLS12381G2:
        return "bls12381g2:";
    }
    return NULL;
}

uint16_t mig_group_key_len(enum mig_curve curve)
{
    switch (curve) {
    case MIG_CURVE_SECP256K1:
        return 64;
    case MIG_CURVE_ED25519:
        return 32;
    case MIG_CURVE_BLS12381G2:
        return 96;
    }
    return 0;
}

enum mig_err mig_group_key_parse(const char *text, size_t len, struct mig_domain_key *out)
{
    static const enum mig_curve curves[] = {MIG_CURVE_SECP256K1, MIG_CURVE_ED25519,
                                            MIG_CURVE_BLS12381G2};
    out->key_len = 0;
    memset(out->key, 0, sizeof out->key);
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        uint8_t key[MIG_GROUP_KEY_MAX];
        uint16_t key_len = mig_group_key_len(curves[i]);
        if (parse_text(group_prefix(curves[i]), text, len, key, key_len) != MIG_OK)
            continue;
        memcpy(out->key, key, key_len);
        out->curve = curves[i];
        out->key_len = key_len;
        return MIG_OK;
    }
    return MIG_ERR_MALFORMED;
}

void mig_group_key_format(const struct mig_domain_key *key, char out[MIG_GROUP_KEY_TEXT_MAX])
{
    const char *prefix = group_prefix(key->curve);
    out[0] = '\0';
    if (prefix != NULL)
        format_text(prefix, key->key, mig_group_key_len(key->curve), out, MIG_GROUP_KEY_TEXT_MAX);
}

/*
 * Key files. The secret string never leaves locked memory: the JSON form is
 * read by the small strict parser below, not by a library that copies strings
 * about the heap. Accepted is one object of string members without escapes.
 */
enum { MEMBERS_MAX = 16 };

struct span {
    const char *at;
    size_t len;
};

struct scanner {
    const char *at, *end;
};

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && memchr(" \t\r\n", *s->at, 4) != NULL)
        s->at++;
}

/* Takes the character `c` after white space. */
static bool take(struct scanner *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool take_string(struct scanner *s, struct span *out)
{
    if (!take(s, '"'))
        return false;
    out->at = s->at;
    for (; s->at < s->end && *s->at != '"'; s->at++)
        if ((unsigned char)*s->at < 0x20 || *s->at == '\\')
            return false;
    out->len = (size_t)(s->at - out->at);
    return take(s, '"');
}

static bool span_is(const struct span *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->at, text, s->len) == 0;
}

static bool same_span(const struct span *a, const struct span *b)
{
    return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

struct credentials {
    struct span account, public_key, secret_key;
};

/* Both spellings of the secret go to one place, so having both is a duplicate. */
static struct span *known_member(struct credentials *c, const struct span *name)
{
    if (span_is(name, "account_id"))
        return &c->account;
    if (span_is(name, "public_key"))
        return &c->public_key;
    if (span_is(name, "private_key") || span_is(name, "secret_key"))
        return &c->secret_key;
    return NULL;
}

static bool parse_member(struct scanner *s, struct span *names, size_t *count,
                         struct credentials *out)
{
    struct span value;
    if (*count == MEMBERS_MAX || !take_string(s, &names[*count]) || !take(s, ':') ||
        !take_string(s, &value))
        return false;
    const struct span *name = &names[*count];
    for (size_t i = 0; i < *count; i++)
        if (same_span(&names[i], name))
            return false;
    ++*count;
    struct span *known = known_member(out, name);
    if (known == NULL)
        return true;
    if (known->at != NULL)
        return false;
    *known = value;
    return true;
}

static bool parse_credentials(const char *text, size_t len, struct credentials *out)
{
    struct scanner s = {text, text + len};
    struct span names[MEMBERS_MAX];
    size_t count = 0;
    if (!take(&s, '{'))
        return false;
    do {
        if (!parse_member(&s, names, &count, out))
            return false;
    } while (take(&s, ','));
    if (!take(&s, '}'))
        return false;
    skip_space(&s);
    return s.at == s.end && out->account.at != NULL && out->public_key.at != NULL &&
           out->secret_key.at != NULL;
}

static bool copy_account(const struct span *from, char *out)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    if (from->len > MIG_ACCOUNT_MAX)
        return false;
    for (size_t i = 0; i < from->len; i++)
        if (memchr(allowed, from->at[i], sizeof allowed - 1) == NULL)
            return false;
    memcpy(out, from->at, from->len);
    out[from->len] = '\0';
    return true;
}

/* The file's own public half is not believed: a signature made with a wrong
 * one can give the secret away. */
static bool take_secret(const struct span *text, struct mig_identity *id)
{
    uint8_t *secret = id->secret->bytes, derived[crypto_sign_SECRETKEYBYTES];
    if (parse_text(ED25519, text->at, text->len, secret, crypto_sign_SECRETKEYBYTES) != MIG_OK)
        return false;
    (void)crypto_sign_seed_keypair(id->public_key, derived, secret);
    bool same = mig_equal(derived, secret, sizeof derived);
    mig_wipe(derived, sizeof derived);
    return same;
}

static const char *parse_json(const char *text, size_t len, struct mig_identity *id)
{
    struct credentials c = {0};
    uint8_t stated[MIG_KEY_LEN];
    if (!parse_credentials(text, len, &c))
        return "the key file is not a near-credentials object with account_id, public_key and "
               "private_key, each once";
    if (!copy_account(&c.account, id->account))
        return "account_id in the key file is not an account";
    if (!take_secret(&c.secret_key, id))
        return "private_key in the key file is not ed25519:<base58 of 64 bytes>, or its halves do "
               "not belong together";
    if (mig_key_parse(c.public_key.at, c.public_key.len, stated) != MIG_OK ||
        !mig_equal(stated, id->public_key, sizeof stated))
        return "public_key in the key file does not belong to its private_key";
    return NULL;
}

static const char *parse_string(const char *text, size_t len, struct mig_identity *id)
{
    struct span s = {text, len};
    if (s.len > 0 && text[s.len - 1] == '\n')
        s.len--;
    if (!take_secret(&s, id))
        return "the key file holds neither ed25519:<base58 of 64 bytes> with matching halves nor a "
               "near-credentials object";
    return NULL;
}

enum mig_err mig_identity_parse(const uint8_t *text, size_t len, struct mig_identity **out,
                                const char **why)
{
    const char *chars = (const char *)text, *problem;
    *out = NULL;
    struct mig_identity *id = identity_new();
    if (id == NULL) {
        if (why != NULL)
            *why = "no locked memory: raise RLIMIT_MEMLOCK";
        return MIG_ERR_NOMEM;
    }
    struct scanner first = {chars, chars + len};
    problem = take(&first, '{') ? parse_json(chars, len, id) : parse_string(chars, len, id);
    if (problem != NULL) {
        mig_identity_free(&id);
        if (why != NULL)
            *why = problem;
        return MIG_ERR_MALFORMED;
    }
    *out = id;
    return MIG_OK;
}

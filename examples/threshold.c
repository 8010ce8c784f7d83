/* SPDX-License-Identifier: MIT */
/*
 * A dealer and a set of threshold signers, for the demonstration and the tests:
 * real shares of a real ed25519 key (and of a secp256k1 key), dealt straight
 * into the keyshare stores of the nodes, and a real threshold signature made
 * from stores, one process per signer. Not a DKG: a network makes its keys
 * without a dealer.
 *
 *   threshold keys FOLDER
 *       makes identity.key, access.key and store.key there, and prints the two
 *       public keys
 *   threshold deal CONTRACT EPOCH THRESHOLD STORE KEYFILE [STORE KEYFILE ...]
 *       deals to participants 0, 1, 2, ... and prints the keyset as the
 *       contract shows it
 *   threshold sign CONTRACT KEYSET-FILE MESSAGE ID STORE KEYFILE [ID STORE KEYFILE ...]
 *       signs with the shares of these participants (FROST, two rounds) and
 *       verifies under the group key of the keyset file
 *
 * The Shamir coordinate of a participant is its id + 1.
 */
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "crypto/key.h"
#include "crypto/keyset.h"
#include "examples/frost.h"
#include "store/keystore.h"

enum { SIGNERS_MAX = FROST_SIGNERS_MAX, DOMAIN_SECP256K1 = 0, DOMAIN_ED25519 = 1 };

#define ED25519_ORDER "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed"

static void die(const char *what)
{
    (void)fprintf(stderr, "threshold: %s\n", what);
    exit(1);
}

static void must(bool ok, const char *what)
{
    if (!ok)
        die(what);
}

static struct mig_keystore *open_store(const char *folder, const char *key_file,
                                       const char *contract, enum mig_keystore_kind kind,
                                       struct mig_secret **key)
{
    struct mig_keystore *store = NULL;
    const char *why = "";
    if (mig_symmetric_key_load(key_file, key, &why) != MIG_OK ||
        mig_keystore_open(folder, kind, *key, contract, &store, &why) != MIG_OK) {
        (void)fprintf(stderr, "threshold: %s: %s\n", folder, why);
        exit(1);
    }
    return store;
}

/* ---- dealing ---------------------------------------------------------- */

struct dealt {
    struct mig_secret *shares; /* SIGNERS_MAX scalars */
    uint8_t key[64];
};

static void big_to_share(const BIGNUM *value, bool little, uint8_t out[MIG_SHARE_LEN])
{
    int n = little ? BN_bn2lebinpad(value, out, MIG_SHARE_LEN)
                   : BN_bn2binpad(value, out, MIG_SHARE_LEN);
    must(n == MIG_SHARE_LEN, "a share does not fit");
}

/* Evaluates a random polynomial of degree threshold - 1 over the group order;
 * returns its constant term, the secret, which the caller clears. */
static BIGNUM *deal_shares(const BIGNUM *order, bool little, int threshold, int count,
                           struct dealt *out)
{
    BN_CTX *ctx = BN_CTX_secure_new();
    BIGNUM *coefficient[SIGNERS_MAX];
    for (int i = 0; i < threshold; i++) {
        coefficient[i] = BN_secure_new();
        must(coefficient[i] != NULL && BN_priv_rand_range(coefficient[i], order) == 1,
             "no random numbers");
    }
    BIGNUM *x = BN_new(), *sum = BN_secure_new();
    for (int p = 0; p < count; p++) {
        must(BN_set_word(x, (BN_ULONG)(p + 1)) == 1, "out of memory");
        BN_zero(sum);
        for (int i = threshold - 1; i >= 0; i--)
            must(BN_mod_mul(sum, sum, x, order, ctx) == 1 &&
                     BN_mod_add(sum, sum, coefficient[i], order, ctx) == 1,
                 "arithmetic failed");
        big_to_share(sum, little, out->shares->bytes + (size_t)p * MIG_SHARE_LEN);
    }
    for (int i = 1; i < threshold; i++)
        BN_clear_free(coefficient[i]);
    BN_clear_free(sum);
    BN_free(x);
    BN_CTX_free(ctx);
    return coefficient[0];
}

static void deal_ed25519(int threshold, int count, struct dealt *out)
{
    BIGNUM *order = NULL;
    must(BN_hex2bn(&order, ED25519_ORDER) > 0, "out of memory");
    BIGNUM *secret = deal_shares(order, true, threshold, count, out);
    uint8_t scalar[32];
    big_to_share(secret, true, scalar);
    must(crypto_scalarmult_ed25519_base_noclamp(out->key, scalar) == 0, "the secret is zero");
    mig_wipe(scalar, sizeof scalar);
    BN_clear_free(secret);
    BN_free(order);
}

static void deal_secp256k1(int threshold, int count, struct dealt *out)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp256k1);
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *secret = deal_shares(EC_GROUP_get0_order(group), false, threshold, count, out);
    uint8_t octets[65];
    must(EC_POINT_mul(group, point, secret, NULL, NULL, NULL) == 1 &&
             EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, sizeof octets,
                                NULL) == 65,
         "arithmetic failed");
    memcpy(out->key, octets + 1, 64);
    BN_clear_free(secret);
    EC_POINT_free(point);
    EC_GROUP_free(group);
}

static void print_keyset(const struct mig_keyset *keyset)
{
    json_t *domains = json_array();
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *d = &keyset->domains[i];
        char text[MIG_GROUP_KEY_TEXT_MAX];
        mig_group_key_format(d, text);
        json_t *key;
        if (d->curve == MIG_CURVE_ED25519) {
            json_t *point = json_array();
            for (int b = 0; b < 32; b++)
                (void)json_array_append_new(point, json_integer(d->key[b]));
            key = json_pack("{s:{s:s,s:o}}", "Ed25519", "near_public_key_compressed", text,
                            "edwards_point", point);
        } else {
            key = json_pack("{s:{s:s}}", "Secp256k1", "near_public_key", text);
        }
        (void)json_array_append_new(domains,
                                    json_pack("{s:I,s:o,s:I}", "domain_id", (json_int_t)d->domain,
                                              "key", key, "attempt", (json_int_t)d->attempt));
    }
    json_t *root =
        json_pack("{s:I,s:o}", "epoch_id", (json_int_t)keyset->epoch, "domains", domains);
    must(root != NULL && json_dumpf(root, stdout, JSON_COMPACT) == 0, "cannot print");
    (void)putchar('\n');
    json_decref(root);
}

static bool always(void *ctx)
{
    (void)ctx;
    return true;
}

static int deal(int argc, char **argv)
{
    const char *contract = argv[2];
    int threshold = atoi(argv[4]), count = (argc - 5) / 2;
    must(count >= 1 && count <= SIGNERS_MAX && threshold >= 1 && threshold <= count,
         "threshold and stores do not fit");
    struct dealt secp = {.shares = mig_secret_new(SIGNERS_MAX * MIG_SHARE_LEN)};
    struct dealt ed = {.shares = mig_secret_new(SIGNERS_MAX * MIG_SHARE_LEN)};
    must(secp.shares != NULL && ed.shares != NULL, "no locked memory");
    deal_secp256k1(threshold, count, &secp);
    deal_ed25519(threshold, count, &ed);

    struct mig_domain_key domains[2] = {
        {.domain = DOMAIN_SECP256K1, .curve = MIG_CURVE_SECP256K1, .key_len = 64},
        {.domain = DOMAIN_ED25519, .curve = MIG_CURVE_ED25519, .key_len = 32},
    };
    memcpy(domains[0].key, secp.key, 64);
    memcpy(domains[1].key, ed.key, 32);
    struct mig_keyset keyset = {
        .epoch = strtoull(argv[3], NULL, 10), .count = 2, .domains = domains};
    struct mig_secret *pair = mig_secret_new(2 * MIG_SHARE_LEN);
    must(pair != NULL, "no locked memory");
    for (int p = 0; p < count; p++) {
        memcpy(pair->bytes, secp.shares->bytes + (size_t)p * MIG_SHARE_LEN, MIG_SHARE_LEN);
        memcpy(pair->bytes + MIG_SHARE_LEN, ed.shares->bytes + (size_t)p * MIG_SHARE_LEN,
               MIG_SHARE_LEN);
        struct mig_secret *key = NULL;
        struct mig_keystore *store =
            open_store(argv[5 + 2 * p], argv[6 + 2 * p], contract, MIG_KEYSTORE_NODE, &key);
        struct mig_fence fence = {.holds = always};
        struct mig_receipt receipt;
        must(mig_keystore_import(store, &keyset,
                                 (const uint8_t(*)[MIG_SHARE_LEN])(const void *)pair->bytes, 0,
                                 &fence, &receipt) == MIG_OK,
             "a store refuses the shares");
        mig_keystore_close(&store);
        mig_secret_free(&key);
    }
    mig_secret_free(&pair);
    mig_secret_free(&secp.shares);
    mig_secret_free(&ed.shares);
    print_keyset(&keyset);
    return 0;
}

/* ---- signing ---------------------------------------------------------- */

static void transfer(int fd, void *bytes, size_t len, bool out)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = out ? write(fd, (char *)bytes + done, len - done)
                        : read(fd, (char *)bytes + done, len - done);
        must(n > 0, "a signer is gone");
        done += (size_t)n;
    }
}

static size_t ed25519_domain(const struct mig_keyset *keyset)
{
    for (size_t i = 0; i < keyset->count; i++)
        if (keyset->domains[i].curve == MIG_CURVE_ED25519)
            return i;
    die("the keyset has no ed25519 domain");
    return 0;
}

/* One signer, in its own process: opens its store only, commits, waits for
 * everyone's commitments, answers with its part of the signature. */
static void run_signer(int fd, const char *contract, const struct mig_keyset *keyset,
                       struct frost_session *s, uint32_t id, const char *folder,
                       const char *key_file)
{
    struct mig_secret *key = NULL;
    struct mig_keystore *store = open_store(folder, key_file, contract, MIG_KEYSTORE_READER, &key);
    struct mig_secret *secret = mig_secret_new(keyset->count * MIG_SHARE_LEN);
    struct mig_secret *nonce = mig_secret_new(FROST_NONCE_LEN);
    must(secret != NULL && nonce != NULL, "no locked memory");
    must(mig_keystore_load(store, keyset, (uint8_t(*)[MIG_SHARE_LEN])(void *)secret->bytes) ==
             MIG_OK,
         "a store lacks a share of this keyset");
    const uint8_t *share = secret->bytes + ed25519_domain(keyset) * MIG_SHARE_LEN;

    struct frost_commitment mine;
    must(frost_commit(id, nonce->bytes, &mine), "arithmetic failed");
    transfer(fd, &mine, sizeof mine, true);
    transfer(fd, s->list, s->count * sizeof s->list[0], false);
    uint8_t z[32];
    must(frost_sign(s, id, nonce->bytes, share, z), "a bad commitment, or a participant twice");
    transfer(fd, z, sizeof z, true);
    mig_secret_free(&nonce);
    mig_secret_free(&secret);
    mig_keystore_close(&store);
    mig_secret_free(&key);
    _exit(0);
}

static void load_keyset(const char *path, struct mig_keyset *out)
{
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    json_t *domains = json_object_get(root, "domains");
    must(json_array_size(domains) > 0, "cannot read the keyset file");
    out->epoch = (uint64_t)json_integer_value(json_object_get(root, "epoch_id"));
    out->count = json_array_size(domains);
    out->domains = calloc(out->count, sizeof *out->domains);
    must(out->domains != NULL, "out of memory");
    for (size_t i = 0; i < out->count; i++) {
        json_t *d = json_array_get(domains, i), *key = json_object_get(d, "key");
        const char *text = json_string_value(
            json_object_get(json_object_get(key, "Ed25519"), "near_public_key_compressed"));
        if (text == NULL)
            text = json_string_value(
                json_object_get(json_object_get(key, "Secp256k1"), "near_public_key"));
        must(text != NULL && mig_group_key_parse(text, strlen(text), &out->domains[i]) == MIG_OK,
             "a key does not parse");
        out->domains[i].domain = (uint64_t)json_integer_value(json_object_get(d, "domain_id"));
        out->domains[i].attempt = (uint64_t)json_integer_value(json_object_get(d, "attempt"));
    }
    json_decref(root);
    must(mig_keyset_normalise(out) == MIG_OK, "the keyset is not well-formed");
}

static int sign(int argc, char **argv)
{
    const char *contract = argv[2];
    struct mig_keyset keyset = {0};
    load_keyset(argv[3], &keyset);
    struct frost_session s = {.message = argv[4], .count = (uint32_t)(argc - 5) / 3};
    must(s.count >= 1 && s.count <= SIGNERS_MAX, "too many signers");
    memcpy(s.group_key, keyset.domains[ed25519_domain(&keyset)].key, 32);
    int fds[SIGNERS_MAX];
    for (uint32_t i = 0; i < s.count; i++) {
        int pair[2];
        char **a = argv + 5 + 3 * i;
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "no sockets");
        if (fork() == 0)
            run_signer(pair[1], contract, &keyset, &s, (uint32_t)strtoul(a[0], NULL, 10), a[1],
                       a[2]);
        (void)close(pair[1]);
        fds[i] = pair[0];
    }
    for (uint32_t i = 0; i < s.count; i++)
        transfer(fds[i], &s.list[i], sizeof s.list[i], false);
    for (uint32_t i = 0; i < s.count; i++)
        transfer(fds[i], s.list, s.count * sizeof s.list[0], true);
    uint8_t signature[64];
    must(frost_begin(&s, signature), "a bad commitment");
    for (uint32_t i = 0; i < s.count; i++) {
        uint8_t z[32];
        transfer(fds[i], z, sizeof z, false);
        frost_add(signature, z);
    }
    while (wait(NULL) > 0)
        continue;
    must(mig_signature_is_valid(s.group_key, s.message, strlen(s.message), signature),
         "the signature does not verify under the group key");
    char hex[129];
    must(mig_hex_encode(signature, sizeof signature, hex, sizeof hex) == MIG_OK, "cannot print");
    (void)printf("%s\n", hex);
    mig_keyset_clear(&keyset);
    return 0;
}

static void make_identity(const char *folder, const char *name)
{
    char path[512], text[MIG_KEY_TEXT_MAX];
    struct mig_identity *id = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    must(mig_identity_generate(&id) == MIG_OK && mig_identity_save(path, id) == MIG_OK,
         "cannot make a key file");
    mig_key_format(id->public_key, text);
    (void)printf("%s\n", text);
    mig_identity_free(&id);
}

static int make_keys(const char *folder)
{
    char path[512];
    struct mig_secret *key = mig_secret_new(MIG_KEY_LEN);
    (void)snprintf(path, sizeof path, "%s/store.key", folder);
    must(key != NULL, "no locked memory");
    mig_random(key->bytes, key->len);
    must(mig_symmetric_key_save(path, key) == MIG_OK, "cannot make a key file");
    mig_secret_free(&key);
    make_identity(folder, "identity.key");
    make_identity(folder, "access.key");
    return 0;
}

int main(int argc, char **argv)
{
    must(mig_crypto_init() == MIG_OK, "crypto does not start");
    if (argc == 3 && strcmp(argv[1], "keys") == 0)
        return make_keys(argv[2]);
    if (argc >= 7 && strcmp(argv[1], "deal") == 0 && argc % 2 == 1)
        return deal(argc, argv);
    if (argc >= 8 && strcmp(argv[1], "sign") == 0 && (argc - 5) % 3 == 0)
        return sign(argc, argv);
    die("usage: threshold keys FOLDER | threshold deal CONTRACT EPOCH THRESHOLD STORE KEYFILE... | "
        "threshold sign CONTRACT KEYSET-FILE MESSAGE ID STORE KEYFILE...");
    return 1;
}

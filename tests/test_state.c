/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/state.h"
#include "crypto/encoding.h"
#include "crypto/key.h"
#include "crypto/keyset.h"
#include "tests/harness.h"

#define ALICE_KEY "ed25519:GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB"
#define BOB_KEY "ed25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx"

static const char *const documents[] = {"state-running.json", "state-initializing.json",
                                        "state-resharing.json"};

/* The text with [at, at + len) replaced. */
static char *spliced(const char *text, size_t at, size_t len, const char *with)
{
    char *out = malloc(strlen(text) + strlen(with) + 1);
    sprintf(out, "%.*s%s%s", (int)at, text, with, text + at + len);
    return out;
}

/* The n-th occurrence of `from` replaced. */
static char *swapped(const char *text, int n, const char *from, const char *to)
{
    const char *hit = strstr(text, from);
    for (; n > 0 && hit != NULL; n--)
        hit = strstr(hit + 1, from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(hit);
    return spliced(text, (size_t)(hit - text), strlen(from), to);
}

static enum mig_err parse(const char *text)
{
    struct mig_state state;
    enum mig_err err = mig_state_parse(text, strlen(text), &state);
    if (err != MIG_OK)
        CU_ASSERT(state.keyset.domains == NULL && state.participants.list == NULL &&
                  state.keyset_json == NULL);
    mig_state_clear(&state);
    return err;
}

static void check_swap(const char *name, int n, const char *from, const char *to, enum mig_err want)
{
    char *text = test_data(name, NULL);
    char *changed = swapped(text, n, from, to);
    enum mig_err err = parse(changed);
    CU_ASSERT_EQUAL(err, want);
    if (err != want)
        printf("%s: %s -> %s gives %d\n", name, from, to, err);
    free(changed);
    free(text);
}

static void is_key(const uint8_t key[MIG_KEY_LEN], const char *text)
{
    char out[MIG_KEY_TEXT_MAX];
    mig_key_format(key, out);
    CU_ASSERT_STRING_EQUAL(out, text);
}

static void is_alice_and_bob(const struct mig_participants *set)
{
    CU_ASSERT_EQUAL_FATAL(set->count, 2);
    CU_ASSERT_EQUAL(set->threshold, 2);
    CU_ASSERT_STRING_EQUAL(set->list[0].account, "alice.near");
    CU_ASSERT_STRING_EQUAL(set->list[1].url, "http://bob.example:80");
    CU_ASSERT(set->list[0].id == 0 && set->list[1].id == 1);
    is_key(set->list[0].tls_key, ALICE_KEY);
    is_key(set->list[1].tls_key, BOB_KEY);
}

static struct mig_state read_document(const char *name)
{
    struct mig_state state;
    size_t len;
    char *text = test_data(name, &len);
    CU_ASSERT_EQUAL_FATAL(mig_state_parse(text, len, &state), MIG_OK);
    free(text);
    return state;
}

static void reads_running(void)
{
    struct mig_state s = read_document("state-running.json");
    CU_ASSERT_EQUAL(s.protocol, MIG_PROTOCOL_RUNNING);
    CU_ASSERT(s.keyset.epoch == 5 && s.keyset.count == 3);
    CU_ASSERT(s.keyset.domains[1].domain == 1 && s.keyset.domains[1].attempt == 2);
    CU_ASSERT_EQUAL(s.keyset.domains[0].curve, MIG_CURVE_SECP256K1);
    CU_ASSERT_EQUAL(s.keyset.domains[1].curve, MIG_CURVE_ED25519);
    CU_ASSERT_EQUAL(s.keyset.domains[2].curve, MIG_CURVE_BLS12381G2);
    CU_ASSERT(s.next_domain == 3 && !s.has_cancelled_epoch);
    CU_ASSERT(strncmp(s.keyset_json, "{\"epoch_id\":5,\"domains\":[{", 26) == 0);
    CU_ASSERT(s.prospective.count == 0);
    is_alice_and_bob(&s.participants);
    mig_state_clear(&s);
}

static void the_keyset_digest_is_the_published_one(void)
{
    struct mig_state s = read_document("state-running.json");
    uint8_t digest[MIG_DIGEST_LEN];
    char hex[MIG_HEX_LEN(MIG_DIGEST_LEN)];
    mig_keyset_digest("v1.signer", &s.keyset, digest);
    CU_ASSERT_EQUAL(mig_hex_encode(digest, sizeof digest, hex, sizeof hex), MIG_OK);
    CU_ASSERT_STRING_EQUAL(hex, "619aa27783f185cbd287e7d9af0e80f1f695fb7bf049e499925fd9a694c1a175");
    mig_state_clear(&s);
}

static void reads_initializing(void)
{
    struct mig_state s = read_document("state-initializing.json");
    CU_ASSERT_EQUAL(s.protocol, MIG_PROTOCOL_INITIALIZING);
    CU_ASSERT(s.keyset.count == 0 && s.keyset.epoch == 0 && s.keyset_json == NULL);
    is_alice_and_bob(&s.participants);
    mig_state_clear(&s);
}

static void reads_resharing(void)
{
    struct mig_state s = read_document("state-resharing.json");
    CU_ASSERT_EQUAL(s.protocol, MIG_PROTOCOL_RESHARING);
    CU_ASSERT(s.keyset.count == 1 && s.keyset.epoch == 5 && s.keyset_json != NULL);
    is_alice_and_bob(&s.participants);
    is_alice_and_bob(&s.prospective);
    mig_state_clear(&s);
}

static void reads_not_initialized(void)
{
    CU_ASSERT_EQUAL(parse("\"NotInitialized\""), MIG_OK);
    CU_ASSERT_EQUAL(parse(" \"NotInitialized\"\n"), MIG_OK);
}

static void refuses_what_is_no_state(void)
{
    static const char *const bad[] = {
        "",
        "null",
        "{}",
        "[]",
        "0",
        "\"\"",
        "\"Running\"",
        "\"notinitialized\"",
        "{\"NotInitialized\":null}",
        "{\"Running\":null}",
        "{\"Running\":{}}",
        "{\"Running\":[]}",
        "{\"running\":{}}",
        "{\"Resharing\":{}}",
        "{\"Initializing\":{}}",
        "{\"Other\":{}}",
        "\"NotInitialized\" x",
        "{\"result\":\"NotInitialized\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(parse(bad[i]), MIG_ERR_MALFORMED);
}

/* Calls `each` for every "name": of the text, with its place and length. */
static void for_each_member(const char *text, void (*each)(const char *text, size_t at, size_t len))
{
    for (const char *p = text; (p = strchr(p, '"')) != NULL;) {
        const char *q = strchr(p + 1, '"');
        if (q[1] == ':')
            each(text, (size_t)(p - text), (size_t)(q + 2 - p));
        p = q + 1;
    }
}

static bool is_one_of(const char *text, size_t len, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strlen(*names) + 3 == len && strncmp(text + 1, *names, len - 3) == 0)
            return true;
    return false;
}

static void without_it(const char *text, size_t at, size_t len)
{
    static const char *const optional[] = {"previously_cancelled_resharing_epoch_id",
                                           "per_domain_thresholds", "instance",
                                           "proposal_by_account", NULL};
    /* Of an event's instance the key is optional, of a BLS key it is not. */
    bool may =
        is_one_of(text + at, len, optional) ||
        (strstr(text, "\"Initializing\"") != NULL && strncmp(text + at, "\"public_key\"", 12) == 0);
    char *changed = spliced(text, at + 1, 0, "unknown_");
    enum mig_err err = parse(changed);
    CU_ASSERT_EQUAL(err, may ? MIG_OK : MIG_ERR_MALFORMED);
    if (err != (may ? MIG_OK : MIG_ERR_MALFORMED))
        printf("without %.*s: %d\n", (int)len, text + at, err);
    free(changed);
}

static void every_required_member_is_missed(void)
{
    for (size_t i = 0; i < 3; i++) {
        char *text = test_data(documents[i], NULL);
        for_each_member(text, without_it);
        free(text);
    }
}

static void with_another_type(const char *text, size_t at, size_t len)
{
    static const char *const ignored[] = {"proposal_by_account", NULL};
    static const char *const votes[] = {"parameters_votes", "add_domains_votes", NULL};
    static const char *const lies[] = {"true,", "-1,", "1.5,", "{\"a\":[]},", "[[]],", "\"\","};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char lie[64];
        (void)snprintf(lie, sizeof lie, "%s\"was\":", lies[i]);
        char *changed = spliced(text, at + len, 0, lie);
        enum mig_err err = parse(changed);
        bool harmless = is_one_of(text + at, len, ignored) ||
                        (lies[i][0] == '{' && is_one_of(text + at, len, votes));
        bool url = strncmp(text + at, "\"url\"", 5) == 0 && lies[i][0] == '"';
        CU_ASSERT_EQUAL(err, harmless || url ? MIG_OK : MIG_ERR_MALFORMED);
        if (err != (harmless || url ? MIG_OK : MIG_ERR_MALFORMED))
            printf("%.*s = %s: %d\n", (int)len, text + at, lies[i], err);
        free(changed);
    }
}

static void every_member_of_another_type_is_refused(void)
{
    for (size_t i = 0; i < 3; i++) {
        char *text = test_data(documents[i], NULL);
        for_each_member(text, with_another_type);
        free(text);
    }
}

static void twice(const char *text, size_t at, size_t len)
{
    char again[256];
    (void)snprintf(again, sizeof again, "%.*snull,", (int)len, text + at);
    char *changed = spliced(text, at, 0, again);
    CU_ASSERT_EQUAL(parse(changed), MIG_ERR_MALFORMED);
    free(changed);
    (void)snprintf(again, sizeof again, "\"new\":[{\"a\":1}],%.*s", (int)len, text + at);
    changed = spliced(text, at, len, again);
    /* Unknown members are fine wherever an object has named fields; a tagged
     * enum has exactly one. */
    bool tag = text[at + 1] >= 'A' && text[at + 1] <= 'Z';
    CU_ASSERT_EQUAL(parse(changed), tag ? MIG_ERR_MALFORMED : MIG_OK);
    free(changed);
}

static void a_duplicate_member_is_refused_and_an_unknown_one_ignored(void)
{
    for (size_t i = 0; i < 3; i++) {
        char *text = test_data(documents[i], NULL);
        for_each_member(text, twice);
        free(text);
    }
}

static void every_truncation_is_refused(void)
{
    for (size_t i = 0; i < 3; i++) {
        struct mig_state state;
        size_t len;
        char *text = test_data(documents[i], &len);
        for (size_t n = 0; n + 1 < len; n++) /* the last byte is the newline */
            CU_ASSERT_EQUAL(mig_state_parse(text, n, &state), MIG_ERR_MALFORMED);
        text[len - 1] = 'x';
        CU_ASSERT_EQUAL(mig_state_parse(text, len, &state), MIG_ERR_MALFORMED);
        free(text);
    }
}

static void numbers_are_exact(void)
{
    const char *doc = documents[0];
    check_swap(doc, 0, "\"epoch_id\":5", "\"epoch_id\":18446744073709551615", MIG_OK);
    check_swap(doc, 0, "\"epoch_id\":5", "\"epoch_id\":18446744073709551616", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"epoch_id\":5", "\"epoch_id\":5.0", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"epoch_id\":5", "\"epoch_id\":5e0", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"epoch_id\":5", "\"epoch_id\":\"5\"", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"bob.near\",1,", "\"bob.near\",4294967295,", MIG_OK);
    check_swap(doc, 0, "\"bob.near\",1,", "\"bob.near\",4294967296,", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "_epoch_id\":null", "_epoch_id\":18446744073709551615", MIG_OK);
    check_swap(doc, 0, "_epoch_id\":null", "_epoch_id\":-1", MIG_ERR_MALFORMED);
    char *text = test_data(doc, NULL);
    char *big = swapped(text, 0, "\"attempt\":2", "\"attempt\":18446744073709551615");
    struct mig_state s;
    CU_ASSERT_EQUAL_FATAL(mig_state_parse(big, strlen(big), &s), MIG_OK);
    CU_ASSERT_EQUAL(s.keyset.domains[1].attempt, UINT64_MAX);
    mig_state_clear(&s);
    free(big);
    free(text);
}

static void keys_must_fit(void)
{
    const char *doc = documents[0];
    check_swap(doc, 0, "[226,145", "[225,145", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "[226,145", "[226,145,0", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "[226,145", "[145", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "[226,145", "[482,145", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "secp256k1:4Q", "secp256k1:44Q", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "secp256k1:4Q9aK", "secp256k1:4", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "secp256k1:4Q", "secp256k1:0Q", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"secp256k1:", "\"ed25519:", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"ed25519:GFR", "\"GFR", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "bls12381g2:2", "bls12381g1:2", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "{\"Secp256k1\":", "{\"Secp256r1\":", MIG_ERR_MALFORMED);
    check_swap(doc, 0,
               "\"secp256k1:"
               "4Q9aK3YhZAugWM3vJrePc5CAxL81yEXzkcT5zqSscURArmybYWJyDLhJ6vijgdDr6PfCcc3dgCvG2fgdoTt"
               "FfM7i\"",
               "\"" ALICE_KEY "\"", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "{\"Bls12381\":", "{\"Secp256k1\":", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "ed25519:GmaDrp", "ed25519:G", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "ed25519:Gma", "x25519:Gma", MIG_ERR_MALFORMED);
}

static void domains_and_participants_occur_once(void)
{
    const char *doc = documents[0];
    check_swap(doc, 0, "\"domain_id\":1", "\"domain_id\":0", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"bob.near\",1,", "\"bob.near\",0,", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"bob.near\",1,", "\"alice.near\",1,", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"bob.near\",1,", "\"Bob.near\",1,", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"bob.near\",1,", "\"bob.near\\n\",1,", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"bob.near\",1,", "\"bob.near\",1,1,", MIG_ERR_MALFORMED);
    check_swap(doc, 0, "\"bob.near\",1,", "\"bob.near\",", MIG_ERR_MALFORMED);
    check_swap(documents[1], 0, "\"generated_keys\":[", "\"generated_keys\":[{},",
               MIG_ERR_MALFORMED);
    check_swap(documents[2], 1, "\"bob.near\",1,", "\"alice.near\",1,", MIG_ERR_MALFORMED);
}

static void sets_are_sorted(void)
{
    char *text = test_data(documents[0], NULL);
    char *one = swapped(text, 0, "\"domain_id\":0", "\"domain_id\":9");
    char *two = swapped(one, 0, "\"alice.near\",0", "\"alice.near\",7");
    struct mig_state s;
    CU_ASSERT_EQUAL_FATAL(mig_state_parse(two, strlen(two), &s), MIG_OK);
    CU_ASSERT(s.keyset.domains[0].domain == 1 && s.keyset.domains[2].domain == 9);
    CU_ASSERT(s.participants.list[0].id == 1 && s.participants.list[1].id == 7);
    CU_ASSERT_STRING_EQUAL(s.participants.list[0].account, "bob.near");
    CU_ASSERT(strstr(s.keyset_json, "\"domain_id\":9") < strstr(s.keyset_json, "\"domain_id\":1"));
    mig_state_clear(&s);
    free(two);
    free(one);
    free(text);
}

static void a_nonsense_url_blinds_nobody(void)
{
    static const char *const urls[] = {"\"bob.example:80", "\"ftp://b", "\"http://b\\r\\nHost: c",
                                       "\"http://b/?q=\\u0000", "\"http://169.254.1"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char *text = test_data(documents[0], NULL);
        char *changed = swapped(text, 0, "\"http://bob.example:80", urls[i]);
        struct mig_state s;
        CU_ASSERT_EQUAL_FATAL(mig_state_parse(changed, strlen(changed), &s), MIG_OK);
        CU_ASSERT_STRING_EQUAL(s.participants.list[1].url, "");
        CU_ASSERT_STRING_EQUAL(s.participants.list[0].url, "http://alice.example:80");
        mig_state_clear(&s);
        free(changed);
        free(text);
    }
}

static void tolerates_what_other_contracts_write(void)
{
    check_swap(documents[0], 0, "\"id\":0,", "\"id\":0,\"curve\":\"Secp256k1\",", MIG_OK);
    check_swap(documents[0], 0, ",\"previously_cancelled_resharing_epoch_id\":null", "", MIG_OK);
    check_swap(documents[2], 0, ",\"per_domain_thresholds\":{}", "", MIG_OK);
    check_swap(documents[2], 0, "\"per_domain_thresholds\":{}",
               "\"per_domain_thresholds\":{\"0\":2,\"10\":3}", MIG_OK);
    check_swap(documents[2], 0, "\"per_domain_thresholds\":{}",
               "\"per_domain_thresholds\":{\"a\":2}", MIG_ERR_MALFORMED);
    check_swap(documents[2], 0, "\"per_domain_thresholds\":{}",
               "\"per_domain_thresholds\":{\"\":2}", MIG_ERR_MALFORMED);
    check_swap(documents[2], 0, "\"cancellation_requests\":[]",
               "\"cancellation_requests\":[\"b.near\",\"a.near\"]", MIG_OK);
    check_swap(documents[2], 0, "\"cancellation_requests\":[]", "\"cancellation_requests\":[\"B\"]",
               MIG_ERR_MALFORMED);
    check_swap(documents[1], 0,
               "\"public_key\":{\"Ed25519\":", "\"public_key\":null,\"x\":{\"Ed25519\":", MIG_OK);
    check_swap(documents[0], 0, "\"CaitSith\"", "\"Unknown\"", MIG_ERR_MALFORMED);
    check_swap(documents[0], 0, "\"Sign\"", "\"Sing\"", MIG_ERR_MALFORMED);
    check_swap(documents[0], 0, "\"parameters_votes\":{\"proposal_by_account\":{}}",
               "\"parameters_votes\":{\"proposal_by_account\":{\"a.near\":{\"x\":1}}}", MIG_OK);
}

/* A `state` of about 200 kB: 800 domains. */
static char *large_state(size_t domains)
{
    char *text = test_data(documents[0], NULL);
    char *list = malloc(domains * 256 + 1), *p = list;
    const char *key =
        "secp256k1:4Q9aK3YhZAugWM3vJrePc5CAxL81yEXzkcT5zqSscURArmybYWJyDLhJ6vijgdDr6PfCcc3"
        "dgCvG2fgdoTtFfM7i";
    for (size_t i = 0; i < domains; i++)
        p += sprintf(p,
                     "{\"domain_id\":%zu,\"key\":{\"Secp256k1\":{\"near_public_key\":\"%s\"}},"
                     "\"attempt\":1},",
                     i + 100, key);
    *p = '\0';
    char *out = swapped(text, 0, "{\"domain_id\":0", "");
    char *with = malloc(strlen(list) + 32);
    sprintf(with, "%s{\"domain_id\":0", list);
    free(out);
    out = swapped(text, 0, "{\"domain_id\":0", with);
    free(with);
    free(list);
    free(text);
    return out;
}

static void reads_200_kilobytes(void)
{
    char *text = large_state(1000);
    struct mig_state s;
    CU_ASSERT(strlen(text) > 150000);
    CU_ASSERT_EQUAL_FATAL(mig_state_parse(text, strlen(text), &s), MIG_OK);
    CU_ASSERT_EQUAL(s.keyset.count, 1003);
    mig_state_clear(&s);
    free(text);
    text = large_state(MIG_DOMAINS_MAX);
    CU_ASSERT_EQUAL(parse(text), MIG_ERR_MALFORMED);
    free(text);
}

static void refuses_too_many_participants(void)
{
    char *text = test_data(documents[0], NULL);
    size_t room = (MIG_PARTICIPANTS_MAX + 1) * 128;
    char *list = malloc(room), *p = list;
    for (int i = 0; i < MIG_PARTICIPANTS_MAX - 1; i++)
        p += sprintf(p, "[\"p%d\",%d,{\"url\":\"\",\"tls_public_key\":\"" BOB_KEY "\"}],", i,
                     i + 10);
    *p = '\0';
    char *with = malloc(room + 32);
    sprintf(with, "%s[\"alice.near\"", list);
    char *many = swapped(text, 0, "[\"alice.near\"", with);
    CU_ASSERT_EQUAL(parse(many), MIG_ERR_MALFORMED);
    char *fits =
        swapped(many, 0, "[\"p0\",10,{\"url\":\"\",\"tls_public_key\":\"" BOB_KEY "\"}],", "");
    CU_ASSERT_EQUAL(parse(fits), MIG_OK);
    free(fits);
    free(many);
    free(with);
    free(list);
    free(text);
}

static void refuses_a_state_over_the_limit(void)
{
    char *text = test_data(documents[0], NULL);
    size_t len = strlen(text);
    char *padded = malloc(MIG_STATE_MAX + 1);
    memset(padded, ' ', MIG_STATE_MAX + 1);
    memcpy(padded, text, len);
    struct mig_state s;
    CU_ASSERT_EQUAL(mig_state_parse(padded, MIG_STATE_MAX, &s), MIG_OK);
    mig_state_clear(&s);
    CU_ASSERT_EQUAL(mig_state_parse(padded, MIG_STATE_MAX + 1, &s), MIG_ERR_MALFORMED);
    free(padded);
    free(text);
}

/* ---- migration_info, recovery_info, ephemeral_keys, version ---- */

static struct mig_info read_info(const char *account)
{
    struct mig_info info;
    size_t len;
    char *text = test_data("migration-info.json", &len);
    CU_ASSERT_EQUAL(mig_migration_info_parse(text, len, account, &info), MIG_OK);
    free(text);
    return info;
}

static void reads_migration_info(void)
{
    struct mig_info alice = read_info("alice.near"), bob = read_info("bob.near"),
                    carol = read_info("carol.near"), dave = read_info("dave.near");
    CU_ASSERT(alice.has_service_key && !alice.has_destination);
    is_key(alice.service_key, ALICE_KEY);
    CU_ASSERT(!bob.has_service_key && bob.has_destination && !bob.has_epoch);
    is_key(bob.destination.signer_key, BOB_KEY);
    is_key(bob.destination.tls_key, ALICE_KEY);
    CU_ASSERT_STRING_EQUAL(bob.destination.url, "http://new.example:80");
    CU_ASSERT(carol.has_service_key && carol.has_destination);
    CU_ASSERT(!dave.has_service_key && !dave.has_destination);
}

static void refuses_what_is_no_migration_info(void)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{\"alice.near\":null}",
        "{\"alice.near\":{}}",
        "{\"alice.near\":[]}",
        "{\"alice.near\":[null]}",
        "{\"alice.near\":[null,null,null]}",
        "{\"alice.near\":[{},null]}",
        "{\"alice.near\":[{\"public_key\":1},null]}",
        "{\"alice.near\":[{\"public_key\":\"\"},null]}",
        "{\"alice.near\":[{\"public_key\":\"" ALICE_KEY "1\"},null]}",
        "{\"alice.near\":[null,{}]}",
        "{\"alice.near\":[null,null],\"alice.near\":[null,null]}",
        "{\"bob.near\":[null]}",
        "{\"alice.near\":[null,{\"signer_account_pk\":\"" BOB_KEY "\"}]}",
        "{\"alice.near\":[null,{\"signer_account_pk\":\"" BOB_KEY
        "\",\"destination_node_info\":{\"url\":\"\"}}]}",
        "{\"alice.near\":[null,null]} {}",
    };
    struct mig_info info;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(mig_migration_info_parse(bad[i], strlen(bad[i]), "alice.near", &info),
                        MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_migration_info_parse("{}", 2, "alice.near", &info), MIG_OK);
}

static const char recovery[] =
    "{\"backup_services\":{\"alice.near\":{\"public_key\":\"" ALICE_KEY
    "\"}},\"recoveries\":{\"alice.near\":{"
    "\"epoch_id\":18446744073709551615,\"participant_info\":{\"url\":\"http://new.example:80\","
    "\"tls_public_key\":\"" BOB_KEY "\"},\"node_account_public_key\":\"" ALICE_KEY "\"}}}";

static void reads_recovery_info(void)
{
    struct mig_info info;
    CU_ASSERT_EQUAL(mig_recovery_info_parse(recovery, strlen(recovery), "alice.near", &info),
                    MIG_OK);
    CU_ASSERT(info.has_service_key && info.has_destination && info.has_epoch);
    CU_ASSERT_EQUAL(info.epoch, UINT64_MAX);
    is_key(info.destination.tls_key, BOB_KEY);
    is_key(info.destination.signer_key, ALICE_KEY);
    CU_ASSERT_EQUAL(mig_recovery_info_parse(recovery, strlen(recovery), "bob.near", &info), MIG_OK);
    CU_ASSERT(!info.has_service_key && !info.has_destination && !info.has_epoch);
}

static void every_required_member_of_recovery_info_is_missed(void)
{
    static const char *const names[] = {
        "backup_services",  "public_key", "recoveries",     "epoch_id",
        "participant_info", "url",        "tls_public_key", "node_account_public_key"};
    struct mig_info info;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char from[64], to[64];
        (void)snprintf(from, sizeof from, "\"%s\":", names[i]);
        (void)snprintf(to, sizeof to, "\"x%s\":", names[i]);
        char *changed = swapped(recovery, 0, from, to);
        CU_ASSERT_EQUAL(mig_recovery_info_parse(changed, strlen(changed), "alice.near", &info),
                        MIG_ERR_MALFORMED);
        CU_ASSERT(!info.has_service_key && !info.has_destination);
        free(changed);
    }
}

static void the_dialects_exclude_each_other(void)
{
    struct mig_info info;
    size_t len;
    char *text = test_data("migration-info.json", &len);
    CU_ASSERT_EQUAL(mig_recovery_info_parse(text, len, "alice.near", &info), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_recovery_info_parse("{}", 2, "alice.near", &info), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_migration_info_parse(recovery, strlen(recovery), "alice.near", &info),
                    MIG_ERR_MALFORMED);
    static const char empty[] = "{\"backup_services\":{},\"recoveries\":{}}";
    CU_ASSERT_EQUAL(mig_migration_info_parse(empty, sizeof empty - 1, "alice.near", &info),
                    MIG_ERR_MALFORMED);
    free(text);
}

static enum mig_err read_published(const char *text, struct mig_published *p)
{
    return mig_ephemeral_keys_parse(text, strlen(text), "alice.near", p);
}

static void reads_ephemeral_keys(void)
{
    struct mig_published p;
    CU_ASSERT_EQUAL(
        read_published(
            "{\"alice.near\":{\"node\":\"x25519:US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx\","
            "\"service\":null},\"b.near\":{\"node\":null,\"service\":null}}",
            &p),
        MIG_OK);
    CU_ASSERT(p.has_node && !p.has_service);
    CU_ASSERT_EQUAL(read_published("{}", &p), MIG_OK);
    CU_ASSERT(!p.has_node && !p.has_service);
    CU_ASSERT_EQUAL(read_published("{\"alice.near\":{\"node\":\"" BOB_KEY "\"}}", &p),
                    MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(read_published("{\"alice.near\":{\"node\":\"x25519:US5\"}}", &p),
                    MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(read_published("{\"alice.near\":{\"node\":1}}", &p), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(read_published("{\"alice.near\":null}", &p), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(read_published("[]", &p), MIG_ERR_MALFORMED);
    CU_ASSERT(!p.has_node);
}

static void reads_versions(void)
{
    char out[MIG_VERSION_MAX + 1];
    CU_ASSERT_EQUAL(mig_version_parse("\"3.14.1\"", 8, out), MIG_OK);
    CU_ASSERT_STRING_EQUAL(out, "3.14.1");
    static const char *const bad[] = {"",         "3.14",        "\"\"", "\"3 14\"",
                                      "\"3\\n\"", "\"\\u00e4\"", "null", "\"3\"x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(mig_version_parse(bad[i], strlen(bad[i]), out), MIG_ERR_MALFORMED);
        CU_ASSERT_STRING_EQUAL(out, "");
    }
}

int main(void)
{
    static const struct test tests[] = {
        TEST(reads_running),
        TEST(the_keyset_digest_is_the_published_one),
        TEST(reads_initializing),
        TEST(reads_resharing),
        TEST(reads_not_initialized),
        TEST(refuses_what_is_no_state),
        TEST(every_required_member_is_missed),
        TEST(every_member_of_another_type_is_refused),
        TEST(a_duplicate_member_is_refused_and_an_unknown_one_ignored),
        TEST(every_truncation_is_refused),
        TEST(numbers_are_exact),
        TEST(keys_must_fit),
        TEST(domains_and_participants_occur_once),
        TEST(sets_are_sorted),
        TEST(a_nonsense_url_blinds_nobody),
        TEST(tolerates_what_other_contracts_write),
        TEST(reads_200_kilobytes),
        TEST(refuses_too_many_participants),
        TEST(refuses_a_state_over_the_limit),
        TEST(reads_migration_info),
        TEST(refuses_what_is_no_migration_info),
        TEST(reads_recovery_info),
        TEST(every_required_member_of_recovery_info_is_missed),
        TEST(the_dialects_exclude_each_other),
        TEST(reads_ephemeral_keys),
        TEST(reads_versions),
    };
    return run_tests("state", tests, sizeof tests / sizeof *tests);
}

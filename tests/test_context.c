/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/context.h"

#define NODE "ed25519:4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"    /* 32 times 1 */
#define SERVICE "ed25519:8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR" /* 32 times 2 */
#define KEYSET ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=:"
#define HEAD                                                                                       \
    "contract=\"v1.signer\", account=\"alice.near\", node=\"" NODE "\", service=\"" SERVICE "\""
#define MINIMAL HEAD ", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET
#define OPERATOR ", operator-key=:AQIDBAUGBwg=:"
#define CLIENT ", client-key=" KEYSET
#define NODE_KEY ", node-key=" KEYSET
#define FULL MINIMAL OPERATOR CLIENT NODE_KEY

static enum mig_err parse(const char *text, struct mig_context *out)
{
    size_t len = strlen(text);
    char *exact = malloc(len != 0 ? len : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, text, len);
    enum mig_err err = mig_context_parse(exact, len, out);
    free(exact);
    return err;
}

static void refuses(const char *text)
{
    static const struct mig_context empty;
    struct mig_context context;
    memset(&context, 0xff, sizeof context);
    enum mig_err err = parse(text, &context);
    CU_ASSERT_EQUAL(err, MIG_ERR_MALFORMED);
    CU_ASSERT(memcmp(&context, &empty, sizeof empty) == 0);
    if (err != MIG_ERR_MALFORMED)
        fprintf(stderr, "accepted: %s\n", text);
}

static void returns_unchanged(const char *text)
{
    struct mig_context context;
    char out[MIG_CONTEXT_MAX + 1];
    size_t len = 0;
    CU_ASSERT_EQUAL_FATAL(parse(text, &context), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_context_format(&context, out, sizeof out, &len), MIG_OK);
    CU_ASSERT_STRING_EQUAL(out, text);
    CU_ASSERT_EQUAL(len, strlen(text));
}

static void reads_every_member(void)
{
    struct mig_context c;
    CU_ASSERT_EQUAL_FATAL(parse(FULL, &c), MIG_OK);
    CU_ASSERT_STRING_EQUAL(c.contract, "v1.signer");
    CU_ASSERT_STRING_EQUAL(c.account, "alice.near");
    uint8_t ones[32], twos[32], sevens[32];
    memset(ones, 1, 32);
    memset(twos, 2, 32);
    memset(sevens, 7, 32);
    static const uint8_t tag[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    CU_ASSERT(memcmp(c.node, ones, 32) == 0);
    CU_ASSERT(memcmp(c.service, twos, 32) == 0);
    CU_ASSERT(memcmp(c.keyset, sevens, 32) == 0);
    CU_ASSERT(memcmp(c.client_key, sevens, 32) == 0);
    CU_ASSERT(memcmp(c.node_key, sevens, 32) == 0);
    CU_ASSERT(memcmp(c.operator_tag, tag, 8) == 0);
    CU_ASSERT_EQUAL(c.epoch, 5);
    CU_ASSERT_EQUAL(c.direction, MIG_BACKUP);
    CU_ASSERT_EQUAL(c.announce, MIG_ANNOUNCE_HEADER);
    CU_ASSERT(c.has_operator_tag && c.has_client_key && c.has_node_key);
}

static void every_combination_of_keys_returns_unchanged(void)
{
    for (unsigned set = 0; set < 8; set++) {
        char text[MIG_CONTEXT_MAX + 1];
        struct mig_context c;
        (void)snprintf(text, sizeof text, "%s%s%s%s", MINIMAL, set & 1 ? OPERATOR : "",
                       set & 2 ? CLIENT : "", set & 4 ? NODE_KEY : "");
        returns_unchanged(text);
        CU_ASSERT_EQUAL(parse(text, &c), MIG_OK);
        CU_ASSERT_EQUAL(c.has_operator_tag, (set & 1) != 0);
        CU_ASSERT_EQUAL(c.has_client_key, (set & 2) != 0);
        CU_ASSERT_EQUAL(c.has_node_key, (set & 4) != 0);
    }
    returns_unchanged(HEAD ", direction=recover, announce=contract, epoch=\"0\", keyset=" KEYSET);
    returns_unchanged(
        HEAD
        ", direction=recover, announce=header, epoch=\"18446744073709551615\", keyset=" KEYSET);
    returns_unchanged("contract=\"\", account=\"\", node=\"" NODE "\", service=\"" SERVICE
                      "\", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET);
}

static void refuses_every_prefix_and_every_extension(void)
{
    char text[MIG_CONTEXT_MAX + 1];
    size_t accepted = 0, full = strlen(FULL);
    struct mig_context c;
    for (size_t len = 0; len < full; len++) {
        (void)snprintf(text, sizeof text, "%.*s", (int)len, FULL);
        accepted += parse(text, &c) == MIG_OK;
    }
    CU_ASSERT_EQUAL(accepted, 3); /* before each optional member */
    static const char *const more[] = {
        " ", ",", ", ", ", x", ";a", "\n", (", node-key=" KEYSET), ", zzz=1"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        (void)snprintf(text, sizeof text, "%s%s", FULL, more[i]);
        refuses(text);
    }
}

/* One exact form: no octet can be another without changing what it says. */
static void every_changed_octet_is_refused_or_changes_the_meaning(void)
{
    static const unsigned char others[] = {' ', '"', '\\', ',',  '=',  ':',
                                           ';', 'A', '0',  '\t', 0x80, '\n'};
    char text[] = FULL, out[MIG_CONTEXT_MAX + 1];
    struct mig_context c;
    size_t len;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char kept = text[i];
        for (size_t k = 0; k < sizeof others; k++) {
            text[i] = (char)others[k];
            if (parse(text, &c) != MIG_OK)
                continue;
            CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_OK);
            CU_ASSERT_STRING_EQUAL(out, text);
        }
        text[i] = kept;
    }
}

static void refuses_members_in_another_order_or_form(void)
{
    static const char *const bad[] = {
        "",
        " " MINIMAL,
        MINIMAL CLIENT OPERATOR,
        MINIMAL NODE_KEY CLIENT,
        MINIMAL OPERATOR OPERATOR,
        "account=\"alice.near\", contract=\"v1.signer\", node=\"" NODE "\", service=\"" SERVICE
        "\", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=\"backup\", announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=restore, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=backup, announce=none, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=backups, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=backup, announce=headers, epoch=\"5\", keyset=" KEYSET,
        HEAD ",direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ",  direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ",\tdirection=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ";v=1, direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=backup;x, announce=header, epoch=\"5\", keyset=" KEYSET,
        HEAD ", announce=header, direction=backup, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=backup, epoch=\"5\", keyset=" KEYSET,
        HEAD ", direction=backup, announce=header, keyset=" KEYSET,
        HEAD ", direction=backup, announce=header, epoch=\"5\"",
        HEAD ", direction=backup, announce=header, epoch=\"5\", keyset=::",
        "contract=\"v1.signer\", account=\"alice.near\", service=\"" SERVICE "\", node=\"" NODE
        "\", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
        "contract=v1.signer, account=\"alice.near\"",
        "contract=\"v1.signer, account=\"alice.near\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuses(bad[i]);
}

static void refuses_epochs_that_are_not_a_u64(void)
{
    static const char *const epochs[] = {"",
                                         "05",
                                         "00",
                                         "-1",
                                         "+1",
                                         " 5",
                                         "5 ",
                                         "0x5",
                                         "5.0",
                                         "18446744073709551616",
                                         "99999999999999999999",
                                         "100000000000000000000",
                                         "1e3",
                                         "a",
                                         ":"};
    for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++) {
        char text[MIG_CONTEXT_MAX + 1];
        (void)snprintf(text, sizeof text,
                       HEAD ", direction=backup, announce=header, epoch=\"%s\", keyset=" KEYSET,
                       epochs[i]);
        refuses(text);
    }
    refuses(HEAD ", direction=backup, announce=header, epoch=5, keyset=" KEYSET);
}

static void refuses_byte_sequences_of_another_length_or_form(void)
{
    static const char *const bytes[] = {
        ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw==:",
        ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH:",
        ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc:",
        ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd=:",
        ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw-=:",
        "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        "\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"",
        ":BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
    };
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        char text[MIG_CONTEXT_MAX + 1];
        (void)snprintf(text, sizeof text,
                       HEAD ", direction=backup, announce=header, epoch=\"5\", keyset=%s",
                       bytes[i]);
        refuses(text);
        (void)snprintf(text, sizeof text, MINIMAL ", client-key=%s", bytes[i]);
        refuses(text);
        (void)snprintf(text, sizeof text, MINIMAL ", node-key=%s", bytes[i]);
        refuses(text);
    }
    refuses(MINIMAL ", operator-key=:AQIDBAUGBw==:");
    refuses(MINIMAL ", operator-key=:AQIDBAUGBwgJ:");
    refuses(MINIMAL ", operator-key=" KEYSET);
}

static void refuses_keys_that_are_none(void)
{
    static const char *const keys[] = {"",
                                       "ed25519:",
                                       "ed25519:14vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi",
                                       "secp256k1:4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi",
                                       "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi",
                                       "ed25519:0",
                                       ("x25519:" NODE)};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char text[MIG_CONTEXT_MAX + 1];
        (void)snprintf(
            text, sizeof text,
            "contract=\"v1.signer\", account=\"alice.near\", node=\"%s\", service=\"" SERVICE
            "\", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
            keys[i]);
        refuses(text);
        (void)snprintf(
            text, sizeof text,
            "contract=\"v1.signer\", account=\"alice.near\", node=\"" NODE
            "\", service=\"%s\", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
            keys[i]);
        refuses(text);
    }
}

static void accounts_have_up_to_64_plain_characters(void)
{
    for (int len = 63; len <= 66; len++) {
        char text[MIG_CONTEXT_MAX + 1], account[80] = "";
        memset(account, 'a', (size_t)len);
        account[len] = '\0';
        (void)snprintf(text, sizeof text,
                       "contract=\"%s\", account=\"%s\", node=\"" NODE "\", service=\"" SERVICE
                       "\", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
                       account, account);
        if (len <= MIG_ACCOUNT_MAX)
            returns_unchanged(text);
        else
            refuses(text);
    }
    for (int c = 1; c < 256; c++) {
        char text[MIG_CONTEXT_MAX + 1];
        (void)snprintf(text, sizeof text,
                       "contract=\"v1\", account=\"a%cb\", node=\"" NODE "\", service=\"" SERVICE
                       "\", direction=backup, announce=header, epoch=\"5\", keyset=" KEYSET,
                       c);
        if (c >= '!' && c <= '~' && c != '"' && c != '\\')
            returns_unchanged(text);
        else
            refuses(text);
    }
}

static void refuses_more_than_the_limit(void)
{
    struct mig_context c;
    char text[MIG_CONTEXT_MAX + 2] = FULL;
    memset(text + strlen(FULL), ' ', sizeof text - strlen(FULL));
    CU_ASSERT_EQUAL(mig_context_parse(text, sizeof text, &c), MIG_ERR_MALFORMED);
}

static void formats_only_what_can_be_parsed(void)
{
    struct mig_context good, c;
    char out[MIG_CONTEXT_MAX + 1];
    size_t len;
    CU_ASSERT_EQUAL_FATAL(parse(FULL, &good), MIG_OK);
    c = good;
    strcpy(c.account, "a\"b");
    CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_ERR_MALFORMED);
    c = good;
    strcpy(c.contract, "a\\b");
    CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_ERR_MALFORMED);
    c = good;
    memset(c.contract, 'a', sizeof c.contract); /* no NUL */
    CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_ERR_MALFORMED);
    c = good;
    memset(c.account, 'a', sizeof c.account);
    CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_ERR_MALFORMED);
    c = good;
    c.direction = (enum mig_direction)0;
    CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_ERR_MALFORMED);
    c = good;
    c.announce = (enum mig_announce)3;
    CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(len, 0);
}

static void formats_into_exactly_enough_room(void)
{
    struct mig_context c;
    size_t len, full = strlen(FULL);
    CU_ASSERT_EQUAL_FATAL(parse(FULL, &c), MIG_OK);
    for (size_t cap = 0; cap <= full + 1; cap++) {
        char *exact = malloc(cap != 0 ? cap : 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        CU_ASSERT_EQUAL(mig_context_format(&c, exact, cap, &len),
                        cap <= full ? MIG_ERR_BUG : MIG_OK);
        CU_ASSERT_EQUAL(len, cap <= full ? 0 : full);
        if (cap > 0)
            CU_ASSERT_STRING_EQUAL(exact, cap <= full ? "" : FULL);
        free(exact);
    }
    memset(c.account, 'a', MIG_ACCOUNT_MAX);
    memset(c.contract, 'b', MIG_ACCOUNT_MAX);
    memset(c.node, 0xff, sizeof c.node);
    memset(c.service, 0xff, sizeof c.service);
    c.epoch = UINT64_MAX;
    c.announce = MIG_ANNOUNCE_CONTRACT;
    c.direction = MIG_RECOVER;
    char out[MIG_CONTEXT_MAX + 1];
    CU_ASSERT_EQUAL(mig_context_format(&c, out, sizeof out, &len), MIG_OK);
    CU_ASSERT(len < MIG_CONTEXT_MAX);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(reads_every_member),
        TEST(every_combination_of_keys_returns_unchanged),
        TEST(refuses_every_prefix_and_every_extension),
        TEST(every_changed_octet_is_refused_or_changes_the_meaning),
        TEST(refuses_members_in_another_order_or_form),
        TEST(refuses_epochs_that_are_not_a_u64),
        TEST(refuses_byte_sequences_of_another_length_or_form),
        TEST(refuses_keys_that_are_none),
        TEST(accounts_have_up_to_64_plain_characters),
        TEST(refuses_more_than_the_limit),
        TEST(formats_only_what_can_be_parsed),
        TEST(formats_into_exactly_enough_room),
    };
    return run_tests("context", tests, sizeof tests / sizeof *tests);
}

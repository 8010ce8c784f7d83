/* SPDX-License-Identifier: MIT */
/* The signature base, held against the RFC's ed25519 vectors and, with the
 * same key, vectors of the forms that this project uses. */
#include "tests/harness.h"
#include "tests/signed.h"

static const uint8_t rfc_seed[MIG_SEED_LEN] = {
    0x9f, 0x83, 0x62, 0xf8, 0x7a, 0x48, 0x4a, 0x95, 0x4e, 0x6e, 0x74, 0x0c, 0x5b, 0x4c, 0x0e, 0x84,
    0x22, 0x91, 0x39, 0xa2, 0x0a, 0xa8, 0xab, 0x56, 0xff, 0x66, 0x58, 0x6f, 0x6a, 0x7d, 0x29, 0xc5};
static const char rfc_public[] = "26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb";

struct vector {
    const struct mig_message *message;
    const char *inner, *base, *signature;
};

static char built[MIG_SIG_BASE_MAX];
static size_t built_len;

static enum mig_err build(const struct mig_message *m, const char *inner)
{
    static char field[MIG_SIG_FIELD_MAX + 1];
    struct mig_signature_input input;
    (void)snprintf(field, sizeof field, "sig=%s", inner);
    enum mig_err err = mig_signature_input_parse(text(field), &input);
    return err == MIG_OK ? mig_base_build(m, &input, built, sizeof built, &built_len) : err;
}

static bool verifies(const struct mig_identity *id, const char *signature)
{
    uint8_t bytes[MIG_SIG_LEN];
    size_t len;
    return mig_base64_decode(signature, strlen(signature), bytes, sizeof bytes, &len) == MIG_OK &&
           mig_signature_is_valid(id->public_key, built, built_len, bytes);
}

static void check_vector(const struct vector *v)
{
    struct mig_identity *id;
    char base64[MIG_BASE64_LEN(MIG_SIG_LEN)], public_hex[MIG_HEX_LEN(MIG_KEY_LEN)];
    uint8_t bytes[MIG_SIG_LEN];
    CU_ASSERT_FATAL(mig_identity_from_seed(rfc_seed, &id) == MIG_OK);
    CU_ASSERT(mig_hex_encode(id->public_key, MIG_KEY_LEN, public_hex, sizeof public_hex) == MIG_OK);
    CU_ASSERT_STRING_EQUAL(public_hex, rfc_public);
    CU_ASSERT_FATAL(build(v->message, v->inner) == MIG_OK);
    CU_ASSERT_EQUAL(built_len, strlen(v->base));
    CU_ASSERT_NSTRING_EQUAL(built, v->base, built_len);
    CU_ASSERT(mig_identity_sign(id, built, built_len, bytes) == MIG_OK);
    CU_ASSERT(mig_base64_encode(bytes, sizeof bytes, base64, sizeof base64) == MIG_OK);
    CU_ASSERT_STRING_EQUAL(base64, v->signature);
    CU_ASSERT(verifies(id, v->signature));
    mig_identity_free(&id);
}

static void builds_the_rfcs_ed25519_example(void)
{
    struct mig_field fields[8];
    struct mig_message m = {.method = MIG_TEXT("POST"),
                            .target = MIG_TEXT("/foo?param=Value&Pet=dog"),
                            .authority = MIG_TEXT("example.com")};
    add_field(&m, fields, "Host", "example.com");
    add_field(&m, fields, "Date", "Tue, 20 Apr 2021 02:07:55 GMT");
    add_field(&m, fields, "Content-Type", "application/json");
    add_field(&m, fields, "Content-Digest", HELLO_SHA512);
    add_field(&m, fields, "Content-Length", "18");
    const struct vector v = {
        &m,
        "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")"
        ";created=1618884473;keyid=\"test-key-ed25519\"",
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"
        "\"@method\": POST\n"
        "\"@path\": /foo\n"
        "\"@authority\": example.com\n"
        "\"content-type\": application/json\n"
        "\"content-length\": 18\n"
        "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" "
        "\"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="};
    check_vector(&v);
}

#define TRANSFORM_INNER                                                                            \
    "(\"@method\" \"@path\" \"@authority\" "                                                       \
    "\"accept\");created=1618884473;keyid=\"test-key-ed25519\""
#define TRANSFORM_SIGNATURE                                                                        \
    "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA=="

static struct mig_message transform_message(struct mig_field *fields)
{
    struct mig_message m = {.method = MIG_TEXT("GET"),
                            .target = MIG_TEXT("/demo?name1=Value1&Name2=value2"),
                            .authority = MIG_TEXT("example.org")};
    add_field(&m, fields, "Host", "example.org");
    add_field(&m, fields, "Accept", "application/json");
    add_field(&m, fields, "Accept", "*/*");
    return m;
}

static void builds_the_rfcs_transformed_example(void)
{
    struct mig_field fields[8];
    struct mig_message m = transform_message(fields);
    const struct vector v = {&m, TRANSFORM_INNER,
                             "\"@method\": GET\n"
                             "\"@path\": /demo\n"
                             "\"@authority\": example.org\n"
                             "\"accept\": application/json, */*\n"
                             "\"@signature-params\": " TRANSFORM_INNER,
                             TRANSFORM_SIGNATURE};
    check_vector(&v);
}

static bool transformed_verifies(const struct mig_message *m)
{
    struct mig_identity *id;
    if (mig_identity_from_seed(rfc_seed, &id) != MIG_OK || build(m, TRANSFORM_INNER) != MIG_OK)
        return false;
    bool valid = verifies(id, TRANSFORM_SIGNATURE);
    mig_identity_free(&id);
    return valid;
}

static void bears_the_rfcs_harmless_transformations(void)
{
    struct mig_field fields[8];
    struct mig_message m = transform_message(fields);
    m.target = MIG_TEXT("/demo?name1=Value1&Name2=value2&param=added");
    add_field(&m, fields, "Accept-Language", "en-US,en;q=0.5");
    CU_ASSERT(transformed_verifies(&m));

    m = transform_message(fields);
    m.field_count = 1;
    add_field(&m, fields, "Referer", "https://developer.example.org/demo");
    add_field(&m, fields, "Accept", "application/json, */*");
    CU_ASSERT(transformed_verifies(&m));

    m = transform_message(fields);
    struct mig_field host = fields[0];
    fields[0] = fields[1];
    fields[1] = fields[2];
    fields[2] = host;
    CU_ASSERT(transformed_verifies(&m));
}

static void notices_the_rfcs_harmful_transformations(void)
{
    struct mig_field fields[8];
    struct mig_message m = transform_message(fields);
    m.method = MIG_TEXT("POST");
    m.authority = MIG_TEXT("example.com");
    CU_ASSERT_FALSE(transformed_verifies(&m));

    m = transform_message(fields);
    struct mig_field accept = fields[1];
    fields[1] = fields[2];
    fields[2] = accept;
    CU_ASSERT_FALSE(transformed_verifies(&m));
}

#define TAIL                                                                                       \
    ";created=1618884473;expires=1618884533;nonce=\"" NONCE                                        \
    "\";keyid=\"test-key-ed25519\";tag=\"near-mpc-migration-v1\""

static void builds_a_get_with_query(void)
{
    struct mig_message m = {.method = MIG_TEXT("GET"),
                            .target = MIG_TEXT("/shares_backup?epoch=7"),
                            .authority = MIG_TEXT("node.example:3030")};
    const struct vector v = {
        &m, "(\"@method\" \"@authority\" \"@path\" \"@query\")" TAIL,
        "\"@method\": GET\n"
        "\"@authority\": node.example:3030\n"
        "\"@path\": /shares_backup\n"
        "\"@query\": ?epoch=7\n"
        "\"@signature-params\": (\"@method\" \"@authority\" \"@path\" \"@query\")" TAIL,
        "xvw846MLLe8AG2vVOqsCbj+rrVWvwg7c0XbM9NCI5L/u7jrc8IZdLfDxJU7o8Hw4gC51dzgKmxaCf1DgX0vLDA=="};
    check_vector(&v);
}

static struct mig_message put_message(struct mig_field *fields)
{
    struct mig_message m = {.method = MIG_TEXT("PUT"),
                            .target = MIG_TEXT("/shares_recover"),
                            .authority = MIG_TEXT("node.example:3030")};
    add_field(&m, fields, "Content-Type", "application/octet-stream");
    add_field(&m, fields, "Content-Length", "18");
    add_field(&m, fields, "Content-Digest", HELLO_DIGEST);
    return m;
}

static void builds_a_put_with_digest(void)
{
    struct mig_field fields[4];
    struct mig_message m = put_message(fields);
#define PUT_COVER                                                                                  \
    "(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-type\" \"content-length\" "        \
    "\"content-digest\")"
    const struct vector v = {
        &m, PUT_COVER TAIL,
        "\"@method\": PUT\n"
        "\"@authority\": node.example:3030\n"
        "\"@path\": /shares_recover\n"
        "\"@query\": ?\n"
        "\"content-type\": application/octet-stream\n"
        "\"content-length\": 18\n"
        "\"content-digest\": " HELLO_DIGEST "\n"
        "\"@signature-params\": " PUT_COVER TAIL,
        "wM988r7DwNhvcHAQfixfUC4+MbuuSfY9SJxWmOeNkLQMRkS/kvKxBL5DD+nwKA4jTfHdukgkjhTPizsSOYryDA=="};
    check_vector(&v);
}

static void builds_an_answer_bound_to_its_request(void)
{
    struct mig_field fields[4], answer_fields[4];
    struct mig_message request = put_message(fields);
    struct mig_message m = {.status = 200, .request = &request};
    add_field(&m, answer_fields, "Content-Type", "application/json");
    add_field(&m, answer_fields, "Content-Digest",
              "sha-256=:z0bm/K2/kBiAHdTk/FHlB2NyoHqaTdzCA9k+jeJ0ezA=:");
#define ANSWER_INNER                                                                               \
    "(\"@status\" \"content-type\" \"content-digest\" \"@method\";req \"@authority\";req "         \
    "\"@path\";req \"content-digest\";req);created=1618884473;nonce=\"" NONCE                      \
    "\";keyid=\"test-key-ed25519\";tag=\"near-mpc-migration-v1-resp\""
    const struct vector v = {
        &m, ANSWER_INNER,
        "\"@status\": 200\n"
        "\"content-type\": application/json\n"
        "\"content-digest\": sha-256=:z0bm/K2/kBiAHdTk/FHlB2NyoHqaTdzCA9k+jeJ0ezA=:\n"
        "\"@method\";req: PUT\n"
        "\"@authority\";req: node.example:3030\n"
        "\"@path\";req: /shares_recover\n"
        "\"content-digest\";req: " HELLO_DIGEST "\n"
        "\"@signature-params\": " ANSWER_INNER,
        "xz+RsXCt2QZAqPksvRm8KkDSFtkM2AWqtV6BUW2ap66CA23KaHaKq1cYLOZ7XPAz35n4j/GgvtV8GjsGXMewAA=="};
    check_vector(&v);
}

/* ---- rules of §2.5, each broken once ---- */

static struct mig_message plain_message(struct mig_field *fields)
{
    struct mig_message m = {
        .method = MIG_TEXT("GET"), .target = MIG_TEXT("/x"), .authority = MIG_TEXT("h")};
    add_field(&m, fields, "X-Empty", "");
    add_field(&m, fields, "X-Padded", "  \t a  b\t ");
    return m;
}

static void refuses_a_repeated_component(void)
{
    struct mig_field fields[4];
    struct mig_message m = plain_message(fields);
    CU_ASSERT_EQUAL(build(&m, "(\"@method\" \"@path\")"), MIG_OK);
    CU_ASSERT_EQUAL(build(&m, "(\"@method\" \"@path\" \"@method\")"), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(build(&m, "(\"x-empty\" \"x-empty\")"), MIG_ERR_MALFORMED);
}

static void tells_a_component_from_the_requests_own(void)
{
    struct mig_field fields[4];
    struct mig_message request = plain_message(fields);
    struct mig_message m = {.status = 204, .request = &request};
    m.fields = fields;
    m.field_count = 1;
    CU_ASSERT_EQUAL(build(&m, "(\"x-empty\" \"x-empty\";req)"), MIG_OK);
    CU_ASSERT_EQUAL(build(&m, "(\"x-empty\";req \"x-empty\";req)"), MIG_ERR_MALFORMED);
}

static void refuses_unknown_component_parameters(void)
{
    struct mig_field fields[4];
    struct mig_message request = plain_message(fields);
    struct mig_message m = {.status = 200, .request = &request};
    static const char *const inner[] = {
        "(\"@method\";sf)",        "(\"x-empty\";bs)",        "(\"x-empty\";tr)",
        "(\"x-empty\";key=\"a\")", "(\"@method\";req=?0)",    "(\"@method\";req=1)",
        "(\"@method\";req;sf)",    "(\"@method\";req=\"x\")", "(\"@query-param\";name=\"a\")",
    };
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        CU_ASSERT_EQUAL(build(&m, inner[i]), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(build(&m, "(\"@method\";req)"), MIG_OK);
}

static void refuses_components_that_do_not_fit_the_message(void)
{
    struct mig_field fields[4];
    struct mig_message request = plain_message(fields);
    struct mig_message m = {.status = 200, .request = &request};
    static const char *const in_request[] = {"(\"@status\")", "(\"@method\";req)",
                                             "(\"x-empty\";req)"};
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(build(&request, in_request[i]), MIG_ERR_MALFORMED);
    static const char *const in_answer[] = {
        "(\"@method\")",     "(\"@path\")",    "(\"@authority\")",  "(\"@query\")",
        "(\"@status\";req)", "(\"x-absent\")", "(\"x-absent\";req)"};
    for (size_t i = 0; i < 7; i++)
        CU_ASSERT_EQUAL(build(&m, in_answer[i]), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(build(&m, "(\"@status\")"), MIG_OK);
    m.status = 99;
    CU_ASSERT_EQUAL(build(&m, "(\"@status\")"), MIG_ERR_MALFORMED);
    m.status = 1000;
    CU_ASSERT_EQUAL(build(&m, "(\"@status\")"), MIG_ERR_MALFORMED);
}

static void refuses_components_that_are_not_names(void)
{
    struct mig_field fields[4];
    struct mig_message m = plain_message(fields);
    static const char *const inner[] = {
        "(x)",           "(1)",     "(:eA==:)",      "(\"\")",         "(\"@signature-params\")",
        "(\"@scheme\")", "(\"@\")", "(\"X-Empty\")", "(\"x-absent\")",
    };
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        CU_ASSERT_EQUAL(build(&m, inner[i]), MIG_ERR_MALFORMED);
}

static void writes_empty_values_and_strips_padding(void)
{
    struct mig_field fields[4];
    struct mig_message m = plain_message(fields);
    static const char expected[] = "\"x-empty\": \n\"x-padded\": a  b\n"
                                   "\"@signature-params\": (\"x-empty\" \"x-padded\")";
    CU_ASSERT_FATAL(build(&m, "(\"x-empty\" \"x-padded\")") == MIG_OK);
    CU_ASSERT_EQUAL(built_len, sizeof expected - 1);
    CU_ASSERT_NSTRING_EQUAL(built, expected, built_len);
}

static void gives_an_empty_path_a_slash(void)
{
    struct mig_message m = {.method = MIG_TEXT("GET"), .target = MIG_TEXT("")};
    CU_ASSERT_FATAL(build(&m, "(\"@path\" \"@query\")") == MIG_OK);
    CU_ASSERT_NSTRING_EQUAL(built, "\"@path\": /\n\"@query\": ?\n", 23);
    m.target = MIG_TEXT("?");
    CU_ASSERT_FATAL(build(&m, "(\"@path\" \"@query\")") == MIG_OK);
    CU_ASSERT_NSTRING_EQUAL(built, "\"@path\": /\n\"@query\": ?\n", 23);
}

static void refuses_octets_that_no_field_has(void)
{
    static const char bad[] = {'\n', '\r', '\0', 1, 0x7f, (char)0x80, (char)0xff};
    for (size_t i = 0; i < sizeof bad; i++) {
        char value[4] = {'a', bad[i], 'b', '\0'};
        struct mig_field field = {MIG_TEXT("X-Note"), {value, 3}};
        struct mig_message m = {.method = {value, 3},
                                .target = {value, 3},
                                .authority = {value, 3},
                                .fields = &field,
                                .field_count = 1};
        CU_ASSERT_EQUAL(build(&m, "(\"x-note\")"), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(build(&m, "(\"@method\")"), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(build(&m, "(\"@authority\")"), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(build(&m, "(\"@path\")"), MIG_ERR_MALFORMED);
        CU_ASSERT_EQUAL(build(&m, "(\"@query\")"), MIG_OK); /* there is no '?': an empty one */
    }
}

static void stops_at_the_end_of_the_buffer(void)
{
    struct mig_field fields[4];
    struct mig_message m = plain_message(fields);
    struct mig_signature_input input;
    size_t full, len;
    char *exact;
    static const char field[] =
        "sig=(\"@method\" \"@authority\" \"@path\" \"@query\" \"x-padded\");created=1";
    CU_ASSERT_FATAL(mig_signature_input_parse(text(field), &input) == MIG_OK);
    CU_ASSERT_FATAL(mig_base_build(&m, &input, built, sizeof built, &full) == MIG_OK);
    for (size_t cap = 0; cap <= full; cap++) {
        exact = malloc(cap + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        enum mig_err err = mig_base_build(&m, &input, exact, cap, &len);
        CU_ASSERT_EQUAL(err, cap < full ? MIG_ERR_MALFORMED : MIG_OK);
        free(exact);
    }
    char big[MIG_SIG_BASE_MAX];
    memset(big, 'x', sizeof big);
    fields[0].value = (struct mig_text){big, sizeof big};
    CU_ASSERT_EQUAL(build(&m, "(\"x-empty\")"), MIG_ERR_MALFORMED);
    struct mig_field two[2] = {{MIG_TEXT("a"), {big, MIG_SIG_BASE_MAX - 5}},
                               {MIG_TEXT("a"), MIG_TEXT("")}};
    m.fields = two;
    m.field_count = 2;
    CU_ASSERT_EQUAL(build(&m, "(\"a\")"), MIG_ERR_MALFORMED);
}

/* ---- the two fields ---- */

static enum mig_err parse_input(const char *field)
{
    struct mig_signature_input input;
    return mig_signature_input_parse(text(field), &input);
}

static void accepts_one_inner_list_only(void)
{
    static const char *const bad[] = {
        "",
        " ",
        "s",
        "s=1",
        "s=\"x\"",
        "s;x",
        "s=()  ",
        " s=()",
        "s=(),",
        "s=(), t=()",
        "s=(), s=()",
        "s=( \"a\")",
        "s=(\"a\"  \"b\")",
        "s=(\"a\") ;x",
        "s= ()",
        "s=(\"a\"",
        "s=();a=1;a=1",
        "s=();created=01",
        "s=();created=-0",
        "s=();x=1.50",
        "s=(\"a\";req=?1)",
        "s=(); a",
        "S=()",
        "=()",
        "s=();x=:eA:",
        "s=();x=:eB==:",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(parse_input(bad[i]), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(parse_input("s=()"), MIG_OK);
    CU_ASSERT_EQUAL(parse_input("*a.b_c-d=(\"a\";req \"b\");created=1;x=:eA==:"), MIG_OK);
}

static void bounds_the_field(void)
{
    char field[MIG_SIG_FIELD_MAX + 2] = "s=();x=\"";
    size_t start = strlen(field);
    memset(field + start, 'y', sizeof field - start);
    field[MIG_SIG_FIELD_MAX - 1] = '"';
    field[MIG_SIG_FIELD_MAX] = '\0';
    CU_ASSERT_EQUAL(parse_input(field), MIG_OK);
    field[MIG_SIG_FIELD_MAX - 1] = 'y';
    field[MIG_SIG_FIELD_MAX] = '"';
    field[MIG_SIG_FIELD_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(parse_input(field), MIG_ERR_MALFORMED);
    char many[MIG_SIG_FIELD_MAX + 1] = "s=(";
    for (int i = 0; i < MIG_COMPONENTS_MAX; i++)
        (void)snprintf(many + strlen(many), 10, "%s\"%c\"", i > 0 ? " " : "", 'a' + i);
    size_t len = strlen(many);
    strcpy(many + len, ")");
    CU_ASSERT_EQUAL(parse_input(many), MIG_OK);
    strcpy(many + len, " \"z\")");
    CU_ASSERT_EQUAL(parse_input(many), MIG_ERR_MALFORMED);
}

static void accepts_one_exact_signature_only(void)
{
    static const char good[] =
        "s=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw="
        "=:";
    uint8_t out[MIG_SIG_LEN];
    CU_ASSERT_EQUAL(mig_signature_parse(text(good), MIG_TEXT("s"), out), MIG_OK);
    CU_ASSERT_EQUAL(mig_signature_parse(text(good), MIG_TEXT("t"), out), MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_signature_parse(text(good), MIG_TEXT("ss"), out), MIG_ERR_MALFORMED);
    char copy[sizeof good];
    for (size_t i = 0; i < sizeof good - 1; i++) { /* no octet may become a space */
        memcpy(copy, good, sizeof good);
        copy[i] = ' ';
        CU_ASSERT_EQUAL(mig_signature_parse(text(copy), MIG_TEXT("s"), out), MIG_ERR_MALFORMED);
    }
    for (size_t len = 0; len < sizeof good - 1; len++)
        CU_ASSERT_EQUAL(mig_signature_parse((struct mig_text){good, len}, MIG_TEXT("s"), out),
                        MIG_ERR_MALFORMED);
    static const char *const bad[] = {
        /* 63 octets, 65 octets, no padding, pad bits, the other alphabet, a parameter, a second */
        "s=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKR:",
        "s=:"
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRC7M=:",
        "s=:"
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw:",
        "s=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCx="
        "=:",
        "s=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPp-KRCw="
        "=:",
        "s=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw="
        "=:;x",
        "s=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw="
        "=:, t",
        "s="
        "\"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
        "\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(mig_signature_parse(text(bad[i]), MIG_TEXT("s"), out), MIG_ERR_MALFORMED);
}

static void writes_what_it_reads(void)
{
    struct mig_signature_input input;
    char field[MIG_SIG_FIELD_MAX + 1], signature_field[MIG_SIG_FIELD_MAX + 1];
    uint8_t signature[MIG_SIG_LEN], read[MIG_SIG_LEN];
    mig_signature_input_start(&input);
    mig_signature_input_cover(&input, "@status", false);
    mig_signature_input_cover(&input, "@path", true);
    mig_signature_input_integer(&input, "created", UINT64_C(999999999999999));
    mig_signature_input_string(&input, "tag", MIG_TEXT("x"));
    CU_ASSERT_EQUAL(mig_signature_input_finish(&input, field), MIG_OK);
    CU_ASSERT_STRING_EQUAL(field,
                           "sig=(\"@status\" \"@path\";req);created=999999999999999;tag=\"x\"");
    CU_ASSERT_PTR_EQUAL(input.value.at, field + 4);
    CU_ASSERT_EQUAL(input.value.len, strlen(field) - 4);
    memset(signature, 0xa5, sizeof signature);
    mig_signature_format(signature, signature_field);
    CU_ASSERT_EQUAL(mig_signature_parse(text(signature_field), MIG_TEXT("sig"), read), MIG_OK);
    CU_ASSERT(memcmp(signature, read, sizeof read) == 0);
}

static void refuses_to_write_what_it_would_not_read(void)
{
    struct mig_signature_input input;
    char field[MIG_SIG_FIELD_MAX + 1], big[MIG_SIG_FIELD_MAX];
    mig_signature_input_start(&input);
    mig_signature_input_integer(&input, "created", UINT64_C(1000000000000000));
    CU_ASSERT_EQUAL(mig_signature_input_finish(&input, field), MIG_ERR_BUG);
    CU_ASSERT_STRING_EQUAL(field, "");
    mig_signature_input_start(&input);
    for (int i = 0; i < MIG_COMPONENTS_MAX; i++)
        mig_signature_input_cover(&input, "a", false);
    CU_ASSERT_EQUAL(mig_signature_input_finish(&input, field), MIG_OK);
    mig_signature_input_cover(&input, "a", false);
    CU_ASSERT_EQUAL(mig_signature_input_finish(&input, field), MIG_ERR_BUG);
    mig_signature_input_start(&input);
    for (int i = 0; i < MIG_SIG_PARAMS_MAX; i++)
        mig_signature_input_integer(&input, "a", 1);
    CU_ASSERT_EQUAL(mig_signature_input_finish(&input, field), MIG_OK);
    mig_signature_input_string(&input, "b", MIG_TEXT("c"));
    CU_ASSERT_EQUAL(mig_signature_input_finish(&input, field), MIG_ERR_BUG);
    memset(big, 'x', sizeof big);
    mig_signature_input_start(&input);
    mig_signature_input_string(&input, "a", (struct mig_text){big, sizeof big});
    CU_ASSERT_EQUAL(mig_signature_input_finish(&input, field), MIG_ERR_BUG);
}

static void finds_fields_without_case_and_counts_them(void)
{
    struct mig_field fields[5];
    struct mig_message m = {0};
    struct mig_text value;
    add_field(&m, fields, "Content-Type", " \ta\t ");
    add_field(&m, fields, "content-TYPE", "b");
    add_field(&m, fields, "Content-Typo", "c");
    add_field(&m, fields, "", "d");
    CU_ASSERT_EQUAL(mig_message_field(&m, "content-type", &value), 2);
    CU_ASSERT(mig_text_is(value, "a"));
    CU_ASSERT_EQUAL(mig_message_field(&m, "content-length", &value), 0);
    CU_ASSERT_PTR_NULL(value.at);
    CU_ASSERT_EQUAL(value.len, 0);
    CU_ASSERT_FALSE(mig_text_is(MIG_TEXT("ab"), "a"));
    CU_ASSERT_FALSE(mig_text_is(MIG_TEXT("ab"), "ac"));
    CU_ASSERT(mig_text_is(value, ""));
}

int main(void)
{
    static const struct test tests[] = {
        TEST(builds_the_rfcs_ed25519_example),
        TEST(builds_the_rfcs_transformed_example),
        TEST(bears_the_rfcs_harmless_transformations),
        TEST(notices_the_rfcs_harmful_transformations),
        TEST(builds_a_get_with_query),
        TEST(builds_a_put_with_digest),
        TEST(builds_an_answer_bound_to_its_request),
        TEST(refuses_a_repeated_component),
        TEST(tells_a_component_from_the_requests_own),
        TEST(refuses_unknown_component_parameters),
        TEST(refuses_components_that_do_not_fit_the_message),
        TEST(refuses_components_that_are_not_names),
        TEST(writes_empty_values_and_strips_padding),
        TEST(gives_an_empty_path_a_slash),
        TEST(refuses_octets_that_no_field_has),
        TEST(stops_at_the_end_of_the_buffer),
        TEST(accepts_one_inner_list_only),
        TEST(bounds_the_field),
        TEST(accepts_one_exact_signature_only),
        TEST(writes_what_it_reads),
        TEST(refuses_to_write_what_it_would_not_read),
        TEST(finds_fields_without_case_and_counts_them),
    };
    return run_tests("base", tests, sizeof tests / sizeof *tests);
}

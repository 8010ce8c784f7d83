/* SPDX-License-Identifier: MIT */
/* What a node accepts as a request of its backup service, attack by attack. */
#include "tests/harness.h"
#include "tests/signed.h"

#define SIGNED_FIELDS "(" COVER ")" PARAMS
#define EXPECT(x, wanted) CU_ASSERT_STRING_EQUAL(verdict(x), wanted)
#define EXPECT_UPLOAD(x, wanted) CU_ASSERT_STRING_EQUAL(upload_verdict(x), wanted)

static struct exchange *signed_get(void)
{
    struct exchange *x = exchange_new();
    sign_request(x, SIGNED_FIELDS);
    return x;
}

static struct exchange *signed_upload(void)
{
    struct exchange *x = exchange_new();
    make_upload(x);
    sign_request(x, "(" COVER_BODY ")" PARAMS);
    return x;
}

/* Signs a GET with these components and parameters. */
static const char *get_verdict(const char *components, const char *params)
{
    static char inner[TEXT_MAX / 2];
    struct exchange *x = exchange_new();
    (void)snprintf(inner, sizeof inner, "(%s)%s", components, params);
    sign_request(x, inner);
    const char *result = verdict(x);
    exchange_free(&x);
    return result;
}

static const char *times_verdict(const char *created, const char *expires, uint64_t now,
                                 uint32_t skew)
{
    static char inner[TEXT_MAX / 2];
    struct exchange *x = exchange_new();
    (void)snprintf(inner, sizeof inner,
                   "(" COVER ");created=%s;expires=%s;nonce=\"" NONCE
                   "\";keyid=\"$K\";tag=\"mpc-migration-v1\"",
                   created, expires);
    sign_request(x, inner);
    const char *result = verdict_at(x, false, now, skew);
    exchange_free(&x);
    return result;
}

static const char *nonce_verdict(const char *nonce)
{
    static char params[400];
    (void)snprintf(
        params, sizeof params,
        ";created=1000000;expires=1000060;nonce=%s;keyid=\"$K\";tag=\"mpc-migration-v1\"", nonce);
    return get_verdict(COVER, params);
}

static void accepts_a_signed_get(void)
{
    struct exchange *x = signed_get();
    EXPECT(x, "ok");
    CU_ASSERT(mig_text_is(x->parsed.nonce, NONCE));
    CU_ASSERT_EQUAL(x->parsed.created, NOW);
    CU_ASSERT_EQUAL(x->parsed.expires, NOW + 60);
    CU_ASSERT(mig_text_is(x->parsed.context_text, x->context));
    CU_ASSERT_STRING_EQUAL(x->parsed.context.account, "alice.near");
    CU_ASSERT_FALSE(x->parsed.has_body);
    exchange_free(&x);
}

static void accepts_a_signed_upload(void)
{
    struct exchange *x = signed_upload();
    uint8_t digest[MIG_DIGEST_LEN];
    EXPECT_UPLOAD(x, "ok");
    CU_ASSERT(x->parsed.has_body);
    mig_sha256("{\"hello\": \"world\"}", 18, digest);
    CU_ASSERT(memcmp(digest, x->parsed.content_digest, sizeof digest) == 0);
    exchange_free(&x);
}

static void accepts_what_our_signer_writes(void)
{
    for (int upload = 0; upload < 2; upload++) {
        struct exchange *x = exchange_new();
        struct mig_signature_fields fields;
        char nonce[MIG_NONCE_MIN + 1];
        if (upload)
            make_upload(x);
        mig_nonce_new(nonce);
        CU_ASSERT_EQUAL(mig_request_sign(&x->request, x->service, nonce, NOW, NOW + 300, &fields),
                        MIG_OK);
        add_field(&x->request, x->fields, "signature-input", fields.input);
        add_field(&x->request, x->fields, "signature", fields.signature);
        CU_ASSERT_STRING_EQUAL(upload ? upload_verdict(x) : verdict(x), "ok");
        exchange_free(&x);
    }
}

static void our_signer_refuses_what_no_verifier_takes(void)
{
    struct exchange *x = exchange_new();
    struct mig_signature_fields fields;
    struct mig_message m = x->request;
    CU_ASSERT_EQUAL(mig_request_sign(&m, x->service, "short", NOW, NOW, &fields),
                    MIG_ERR_MALFORMED);
    CU_ASSERT_EQUAL(mig_request_sign(&m, x->service, NONCE "\"", NOW, NOW, &fields),
                    MIG_ERR_MALFORMED);
    CU_ASSERT_NOT_EQUAL(mig_request_sign(&m, x->service, NONCE, UINT64_MAX, NOW, &fields), MIG_OK);
    CU_ASSERT_STRING_EQUAL(fields.input, "");
    m.target = MIG_TEXT("/shares_backup?x");
    CU_ASSERT_EQUAL(mig_request_sign(&m, x->service, NONCE, NOW, NOW, &fields), MIG_ERR_MALFORMED);
    m = x->request;
    m.field_count = 1; /* no context */
    CU_ASSERT_EQUAL(mig_request_sign(&m, x->service, NONCE, NOW, NOW, &fields), MIG_ERR_MALFORMED);
    CU_ASSERT_STRING_EQUAL(fields.input, "");
    CU_ASSERT_STRING_EQUAL(fields.signature, "");
    m = x->request;
    add_field(&m, x->fields, "Content-Digest", HELLO_DIGEST); /* and neither type nor length */
    CU_ASSERT_EQUAL(mig_request_sign(&m, x->service, NONCE, NOW, NOW, &fields), MIG_ERR_MALFORMED);
    exchange_free(&x);
}

static void new_nonces_are_valid_and_differ(void)
{
    char a[MIG_NONCE_MIN + 1], b[MIG_NONCE_MIN + 1];
    mig_nonce_new(a);
    mig_nonce_new(b);
    CU_ASSERT(mig_nonce_is_valid(text(a)));
    CU_ASSERT_STRING_NOT_EQUAL(a, b);
}

static void accepts_components_and_parameters_in_any_order(void)
{
    CU_ASSERT_STRING_EQUAL(
        get_verdict("\"mpc-migration-context\" \"@query\" \"@path\" \"@authority\" \"@method\"",
                    ";tag=\"mpc-migration-v1\";keyid=\"$K\";alg=\"ed25519\";nonce=\"" NONCE
                    "\";expires=1000060;created=1000000"),
        "ok");
}

static void accepts_further_covered_fields(void)
{
    struct exchange *x = exchange_new();
    add_field(&x->request, x->fields, "X-Note", "one");
    add_field(&x->request, x->fields, "x-note", "two");
    sign_request(x, "(" COVER " \"x-note\" \"host\")" PARAMS);
    EXPECT(x, "ok");
    struct mig_field first = x->fields[2]; /* joined in order: first and last are not alike */
    x->fields[2].value = x->fields[3].value;
    x->fields[3].value = first.value;
    EXPECT(x, "signature");
    exchange_free(&x);
}

static void fields_that_are_not_covered_do_not_matter(void)
{
    struct exchange *x = signed_get();
    add_field(&x->request, x->fields, "X-Forwarded-Host", "evil.example");
    add_field(&x->request, x->fields, "X-HTTP-Method-Override", "DELETE");
    add_field(&x->request, x->fields, "Accept", "*/*");
    EXPECT(x, "ok");
    exchange_free(&x);
}

static void surrounding_white_space_is_not_signed(void)
{
    struct exchange *x = signed_get();
    char padded[MIG_CONTEXT_MAX + 10];
    (void)snprintf(padded, sizeof padded, " \t%s\t ", x->context);
    set_field(&x->request, x->fields, "Mpc-Migration-Context", padded);
    EXPECT(x, "ok");
    CU_ASSERT(mig_text_is(x->parsed.context_text, x->context));
    exchange_free(&x);
}

/* ---- unsigned, or half signed ---- */

static void tells_unsigned_from_malformed(void)
{
    struct exchange *x = exchange_new();
    EXPECT(x, "unsigned");
    x->request.field_count = 0; /* whatever else is missing */
    EXPECT(x, "unsigned");
    exchange_free(&x);
    x = signed_get();
    x->request.field_count--;
    EXPECT(x, "malformed");
    x->fields[2] = x->fields[3];
    EXPECT(x, "malformed");
    exchange_free(&x);
}

static void refuses_doubled_lines(void)
{
    static const char *const names[] = {"Signature-Input", "Signature", "Mpc-Migration-Context"};
    for (size_t i = 0; i < 3; i++) {
        struct exchange *x = signed_get();
        struct mig_text value;
        char lower[40] = "";
        for (size_t k = 0; k < strlen(names[i]); k++)
            lower[k] = (char)(names[i][k] | 0x20);
        lower[strlen(names[i])] = '\0';
        CU_ASSERT_EQUAL(mig_message_field(&x->request, lower, &value), 1);
        x->fields[x->request.field_count++] = (struct mig_field){text(names[i]), value};
        EXPECT(x, "malformed");
        exchange_free(&x);
    }
}

static void refuses_two_hosts(void)
{
    struct exchange *x = signed_get();
    add_field(&x->request, x->fields, "host", "Node.Example:3030");
    EXPECT(x, "malformed");
    exchange_free(&x);
}

static void refuses_labels_that_differ(void)
{
    struct exchange *x = signed_get();
    x->signature[0] = 't';
    EXPECT(x, "malformed");
    exchange_free(&x);
}

static void refuses_a_second_signature_of_someone_else(void)
{
    struct exchange *x = signed_get();
    char input[2 * TEXT_MAX], signature[400];
    (void)snprintf(input, sizeof input, "%s, evil=(\"@method\");created=1000000", x->input);
    (void)snprintf(signature, sizeof signature, "%s, evil=:AAAA:", x->signature);
    set_field(&x->request, x->fields, "Signature-Input", input);
    EXPECT(x, "malformed");
    set_field(&x->request, x->fields, "Signature", signature);
    EXPECT(x, "malformed");
    set_field(&x->request, x->fields, "Signature-Input", x->input);
    EXPECT(x, "malformed");
    exchange_free(&x);
}

static void refuses_a_signature_field_that_is_too_long(void)
{
    struct exchange *x = exchange_new();
    char names[10][81], inner[TEXT_MAX / 2] = "(" COVER;
    for (int i = 0; i < 10; i++) {
        memset(names[i], 'a' + i, 80);
        names[i][80] = '\0';
        add_field(&x->request, x->fields, names[i], "v");
        (void)snprintf(inner + strlen(inner), sizeof inner - strlen(inner), " \"%s\"", names[i]);
    }
    strcat(inner, ")" PARAMS);
    sign_request(x, inner);
    CU_ASSERT(strlen(x->input) > MIG_SIG_FIELD_MAX);
    EXPECT(x, "malformed");
    exchange_free(&x);
}

/* ---- what is covered ---- */

static void refuses_an_empty_component_list(void)
{
    CU_ASSERT_STRING_EQUAL(get_verdict("", PARAMS), "coverage");
}

static void refuses_each_missing_component(void)
{
    CU_ASSERT_STRING_EQUAL(
        get_verdict("\"@authority\" \"@path\" \"@query\" \"mpc-migration-context\"", PARAMS),
        "coverage");
    CU_ASSERT_STRING_EQUAL(
        get_verdict("\"@method\" \"@path\" \"@query\" \"mpc-migration-context\"", PARAMS),
        "coverage");
    CU_ASSERT_STRING_EQUAL(
        get_verdict("\"@method\" \"@authority\" \"@query\" \"mpc-migration-context\"", PARAMS),
        "coverage");
    CU_ASSERT_STRING_EQUAL(
        get_verdict("\"@method\" \"@authority\" \"@path\" \"mpc-migration-context\"", PARAMS),
        "coverage");
    CU_ASSERT_STRING_EQUAL(get_verdict("\"@method\" \"@authority\" \"@path\" \"@query\"", PARAMS),
                           "coverage");
}

static void refuses_a_body_that_is_not_covered(void)
{
    static const char *const covers[] = {
        COVER,
        COVER " \"content-type\" \"content-length\"",
        COVER " \"content-type\" \"content-digest\"",
        COVER " \"content-length\" \"content-digest\"",
    };
    for (size_t i = 0; i < 4; i++) {
        char inner[600];
        struct exchange *x = exchange_new();
        make_upload(x);
        (void)snprintf(inner, sizeof inner, "(%s)%s", covers[i], PARAMS);
        sign_request(x, inner);
        EXPECT_UPLOAD(x, "coverage");
        exchange_free(&x);
    }
}

static void refuses_component_parameters(void)
{
    static const char *const covers[] = {
        COVER " \"@method\";req", COVER " \"host\";sf",        COVER " \"host\";bs",
        COVER " \"host\";tr",     COVER " \"host\";key=\"a\"", COVER " \"@query-param\";name=\"a\"",
        COVER " \"host\";x",
    };
    for (size_t i = 0; i < sizeof covers / sizeof *covers; i++)
        CU_ASSERT_STRING_EQUAL(get_verdict(covers[i], PARAMS), "malformed");
}

static void refuses_other_derived_components(void)
{
    static const char *const covers[] = {
        COVER " \"@status\"", COVER " \"@target-uri\"",       COVER " \"@request-target\"",
        COVER " \"@scheme\"", COVER " \"@signature-params\"", COVER " \"@foo\"",
        COVER " \"@\"",
    };
    for (size_t i = 0; i < sizeof covers / sizeof *covers; i++)
        CU_ASSERT_STRING_EQUAL(get_verdict(covers[i], PARAMS), "malformed");
}

static void refuses_components_twice_absent_or_misnamed(void)
{
    static const char *const covers[] = {
        COVER " \"@method\"",  COVER " \"x-absent\"", COVER " \"Host\"", COVER " \"ho st\"",
        COVER " \"ho\\\"st\"", COVER " \"\"",         COVER " host",     COVER " 1",
        COVER " ?1",           COVER " :aG9zdA==:",
    };
    for (size_t i = 0; i < sizeof covers / sizeof *covers; i++)
        CU_ASSERT_STRING_EQUAL(get_verdict(covers[i], PARAMS), "malformed");
}

static void never_takes_a_field_for_a_derived_component(void)
{
    struct exchange *x = signed_get();
    add_field(&x->request, x->fields, "@method", "GET");
    add_field(&x->request, x->fields, "@path", "/shares_backup");
    x->request.method = MIG_TEXT("PUT");
    EXPECT(x, "signature");
    exchange_free(&x);
}

static void notices_every_change_of_what_is_covered(void)
{
    struct exchange *x = signed_get();
    struct mig_message before = x->request;
    x->request.method = MIG_TEXT("POST");
    EXPECT(x, "signature");
    x->request = before;
    x->request.target = MIG_TEXT("/shares_recover");
    EXPECT(x, "signature");
    x->request = before;
    x->request.authority = MIG_TEXT("node.example:3031");
    EXPECT(x, "signature");
    x->request.authority = MIG_TEXT("NODE.EXAMPLE:3030"); /* case is not meaning here */
    EXPECT(x, "ok");
    x->request = before;
    *strstr(x->context, "alice") = 'b';
    EXPECT(x, "signature");
    exchange_free(&x);
    x = signed_upload();
    set_field(&x->request, x->fields, "Content-Length", "19");
    EXPECT_UPLOAD(x, "signature");
    set_field(&x->request, x->fields, "Content-Length", "18");
    set_field(&x->request, x->fields, "Content-Type", "text/plain");
    EXPECT_UPLOAD(x, "signature");
    exchange_free(&x);
}

static void an_authority_keeps_the_port_it_came_with(void)
{
    static const char *const hosts[] = {"node.example", "node.example:443", "node.example:80",
                                        "[::1]:3030", "10.0.0.1:3030"};
    for (size_t i = 0; i < 5; i++) {
        struct exchange *x = exchange_new();
        x->request.authority = text(hosts[i]);
        sign_request(x, SIGNED_FIELDS);
        EXPECT(x, "ok");
        x->request.authority = text(hosts[(i + 1) % 3]);
        if (i < 3)
            EXPECT(x, "signature");
        exchange_free(&x);
    }
}

/* ---- the request line ---- */

static void refuses_targets_that_are_not_a_plain_path(void)
{
    static const char *const targets[] = {
        "",
        "*",
        "shares_backup",
        "http://node.example/shares_backup",
        "/shares_backup?",
        "/shares_backup?x=1",
        "/a#b",
        "/a b",
        "/a\tb",
        "/a\nb",
        "/\x7f",
        "/\xc3\xa4",
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct exchange *x = exchange_new();
        x->request.target = text(targets[i]);
        sign_request(x, SIGNED_FIELDS);
        EXPECT(x, "malformed");
        exchange_free(&x);
    }
}

static void refuses_methods_and_authorities_that_are_none(void)
{
    static const char *const methods[] = {"", "G T", "GET\n", "G\"T", "G(T", "\xff"};
    static const char *const hosts[] = {"",    "a b",  "user@host", "host/", "a,b",
                                        "h\n", "\x80", "h?",        "h#"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct exchange *x = signed_get();
        x->request.method = text(methods[i]);
        EXPECT(x, "malformed");
        exchange_free(&x);
    }
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct exchange *x = signed_get();
        x->request.authority = text(hosts[i]);
        EXPECT(x, "malformed");
        exchange_free(&x);
    }
}

static void refuses_folded_and_broken_values(void)
{
    static const char bad[] = {'\n', '\r', '\0', 0x1b, (char)0xe9};
    for (size_t i = 0; i < sizeof bad; i++) {
        struct exchange *x = exchange_new();
        char note[] = "one\r\n two";
        add_field(&x->request, x->fields, "X-Note", "one two");
        sign_request(x, "(" COVER " \"x-note\")" PARAMS);
        EXPECT(x, "ok");
        note[3] = bad[i];
        x->fields[2].value = (struct mig_text){note, sizeof note - 1};
        EXPECT(x, "malformed");
        exchange_free(&x);
    }
}

static void refuses_a_response_passed_off_as_a_request(void)
{
    struct exchange *x = signed_get();
    struct mig_message other = x->request;
    x->request.request = &other;
    EXPECT(x, "malformed");
    exchange_free(&x);
}

static void refuses_a_base_that_is_too_long(void)
{
    struct exchange *x = exchange_new();
    static char big[MIG_SIG_BASE_MAX];
    memset(big, 'x', sizeof big - 1);
    add_field(&x->request, x->fields, "X-Note", big);
    sign_request(x, SIGNED_FIELDS);
    EXPECT(x, "ok");
    sign_request(x, "(" COVER " \"x-note\")" PARAMS);
    EXPECT(x, "malformed");
    exchange_free(&x);
}

/* ---- bodies ---- */

static void refuses_a_body_where_none_belongs(void)
{
    static const char *const lengths[] = {"1", "00", "+0", "0, 0", "", "x", "0x0"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct exchange *x = signed_get();
        add_field(&x->request, x->fields, "Content-Length", lengths[i]);
        EXPECT(x, "malformed");
        exchange_free(&x);
    }
    struct exchange *x = signed_get();
    add_field(&x->request, x->fields, "Content-Length", "0");
    EXPECT(x, "ok");
    add_field(&x->request, x->fields, "Content-Length", "0");
    EXPECT(x, "malformed");
    exchange_free(&x);
}

static void refuses_codings(void)
{
    for (int i = 0; i < 4; i++) {
        struct exchange *x = i < 2 ? signed_get() : signed_upload();
        add_field(&x->request, x->fields, i % 2 ? "Transfer-Encoding" : "Content-Encoding",
                  i % 2 ? "chunked" : "gzip");
        CU_ASSERT_STRING_EQUAL(i < 2 ? verdict(x) : upload_verdict(x), "malformed");
        exchange_free(&x);
    }
}

static void refuses_missing_or_doubled_content_fields(void)
{
    static const char *const names[] = {"Content-Type", "Content-Length", "Content-Digest"};
    static const char *const other[] = {"text/plain", "19", "sha-256=:AAAA:"};
    for (size_t i = 0; i < 3; i++) {
        struct exchange *x = signed_upload();
        add_field(&x->request, x->fields, names[i], other[i]);
        EXPECT_UPLOAD(x, "malformed");
        x->request.field_count--;
        x->fields[2 + i].name = MIG_TEXT("X-Other");
        EXPECT_UPLOAD(x, "malformed");
        exchange_free(&x);
    }
}

static void refuses_weak_or_broken_digests(void)
{
    static const char *const digests[] = {
        "md5=:HUXZLQLMuI/KZ5KDcJPcOA==:",
        HELLO_SHA512,
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBA==:",
        "sha-256",
        "",
    };
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
        struct exchange *x = exchange_new();
        make_upload(x);
        set_field(&x->request, x->fields, "Content-Digest", digests[i]);
        sign_request(x, "(" COVER_BODY ")" PARAMS);
        EXPECT_UPLOAD(x, "malformed");
        exchange_free(&x);
    }
}

static void a_covered_digest_is_handed_over_to_be_compared(void)
{
    struct exchange *x = exchange_new();
    uint8_t body_digest[MIG_DIGEST_LEN];
    make_upload(x);
    sign_request(x, "(" COVER_BODY ")" PARAMS);
    EXPECT_UPLOAD(x, "ok"); /* and that says nothing about the body yet */
    mig_sha256("{\"hello\": \"w0rld\"}", 18, body_digest);
    CU_ASSERT_FALSE(mig_equal(body_digest, x->parsed.content_digest, MIG_DIGEST_LEN));
    exchange_free(&x);
}

/* ---- the context ---- */

static void refuses_a_missing_or_broken_context(void)
{
    struct exchange *x = exchange_new();
    x->fields[1].value = MIG_TEXT("contract=\"v1.signer\"");
    sign_request(x, SIGNED_FIELDS);
    EXPECT(x, "malformed");
    exchange_free(&x);
    x = exchange_new();
    x->request.field_count = 1;
    sign_request(x, "(\"@method\" \"@authority\" \"@path\" \"@query\")" PARAMS);
    EXPECT(x, "malformed");
    exchange_free(&x);
}

static void a_request_to_another_node_shows_as_one(void)
{
    struct exchange *x = signed_get();
    EXPECT(x, "ok");
    CU_ASSERT(memcmp(x->parsed.context.node, x->node->public_key, MIG_KEY_LEN) == 0);
    struct mig_identity *other;
    seed_identity(3, &other);
    mig_identity_free(&x->node);
    x->node = other;
    write_context(x); /* relabelled on the way */
    EXPECT(x, "signature");
    exchange_free(&x);
}

/* ---- parameters ---- */

static void refuses_each_missing_parameter(void)
{
    static const char *const params[] = {
        ";expires=1000060;nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1\"",
        ";created=1000000;nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1\"",
        ";created=1000000;expires=1000060;keyid=\"$K\";tag=\"mpc-migration-v1\"",
        ";created=1000000;expires=1000060;nonce=\"" NONCE "\";tag=\"mpc-migration-v1\"",
        ";created=1000000;expires=1000060;nonce=\"" NONCE "\";keyid=\"$K\"",
        "",
    };
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        CU_ASSERT_STRING_EQUAL(get_verdict(COVER, params[i]), "parameter");
}

static void refuses_doubled_parameters(void)
{
    static const char *const more[] = {
        ";created=1000000",     ";created=999", ";expires=1000060",
        ";nonce=\"" NONCE "\"", ";keyid=\"x\"", ";tag=\"mpc-migration-v1\"",
    };
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        char params[400];
        (void)snprintf(params, sizeof params, "%s%s", PARAMS, more[i]);
        CU_ASSERT_STRING_EQUAL(get_verdict(COVER, params), "malformed");
    }
}

static void refuses_unknown_parameters(void)
{
    CU_ASSERT_STRING_EQUAL(get_verdict(COVER, PARAMS ";x"), "malformed");
    CU_ASSERT_STRING_EQUAL(get_verdict(COVER, PARAMS ";epoch=7"), "malformed");
    CU_ASSERT_STRING_EQUAL(get_verdict(COVER, PARAMS ";createdx=1"), "malformed");
}

static void refuses_parameters_of_another_type(void)
{
    static const char *const params[] = {
        ";created=\"1000000\"",
        ";created=1000000.0",
        ";created",
        ";created=@1000000",
        ";created=-1000000",
        ";expires=\"1\"",
        ";expires=-1",
        (";nonce=" NONCE),
        ";nonce=:AAAA:",
        ";keyid=abc",
        ";keyid=1",
        ";tag=mpc-migration-v1",
        ";alg=ed25519",
        ";alg",
    };
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        CU_ASSERT_STRING_EQUAL(get_verdict(COVER, params[i]), "malformed");
}

static void refuses_other_algorithms(void)
{
    static const char *const algs[] = {"hmac-sha256", "rsa-pss-sha512", "ed448", "",
                                       "ED25519",     "ed25519 ",       "none"};
    for (size_t i = 0; i < sizeof algs / sizeof *algs; i++) {
        char params[400];
        (void)snprintf(params, sizeof params, "%s;alg=\"%s\"", PARAMS, algs[i]);
        CU_ASSERT_STRING_EQUAL(get_verdict(COVER, params), "parameter");
    }
    CU_ASSERT_STRING_EQUAL(get_verdict(COVER, PARAMS ";alg=\"ed25519\""), "ok");
}

static void refuses_tags_of_other_applications(void)
{
    static const char *const tags[] = {"", "mpc-migration-v2", "mpc-migration-v1-response",
                                       "MPC-migration-v1", "web-bot-auth"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        char params[400];
        (void)snprintf(params, sizeof params,
                       ";created=1000000;expires=1000060;nonce=\"" NONCE
                       "\";keyid=\"$K\";tag=\"%s\"",
                       tags[i]);
        CU_ASSERT_STRING_EQUAL(get_verdict(COVER, params), "tag");
    }
}

static void refuses_a_keyid_that_is_not_the_honoured_key(void)
{
    static const char *const keyids[] = {
        "",
        "ed25519:",
        "test-key",
        "ed25519:11111111111111111111111111111111",
        "$K ",
        " $K",
        "\\\"$K\\\"",
        "\\\\$K",
        "secp256k1:11111111111111111111111111111111",
        "ed25519:0OIl",
    };
    for (size_t i = 0; i < sizeof keyids / sizeof *keyids; i++) {
        char params[400];
        (void)snprintf(params, sizeof params,
                       ";created=1000000;expires=1000060;nonce=\"" NONCE
                       "\";keyid=\"%s\";tag=\"mpc-migration-v1\"",
                       keyids[i]);
        CU_ASSERT_STRING_EQUAL(get_verdict(COVER, params), "keyid");
    }
}

static void refuses_a_key_that_is_not_honoured_any_more(void)
{
    struct exchange *x = signed_get();
    struct mig_identity *rotated;
    seed_identity(4, &rotated);
    mig_identity_free(&x->service);
    x->service = rotated; /* what verdict() honours now */
    EXPECT(x, "keyid");
    exchange_free(&x);
}

static void refuses_a_context_for_another_service(void)
{
    struct exchange *x = exchange_new();
    struct mig_identity *signer = x->service, *named;
    seed_identity(4, &named);
    x->service = named;
    write_context(x); /* service = named */
    x->service = signer;
    sign_request(x, SIGNED_FIELDS); /* keyid = signer, which is honoured */
    EXPECT(x, "keyid");
    mig_identity_free(&named);
    exchange_free(&x);
}

static void nonces_have_one_alphabet_and_two_lengths(void)
{
    char nonce[80];
    for (int len = 0; len <= 70; len++) {
        (void)snprintf(nonce, sizeof nonce, "\"%.*s\"", len,
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_abcdef");
        CU_ASSERT_STRING_EQUAL(nonce_verdict(nonce), len >= 22 && len <= 64 ? "ok" : "malformed");
    }
    for (int c = ' '; c <= '~'; c++) {
        (void)snprintf(nonce, sizeof nonce, "\"AAECAwQFBgcIC%sQoLDA0ODw\"",
                       c == '"'    ? "\\\""
                       : c == '\\' ? "\\\\"
                                   : (char[]){(char)c, '\0'});
        bool is_in = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        CU_ASSERT_STRING_EQUAL(nonce_verdict(nonce), is_in ? "ok" : "malformed");
    }
}

/* ---- time ---- */

static void allows_thirty_seconds_of_skew_and_no_more(void)
{
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000200", NOW - 30, 30), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000200", NOW - 31, 30), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000200", NOW + 30, 30), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000200", NOW + 31, 30), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000200", NOW + 31, 60), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000200", NOW, 0), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000200", NOW + 1, 0), "time");
}

static void expires_when_it_says_so(void)
{
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000010", NOW + 10, 30), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000010", NOW + 11, 30), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000000", NOW, 30), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000000", NOW + 1, 30), "time");
}

static void refuses_impossible_lifetimes(void)
{
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "999999", NOW - 5, 30), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000300", NOW, 30), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000301", NOW, 30), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "999999999999999", NOW, 30), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("999999999999999", "999999999999999", NOW, 300), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("0", "300", NOW, 300), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("0", "300", 0, 300), "ok");
    CU_ASSERT_STRING_EQUAL(times_verdict("0", "0", UINT64_MAX, UINT32_MAX), "time");
    CU_ASSERT_STRING_EQUAL(times_verdict("1000000", "1000000000000000", NOW, 30), "malformed");
    CU_ASSERT_STRING_EQUAL(times_verdict("01000000", "1000060", NOW, 30), "malformed");
}

/* ---- the signature ---- */

static void refuses_parameters_reordered_after_signing(void)
{
    struct exchange *x = exchange_new();
    char keyid[MIG_KEY_TEXT_MAX], other[TEXT_MAX];
    sign_request(x, SIGNED_FIELDS);
    mig_key_format(x->service->public_key, keyid);
    (void)snprintf(other, sizeof other,
                   "s=(" COVER ");expires=1000060;created=1000000;nonce=\"" NONCE
                   "\";keyid=\"%s\";tag=\"mpc-migration-v1\"",
                   keyid);
    set_field(&x->request, x->fields, "Signature-Input", other);
    EXPECT(x, "signature");
    exchange_free(&x);
}

static void refuses_every_flipped_bit_of_the_signature(void)
{
    struct exchange *x = signed_get();
    EXPECT(x, "ok");
    for (size_t i = 0; i < 8 * MIG_SIG_LEN; i++) {
        x->parsed.signature[i / 8] ^= (uint8_t)(1 << i % 8);
        CU_ASSERT_EQUAL(mig_request_verify(&x->parsed, x->service->public_key), MIG_ERR_DENIED);
        x->parsed.signature[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    CU_ASSERT_EQUAL(mig_request_verify(&x->parsed, x->service->public_key), MIG_OK);
    exchange_free(&x);
}

static void refuses_a_signature_of_the_wrong_key(void)
{
    struct exchange *x = signed_get();
    EXPECT(x, "ok");
    CU_ASSERT_EQUAL(mig_request_verify(&x->parsed, x->node->public_key), MIG_ERR_DENIED);
    exchange_free(&x);
}

/* With the neutral element as key and R, and S = 0, the equation holds for
 * every message. */
static void refuses_the_key_that_signs_everything(void)
{
    struct exchange *x = signed_get();
    uint8_t neutral[MIG_KEY_LEN] = {1};
    EXPECT(x, "ok");
    memset(x->parsed.signature, 0, MIG_SIG_LEN);
    x->parsed.signature[0] = 1;
    CU_ASSERT_EQUAL(mig_request_verify(&x->parsed, neutral), MIG_ERR_DENIED);
    exchange_free(&x);
}

/* S + L satisfies the equation as well as S. */
static void refuses_a_second_form_of_the_same_signature(void)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    struct exchange *x = signed_get();
    unsigned carry = 0;
    EXPECT(x, "ok");
    for (size_t i = 0; i < 32; i++) {
        carry += x->parsed.signature[32 + i] + order[i];
        x->parsed.signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    CU_ASSERT_EQUAL(mig_request_verify(&x->parsed, x->service->public_key), MIG_ERR_DENIED);
    exchange_free(&x);
}

/* Cheapest first, and each answer at its own step. */
static void a_reason_is_the_first_that_applies(void)
{
    CU_ASSERT_STRING_EQUAL(get_verdict("", ";created=1;expires=1;tag=\"x\""), "coverage");
    CU_ASSERT_STRING_EQUAL(get_verdict(COVER, ";created=1;expires=1;tag=\"x\""), "parameter");
    CU_ASSERT_STRING_EQUAL(
        get_verdict(COVER, ";created=1;expires=1;nonce=\"" NONCE "\";keyid=\"x\";tag=\"x\""),
        "tag");
    CU_ASSERT_STRING_EQUAL(get_verdict(COVER, ";created=1;expires=1;nonce=\"" NONCE
                                              "\";keyid=\"x\";tag=\"mpc-migration-v1\""),
                           "keyid");
    CU_ASSERT_STRING_EQUAL(get_verdict("", ";x"), "malformed");
}

int main(void)
{
    static const struct test tests[] = {
        TEST(accepts_a_signed_get),
        TEST(accepts_a_signed_upload),
        TEST(accepts_what_our_signer_writes),
        TEST(our_signer_refuses_what_no_verifier_takes),
        TEST(new_nonces_are_valid_and_differ),
        TEST(accepts_components_and_parameters_in_any_order),
        TEST(accepts_further_covered_fields),
        TEST(fields_that_are_not_covered_do_not_matter),
        TEST(surrounding_white_space_is_not_signed),
        TEST(tells_unsigned_from_malformed),
        TEST(refuses_doubled_lines),
        TEST(refuses_two_hosts),
        TEST(refuses_labels_that_differ),
        TEST(refuses_a_second_signature_of_someone_else),
        TEST(refuses_a_signature_field_that_is_too_long),
        TEST(refuses_an_empty_component_list),
        TEST(refuses_each_missing_component),
        TEST(refuses_a_body_that_is_not_covered),
        TEST(refuses_component_parameters),
        TEST(refuses_other_derived_components),
        TEST(refuses_components_twice_absent_or_misnamed),
        TEST(never_takes_a_field_for_a_derived_component),
        TEST(notices_every_change_of_what_is_covered),
        TEST(an_authority_keeps_the_port_it_came_with),
        TEST(refuses_targets_that_are_not_a_plain_path),
        TEST(refuses_methods_and_authorities_that_are_none),
        TEST(refuses_folded_and_broken_values),
        TEST(refuses_a_response_passed_off_as_a_request),
        TEST(refuses_a_base_that_is_too_long),
        TEST(refuses_a_body_where_none_belongs),
        TEST(refuses_codings),
        TEST(refuses_missing_or_doubled_content_fields),
        TEST(refuses_weak_or_broken_digests),
        TEST(a_covered_digest_is_handed_over_to_be_compared),
        TEST(refuses_a_missing_or_broken_context),
        TEST(a_request_to_another_node_shows_as_one),
        TEST(refuses_each_missing_parameter),
        TEST(refuses_doubled_parameters),
        TEST(refuses_unknown_parameters),
        TEST(refuses_parameters_of_another_type),
        TEST(refuses_other_algorithms),
        TEST(refuses_tags_of_other_applications),
        TEST(refuses_a_keyid_that_is_not_the_honoured_key),
        TEST(refuses_a_key_that_is_not_honoured_any_more),
        TEST(refuses_a_context_for_another_service),
        TEST(nonces_have_one_alphabet_and_two_lengths),
        TEST(allows_thirty_seconds_of_skew_and_no_more),
        TEST(expires_when_it_says_so),
        TEST(refuses_impossible_lifetimes),
        TEST(refuses_parameters_reordered_after_signing),
        TEST(refuses_every_flipped_bit_of_the_signature),
        TEST(refuses_a_signature_of_the_wrong_key),
        TEST(refuses_the_key_that_signs_everything),
        TEST(refuses_a_second_form_of_the_same_signature),
        TEST(a_reason_is_the_first_that_applies),
    };
    return run_tests("request", tests, sizeof tests / sizeof *tests);
}

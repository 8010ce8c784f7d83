/* SPDX-License-Identifier: MIT */
/* What a backup service believes: an answer that this node signed to exactly
 * this request, and nothing else. */
#include "tests/harness.h"
#include "tests/signed.h"

#define BODY_DIGEST "sha-256=:z0bm/K2/kBiAHdTk/FHlB2NyoHqaTdzCA9k+jeJ0ezA=:"
#define ANSWER                                                                                     \
    "\"@status\" \"content-type\" \"content-digest\" \"@method\";req \"@path\";req "               \
    "\"mpc-migration-context\";req"
#define ANSWER_PARAMS                                                                              \
    ";created=1000001;nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1-response\""

struct answer {
    struct exchange *x;
    struct mig_field fields[FIELDS_MAX];
    struct mig_message m;
    char input[TEXT_MAX], signature[200];
    uint8_t digest[MIG_DIGEST_LEN];
    uint64_t created;
};

static struct answer *answer_new(void)
{
    struct answer *a = calloc(1, sizeof *a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    a->x = exchange_new();
    a->m.status = 200;
    a->m.request = &a->x->request;
    add_field(&a->m, a->fields, "Content-Type", "application/json");
    add_field(&a->m, a->fields, "Content-Digest", BODY_DIGEST);
    return a;
}

static void answer_free(struct answer **a)
{
    exchange_free(&(*a)->x);
    free(*a);
    *a = NULL;
}

static bool is_believed(struct answer *a)
{
    enum mig_err err =
        mig_response_verify(&a->m, a->x->node->public_key, NONCE, a->digest, &a->created);
    CU_ASSERT(err == MIG_OK || err == MIG_ERR_DENIED);
    static const uint8_t none[MIG_DIGEST_LEN];
    CU_ASSERT_EQUAL(err == MIG_OK, memcmp(a->digest, none, sizeof none) != 0);
    CU_ASSERT(err == MIG_OK || a->created == 0);
    return err == MIG_OK;
}

static void sign_answer(struct answer *a, const char *inner)
{
    sign_text(&a->m, a->fields, a->x->node, inner, a->input, a->signature);
}

static struct answer *signed_answer(void)
{
    struct answer *a = answer_new();
    sign_answer(a, "(" ANSWER ")" ANSWER_PARAMS);
    return a;
}

static bool form_is_believed(const char *components, const char *params)
{
    char inner[TEXT_MAX / 2];
    struct answer *a = answer_new();
    (void)snprintf(inner, sizeof inner, "(%s)%s", components, params);
    sign_answer(a, inner);
    bool believed = is_believed(a);
    answer_free(&a);
    return believed;
}

/* Signs with our own signer and adds the fields. */
static enum mig_err sign_ours(struct answer *a, struct mig_signature_fields *fields)
{
    enum mig_err err = mig_response_sign(&a->m, a->x->node, MIG_TEXT(NONCE), NOW + 1, fields);
    if (err == MIG_OK) {
        set_field(&a->m, a->fields, "signature-input", fields->input);
        set_field(&a->m, a->fields, "signature", fields->signature);
    }
    return err;
}

static void believes_a_signed_answer(void)
{
    struct answer *a = signed_answer();
    char field[MIG_DIGEST_FIELD_LEN];
    CU_ASSERT(is_believed(a));
    CU_ASSERT_EQUAL(a->created, NOW + 1);
    mig_digest_field_format(a->digest, field);
    CU_ASSERT_STRING_EQUAL(field, BODY_DIGEST);
    answer_free(&a);
}

static void believes_what_our_signer_writes(void)
{
    struct answer *a = answer_new();
    struct mig_signature_fields fields;
    CU_ASSERT_EQUAL(sign_ours(a, &fields), MIG_OK);
    CU_ASSERT(is_believed(a));
    CU_ASSERT_PTR_NULL(strstr(fields.input, "retry-after"));
    add_field(&a->m, a->fields, "Retry-After", "5");
    add_field(&a->m, a->fields, "Allow", "GET, POST");
    add_field(&a->m, a->fields, "Mpc-Migration-Context", "contract=\"x\"");
    CU_ASSERT_FALSE(is_believed(a)); /* added on the way */
    CU_ASSERT_EQUAL(sign_ours(a, &fields), MIG_OK);
    CU_ASSERT(is_believed(a));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(fields.input, "\"mpc-migration-context\" \"retry-after\" \"allow\""));
    a->m.status = 503;
    CU_ASSERT_FALSE(is_believed(a));
    CU_ASSERT_EQUAL(sign_ours(a, &fields), MIG_OK);
    CU_ASSERT(is_believed(a));
    answer_free(&a);
}

static void covers_the_digest_of_the_requests_body(void)
{
    struct answer *a = answer_new();
    struct mig_signature_fields fields;
    make_upload(a->x);
    CU_ASSERT_EQUAL(sign_ours(a, &fields), MIG_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(fields.input, "\"content-digest\";req"));
    CU_ASSERT(is_believed(a));
    set_field(&a->x->request, a->x->fields, "Content-Digest", BODY_DIGEST);
    CU_ASSERT_FALSE(is_believed(a));
    answer_free(&a);
}

static void our_signer_refuses_what_no_client_believes(void)
{
    struct answer *a = answer_new();
    struct mig_signature_fields fields;
    CU_ASSERT_EQUAL(mig_response_sign(&a->m, a->x->node, MIG_TEXT("short"), NOW, &fields),
                    MIG_ERR_BUG);
    a->m.request = NULL;
    CU_ASSERT_EQUAL(mig_response_sign(&a->m, a->x->node, MIG_TEXT(NONCE), NOW, &fields),
                    MIG_ERR_BUG);
    a->m.request = &a->x->request;
    a->m.field_count = 1; /* no digest */
    CU_ASSERT_NOT_EQUAL(mig_response_sign(&a->m, a->x->node, MIG_TEXT(NONCE), NOW, &fields),
                        MIG_OK);
    CU_ASSERT_STRING_EQUAL(fields.input, "");
    a->m.field_count = 2;
    CU_ASSERT_NOT_EQUAL(mig_response_sign(&a->m, a->x->node, MIG_TEXT(NONCE), UINT64_MAX, &fields),
                        MIG_OK);
    a->x->request.field_count = 1; /* no context */
    CU_ASSERT_NOT_EQUAL(mig_response_sign(&a->m, a->x->node, MIG_TEXT(NONCE), NOW, &fields),
                        MIG_OK);
    CU_ASSERT_STRING_EQUAL(fields.signature, "");
    answer_free(&a);
}

static void any_order_will_do(void)
{
    CU_ASSERT(form_is_believed(
        "\"mpc-migration-context\";req \"@path\";req \"content-digest\" \"@method\";req "
        "\"content-type\" \"@status\"",
        ";tag=\"mpc-migration-v1-response\";keyid=\"$K\";nonce=\"" NONCE "\";created=1000001"));
}

static void disbelieves_each_missing_component(void)
{
    static const char *const parts[] = {"\"@status\"",        "\"content-type\"",
                                        "\"content-digest\"", "\"@method\";req",
                                        "\"@path\";req",      "\"mpc-migration-context\";req"};
    for (size_t left_out = 0; left_out < 6; left_out++) {
        char components[400] = "";
        for (size_t i = 0; i < 6; i++) {
            if (i != left_out)
                (void)snprintf(components + strlen(components),
                               sizeof components - strlen(components), "%s%s",
                               components[0] != '\0' ? " " : "", parts[i]);
        }
        CU_ASSERT_FALSE(form_is_believed(components, ANSWER_PARAMS));
    }
    CU_ASSERT_FALSE(form_is_believed("", ANSWER_PARAMS));
}

static void disbelieves_components_beyond_the_form(void)
{
    CU_ASSERT(form_is_believed(ANSWER, ANSWER_PARAMS));
    CU_ASSERT_FALSE(form_is_believed(ANSWER " \"@authority\";req", ANSWER_PARAMS));
    CU_ASSERT_FALSE(form_is_believed(ANSWER " \"host\";req", ANSWER_PARAMS));
    CU_ASSERT_FALSE(form_is_believed(ANSWER " \"@status\"", ANSWER_PARAMS));
    CU_ASSERT_FALSE(form_is_believed(ANSWER " \"@method\"", ANSWER_PARAMS));
    CU_ASSERT_FALSE(form_is_believed(ANSWER " \"content-type\";sf", ANSWER_PARAMS));
    CU_ASSERT_FALSE(form_is_believed(ANSWER " x", ANSWER_PARAMS));
}

static void disbelieves_a_request_component_in_place_of_its_own(void)
{
    struct answer *a = answer_new();
    add_field(&a->x->request, a->x->fields, "Content-Type", "application/json");
    sign_answer(
        a, "(\"@status\" \"content-type\";req \"content-digest\" \"@method\";req \"@path\";req "
           "\"mpc-migration-context\";req)" ANSWER_PARAMS);
    CU_ASSERT_FALSE(is_believed(a));
    answer_free(&a);
}

static void disbelieves_other_parameters(void)
{
    static const char *const params[] = {
        ";nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1-response\"",
        ";created=1000001;keyid=\"$K\";tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=\"" NONCE "\";tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=\"" NONCE "\";keyid=\"$K\"",
        ANSWER_PARAMS ";alg=\"ed25519\"",
        ANSWER_PARAMS ";expires=1000060",
        ANSWER_PARAMS ";x",
        ";created=\"1\";nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1-response\"",
        ";created=-1;nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=" NONCE ";keyid=\"$K\";tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=\"AAECAwQFBgcICQoLDA0ODx\";keyid=\"$K\";tag=\"mpc-migration-v1-"
        "response\"",
        ";created=1000001;nonce=\"\";keyid=\"$K\";tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=\"" NONCE "\";keyid=\"x\";tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=\"" NONCE "\";keyid=$K;tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=\"" NONCE "\";keyid=\"ed25519:11111111111111111111111111111111\";"
        "tag=\"mpc-migration-v1-response\"",
        ";created=1000001;nonce=\"" NONCE "\";keyid=\"$K\";tag=\"mpc-migration-v1\"",
        ";created=1000001;nonce=\"" NONCE "\";keyid=\"$K\";tag=x",
        ";created=1000001;created=1000001;nonce=\"" NONCE
        "\";keyid=\"$K\";tag=\"mpc-migration-v1-response\"",
    };
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        CU_ASSERT_FALSE(form_is_believed(ANSWER, params[i]));
}

/* Each is signed correctly, for its own question. */
static void disbelieves_answers_swapped_between_two_requests(void)
{
    struct answer *one = signed_answer(), *two = answer_new();
    struct mig_signature_fields fields;
    CU_ASSERT_EQUAL(
        mig_response_sign(&two->m, two->x->node, MIG_TEXT("BBECAwQFBgcICQoLDA0ODw"), NOW, &fields),
        MIG_OK);
    set_field(&two->m, two->fields, "Signature-Input", fields.input);
    set_field(&two->m, two->fields, "Signature", fields.signature);
    CU_ASSERT(is_believed(one));
    CU_ASSERT_FALSE(is_believed(two));
    CU_ASSERT_EQUAL(mig_response_verify(&two->m, two->x->node->public_key, "BBECAwQFBgcICQoLDA0ODw",
                                        two->digest, &two->created),
                    MIG_OK);
    answer_free(&one);
    answer_free(&two);
}

static void disbelieves_an_answer_to_another_request(void)
{
    struct answer *a = signed_answer();
    struct mig_message before = a->x->request;
    a->x->request.method = MIG_TEXT("POST");
    CU_ASSERT_FALSE(is_believed(a));
    a->x->request = before;
    a->x->request.target = MIG_TEXT("/shares_recover");
    CU_ASSERT_FALSE(is_believed(a));
    a->x->request = before;
    CU_ASSERT(is_believed(a));
    *strstr(a->x->context, "alice") = 'b';
    CU_ASSERT_FALSE(is_believed(a));
    a->m.request = NULL;
    CU_ASSERT_FALSE(is_believed(a));
    answer_free(&a);
}

static void disbelieves_another_nodes_answer(void)
{
    struct answer *a = answer_new();
    struct mig_identity *other, *node = a->x->node;
    seed_identity(5, &other);
    a->x->node = other;
    sign_answer(a, "(" ANSWER ")" ANSWER_PARAMS);
    CU_ASSERT(is_believed(a));
    a->x->node = node;
    CU_ASSERT_FALSE(is_believed(a));
    mig_identity_free(&other);
    answer_free(&a);
}

static void disbelieves_every_change_on_the_way(void)
{
    struct answer *a = signed_answer();
    a->m.status = 201;
    CU_ASSERT_FALSE(is_believed(a));
    a->m.status = 200;
    set_field(&a->m, a->fields, "Content-Type", "text/html");
    CU_ASSERT_FALSE(is_believed(a));
    set_field(&a->m, a->fields, "Content-Type", "application/json");
    set_field(&a->m, a->fields, "Content-Digest", HELLO_DIGEST);
    CU_ASSERT_FALSE(is_believed(a));
    set_field(&a->m, a->fields, "Content-Digest", BODY_DIGEST);
    CU_ASSERT(is_believed(a));
    a->signature[10] = a->signature[10] == 'A' ? 'B' : 'A';
    CU_ASSERT_FALSE(is_believed(a));
    answer_free(&a);
}

static void disbelieves_missing_and_doubled_fields(void)
{
    static const char *const names[] = {"Signature-Input", "Signature", "Content-Type",
                                        "Content-Digest"};
    for (size_t i = 0; i < 4; i++) {
        struct answer *a = signed_answer();
        for (size_t k = 0; k < a->m.field_count; k++) {
            if (!mig_text_is(a->fields[k].name, names[i]))
                continue;
            struct mig_field kept = a->fields[k];
            a->fields[k].name = MIG_TEXT("X-Other");
            CU_ASSERT_FALSE(is_believed(a));
            a->fields[k] = kept;
            CU_ASSERT(is_believed(a));
            a->fields[a->m.field_count++] = kept;
            CU_ASSERT_FALSE(is_believed(a));
            break;
        }
        answer_free(&a);
    }
}

/* A value joined from two lines has a valid signature and still two meanings. */
static void disbelieves_doubled_fields_even_when_signed(void)
{
    static const char *const names[] = {"Content-Type", "Retry-After", "Allow",
                                        "Mpc-Migration-Context"};
    for (size_t i = 0; i < 4; i++) {
        char inner[TEXT_MAX / 2], lower[40];
        struct answer *a = answer_new();
        for (size_t k = 0; k <= strlen(names[i]); k++)
            lower[k] =
                (char)(names[i][k] >= 'A' && names[i][k] <= 'Z' ? names[i][k] + 32 : names[i][k]);
        add_field(&a->m, a->fields, names[i], "1");
        (void)snprintf(inner, sizeof inner,
                       i == 0 ? "(" ANSWER ")" ANSWER_PARAMS : "(" ANSWER " \"%s\")" ANSWER_PARAMS,
                       lower);
        if (i > 0) {
            sign_answer(a, inner);
            CU_ASSERT(is_believed(a));
        }
        a->fields[a->m.field_count++] = (struct mig_field){text(names[i]), MIG_TEXT("2")};
        sign_answer(a, inner);
        CU_ASSERT_FALSE(is_believed(a));
        answer_free(&a);
    }
}

static void disbelieves_a_digest_that_is_none(void)
{
    struct answer *a = answer_new();
    set_field(&a->m, a->fields, "Content-Digest", "sha-256=:AAAA:");
    sign_answer(a, "(" ANSWER ")" ANSWER_PARAMS);
    CU_ASSERT_FALSE(is_believed(a));
    answer_free(&a);
}

static void disbelieves_an_unsigned_answer(void)
{
    struct answer *a = answer_new();
    CU_ASSERT_FALSE(is_believed(a));
    add_field(&a->m, a->fields, "Signature-Input", "s=()");
    CU_ASSERT_FALSE(is_believed(a));
    add_field(&a->m, a->fields, "Signature", "s=::");
    CU_ASSERT_FALSE(is_believed(a));
    answer_free(&a);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(believes_a_signed_answer),
        TEST(believes_what_our_signer_writes),
        TEST(covers_the_digest_of_the_requests_body),
        TEST(our_signer_refuses_what_no_client_believes),
        TEST(any_order_will_do),
        TEST(disbelieves_each_missing_component),
        TEST(disbelieves_components_beyond_the_form),
        TEST(disbelieves_a_request_component_in_place_of_its_own),
        TEST(disbelieves_other_parameters),
        TEST(disbelieves_answers_swapped_between_two_requests),
        TEST(disbelieves_an_answer_to_another_request),
        TEST(disbelieves_another_nodes_answer),
        TEST(disbelieves_every_change_on_the_way),
        TEST(disbelieves_missing_and_doubled_fields),
        TEST(disbelieves_doubled_fields_even_when_signed),
        TEST(disbelieves_a_digest_that_is_none),
        TEST(disbelieves_an_unsigned_answer),
    };
    return run_tests("response", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
#include "server/hygiene.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness.h"

/* A clean upload, to be spoilt one way at a time. */
struct head {
    struct mig_field fields[64];
    struct mig_head head;
    struct mig_head_facts facts;
};

static struct mig_text text(const char *s)
{
    return (struct mig_text){s, strlen(s)};
}

static void add(struct head *h, const char *name, const char *value)
{
    h->fields[h->head.field_count++] = (struct mig_field){text(name), text(value)};
    h->head.size += strlen(name) + 2 + strlen(value) + 2;
}

static void begin(struct head *h, const char *method, const char *target)
{
    memset(h, 0, sizeof *h);
    h->head.method = text(method);
    h->head.target = text(target);
    h->head.version = text("HTTP/1.1");
    h->head.fields = h->fields;
    h->head.adjacent = true;
    h->head.size = strlen(method) + 1 + strlen(target) + 1 + 8 + 2 + 2;
    add(h, "Host", "node.example:8080");
}

static struct head upload(void)
{
    struct head h;
    begin(&h, "PUT", "/shares_recover");
    add(&h, "Content-Length", "1000");
    add(&h, "Content-Type", "application/vnd.mpc.sealed-keyshares");
    add(&h, "Signature-Input", "sig=()");
    add(&h, "Signature", "sig=:AA==:");
    h.head.fields = NULL; /* set by check(): the struct is returned by value */
    return h;
}

static enum mig_hygiene check(struct head *h)
{
    h->head.fields = h->fields;
    return mig_hygiene_check(&h->head, &h->facts);
}

static enum mig_hygiene check_with(const char *name, const char *value)
{
    struct head h = upload();
    add(&h, name, value);
    return check(&h);
}

static enum mig_hygiene check_target(const char *target)
{
    struct head h;
    begin(&h, "GET", target);
    return check(&h);
}

static enum mig_hygiene check_version(const char *version)
{
    struct head h = upload();
    h.head.size = h.head.size + strlen(version) - h.head.version.len;
    h.head.version = text(version);
    return check(&h);
}

static enum mig_hygiene check_length(const char *value)
{
    struct head h;
    begin(&h, "PUT", "/shares_recover");
    add(&h, "Content-Length", value);
    return check(&h);
}

static void accepts_a_clean_upload_and_says_what_it_learnt(void)
{
    struct head h = upload();
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
    CU_ASSERT_EQUAL(h.facts.content_length, 1000);
    CU_ASSERT_EQUAL(h.facts.host.len, strlen("node.example:8080"));
    CU_ASSERT_EQUAL(mig_hygiene_status(MIG_HYGIENE_CLEAN), 0);
}

static void accepts_a_bare_get(void)
{
    struct head h;
    begin(&h, "GET", "/shares_backup");
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
    CU_ASSERT_EQUAL(h.facts.content_length, -1);
}

static void refuses_no_host_and_two_hosts(void)
{
    struct head h;
    begin(&h, "GET", "/shares_backup");
    h.head.size -= strlen("Host") + 2 + strlen("node.example:8080") + 2;
    h.head.field_count = 0;
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_HOST);
    CU_ASSERT_EQUAL(check_with("Host", "node.example:8080"), MIG_HYGIENE_HOST);
    CU_ASSERT_EQUAL(check_with("hOST", "evil"), MIG_HYGIENE_HOST);
}

static void refuses_an_empty_or_strange_host(void)
{
    static const char *const hosts[] = {"", "a b", "user@host", "a/b", "a,b", "a%41"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct head h;
        begin(&h, "GET", "/shares_backup");
        h.head.size -= h.fields[0].value.len;
        h.fields[0].value = text(hosts[i]);
        h.head.size += h.fields[0].value.len;
        CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_HOST);
    }
}

static void refuses_every_transfer_encoding(void)
{
    static const char *const codings[] = {"chunked", "gzip, chunked", "xchunked", "identity", ""};
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++)
        CU_ASSERT_EQUAL(check_with("Transfer-Encoding", codings[i]), MIG_HYGIENE_CODING);
}

static void leaves_content_encoding_to_the_handlers(void)
{
    CU_ASSERT_EQUAL(check_with("Content-Encoding", "gzip"), MIG_HYGIENE_CLEAN);
    CU_ASSERT_EQUAL(check_with("content-encoding", "identity"), MIG_HYGIENE_CLEAN);
}

static void refuses_a_second_content_length_equal_or_not(void)
{
    CU_ASSERT_EQUAL(check_with("Content-Length", "1000"), MIG_HYGIENE_REPEATED);
    CU_ASSERT_EQUAL(check_with("content-length", "3"), MIG_HYGIENE_REPEATED);
}

static void refuses_lengths_that_are_no_plain_number(void)
{
    static const char *const lengths[] = {
        "", "+3", "-1", "3, 3", "3x", "0x10", "03", "1e3", "99999999999999999999"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        CU_ASSERT_EQUAL(check_length(lengths[i]), MIG_HYGIENE_LENGTH);
    CU_ASSERT_EQUAL(check_length("0"), MIG_HYGIENE_CLEAN);
    CU_ASSERT_EQUAL(check_length("999999999999999999"), MIG_HYGIENE_CLEAN);
}

static void refuses_a_second_field_that_signatures_rest_on(void)
{
    CU_ASSERT_EQUAL(check_with("Signature", "sig=:AA==:"), MIG_HYGIENE_REPEATED);
    CU_ASSERT_EQUAL(check_with("Signature-Input", "x=()"), MIG_HYGIENE_REPEATED);
    CU_ASSERT_EQUAL(check_with("Content-Type", "text/plain"), MIG_HYGIENE_REPEATED);
    static const char *const names[] = {"Content-Digest", "Mpc-Migration-Context", "Mpc-Other",
                                        "Expect", "Connection"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct head h = upload();
        add(&h, names[i], "close");
        CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
        add(&h, names[i], "close");
        CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_REPEATED);
    }
}

static void refuses_names_that_are_no_token(void)
{
    static const char *const names[] = {"@method", " X",   "X ",        "",   "a:b",
                                        "a\tb",    "a\"b", "h\xc3\xa9", "(x)"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CU_ASSERT_EQUAL(check_with(names[i], "POST"), MIG_HYGIENE_NAME);
}

static void refuses_a_nul_in_name_or_value(void)
{
    struct head h = upload();
    h.fields[h.head.field_count] = (struct mig_field){{"a\0b", 3}, text("v")};
    h.head.field_count++;
    h.head.size += 3 + 2 + 1 + 2;
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_NAME);
    h.fields[h.head.field_count - 1] = (struct mig_field){text("v"), {"a\0b", 3}};
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_VALUE);
}

static void refuses_control_and_eight_bit_bytes_in_values(void)
{
    static const char *const values[] = {"a\rb", "a\nb", "a\x7f", "a\x01", "caf\xc3\xa9", "\x80"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CU_ASSERT_EQUAL(check_with("X-Note", values[i]), MIG_HYGIENE_VALUE);
    CU_ASSERT_EQUAL(check_with("X-Note", "a\tb c"), MIG_HYGIENE_CLEAN);
}

static void refuses_space_at_the_ends_of_a_value(void)
{
    static const char *const values[] = {" a", "a ", "\ta", "a\t", " ", "\t"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CU_ASSERT_EQUAL(check_with("X-Note", values[i]), MIG_HYGIENE_VALUE);
    CU_ASSERT_EQUAL(check_with("X-Note", ""), MIG_HYGIENE_CLEAN);
}

/* What libmicrohttpd makes of a folded line, a NUL, a bare line feed, space at
 * the end: the parsed fields no longer add up to what was received. */
static void refuses_a_head_whose_fields_do_not_add_up(void)
{
    for (int off = -4; off <= 4; off++) {
        struct head h = upload();
        h.head.size = (size_t)((long)h.head.size + off);
        CU_ASSERT_EQUAL(check(&h), off == 0 ? MIG_HYGIENE_CLEAN : MIG_HYGIENE_FRAMING);
    }
}

/* "X:  v" with a bare line feed has the size of a clean line. */
static void refuses_two_faults_of_framing_that_cancel_out(void)
{
    char raw[] = "GET /a HTTP/1.1\r\nHost: h\r\nX:  v\nY: w\r\n\r\n";
    struct mig_field fields[3] = {{{raw + 17, 4}, {raw + 23, 1}},
                                  {{raw + 26, 1}, {raw + 30, 1}},
                                  {{raw + 32, 1}, {raw + 35, 1}}};
    struct mig_head head = {.method = {raw, 3},
                            .target = {raw + 4, 2},
                            .version = {raw + 7, 8},
                            .fields = fields,
                            .field_count = 3,
                            .size = sizeof raw - 1};
    struct mig_head_facts facts;
    head.adjacent = true;
    CU_ASSERT_EQUAL(mig_hygiene_check(&head, &facts), MIG_HYGIENE_CLEAN);
    head.adjacent = mig_head_is_adjacent(&head);
    CU_ASSERT_EQUAL(mig_hygiene_check(&head, &facts), MIG_HYGIENE_FRAMING);
    memcpy(raw + 26, "\r\n", 2);
    head.field_count = 1;
    CU_ASSERT(mig_head_is_adjacent(&head));
    fields[0].name.at++;
    CU_ASSERT_FALSE(mig_head_is_adjacent(&head));
    head.version.at++;
    CU_ASSERT_FALSE(mig_head_is_adjacent(&head));
}

static void refuses_every_version_but_one(void)
{
    static const char *const versions[] = {"HTTP/1.0",  "HTTP/1.2",  "HTTP/2.0", "http/1.1",
                                           "HTTP/1.10", "HTTP/01.1", ""};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        CU_ASSERT_EQUAL(check_version(versions[i]), MIG_HYGIENE_VERSION);
}

static void refuses_methods_that_are_no_short_token(void)
{
    static const char *const methods[] = {"", "G ET", "GET\t", "AAAAAAAAAAAAAAAAA", "<GET>"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct head h;
        begin(&h, methods[i], "/shares_backup");
        CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_METHOD);
    }
}

/* Whether a method exists is for the routes to say (405, not 400). */
static void leaves_unknown_methods_to_the_routes(void)
{
    static const char *const methods[] = {"get", "HEAD", "DELETE", "PATCH", "OPTIONS"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct head h;
        begin(&h, methods[i], "/shares_backup");
        CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
    }
}

static void refuses_targets_that_are_not_origin_form(void)
{
    static const char *const targets[] = {
        "",        "*",      "shares_backup", "http://node/shares_backup",
        "node:80", "/a?x=1", "/a?",           "/a#b",
        "/a%2Fb",  "/%00",   "/a b",          "/a\\b",
        "/a;b",    "/a\x80"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        CU_ASSERT_EQUAL(check_target(targets[i]), MIG_HYGIENE_TARGET);
    struct mig_text nul = {"/a\0b", 4};
    struct head h;
    begin(&h, "GET", "/abc");
    h.head.target = nul;
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_TARGET);
}

static void limits_the_length_of_a_target(void)
{
    char target[MIG_HEAD_TARGET_MAX + 2];
    memset(target, 'a', sizeof target);
    target[0] = '/';
    target[MIG_HEAD_TARGET_MAX] = '\0';
    CU_ASSERT_EQUAL(check_target(target), MIG_HYGIENE_CLEAN);
    target[MIG_HEAD_TARGET_MAX] = 'a';
    target[MIG_HEAD_TARGET_MAX + 1] = '\0';
    CU_ASSERT_EQUAL(check_target(target), MIG_HYGIENE_TARGET);
}

static void takes_one_query_where_it_is_allowed(void)
{
    struct head h;
    begin(&h, "GET", "/readyz?verbose");
    h.head.allow_query = true;
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
    begin(&h, "GET", "/readyz?a?b");
    h.head.allow_query = true;
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_TARGET);
    begin(&h, "GET", "/readyz?a/b");
    h.head.allow_query = true;
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_TARGET);
}

static void refuses_thirty_three_fields_with_431(void)
{
    struct head h;
    begin(&h, "GET", "/shares_backup");
    char names[64][8];
    while (h.head.field_count < MIG_HEAD_FIELDS_MAX) {
        (void)snprintf(names[h.head.field_count], sizeof names[0], "x-%zu", h.head.field_count);
        add(&h, names[h.head.field_count], "v");
    }
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
    add(&h, "x-last", "v");
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_FIELDS);
    CU_ASSERT_EQUAL(mig_hygiene_status(MIG_HYGIENE_FIELDS), 431);
}

static void refuses_a_head_one_byte_over_the_cap_with_431(void)
{
    static char value[MIG_HEAD_SIZE_MAX + 1];
    struct head h = upload();
    size_t room = MIG_HEAD_SIZE_MAX - h.head.size - strlen("x") - 4;
    memset(value, 'v', room);
    add(&h, "x", value);
    CU_ASSERT_EQUAL(h.head.size, MIG_HEAD_SIZE_MAX);
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
    value[room] = 'v';
    h = upload();
    add(&h, "x", value);
    CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_SIZE);
    CU_ASSERT_EQUAL(mig_hygiene_status(MIG_HYGIENE_SIZE), 431);
}

static void refuses_connection_tokens_that_hide_fields(void)
{
    CU_ASSERT_EQUAL(check_with("Connection", "close"), MIG_HYGIENE_CLEAN);
    CU_ASSERT_EQUAL(check_with("Connection", "Keep-Alive"), MIG_HYGIENE_CLEAN);
    CU_ASSERT_EQUAL(check_with("Connection", "keep-alive, close"), MIG_HYGIENE_CLEAN);
    static const char *const values[] = {"upgrade", "close, signature", "",
                                         ",",       "close,",           "keep-alive;x"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CU_ASSERT_EQUAL(check_with("Connection", values[i]), MIG_HYGIENE_CONNECTION);
}

static void refuses_a_body_on_get_and_head(void)
{
    static const char *const methods[] = {"GET", "HEAD"};
    for (size_t i = 0; i < 2; i++) {
        struct head h;
        begin(&h, methods[i], "/shares_backup");
        add(&h, "Content-Length", "1");
        CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_BODY);
        begin(&h, methods[i], "/shares_backup");
        add(&h, "Content-Length", "0");
        CU_ASSERT_EQUAL(check(&h), MIG_HYGIENE_CLEAN);
    }
}

static void every_refusal_is_400_but_the_two_of_size(void)
{
    for (enum mig_hygiene v = MIG_HYGIENE_SIZE; v < MIG_HYGIENE_COUNT; v++) {
        unsigned want = v == MIG_HYGIENE_SIZE || v == MIG_HYGIENE_FIELDS ? 431 : 400;
        CU_ASSERT_EQUAL(mig_hygiene_status(v), want);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mig_hygiene_text(v));
        CU_ASSERT(strlen(mig_hygiene_text(v)) > 0);
    }
    CU_ASSERT_STRING_EQUAL(mig_hygiene_text(MIG_HYGIENE_COUNT), "unknown");
}

int main(void)
{
    static const struct test tests[] = {
        TEST(accepts_a_clean_upload_and_says_what_it_learnt),
        TEST(accepts_a_bare_get),
        TEST(refuses_no_host_and_two_hosts),
        TEST(refuses_an_empty_or_strange_host),
        TEST(refuses_every_transfer_encoding),
        TEST(leaves_content_encoding_to_the_handlers),
        TEST(refuses_a_second_content_length_equal_or_not),
        TEST(refuses_lengths_that_are_no_plain_number),
        TEST(refuses_a_second_field_that_signatures_rest_on),
        TEST(refuses_names_that_are_no_token),
        TEST(refuses_a_nul_in_name_or_value),
        TEST(refuses_control_and_eight_bit_bytes_in_values),
        TEST(refuses_space_at_the_ends_of_a_value),
        TEST(refuses_a_head_whose_fields_do_not_add_up),
        TEST(refuses_two_faults_of_framing_that_cancel_out),
        TEST(refuses_every_version_but_one),
        TEST(refuses_methods_that_are_no_short_token),
        TEST(leaves_unknown_methods_to_the_routes),
        TEST(refuses_targets_that_are_not_origin_form),
        TEST(limits_the_length_of_a_target),
        TEST(takes_one_query_where_it_is_allowed),
        TEST(refuses_thirty_three_fields_with_431),
        TEST(refuses_a_head_one_byte_over_the_cap_with_431),
        TEST(refuses_connection_tokens_that_hide_fields),
        TEST(refuses_a_body_on_get_and_head),
        TEST(every_refusal_is_400_but_the_two_of_size),
    };
    return run_tests("hygiene", tests, sizeof tests / sizeof *tests);
}

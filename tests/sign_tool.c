/* SPDX-License-Identifier: MIT */
/*
 * sign_tool sign-request|verify-request|sign-response|verify-response: a
 * message on standard input, one "word rest" a line; the two signature fields
 * or the verdict on standard output. For holding auth/ against others'
 * libraries (tests/interop).
 *
 *     seed HEX      the signer's            key HEX       the key to believe
 *     method M      target T      authority A             status N
 *     field N: V    of the request          answer N: V   of the answer
 *     nonce N       created N     expires N     now N     body
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/signature.h"
#include "crypto/encoding.h"

enum { FIELDS = 32, LINES = 64, LINE = 9000 };

struct job {
    struct mig_field fields[FIELDS], answer_fields[FIELDS];
    struct mig_message request, answer;
    struct mig_identity *id;
    uint8_t key[MIG_KEY_LEN];
    const char *nonce;
    uint64_t created, expires, now;
    bool has_body;
};

static struct mig_text text(const char *s)
{
    return (struct mig_text){s, strlen(s)};
}

static void add(struct mig_message *m, struct mig_field *fields, char *rest)
{
    char *colon = strstr(rest, ": ");
    if (colon == NULL || m->field_count == FIELDS)
        exit(2);
    *colon = '\0';
    m->fields = fields;
    fields[m->field_count++] = (struct mig_field){text(rest), text(colon + 2)};
}

static void hex(const char *from, uint8_t out[32])
{
    size_t len;
    if (mig_hex_decode(from, strlen(from), out, 32, &len) != MIG_OK || len != 32)
        exit(2);
}

static void read_line(struct job *j, const char *word, char *rest)
{
    uint8_t seed[MIG_SEED_LEN];
    if (strcmp(word, "seed") == 0) {
        hex(rest, seed);
        if (mig_identity_from_seed(seed, &j->id) != MIG_OK)
            exit(2);
    } else if (strcmp(word, "key") == 0) {
        hex(rest, j->key);
    } else if (strcmp(word, "method") == 0) {
        j->request.method = text(rest);
    } else if (strcmp(word, "target") == 0) {
        j->request.target = text(rest);
    } else if (strcmp(word, "authority") == 0) {
        j->request.authority = text(rest);
    } else if (strcmp(word, "status") == 0) {
        j->answer.status = (unsigned)strtoul(rest, NULL, 10);
    } else if (strcmp(word, "field") == 0) {
        add(&j->request, j->fields, rest);
    } else if (strcmp(word, "answer") == 0) {
        add(&j->answer, j->answer_fields, rest);
    } else if (strcmp(word, "nonce") == 0) {
        j->nonce = rest;
    } else if (strcmp(word, "created") == 0) {
        j->created = strtoull(rest, NULL, 10);
    } else if (strcmp(word, "expires") == 0) {
        j->expires = strtoull(rest, NULL, 10);
    } else if (strcmp(word, "now") == 0) {
        j->now = strtoull(rest, NULL, 10);
    } else if (strcmp(word, "body") == 0) {
        j->has_body = true;
    } else {
        exit(2);
    }
}

static void read_job(struct job *j)
{
    static char lines[LINES][LINE];
    for (size_t i = 0; i < LINES && fgets(lines[i], LINE, stdin) != NULL; i++) {
        lines[i][strcspn(lines[i], "\n")] = '\0';
        char *space = strchr(lines[i], ' ');
        char *rest = space != NULL ? space + 1 : lines[i] + strlen(lines[i]);
        if (space != NULL)
            *space = '\0';
        read_line(j, lines[i], rest);
    }
}

static const char *request_verdict(const struct job *j)
{
    static struct mig_signed_request parsed;
    struct mig_auth_policy policy = {.now = j->now, .skew = MIG_SKEW_DEFAULT};
    const char *why;
    memcpy(policy.key, j->key, MIG_KEY_LEN);
    enum mig_err err = mig_request_parse(&j->request, j->has_body, &parsed);
    if (err != MIG_OK)
        return err == MIG_ERR_DENIED ? "unsigned" : "malformed";
    if (mig_request_check(&parsed, &policy, &why) != MIG_OK)
        return why;
    return mig_request_verify(&parsed, j->key) == MIG_OK ? "ok" : "signature";
}

static int print_fields(enum mig_err err, const struct mig_signature_fields *fields)
{
    if (err != MIG_OK) {
        fprintf(stderr, "%s\n", mig_err_text(err));
        return 1;
    }
    printf("%s\n%s\n", fields->input, fields->signature);
    return 0;
}

int main(int argc, char **argv)
{
    static struct job j;
    struct mig_signature_fields fields;
    uint8_t digest[MIG_DIGEST_LEN];
    const char *verb = argc == 2 ? argv[1] : "";
    if (mig_crypto_init() != MIG_OK)
        return 2;
    j.answer.request = &j.request;
    read_job(&j);
    if (strcmp(verb, "verify-request") == 0) {
        puts(request_verdict(&j));
        return 0;
    }
    if (j.nonce == NULL)
        return 2;
    if (strcmp(verb, "verify-response") == 0) {
        enum mig_err err = mig_response_verify(&j.answer, j.key, j.nonce, digest, &j.created);
        puts(err == MIG_OK ? "ok" : "denied");
        return 0;
    }
    if (j.id == NULL)
        return 2;
    if (strcmp(verb, "sign-request") == 0)
        return print_fields(
            mig_request_sign(&j.request, j.id, j.nonce, j.created, j.expires, &fields), &fields);
    if (strcmp(verb, "sign-response") == 0)
        return print_fields(mig_response_sign(&j.answer, j.id, text(j.nonce), j.created, &fields),
                            &fields);
    return 2;
}

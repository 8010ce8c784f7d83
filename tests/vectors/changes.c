/* SPDX-License-Identifier: MIT */
#include "tests/vectors/changes.h"

#include <stdlib.h>
#include <string.h>

#include "auth/base.h"

#define STRANGER_KEY "ed25519:EdmxWPmx2WH6WgFfTdu9xfkYf3k1g5wD1zccTVySEEh1"
#define SERVICE_KEY "ed25519:AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9"
#define NODE_KEY "ed25519:9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu"
#define INPUT "Signature-Input"
#define CONTEXT "Mpc-Migration-Context"

/* Is the changed message signed again, and by whom? Most are: then nothing but
 * the rule in question speaks against them. A label is not part of what is
 * signed. */
enum signing { KEPT, RELABELLED, SIGNED, BY_STRANGER };

struct change {
    const char *of, *why;
    int status; /* 200: authentic */
    enum signing signing;
    const char *field, *from, *to; /* an edit of this field's value */
    const char *other;             /* JSON: members that replace the message's */
};

static const struct change REQUESTS[] = {
    {"fetch", "another label", 200, RELABELLED, INPUT, "sig=", "a1=", NULL},
    {"fetch", "alg is named", 200, SIGNED, INPUT, ";tag", ";alg=\"ed25519\";tag", NULL},
    {"fetch", "components in another order", 200, SIGNED, INPUT, "\"@method\" \"@authority\"",
     "\"@authority\" \"@method\"", NULL},
    {"fetch", "parameters in another order", 200, SIGNED, INPUT,
     ";created=1795305600;expires=1795305660", ";expires=1795305660;created=1795305600", NULL},
    {"fetch", "a further field is covered", 200, SIGNED, INPUT, "\"@query\"",
     "\"@query\" \"user-agent\"", "{\"fields\":{\"User-Agent\":\"client/1\"}}"},
    {"fetch", "a nonce of 64 characters", 200, SIGNED, INPUT, "AQEBAQEBAQEBAQEBAQEBAQ",
     "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", NULL},
    {"fetch", "a lifetime of 300 seconds", 200, SIGNED, INPUT, "expires=1795305660",
     "expires=1795305900", NULL},
    {"fetch", "30 seconds after created", 200, KEPT, NULL, NULL, NULL, "{\"now\":1795305630}"},
    {"fetch", "30 seconds before created", 200, KEPT, NULL, NULL, NULL, "{\"now\":1795305570}"},
    {"upload", "a further digest, which is ignored", 200, SIGNED, "Content-Digest",
     "sha-256=", "crc32c=:AAAAAA==:, sha-256=", NULL},

    {"fetch", "no signature fields", 401, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Signature\":null,\"Signature-Input\":null}}"},
    {"fetch", "signed by another key", 401, BY_STRANGER, NULL, NULL, NULL, NULL},
    {"fetch", "another authority", 401, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Host\":\"other.example:8079\"}}"},
    {"fetch", "another context", 401, KEPT, CONTEXT, "epoch=\"5\"", "epoch=\"6\"", NULL},
    {"fetch", "created differs from what was signed", 401, KEPT, INPUT, "created=1795305600",
     "created=1795305601", NULL},
    {"upload", "another method", 401, KEPT, NULL, NULL, NULL, "{\"method\":\"POST\"}"},
    {"upload", "another type", 401, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Content-Type\":\"application/json\"}}"},
    {"fetch", "@method is not covered", 401, SIGNED, INPUT, "\"@method\" ", "", NULL},
    {"fetch", "@authority is not covered", 401, SIGNED, INPUT, "\"@authority\" ", "", NULL},
    {"fetch", "@path is not covered", 401, SIGNED, INPUT, "\"@path\" ", "", NULL},
    {"fetch", "@query is not covered", 401, SIGNED, INPUT, "\"@query\" ", "", NULL},
    {"fetch", "the context is not covered", 401, SIGNED, INPUT, " \"mpc-migration-context\"", "",
     NULL},
    {"upload", "content-type is not covered", 401, SIGNED, INPUT, " \"content-type\"", "", NULL},
    {"upload", "content-length is not covered", 401, SIGNED, INPUT, " \"content-length\"", "",
     NULL},
    {"upload", "content-digest is not covered", 401, SIGNED, INPUT, " \"content-digest\"", "",
     NULL},
    {"fetch", "no created", 401, SIGNED, INPUT, ";created=1795305600", "", NULL},
    {"fetch", "no expires", 401, SIGNED, INPUT, ";expires=1795305660", "", NULL},
    {"fetch", "no nonce", 401, SIGNED, INPUT, ";nonce=\"AQEBAQEBAQEBAQEBAQEBAQ\"", "", NULL},
    {"fetch", "no keyid", 401, SIGNED, INPUT, ";keyid=\"" SERVICE_KEY "\"", "", NULL},
    {"fetch", "no tag", 401, SIGNED, INPUT, ";tag=\"mpc-migration-v1\"", "", NULL},
    {"fetch", "another tag", 401, SIGNED, INPUT, "mpc-migration-v1", "mpc-migration-v1-response",
     NULL},
    {"fetch", "another alg", 401, SIGNED, INPUT, ";tag", ";alg=\"hmac-sha256\";tag", NULL},
    {"fetch", "another keyid", 401, SIGNED, INPUT, SERVICE_KEY, STRANGER_KEY, NULL},
    {"fetch", "another service in the context", 401, SIGNED, CONTEXT, SERVICE_KEY, STRANGER_KEY,
     NULL},
    {"fetch", "31 seconds after created", 401, KEPT, NULL, NULL, NULL, "{\"now\":1795305631}"},
    {"fetch", "31 seconds before created", 401, KEPT, NULL, NULL, NULL, "{\"now\":1795305569}"},
    {"fetch", "expired", 401, SIGNED, INPUT, "expires=1795305660", "expires=1795305610",
     "{\"now\":1795305611}"},
    {"fetch", "expires before created", 401, SIGNED, INPUT, "expires=1795305660",
     "expires=1795305599", NULL},
    {"fetch", "a lifetime of 301 seconds", 401, SIGNED, INPUT, "expires=1795305660",
     "expires=1795305901", NULL},

    {"fetch", "no Signature", 400, KEPT, NULL, NULL, NULL, "{\"fields\":{\"Signature\":null}}"},
    {"fetch", "no Signature-Input", 400, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Signature-Input\":null}}"},
    {"fetch", "labels differ", 400, KEPT, INPUT, "sig=", "gis=", NULL},
    {"fetch", "a signature of 3 bytes", 400, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Signature\":\"sig=:AAAA:\"}}"},
    {"fetch", "two spaces between components", 400, KEPT, INPUT, "\" \"@path", "\"  \"@path", NULL},
    {"fetch", "two members", 400, KEPT, INPUT, "sig=", "a=(), sig=", NULL},
    {"fetch", "a component twice", 400, KEPT, INPUT, "\"@path\"", "\"@path\" \"@path\"", NULL},
    {"fetch", "a component with a parameter", 400, KEPT, INPUT, "\"mpc-migration-context\"",
     "\"mpc-migration-context\";sf", NULL},
    {"fetch", "a component of a request's request", 400, KEPT, INPUT, "\"@path\"", "\"@path\";req",
     NULL},
    {"fetch", "a derived component that is banned", 400, KEPT, INPUT, "\"@path\"",
     "\"@path\" \"@target-uri\"", NULL},
    {"fetch", "a covered field that is not there", 400, KEPT, INPUT, "\"@path\"",
     "\"@path\" \"user-agent\"", NULL},
    {"fetch", "an unknown parameter", 400, SIGNED, INPUT, ";tag", ";colour=\"red\";tag", NULL},
    {"fetch", "created as a string", 400, SIGNED, INPUT, "created=1795305600",
     "created=\"1795305600\"", NULL},
    {"fetch", "created in fractions of a second", 400, SIGNED, INPUT, "created=1795305600",
     "created=1795305600.5", NULL},
    {"fetch", "a negative created", 400, SIGNED, INPUT, "created=1795305600", "created=-1795305600",
     NULL},
    {"fetch", "a nonce of 21 characters", 400, SIGNED, INPUT, "AQEBAQEBAQEBAQEBAQEBAQ",
     "AQEBAQEBAQEBAQEBAQEBA", NULL},
    {"fetch", "a nonce of 65 characters", 400, SIGNED, INPUT, "AQEBAQEBAQEBAQEBAQEBAQ",
     "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBA", NULL},
    {"fetch", "a nonce of another alphabet", 400, SIGNED, INPUT, "AQEBAQEBAQEBAQEBAQEBAQ",
     "AQEBAQEBAQEBAQEBAQEBA+", NULL},
    {"fetch", "no context", 400, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Mpc-Migration-Context\":null}}"},
    {"fetch", "a context that does not parse", 400, SIGNED, CONTEXT, ", account", ",account", NULL},
    {"fetch", "a query", 400, KEPT, NULL, NULL, NULL, "{\"path\":\"/shares_backup?\"}"},
    {"fetch", "a body", 400, KEPT, NULL, NULL, NULL, "{\"fields\":{\"Content-Length\":\"1\"}}"},
    {"receipt", "a body", 400, KEPT, NULL, NULL, NULL, "{\"fields\":{\"Content-Length\":\"1\"}}"},
    {"upload", "no Content-Digest", 400, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Content-Digest\":null}}"},
    {"upload", "no sha-256 in Content-Digest", 400, SIGNED, "Content-Digest",
     "sha-256=", "sha-512=", NULL},
};

/* 200: the client believes it. */
static const struct change RESPONSES[] = {
    {"backup", "another label", 200, RELABELLED, INPUT, "sig=", "a1=", NULL},
    {"backup", "components in another order", 200, SIGNED, INPUT, "\"@status\" \"content-type\"",
     "\"content-type\" \"@status\"", NULL},
    {"backup", "parameters in another order", 200, SIGNED, INPUT,
     ";nonce=\"AQEBAQEBAQEBAQEBAQEBAQ\";keyid=\"" NODE_KEY "\"",
     ";keyid=\"" NODE_KEY "\";nonce=\"AQEBAQEBAQEBAQEBAQEBAQ\"", NULL},
    {"backup", "a field that nobody reads was added", 200, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Via\":\"1.1 proxy\"}}"},

    {"backup", "no signature fields", 0, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Signature\":null,\"Signature-Input\":null}}"},
    {"backup", "signed by another key", 0, BY_STRANGER, NULL, NULL, NULL, NULL},
    {"backup", "another key under its own name", 0, BY_STRANGER, INPUT, NODE_KEY, STRANGER_KEY,
     NULL},
    {"backup", "the answer to another request", 0, KEPT, NULL, NULL, NULL,
     "{\"request\":\"fetch, operator key\"}"},
    {"backup", "another status", 0, KEPT, NULL, NULL, NULL, "{\"status\":201}"},
    {"backup", "another context", 0, KEPT, CONTEXT, "epoch=\"5\"", "epoch=\"6\"", NULL},
    {"backup", "no context", 0, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Mpc-Migration-Context\":null}}"},
    {"backup", "another type", 0, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Content-Type\":\"application/json\"}}"},
    {"receipt recorded", "another body", 0, KEPT, NULL, NULL, NULL, "{\"body_text\":\"{}\"}"},
    {"keyset differs", "Retry-After was added", 0, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Retry-After\":\"3600\"}}"},
    {"not running", "Retry-After was changed", 0, KEPT, NULL, NULL, NULL,
     "{\"fields\":{\"Retry-After\":\"3600\"}}"},
    {"backup", "another nonce", 0, SIGNED, INPUT, "AQEBAQEBAQEBAQEBAQEBAQ",
     "AgICAgICAgICAgICAgICAg", NULL},
    {"backup", "the tag of a request", 0, SIGNED, INPUT, "mpc-migration-v1-response",
     "mpc-migration-v1", NULL},
    {"backup", "no tag", 0, SIGNED, INPUT, ";tag=\"mpc-migration-v1-response\"", "", NULL},
    {"backup", "no created", 0, SIGNED, INPUT, ";created=1795305601", "", NULL},
    {"backup", "a parameter too many", 0, SIGNED, INPUT, ";tag", ";alg=\"ed25519\";tag", NULL},
    {"backup", "@status is not covered", 0, SIGNED, INPUT, "\"@status\" ", "", NULL},
    {"backup", "content-digest is not covered", 0, SIGNED, INPUT, " \"content-digest\"", "", NULL},
    {"backup", "the context is not covered", 0, SIGNED, INPUT, " \"mpc-migration-context\"", "",
     NULL},
    {"backup", "the request's context is not covered", 0, SIGNED, INPUT,
     " \"mpc-migration-context\";req", "", NULL},
    {"backup", "the request's method is not covered", 0, SIGNED, INPUT, " \"@method\";req", "",
     NULL},
    {"shares imported", "the request's body is not covered", 0, SIGNED, INPUT,
     " \"content-digest\";req", "", NULL},
    {"not running", "Retry-After is not covered", 0, SIGNED, INPUT, " \"retry-after\"", "", NULL},
    {"backup", "a further field is covered", 0, SIGNED, INPUT, "\"@status\"",
     "\"@status\" \"cache-control\"", NULL},
    {"backup", "two members", 0, KEPT, INPUT, "sig=", "a=(), sig=", NULL},
};

static const json_t *named(const json_t *array, const char *name)
{
    size_t i;
    json_t *value;
    json_array_foreach(array, i,
                       value) if (strcmp(json_string_value(json_object_get(value, "name")), name) ==
                                  0) return value;
    must(false, name);
    return NULL;
}

/* The edit of one field's value. */
static void edit(const json_t *original, const char *field, const char *from, const char *to,
                 json_t *fields)
{
    const json_t *value = json_object_get(json_object_get(original, "fields"), field);
    char *bad = edited(json_string_value(value), from, to);
    set(fields, field, json_string(bad));
    free(bad);
}

static void sign_again(const struct mig_identity *id, const json_t *original, const json_t *asked,
                       json_t *change)
{
    json_t *whole = http_changed(original, change), *base = good(http_base(whole, asked));
    uint8_t signature[MIG_SIG_LEN];
    char field[MIG_SIG_FIELD_MAX + 1];
    must(mig_identity_sign(id, json_string_value(base), json_string_length(base), signature) ==
             MIG_OK,
         "sign");
    mig_signature_format(signature, field);
    set(json_object_get(change, "fields"), "Signature", json_string(field));
    json_decref(base);
    json_decref(whole);
}

static json_t *changed(const struct cast *c, const struct change *row, const json_t *original,
                       const json_t *asked, enum who signer)
{
    json_t *change = row->other != NULL ? parsed(row->other) : json_object();
    if (json_object_get(change, "fields") == NULL)
        set(change, "fields", json_object());
    json_t *fields = json_object_get(change, "fields");
    if (row->field != NULL)
        edit(original, row->field, row->from, row->to, fields);
    if (row->signing == RELABELLED)
        edit(original, "Signature", row->from, row->to, fields);
    if (row->signing == SIGNED)
        sign_again(c->id[signer], original, asked, change);
    if (row->signing == BY_STRANGER)
        sign_again(c->id[STRANGER], original, asked, change);
    if (json_object_size(fields) == 0)
        (void)json_object_del(change, "fields");
    return change;
}

json_t *requests_changed(const struct cast *c, const json_t *requests)
{
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(REQUESTS); i++) {
        const struct change *row = &REQUESTS[i];
        json_t *change = changed(c, row, named(requests, row->of), NULL, SERVICE);
        add(all, json_pack("{s:s,s:s,s:i,s:o}", "request", row->of, "why", row->why, "status",
                           row->status, "change", change));
    }
    return all;
}

json_t *responses_changed(const struct cast *c, const json_t *requests, const json_t *responses)
{
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(RESPONSES); i++) {
        const struct change *row = &RESPONSES[i];
        const json_t *original = named(responses, row->of);
        const char *request = json_string_value(json_object_get(original, "request"));
        bool by_destination = strcmp(request, "upload") == 0;
        json_t *change = changed(c, row, original, named(requests, request),
                                 by_destination ? DESTINATION : NODE);
        add(all, json_pack("{s:s,s:s,s:b,s:o}", "response", row->of, "why", row->why, "believed",
                           (int)(row->status == 200), "change", change));
    }
    return all;
}

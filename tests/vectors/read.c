/* SPDX-License-Identifier: MIT */
#include "tests/vectors/read.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"

json_t *vectors;
static struct mig_domain_key domains[8];

bool vectors_load(void)
{
    vectors = json_load_file("docs/protocol-vectors.json", JSON_REJECT_DUPLICATES, NULL);
    return vectors != NULL;
}

const char *str(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

bool is(const json_t *object, const char *name, const char *text)
{
    return strcmp(str(object, name), text) == 0;
}

bool has(const json_t *object, const char *name)
{
    return json_is_string(json_object_get(object, name));
}

uint64_t u64(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value)
                                  : strtoull(str(object, name), NULL, 10);
}

json_t *named(const char *list, const char *name)
{
    EACH(row, vectors, list)
    {
        if (is(row, "name", name))
            return row;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(NULL);
    return NULL;
}

/* On the heap, with room for one byte at least. */
static uint8_t *bytes_of(const char *text, size_t *len)
{
    uint8_t *out = malloc(strlen(text) / 2 + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL_FATAL(mig_hex_decode(text, strlen(text), out, strlen(text) / 2 + 1, len),
                          MIG_OK);
    return out;
}

uint8_t *bytes(const json_t *object, const char *name, size_t *len)
{
    CU_ASSERT_FATAL(has(object, name));
    return bytes_of(str(object, name), len);
}

void fixed(const json_t *object, const char *name, size_t wanted, uint8_t *out)
{
    size_t len;
    uint8_t *all = bytes(object, name, &len);
    CU_ASSERT_EQUAL_FATAL(len, wanted);
    memcpy(out, all, len);
    free(all);
}

bool equals(const json_t *object, const char *name, const void *got, size_t got_len)
{
    size_t len;
    uint8_t *want = bytes(object, name, &len);
    bool same = len == got_len && memcmp(want, got, len) == 0;
    free(want);
    return same;
}

struct mig_secret *secret(const json_t *object, const char *name)
{
    size_t len;
    if (!has(object, name))
        return NULL;
    uint8_t *plain = bytes(object, name, &len);
    struct mig_secret *out = mig_secret_new(len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memcpy(out->bytes, plain, len);
    free(plain);
    return out;
}

uint8_t *assembled(const json_t *parts, const uint8_t *original, size_t original_len, size_t *len)
{
    enum { CAP = 300000 };
    uint8_t *out = malloc(CAP);
    size_t i;
    json_t *part;
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    *len = 0;
    json_array_foreach(parts, i, part)
    {
        size_t from = (size_t)json_integer_value(json_array_get(part, 0)), n;
        uint8_t *put = NULL;
        if (json_is_string(part)) {
            put = bytes_of(json_string_value(part), &n);
        } else {
            size_t to = (size_t)json_integer_value(json_array_get(part, 1));
            CU_ASSERT_FATAL(from <= to && to <= original_len);
            n = to - from;
        }
        CU_ASSERT_FATAL(*len + n <= CAP);
        memcpy(out + *len, put != NULL ? put : original + from, n);
        *len += n;
        free(put);
    }
    return out;
}

struct mig_identity *identity(const char *name)
{
    uint8_t seed[MIG_SEED_LEN];
    struct mig_identity *id = NULL;
    fixed(named("keys", name), "seed", sizeof seed, seed);
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &id), MIG_OK);
    return id;
}

struct mig_keyset keyset_of(const json_t *row)
{
    struct mig_keyset k = {.epoch = u64(row, "epoch"), .domains = domains};
    EACH(d, row, "domains")
    {
        struct mig_domain_key *out = &domains[k.count++];
        const char *key = str(d, "public_key");
        CU_ASSERT_FATAL(k.count <= 8);
        CU_ASSERT_EQUAL_FATAL(mig_group_key_parse(key, strlen(key), out), MIG_OK);
        CU_ASSERT_EQUAL((uint64_t)out->curve, u64(d, "curve"));
        out->domain = u64(d, "domain");
        out->attempt = u64(d, "attempt");
    }
    return k;
}

struct mig_ephemeral pair_of(const json_t *row, const char *secret_name, const char *public_name)
{
    struct mig_ephemeral pair = {.secret = secret(row, secret_name)};
    CU_ASSERT_EQUAL(crypto_scalarmult_base(pair.public_key, pair.secret->bytes), 0);
    CHECK(row, equals(row, public_name, pair.public_key, MIG_KEY_LEN));
    return pair;
}

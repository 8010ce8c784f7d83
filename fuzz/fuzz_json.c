/* SPDX-License-Identifier: MIT */
/*
 * Target: chain/json.h. Every byte of an RPC endpoint's answers passes through
 * it, and endpoints are strangers. What it accepts and refuses is what jansson
 * does, but for depth and for numbers that jansson cannot hold.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chain/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static int is_deep(const uint8_t *data, size_t size)
{
    unsigned depth = 0, most = 0;
    for (size_t i = 0; i < size; i++) {
        depth += data[i] == '[' || data[i] == '{'; /* in strings too: only ever too many */
        most = depth > most ? depth : most;
    }
    return most > MIG_JSON_DEPTH_MAX;
}

/* A NUL byte is never ours; jansson loses one that follows a number. */
static void judges_like_jansson(const uint8_t *data, size_t size)
{
    struct mig_json j;
    json_error_t error;
    mig_json_init(&j, (const char *)data, size);
    mig_json_skip(&j);
    enum mig_err err = mig_json_end(&j);
    json_t *o = json_loadb((const char *)data, size,
                           JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
                               JSON_DECODE_INT_AS_REAL,
                           &error);
    enum json_error_code code = o == NULL ? json_error_code(&error) : 0;
    json_decref(o);
    if (memchr(data, '\0', size) != NULL)
        require(err == MIG_ERR_MALFORMED);
    else if (o != NULL)
        require(err == MIG_OK || is_deep(data, size));
    else if (code != json_error_numeric_overflow && code != json_error_null_byte_in_key)
        require(err == MIG_ERR_MALFORMED);
}

/* The fast way through an array of bytes takes what the general one takes. */
static void reads_bytes_as_numbers(const uint8_t *data, size_t size)
{
    struct mig_json j;
    uint8_t *bytes = malloc(size + 1), *again = malloc(size + 1);
    size_t len = 0, n = 0;
    require(bytes != NULL && again != NULL);
    mig_json_init(&j, (const char *)data, size);
    mig_json_bytes(&j, bytes, size, &len);
    enum mig_err fast = mig_json_end(&j);
    mig_json_init(&j, (const char *)data, size);
    for (mig_json_array(&j); mig_json_item(&j);) {
        uint64_t v = mig_json_u64(&j);
        mig_json_need(&j, v <= 255);
        again[n++] = (uint8_t)v;
    }
    require(mig_json_end(&j) == fast);
    if (fast == MIG_OK)
        require(len == n && memcmp(bytes, again, n) == 0);
    free(bytes);
    free(again);
}

static void decodes_strings_as_jansson(const uint8_t *data, size_t size)
{
    struct mig_json j;
    char text[256];
    mig_json_init(&j, (const char *)data, size);
    mig_json_string(&j, text, sizeof text);
    if (mig_json_end(&j) != MIG_OK)
        return;
    json_t *o = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    require(json_is_string(o) && strcmp(json_string_value(o), text) == 0);
    json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    judges_like_jansson(data, size);
    reads_bytes_as_numbers(data, size);
    decodes_strings_as_jansson(data, size);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "tests/vectors/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/encoding.h"

void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "vectors_tool: %s\n", what);
    exit(1);
}

json_t *good(json_t *value)
{
    must(value != NULL, "json");
    return value;
}

json_t *hex(const void *bytes, size_t len)
{
    char *text = malloc(MIG_HEX_LEN(len));
    must(text != NULL && mig_hex_encode(bytes, len, text, MIG_HEX_LEN(len)) == MIG_OK, "hex");
    json_t *value = good(json_string(text));
    free(text);
    return value;
}

json_t *text(struct mig_text t)
{
    return good(json_stringn(t.at, t.len));
}

json_t *decimal(uint64_t v)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    return good(json_string(digits));
}

json_t *number(uint64_t v)
{
    return good(json_integer((json_int_t)v));
}

void add(json_t *array, json_t *value)
{
    must(json_array_append_new(array, good(value)) == 0, "json");
}

void set(json_t *object, const char *name, json_t *value)
{
    must(json_object_set_new(object, name, good(value)) == 0, "json");
}

/* The first `from` in `s` becomes `to`. */
char *edited(const char *s, const char *from, const char *to)
{
    const char *at = strstr(s, from);
    must(at != NULL, from);
    size_t cap = strlen(s) + strlen(to) + 1;
    char *out = malloc(cap);
    must(out != NULL, "memory");
    (void)snprintf(out, cap, "%.*s%s%s", (int)(at - s), s, to, at + strlen(from));
    return out;
}

json_t *hex_or_null(bool has, const void *bytes, size_t len)
{
    return has ? hex(bytes, len) : json_null();
}

json_t *parsed(const char *json)
{
    return good(json_loads(json, 0, NULL));
}

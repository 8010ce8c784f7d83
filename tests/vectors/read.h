/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_VECTORS_READ_H
#define MIG_TESTS_VECTORS_READ_H
/*
 * docs/protocol-vectors.json for tests: what a row says. What is not there, or
 * not of the right kind, fails the test.
 */
#include <jansson.h>
#include <stdio.h>

#include "crypto/exchange.h"
#include "crypto/key.h"
#include "tests/harness.h"

extern json_t *vectors; /* the whole file; set by vectors_load */
bool vectors_load(void);

#define EACH(row, object, name)                                                                    \
    json_t *row;                                                                                   \
    size_t row##_at;                                                                               \
    CU_ASSERT_FATAL(json_array_size(json_object_get(object, name)) > 0);                           \
    json_array_foreach(json_object_get(object, name), row##_at, row)

/* Which row it was, said only when it fails. */
#define CHECK(row, condition)                                                                      \
    do {                                                                                           \
        bool holds_ = (condition);                                                                 \
        if (!holds_)                                                                               \
            printf("%s %s: %s\n", str(row, "name"), str(row, "why"), #condition);                  \
        CU_ASSERT(holds_);                                                                         \
    } while (0)

const char *str(const json_t *object, const char *name); /* "": none */
bool is(const json_t *object, const char *name, const char *text);
bool has(const json_t *object, const char *name);
uint64_t u64(const json_t *object, const char *name);
/* The row of this name. */
json_t *named(const char *list, const char *name);
/* Hex, on the heap. */
uint8_t *bytes(const json_t *object, const char *name, size_t *len);
void fixed(const json_t *object, const char *name, size_t wanted, uint8_t *out);
bool equals(const json_t *object, const char *name, const void *got, size_t got_len);
struct mig_secret *secret(const json_t *object, const char *name); /* NULL: none */
/* [from, to) of the original, and bytes put between; on the heap. */
uint8_t *assembled(const json_t *parts, const uint8_t *original, size_t original_len, size_t *len);

struct mig_identity *identity(const char *name);
struct mig_ephemeral pair_of(const json_t *row, const char *secret_name, const char *public_name);
/* Its domains last until the next call. */
struct mig_keyset keyset_of(const json_t *row);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_TESTS_VECTORS_CHANGES_H
#define MIG_TESTS_VECTORS_CHANGES_H
/* Changed messages, and what a verifier must say to each. */
#include "tests/vectors/http.h"
#include "tests/vectors/vectors.h"

json_t *requests_changed(const struct cast *c, const json_t *requests);
json_t *responses_changed(const struct cast *c, const json_t *requests, const json_t *responses);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_EXAMPLES_FROST_H
#define MIG_EXAMPLES_FROST_H
/*
 * Threshold signatures under an ed25519 group key in two rounds (FROST, RFC
 * 9591 in spirit). The Shamir coordinate of a participant is its id + 1. Each
 * gives false for values that an honest signer does not send.
 */
#include <stdbool.h>
#include <stdint.h>

enum { FROST_SIGNERS_MAX = 16, FROST_NONCE_LEN = 64 };

struct frost_commitment {
    uint32_t id;
    uint8_t hiding[32], binding[32]; /* points */
};

struct frost_session {
    uint8_t group_key[32];
    const char *message;
    uint32_t count;
    struct frost_commitment list[FROST_SIGNERS_MAX];
};

/* Round one: a fresh nonce, which serves one signature, and its commitment. */
bool frost_commit(uint32_t id, uint8_t nonce[FROST_NONCE_LEN], struct frost_commitment *out);
/* Round two: this signer's part; its commitment is in the list. */
bool frost_sign(const struct frost_session *session, uint32_t id,
                const uint8_t nonce[FROST_NONCE_LEN], const uint8_t share[32], uint8_t part[32]);
/* A signature without parts, and one more part. */
bool frost_begin(const struct frost_session *session, uint8_t signature[64]);
void frost_add(uint8_t signature[64], const uint8_t part[32]);

#endif

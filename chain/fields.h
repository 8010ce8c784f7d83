/* SPDX-License-Identifier: MIT */
#ifndef MIG_CHAIN_FIELDS_H
#define MIG_CHAIN_FIELDS_H
/* The few value types that every answer of the contract is made of. As in
 * chain/json.h, a failure sticks to the reader. */
#include "chain/json.h"

/* "ed25519:<base58>" and "x25519:<base58>" of 32 bytes. */
void mig_field_key(struct mig_json *j, uint8_t key[MIG_KEY_LEN]);
void mig_field_x25519(struct mig_json *j, uint8_t key[MIG_KEY_LEN]);
void mig_field_account(struct mig_json *j, char account[MIG_ACCOUNT_MAX + 1]);
/* A URL text of a participant. One that mig_url_parse refuses, or that is too
 * long, becomes "": anybody's nonsense must not blind us to the rest. */
void mig_field_url(struct mig_json *j, char url[MIG_URL_MAX + 1]);
/* ParticipantInfo: {url, tls_public_key}. */
void mig_field_participant_info(struct mig_json *j, char url[MIG_URL_MAX + 1],
                                uint8_t tls_key[MIG_KEY_LEN]);

#endif

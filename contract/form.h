/* SPDX-License-Identifier: MIT */
#ifndef MIG_CONTRACT_FORM_H
#define MIG_CONTRACT_FORM_H
/*
 * The contract's values as JSON, both ways: what views print, and what
 * arguments, genesis and dump contain. One writer and one reader per type.
 */
#include "contract/serde.h"
#include "contract/state.h"

void mig_form_key(struct mig_print *t, const uint8_t key[MIG_KEY_LEN]); /* "ed25519:…" quoted */
void mig_form_x25519(struct mig_print *t, const uint8_t key[MIG_KEY_LEN]); /* "x25519:…" quoted */
void mig_form_info(struct mig_print *t, const char *url, const uint8_t tls_key[MIG_KEY_LEN]);
void mig_form_keyset(struct mig_print *t, const struct mig_keyset *keyset);
void mig_form_protocol(struct mig_print *t, const struct mig_contract_protocol *protocol);
void mig_form_hex(struct mig_print *t, const uint8_t hash[MIG_DIGEST_LEN]);

/* Rust's {:?} of a ParticipantInfo and of a Keyset. */
void mig_debug_key(struct mig_print *t, const uint8_t key[MIG_KEY_LEN]);
void mig_debug_info(struct mig_print *t, const char *url, const uint8_t tls_key[MIG_KEY_LEN]);
void mig_debug_keyset(struct mig_print *t, const struct mig_keyset *keyset);

/* Readers write into zeroed memory, which the caller clears also on failure. */
void mig_read_text(struct mig_serde *s, char *out, size_t cap, const char *name);
void mig_read_x25519(struct mig_serde *s, uint8_t key[MIG_KEY_LEN]);
void mig_read_hex(struct mig_serde *s, uint8_t hash[MIG_DIGEST_LEN]);
/* `what`: name of the type for complaints. */
void mig_read_info(struct mig_serde *s, char url[MIG_URL_MAX + 1], uint8_t tls_key[MIG_KEY_LEN]);
/* A group key as one string, or in the contract's object form. */
void mig_read_group_key(struct mig_serde *s, struct mig_domain_key *key);
void mig_read_keyset(struct mig_serde *s, struct mig_keyset *keyset);
void mig_read_council(struct mig_serde *s, struct mig_council *council);
void mig_read_domain(struct mig_serde *s, struct mig_contract_domain *domain);
void mig_read_protocol(struct mig_serde *s, struct mig_contract_protocol *protocol);
void mig_read_thresholds(struct mig_serde *s, struct mig_contract_protocol *protocol);

#endif

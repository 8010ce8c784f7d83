/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_TLS_H
#define MIG_SERVER_TLS_H
/*
 * TLS with the node's own identity: a self-signed certificate around the
 * ed25519 key that the contract names. Clients pin that key; nothing else in
 * the certificate counts. The secret key never leaves its locked memory:
 * GnuTLS asks us to sign.
 */
#include <gnutls/abstract.h>

#include "crypto/key.h"

/* TLS 1.3 only, ed25519 only, no session tickets. */
#define MIG_TLS_PRIORITIES                                                                         \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-SIGN-ALL:+SIGN-EDDSA-ED25519:"                                 \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:%NO_TICKETS"

struct mig_tls {
    gnutls_pcert_st certificate;
    gnutls_privkey_t key;
};

/* `identity` is borrowed until mig_tls_free. The same key always makes the
 * same certificate. MIG_ERR_NOMEM, MIG_ERR_BUG (GnuTLS refused). */
enum mig_err mig_tls_new(const struct mig_identity *identity, struct mig_tls **out) MIG_MUST_USE;
void mig_tls_free(struct mig_tls **tls);

#endif

/* SPDX-License-Identifier: MIT */
#include "server/tls.h"

#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOT_BEFORE = 1577836800, /* 2020-01-01; a fixed day, so that a restart changes nothing */
    SERIAL_LEN = 16,
    PUBLIC_KEY_BITS = 256,
};

static int sign(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *identity,
                unsigned int flags, const gnutls_datum_t *data, gnutls_datum_t *signature)
{
    (void)key;
    (void)flags;
    if (algorithm != GNUTLS_SIGN_EDDSA_ED25519)
        return GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
    unsigned char *bytes = gnutls_malloc(MIG_SIG_LEN);
    if (bytes == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    if (mig_identity_sign(identity, data->data, data->size, bytes) != MIG_OK) {
        gnutls_free(bytes);
        return GNUTLS_E_PK_SIGN_FAILED;
    }
    signature->data = bytes;
    signature->size = MIG_SIG_LEN;
    return 0;
}

static int describe(gnutls_privkey_t key, unsigned int flags, void *identity)
{
    (void)key;
    (void)identity;
    if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) != 0)
        return GNUTLS_PK_EDDSA_ED25519;
    if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) != 0)
        return PUBLIC_KEY_BITS;
    if ((flags & GNUTLS_PRIVKEY_INFO_SIGN_ALGO) != 0)
        return GNUTLS_SIGN_EDDSA_ED25519;
    if ((flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) != 0)
        return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) == GNUTLS_SIGN_EDDSA_ED25519;
    return -1;
}

static int import_key(const struct mig_identity *identity, gnutls_privkey_t *key)
{
    int rc = gnutls_privkey_init(key);
    if (rc == 0)
        rc = gnutls_privkey_import_ext4(*key, (void *)(uintptr_t)identity, sign, NULL, NULL, NULL,
                                        describe, 0);
    return rc;
}

static int set_public_key(gnutls_x509_crt_t crt, const struct mig_identity *identity)
{
    gnutls_datum_t x = {(unsigned char *)(uintptr_t)identity->public_key, MIG_KEY_LEN};
    gnutls_pubkey_t key = NULL;
    int rc = gnutls_pubkey_init(&key);
    if (rc == 0)
        rc = gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, NULL);
    if (rc == 0)
        rc = gnutls_x509_crt_set_pubkey(crt, key);
    if (key != NULL)
        gnutls_pubkey_deinit(key);
    return rc;
}

static int fill(gnutls_x509_crt_t crt, const struct mig_identity *identity)
{
    static const char name[] = "mpc-migration";
    unsigned char serial[SERIAL_LEN];
    memcpy(serial, identity->public_key, sizeof serial);
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40); /* positive, no leading zero */
    int rc = gnutls_x509_crt_set_version(crt, 3);
    if (rc == 0)
        rc = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    if (rc == 0)
        rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                           sizeof name - 1);
    if (rc == 0)
        rc = gnutls_x509_crt_set_activation_time(crt, NOT_BEFORE);
    if (rc == 0)
        rc = gnutls_x509_crt_set_expiration_time(crt, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (rc == 0)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (rc == 0)
        rc = set_public_key(crt, identity);
    return rc;
}

static int make_certificate(const struct mig_identity *identity, gnutls_privkey_t key,
                            gnutls_pcert_st *out)
{
    gnutls_x509_crt_t crt = NULL;
    int rc = gnutls_x509_crt_init(&crt);
    if (rc == 0)
        rc = fill(crt, identity);
    if (rc == 0)
        rc = gnutls_x509_crt_privkey_sign(crt, crt, key, GNUTLS_DIG_SHA512, 0);
    if (rc == 0)
        rc = gnutls_pcert_import_x509(out, crt, 0);
    if (crt != NULL)
        gnutls_x509_crt_deinit(crt);
    return rc;
}

enum mig_err mig_tls_new(const struct mig_identity *identity, struct mig_tls **out)
{
    *out = NULL;
    struct mig_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return MIG_ERR_NOMEM;
    int rc = import_key(identity, &tls->key);
    if (rc == 0)
        rc = make_certificate(identity, tls->key, &tls->certificate);
    if (rc != 0) {
        mig_tls_free(&tls);
        return rc == GNUTLS_E_MEMORY_ERROR ? MIG_ERR_NOMEM : MIG_ERR_BUG;
    }
    *out = tls;
    return MIG_OK;
}

void mig_tls_free(struct mig_tls **tls)
{
    if (*tls == NULL)
        return;
    gnutls_pcert_deinit(&(*tls)->certificate);
    if ((*tls)->key != NULL)
        gnutls_privkey_deinit((*tls)->key);
    free(*tls);
    *tls = NULL;
}

/* SPDX-License-Identifier: MIT */
#include "crypto/exchange.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>

static const char LABEL[] = "mpc-migration-v1";
static const char OPERATOR_LABEL[] = "mpc-operator-key";
enum { LABEL_LEN = sizeof LABEL - 1, OPERATOR_LABEL_LEN = sizeof OPERATOR_LABEL - 1 };

_Static_assert(crypto_kx_PUBLICKEYBYTES == MIG_KEY_LEN, "X25519 public key");
_Static_assert(crypto_kx_SECRETKEYBYTES == MIG_KEY_LEN, "X25519 secret key");
_Static_assert(crypto_kx_SESSIONKEYBYTES == MIG_SEALING_KEY_LEN, "session key");

enum mig_err mig_ephemeral_generate(struct mig_ephemeral *pair)
{
    if (pair->secret == NULL)
        pair->secret = mig_secret_new(crypto_kx_SECRETKEYBYTES);
    if (pair->secret == NULL)
        return MIG_ERR_NOMEM;
    if (pair->secret->len < crypto_kx_SECRETKEYBYTES)
        return MIG_ERR_BUG;
    return crypto_kx_keypair(pair->public_key, pair->secret->bytes) == 0 ? MIG_OK : MIG_ERR_BUG;
}

void mig_ephemeral_clear(struct mig_ephemeral *pair)
{
    mig_secret_free(&pair->secret);
    mig_wipe(pair->public_key, sizeof pair->public_key);
}

/* Session keys of both directions. The node is always crypto_kx's server, so
 * that the two sides cannot disagree about who is who. */
static int session_keys(const struct mig_ephemeral *own, enum mig_role role, const uint8_t *peer,
                        uint8_t *rx, uint8_t *tx)
{
    const uint8_t *sk = own->secret->bytes;
    if (role == MIG_ROLE_NODE)
        return crypto_kx_server_session_keys(rx, tx, own->public_key, sk, peer);
    return crypto_kx_client_session_keys(rx, tx, own->public_key, sk, peer);
}

static int bind_key(const uint8_t *session_key, const char *context, size_t context_len,
                    const struct mig_secret *operator_key, uint8_t *key)
{
    uint8_t msg[LABEL_LEN + MIG_DIGEST_LEN + MIG_OPERATOR_KEY_LEN];
    size_t len = LABEL_LEN + MIG_DIGEST_LEN;
    memcpy(msg, LABEL, LABEL_LEN);
    mig_sha256(context, context_len, msg + LABEL_LEN);
    if (operator_key != NULL) {
        memcpy(msg + len, operator_key->bytes, MIG_OPERATOR_KEY_LEN);
        len += MIG_OPERATOR_KEY_LEN;
    }
    int rc = crypto_generichash(key, MIG_SEALING_KEY_LEN, msg, len, session_key,
                                crypto_kx_SESSIONKEYBYTES);
    mig_wipe(msg, sizeof msg);
    return rc;
}

static bool arguments_fit(const struct mig_ephemeral *own, enum mig_role role,
                          enum mig_direction direction, const struct mig_secret *operator_key,
                          const struct mig_secret *key)
{
    return own->secret != NULL && own->secret->len >= crypto_kx_SECRETKEYBYTES &&
           (role == MIG_ROLE_NODE || role == MIG_ROLE_SERVICE) &&
           (direction == MIG_BACKUP || direction == MIG_RECOVER) &&
           (operator_key == NULL || operator_key->len == MIG_OPERATOR_KEY_LEN) &&
           key->len >= MIG_SEALING_KEY_LEN;
}

enum mig_err mig_exchange(const struct mig_ephemeral *own, enum mig_role role,
                          const uint8_t peer[MIG_KEY_LEN], enum mig_direction direction,
                          const char *final_context, size_t context_len,
                          const struct mig_secret *operator_key, struct mig_secret *key)
{
    enum mig_err err = MIG_ERR_MALFORMED;
    uint8_t rx[crypto_kx_SESSIONKEYBYTES], tx[crypto_kx_SESSIONKEYBYTES];

    mig_secret_wipe(key);
    if (!arguments_fit(own, role, direction, operator_key, key))
        return MIG_ERR_BUG;
    if (session_keys(own, role, peer, rx, tx) != 0)
        goto out; /* a point of small order: the secret would be all zero */
    bool sends = (role == MIG_ROLE_NODE) == (direction == MIG_BACKUP);
    err = MIG_ERR_BUG;
    if (bind_key(sends ? tx : rx, final_context, context_len, operator_key, key->bytes) != 0)
        goto out;
    err = MIG_OK;
out:
    mig_wipe(rx, sizeof rx);
    mig_wipe(tx, sizeof tx);
    return err;
}

void mig_operator_tag(const struct mig_secret *operator_key, uint8_t tag[MIG_OPERATOR_TAG_LEN])
{
    uint8_t msg[OPERATOR_LABEL_LEN + MIG_OPERATOR_KEY_LEN] = {0}, digest[MIG_DIGEST_LEN];
    size_t len =
        operator_key->len < MIG_OPERATOR_KEY_LEN ? operator_key->len : MIG_OPERATOR_KEY_LEN;
    memcpy(msg, OPERATOR_LABEL, OPERATOR_LABEL_LEN);
    memcpy(msg + OPERATOR_LABEL_LEN, operator_key->bytes, len);
    mig_sha256(msg, OPERATOR_LABEL_LEN + len, digest);
    memcpy(tag, digest, MIG_OPERATOR_TAG_LEN);
    mig_wipe(msg, sizeof msg);
    mig_wipe(digest, sizeof digest);
}

/* Looking the algorithm up costs as much as hashing 200 bytes, so it is done
 * once; written only under the once, read-only and shared afterwards. */
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_md;

static void sha256_fetch(void)
{
    sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void mig_sha256(const void *bytes, size_t len, uint8_t out[MIG_DIGEST_LEN])
{
    (void)pthread_once(&sha256_once, sha256_fetch);
    if (sha256_md == NULL || EVP_Digest(bytes, len, out, NULL, sha256_md, NULL) != 1)
        (void)crypto_hash_sha256(out, bytes, len); /* out of memory: slower, but cannot fail */
}

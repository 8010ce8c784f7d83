/* SPDX-License-Identifier: MIT */
/*
 * magic 8 || u32 header length || header || commitment 32 || sealed shares ||
 * SHA-256 of all before. Header: sequence u64, imported_at u64, key id 16,
 * nonce 24, u16 length + contract, epoch u64, n u32, then per domain ascending
 * domain u64, attempt u64, curve u8, u16 length + public key. Big-endian.
 */
#include "store/share_file.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/exchange.h"
#include "crypto/key.h"
#include "crypto/keyset.h"

static const char magic[8] = "MPCSHAR1";
static const char label[] = "mpc-store-v1";
static const char id_label[] = "mpc-store-key-id";

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    COMMITMENT = 32,
    HEADER_AT = sizeof magic + 4,
    NONCE_AT = HEADER_AT + 8 + 8 + MIG_STORE_KEY_ID_LEN,
    HEADER_FIXED = 8 + 8 + MIG_STORE_KEY_ID_LEN + NONCE + 2 + 8 + 4,
    ENTRY_FIXED = 8 + 8 + 1 + 2,
    HEADER_MAX =
        HEADER_FIXED + MIG_ACCOUNT_MAX + MIG_DOMAINS_MAX * (ENTRY_FIXED + MIG_GROUP_KEY_MAX),
};
_Static_assert(HEADER_AT + HEADER_MAX + COMMITMENT + MIG_DOMAINS_MAX * MIG_SHARE_LEN + TAG +
                       MIG_DIGEST_LEN <=
                   MIG_SHARE_FILE_MAX,
               "the largest keyset fits");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES + COMMITMENT == MIG_SHARE_FILE_SCRATCH,
               "one derivation gives key and commitment");

void mig_share_file_clear(struct mig_share_file *file)
{
    mig_keyset_clear(&file->keyset);
    *file = (struct mig_share_file){0};
}

void mig_store_key_id(const struct mig_secret *key, uint8_t id[MIG_STORE_KEY_ID_LEN])
{
    (void)crypto_generichash(id, MIG_STORE_KEY_ID_LEN, (const uint8_t *)id_label,
                             sizeof id_label - 1, key->bytes, MIG_STORE_KEY_LEN);
}

/* ---- writing ----------------------------------------------------------- */

static uint8_t *put(uint8_t *out, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
    return out + bytes;
}

static uint8_t *put_bytes(uint8_t *out, const void *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return out + len;
}

static size_t header_len(const char *contract, const struct mig_keyset *keyset)
{
    size_t len = HEADER_FIXED + strlen(contract);
    for (size_t i = 0; i < keyset->count; i++)
        len += ENTRY_FIXED + keyset->domains[i].key_len;
    return len;
}

static uint8_t *put_header(uint8_t *out, const struct mig_secret *key,
                           const struct mig_share_file *file)
{
    uint8_t *p = put_bytes(out, magic, sizeof magic);
    p = put(p, header_len(file->contract, &file->keyset), 4);
    p = put(p, file->sequence, 8);
    p = put(p, file->imported_at, 8);
    mig_store_key_id(key, p);
    p += MIG_STORE_KEY_ID_LEN;
    mig_random(p, NONCE);
    p += NONCE;
    p = put(p, strlen(file->contract), 2);
    p = put_bytes(p, file->contract, strlen(file->contract));
    p = put(p, file->keyset.epoch, 8);
    p = put(p, file->keyset.count, 4);
    for (size_t i = 0; i < file->keyset.count; i++) {
        const struct mig_domain_key *d = &file->keyset.domains[i];
        p = put(p, d->domain, 8);
        p = put(p, d->attempt, 8);
        p = put(p, (uint64_t)d->curve, 1);
        p = put(p, d->key_len, 2);
        p = put_bytes(p, d->key, d->key_len);
    }
    return p;
}

static bool is_storable(const struct mig_keyset *keyset)
{
    if (keyset->count == 0 || keyset->count > MIG_DOMAINS_MAX)
        return false;
    for (size_t i = 0; i < keyset->count; i++) {
        const struct mig_domain_key *d = &keyset->domains[i];
        if (d->key_len == 0 || d->key_len != mig_group_key_len(d->curve))
            return false;
        if (i > 0 && keyset->domains[i - 1].domain >= d->domain)
            return false;
    }
    return true;
}

/* scratch: sealing key || commitment. `ad`: hash of all bytes up to the
 * commitment. */
static void derive(const struct mig_secret *key, const uint8_t *head, size_t head_len,
                   struct mig_secret *scratch, uint8_t ad[MIG_DIGEST_LEN])
{
    uint8_t message[sizeof label - 1 + MIG_DIGEST_LEN];
    (void)crypto_generichash(ad, MIG_DIGEST_LEN, head, head_len, NULL, 0);
    memcpy(put_bytes(message, label, sizeof label - 1), ad, MIG_DIGEST_LEN);
    (void)crypto_generichash(scratch->bytes, MIG_SHARE_FILE_SCRATCH, message, sizeof message,
                             key->bytes, MIG_STORE_KEY_LEN);
}

enum mig_err mig_share_file_seal(const struct mig_secret *key, const struct mig_share_file *file,
                                 const uint8_t (*shares)[MIG_SHARE_LEN], struct mig_secret *scratch,
                                 uint8_t **bytes, size_t *len)
{
    *bytes = NULL;
    *len = 0;
    if (key->len < MIG_STORE_KEY_LEN || scratch->len < MIG_SHARE_FILE_SCRATCH)
        return MIG_ERR_BUG;
    if (!is_storable(&file->keyset))
        return MIG_ERR_MALFORMED;
    size_t plain = file->keyset.count * MIG_SHARE_LEN;
    size_t head = HEADER_AT + header_len(file->contract, &file->keyset);
    size_t total = head + COMMITMENT + plain + TAG + MIG_DIGEST_LEN;
    uint8_t *out = malloc(total);
    if (out == NULL)
        return MIG_ERR_NOMEM;

    uint8_t ad[MIG_DIGEST_LEN];
    (void)put_header(out, key, file);
    derive(key, out, head, scratch, ad);
    memcpy(out + head, scratch->bytes + MIG_SHARE_FILE_SCRATCH - COMMITMENT, COMMITMENT);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + head + COMMITMENT, NULL, shares[0],
                                                     plain, ad, sizeof ad, NULL, out + NONCE_AT,
                                                     scratch->bytes);
    mig_sha256(out, total - MIG_DIGEST_LEN, out + total - MIG_DIGEST_LEN);
    mig_secret_wipe(scratch);
    *bytes = out;
    *len = total;
    return MIG_OK;
}

/* ---- reading ----------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    if (r->failed || r->left < len) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += len;
    r->left -= len;
    return at;
}

static void take_into(struct reader *r, void *out, size_t len)
{
    const uint8_t *at = take(r, len);
    if (at != NULL)
        memcpy(out, at, len);
}

static uint64_t take_number(struct reader *r, size_t bytes)
{
    const uint8_t *at = take(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; at != NULL && i < bytes; i++)
        v = v << 8 | at[i];
    return v;
}

static void take_contract(struct reader *r, char contract[MIG_ACCOUNT_MAX + 1])
{
    size_t len = (size_t)take_number(r, 2);
    if (len > MIG_ACCOUNT_MAX)
        r->failed = true;
    take_into(r, contract, len);
    if (!r->failed && memchr(contract, '\0', len) != NULL)
        r->failed = true;
}

static void take_domain(struct reader *r, struct mig_domain_key *d)
{
    d->domain = take_number(r, 8);
    d->attempt = take_number(r, 8);
    d->curve = (enum mig_curve)take_number(r, 1);
    d->key_len = (uint16_t)take_number(r, 2);
    if (d->key_len == 0 || d->key_len != mig_group_key_len(d->curve))
        r->failed = true;
    take_into(r, d->key, r->failed ? 0 : d->key_len);
}

static enum mig_err take_keyset(struct reader *r, struct mig_keyset *keyset)
{
    keyset->epoch = take_number(r, 8);
    size_t count = (size_t)take_number(r, 4);
    if (r->failed || count == 0 || count > MIG_DOMAINS_MAX || count > r->left / ENTRY_FIXED)
        return MIG_ERR_MALFORMED;
    keyset->domains = calloc(count, sizeof *keyset->domains);
    if (keyset->domains == NULL)
        return MIG_ERR_NOMEM;
    keyset->count = count;
    for (size_t i = 0; i < count && !r->failed; i++)
        take_domain(r, &keyset->domains[i]);
    return !r->failed && is_storable(keyset) ? MIG_OK : MIG_ERR_MALFORMED;
}

static enum mig_err take_header(struct reader *r, struct mig_share_file *out)
{
    out->sequence = take_number(r, 8);
    out->imported_at = take_number(r, 8);
    take_into(r, out->key_id, sizeof out->key_id);
    (void)take(r, NONCE);
    take_contract(r, out->contract);
    enum mig_err err = take_keyset(r, &out->keyset);
    if (err == MIG_OK && r->left != 0)
        err = MIG_ERR_MALFORMED;
    return err;
}

static bool digest_fits(const uint8_t *bytes, size_t len)
{
    uint8_t digest[MIG_DIGEST_LEN];
    mig_sha256(bytes, len - MIG_DIGEST_LEN, digest);
    return memcmp(digest, bytes + len - MIG_DIGEST_LEN, MIG_DIGEST_LEN) == 0;
}

/* Length of the part that the commitment follows; 0 when it cannot be. */
static size_t head_len(const uint8_t *bytes, size_t len)
{
    struct reader r = {bytes, len, false};
    const uint8_t *start = take(&r, sizeof magic);
    size_t header = (size_t)take_number(&r, 4);
    if (r.failed || memcmp(start, magic, sizeof magic) != 0 || header > HEADER_MAX)
        return 0;
    (void)take(&r, header);
    (void)take(&r, COMMITMENT + MIG_SHARE_LEN + TAG + MIG_DIGEST_LEN);
    return r.failed ? 0 : HEADER_AT + header;
}

enum mig_err mig_share_file_parse(const uint8_t *bytes, size_t len, struct mig_share_file *out)
{
    *out = (struct mig_share_file){0};
    size_t head = head_len(bytes, len);
    if (head == 0 || !digest_fits(bytes, len))
        return MIG_ERR_MALFORMED;
    struct reader r = {bytes + HEADER_AT, head - HEADER_AT, false};
    enum mig_err err = take_header(&r, out);
    if (err == MIG_OK &&
        len != head + COMMITMENT + out->keyset.count * MIG_SHARE_LEN + TAG + MIG_DIGEST_LEN)
        err = MIG_ERR_MALFORMED;
    if (err != MIG_OK)
        mig_share_file_clear(out);
    else
        mig_keyset_digest(out->contract, &out->keyset, out->digest);
    return err;
}

enum mig_err mig_share_file_open(const struct mig_secret *key, const uint8_t *bytes, size_t len,
                                 struct mig_secret *scratch, uint8_t (*shares)[MIG_SHARE_LEN],
                                 size_t count)
{
    size_t head = head_len(bytes, len);
    size_t sealed = count * MIG_SHARE_LEN + TAG;
    uint8_t ad[MIG_DIGEST_LEN];
    if (key->len < MIG_STORE_KEY_LEN || scratch->len < MIG_SHARE_FILE_SCRATCH || count == 0 ||
        count > MIG_DOMAINS_MAX)
        return MIG_ERR_BUG;
    enum mig_err err = MIG_ERR_DENIED;
    if (head == 0 || len != head + COMMITMENT + sealed + MIG_DIGEST_LEN)
        goto out;
    derive(key, bytes, head, scratch, ad);
    if (!mig_equal(scratch->bytes + MIG_SHARE_FILE_SCRATCH - COMMITMENT, bytes + head, COMMITMENT))
        goto out;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(shares[0], NULL, NULL, bytes + head + COMMITMENT,
                                                   sealed, ad, sizeof ad, bytes + NONCE_AT,
                                                   scratch->bytes) != 0)
        goto out;
    err = MIG_OK;
out:
    mig_secret_wipe(scratch);
    if (err != MIG_OK)
        mig_wipe(shares, count * MIG_SHARE_LEN);
    return err;
}

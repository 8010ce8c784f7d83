/* SPDX-License-Identifier: MIT */
#include "auth/digest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "auth/sf.h"
#include "crypto/encoding.h"

struct mig_digest {
    EVP_MD_CTX *ctx;
};

enum mig_err mig_digest_new(struct mig_digest **out)
{
    *out = NULL;
    struct mig_digest *digest = calloc(1, sizeof *digest);
    if (digest == NULL)
        return MIG_ERR_NOMEM;
    digest->ctx = EVP_MD_CTX_new();
    if (digest->ctx == NULL || mig_digest_reset(digest) != MIG_OK) {
        mig_digest_free(&digest);
        return MIG_ERR_NOMEM;
    }
    *out = digest;
    return MIG_OK;
}

void mig_digest_free(struct mig_digest **digest)
{
    if (*digest != NULL)
        EVP_MD_CTX_free((*digest)->ctx);
    free(*digest);
    *digest = NULL;
}

enum mig_err mig_digest_reset(struct mig_digest *digest)
{
    return EVP_DigestInit_ex(digest->ctx, EVP_sha256(), NULL) == 1 ? MIG_OK : MIG_ERR_BUG;
}

enum mig_err mig_digest_add(struct mig_digest *digest, const void *bytes, size_t len)
{
    return EVP_DigestUpdate(digest->ctx, bytes, len) == 1 ? MIG_OK : MIG_ERR_BUG;
}

enum mig_err mig_digest_end(struct mig_digest *digest, uint8_t out[MIG_DIGEST_LEN])
{
    if (EVP_DigestFinal_ex(digest->ctx, out, NULL) != 1) {
        memset(out, 0, MIG_DIGEST_LEN);
        return MIG_ERR_BUG;
    }
    return mig_digest_reset(digest);
}

static enum mig_err parse_sha256(const struct mig_sf *sf, uint8_t out[MIG_DIGEST_LEN])
{
    for (size_t i = 0; i < sf->member_count; i++) {
        const struct mig_sf_member *member = &sf->members[i];
        size_t len;
        if (!mig_text_is(member->key, "sha-256"))
            continue;
        if (member->is_inner || member->item.value.type != MIG_SF_BYTES)
            return MIG_ERR_MALFORMED;
        struct mig_text text = member->item.value.text;
        return mig_base64_decode(text.at, text.len, out, MIG_DIGEST_LEN, &len) == MIG_OK &&
                       len == MIG_DIGEST_LEN
                   ? MIG_OK
                   : MIG_ERR_MALFORMED;
    }
    return MIG_ERR_MALFORMED;
}

enum mig_err mig_digest_field_parse(struct mig_text value, uint8_t out[MIG_DIGEST_LEN])
{
    enum { FIELD_MAX = 1024, MEMBERS = 8 };
    struct mig_sf_member members[MEMBERS];
    struct mig_sf_item items[MEMBERS];
    struct mig_sf_param params[MEMBERS];
    struct mig_sf sf = {.members = members,
                        .items = items,
                        .params = params,
                        .member_cap = MEMBERS,
                        .item_cap = MEMBERS,
                        .param_cap = MEMBERS};
    enum mig_err err = MIG_ERR_MALFORMED;
    if (value.len <= FIELD_MAX && mig_sf_parse(MIG_SF_DICTIONARY, value, &sf) == MIG_OK &&
        !sf.has_duplicates)
        err = parse_sha256(&sf, out);
    if (err != MIG_OK)
        memset(out, 0, MIG_DIGEST_LEN);
    return err;
}

void mig_digest_field_format(const uint8_t digest[MIG_DIGEST_LEN], char out[MIG_DIGEST_FIELD_LEN])
{
    static const char prefix[] = "sha-256=:";
    char base64[MIG_BASE64_LEN(MIG_DIGEST_LEN)];
    _Static_assert(sizeof prefix - 1 + sizeof base64 + 1 <= MIG_DIGEST_FIELD_LEN, "field fits");
    out[0] = '\0';
    if (mig_base64_encode(digest, MIG_DIGEST_LEN, base64, sizeof base64) != MIG_OK)
        return; /* cannot be: the size is right */
    memcpy(out, prefix, sizeof prefix - 1);
    memcpy(out + sizeof prefix - 1, base64, sizeof base64 - 1);
    memcpy(out + sizeof prefix - 1 + sizeof base64 - 1, ":", 2);
}

/* SPDX-License-Identifier: MIT */
#include "chain/fields.h"

#include <string.h>

#include "chain/account.h"
#include "crypto/encoding.h"
#include "crypto/key.h"

void mig_field_key(struct mig_json *j, uint8_t key[MIG_KEY_LEN])
{
    char text[MIG_KEY_TEXT_MAX];
    mig_json_string(j, text, sizeof text);
    if (j->err == MIG_OK)
        mig_json_need(j, mig_key_parse(text, strlen(text), key) == MIG_OK);
}

void mig_field_x25519(struct mig_json *j, uint8_t key[MIG_KEY_LEN])
{
    static const char prefix[] = "x25519:";
    enum { PREFIX = sizeof prefix - 1 };
    char text[MIG_KEY_TEXT_MAX];
    size_t len = 0;
    mig_json_string(j, text, sizeof text);
    mig_json_need(j, strncmp(text, prefix, PREFIX) == 0);
    if (j->err == MIG_OK)
        mig_json_need(j, mig_base58_decode(text + PREFIX, strlen(text) - PREFIX, key, MIG_KEY_LEN,
                                           &len) == MIG_OK &&
                             len == MIG_KEY_LEN);
}

void mig_field_account(struct mig_json *j, char account[MIG_ACCOUNT_MAX + 1])
{
    mig_json_string(j, account, MIG_ACCOUNT_MAX + 1);
    mig_json_need(j, mig_account_is_valid(account, strlen(account)));
}

void mig_field_url(struct mig_json *j, char url[MIG_URL_MAX + 1])
{
    struct mig_url parts;
    if (!mig_json_string_fits(j, url, MIG_URL_MAX + 1) ||
        mig_url_parse(url, strlen(url), &parts) != MIG_OK)
        url[0] = '\0';
}

void mig_field_participant_info(struct mig_json *j, char url[MIG_URL_MAX + 1],
                                uint8_t tls_key[MIG_KEY_LEN])
{
    enum { URL, TLS_KEY };
    static const char *const fields[] = {"url", "tls_public_key", NULL};
    unsigned seen = 0;
    mig_json_object(j);
    for (int f; (f = mig_json_field(j, fields, &seen)) >= 0;) {
        if (f == URL)
            mig_field_url(j, url);
        else
            mig_field_key(j, tls_key);
    }
    mig_json_need(j, seen == (1u << URL | 1u << TLS_KEY));
}

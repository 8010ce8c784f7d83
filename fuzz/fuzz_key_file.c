/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_identity_parse. The bytes come from a key file, which an
 * operator pasted, a tool wrote or a disk damaged; nothing of it may be echoed
 * or half believed. What is accepted signs, and a JSON object that is accepted
 * is an object of strings for another parser too.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

/* jansson also asks for UTF-8, which we do not look at in ignored members. */
static void is_what_json_says(const uint8_t *data, size_t size, const struct mig_identity *id)
{
    char key[MIG_KEY_TEXT_MAX];
    json_t *o = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (o == NULL)
        return;
    require(json_is_object(o));
    const char *account = json_string_value(json_object_get(o, "account_id"));
    const char *public_key = json_string_value(json_object_get(o, "public_key"));
    mig_key_format(id->public_key, key);
    require(account != NULL && strcmp(account, id->account) == 0);
    require(public_key != NULL && strcmp(public_key, key) == 0);
    json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mig_identity *id = NULL;
    const char *why = NULL;
    uint8_t sig[MIG_SIG_LEN];
    if (size > MIG_KEY_FILE_MAX)
        return 0;
    require(mig_crypto_init() == MIG_OK);
    enum mig_err err = mig_identity_parse(data, size, &id, &why);
    require((err == MIG_OK) == (id != NULL) && (err == MIG_OK) == (why == NULL));
    if (err != MIG_OK) {
        require(err == MIG_ERR_MALFORMED);
        return 0;
    }
    require(mig_identity_sign(id, data, size, sig) == MIG_OK);
    require(mig_signature_is_valid(id->public_key, data, size, sig));
    if (id->account[0] != '\0')
        is_what_json_says(data, size, id);
    mig_identity_free(&id);
    return 0;
}

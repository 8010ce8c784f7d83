/* SPDX-License-Identifier: MIT */
#include "tests/vectors/vectors.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/container.h"

enum { BIG = 262144 };

/* Byte i of a long plaintext is i mod 251. */
static uint8_t *pattern(size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    must(bytes != NULL, "memory");
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i % 251);
    return bytes;
}

static json_t *sealed(const char *name, const struct mig_secret *key, const uint8_t *plain,
                      size_t len, bool in_full)
{
    static uint8_t out[MIG_SEALED_MAX];
    uint8_t hash[MIG_DIGEST_LEN];
    size_t out_len;
    must(mig_container_seal(key, plain, len, out, sizeof out, &out_len) == MIG_OK, name);
    mig_sha256(out, out_len, hash);
    json_t *value =
        json_pack("{s:s,s:o,s:o,s:o,s:o}", "name", name, "key", hex(key->bytes, 32), "header",
                  hex(out + 8, 24), "length", number(out_len), "sha256", hex(hash, sizeof hash));
    if (in_full)
        set(value, "container", hex(out, out_len));
    set(value, "plaintext", in_full ? hex(plain, len) : number(len));
    return good(value);
}

json_t *containers(const struct cast *c)
{
    static const struct {
        const char *name;
        size_t len;
    } rows[] = {{"empty", 0},
                {"one byte", 1},
                {"a full frame", 65536},
                {"two frames", 65537},
                {"three frames", 131073}};
    struct mig_secret *key = mig_secret_new(MIG_SEALING_KEY_LEN);
    uint8_t *plain = pattern(BIG);
    json_t *all = json_array();
    must(key != NULL, "memory");
    sealing_key(c, CTX_BACKUP, key);
    add(all, sealed("backup", key, c->plain->bytes, c->plain_len, true));
    sealing_key(c, CTX_UPLOAD, key);
    add(all, sealed("upload", key, c->plain->bytes, c->plain_len, true));
    memset(key->bytes, 0x21, MIG_SEALING_KEY_LEN);
    for (size_t i = 0; i < LENGTH(rows); i++)
        add(all, sealed(rows[i].name, key, plain, rows[i].len, rows[i].len < 1000));
    free(plain);
    mig_secret_free(&key);
    return all;
}

/* The "one byte" container has 54 bytes, "three frames" 131 168: header 32,
 * frames of 65 557, 65 557 and 22. */
static const char *const CONTAINER_EDITS[][3] = {
    {"one byte", "nothing", "[]"},
    {"one byte", "the header only", "[[0,32]]"},
    {"one byte", "the last byte is missing", "[[0,53]]"},
    {"one byte", "a byte too many", "[[0,54],\"00\"]"},
    {"one byte", "the last frame twice", "[[0,54],[32,54]]"},
    {"one byte", "another version", "[\"4d50435345414c32\",[8,54]]"},
    {"one byte", "a bit of the header differs", "[[0,31],\"76\",[32,54]]"},
    {"one byte", "a length one too small", "[[0,35],\"11\",[36,54]]"},
    {"one byte", "a length one too large", "[[0,35],\"13\",[36,54]]"},
    {"one byte", "a length below that of an empty frame", "[[0,35],\"10\",[36,54]]"},
    {"three frames", "ends after a whole frame", "[[0,131146]]"},
    {"three frames", "ends inside a frame", "[[0,100000]]"},
    {"three frames", "frames exchanged", "[[0,32],[65589,131146],[32,65589],[131146,131168]]"},
    {"three frames", "a frame left out", "[[0,32],[65589,131168]]"},
    {"three frames", "a frame twice", "[[0,65589],[32,131168]]"},
    {"three frames", "the last frame only", "[[0,32],[131146,131168]]"},
};

/* Authentic frames in a form that is not allowed: {plaintext bytes, tag}. */
static const struct {
    const char *why;
    struct {
        size_t len;
        uint8_t tag;
    } frames[6];
    size_t count;
} CONTAINER_FORMS[] = {
    {"a short frame before the last", {{3, 0}, {5, 3}}, 2},
    {"an empty last frame that is not alone", {{65536, 0}, {0, 3}}, 2},
    {"no frame with FINAL", {{7, 0}}, 1},
    {"two frames with FINAL", {{65536, 3}, {1, 3}}, 2},
    {"a frame with PUSH", {{65536, 1}, {1, 3}}, 2},
    {"a frame with REKEY", {{65536, 2}, {1, 3}}, 2},
    {"a frame that is too long", {{65537, 3}}, 1},
    {"longer than 262144 bytes", {{65536, 0}, {65536, 0}, {65536, 0}, {65536, 3}}, 4},
};

static json_t *form(size_t row)
{
    crypto_secretstream_xchacha20poly1305_state state;
    crypto_hash_sha256_state hash;
    uint8_t key[32], header[24], digest[MIG_DIGEST_LEN];
    uint8_t *plain = pattern(BIG), *out = malloc(BIG);
    json_t *frames = json_array();
    size_t done = 0, total = 32;
    must(out != NULL, "memory");
    memset(key, 0x21, sizeof key);
    (void)crypto_secretstream_xchacha20poly1305_init_push(&state, header, key);
    (void)crypto_hash_sha256_init(&hash);
    (void)crypto_hash_sha256_update(&hash, (const uint8_t *)"MPCSEAL1", 8);
    (void)crypto_hash_sha256_update(&hash, header, sizeof header);
    for (size_t i = 0; i < CONTAINER_FORMS[row].count; i++) {
        size_t n = CONTAINER_FORMS[row].frames[i].len, len = n + 17;
        uint8_t tag = CONTAINER_FORMS[row].frames[i].tag;
        const uint8_t prefix[4] = {0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
        (void)crypto_secretstream_xchacha20poly1305_push(&state, out, NULL, plain + done, n, NULL,
                                                         0, tag);
        (void)crypto_hash_sha256_update(&hash, prefix, 4);
        (void)crypto_hash_sha256_update(&hash, out, len);
        done += n;
        total += 4 + len;
        add(frames, json_pack("{s:o,s:i}", "bytes", number(n), "tag", (int)tag));
    }
    (void)crypto_hash_sha256_final(&hash, digest);
    free(plain);
    free(out);
    return good(json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "why", CONTAINER_FORMS[row].why, "key",
                          hex(key, 32), "header", hex(header, 24), "frames", frames, "length",
                          number(total), "sha256", hex(digest, sizeof digest)));
}

json_t *containers_refused(void)
{
    json_t *all = json_array();
    for (size_t i = 0; i < LENGTH(CONTAINER_EDITS); i++)
        add(all, json_pack("{s:s,s:s,s:o}", "container", CONTAINER_EDITS[i][0], "why",
                           CONTAINER_EDITS[i][1], "parts", parsed(CONTAINER_EDITS[i][2])));
    for (size_t i = 0; i < LENGTH(CONTAINER_FORMS); i++)
        add(all, form(i));
    return all;
}

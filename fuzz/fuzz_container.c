/* SPDX-License-Identifier: MIT */
/*
 * Target: mig_container_open. An attacker reaches it by uploading a body; a
 * dishonest backup service even has the right key and chooses the frames. The
 * first byte picks: the input as it is, frames made from it under the right
 * key, or an honest container with one change. A container opens exactly when
 * it is the one that sealing its plaintext would give, header aside.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/container.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIX = 32, OVERHEAD = 21, ROOM = MIG_SEALED_MAX + 2 * MIG_SEALED_CHUNK };

static struct mig_secret *key, *opened;
static uint8_t *body, *plain;

static void require(int condition)
{
    if (!condition)
        abort();
}

static void start(void)
{
    if (key != NULL)
        return;
    require(mig_crypto_init() == MIG_OK);
    key = mig_secret_new(32);
    opened = mig_secret_new(MIG_SEALED_MAX);
    body = malloc(ROOM);
    plain = malloc(MIG_SEALED_MAX);
    require(key != NULL && opened != NULL && body != NULL && plain != NULL);
    memset(key->bytes, 7, 32);
    memset(plain, 0x5a, MIG_SEALED_MAX);
}

static bool opens(const uint8_t *in, size_t len, size_t *plain_len)
{
    enum mig_err err = mig_container_open(key, in, len, opened, plain_len);
    if (err == MIG_OK)
        return true;
    require(err == MIG_ERR_MALFORMED && *plain_len == 0);
    require(sodium_is_zero(opened->bytes, opened->len));
    return false;
}

/* Each two bytes of input are a frame: its tag and its length, most near the
 * limits. True in *honest when sealing could have made these frames. */
static size_t dishonest(const uint8_t *data, size_t size, bool *honest)
{
    static const size_t lens[] = {0, 1, 17, 4096, 65535, 65536, 65537, 70000};
    crypto_secretstream_xchacha20poly1305_state state;
    size_t pos = PREFIX, frames = size / 2 < 5 ? size / 2 : 5;
    memcpy(body, "MPCSEAL1", 8);
    require(crypto_secretstream_xchacha20poly1305_init_push(&state, body + 8, key->bytes) == 0);
    *honest = frames > 0;
    for (size_t i = 0; i < frames; i++) {
        uint8_t tag = data[2 * i];
        size_t n = lens[data[2 * i + 1] % 8];
        bool last = i + 1 == frames;
        if (pos + OVERHEAD + n > ROOM)
            return pos;
        for (int b = 0; b < 4; b++)
            body[pos++] = (uint8_t)((n + 17) >> (24 - 8 * b));
        require(crypto_secretstream_xchacha20poly1305_push(&state, body + pos, NULL, plain, n, NULL,
                                                           0, tag) == 0);
        pos += n + 17;
        *honest = *honest && tag == (last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0) &&
                  (last ? n <= 65536 && (n > 0 || frames == 1) : n == 65536);
    }
    *honest = *honest && pos <= MIG_SEALED_MAX;
    return pos;
}

/* data: plaintext length (2), place (3), change (1), the rest is plaintext. */
static void changed(const uint8_t *data, size_t size)
{
    if (size < 6)
        return;
    size_t len = (size_t)data[0] << 8 | data[1], sealed = 0, n = 0;
    size_t place = (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4];
    len += data[5] % 2 == 0 ? 0 : 65536;
    memcpy(plain, data + 6, size - 6 < MIG_SEALED_MAX ? size - 6 : MIG_SEALED_MAX);
    require(mig_container_seal(key, plain, len, body, ROOM, &sealed) == MIG_OK);
    require(opens(body, sealed, &n) && n == len && memcmp(opened->bytes, plain, len) == 0);
    uint8_t *at = body + place % sealed, before = *at;
    *at = data[5];
    require(opens(body, sealed, &n) == (before == data[5]));
    *at = before;
    require(!opens(body, place % sealed, &n)); /* truncated */
    body[sealed] = data[5];
    require(!opens(body, sealed + 1, &n)); /* extended */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool honest = false;
    size_t n = 0, len;
    start();
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        (void)opens(data + 1, size - 1, &n);
        break;
    case 1:
        len = dishonest(data + 1, size - 1, &honest);
        require(opens(body, len, &n) == honest);
        require(!honest || mig_sealed_len(n) == len);
        break;
    default:
        changed(data + 1, size - 1);
    }
    return 0;
}

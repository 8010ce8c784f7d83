/* SPDX-License-Identifier: MIT */
/*
 * "MPCRECD1" || SHA-256 of the bytes || the bytes. The length is the file's.
 */
#include "store/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/exchange.h"
#include "store/file.h"

static const char magic[8] = "MPCRECD1";
enum { HEAD = sizeof magic + MIG_DIGEST_LEN, NAME_MAX_LEN = 64 };

static bool is_plain_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_LEN && name[0] != '.' && strchr(name, '/') == NULL;
}

/* Beside its place first. One writer per name, so a file of that name is the
 * remains of a crash. */
static enum mig_err write_beside(int folder, const char *beside, const void *bytes, size_t len)
{
    uint8_t *file = malloc(HEAD + len);
    if (file == NULL)
        return MIG_ERR_NOMEM;
    memcpy(file, magic, sizeof magic);
    mig_sha256(bytes, len, file + sizeof magic);
    if (len > 0)
        memcpy(file + HEAD, bytes, len);
    mig_file_discard(folder, beside);
    enum mig_err err = mig_file_create(folder, beside, file, HEAD + len);
    free(file);
    return err;
}

enum mig_err mig_record_save(const char *folder, const char *name, const void *bytes, size_t len)
{
    if (!is_plain_name(name) || len > MIG_RECORD_MAX)
        return MIG_ERR_BUG;
    char beside[NAME_MAX_LEN + 16];
    (void)snprintf(beside, sizeof beside, ".record-%s", name);

    int fd;
    enum mig_err err = mig_folder_open(folder, true, &fd, NULL);
    if (err != MIG_OK)
        return err;
    err = write_beside(fd, beside, bytes, len);
    if (err == MIG_OK && (err = mig_file_replace(fd, beside, name)) != MIG_OK)
        mig_file_discard(fd, beside);
    if (err == MIG_OK)
        err = mig_folder_sync(fd);
    (void)close(fd);
    return err == MIG_ERR_CONFLICT || err == MIG_ERR_NOT_FOUND ? MIG_ERR_IO : err;
}

static enum mig_err take_body(uint8_t *file, size_t file_len, uint8_t **bytes, size_t *len)
{
    uint8_t digest[MIG_DIGEST_LEN];
    if (file_len < HEAD || memcmp(file, magic, sizeof magic) != 0)
        return MIG_ERR_MALFORMED;
    mig_sha256(file + HEAD, file_len - HEAD, digest);
    if (memcmp(digest, file + sizeof magic, sizeof digest) != 0)
        return MIG_ERR_MALFORMED;
    memmove(file, file + HEAD, file_len - HEAD);
    *bytes = file;
    *len = file_len - HEAD;
    return MIG_OK;
}

enum mig_err mig_record_load(const char *folder, const char *name, uint8_t **bytes, size_t *len)
{
    *bytes = NULL;
    *len = 0;
    if (!is_plain_name(name))
        return MIG_ERR_BUG;
    int fd;
    enum mig_err err = mig_folder_open(folder, false, &fd, NULL);
    if (err != MIG_OK)
        return err;
    uint8_t *file = NULL;
    size_t file_len = 0;
    err = mig_file_read(fd, name, HEAD + (size_t)MIG_RECORD_MAX, &file, &file_len);
    (void)close(fd);
    if (err == MIG_OK && (err = take_body(file, file_len, bytes, len)) != MIG_OK)
        free(file);
    return err;
}

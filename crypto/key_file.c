/* SPDX-License-Identifier: MIT */
/*
 * Key files on disk. Nothing here uses stdio, whose buffers are ordinary heap;
 * bytes go straight between the file and locked memory. Reading asks the open
 * file, not the path, so nothing can be exchanged in between.
 */
#include "crypto/key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "crypto/encoding.h"

static enum mig_err fail(enum mig_err err, const char *text, const char **why)
{
    if (why != NULL)
        *why = text;
    return err;
}

static enum mig_err open_failed(int error, const char **why)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return fail(MIG_ERR_NOT_FOUND, "there is no such key file", why);
    case ELOOP:
        return fail(MIG_ERR_DENIED, "the key file is a symbolic link: name the file itself", why);
    case EACCES:
    case EPERM:
        return fail(MIG_ERR_DENIED, "the key file may not be read by this user", why);
    default:
        return fail(MIG_ERR_IO, "the key file cannot be opened", why);
    }
}

/* An access control list as the kernel hands it out: little-endian, a version,
 * then entries of tag, permission and id. */
enum {
    ACL_VERSION = 2,
    ACL_HEADER = 4,
    ACL_ENTRY = 8,
    ACL_ENTRIES_MAX = 32,
    ACL_USER_OBJ = 0x01,
    ACL_USER = 0x02,
    ACL_MASK = 0x10,
};

static uint32_t get_le(const uint8_t *in, size_t bytes)
{
    uint32_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint32_t)in[i] << 8 * i;
    return v;
}

/* Where a list exists, the group bits of the mode are its mask. systemd hands
 * out credentials like this: root's file, mode 0440, readable for the one user
 * of the service. True when the list gives nothing to anyone but the owner and
 * this user. */
static bool acl_admits_only_us(int fd)
{
    uint8_t acl[ACL_HEADER + ACL_ENTRIES_MAX * ACL_ENTRY];
    ssize_t len = fgetxattr(fd, "system.posix_acl_access", acl, sizeof acl);
    if (len < ACL_HEADER || get_le(acl, ACL_HEADER) != ACL_VERSION)
        return false;
    for (size_t at = ACL_HEADER; at + ACL_ENTRY <= (size_t)len; at += ACL_ENTRY) {
        uint32_t tag = get_le(acl + at, 2), permission = get_le(acl + at + 2, 2);
        bool ours = tag == ACL_USER_OBJ || tag == ACL_MASK ||
                    (tag == ACL_USER && get_le(acl + at + 4, 4) == geteuid());
        if (!ours && permission != 0)
            return false;
    }
    return true;
}

static enum mig_err check_file(int fd, const char **why)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail(MIG_ERR_IO, "the key file cannot be examined", why);
    if (!S_ISREG(st.st_mode))
        return fail(MIG_ERR_DENIED, "the key file is not a regular file", why);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return fail(MIG_ERR_DENIED, "the key file belongs to another user: chown it", why);
    if ((st.st_mode & 077) != 0 && !acl_admits_only_us(fd))
        return fail(MIG_ERR_DENIED, "group or others may access the key file: chmod 600 it", why);
    return MIG_OK;
}

/* Reads until the end or until `buf` is full. */
static enum mig_err read_all(int fd, struct mig_secret *buf, size_t *len)
{
    size_t used = 0;
    while (used < buf->len) {
        ssize_t n = read(fd, buf->bytes + used, buf->len - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MIG_ERR_IO;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    *len = used;
    return MIG_OK;
}

/* The whole file in locked memory, which the caller frees. */
static enum mig_err load_file(const char *path, struct mig_secret **out, size_t *len,
                              const char **why)
{
    enum mig_err err;
    struct mig_secret *buf = NULL;

    *out = NULL;
    /* O_NONBLOCK: a pipe put in the file's place must not hang us. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return open_failed(errno, why);
    err = check_file(fd, why);
    if (err != MIG_OK)
        goto out;
    buf = mig_secret_new(MIG_KEY_FILE_MAX + 1);
    if (buf == NULL) {
        err = fail(MIG_ERR_NOMEM, "no locked memory: raise RLIMIT_MEMLOCK", why);
        goto out;
    }
    err = read_all(fd, buf, len);
    if (err != MIG_OK) {
        (void)fail(err, "the key file cannot be read", why);
        goto out;
    }
    if (*len > MIG_KEY_FILE_MAX) {
        err = fail(MIG_ERR_MALFORMED, "the key file is longer than a key file can be", why);
        goto out;
    }
    *out = buf;
    buf = NULL;
out:
    (void)close(fd);
    mig_secret_free(&buf);
    return err;
}

enum mig_err mig_identity_load(const char *path, struct mig_identity **out, const char **why)
{
    struct mig_secret *text = NULL;
    size_t len = 0;

    *out = NULL;
    enum mig_err err = load_file(path, &text, &len, why);
    if (err == MIG_OK)
        err = mig_identity_parse(text->bytes, len, out, why);
    mig_secret_free(&text);
    return err;
}

enum mig_err mig_symmetric_key_load(const char *path, struct mig_secret **out, const char **why)
{
    static const uint8_t zero[MIG_KEY_LEN];
    struct mig_secret *text = NULL, *key = NULL;
    size_t len = 0, n = 0;

    *out = NULL;
    enum mig_err err = load_file(path, &text, &len, why);
    if (err != MIG_OK)
        goto out;
    key = mig_secret_new(MIG_KEY_LEN);
    if (key == NULL) {
        err = fail(MIG_ERR_NOMEM, "no locked memory: raise RLIMIT_MEMLOCK", why);
        goto out;
    }
    if (len > 0 && text->bytes[len - 1] == '\n')
        len--;
    if (mig_hex_decode((const char *)text->bytes, len, key->bytes, key->len, &n) != MIG_OK ||
        n != MIG_KEY_LEN || mig_equal(key->bytes, zero, MIG_KEY_LEN)) {
        err =
            fail(MIG_ERR_MALFORMED, "the key file does not hold 64 hex digits (not all zero)", why);
        goto out;
    }
    *out = key;
    key = NULL;
out:
    mig_secret_free(&text);
    mig_secret_free(&key);
    return err;
}

static enum mig_err write_all(int fd, const uint8_t *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, bytes + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return MIG_ERR_IO;
        done += (size_t)n;
    }
    return MIG_OK;
}

/* Opens the folder of `path`; `name` is what is left of it. */
static int open_folder(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX] = ".";
    *name = slash != NULL ? slash + 1 : path;
    if (slash != NULL) {
        size_t len = slash == path ? 1 : (size_t)(slash - path);
        if (len >= sizeof folder) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(folder, path, len);
        folder[len] = '\0';
    }
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static enum mig_err write_new(int fd, const uint8_t *bytes, size_t len)
{
    if (fchmod(fd, 0600) != 0) /* whatever the umask left */
        return MIG_ERR_IO;
    enum mig_err err = write_all(fd, bytes, len);
    if (err == MIG_OK && fsync(fd) != 0)
        err = MIG_ERR_IO;
    return err;
}

/* Creates `path` with these bytes, or leaves nothing behind. */
static enum mig_err save_file(const char *path, const uint8_t *bytes, size_t len)
{
    const char *name;
    int dir = open_folder(path, &name);
    if (dir < 0)
        return errno == ENOENT || errno == ENOTDIR ? MIG_ERR_NOT_FOUND : MIG_ERR_IO;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        enum mig_err refused = errno == EEXIST ? MIG_ERR_CONFLICT : MIG_ERR_IO;
        (void)close(dir);
        return refused;
    }
    enum mig_err err = write_new(fd, bytes, len);
    if (close(fd) != 0 && err == MIG_OK)
        err = MIG_ERR_IO;
    if (err == MIG_OK && fsync(dir) != 0)
        err = MIG_ERR_IO;
    if (err != MIG_OK)
        (void)unlinkat(dir, name, 0);
    (void)close(dir);
    return err;
}

enum mig_err mig_identity_save(const char *path, const struct mig_identity *id)
{
    static const char prefix[] = "ed25519:";
    enum { PREFIX = sizeof prefix - 1 };
    struct mig_secret *text = mig_secret_new(MIG_SECRET_KEY_TEXT_MAX + 1);
    if (text == NULL)
        return MIG_ERR_NOMEM;
    char *chars = (char *)text->bytes;
    memcpy(chars, prefix, PREFIX);
    enum mig_err err = mig_base58_encode(id->secret->bytes, id->secret->len, chars + PREFIX,
                                         MIG_SECRET_KEY_TEXT_MAX - PREFIX);
    if (err == MIG_OK) {
        size_t len = strlen(chars);
        chars[len] = '\n';
        err = save_file(path, text->bytes, len + 1);
    }
    mig_secret_free(&text);
    return err;
}

enum mig_err mig_symmetric_key_save(const char *path, const struct mig_secret *key)
{
    if (key->len != MIG_KEY_LEN)
        return MIG_ERR_BUG;
    struct mig_secret *text = mig_secret_new(MIG_HEX_LEN(MIG_KEY_LEN));
    if (text == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = mig_hex_encode(key->bytes, key->len, (char *)text->bytes, text->len);
    if (err == MIG_OK) {
        text->bytes[text->len - 1] = '\n'; /* in the place of the NUL */
        err = save_file(path, text->bytes, text->len);
    }
    mig_secret_free(&text);
    return err;
}

/* SPDX-License-Identifier: MIT */
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum mig_err from_errno(void)
{
    switch (errno) {
    case EEXIST:
        return MIG_ERR_CONFLICT;
    case ENOENT:
        return MIG_ERR_NOT_FOUND;
    case ENOMEM:
        return MIG_ERR_NOMEM;
    default:
        return MIG_ERR_IO;
    }
}

static enum mig_err refuse(enum mig_err err, const char *sentence, const char **why)
{
    if (why != NULL)
        *why = sentence;
    return err;
}

static enum mig_err check_folder(int folder, const char **why)
{
    struct stat st;
    if (fstat(folder, &st) != 0)
        return refuse(MIG_ERR_IO, "the folder cannot be examined", why);
    if (st.st_uid != geteuid())
        return refuse(MIG_ERR_DENIED, "the folder belongs to another user: chown it", why);
    if ((st.st_mode & 077) != 0)
        return refuse(MIG_ERR_DENIED, "the folder is open to group or others: chmod 0700", why);
    return MIG_OK;
}

/* The entry of a new folder is durable once its parent is. */
static enum mig_err sync_parent(int folder)
{
    int parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return MIG_ERR_IO;
    enum mig_err err = mig_folder_sync(parent);
    (void)close(parent);
    return err;
}

enum mig_err mig_folder_open(const char *path, bool create, int *folder, const char **why)
{
    *folder = -1;
    bool created = create && mkdir(path, 0700) == 0;
    if (create && !created && errno != EEXIST)
        return refuse(MIG_ERR_IO, "the folder cannot be created: does its parent exist?", why);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return refuse(MIG_ERR_DENIED, "the folder is a link or not a folder", why);
    if (fd < 0)
        return refuse(from_errno(), "the folder cannot be opened", why);

    enum mig_err err = check_folder(fd, why);
    if (err == MIG_OK && created && (err = sync_parent(fd)) != MIG_OK)
        (void)refuse(err, "the folder's parent cannot be synced", why);
    if (err != MIG_OK)
        (void)close(fd);
    else
        *folder = fd;
    return err;
}

enum mig_err mig_folder_sync(int folder)
{
    return fsync(folder) == 0 ? MIG_OK : MIG_ERR_IO;
}

static enum mig_err write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return MIG_ERR_IO;
        bytes += n;
        len -= (size_t)n;
    }
    return MIG_OK;
}

enum mig_err mig_file_create(int folder, const char *name, const void *bytes, size_t len)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? MIG_ERR_CONFLICT : MIG_ERR_IO;
    enum mig_err err = write_all(fd, bytes, len);
    if (err == MIG_OK && fsync(fd) != 0)
        err = MIG_ERR_IO;
    if (close(fd) != 0 && err == MIG_OK)
        err = MIG_ERR_IO;
    if (err != MIG_OK)
        mig_file_discard(folder, name);
    return err;
}

enum mig_err mig_file_publish(int folder, const char *from, const char *to)
{
    if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0)
        return MIG_OK;
    if (errno != EINVAL && errno != ENOSYS)
        return from_errno();
    /* A file system without RENAME_NOREPLACE: a link refuses a taken name too. */
    if (linkat(folder, from, folder, to, 0) != 0)
        return from_errno();
    mig_file_discard(folder, from);
    return MIG_OK;
}

enum mig_err mig_file_replace(int folder, const char *from, const char *to)
{
    return renameat(folder, from, folder, to) == 0 ? MIG_OK : from_errno();
}

void mig_file_discard(int folder, const char *name)
{
    (void)unlinkat(folder, name, 0);
}

static enum mig_err read_all(int fd, uint8_t *bytes, size_t cap, size_t *len)
{
    *len = 0;
    while (*len < cap) {
        ssize_t n = read(fd, bytes + *len, cap - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return MIG_ERR_IO;
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return MIG_OK;
}

static enum mig_err read_open(int fd, size_t max, uint8_t **bytes, size_t *len)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return MIG_ERR_IO;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size < 0 ||
        (uint64_t)st.st_size > max)
        return MIG_ERR_MALFORMED;
    size_t cap = (size_t)st.st_size;
    uint8_t *buffer = malloc(cap + 1);
    if (buffer == NULL)
        return MIG_ERR_NOMEM;
    /* One byte more than it says: a file that grows meanwhile is not ours. */
    enum mig_err err = read_all(fd, buffer, cap + 1, len);
    if (err == MIG_OK && *len != cap)
        err = MIG_ERR_MALFORMED;
    if (err != MIG_OK) {
        free(buffer);
        *len = 0;
        return err;
    }
    *bytes = buffer;
    return MIG_OK;
}

enum mig_err mig_file_read(int folder, const char *name, size_t max, uint8_t **bytes, size_t *len)
{
    *bytes = NULL;
    *len = 0;
    /* O_NONBLOCK: a planted FIFO must not hold us. */
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENXIO))
        return MIG_ERR_MALFORMED;
    if (fd < 0)
        return from_errno();
    enum mig_err err = read_open(fd, max, bytes, len);
    (void)close(fd);
    return err;
}

/* SPDX-License-Identifier: MIT */
#include "store/wipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "store/file.h"

static const char LOCK[] = "lock";
static const char QUARANTINE[] = "quarantine";

enum mig_err mig_wipe_begin(const char *folder, struct mig_wipe *out, const char **why)
{
    *out = (struct mig_wipe){-1, -1};
    enum mig_err err = mig_folder_open(folder, false, &out->folder, why);
    if (err != MIG_OK)
        return err;
    *why = "the lock file cannot be opened";
    out->lock = openat(out->folder, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    err = out->lock < 0 ? MIG_ERR_IO : MIG_OK;
    if (err == MIG_OK && flock(out->lock, LOCK_EX | LOCK_NB) != 0) {
        *why = "another process uses the keyshare store: stop it first";
        err = errno == EWOULDBLOCK ? MIG_ERR_STATE : MIG_ERR_IO;
    }
    if (err != MIG_OK)
        mig_wipe_end(out);
    return err;
}

void mig_wipe_end(struct mig_wipe *wipe)
{
    if (wipe->folder >= 0)
        (void)close(wipe->folder);
    if (wipe->lock >= 0)
        (void)close(wipe->lock);
    *wipe = (struct mig_wipe){-1, -1};
}

/* ---- one file ------------------------------------------------------------- */

static enum mig_err overwrite_open(int fd)
{
    struct stat st;
    uint8_t noise[4096];
    if (fstat(fd, &st) != 0)
        return MIG_ERR_IO;
    for (off_t left = st.st_size; left > 0;) {
        size_t want = left < (off_t)sizeof noise ? (size_t)left : sizeof noise;
        mig_random(noise, want);
        ssize_t n = write(fd, noise, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return MIG_ERR_IO;
        left -= n;
    }
    return fsync(fd) == 0 ? MIG_OK : MIG_ERR_IO;
}

/* What is no regular file (the pointer, where there are no hard links) has no
 * bytes of its own. */
static enum mig_err overwrite(int folder, const char *name)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return MIG_ERR_IO;
    if (!S_ISREG(st.st_mode))
        return MIG_OK;
    int fd = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return MIG_ERR_IO;
    enum mig_err err = overwrite_open(fd);
    if (close(fd) != 0)
        err = MIG_ERR_IO;
    return err;
}

static enum mig_err destroy(int folder, const char *name)
{
    enum mig_err err = overwrite(folder, name);
    return err == MIG_OK && unlinkat(folder, name, 0) != 0 ? MIG_ERR_IO : err;
}

/* ---- folders ---------------------------------------------------------------- */

static bool is_kept(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, LOCK) == 0 ||
           strcmp(name, QUARANTINE) == 0;
}

/* Counts the files of one folder and, when told so, destroys them; goes on past
 * a file that resists. */
static enum mig_err walk(int folder, bool destroys, size_t *files)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return MIG_ERR_IO;
    }
    enum mig_err worst = MIG_OK;
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (is_kept(entry->d_name))
            continue;
        enum mig_err err = destroys ? destroy(folder, entry->d_name) : MIG_OK;
        *files += err == MIG_OK ? 1 : 0;
        worst = err != MIG_OK ? err : worst;
    }
    if (errno != 0)
        worst = MIG_ERR_IO;
    (void)closedir(dir);
    if (destroys && mig_folder_sync(folder) != MIG_OK)
        worst = MIG_ERR_IO;
    return worst;
}

static enum mig_err walk_all(const struct mig_wipe *wipe, bool destroys, size_t *files)
{
    *files = 0;
    enum mig_err err = walk(wipe->folder, destroys, files), aside = MIG_OK;
    int fd = openat(wipe->folder, QUARANTINE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        aside = walk(fd, destroys, files);
        (void)close(fd);
    } else if (errno != ENOENT) {
        aside = MIG_ERR_IO;
    }
    return err != MIG_OK ? err : aside;
}

enum mig_err mig_wipe_count(const struct mig_wipe *wipe, size_t *files)
{
    return walk_all(wipe, false, files);
}

enum mig_err mig_wipe_run(const struct mig_wipe *wipe, size_t *files)
{
    return walk_all(wipe, true, files);
}

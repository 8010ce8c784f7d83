/* SPDX-License-Identifier: MIT */
/*
 * The disk fails, and the process dies, at every system call of an import:
 * whatever is found afterwards is the old state or the new one, whole.
 *
 * This program defines the calls that store/ makes, so the linker takes these
 * instead of libc's: each counts, may fail, may do half, and may be the last
 * one the process makes. A second part replays what a power cut may leave: file
 * contents that were never synced vanish, names that were never synced may be
 * there or not, in any combination.
 */
#include "tests/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/keystore.h"
#include "store/record.h"
#include "tests/views.h"

enum call {
    OPENAT,
    WRITE,
    FSYNC,
    CLOSE,
    RENAME,
    LINK,
    SYMLINK,
    UNLINK,
    READ,
    STAT,
    FLOCK,
    MKDIR,
    CALLS
};
enum how { COUNT, FAIL, HALF, DIE, INTERRUPT };

static struct {
    bool on;
    enum call call;
    enum how how;
    int at;    /* the n-th such call, from 1 */
    int error; /* for FAIL */
    int seen[CALLS];
    bool dies_next; /* the next unlink after the failure is the last call */
    bool fired;
} fault;

/* ---- a log of what reached the disk ------------------------------------ */

enum op_kind { OP_CREATE, OP_DATA, OP_SYNC_FILE, OP_RENAME, OP_LINK, OP_UNLINK, OP_SYNC_FOLDER };
struct op {
    enum op_kind kind;
    char name[96], to[96];
    uint8_t *bytes;
    size_t len;
};
static struct {
    bool on;
    struct op op[64];
    size_t count;
    char name_of_fd[256][96]; /* files created here */
} tape;

static struct op *record(enum op_kind kind, const char *name, const char *to)
{
    struct op *op = &tape.op[tape.count < 63 ? tape.count++ : 63];
    *op = (struct op){.kind = kind};
    (void)snprintf(op->name, sizeof op->name, "%s", name);
    (void)snprintf(op->to, sizeof op->to, "%s", to);
    return op;
}

static void record_data(const char *name, const void *bytes, size_t len)
{
    struct op *op = record(OP_DATA, name, "");
    op->bytes = malloc(len);
    memcpy(op->bytes, bytes, len);
    op->len = len;
}

static bool is_file(int fd)
{
    return fd >= 0 && fd < 256 && tape.name_of_fd[fd][0] != '\0';
}

/* ---- the calls --------------------------------------------------------- */

/* Whether the real call is to be made; if not, errno is set. */
static bool go(enum call call, bool *half)
{
    *half = false;
    if (!fault.on)
        return true;
    fault.seen[call]++;
    if (fault.dies_next && fault.fired && call == UNLINK)
        _exit(99);
    if (fault.call != call || fault.seen[call] != fault.at || fault.how == COUNT)
        return true;
    if (fault.how == DIE)
        _exit(99);
    if (fault.how == HALF) {
        *half = true;
        return true;
    }
    fault.fired = true;
    errno = fault.how == INTERRUPT ? EINTR : fault.error;
    return false;
}

int openat(int dir, const char *name, int flags, ...)
{
    bool half;
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(args, int) : 0;
    va_end(args);
    if (!go(OPENAT, &half))
        return -1;
    int fd = (int)syscall(SYS_openat, dir, name, flags, mode);
    if (tape.on && fd >= 0 && fd < 256 && (flags & O_CREAT) != 0) {
        (void)record(OP_CREATE, name, "");
        (void)snprintf(tape.name_of_fd[fd], sizeof tape.name_of_fd[fd], "%s", name);
    }
    return fd;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    bool half = false;
    if (fd > 2 && !go(WRITE, &half))
        return -1;
    ssize_t n = syscall(SYS_write, fd, bytes, half ? (len + 1) / 2 : len);
    if (tape.on && n > 0 && is_file(fd))
        record_data(tape.name_of_fd[fd], bytes, (size_t)n);
    return n;
}

ssize_t read(int fd, void *bytes, size_t len)
{
    bool half;
    if (!go(READ, &half))
        return -1;
    return syscall(SYS_read, fd, bytes, half && len > 1 ? len / 2 : len);
}

int fsync(int fd)
{
    bool half;
    if (!go(FSYNC, &half))
        return -1;
    if (tape.on)
        (void)record(is_file(fd) ? OP_SYNC_FILE : OP_SYNC_FOLDER,
                     is_file(fd) ? tape.name_of_fd[fd] : "", "");
    return (int)syscall(SYS_fsync, fd);
}

int close(int fd)
{
    bool half, real = go(CLOSE, &half);
    int saved = errno;
    if (fd >= 0 && fd < 256)
        tape.name_of_fd[fd][0] = '\0';
    int rc = (int)syscall(SYS_close, fd); /* a failed close closes all the same */
    errno = saved;
    return real ? rc : -1;
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    bool half;
    if (!go(RENAME, &half))
        return -1;
    int rc = (int)syscall(SYS_renameat2, a, from, b, to, flags);
    if (tape.on && rc == 0)
        (void)record(OP_RENAME, from, to);
    return rc;
}

int renameat(int a, const char *from, int b, const char *to)
{
    return renameat2(a, from, b, to, 0);
}

int symlinkat(const char *target, int dir, const char *name)
{
    bool half;
    if (!go(SYMLINK, &half))
        return -1;
    return (int)syscall(SYS_symlinkat, target, dir, name);
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
    bool half;
    if (!go(LINK, &half))
        return -1;
    int rc = (int)syscall(SYS_linkat, a, from, b, to, flags);
    if (tape.on && rc == 0)
        (void)record(OP_LINK, from, to);
    return rc;
}

int unlinkat(int dir, const char *name, int flags)
{
    bool half;
    if (!go(UNLINK, &half))
        return -1;
    int rc = (int)syscall(SYS_unlinkat, dir, name, flags);
    if (tape.on && rc == 0)
        (void)record(OP_UNLINK, name, "");
    return rc;
}

int fstat(int fd, struct stat *st)
{
    bool half;
    if (!go(STAT, &half))
        return -1;
    return (int)syscall(SYS_fstat, fd, st);
}

int flock(int fd, int operation)
{
    bool half;
    if (!go(FLOCK, &half))
        return -1;
    return (int)syscall(SYS_flock, fd, operation);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    bool half;
    if (!go(MKDIR, &half))
        return -1;
    return (int)syscall(SYS_mkdirat, dir, name, mode);
}

/* ---- the scene --------------------------------------------------------- */

typedef uint8_t share[MIG_SHARE_LEN];
static const share old_shares[3] = {{1}, {2}, {3}}, new_shares[3] = {{4}, {5}, {6}};
static struct mig_keyset old_set, new_set;
static struct mig_secret *key;
static char folder[512];
static int runs;

static void scene(void)
{
    if (key == NULL) {
        key = mig_secret_new(32);
        old_set = keyset_of(5, 0, 3);
        new_set = keyset_of(6, 0, 3);
    }
    (void)snprintf(folder, sizeof folder, "%s/s%d", test_dir(), runs++);
}

static struct mig_keystore *open_store(void)
{
    struct mig_keystore *store;
    const char *why;
    CU_ASSERT_EQUAL_FATAL(
        mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why), MIG_OK);
    return store;
}

static enum mig_err import(struct mig_keystore *store, const struct mig_keyset *set,
                           const share *shares)
{
    struct mig_receipt receipt;
    return mig_keystore_import(store, set, shares, 1000, NULL, &receipt);
}

/* A store that holds the old keyset. */
static struct mig_keystore *prepared(void)
{
    scene();
    struct mig_keystore *store = open_store();
    CU_ASSERT_EQUAL_FATAL(import(store, &old_set, old_shares), MIG_OK);
    return store;
}

static bool has(struct mig_keystore *store, const struct mig_keyset *set, const share *shares)
{
    share got[3];
    return mig_keystore_load(store, set, got) == MIG_OK && memcmp(got, shares, sizeof got) == 0;
}

static bool lacks(struct mig_keystore *store, const struct mig_keyset *set)
{
    share got[3];
    return mig_keystore_load(store, set, got) == MIG_ERR_NOT_FOUND;
}

static int temporary_files(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += strncmp(e->d_name, ".shares", 7) == 0;
    if (d != NULL)
        (void)closedir(d);
    return n;
}

/* The old keyset is there; the new one is whole or absent, and can be imported
 * (again). `acknowledged`: then it must be there. */
static void check_recovery(bool acknowledged)
{
    struct mig_keystore *store = open_store();
    CU_ASSERT(has(store, &old_set, old_shares));
    bool there = has(store, &new_set, new_shares);
    CU_ASSERT(there || lacks(store, &new_set));
    CU_ASSERT(there || !acknowledged);
    CU_ASSERT_EQUAL(mig_keystore_quarantined(store), 0);
    CU_ASSERT_EQUAL(temporary_files(), 0);
    CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_OK);
    CU_ASSERT(has(store, &new_set, new_shares));
    mig_keystore_close(&store);
}

static void arm(enum call call, enum how how, int at, int error)
{
    memset(&fault, 0, sizeof fault);
    fault.call = call;
    fault.how = how;
    fault.at = at;
    fault.error = error;
    fault.on = true;
}

static void calls_of_an_import(int seen[CALLS])
{
    struct mig_keystore *store = prepared();
    arm(CALLS, COUNT, 0, 0);
    CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_OK);
    fault.on = false;
    memcpy(seen, fault.seen, sizeof fault.seen);
    mig_keystore_close(&store);
}

/* ---- the tests --------------------------------------------------------- */

static void an_import_costs_two_syncs(void)
{
    int seen[CALLS];
    calls_of_an_import(seen);
    CU_ASSERT_EQUAL(seen[FSYNC], 2);
    CU_ASSERT_EQUAL(seen[WRITE], 1);
    CU_ASSERT(seen[RENAME] == 2 && seen[LINK] == 1 && seen[SYMLINK] == 0 && seen[OPENAT] >= 2);
}

static void dying_at_any_call_leaves_old_or_new(void)
{
    int seen[CALLS];
    calls_of_an_import(seen);
    for (int call = 0; call < CALLS; call++)
        for (int at = 1; at <= seen[call]; at++) {
            struct mig_keystore *store = prepared();
            pid_t child = fork();
            if (child == 0) {
                arm((enum call)call, DIE, at, 0);
                _exit(import(store, &new_set, new_shares) == MIG_OK ? 0 : 1);
            }
            int status = 0;
            CU_ASSERT_FATAL(child > 0 && waitpid(child, &status, 0) == child);
            CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 99);
            mig_keystore_close(&store);
            check_recovery(false);
        }
}

static void any_failing_call_refuses_and_keeps_the_old(void)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, EROFS};
    int seen[CALLS];
    calls_of_an_import(seen);
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
        for (int call = 0; call < CALLS; call++)
            for (int at = 1; at <= seen[call]; at++) {
                struct mig_keystore *store = prepared();
                arm((enum call)call, FAIL, at, errors[e]);
                enum mig_err err = import(store, &new_set, new_shares);
                fault.on = false;
                /* Only what happens after the decision, or to remains, may fail unnoticed. */
                bool harmless = call == UNLINK || (call == CLOSE && err == MIG_OK);
                CU_ASSERT(err == MIG_ERR_IO || (err == MIG_OK && harmless));
                CU_ASSERT(has(store, &old_set, old_shares));
                CU_ASSERT(err == MIG_OK ? has(store, &new_set, new_shares)
                                        : lacks(store, &new_set));
                /* The next attempt works, with the store still open ... */
                CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_OK);
                CU_ASSERT(has(store, &new_set, new_shares));
                mig_keystore_close(&store);
                check_recovery(true); /* ... and lasts. */
            }
}

static void a_refused_import_is_not_there_after_a_restart(void)
{
    for (int at = 1; at <= 2; at++) {
        struct mig_keystore *store = prepared();
        arm(FSYNC, FAIL, at, EIO);
        CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_ERR_IO);
        fault.on = false;
        mig_keystore_close(&store);
        store = open_store();
        CU_ASSERT(lacks(store, &new_set) && has(store, &old_set, old_shares));
        mig_keystore_close(&store);
    }
}

/* The folder cannot be synced and the process dies before it has taken the
 * import back: it is there, whole, unacknowledged, and a repeat is. */
static void dying_while_taking_back_leaves_a_whole_import(void)
{
    struct mig_keystore *store = prepared();
    pid_t child = fork();
    if (child == 0) {
        arm(FSYNC, FAIL, 2, EIO);
        fault.dies_next = true;
        _exit(import(store, &new_set, new_shares) == MIG_OK ? 0 : 1);
    }
    int status = 0;
    CU_ASSERT_FATAL(child > 0 && waitpid(child, &status, 0) == child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 99);
    mig_keystore_close(&store);
    store = open_store();
    CU_ASSERT(has(store, &new_set, new_shares));
    mig_keystore_close(&store);
    check_recovery(true);
}

static void short_and_interrupted_writes_and_reads_go_on(void)
{
    int seen[CALLS];
    calls_of_an_import(seen);
    static const enum call calls[] = {WRITE, READ};
    for (size_t c = 0; c < 2; c++)
        for (int how = 0; how < 2; how++)
            for (int at = 1; at <= seen[calls[c]]; at++) {
                struct mig_keystore *store = prepared();
                arm(calls[c], how == 0 ? HALF : INTERRUPT, at, 0);
                CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_OK);
                fault.on = false;
                CU_ASSERT(has(store, &new_set, new_shares));
                mig_keystore_close(&store);
                check_recovery(true);
            }
}

static void a_file_system_without_noreplace_works_too(void)
{
    struct mig_keystore *store = prepared();
    arm(RENAME, FAIL, 1, EINVAL);
    CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_OK);
    fault.on = false;
    CU_ASSERT(has(store, &new_set, new_shares) && temporary_files() == 0);
    mig_keystore_close(&store);
    check_recovery(true);
}

static void a_file_system_without_hard_links_works_too(void)
{
    static const int errors[] = {EPERM, EOPNOTSUPP, EMLINK};
    for (size_t i = 0; i < 3; i++) {
        struct mig_keystore *store = prepared();
        arm(LINK, FAIL, 1, errors[i]);
        CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_OK);
        fault.on = false;
        CU_ASSERT(fault.seen[SYMLINK] == 1 && temporary_files() == 0);
        mig_keystore_close(&store);
        check_recovery(true);
    }
}

static void a_full_disk_fails_the_probe(void)
{
    static const enum call calls[] = {OPENAT, WRITE, FSYNC, CLOSE};
    struct mig_keystore *store = prepared();
    for (size_t i = 0; i < 4; i++) {
        arm(calls[i], FAIL, 1, ENOSPC);
        CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_ERR_IO);
        fault.on = false;
        CU_ASSERT_EQUAL(temporary_files(), 0);
    }
    arm(FSYNC, FAIL, 2, EIO);
    CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_ERR_IO);
    fault.on = false;
    arm(OPENAT, FAIL, 1, EEXIST);
    CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_ERR_IO);
    fault.on = false;
    CU_ASSERT_EQUAL(mig_keystore_probe(store), MIG_OK);
    mig_keystore_close(&store);
}

/* Opening fails or succeeds, but neither loses nor moves a good file. */
static void failing_calls_while_opening_lose_nothing(void)
{
    struct mig_keystore *store = prepared();
    mig_keystore_close(&store);
    const char *why;
    for (int call = 0; call < CALLS; call++)
        for (int at = 1; at <= 6; at++) {
            arm((enum call)call, FAIL, at, EIO);
            enum mig_err err =
                mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why);
            fault.on = false;
            CU_ASSERT(err == MIG_OK || (err == MIG_ERR_IO && store == NULL && why != NULL));
            mig_keystore_close(&store);
            store = open_store();
            CU_ASSERT(has(store, &old_set, old_shares) && mig_keystore_quarantined(store) == 0);
            mig_keystore_close(&store);
        }
}

static int files_in(const char *sub)
{
    char path[600];
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, sub);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += strstr(e->d_name, ".shares") != NULL && e->d_name[0] != '.';
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static void failing_calls_while_quarantining_lose_nothing(void)
{
    for (int call = 0; call < CALLS; call++)
        for (int at = 1; at <= 8; at++) {
            struct mig_keystore *store = prepared();
            const char *why;
            char path[600];
            mig_keystore_close(&store);
            (void)snprintf(path, sizeof path, "%s/damaged.shares", folder);
            int fd = open(path, O_CREAT | O_WRONLY, 0600);
            CU_ASSERT_FATAL(fd >= 0 && write(fd, "junk", 4) == 4);
            (void)close(fd);
            arm((enum call)call, FAIL, at, EIO);
            enum mig_err err =
                mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why);
            fault.on = false;
            CU_ASSERT(err == MIG_OK || err == MIG_ERR_IO);
            CU_ASSERT_EQUAL(files_in("") + files_in("quarantine"), 2);
            mig_keystore_close(&store);
            store = open_store();
            CU_ASSERT(has(store, &old_set, old_shares));
            CU_ASSERT_EQUAL(files_in("quarantine"), 1);
            mig_keystore_close(&store);
        }
}

static void failing_calls_while_creating_the_folder_are_errors(void)
{
    for (int call = 0; call < CALLS; call++)
        for (int at = 1; at <= 5; at++) {
            struct mig_keystore *store;
            const char *why = NULL;
            scene();
            arm((enum call)call, FAIL, at, EIO);
            enum mig_err err =
                mig_keystore_open(folder, MIG_KEYSTORE_NODE, key, "v1.signer", &store, &why);
            fault.on = false;
            CU_ASSERT(err == MIG_OK || (err == MIG_ERR_IO && why != NULL));
            mig_keystore_close(&store);
            store = open_store();
            CU_ASSERT(lacks(store, &old_set));
            mig_keystore_close(&store);
        }
}

static enum mig_err load_record(uint8_t **bytes, size_t *len)
{
    return mig_record_load(folder, "journal", bytes, len);
}

static void records_are_old_or_new_at_any_failure_and_death(void)
{
    for (int call = 0; call < CALLS; call++)
        for (int at = 1; at <= 3; at++)
            for (int die = 0; die < 2; die++) {
                scene();
                CU_ASSERT_EQUAL(mig_record_save(folder, "journal", "old", 3), MIG_OK);
                pid_t child = fork();
                if (child == 0) {
                    arm((enum call)call, die ? DIE : FAIL, at, EIO);
                    _exit(mig_record_save(folder, "journal", "new", 3) == MIG_OK ? 0 : 1);
                }
                int status = 0;
                CU_ASSERT_FATAL(child > 0 && waitpid(child, &status, 0) == child);
                uint8_t *bytes = NULL;
                size_t len = 0;
                CU_ASSERT_EQUAL(load_record(&bytes, &len), MIG_OK);
                bool is_new = len == 3 && memcmp(bytes, "new", 3) == 0;
                CU_ASSERT(is_new || (len == 3 && memcmp(bytes, "old", 3) == 0));
                CU_ASSERT(is_new || WEXITSTATUS(status) != 0);
                free(bytes);
                CU_ASSERT_EQUAL(mig_record_save(folder, "journal", "newer", 5), MIG_OK);
            }
}

/* ---- power cuts -------------------------------------------------------- */

/* A folder in memory: names to contents. */
struct image {
    struct {
        char name[96];
        uint8_t *bytes; /* borrowed from the tape */
        size_t len;
        bool used;
    } file[16];
};

static int find(const struct image *im, const char *name)
{
    for (int i = 0; i < 16; i++)
        if (im->file[i].used && strcmp(im->file[i].name, name) == 0)
            return i;
    return -1;
}

static int add(struct image *im, const char *name)
{
    int i = find(im, name);
    for (int k = 0; i < 0 && k < 16; k++)
        if (!im->file[k].used)
            i = k;
    memset(&im->file[i], 0, sizeof im->file[i]);
    im->file[i].used = true;
    (void)snprintf(im->file[i].name, sizeof im->file[i].name, "%s", name);
    return i;
}

static void apply_rename(struct image *im, const char *from, const char *to)
{
    int i = find(im, from), j = find(im, to);
    if (i < 0)
        return;
    if (j >= 0)
        im->file[j].used = false;
    (void)snprintf(im->file[i].name, sizeof im->file[i].name, "%s", to);
}

/* Contents are final before the link is made, so a copy does for one inode. */
static void apply_link(struct image *im, const char *from, const char *to)
{
    int i = find(im, from);
    if (i < 0)
        return;
    int j = add(im, to);
    im->file[j].bytes = im->file[i].bytes;
    im->file[j].len = im->file[i].len;
}

/* Whether the contents written to `name` were synced within the first n ops. */
static bool is_synced(size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (tape.op[i].kind == OP_SYNC_FILE && strcmp(tape.op[i].name, name) == 0)
            return true;
    return false;
}

static bool is_name_op(const struct op *op)
{
    return op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_LINK ||
           op->kind == OP_UNLINK;
}

/* Cut after n ops. Name ops before the last folder sync happened; of those
 * after it the bits of `kept` say which did. Unsynced contents are lost. */
static void power_cut(size_t n, unsigned kept, struct image *im)
{
    size_t durable = 0;
    unsigned bit = 0;
    memset(im, 0, sizeof *im);
    for (size_t i = 0; i < n; i++)
        if (tape.op[i].kind == OP_SYNC_FOLDER)
            durable = i;
    for (size_t i = 0; i < n; i++) {
        const struct op *op = &tape.op[i];
        if (is_name_op(op) && i > durable && (kept >> bit++ & 1) == 0)
            continue;
        int f;
        switch (op->kind) {
        case OP_CREATE:
            (void)add(im, op->name);
            break;
        case OP_DATA:
            f = find(im, op->name);
            if (f >= 0 && is_synced(n, op->name)) {
                im->file[f].bytes = op->bytes;
                im->file[f].len = op->len;
            }
            break;
        case OP_LINK:
            apply_link(im, op->name, op->to);
            break;
        case OP_RENAME:
            apply_rename(im, op->name, op->to);
            break;
        case OP_UNLINK:
            f = find(im, op->name);
            if (f >= 0)
                im->file[f].used = false;
            break;
        case OP_SYNC_FILE:
        case OP_SYNC_FOLDER:
            break;
        }
    }
}

static void build(const struct image *im)
{
    char path[1024];
    for (int i = 0; i < 16; i++) {
        if (!im->file[i].used)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, im->file[i].name);
        (void)unlink(path);
        int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT(im->file[i].len == 0 ||
                  write(fd, im->file[i].bytes, im->file[i].len) == (ssize_t)im->file[i].len);
        (void)close(fd);
    }
}

/* fsync of a new file makes its own name durable on the file systems we know,
 * but nothing here relies on it. */
static void a_power_cut_at_any_moment_leaves_old_or_new(void)
{
    struct mig_keystore *store = prepared();
    memset(&tape, 0, sizeof tape);
    tape.on = true;
    CU_ASSERT_EQUAL(import(store, &new_set, new_shares), MIG_OK);
    tape.on = false;
    mig_keystore_close(&store);
    CU_ASSERT_FATAL(tape.count > 5 && tape.count < 63);
    int cuts = 0, found_new = 0;
    for (size_t n = 0; n <= tape.count; n++) {
        unsigned open_ops = 0;
        for (size_t i = 0; i < n; i++) {
            if (tape.op[i].kind == OP_SYNC_FOLDER)
                open_ops = 0;
            open_ops += is_name_op(&tape.op[i]);
        }
        CU_ASSERT_FATAL(open_ops < 10);
        for (unsigned kept = 0; kept < 1u << open_ops; kept++) {
            struct image im;
            store = prepared(); /* the old state */
            mig_keystore_close(&store);
            power_cut(n, kept, &im);
            build(&im);
            store = open_store();
            bool there = has(store, &new_set, new_shares);
            CU_ASSERT(has(store, &old_set, old_shares));
            CU_ASSERT(there || lacks(store, &new_set));
            CU_ASSERT(there || n < tape.count); /* acknowledged: it must be there */
            found_new += there;
            cuts++;
            mig_keystore_close(&store);
        }
    }
    CU_ASSERT(cuts > 20 && found_new > 2);
    for (size_t i = 0; i < tape.count; i++)
        free(tape.op[i].bytes);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(an_import_costs_two_syncs),
        TEST(dying_at_any_call_leaves_old_or_new),
        TEST(any_failing_call_refuses_and_keeps_the_old),
        TEST(a_refused_import_is_not_there_after_a_restart),
        TEST(dying_while_taking_back_leaves_a_whole_import),
        TEST(short_and_interrupted_writes_and_reads_go_on),
        TEST(a_file_system_without_noreplace_works_too),
        TEST(a_file_system_without_hard_links_works_too),
        TEST(a_full_disk_fails_the_probe),
        TEST(failing_calls_while_opening_lose_nothing),
        TEST(failing_calls_while_quarantining_lose_nothing),
        TEST(failing_calls_while_creating_the_folder_are_errors),
        TEST(records_are_old_or_new_at_any_failure_and_death),
        TEST(a_power_cut_at_any_moment_leaves_old_or_new),
    };
    return run_tests("keystore_faults", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
#include "server/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { STAT_MAX = 1024, MS_PER_S = 1000 };

static bool read_text(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, cap - 1);
    (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static uint64_t count_fds(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the one that looks */
}

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * MS_PER_S + (uint64_t)t.tv_nsec / 1000000;
}

enum mig_err mig_process_look(struct mig_process *out)
{
    char text[STAT_MAX];
    unsigned long long user, system, start, virtual_bytes, pages;
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    struct rlimit fds;
    *out = (struct mig_process){0};
    if (!read_text("/proc/self/stat", text, sizeof text) || ticks == 0)
        return MIG_ERR_IO;
    /* The name may hold anything, spaces and brackets too; fields start after it. */
    const char *at = strrchr(text, ')');
    if (at == NULL || sscanf(at + 1,
                             " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
                             "%*d %*d %*d %llu %llu %llu",
                             &user, &system, &start, &virtual_bytes, &pages) != 5)
        return MIG_ERR_IO;
    out->cpu_ms = (user + system) * MS_PER_S / ticks;
    out->virtual_bytes = virtual_bytes;
    out->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    out->started_at_ms =
        clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME) + start * MS_PER_S / ticks;
    out->open_fds = count_fds();
    if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
        out->max_fds = fds.rlim_cur;
    return MIG_OK;
}

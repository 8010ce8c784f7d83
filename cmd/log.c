/* SPDX-License-Identifier: MIT */
#include "cmd/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 1024 };

static const char *level_text(enum mig_log_level level)
{
    switch (level) {
    case MIG_LOG_ERROR:
        return "error";
    case MIG_LOG_WARNING:
        return "warning";
    case MIG_LOG_NOTICE:
        return "notice";
    case MIG_LOG_INFO:
        return "info";
    case MIG_LOG_DEBUG:
        return "debug";
    }
    return "unknown";
}

static size_t prefix(const struct mig_log *log, enum mig_log_level level, char out[64])
{
    if (log->to_journal)
        return (size_t)snprintf(out, 64, "<%d>", (int)level);
    struct timespec t;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)gmtime_r(&t.tv_sec, &utc);
    size_t n = strftime(out, 64, "%Y-%m-%dT%H:%M:%S", &utc);
    return n +
           (size_t)snprintf(out + n, 64 - n, ".%03ldZ %s ", t.tv_nsec / 1000000, level_text(level));
}

void mig_log_line(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    const struct mig_log *log = ctx;
    if (level > log->most)
        return;
    char line[LINE_MAX_LEN];
    size_t start = prefix(log, level, line);
    int n = snprintf(line + start, sizeof line - start - 1, "%s%s%s", event,
                     text[0] != '\0' ? ": " : "", text);
    size_t len = n < 0 ? start : start + (size_t)n;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    for (size_t i = start; i < len; i++)
        if (line[i] < 0x20 || line[i] > 0x7e)
            line[i] = '?';
    line[len++] = '\n';
    /* One write, so that lines of several threads do not mix. */
    ssize_t done = write(STDERR_FILENO, line, len);
    (void)done;
}

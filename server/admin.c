/* SPDX-License-Identifier: MIT */
#include "server/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 200, UNAVAILABLE = 503 };

static const struct mig_limits limits = {
    .head_ms = 5000, .request_ms = 10000, .drain_ms = 100, .connections = 32, .per_address = 32};

static void set_text(struct mig_page *page, unsigned status, char *text)
{
    page->status = status;
    page->content_type = "text/plain; charset=utf-8";
    page->body = text;
    page->body_len = text != NULL ? strlen(text) : 0;
}

static void show_ready(const struct mig_status *status, bool verbose, struct mig_page *page)
{
    enum { TEXT_MAX = 512 };
    const char *reasons[MIG_REASONS_MAX];
    size_t count = mig_status_reasons(status, reasons);
    char *text = malloc(TEXT_MAX);
    if (text != NULL) {
        size_t n = (size_t)snprintf(text, TEXT_MAX, "%s\n", count == 0 ? "ready" : "not ready");
        for (size_t i = 0; verbose && i < count; i++)
            n += (size_t)snprintf(text + n, TEXT_MAX - n, "%s\n", reasons[i]);
    }
    set_text(page, count == 0 ? OK : UNAVAILABLE, text);
}

static bool get(void *ctx, struct mig_text target, struct mig_page *page)
{
    const struct mig_admin *admin = ctx;
    struct mig_status status = {0};
    if (mig_text_is(target, "/livez")) {
        set_text(page, OK, strdup("live\n"));
        return true;
    }
    bool verbose = mig_text_is(target, "/readyz?verbose");
    bool ready = verbose || mig_text_is(target, "/readyz");
    bool metrics = mig_text_is(target, "/metrics");
    if (!ready && !metrics && !mig_text_is(target, "/status"))
        return false;
    admin->status(admin->ctx, &status);
    page->status = OK;
    if (ready) {
        show_ready(&status, verbose, page);
    } else if (metrics) {
        page->content_type = "text/plain; version=0.0.4; charset=utf-8";
        page->body = mig_status_metrics(&status, &page->body_len);
    } else {
        page->content_type = "application/json";
        page->body = mig_status_json(&status, &page->body_len);
    }
    return true;
}

struct mig_pages mig_admin_pages(struct mig_admin *admin)
{
    return (struct mig_pages){.ctx = admin, .get = get};
}

enum mig_err mig_admin_start(const char *address, struct mig_admin *admin,
                             struct mig_reaper *reaper, const struct mig_host *log,
                             struct mig_listener **out, char *why)
{
    const struct mig_listener_config config = {
        .address = address,
        .plain_anywhere = true,
        .limits = limits,
        .reaper = reaper,
        .pages = mig_admin_pages(admin),
        .log_ctx = log != NULL ? log->ctx : NULL,
        .log = log != NULL ? log->log : NULL,
    };
    return mig_listener_start(&config, out, why);
}

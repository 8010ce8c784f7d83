/* SPDX-License-Identifier: MIT */
/* One look at the contract, for the verbs that end. */
#include "cmd/backup_app.h"

#include <stdio.h>
#include <string.h>

#include "cmd/process.h"

static uint32_t configured_quorum(const struct mig_app *app)
{
    return (uint32_t)mig_config_number(app->config, "contract", "quorum");
}

int mig_app_check_endpoints(const struct mig_app *app, const char *path)
{
    struct mig_endpoints list;
    if (mig_endpoints_parse(mig_config_text(app->config, "contract", "rpc"), &list) != MIG_OK)
        return mig_app_fail(MIG_EXIT_CONFIG,
                            "%s:%d: [contract] rpc: expected at most %d different http(s) URLs, "
                            "separated by commas",
                            path, mig_config_line(app->config, "contract", "rpc"),
                            MIG_ENDPOINTS_MAX);
    if (mig_endpoints_quorum(list.count, configured_quorum(app)) == 0)
        return mig_app_fail(MIG_EXIT_CONFIG, "%s:%d: [contract] quorum: more than there are URLs",
                            path, mig_config_line(app->config, "contract", "quorum"));
    return MIG_EXIT_OK;
}

static enum mig_err open_endpoints(const struct mig_app *app, struct mig_look *look)
{
    struct mig_endpoints list;
    enum mig_dialect dialect = mig_app_dialect(app);
    enum mig_err err = mig_endpoints_parse(mig_config_text(app->config, "contract", "rpc"), &list);
    mig_quorum_init(&look->quorum, list.count,
                    mig_endpoints_quorum(list.count, configured_quorum(app)));
    for (size_t i = 0; err == MIG_OK && i < list.count; i++) {
        const struct mig_rpc_options options = {.url = list.url[i]};
        err = mig_rpc_new(&options, &look->at[i].rpc);
        if (err == MIG_OK)
            err = mig_poller_init(&look->at[i].poller, look->at[i].rpc, look->cache, app->contract,
                                  dialect);
    }
    return err;
}

int mig_look_open(struct mig_app *app, struct mig_look *look)
{
    const struct mig_rpc_options options = {.url = mig_config_text(app->config, "contract", "rpc")};
    *look = (struct mig_look){.account = app->account};
    enum mig_err err = mig_rpc_new(&options, &look->rpc);
    if (err == MIG_OK)
        err = mig_cache_new(app->contract, app->account, mig_app_dialect(app), &look->cache);
    if (err == MIG_OK)
        err = open_endpoints(app, look);
    return err == MIG_OK
               ? MIG_EXIT_OK
               : mig_app_fail(mig_exit_of(err), "cannot read the contract: %s", mig_err_text(err));
}

void mig_look_close(struct mig_look *look)
{
    for (size_t i = 0; i < look->quorum.count; i++)
        mig_rpc_free(&look->at[i].rpc);
    mig_cache_free(&look->cache);
    mig_rpc_free(&look->rpc);
}

/* ---- one pass ---------------------------------------------------------- */

static enum mig_err vote(struct mig_look *look, size_t i, const struct mig_reading *r, bool *moved)
{
    struct mig_look_at *at = &look->at[i];
    struct mig_vote ballot = {.block = r->block};
    enum mig_err err = mig_meaning(at->poller.speech.dialect, look->account, r->answers, r->count,
                                   &at->memo, ballot.meaning);
    if (err != MIG_OK)
        return err;
    *moved = mig_quorum_vote(&look->quorum, i, &ballot).moved;
    return *moved
               ? mig_cache_feed_all(look->cache, &look->quorum.belief.block, r->answers, r->count)
               : MIG_OK;
}

static enum mig_err ask(struct mig_look *look, size_t i, bool *moved)
{
    struct mig_reading r;
    struct mig_poller *poller = &look->at[i].poller;
    *moved = false;
    enum mig_err err = mig_poll_read(poller, mig_app_now_ns(), &r);
    if (err == MIG_OK && r.newer)
        err = mig_poll_taken(poller, &r, vote(look, i, &r, moved));
    mig_reading_clear(&r);
    return err;
}

static void agree_on_speech(struct mig_look *look)
{
    const char *versions[MIG_ENDPOINTS_MAX] = {0};
    for (size_t i = 0; i < look->quorum.count; i++)
        if (look->at[i].poller.known)
            versions[i] = look->at[i].poller.version;
    int at = mig_quorum_text(versions, look->quorum.count, look->quorum.need);
    if (at < 0)
        return;
    look->known = true;
    look->speech = look->at[at].poller.speech;
}

int mig_look_try(struct mig_look *look, const struct mig_view **view, char why[MIG_APP_WHY_MAX])
{
    size_t count = look->quorum.count, need = look->quorum.need, good = 0;
    bool moved = false;
    *view = NULL;
    (void)snprintf(why, MIG_APP_WHY_MAX,
                   "the contract cannot be read: fewer than %zu of %zu endpoints tell the same",
                   need, count);
    for (size_t n = 0, first = look->first; n < count && !moved; n++) {
        size_t i = (first + n) % count;
        if (ask(look, i, &moved) == MIG_OK) {
            good++;
            continue;
        }
        if (good == 0) /* next time not in front of those that answer */
            look->first = (i + 1) % count;
        (void)snprintf(why, MIG_APP_WHY_MAX, "the contract cannot be read from %s: %s",
                       mig_rpc_origin(look->at[i].rpc), look->at[i].poller.reason);
    }
    agree_on_speech(look);
    if (moved || good >= need) /* enough of them have nothing newer */
        *view = mig_cache_view(look->cache);
    return *view != NULL ? MIG_EXIT_OK : MIG_EXIT_UNAVAILABLE;
}

int mig_look_now(struct mig_look *look, const struct mig_view **view)
{
    char why[MIG_APP_WHY_MAX];
    mig_app_progress("reading the contract from %s", mig_rpc_origin(look->at[look->first].rpc));
    int status = mig_look_try(look, view, why);
    return status == MIG_EXIT_OK ? status : mig_app_fail(status, "%s", why);
}

int mig_look_speech(const struct mig_app *app, struct mig_look *look, struct mig_speech *speech,
                    const struct mig_view **view)
{
    enum mig_dialect forced = mig_app_dialect(app);
    int status = mig_look_now(look, view);
    if (status == MIG_EXIT_OK && look->known) {
        *speech = look->speech;
        return status;
    }
    if (status == MIG_EXIT_OK)
        status = mig_app_fail(MIG_EXIT_UNAVAILABLE,
                              "the endpoints do not agree on the contract's version");
    if (forced == MIG_DIALECT_AUTO || app->send)
        return status;
    *speech = mig_speech_pick(forced, NULL);
    return MIG_EXIT_OK;
}

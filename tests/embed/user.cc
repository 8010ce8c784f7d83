// SPDX-License-Identifier: MIT
// A node in C++ that embeds the library: the header as it is, and the whole
// life of a plugin. Feeds one state and waits for the hooks.
#include <mpc_migration.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>
#include <string>

namespace {

struct Node {
    std::promise<uint64_t> changed;
    std::promise<bool> purged;
};

enum mig_err on_change(void *ctx, const struct mig_change *change)
{
    static_cast<Node *>(ctx)->changed.set_value(change->after->count);
    return MIG_OK;
}

enum mig_err on_purge(void *ctx, const struct mig_change *change)
{
    static_cast<Node *>(ctx)->purged.set_value(change->purge_all);
    return MIG_OK;
}

enum mig_err conclude(void *, const struct mig_keyset *)
{
    return MIG_OK;
}

void must(bool ok, const char *what)
{
    if (ok)
        return;
    std::fprintf(stderr, "c++: %s\n", what);
    std::exit(1);
}

} // namespace

int main(int, char **argv)
{
    std::ifstream file(argv[4]);
    const std::string state{std::istreambuf_iterator<char>(file), {}};
    const auto now = static_cast<uint64_t>(
        std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
    Node node;
    mig_config config{};
    config.contract = "v1.signer";
    config.account = "nobody.near";
    config.identity_key = argv[1];
    config.store_key = argv[2];
    config.state_dir = argv[3];
    config.listen = "127.0.0.1:0";
    mig_host host{};
    host.ctx = &node;
    host.conclude = conclude;
    host.participants_changed = on_change;
    host.purge_assets = on_purge;
    mig_plugin *plugin = nullptr;
    char why[MIG_WHY_MAX] = "";
    must(mig_start(&config, &host, &plugin, why) == MIG_OK, why);
    must(mig_feed(plugin, MIG_FEED_STATE, 100, now, state.data(), state.size()) == MIG_OK, "state");
    must(mig_feed(plugin, MIG_FEED_MIGRATION, 100, now, "{}", 2) == MIG_OK, "migration_info");
    must(node.changed.get_future().get() > 0, "nobody is there");
    must(node.purged.get_future().get(), "an unknown past is purged");
    must(mig_current_job(plugin) == MIG_JOB_NONE, "job");
    mig_stop(&plugin, 100);
    must(plugin == nullptr, "stopped");
    std::printf("c++: %s started, fed, told and stopped\n", mig_version());
    return 0;
}

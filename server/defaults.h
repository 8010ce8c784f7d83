/* SPDX-License-Identifier: MIT */
#ifndef MIG_SERVER_DEFAULTS_H
#define MIG_SERVER_DEFAULTS_H
/*
 * The host function table made complete: what the host gives stays its own,
 * what it leaves out is done with our keyshare store and transaction sender.
 */
#include "chain/dialect.h"
#include "server/settings.h"

struct mig_defaults;

/* Fills `table` (its ctx is *out). Opens the keyshare store below state_dir
 * unless the host stores. `settings` and `cache` are borrowed until free;
 * `host` may be NULL. `why`: MIG_WHY_MAX bytes. */
enum mig_err mig_defaults_new(const struct mig_settings *settings, const struct mig_host *host,
                              struct mig_cache *cache, struct mig_defaults **out,
                              struct mig_host *table, char *why) MIG_MUST_USE;
/* Ends a transaction that is being sent, and refuses further ones. Any thread. */
void mig_defaults_cancel(struct mig_defaults *defaults);
void mig_defaults_free(struct mig_defaults **defaults);

/* Sends publish_ephemeral_key for this node; MIG_OK when it ran. On the thread
 * that also calls table->conclude. */
enum mig_err mig_defaults_publish(struct mig_defaults *defaults,
                                  const uint8_t key[MIG_KEY_LEN]) MIG_MUST_USE;
/* Proves that the store takes a durable write now; MIG_OK when the host stores. */
enum mig_err mig_defaults_probe(struct mig_defaults *defaults) MIG_MUST_USE;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_BACKUP_APP_H
#define MIG_CMD_BACKUP_APP_H
/*
 * What the verbs of mpc-backup share: the home folder, its configuration and
 * keys, one look at the contract, and how things are said. Every function that
 * gives an int gives an exit status and has already said why when it is not 0.
 */
#include <jansson.h>

#include "backup/plan.h"
#include "backup/vault.h"
#include "chain/meaning.h"
#include "chain/poll.h"
#include "chain/quorum.h"
#include "cmd/config.h"
#include "cmd/log.h"
#include "cmd/options.h"

enum { MIG_APP_PATH_MAX = 4096, MIG_APP_WHY_MAX = 700 };

struct mig_app {
    /* The command line. */
    const char *home;
    const char *config_path; /* NULL: home/mpc-backup.conf */
    bool json, help, send;
    const char *role, *key;   /* access-key */
    const char *operator_key; /* register --send, access-key --send */
    const char *network;      /* register, access-key */
    const char *wait;         /* seconds, restore and register --send */
    /* Opened on demand; released by mig_app_close. */
    struct mig_config_file *config;
    const char *contract, *account;
    struct mig_identity *identity;
    struct mig_identity *access; /* announce=contract: publishes ephemeral keys */
    struct mig_secret *vault_key, *operator_secret;
    struct mig_vault vault;
};

/* "mpc-backup: ..." on standard error; gives `status`. */
int mig_app_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What goes on, for a person at a terminal; silent otherwise. */
void mig_app_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints and releases. */
int mig_app_print_json(json_t *root);

/* home/name. */
int mig_app_path(const struct mig_app *app, const char *name, char out[MIG_APP_PATH_MAX]);
int mig_app_open_config(struct mig_app *app);
int mig_app_open_identity(struct mig_app *app); /* configuration too */
/* Configuration, vault key and vault. A reader's missing vault is an empty one:
 * app->vault stays zero. */
int mig_app_open_vault(struct mig_app *app, enum mig_vault_mode mode);
void mig_app_close(struct mig_app *app);
/* A duration in seconds from the command line. */
int mig_app_seconds(const char *text, uint64_t fallback, uint64_t *out);

/* Readable when SIGTERM or SIGINT came; both are blocked in every thread from now
 * on. -1 without descriptors. */
int mig_app_stop_fd(void);

uint64_t mig_app_now_ns(void);
uint64_t mig_app_max_staleness_ns(const struct mig_app *app);
enum mig_announce mig_app_announce(const struct mig_app *app);
enum mig_dialect mig_app_dialect(const struct mig_app *app);

/* One-shot reading of the contract: its endpoints one after the other, until
 * enough of them agree. */
struct mig_look {
    struct mig_rpc *rpc; /* all of them, standing in for each other: for transactions */
    struct mig_cache *cache;
    const char *account;
    struct mig_quorum quorum;
    struct mig_look_at {
        struct mig_rpc *rpc;
        struct mig_poller poller;
        struct mig_meaning_memo memo;
    } at[MIG_ENDPOINTS_MAX];
    size_t first; /* asked first: the last that answered before the others were needed */
    bool known;   /* how the contract is spoken to, as enough endpoints say */
    struct mig_speech speech;
};
int mig_look_open(struct mig_app *app, struct mig_look *look);
/* *view is the caller's to release. */
int mig_look_now(struct mig_look *look, const struct mig_view **view);
/* The same without saying why: that goes into `why`. */
int mig_look_try(struct mig_look *look, const struct mig_view **view, char why[MIG_APP_WHY_MAX]);
/* How the contract wants to be spoken to; asks it, unless it cannot be reached,
 * nothing is to be sent, and the configuration says which dialect. *view may
 * stay NULL; the caller releases it. */
int mig_look_speech(const struct mig_app *app, struct mig_look *look, struct mig_speech *speech,
                    const struct mig_view **view);
void mig_look_close(struct mig_look *look);

/* announce=contract: sends publish_ephemeral_key through a connection of its
 * own, spoken as whichever of watch and look is set has learnt. */
struct mig_watch;
struct mig_app_publisher {
    const struct mig_app *app;
    struct mig_log *log; /* of `run`; NULL: what fails is said on standard error */
    struct mig_watch *watch;
    const struct mig_look *look;
    struct mig_rpc *rpc;
    struct mig_sender *sender;
};
/* Does nothing with announce=header. */
int mig_app_publisher_open(const struct mig_app *app, struct mig_app_publisher *out);
enum mig_err mig_app_publish(void *publisher, const uint8_t key[MIG_KEY_LEN]);
void mig_app_publisher_close(struct mig_app_publisher *publisher);

/* The plan for this view with what the vault holds now. */
struct mig_plan mig_app_plan(const struct mig_app *app, const struct mig_view *view,
                             struct mig_facts *facts, struct mig_note *note);
/* [contract] rpc and quorum make sense; says so otherwise. */
int mig_app_check_endpoints(const struct mig_app *app, const char *path);

/* Exit status of an operation against a node. */
int mig_app_status_of(const struct mig_result *result);
/* Exit status of a reason to do nothing. */
int mig_app_status_of_reason(enum mig_reason reason);

/* Text forms for people and JSON; static buffers, valid until the next call. */
const char *mig_app_time(uint64_t unix_seconds);
const char *mig_app_hex(const uint8_t digest[MIG_DIGEST_LEN]);
const char *mig_app_key(const uint8_t key[MIG_KEY_LEN]);

/* The verbs. */
int mig_verb_keygen(struct mig_app *app);
int mig_verb_register(struct mig_app *app);
int mig_verb_access_key(struct mig_app *app);
int mig_verb_watch(struct mig_app *app);
int mig_verb_backup(struct mig_app *app);
int mig_verb_restore(struct mig_app *app);
int mig_verb_run(struct mig_app *app);
int mig_verb_verify(struct mig_app *app);
int mig_verb_status(struct mig_app *app);
int mig_verb_list(struct mig_app *app);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef MIG_CMD_CONFIG_H
#define MIG_CMD_CONFIG_H
/*
 * Configuration files of all programs: INI, read against a table of what may
 * stand in them. An unknown section or key, a key given twice, an empty or
 * ill-typed value, a line that is neither: each is an error that names file,
 * line and the nearest right name, and never repeats a value (it may be a
 * secret put in the wrong place). Secrets themselves stand in files of their
 * own (crypto/key.h).
 */
#include "include/mpc_migration.h"

enum mig_config_kind {
    MIG_CONFIG_TEXT = 0,
    MIG_CONFIG_LIST,     /* words separated by commas; after a comma at the end of a line it goes
                            on in the next line that starts with white space */
    MIG_CONFIG_PATH,     /* relative ones are below the folder given to load */
    MIG_CONFIG_DURATION, /* "250ms", "5s", "10m", "2h"; bare numbers are seconds; kept in
                            milliseconds */
    MIG_CONFIG_NUMBER,
    MIG_CONFIG_FLAG,   /* yes, no */
    MIG_CONFIG_CHOICE, /* one of `choices` */
};

struct mig_config_key {
    const char *section;
    const char *name;
    enum mig_config_kind kind;
    bool required;
    uint64_t min, max;    /* NUMBER; DURATION in milliseconds; max 0: no bounds */
    const char *choices;  /* CHOICE: words separated by one space */
    const char *fallback; /* value when absent, as it would be written; NULL: none */
};

/* Rows of [contract], which every program has. */
#define MIG_CONFIG_CONTRACT_KEYS                                                                   \
    {.section = "contract", .name = "account", .required = true},                                  \
        {.section = "contract", .name = "rpc", .kind = MIG_CONFIG_LIST, .required = true},         \
        {.section = "contract", .name = "quorum", .kind = MIG_CONFIG_NUMBER, .min = 1, .max = 8},  \
        {.section = "contract",                                                                    \
         .name = "dialect",                                                                        \
         .kind = MIG_CONFIG_CHOICE,                                                                \
         .choices = "auto draft deployed",                                                         \
         .fallback = "auto"},                                                                      \
        {.section = "contract",                                                                    \
         .name = "poll_interval",                                                                  \
         .kind = MIG_CONFIG_DURATION,                                                              \
         .min = 50,                                                                                \
         .max = 3600000,                                                                           \
         .fallback = "1s"},                                                                        \
    {                                                                                              \
        .section = "contract", .name = "max_staleness", .kind = MIG_CONFIG_DURATION, .min = 1000,  \
        .max = 3600000, .fallback = "30s"                                                          \
    }

enum {
    MIG_CONFIG_WHY_MAX = 512,    /* bytes of an error text, with the NUL */
    MIG_CONFIG_FILE_MAX = 65536, /* bytes of a file */
    MIG_CONFIG_VALUE_MAX = 200,  /* bytes of a value; the reader's line limit */
    MIG_CONFIG_KEYS_MAX = 64,    /* rows of a table */
};

struct mig_config_file;

/* `keys` is borrowed for the life of the result; at most MIG_CONFIG_KEYS_MAX
 * rows, those of a section next to each other. `folder` is where relative
 * paths start. MIG_ERR_NOT_FOUND, _MALFORMED, _IO, _NOMEM, _DENIED (others may
 * change the file), with one line for the operator in `why`. */
enum mig_err mig_config_load(const char *path, const char *folder,
                             const struct mig_config_key *keys, size_t count,
                             struct mig_config_file **out,
                             char why[MIG_CONFIG_WHY_MAX]) MIG_MUST_USE;
/* The same from memory; `name` stands for the file in `why`. */
enum mig_err mig_config_parse(const char *text, size_t len, const char *name, const char *folder,
                              const struct mig_config_key *keys, size_t count,
                              struct mig_config_file **out,
                              char why[MIG_CONFIG_WHY_MAX]) MIG_MUST_USE;
void mig_config_free(struct mig_config_file **config);

/* The value (a PATH made absolute to the folder), its fallback, or NULL. Valid
 * until free. NULL too for a key that is not in the table. */
const char *mig_config_text(const struct mig_config_file *config, const char *section,
                            const char *name);
/* NUMBER, DURATION (milliseconds), FLAG (0 or 1), CHOICE (index of the word);
 * 0 when absent without a fallback. */
uint64_t mig_config_number(const struct mig_config_file *config, const char *section,
                           const char *name);
/* Whether the file itself gave it. */
bool mig_config_is_given(const struct mig_config_file *config, const char *section,
                         const char *name);
/* The line that gave it, or 0; for messages about a value's meaning. */
int mig_config_line(const struct mig_config_file *config, const char *section, const char *name);

#endif

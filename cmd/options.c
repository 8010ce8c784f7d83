/* SPDX-License-Identifier: MIT */
#include "cmd/options.h"

#include <string.h>

#include "cmd/nearest.h"

enum { COLUMN = 26 }; /* where the help texts start */

static const struct mig_option *find(const struct mig_option *options, size_t count,
                                     const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

static void explain_unknown(const struct mig_option *options, size_t count, const char *name,
                            size_t len, char *why)
{
    char word[48];
    (void)snprintf(word, sizeof word, "%.*s", len < sizeof word ? (int)len : 0, name);
    for (size_t i = 0; i < count; i++)
        if (mig_word_is_near(word, options[i].name)) {
            (void)snprintf(why, MIG_OPTIONS_WHY_MAX, "unknown option; did you mean --%s?",
                           options[i].name);
            return;
        }
    /* What was typed may be a secret in the wrong place: show only a plain word. */
    size_t plain = strspn(word, "abcdefghijklmnopqrstuvwxyz-");
    if (plain > 0 && plain == len && len <= 24)
        (void)snprintf(why, MIG_OPTIONS_WHY_MAX, "unknown option --%s", word);
    else
        (void)snprintf(why, MIG_OPTIONS_WHY_MAX, "unknown option");
}

bool mig_options_parse(int argc, char **argv, const struct mig_option *options, size_t count,
                       int *operands, char why[MIG_OPTIONS_WHY_MAX])
{
    bool seen[MIG_OPTIONS_MAX] = {false};
    bool ended = false;
    int kept = 0;
    *operands = 0;
    why[0] = '\0';
    if (count > MIG_OPTIONS_MAX)
        return false;
    for (int i = 1; i < argc; i++) {
        char *arg = argv[i];
        if (ended || arg[0] != '-' || arg[1] == '\0') {
            argv[1 + kept++] = arg;
            continue;
        }
        if (strcmp(arg, "--") == 0) {
            ended = true;
            continue;
        }
        const char *name = arg + (arg[1] == '-' ? 2 : 1);
        size_t len = strcspn(name, "=");
        const struct mig_option *option = arg[1] == '-' ? find(options, count, name, len) : NULL;
        if (option == NULL) {
            explain_unknown(options, count, name, len, why);
            return false;
        }
        if (seen[option - options]) {
            (void)snprintf(why, MIG_OPTIONS_WHY_MAX, "--%s is given twice", option->name);
            return false;
        }
        seen[option - options] = true;
        const char *value = name[len] == '=' ? name + len + 1 : NULL;
        if (option->argument == NULL && value != NULL) {
            (void)snprintf(why, MIG_OPTIONS_WHY_MAX, "--%s takes no value", option->name);
            return false;
        }
        if (option->argument == NULL) {
            *option->flag = true;
            continue;
        }
        if (value == NULL && i + 1 < argc)
            value = argv[++i];
        if (value == NULL || value[0] == '\0') {
            (void)snprintf(why, MIG_OPTIONS_WHY_MAX, "--%s needs a value: %s", option->name,
                           option->argument);
            return false;
        }
        *option->value = value;
    }
    *operands = kept;
    return true;
}

void mig_options_print(FILE *out, const struct mig_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int used =
            fprintf(out, "  --%s%s%s", options[i].name, options[i].argument != NULL ? " " : "",
                    options[i].argument != NULL ? options[i].argument : "");
        if (used >= COLUMN)
            used = fprintf(out, "\n") - 1;
        for (const char *line = options[i].help; *line != '\0'; used = 0) {
            size_t len = strcspn(line, "\n");
            (void)fprintf(out, "%*s%.*s\n", COLUMN - used, "", (int)len, line);
            line += len + (line[len] == '\n');
        }
    }
}

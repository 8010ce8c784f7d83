/* SPDX-License-Identifier: MIT */
#include "cmd/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/nearest.h"

enum { PATH_LEN = 4096 };

struct value {
    char *text;
    uint64_t number;
    int line; /* 0: a fallback */
};

struct mig_config_file {
    const struct mig_config_key *keys;
    size_t count;
    struct value values[MIG_CONFIG_KEYS_MAX];
};

/* One pass over the text. inih calls read_line, then on_value for that line. */
struct reader {
    const char *at, *end;
    int line;
    bool indented;                     /* the current line starts with white space */
    const struct mig_config_key *list; /* given by the line before, and may go on */
    const char *name, *folder;
    struct mig_config_file *config;
    enum mig_err err; /* of the first complaint */
    int err_line;
    char *why;
};

__attribute__((format(printf, 3, 4))) static enum mig_err complain(struct reader *r, int line,
                                                                   const char *format, ...)
{
    if (r->err != MIG_OK)
        return r->err;
    va_list args;
    va_start(args, format);
    int used = snprintf(r->why, MIG_CONFIG_WHY_MAX, line > 0 ? "%s:%d: " : "%s: ", r->name, line);
    if (used > 0 && used < MIG_CONFIG_WHY_MAX)
        (void)vsnprintf(r->why + used, (size_t)(MIG_CONFIG_WHY_MAX - used), format, args);
    va_end(args);
    r->err_line = line;
    return r->err = MIG_ERR_MALFORMED;
}

static char *read_line(char *out, int cap, void *stream)
{
    struct reader *r = stream;
    if (r->at == r->end || cap < 2)
        return NULL;
    size_t left = (size_t)(r->end - r->at);
    const char *newline = memchr(r->at, '\n', left);
    size_t len = newline != NULL ? (size_t)(newline - r->at) + 1 : left;
    r->line++;
    r->indented = r->at[0] == ' ' || r->at[0] == '\t';
    if (len >= (size_t)cap) {
        (void)complain(r, r->line, "the line is longer than %d characters", cap - 2);
        r->at = r->end;
        return NULL;
    }
    memcpy(out, r->at, len);
    out[len] = '\0';
    r->at += len;
    return out;
}

static bool parse_number(const char *text, uint64_t *out, const char **rest)
{
    uint64_t n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *out = n;
    *rest = p;
    return p != text;
}

static bool parse_duration(const char *text, uint64_t *ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    const char *unit;
    if (!parse_number(text, ms, &unit))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0)
            return !__builtin_mul_overflow(*ms, units[i].ms, ms);
    return false;
}

static bool parse_choice(const char *text, const char *choices, uint64_t *index)
{
    size_t len = strlen(text);
    *index = 0;
    for (const char *p = choices; *p != '\0'; (*index)++) {
        size_t word = strcspn(p, " ");
        if (word == len && memcmp(p, text, len) == 0)
            return true;
        p += word + (p[word] == ' ');
    }
    return false;
}

/* NULL when `text` is a value of this kind, else what it should have been. */
static const char *read_typed(const struct mig_config_key *key, const char *text, uint64_t *number)
{
    const char *rest = "";
    switch (key->kind) {
    case MIG_CONFIG_TEXT:
    case MIG_CONFIG_LIST:
    case MIG_CONFIG_PATH:
        return NULL;
    case MIG_CONFIG_DURATION:
        return parse_duration(text, number) ? NULL : "a duration such as 250ms, 5s, 10m or 2h";
    case MIG_CONFIG_NUMBER:
        return parse_number(text, number, &rest) && *rest == '\0' ? NULL : "a whole number";
    case MIG_CONFIG_FLAG:
        *number = strcmp(text, "yes") == 0;
        return *number == 1 || strcmp(text, "no") == 0 ? NULL : "yes or no";
    case MIG_CONFIG_CHOICE:
        return parse_choice(text, key->choices, number) ? NULL : key->choices;
    }
    return "of a known kind";
}

static char *absolute(const struct mig_config_key *key, const char *folder, const char *text)
{
    if (key->kind != MIG_CONFIG_PATH || text[0] == '/' || folder == NULL)
        return strdup(text);
    char *path = malloc(PATH_LEN);
    if (path != NULL && snprintf(path, PATH_LEN, "%s/%s", folder, text) >= PATH_LEN) {
        free(path);
        return NULL;
    }
    return path;
}

static enum mig_err take(struct reader *r, size_t i, const char *text, int line)
{
    const struct mig_config_key *key = &r->config->keys[i];
    struct value *value = &r->config->values[i];
    const char *wanted = read_typed(key, text, &value->number);
    if (wanted != NULL)
        return complain(r, line, "[%s] %s: expected %s%s", key->section, key->name,
                        key->kind == MIG_CONFIG_CHOICE ? "one of: " : "", wanted);
    if (key->max != 0 && (value->number < key->min || value->number > key->max)) {
        const char *unit = key->kind == MIG_CONFIG_DURATION ? " ms" : "";
        return complain(r, line, "[%s] %s: expected between %llu%s and %llu%s", key->section,
                        key->name, (unsigned long long)key->min, unit, (unsigned long long)key->max,
                        unit);
    }
    value->text = absolute(key, r->folder, text);
    if (value->text == NULL)
        return r->err != MIG_OK ? r->err : (r->err = MIG_ERR_NOMEM);
    value->line = line;
    return MIG_OK;
}

static bool has_section(const struct mig_config_file *config, const char *section)
{
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->keys[i].section, section) == 0)
            return true;
    return false;
}

static enum mig_err complain_section(struct reader *r, const char *section)
{
    const struct mig_config_key *keys = r->config->keys;
    if (section[0] == '\0')
        return complain(r, r->line, "a key before the first [section]");
    for (size_t i = 0; i < r->config->count; i++)
        if (mig_word_is_near(section, keys[i].section))
            return complain(r, r->line, "unknown section; did you mean [%s]?", keys[i].section);
    return complain(r, r->line, "unknown section");
}

static enum mig_err complain_key(struct reader *r, const char *section, const char *name)
{
    const struct mig_config_key *keys = r->config->keys;
    size_t best = SIZE_MAX;
    const char *nearest = NULL;
    for (size_t i = 0; i < r->config->count; i++) {
        size_t distance = mig_word_distance(name, keys[i].name);
        if (strcmp(keys[i].section, section) == 0 && mig_word_is_near(name, keys[i].name) &&
            distance < best) {
            best = distance;
            nearest = keys[i].name;
        }
    }
    if (nearest != NULL)
        return complain(r, r->line, "unknown key in [%s]; did you mean %s?", section, nearest);
    for (size_t i = 0; i < r->config->count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return complain(r, r->line, "unknown key in [%s]; %s belongs in [%s]", section, name,
                            keys[i].section);
    return complain(r, r->line, "unknown key in [%s]", section);
}

/* A further line of the list that was given last. */
static bool continues(const struct reader *r, const char *section, const char *name, size_t *at)
{
    for (*at = 0; *at < r->config->count; (*at)++) {
        const struct mig_config_key *key = &r->config->keys[*at];
        const char *text = r->config->values[*at].text;
        if (key->kind == MIG_CONFIG_LIST && text != NULL && r->list == key &&
            strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0)
            return text[0] != '\0' && text[strlen(text) - 1] == ',';
    }
    return false;
}

/* Of such a line inih leaves the comment where it is. */
static size_t without_comment(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 1; i < len; i++)
        if (text[i] == ';' && (text[i - 1] == ' ' || text[i - 1] == '\t'))
            len = i;
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    return len;
}

static enum mig_err append(struct reader *r, struct value *value, const char *text)
{
    char *longer = NULL;
    if (asprintf(&longer, "%s %.*s", value->text, (int)without_comment(text), text) < 0)
        return r->err = MIG_ERR_NOMEM;
    free(value->text);
    value->text = longer;
    return MIG_OK;
}

static enum mig_err take_line(struct reader *r, const char *section, const char *name,
                              const char *text)
{
    size_t at;
    if (r->indented && continues(r, section, name, &at))
        return append(r, &r->config->values[at], text);
    r->list = NULL;
    if (r->indented)
        return complain(r, r->line, "a line must not start with white space");
    if (!has_section(r->config, section))
        return complain_section(r, section);
    for (size_t i = 0; i < r->config->count; i++) {
        const struct mig_config_key *key = &r->config->keys[i];
        if (strcmp(key->section, section) != 0 || strcmp(key->name, name) != 0)
            continue;
        if (r->config->values[i].text != NULL)
            return complain(r, r->line, "[%s] %s is given twice, first in line %d", section, name,
                            r->config->values[i].line);
        if (text[0] == '\0')
            return complain(r, r->line, "[%s] %s has no value", section, name);
        r->list = key->kind == MIG_CONFIG_LIST ? key : NULL;
        return take(r, i, text, r->line);
    }
    return complain_key(r, section, name);
}

static int on_value(void *user, const char *section, const char *name, const char *text)
{
    return take_line(user, section, name, text) == MIG_OK;
}

/* Bytes that no editor shows would make the file lie to its reader. */
static enum mig_err check_bytes(struct reader *r, const char *text, size_t len)
{
    int line = 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return complain(r, line, "a control character");
        line += c == '\n';
    }
    return MIG_OK;
}

static enum mig_err fill_fallbacks(struct reader *r)
{
    for (size_t i = 0; i < r->config->count; i++) {
        const struct mig_config_key *key = &r->config->keys[i];
        if (r->config->values[i].text != NULL)
            continue;
        if (key->required)
            return complain(r, 0, "[%s] %s is missing", key->section, key->name);
        enum mig_err err = key->fallback != NULL ? take(r, i, key->fallback, 0) : MIG_OK;
        if (err != MIG_OK)
            return err;
    }
    return MIG_OK;
}

static enum mig_err parse(struct reader *r)
{
    int line = ini_parse_stream(read_line, r, on_value, r);
    if (line > 0 && (r->err == MIG_OK || line < r->err_line)) {
        r->err = MIG_OK;
        return complain(r, line, "neither `key = value` nor `[section]` nor a comment");
    }
    if (r->err == MIG_OK && line < 0)
        r->err = MIG_ERR_NOMEM;
    return r->err != MIG_OK ? r->err : fill_fallbacks(r);
}

enum mig_err mig_config_parse(const char *text, size_t len, const char *name, const char *folder,
                              const struct mig_config_key *keys, size_t count,
                              struct mig_config_file **out, char why[MIG_CONFIG_WHY_MAX])
{
    *out = NULL;
    (void)snprintf(why, MIG_CONFIG_WHY_MAX, "%s: out of memory", name);
    if (count > MIG_CONFIG_KEYS_MAX)
        return MIG_ERR_BUG;
    struct mig_config_file *config = calloc(1, sizeof *config);
    if (config == NULL)
        return MIG_ERR_NOMEM;
    config->keys = keys;
    config->count = count;
    struct reader r = {.at = text,
                       .end = text + len,
                       .name = name,
                       .folder = folder,
                       .config = config,
                       .why = why};
    enum mig_err err = len <= MIG_CONFIG_FILE_MAX
                           ? check_bytes(&r, text, len)
                           : complain(&r, 0, "larger than %d bytes", MIG_CONFIG_FILE_MAX);
    if (err == MIG_OK)
        err = parse(&r);
    if (err != MIG_OK) {
        mig_config_free(&config);
        return err;
    }
    why[0] = '\0';
    *out = config;
    return MIG_OK;
}

static enum mig_err read_file(const char *path, char *text, size_t cap, size_t *len)
{
    enum mig_err err = MIG_ERR_IO;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? MIG_ERR_NOT_FOUND : MIG_ERR_IO;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        goto out;
    /* Whoever can change it can name an endpoint that lies. */
    err = MIG_ERR_DENIED;
    if ((st.st_mode & 022) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
        goto out;
    err = MIG_ERR_IO;
    for (*len = 0; *len < cap;) {
        ssize_t n = read(fd, text + *len, cap - *len);
        if (n < 0)
            goto out;
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    err = MIG_OK;
out:
    (void)close(fd);
    return err;
}

enum mig_err mig_config_load(const char *path, const char *folder,
                             const struct mig_config_key *keys, size_t count,
                             struct mig_config_file **out, char why[MIG_CONFIG_WHY_MAX])
{
    size_t len = 0;
    *out = NULL;
    (void)snprintf(why, MIG_CONFIG_WHY_MAX, "%s: out of memory", path);
    char *text = malloc(MIG_CONFIG_FILE_MAX + 1);
    if (text == NULL)
        return MIG_ERR_NOMEM;
    enum mig_err err = read_file(path, text, MIG_CONFIG_FILE_MAX + 1, &len);
    if (err == MIG_OK)
        err = mig_config_parse(text, len, path, folder, keys, count, out, why);
    else
        (void)snprintf(why, MIG_CONFIG_WHY_MAX, "%s: %s", path,
                       err == MIG_ERR_NOT_FOUND ? "no such file"
                       : err == MIG_ERR_DENIED
                           ? "others may change it: it must belong to this user or root, chmod go-w"
                           : "cannot be read as a file");
    free(text);
    return err;
}

void mig_config_free(struct mig_config_file **config)
{
    if (*config == NULL)
        return;
    for (size_t i = 0; i < (*config)->count; i++)
        free((*config)->values[i].text);
    free(*config);
    *config = NULL;
}

static const struct value *find(const struct mig_config_file *config, const char *section,
                                const char *name)
{
    static const struct value none;
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->keys[i].section, section) == 0 &&
            strcmp(config->keys[i].name, name) == 0)
            return &config->values[i];
    return &none;
}

const char *mig_config_text(const struct mig_config_file *config, const char *section,
                            const char *name)
{
    return find(config, section, name)->text;
}

uint64_t mig_config_number(const struct mig_config_file *config, const char *section,
                           const char *name)
{
    return find(config, section, name)->number;
}

bool mig_config_is_given(const struct mig_config_file *config, const char *section,
                         const char *name)
{
    return find(config, section, name)->line > 0;
}

int mig_config_line(const struct mig_config_file *config, const char *section, const char *name)
{
    return find(config, section, name)->line;
}

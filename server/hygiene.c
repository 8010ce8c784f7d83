/* SPDX-License-Identifier: MIT */
#include "server/hygiene.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Fields that may come once at most. Anything of ours ("Mpc-...") as well. */
enum once {
    ONCE_HOST,
    ONCE_CONTENT_LENGTH,
    ONCE_CONTENT_TYPE,
    ONCE_CONTENT_DIGEST,
    ONCE_CONTENT_ENCODING,
    ONCE_TRANSFER_ENCODING,
    ONCE_CONNECTION,
    ONCE_EXPECT,
    ONCE_SIGNATURE,
    ONCE_SIGNATURE_INPUT,
    ONCE_CONTEXT,
    ONCE_COUNT,
};

static const struct mig_text once_names[ONCE_COUNT] = {
    [ONCE_HOST] = {"host", 4},
    [ONCE_CONTENT_LENGTH] = {"content-length", 14},
    [ONCE_CONTENT_TYPE] = {"content-type", 12},
    [ONCE_CONTENT_DIGEST] = {"content-digest", 14},
    [ONCE_CONTENT_ENCODING] = {"content-encoding", 16},
    [ONCE_TRANSFER_ENCODING] = {"transfer-encoding", 17},
    [ONCE_CONNECTION] = {"connection", 10},
    [ONCE_EXPECT] = {"expect", 6},
    [ONCE_SIGNATURE] = {"signature", 9},
    [ONCE_SIGNATURE_INPUT] = {"signature-input", 15},
    [ONCE_CONTEXT] = {"mpc-migration-context", 21},
};

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_tchar(unsigned char c)
{
    return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct mig_text text, size_t max)
{
    if (text.len == 0 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_tchar((unsigned char)text.at[i]))
            return false;
    }
    return true;
}

static bool is_named(struct mig_text name, struct mig_text other)
{
    return name.len == other.len && strncasecmp(name.at, other.at, name.len) == 0;
}

static bool is_exactly(struct mig_text text, struct mig_text other)
{
    return text.len == other.len && memcmp(text.at, other.at, text.len) == 0;
}

static bool has_prefix(struct mig_text name, const char *prefix, size_t len)
{
    return name.len >= len && strncasecmp(name.at, prefix, len) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Visible ASCII, space and tab inside. Space at the ends is not part of a
 * value, but the library keeps it at the end. */
static bool is_value(struct mig_text value)
{
    if (value.len > 0 && (is_space(value.at[0]) || is_space(value.at[value.len - 1])))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c != '\t' && (c < 0x20 || c > 0x7e))
            return false;
    }
    return true;
}

static bool is_target(struct mig_text target, bool allow_query)
{
    if (target.len == 0 || target.len > MIG_HEAD_TARGET_MAX || target.at[0] != '/')
        return false;
    bool in_query = false;
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.at[i];
        if (c == '?' && allow_query && !in_query)
            in_query = true;
        else if (!is_alnum(c) && (c == '\0' || strchr(in_query ? "-._~=&" : "-._~/", c) == NULL))
            return false;
    }
    return true;
}

static bool is_host(struct mig_text host)
{
    if (host.len == 0 || host.len > 255)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (!is_alnum(c) && (c == '\0' || strchr("-._:[]", c) == NULL))
            return false;
    }
    return true;
}

/* Digits only, no leading zero, so that there is one spelling of each number. */
static bool parse_length(struct mig_text text, int64_t *out)
{
    if (text.len == 0 || text.len > 18 || (text.len > 1 && text.at[0] == '0'))
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (text.at[i] - '0');
    }
    *out = value;
    return true;
}

static struct mig_text trim(struct mig_text text)
{
    while (text.len > 0 && is_space(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.at[text.len - 1]))
        text.len--;
    return text;
}

/* Names in Connection make proxies drop fields that we would have judged. */
static bool is_plain_connection(struct mig_text value)
{
    while (true) {
        const char *comma = memchr(value.at, ',', value.len);
        size_t len = comma != NULL ? (size_t)(comma - value.at) : value.len;
        struct mig_text token = trim((struct mig_text){value.at, len});
        if (!is_named(token, MIG_TEXT("close")) && !is_named(token, MIG_TEXT("keep-alive")))
            return false;
        if (comma == NULL)
            return true;
        value.at += len + 1;
        value.len -= len + 1;
    }
}

/* The size of the head if it was sent as `Name: value CR LF` and nothing else.
 * Folded lines, NUL bytes, bare line feeds and space at the end of a value all
 * make the received head a different size. */
static size_t canonical_size(const struct mig_head *head)
{
    size_t size = head->method.len + 1 + head->target.len + 1 + head->version.len + 2 + 2;
    for (size_t i = 0; i < head->field_count; i++)
        size += head->fields[i].name.len + 2 + head->fields[i].value.len + 2;
    return size;
}

static bool is_line_end(const char *at)
{
    return (at[0] == '\r' || at[0] == '\0') && (at[1] == '\n' || at[1] == '\0');
}

/* Addresses as numbers: slices of different buffers may be compared, too. */
bool mig_head_is_adjacent(const struct mig_head *head)
{
    uintptr_t next = (uintptr_t)head->method.at + head->method.len + 1 + head->target.len + 1;
    if ((uintptr_t)head->version.at != next || !is_line_end(head->version.at + head->version.len))
        return false;
    next += head->version.len + 2;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct mig_field *field = &head->fields[i];
        uintptr_t value = next + field->name.len + 2;
        if ((uintptr_t)field->name.at != next || (uintptr_t)field->value.at != value ||
            !is_line_end(field->value.at + field->value.len))
            return false;
        next = value + field->value.len + 2;
    }
    const struct mig_text last =
        head->field_count > 0 ? head->fields[head->field_count - 1].value : head->version;
    return is_line_end(last.at + last.len + 2);
}

static enum mig_hygiene judge_field(enum once which, struct mig_text value,
                                    struct mig_head_facts *facts)
{
    switch (which) {
    case ONCE_HOST:
        facts->host = value;
        return is_host(value) ? MIG_HYGIENE_CLEAN : MIG_HYGIENE_HOST;
    case ONCE_CONTENT_LENGTH:
        return parse_length(value, &facts->content_length) ? MIG_HYGIENE_CLEAN : MIG_HYGIENE_LENGTH;
    case ONCE_TRANSFER_ENCODING:
        return MIG_HYGIENE_CODING;
    case ONCE_CONNECTION:
        return is_plain_connection(value) ? MIG_HYGIENE_CLEAN : MIG_HYGIENE_CONNECTION;
    case ONCE_CONTENT_TYPE:
    case ONCE_CONTENT_DIGEST:
    case ONCE_CONTENT_ENCODING: /* does not frame anything: 415, by the handlers */
    case ONCE_EXPECT:
    case ONCE_SIGNATURE:
    case ONCE_SIGNATURE_INPUT:
    case ONCE_CONTEXT:
    case ONCE_COUNT:
        break;
    }
    return MIG_HYGIENE_CLEAN;
}

static enum once classify(struct mig_text name)
{
    for (enum once i = 0; i < ONCE_COUNT; i++) {
        if (is_named(name, once_names[i]))
            return i;
    }
    return ONCE_COUNT;
}

/* A field of ours that the table does not know must not come twice either. */
static bool came_before(const struct mig_head *head, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (is_named(head->fields[i].name, head->fields[index].name))
            return true;
    }
    return false;
}

static enum mig_hygiene check_fields(const struct mig_head *head, struct mig_head_facts *facts)
{
    unsigned seen = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct mig_field *field = &head->fields[i];
        if (!is_token(field->name, MIG_HEAD_SIZE_MAX))
            return MIG_HYGIENE_NAME;
        if (!is_value(field->value))
            return MIG_HYGIENE_VALUE;
        enum once which = classify(field->name);
        if (which == ONCE_COUNT) {
            if (has_prefix(field->name, "mpc-", 4) && came_before(head, i))
                return MIG_HYGIENE_REPEATED;
            continue;
        }
        if ((seen & 1u << which) != 0)
            return which == ONCE_HOST ? MIG_HYGIENE_HOST : MIG_HYGIENE_REPEATED;
        seen |= 1u << which;
        enum mig_hygiene verdict = judge_field(which, field->value, facts);
        if (verdict != MIG_HYGIENE_CLEAN)
            return verdict;
    }
    return (seen & 1u << ONCE_HOST) != 0 ? MIG_HYGIENE_CLEAN : MIG_HYGIENE_HOST;
}

enum mig_hygiene mig_hygiene_check(const struct mig_head *head, struct mig_head_facts *facts)
{
    *facts = (struct mig_head_facts){.content_length = -1};
    if (head->size > MIG_HEAD_SIZE_MAX)
        return MIG_HYGIENE_SIZE;
    if (head->field_count > MIG_HEAD_FIELDS_MAX)
        return MIG_HYGIENE_FIELDS;
    if (!is_exactly(head->version, MIG_TEXT("HTTP/1.1")))
        return MIG_HYGIENE_VERSION;
    if (!is_token(head->method, MIG_HEAD_METHOD_MAX))
        return MIG_HYGIENE_METHOD;
    if (!is_target(head->target, head->allow_query))
        return MIG_HYGIENE_TARGET;
    enum mig_hygiene verdict = check_fields(head, facts);
    if (verdict != MIG_HYGIENE_CLEAN)
        return verdict;
    if (facts->content_length > 0 &&
        (is_exactly(head->method, MIG_TEXT("GET")) || is_exactly(head->method, MIG_TEXT("HEAD"))))
        return MIG_HYGIENE_BODY;
    return head->adjacent && canonical_size(head) == head->size ? MIG_HYGIENE_CLEAN
                                                                : MIG_HYGIENE_FRAMING;
}

unsigned mig_hygiene_status(enum mig_hygiene verdict)
{
    switch (verdict) {
    case MIG_HYGIENE_CLEAN:
        return 0;
    case MIG_HYGIENE_SIZE:
    case MIG_HYGIENE_FIELDS:
        return 431;
    case MIG_HYGIENE_VERSION:
    case MIG_HYGIENE_METHOD:
    case MIG_HYGIENE_TARGET:
    case MIG_HYGIENE_NAME:
    case MIG_HYGIENE_VALUE:
    case MIG_HYGIENE_HOST:
    case MIG_HYGIENE_REPEATED:
    case MIG_HYGIENE_CODING:
    case MIG_HYGIENE_LENGTH:
    case MIG_HYGIENE_CONNECTION:
    case MIG_HYGIENE_BODY:
    case MIG_HYGIENE_FRAMING:
    case MIG_HYGIENE_COUNT:
        break;
    }
    return 400;
}

const char *mig_hygiene_text(enum mig_hygiene verdict)
{
    static const char *const texts[MIG_HYGIENE_COUNT] = {
        [MIG_HYGIENE_CLEAN] = "clean",
        [MIG_HYGIENE_SIZE] = "size",
        [MIG_HYGIENE_FIELDS] = "fields",
        [MIG_HYGIENE_VERSION] = "version",
        [MIG_HYGIENE_METHOD] = "method",
        [MIG_HYGIENE_TARGET] = "target",
        [MIG_HYGIENE_NAME] = "name",
        [MIG_HYGIENE_VALUE] = "value",
        [MIG_HYGIENE_HOST] = "host",
        [MIG_HYGIENE_REPEATED] = "repeated",
        [MIG_HYGIENE_CODING] = "coding",
        [MIG_HYGIENE_LENGTH] = "length",
        [MIG_HYGIENE_CONNECTION] = "connection",
        [MIG_HYGIENE_BODY] = "body",
        [MIG_HYGIENE_FRAMING] = "framing",
    };
    return (unsigned)verdict < MIG_HYGIENE_COUNT ? texts[verdict] : "unknown";
}

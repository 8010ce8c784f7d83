/* SPDX-License-Identifier: MIT */
#include "backup/http_reply.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static size_t without_line_end(const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return len;
}

static enum mig_err take_status(struct mig_reply *reply, const char *line, size_t len)
{
    const char prefix[] = "HTTP/1.1 ";
    enum { PREFIX = sizeof prefix - 1, DIGITS = 3 };
    if (len < PREFIX + DIGITS || memcmp(line, prefix, PREFIX) != 0)
        return MIG_ERR_MALFORMED;
    unsigned status = 0;
    for (size_t i = PREFIX; i < PREFIX + DIGITS; i++) {
        if (line[i] < '0' || line[i] > '9')
            return MIG_ERR_MALFORMED;
        status = status * 10 + (unsigned)(line[i] - '0');
    }
    bool ends = len == PREFIX + DIGITS || line[PREFIX + DIGITS] == ' ';
    if (!ends || status < 100 || status > 599)
        return MIG_ERR_MALFORMED;
    reply->status = status;
    return MIG_OK;
}

static bool is_token(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] <= ' ' || at[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", at[i]) != NULL)
            return false;
    return len > 0;
}

static bool is_printable(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((at[i] < ' ' && at[i] != '\t') || at[i] == 0x7f)
            return false;
    return true;
}

static enum mig_err take_field(struct mig_reply *reply, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (colon == NULL || reply->field_count == MIG_REPLY_FIELDS_MAX ||
        reply->head_len + len > MIG_REPLY_HEAD_MAX)
        return MIG_ERR_MALFORMED;
    if (!is_token(line, (size_t)(colon - line)) || !is_printable(line, len))
        return MIG_ERR_MALFORMED;
    /* Allocated once: the fields point into it. */
    if (reply->head == NULL && (reply->head = malloc(MIG_REPLY_HEAD_MAX)) == NULL)
        return MIG_ERR_NOMEM;
    char *copy = reply->head + reply->head_len;
    memcpy(copy, line, len);
    reply->head_len += len;
    size_t name = (size_t)(colon - line);
    size_t start = name + 1;
    while (start < len && is_space(copy[start]))
        start++;
    while (len > start && is_space(copy[len - 1]))
        len--;
    reply->fields[reply->field_count++] =
        (struct mig_field){.name = {copy, name}, .value = {copy + start, len - start}};
    return MIG_OK;
}

static enum mig_err end_head(struct mig_reply *reply)
{
    if (reply->status >= 200) {
        reply->head_done = true;
        return MIG_OK;
    }
    reply->status = 0;
    reply->field_count = 0;
    reply->head_len = 0;
    return MIG_OK;
}

enum mig_err mig_reply_line(struct mig_reply *reply, const char *line, size_t len)
{
    len = without_line_end(line, len);
    if (reply->head_done)
        return MIG_ERR_MALFORMED;
    if (reply->status == 0)
        return take_status(reply, line, len);
    return len == 0 ? end_head(reply) : take_field(reply, line, len);
}

enum mig_err mig_reply_body(struct mig_reply *reply, const void *bytes, size_t len)
{
    if (!reply->head_done || len > MIG_REPLY_BODY_MAX - reply->body_len)
        return MIG_ERR_MALFORMED;
    if (len == 0)
        return MIG_OK;
    uint8_t *grown = realloc(reply->body, reply->body_len + len);
    if (grown == NULL)
        return MIG_ERR_NOMEM;
    memcpy(grown + reply->body_len, bytes, len);
    reply->body = grown;
    reply->body_len += len;
    return MIG_OK;
}

void mig_reply_clear(struct mig_reply *reply)
{
    free(reply->head);
    free(reply->body);
    *reply = (struct mig_reply){0};
}

bool mig_reply_field(const struct mig_reply *reply, const char *name, struct mig_text *value)
{
    const struct mig_message message = {.fields = reply->fields, .field_count = reply->field_count};
    return mig_message_field(&message, name, value) == 1;
}

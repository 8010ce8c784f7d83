/* SPDX-License-Identifier: MIT */
#include "auth/message.h"

#include <string.h>

bool mig_text_is(struct mig_text text, const char *other)
{
    return text.len == strlen(other) && (text.len == 0 || memcmp(text.at, other, text.len) == 0);
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t';
}

struct mig_text mig_text_trim(struct mig_text text)
{
    while (text.len > 0 && is_white(text.at[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_white(text.at[0])) {
        text.at++;
        text.len--;
    }
    return text;
}

/* Not strncasecmp: the host's locale has no say in what a field is called. */
bool mig_field_is(const struct mig_field *field, struct mig_text name)
{
    if (field->name.len != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = field->name.at[i];
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != name.at[i])
            return false;
    }
    return true;
}

size_t mig_message_field(const struct mig_message *message, const char *name,
                         struct mig_text *value)
{
    const struct mig_text wanted = {name, strlen(name)};
    size_t count = 0;
    *value = (struct mig_text){NULL, 0};
    for (size_t i = 0; i < message->field_count; i++) {
        if (!mig_field_is(&message->fields[i], wanted))
            continue;
        if (count++ == 0)
            *value = mig_text_trim(message->fields[i].value);
    }
    return count;
}

/* SPDX-License-Identifier: MIT */
/*
 * sfv_json item|list|dictionary: reads a structured field value from standard
 * input and prints its parsed form, in the JSON notation of the public test
 * corpora, and its canonical serialisation: [value, "canonical"]. Exit status
 * 1 when it does not parse. With "lines" as second argument every line is a
 * value, and null stands for one that does not parse. For holding the parser
 * against others'.
 */
#include "auth/sf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMBERS = 2048, ITEMS = 4096, PARAMS = 4096, INPUT = 1 << 17 };

static void print_octet(uint8_t octet)
{
    if (octet == '"' || octet == '\\')
        printf("\\%c", octet);
    else if (octet < 0x20)
        printf("\\u%04x", octet);
    else
        putchar(octet);
}

static void print_text(struct mig_text text)
{
    putchar('"');
    for (size_t i = 0; i < text.len; i++)
        print_octet((uint8_t)text.at[i]);
    putchar('"');
}

/* The escapes of a structured string are JSON's as well. */
static void print_string(struct mig_text text)
{
    printf("\"%.*s\"", (int)text.len, text.at);
}

static void print_display(struct mig_text text)
{
    uint8_t octet;
    putchar('"');
    for (size_t at = 0; mig_sf_display_next(text, &at, &octet);)
        print_octet(octet);
    putchar('"');
}

/* The corpora write byte sequences in base32. */
static void print_base32(struct mig_text base64)
{
    static const char from[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char to[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    while (base64.len > 0 && base64.at[base64.len - 1] == '=')
        base64.len--;
    size_t octets = base64.len * 6 / 8, bits = octets * 8, printed = 0;
    unsigned held = 0, count = 0;
    putchar('"');
    for (size_t i = 0; i < base64.len; i++) {
        held = held << 6 | (unsigned)(strchr(from, base64.at[i]) - from);
        count += 6;
        for (; count >= 5 && printed * 5 + 5 <= bits; printed++) {
            count -= 5;
            putchar(to[held >> count & 31]);
        }
        held &= (1u << count) - 1;
    }
    size_t left = bits - printed * 5; /* of the octets; what follows them are pad bits */
    if (left > 0) {
        unsigned pad = count - (unsigned)left;
        putchar(to[(held >> pad << (5 - left)) & 31]);
        printed++;
    }
    for (; printed % 8 != 0; printed++)
        putchar('=');
    putchar('"');
}

static void print_value(const struct mig_sf_value *value)
{
    long long number = (long long)value->number;
    switch (value->type) {
    case MIG_SF_INTEGER:
        printf("%lld", number);
        break;
    case MIG_SF_DECIMAL:
        printf("%s%lld.%03lld", number < 0 ? "-" : "", llabs(number) / 1000, llabs(number) % 1000);
        break;
    case MIG_SF_STRING:
        print_string(value->text);
        break;
    case MIG_SF_TOKEN:
        printf("{\"__type\":\"token\",\"value\":");
        print_text(value->text);
        putchar('}');
        break;
    case MIG_SF_BYTES:
        printf("{\"__type\":\"binary\",\"value\":");
        print_base32(value->text);
        putchar('}');
        break;
    case MIG_SF_BOOLEAN:
        printf("%s", number != 0 ? "true" : "false");
        break;
    case MIG_SF_DATE:
        printf("{\"__type\":\"date\",\"value\":%lld}", number);
        break;
    case MIG_SF_DISPLAY:
        printf("{\"__type\":\"displaystring\",\"value\":");
        print_display(value->text);
        putchar('}');
        break;
    }
}

static void print_params(const struct mig_sf *sf, const struct mig_sf_item *item)
{
    putchar('[');
    for (size_t i = 0; i < item->param_count; i++) {
        const struct mig_sf_param *param = &sf->params[item->param + i];
        printf("%s[", i > 0 ? "," : "");
        print_text(param->key);
        putchar(',');
        print_value(&param->value);
        putchar(']');
    }
    putchar(']');
}

static void print_item(const struct mig_sf *sf, const struct mig_sf_item *item)
{
    putchar('[');
    print_value(&item->value);
    putchar(',');
    print_params(sf, item);
    putchar(']');
}

static void print_member(const struct mig_sf *sf, const struct mig_sf_member *member)
{
    if (!member->is_inner) {
        print_item(sf, &member->item);
        return;
    }
    printf("[[");
    for (size_t i = 0; i < member->count; i++) {
        printf("%s", i > 0 ? "," : "");
        print_item(sf, &sf->items[member->first + i]);
    }
    printf("],");
    print_params(sf, &member->item);
    putchar(']');
}

static void print_members(enum mig_sf_kind kind, const struct mig_sf *sf)
{
    printf("%s", kind != MIG_SF_ITEM ? "[" : "");
    for (size_t i = 0; i < sf->member_count; i++) {
        printf("%s", i > 0 ? "," : "");
        if (kind == MIG_SF_DICTIONARY) {
            putchar('[');
            print_text(sf->members[i].key);
            putchar(',');
        }
        print_member(sf, &sf->members[i]);
        printf("%s", kind == MIG_SF_DICTIONARY ? "]" : "");
    }
    printf("%s", kind != MIG_SF_ITEM ? "]" : "");
}

static enum mig_sf_kind kind_of(const char *name)
{
    return strcmp(name, "item") == 0   ? MIG_SF_ITEM
           : strcmp(name, "list") == 0 ? MIG_SF_LIST
                                       : MIG_SF_DICTIONARY;
}

static bool print_field(enum mig_sf_kind kind, struct mig_text text)
{
    static struct mig_sf_member members[MEMBERS];
    static struct mig_sf_item items[ITEMS];
    static struct mig_sf_param params[PARAMS];
    static char canonical[INPUT];
    struct mig_sf sf = {.members = members,
                        .items = items,
                        .params = params,
                        .member_cap = MEMBERS,
                        .item_cap = ITEMS,
                        .param_cap = PARAMS};
    size_t len = 0;
    if (mig_sf_parse(kind, text, &sf) != MIG_OK ||
        mig_sf_format(kind, &sf, canonical, sizeof canonical, &len) != MIG_OK)
        return false;
    putchar('[');
    print_members(kind, &sf);
    putchar(',');
    print_text((struct mig_text){canonical, len});
    puts("]");
    return true;
}

int main(int argc, char **argv)
{
    static char input[INPUT];
    if (argc != 2 && (argc != 3 || strcmp(argv[2], "lines") != 0))
        return 2;
    enum mig_sf_kind kind = kind_of(argv[1]);
    if (argc == 2)
        return print_field(kind, (struct mig_text){input, fread(input, 1, sizeof input, stdin)})
                   ? 0
                   : 1;
    while (fgets(input, sizeof input, stdin) != NULL) {
        if (!print_field(kind, (struct mig_text){input, strcspn(input, "\n")}))
            puts("null");
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "backup/vault.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/keyset.h"
#include "tests/harness.h"

#define CONTRACT "v1.signer"

struct scene {
    char folder[300];
    struct mig_secret *key, *shares;
    struct mig_domain_key domains[2];
    struct mig_keyset keyset;
    struct mig_vault vault;
};

static void open_or_fail(struct scene *s)
{
    const char *why = NULL;
    enum mig_err err =
        mig_vault_open(s->folder, MIG_VAULT_OWNER, s->key, CONTRACT, &s->vault, &why);
    CU_ASSERT_EQUAL_FATAL(err, MIG_OK);
}

static void start(struct scene *s)
{
    static int number;
    *s = (struct scene){0};
    (void)snprintf(s->folder, sizeof s->folder, "%s/vault%d", test_dir(), number++);
    s->key = mig_secret_new(32);
    s->shares = mig_secret_new(2 * MIG_SHARE_LEN);
    memset(s->shares->bytes, 1, s->shares->len);
    s->domains[0] =
        (struct mig_domain_key){.domain = 1, .curve = MIG_CURVE_ED25519, .key_len = 32, .key = {7}};
    s->domains[1] = (struct mig_domain_key){
        .domain = 2, .curve = MIG_CURVE_SECP256K1, .key_len = 64, .key = {8}};
    s->keyset = (struct mig_keyset){.epoch = 5, .count = 2, .domains = s->domains};
    open_or_fail(s);
}

static void end(struct scene *s)
{
    mig_vault_close(&s->vault);
    mig_secret_free(&s->key);
    mig_secret_free(&s->shares);
}

static enum mig_err keep(struct scene *s, struct mig_receipt *receipt)
{
    return mig_vault_keep(&s->vault, &s->keyset, s->shares, 1000, NULL, receipt);
}

static struct mig_note note_of(const struct scene *s, enum mig_note_state state)
{
    struct mig_note note = {.state = state, .stored_at = 1000, .read_back_at = 1001};
    struct mig_context c = {.contract = CONTRACT,
                            .account = "alice.near",
                            .direction = MIG_BACKUP,
                            .announce = MIG_ANNOUNCE_HEADER,
                            .epoch = s->keyset.epoch,
                            .has_client_key = true,
                            .has_node_key = true};
    char text[MIG_CONTEXT_MAX + 1];
    size_t len;
    mig_keyset_digest(CONTRACT, &s->keyset, c.keyset);
    CU_ASSERT_EQUAL(mig_context_format(&c, text, sizeof text, &len), MIG_OK);
    CU_ASSERT_EQUAL(mig_note_set_context(&note, text), MIG_OK);
    return note;
}

static size_t count_entries(struct scene *s, struct mig_vault_entry *first)
{
    struct mig_vault_entry *entries = NULL;
    size_t count = 0;
    CU_ASSERT_EQUAL(s->vault.list(s->vault.ctx, &entries, &count), MIG_OK);
    if (count > 0 && first != NULL)
        *first = entries[0];
    free(entries);
    return count;
}

static void keeps_and_gives_back_after_reopening(void)
{
    struct scene s;
    struct mig_receipt receipt;
    start(&s);
    CU_ASSERT_EQUAL_FATAL(keep(&s, &receipt), MIG_OK);
    CU_ASSERT_EQUAL(receipt.shares, 2);
    CU_ASSERT_FALSE(receipt.repeated);
    mig_vault_close(&s.vault);
    open_or_fail(&s);
    struct mig_secret *copy = mig_secret_new(s.shares->len);
    CU_ASSERT_EQUAL(s.vault.get(s.vault.ctx, &s.keyset, (uint8_t(*)[MIG_SHARE_LEN])copy->bytes),
                    MIG_OK);
    CU_ASSERT_TRUE(mig_equal(copy->bytes, s.shares->bytes, copy->len));
    mig_secret_free(&copy);
    CU_ASSERT_EQUAL_FATAL(keep(&s, &receipt), MIG_OK);
    CU_ASSERT_TRUE(receipt.repeated);
    CU_ASSERT_EQUAL(count_entries(&s, NULL), 1);
    end(&s);
}

static void never_replaces_other_shares(void)
{
    struct scene s;
    struct mig_receipt receipt;
    start(&s);
    CU_ASSERT_EQUAL_FATAL(keep(&s, &receipt), MIG_OK);
    s.shares->bytes[0] = 2;
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_ERR_CONFLICT);
    s.shares->bytes[0] = 1;
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    end(&s);
}

static void keeps_every_epoch_and_attempt(void)
{
    struct scene s;
    struct mig_receipt receipt;
    struct mig_vault_entry first = {0};
    start(&s);
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    s.domains[0].attempt = 1;
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    s.keyset.epoch = 6;
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    s.keyset.epoch = 4;
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    CU_ASSERT_EQUAL(count_entries(&s, &first), 4);
    CU_ASSERT_EQUAL(first.receipt.epoch, 6);
    end(&s);
}

static bool no(void *ctx)
{
    (void)ctx;
    return false;
}

static void keeps_nothing_when_the_fence_falls(void)
{
    struct scene s;
    struct mig_receipt receipt;
    const struct mig_fence fence = {no, NULL};
    start(&s);
    CU_ASSERT_EQUAL(mig_vault_keep(&s.vault, &s.keyset, s.shares, 1000, &fence, &receipt),
                    MIG_ERR_CANCELLED);
    CU_ASSERT_EQUAL(count_entries(&s, NULL), 0);
    end(&s);
}

static enum mig_err get_other(void *ctx, const struct mig_keyset *keyset,
                              uint8_t (*shares)[MIG_SHARE_LEN])
{
    (void)ctx;
    (void)keyset;
    memset(shares, 9, 2 * MIG_SHARE_LEN);
    return MIG_OK;
}

static void notices_a_medium_that_reads_back_something_else(void)
{
    struct scene s;
    struct mig_receipt receipt;
    start(&s);
    s.vault.get = get_other;
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_ERR_IO);
    end(&s);
}

static void notes_survive_and_are_replaced_by_newer_ones(void)
{
    struct scene s;
    struct mig_receipt receipt;
    struct mig_note note, loaded;
    uint8_t digest[MIG_DIGEST_LEN];
    start(&s);
    mig_keyset_digest(CONTRACT, &s.keyset, digest);
    CU_ASSERT_EQUAL(s.vault.load_note(s.vault.ctx, digest, &loaded), MIG_ERR_NOT_FOUND);
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    note = note_of(&s, MIG_NOTE_PENDING);
    CU_ASSERT_EQUAL_FATAL(s.vault.save_note(s.vault.ctx, &note), MIG_OK);
    mig_vault_close(&s.vault);
    open_or_fail(&s);
    CU_ASSERT_EQUAL(s.vault.load_note(s.vault.ctx, digest, &loaded), MIG_OK);
    CU_ASSERT_EQUAL(loaded.state, MIG_NOTE_PENDING);
    CU_ASSERT_STRING_EQUAL(loaded.context, note.context);
    note.state = MIG_NOTE_ACKNOWLEDGED;
    note.acknowledged_at = 1002;
    CU_ASSERT_EQUAL(s.vault.save_note(s.vault.ctx, &note), MIG_OK);
    struct mig_vault_entry first = {0};
    CU_ASSERT_EQUAL(count_entries(&s, &first), 1);
    CU_ASSERT_TRUE(first.has_note && first.note.state == MIG_NOTE_ACKNOWLEDGED);
    CU_ASSERT_EQUAL(first.note.acknowledged_at, 1002);
    end(&s);
}

static void one_owner_at_a_time_and_readers_beside_it(void)
{
    struct scene s;
    struct mig_receipt receipt;
    struct mig_vault second;
    const char *why;
    start(&s);
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    CU_ASSERT_EQUAL(s.vault.lease(s.vault.ctx, 0, 60), MIG_OK);
    CU_ASSERT_EQUAL(mig_vault_open(s.folder, MIG_VAULT_OWNER, s.key, CONTRACT, &second, &why),
                    MIG_ERR_STATE);
    CU_ASSERT_TRUE(strlen(why) > 10);
    CU_ASSERT_EQUAL_FATAL(
        mig_vault_open(s.folder, MIG_VAULT_READER, s.key, CONTRACT, &second, &why), MIG_OK);
    CU_ASSERT_EQUAL(second.lease(second.ctx, 0, 60), MIG_ERR_STATE);
    struct mig_note note = note_of(&s, MIG_NOTE_PENDING);
    CU_ASSERT_EQUAL(second.save_note(second.ctx, &note), MIG_ERR_STATE);
    CU_ASSERT_EQUAL(mig_vault_keep(&second, &s.keyset, s.shares, 1, NULL, &receipt), MIG_ERR_STATE);
    struct mig_vault_report report;
    CU_ASSERT_EQUAL(mig_vault_verify(&second, &report), MIG_OK);
    CU_ASSERT_EQUAL(report.shares, 2);
    mig_vault_close(&second);
    mig_vault_close(&second);
    end(&s);
}

/* Flips a bit in the middle of the only share file. */
static void damage_shares(const struct scene *s, bool remove_it)
{
    char path[900];
    (void)snprintf(path, sizeof path, "%s/shares", s->folder);
    DIR *d = opendir(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        uint8_t byte;
        (void)snprintf(path, sizeof path, "%s/shares/%s", s->folder, e->d_name);
        if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < 100)
            continue;
        if (remove_it) {
            CU_ASSERT_EQUAL(unlink(path), 0);
            continue;
        }
        (void)chmod(path, 0600);
        int fd = open(path, O_RDWR);
        CU_ASSERT_TRUE_FATAL(fd >= 0);
        CU_ASSERT_EQUAL(pread(fd, &byte, 1, st.st_size / 2), 1);
        byte ^= 1;
        CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, st.st_size / 2), 1);
        CU_ASSERT_EQUAL(close(fd), 0);
        break; /* the pointer is another name of the same bytes */
    }
    (void)closedir(d);
}

static void verify_finds_damage_and_loss(void)
{
    for (int lost = 0; lost <= 1; lost++) {
        struct scene s;
        struct mig_receipt receipt;
        struct mig_vault_report report;
        const char *why;
        start(&s);
        CU_ASSERT_EQUAL(mig_vault_verify(&s.vault, &report), MIG_OK);
        CU_ASSERT_EQUAL(report.entries, 0);
        CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
        struct mig_note note = note_of(&s, MIG_NOTE_PENDING);
        CU_ASSERT_EQUAL(s.vault.save_note(s.vault.ctx, &note), MIG_OK);
        CU_ASSERT_EQUAL(mig_vault_verify(&s.vault, &report), MIG_OK);
        CU_ASSERT_EQUAL(report.entries, 1);
        mig_vault_close(&s.vault);
        damage_shares(&s, lost != 0);
        CU_ASSERT_EQUAL_FATAL(
            mig_vault_open(s.folder, MIG_VAULT_READER, s.key, CONTRACT, &s.vault, &why), MIG_OK);
        CU_ASSERT_EQUAL(mig_vault_verify(&s.vault, &report), MIG_ERR_CONFLICT);
        CU_ASSERT_EQUAL(report.damaged, 1);
        mig_vault_close(&s.vault);
        /* Also after an owner has put the damaged file aside. */
        open_or_fail(&s);
        CU_ASSERT_EQUAL(mig_vault_verify(&s.vault, &report), MIG_ERR_CONFLICT);
        CU_ASSERT_EQUAL(report.damaged, 1);
        end(&s);
    }
}

static void another_key_opens_nothing(void)
{
    struct scene s;
    struct mig_receipt receipt;
    struct mig_vault_report report = {0};
    const char *why;
    start(&s);
    CU_ASSERT_EQUAL(keep(&s, &receipt), MIG_OK);
    mig_vault_close(&s.vault);
    s.key->bytes[0] ^= 1;
    enum mig_err err = mig_vault_open(s.folder, MIG_VAULT_READER, s.key, CONTRACT, &s.vault, &why);
    if (err == MIG_OK)
        err = mig_vault_verify(&s.vault, &report);
    CU_ASSERT_NOT_EQUAL(err, MIG_OK);
    CU_ASSERT_EQUAL(report.shares, 0);
    end(&s);
}

static void refuses_notes_that_are_not_of_a_backup(void)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"version\":2,\"acknowledged\":false,\"stored_at\":1,\"read_back_at\":1,"
        "\"acknowledged_at\":0,\"context\":\"x\"}",
        "{\"version\":1,\"acknowledged\":false,\"stored_at\":1,\"read_back_at\":1,"
        "\"acknowledged_at\":0,\"context\":\"x\"}",
    };
    struct mig_note note;
    struct scene s;
    char text[MIG_NOTE_MAX];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(mig_note_parse(bad[i], strlen(bad[i]), &note), MIG_ERR_MALFORMED);
    start(&s);
    struct mig_note good = note_of(&s, MIG_NOTE_ACKNOWLEDGED);
    CU_ASSERT_EQUAL(mig_note_format(&good, text), MIG_OK);
    CU_ASSERT_EQUAL(mig_note_parse(text, strlen(text), &note), MIG_OK);
    CU_ASSERT_EQUAL(note.state, MIG_NOTE_ACKNOWLEDGED);
    CU_ASSERT_EQUAL(mig_note_parse(text, strlen(text) - 1, &note), MIG_ERR_MALFORMED);
    char *direction = strstr(text, "backup, ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(direction);
    memcpy(direction, "recover,", 8); /* also breaks the spacing: neither form is one */
    CU_ASSERT_EQUAL(mig_note_parse(text, strlen(text), &note), MIG_ERR_MALFORMED);
    end(&s);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(keeps_and_gives_back_after_reopening),
        TEST(never_replaces_other_shares),
        TEST(keeps_every_epoch_and_attempt),
        TEST(keeps_nothing_when_the_fence_falls),
        TEST(notices_a_medium_that_reads_back_something_else),
        TEST(notes_survive_and_are_replaced_by_newer_ones),
        TEST(one_owner_at_a_time_and_readers_beside_it),
        TEST(verify_finds_damage_and_loss),
        TEST(another_key_opens_nothing),
        TEST(refuses_notes_that_are_not_of_a_backup),
    };
    return run_tests("vault", tests, sizeof tests / sizeof *tests);
}

/* SPDX-License-Identifier: MIT */
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

#include "migration/admit.h"
#include "tests/views.h"

enum { NOW = 100, STALE_S = 30 };
static const uint64_t second = 1000000000u;

/* A request, a view and a node for which all is well. */
struct scene {
    enum mig_resource resource;
    struct view_spec spec;
    struct mig_self self;
    struct mig_context context;
    uint64_t now_ns;
    bool no_view, publish_node, publish_service;
};

static bool is_backup(enum mig_resource resource)
{
    return resource == MIG_RESOURCE_BACKUP || resource == MIG_RESOURCE_RECEIPT;
}

static struct scene good(enum mig_resource resource)
{
    struct scene s = {.resource = resource,
                      .now_ns = NOW * second,
                      .publish_node = true,
                      .publish_service = true};
    s.spec = (struct view_spec){.generation = 1,
                                .height = NOW,
                                .protocol = MIG_PROTOCOL_RUNNING,
                                .epoch = 5,
                                .domains = 3,
                                .service = 's',
                                .set = is_backup(resource) ? "0aM 1bB" : "0aA 1bB"};
    if (!is_backup(resource)) {
        s.spec.destination = 'M';
        s.spec.since = 90;
    }
    s.self = (struct mig_self){.contract = "v1.signer",
                               .account = "a.near",
                               .announce = MIG_ANNOUNCE_HEADER,
                               .max_staleness_ns = STALE_S * second};
    letter_key('M', s.self.tls_key);
    struct mig_context *c = &s.context;
    strcpy(c->contract, "v1.signer");
    strcpy(c->account, "a.near");
    letter_key('M', c->node);
    letter_key('s', c->service);
    c->direction = is_backup(resource) ? MIG_BACKUP : MIG_RECOVER;
    c->announce = MIG_ANNOUNCE_HEADER;
    c->epoch = 5;
    struct mig_keyset keyset = keyset_of(5, 0, 3);
    mig_keyset_digest("v1.signer", &keyset, c->keyset);
    mig_keyset_clear(&keyset);
    return s;
}

static void with_published_keys(struct scene *s)
{
    s->self.announce = s->context.announce = MIG_ANNOUNCE_CONTRACT;
    s->context.has_client_key = s->context.has_node_key = true;
    letter_key('c', s->context.client_key);
    letter_key('n', s->context.node_key);
}

static enum mig_verdict judge(const struct scene *s)
{
    const struct mig_view *view = view_of(&s->spec);
    struct mig_published *p = &((struct mig_view_box *)(uintptr_t)view)->view.published;
    p->has_node = s->publish_node;
    p->has_service = s->publish_service;
    letter_key('n', p->node);
    letter_key('c', p->service);
    enum mig_verdict verdict =
        mig_admit(s->no_view ? NULL : view, &s->self, s->resource, &s->context, s->now_ns);
    CU_ASSERT_EQUAL(
        mig_admit(s->no_view ? NULL : view, &s->self, s->resource, &s->context, s->now_ns),
        verdict);
    mig_view_release(&view);
    return verdict;
}

#define FOR_EACH_RESOURCE(r)                                                                       \
    for (enum mig_resource r = MIG_RESOURCE_BACKUP; r <= MIG_RESOURCE_UPLOAD; r++)

static void a_good_request_is_admitted(void)
{
    FOR_EACH_RESOURCE(r)
    {
        struct scene s = good(r);
        CU_ASSERT_EQUAL(judge(&s), MIG_ADMITTED);
        with_published_keys(&s);
        CU_ASSERT_EQUAL(judge(&s), MIG_ADMITTED);
    }
}

/* ---- one fault each, and every pair in order --------------------------- */

static void no_view(struct scene *s)
{
    s->no_view = true;
}
static void wrong_contract(struct scene *s)
{
    strcpy(s->context.contract, "v2.signer");
}
static void wrong_account(struct scene *s)
{
    strcpy(s->context.account, "aa.near");
}
static void wrong_node(struct scene *s)
{
    s->context.node[31] ^= 1;
}
static void wrong_direction(struct scene *s)
{
    s->context.direction = s->context.direction == MIG_BACKUP ? MIG_RECOVER : MIG_BACKUP;
}
static void stale(struct scene *s)
{
    s->now_ns = (NOW + STALE_S) * second + 1;
}
static void resharing(struct scene *s)
{
    s->spec.protocol = MIG_PROTOCOL_RESHARING;
    s->spec.next = s->spec.set;
}
static void initializing(struct scene *s)
{
    s->spec.protocol = MIG_PROTOCOL_INITIALIZING;
}
static void uninitialised(struct scene *s)
{
    s->spec.protocol = MIG_PROTOCOL_NOT_INITIALIZED;
}
static void another_epoch(struct scene *s)
{
    s->context.epoch++;
}
static void another_digest(struct scene *s)
{
    s->context.keyset[0] ^= 1;
}
static void empty_keyset(struct scene *s)
{
    struct mig_keyset none = keyset_of(5, 0, 0);
    s->spec.domains = 0;
    mig_keyset_digest("v1.signer", &none, s->context.keyset);
}
static void other_announce(struct scene *s)
{
    s->self.announce =
        s->context.announce == MIG_ANNOUNCE_CONTRACT ? MIG_ANNOUNCE_HEADER : MIG_ANNOUNCE_CONTRACT;
}
static void operator_missing(struct scene *s)
{
    s->self.has_operator_tag = true;
    s->self.operator_tag[0] = 1;
}
static void operator_unwanted(struct scene *s)
{
    s->context.has_operator_tag = true;
}
static void operator_other(struct scene *s)
{
    s->self.has_operator_tag = s->context.has_operator_tag = true;
    s->self.operator_tag[7] = 1;
}

static const struct {
    void (*make)(struct scene *);
    enum mig_verdict verdict;
} fault[] = {
    {no_view, MIG_REFUSED_NO_VIEW},
    {wrong_contract, MIG_REFUSED_MISDIRECTED},
    {wrong_account, MIG_REFUSED_MISDIRECTED},
    {wrong_node, MIG_REFUSED_MISDIRECTED},
    {wrong_direction, MIG_REFUSED_DIRECTION},
    {stale, MIG_REFUSED_STALE},
    {resharing, MIG_REFUSED_NOT_RUNNING},
    {initializing, MIG_REFUSED_NOT_RUNNING},
    {uninitialised, MIG_REFUSED_NOT_RUNNING},
    {another_epoch, MIG_REFUSED_KEYSET},
    {another_digest, MIG_REFUSED_KEYSET},
    {empty_keyset, MIG_REFUSED_KEYSET},
    {other_announce, MIG_REFUSED_ANNOUNCE},
    {operator_missing, MIG_REFUSED_OPERATOR_KEY},
    {operator_unwanted, MIG_REFUSED_OPERATOR_KEY},
    {operator_other, MIG_REFUSED_OPERATOR_KEY},
};
enum { FAULTS = sizeof fault / sizeof *fault };

static void each_fault_has_its_verdict(void)
{
    FOR_EACH_RESOURCE(r)
    for (size_t i = 0; i < FAULTS; i++) {
        struct scene s = good(r);
        fault[i].make(&s);
        CU_ASSERT_EQUAL(judge(&s), fault[i].verdict);
    }
}

static void of_two_faults_the_earlier_check_speaks(void)
{
    FOR_EACH_RESOURCE(r)
    for (size_t i = 0; i < FAULTS; i++)
        for (size_t j = i + 1; j < FAULTS; j++) {
            struct scene s = good(r);
            /* Which was applied first does not matter; which is checked first does. */
            fault[j].make(&s);
            fault[i].make(&s);
            CU_ASSERT_EQUAL(judge(&s), fault[i].verdict);
        }
}

static void a_view_is_fresh_up_to_its_limit_and_when_from_the_future(void)
{
    struct scene s = good(MIG_RESOURCE_BACKUP);
    s.now_ns = (NOW + STALE_S) * second;
    CU_ASSERT_EQUAL(judge(&s), MIG_ADMITTED);
    s.now_ns = (NOW - 50) * second;
    CU_ASSERT_EQUAL(judge(&s), MIG_ADMITTED);
}

static void the_operator_tag_must_be_the_same(void)
{
    struct scene s = good(MIG_RESOURCE_UPLOAD);
    operator_other(&s);
    s.context.operator_tag[7] = 1;
    CU_ASSERT_EQUAL(judge(&s), MIG_ADMITTED);
}

/* ---- seats and records: every cell ------------------------------------- */

enum record { ABSENT, INACTIVE, OTHERS, MINE_BEFORE, MINE_AFTER };
enum { RECORDS = 5, LOST_AT = 80 };

static struct scene seat_scene(enum mig_resource r, enum mig_seat seat, bool lost,
                               enum record record)
{
    static const char *const set[] = {"1bB 2cC", "0aA 1bB", "0aM 1bB"};
    struct scene s = good(r);
    s.spec.set = set[seat];
    s.self.seat_lost_at = lost ? LOST_AT : 0;
    s.spec.destination = record == ABSENT ? 0 : record == OTHERS ? 'N' : 'M';
    s.spec.inactive = record == INACTIVE;
    s.spec.since = record == MINE_BEFORE ? LOST_AT : LOST_AT + 1;
    return s;
}

#define OK MIG_ADMITTED
#define NP MIG_REFUSED_NOT_PARTICIPANT
#define DC MIG_REFUSED_DECOMMISSIONED
#define ND MIG_REFUSED_NOT_DESTINATION
#define NM MIG_REFUSED_NO_MIGRATION

static void every_cell_of_seat_and_record(void)
{
    /* [resource - 1][seat][lost][record] */
    static const enum mig_verdict want[4][3][2][RECORDS] = {
        {{{NP, NP, NP, NP, NP}, {DC, DC, DC, DC, DC}},
         {{NP, NP, NP, NP, NP}, {DC, DC, DC, DC, DC}},
         {{OK, OK, OK, OK, OK}, {OK, OK, OK, OK, OK}}},
        {{{NP, NP, NP, NP, NP}, {DC, DC, DC, DC, DC}},
         {{NP, NP, NP, NP, NP}, {DC, DC, DC, DC, DC}},
         {{OK, OK, OK, OK, OK}, {OK, OK, OK, OK, OK}}},
        /* an offer: also for the node that has the seat */
        {{{NM, NM, ND, NM, NM}, {DC, DC, DC, DC, NM}},
         {{NM, NM, ND, OK, OK}, {DC, DC, DC, DC, OK}},
         {{OK, OK, OK, OK, OK}, {OK, OK, OK, OK, OK}}},
        /* an upload: not for it */
        {{{NM, NM, ND, NM, NM}, {DC, DC, DC, DC, NM}},
         {{NM, NM, ND, OK, OK}, {DC, DC, DC, DC, OK}},
         {{NM, NM, ND, NM, NM}, {DC, DC, DC, DC, NM}}},
    };
    FOR_EACH_RESOURCE(r)
    for (unsigned seat = 0; seat < 3; seat++)
        for (unsigned lost = 0; lost < 2; lost++)
            for (unsigned record = 0; record < RECORDS; record++) {
                struct scene s = seat_scene(r, (enum mig_seat)seat, lost != 0, (enum record)record);
                enum mig_verdict got = judge(&s);
                if (got != want[r - 1][seat][lost][record])
                    printf("\n%u seat %u lost %u record %u: %d\n", r, seat, lost, record, (int)got);
                CU_ASSERT_EQUAL(got, want[r - 1][seat][lost][record]);
            }
}

static void a_role_is_judged_before_the_keyset_and_after_the_state(void)
{
    FOR_EACH_RESOURCE(r)
    {
        struct scene s = seat_scene(r, MIG_SEAT_NONE, false, ABSENT);
        another_epoch(&s);
        CU_ASSERT_EQUAL(judge(&s), is_backup(r) ? NP : NM);
        resharing(&s);
        CU_ASSERT_EQUAL(judge(&s), MIG_REFUSED_NOT_RUNNING);
    }
}

/* ---- published keys ---------------------------------------------------- */

static void keys_of_an_exchange_must_be_the_published_ones(void)
{
    FOR_EACH_RESOURCE(r)
    for (int i = 0; i < 6; i++) {
        struct scene s = good(r);
        with_published_keys(&s);
        if (i == 0)
            s.publish_node = false;
        else if (i == 1)
            s.publish_service = false;
        else if (i == 2)
            s.context.client_key[0] ^= 1;
        else if (i == 3)
            s.context.node_key[31] ^= 1;
        else if (i == 4)
            s.context.has_client_key = false;
        else
            s.context.has_node_key = false;
        bool exchange = r == MIG_RESOURCE_BACKUP || r == MIG_RESOURCE_UPLOAD;
        CU_ASSERT_EQUAL(judge(&s), exchange ? MIG_REFUSED_EPHEMERAL : MIG_ADMITTED);
    }
}

static void keys_in_the_header_need_not_be_published(void)
{
    struct scene s = good(MIG_RESOURCE_UPLOAD);
    s.publish_node = s.publish_service = false;
    CU_ASSERT_EQUAL(judge(&s), MIG_ADMITTED);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(a_good_request_is_admitted),
        TEST(each_fault_has_its_verdict),
        TEST(of_two_faults_the_earlier_check_speaks),
        TEST(a_view_is_fresh_up_to_its_limit_and_when_from_the_future),
        TEST(the_operator_tag_must_be_the_same),
        TEST(every_cell_of_seat_and_record),
        TEST(a_role_is_judged_before_the_keyset_and_after_the_state),
        TEST(keys_of_an_exchange_must_be_the_published_ones),
        TEST(keys_in_the_header_need_not_be_published),
    };
    return run_tests("admit", tests, sizeof tests / sizeof *tests);
}

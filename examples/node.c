/* SPDX-License-Identifier: MIT */
/*
 * A small MPC node that embeds the migration service: it holds a share of a
 * threshold key, keeps a TCP connection to every other participant, stores
 * dummy triples, signs with its peers, and follows every change of the set
 * through the hooks of mpc_migration.h. docs/embedding.md walks through it;
 * tests/test_cluster.sh runs four.
 *
 *   node CONTRACT ACCOUNT RPC FOLDER PORT [lead]
 *
 * FOLDER holds identity.key, access.key, store.key and state/ (examples/
 * threshold makes them). The leader starts a signature whenever none is under
 * way and makes triples for every set of peers it sees. One line per event.
 *
 * What a real node does otherwise: TLS between peers, triples that are some,
 * a protocol without a leader, and a set that it also reads by itself.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "crypto/key.h"
#include "crypto/keyset.h"
#include "examples/frost.h"
#include "include/mpc_assets.h"
#include "include/mpc_migration.h"
#include "store/keystore.h"

enum {
    IDS = 8,
    NOBODY = IDS,
    LINKS = 24,
    TICK_MS = 20,
    GREETING_MS = 1000,
    SIGNING_MS = 500,
    MESSAGE = 64,
    TRIPLES = 50
};

enum frame_type { HELLO = 1, PROOF, TRIPLE, COMMIT_PLEASE, COMMITMENT, SIGN_PLEASE, PART };

/* One size for all, so that a frame is whole when its bytes are there. */
struct frame {
    uint32_t type, count;
    uint64_t session;
    uint8_t key[32], nonce[32];        /* HELLO */
    uint8_t bytes[64];                 /* PROOF: a signature; TRIPLE: its id; PART */
    char message[MESSAGE];             /* COMMIT_PLEASE, SIGN_PLEASE */
    struct frost_commitment list[IDS]; /* COMMITMENT (one), SIGN_PLEASE */
};

struct peer {
    uint32_t id;
    uint8_t key[MIG_KEY_LEN];
    uint16_t port;
};

struct link {
    int fd; /* -1: free */
    bool has_hello, has_sent_proof, has_proof, is_up;
    uint32_t id;                      /* whom we called, or who proved to be there; NOBODY */
    uint64_t began_ms;                /* a greeting that takes a second is given up */
    uint8_t key[32];                  /* the peer's */
    uint8_t nonce[32], its_nonce[32]; /* what it has to sign, and what we have */
    struct frame in;
    size_t have;
};

static struct node {
    pthread_mutex_t lock; /* protects everything: the loop holds it but in poll */
    int wake, listener;
    const char *account;
    struct mig_identity *identity;
    struct mig_keystore *store;
    struct mig_assets *assets;
    struct link links[LINKS];
    /* The set, as the last participants_changed told it. */
    struct peer peers[IDS];
    size_t peer_count;
    uint32_t me, threshold;
    bool is_active;
    bool is_purging; /* from a change until its purge is done: no new link, no new triple */
    /* How many triples there ought to be, by the bits of their participants. */
    uint64_t held[1 << IDS];
    /* The share, in locked memory after it; NULL: none yet. */
    uint8_t *share, *nonce, *asked_nonce;
    uint8_t group_key[32];
    /* Signing: the leader's, and as it was asked. */
    bool leads, is_signing;
    uint64_t session, asked_session, began_ms, last_ms, signatures;
    struct frost_session frost;
    char message[MESSAGE];
    uint32_t commitments, parts;
    uint8_t signature[64];
} node = {.lock = PTHREAD_MUTEX_INITIALIZER};

static volatile sig_atomic_t ends;

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "node: %s\n", what);
    exit(1);
}

/* ---- links ------------------------------------------------------------------ */

static void drop(struct link *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    if (l->is_up) {
        (void)printf("link %u down\n", l->id);
        node.is_signing = false; /* begin anew with who is there */
    }
    *l = (struct link){.fd = -1};
}

static void send_frame(struct link *l, const struct frame *f)
{
    if (l->fd >= 0 && send(l->fd, f, sizeof *f, MSG_NOSIGNAL) != (ssize_t)sizeof *f)
        drop(l);
}

static struct link *link_to(uint32_t id)
{
    for (size_t i = 0; i < LINKS; i++)
        if (node.links[i].fd >= 0 && node.links[i].is_up && node.links[i].id == id)
            return &node.links[i];
    return NULL;
}

static const struct peer *peer_of(const uint8_t key[32])
{
    for (size_t i = 0; i < node.peer_count; i++)
        if (memcmp(node.peers[i].key, key, 32) == 0)
            return &node.peers[i];
    return NULL;
}

static void open_link(int fd, uint32_t id)
{
    struct frame hello = {.type = HELLO};
    for (size_t i = 0; i < LINKS; i++) {
        struct link *l = &node.links[i];
        if (l->fd >= 0)
            continue;
        *l = (struct link){.fd = fd, .id = id, .began_ms = now_ms()};
        randombytes_buf(l->nonce, sizeof l->nonce);
        memcpy(hello.key, node.identity->public_key, 32);
        memcpy(hello.nonce, l->nonce, 32);
        send_frame(l, &hello);
        return;
    }
    (void)close(fd);
}

static struct sockaddr_in local(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static bool is_called(uint32_t id)
{
    for (size_t i = 0; i < LINKS; i++)
        if (node.links[i].fd >= 0 && node.links[i].id == id)
            return true;
    return false;
}

/* Of two participants the one with the smaller id calls. */
static void call_peers(void)
{
    for (size_t i = 0; node.is_active && !node.is_purging && i < node.peer_count; i++) {
        const struct peer *p = &node.peers[i];
        if (p->id <= node.me || is_called(p->id))
            continue;
        struct sockaddr_in a = local(p->port);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
            open_link(fd, p->id);
        else if (fd >= 0)
            (void)close(fd);
    }
}

/* What a key signs to prove itself: the other side's nonce, and to whom. */
static void proof_text(const uint8_t nonce[32], const uint8_t to[32], uint8_t out[75])
{
    memcpy(out, "example node", 11);
    memcpy(out + 11, nonce, 32);
    memcpy(out + 43, to, 32);
}

static void on_hello(struct link *l, const struct frame *f)
{
    memcpy(l->key, f->key, sizeof l->key);
    memcpy(l->its_nonce, f->nonce, sizeof l->its_nonce);
    l->has_hello = true;
}

/* Given only to participants, by key, and not before the last change is dealt
 * with; so whoever has the other's proof may talk. */
static void give_proof(struct link *l)
{
    uint8_t text[75];
    struct frame proof = {.type = PROOF};
    if (!l->has_hello || l->has_sent_proof || !node.is_active || node.is_purging ||
        peer_of(l->key) == NULL)
        return;
    proof_text(l->its_nonce, l->key, text);
    l->has_sent_proof = mig_identity_sign(node.identity, text, sizeof text, proof.bytes) == MIG_OK;
    send_frame(l, &proof);
}

static void on_proof(struct link *l, const struct frame *f)
{
    uint8_t text[75];
    proof_text(l->nonce, node.identity->public_key, text);
    l->has_proof = crypto_sign_verify_detached(f->bytes, text, sizeof text, l->key) == 0;
    if (!l->has_proof)
        drop(l);
}

/* A new connection of a peer replaces its old one. */
static void rise(struct link *l)
{
    const struct peer *p = l->fd >= 0 && !l->is_up && l->has_proof ? peer_of(l->key) : NULL;
    if (p == NULL || !l->has_sent_proof)
        return;
    if (link_to(p->id) != NULL)
        drop(link_to(p->id));
    l->id = p->id;
    l->is_up = true;
    char key[MIG_KEY_TEXT_MAX];
    mig_key_format(l->key, key);
    (void)printf("link %u up %s\n", l->id, key);
}

/* ---- triples ------------------------------------------------------------------ */

static uint32_t bits_up(void)
{
    uint32_t bits = 1u << node.me;
    for (uint32_t id = 0; id < IDS; id++)
        bits |= link_to(id) != NULL ? 1u << id : 0;
    return bits;
}

static void store_triple(const uint8_t id[MIG_ASSET_ID_LEN], uint32_t bits)
{
    uint32_t ids[IDS];
    uint8_t value[32];
    struct mig_asset a = {.key = {.kind = MIG_ASSET_TRIPLE, .scope = node.threshold},
                          .participants = ids,
                          .value = value,
                          .len = sizeof value};
    memcpy(a.key.id, id, MIG_ASSET_ID_LEN);
    for (uint32_t i = 0; i < IDS; i++)
        if ((bits >> i & 1) != 0)
            ids[a.participant_count++] = i;
    randombytes_buf(value, sizeof value);
    if (mig_assets_put(node.assets, &a, 1) == MIG_OK)
        node.held[bits]++;
}

/* The leader makes a batch for each set of peers, once. */
static void make_triples(void)
{
    uint32_t bits = bits_up();
    if (node.is_purging || (uint32_t)__builtin_popcount(bits) < node.threshold ||
        node.held[bits] > 0)
        return;
    for (unsigned n = 0; n < TRIPLES; n++) {
        struct frame f = {.type = TRIPLE, .count = bits};
        randombytes_buf(f.bytes, MIG_ASSET_ID_LEN);
        for (uint32_t id = 0; id < IDS; id++)
            if (link_to(id) != NULL)
                send_frame(link_to(id), &f);
        store_triple(f.bytes, bits);
    }
    (void)printf("triples made for %#x\n", bits);
}

/* ---- signing -------------------------------------------------------------------- */

static bool find_share(void)
{
    struct mig_keystore_entry *list = NULL;
    struct mig_keyset keyset = {0};
    size_t count = 0;
    if (node.share == NULL && mig_keystore_list(node.store, &list, &count) == MIG_OK && count > 0 &&
        mig_keystore_keyset(node.store, list[0].receipt.keyset, &keyset) == MIG_OK) {
        uint8_t *all = sodium_malloc(keyset.count * MIG_SHARE_LEN);
        must(all != NULL, "no locked memory");
        if (mig_keystore_load(node.store, &keyset, (uint8_t(*)[MIG_SHARE_LEN])(void *)all) ==
            MIG_OK) {
            for (size_t i = 0; i < keyset.count; i++)
                if (keyset.domains[i].curve == MIG_CURVE_ED25519) {
                    node.share = sodium_malloc(MIG_SHARE_LEN);
                    must(node.share != NULL, "no locked memory");
                    memcpy(node.share, all + i * MIG_SHARE_LEN, MIG_SHARE_LEN);
                    memcpy(node.group_key, keyset.domains[i].key, 32);
                }
        }
        sodium_free(all);
    }
    mig_keyset_clear(&keyset);
    free(list);
    return node.share != NULL;
}

static void to_signers(const struct frame *f)
{
    for (uint32_t i = 1; i < node.frost.count; i++) {
        struct link *l = link_to(node.frost.list[i].id);
        if (l != NULL)
            send_frame(l, f);
        else
            node.is_signing = false;
    }
}

static void begin_signature(void)
{
    struct frame f = {.type = COMMIT_PLEASE};
    node.frost = (struct frost_session){.message = node.message, .count = 1};
    memcpy(node.frost.group_key, node.group_key, 32);
    for (uint32_t id = 0; id < IDS && node.frost.count < node.threshold; id++)
        if (link_to(id) != NULL)
            node.frost.list[node.frost.count++].id = id;
    if (node.frost.count < node.threshold ||
        !frost_commit(node.me, node.nonce, &node.frost.list[0]))
        return;
    node.is_signing = true;
    node.began_ms = now_ms();
    node.commitments = 1;
    node.parts = 0;
    f.session = ++node.session;
    (void)snprintf(node.message, sizeof node.message, "message %" PRIu64, node.session);
    to_signers(&f);
}

static void on_commit_please(struct link *l, const struct frame *f)
{
    struct frame answer = {.type = COMMITMENT, .session = f->session};
    node.asked_session = f->session;
    if (find_share() && frost_commit(node.me, node.asked_nonce, &answer.list[0]))
        send_frame(l, &answer);
}

/* A nonce serves one signature: the second question for it gets no answer. */
static void on_sign_please(struct link *l, const struct frame *f)
{
    struct frame answer = {.type = PART, .session = f->session};
    struct frost_session s = {.message = f->message, .count = f->count};
    if (node.share == NULL || f->session != node.asked_session || f->count > IDS ||
        memchr(f->message, '\0', sizeof f->message) == NULL)
        return;
    memcpy(s.group_key, node.group_key, 32);
    memcpy(s.list, f->list, f->count * sizeof *f->list);
    node.asked_session = 0;
    if (frost_sign(&s, node.me, node.asked_nonce, node.share, answer.bytes))
        send_frame(l, &answer);
    sodium_memzero(node.asked_nonce, FROST_NONCE_LEN);
}

static void on_commitment(const struct link *l, const struct frame *f)
{
    uint8_t own[32];
    struct frame ask = {.type = SIGN_PLEASE, .session = node.session, .count = node.frost.count};
    for (uint32_t i = 1; node.is_signing && f->session == node.session && i < node.frost.count; i++)
        if (node.frost.list[i].id == l->id) {
            node.frost.list[i] = f->list[0];
            node.frost.list[i].id = l->id;
            node.commitments++;
        }
    if (!node.is_signing || f->session != node.session || node.commitments < node.frost.count)
        return;
    node.is_signing = frost_begin(&node.frost, node.signature) &&
                      frost_sign(&node.frost, node.me, node.nonce, node.share, own);
    sodium_memzero(node.nonce, FROST_NONCE_LEN);
    if (!node.is_signing)
        return;
    frost_add(node.signature, own);
    node.parts = 1;
    memcpy(ask.message, node.message, sizeof ask.message);
    memcpy(ask.list, node.frost.list, node.frost.count * sizeof *ask.list);
    to_signers(&ask);
}

static void on_part(const struct frame *f)
{
    if (!node.is_signing || f->session != node.session)
        return;
    frost_add(node.signature, f->bytes);
    if (++node.parts < node.frost.count)
        return;
    node.is_signing = false;
    if (crypto_sign_verify_detached(node.signature, (const uint8_t *)node.message,
                                    strlen(node.message), node.group_key) != 0)
        return;
    uint64_t now = now_ms();
    (void)printf("signed %" PRIu64 " after %" PRIu64 " ms by %u", ++node.signatures,
                 node.last_ms > 0 ? now - node.last_ms : 0, node.me);
    for (uint32_t i = 1; i < node.frost.count; i++)
        (void)printf(" %u", node.frost.list[i].id);
    (void)printf("\n");
    node.last_ms = now;
}

/* ---- the loop --------------------------------------------------------------------- */

static void on_frame(struct link *l, const struct frame *f)
{
    if (f->type == HELLO)
        on_hello(l, f);
    else if (f->type == PROOF)
        on_proof(l, f);
    else if (!l->is_up)
        drop(l);
    else if (f->type == TRIPLE && f->count < 1u << IDS && !node.is_purging)
        store_triple(f->bytes, f->count);
    else if (f->type == COMMIT_PLEASE)
        on_commit_please(l, f);
    else if (f->type == COMMITMENT)
        on_commitment(l, f);
    else if (f->type == SIGN_PLEASE)
        on_sign_please(l, f);
    else if (f->type == PART)
        on_part(f);
}

static void on_bytes(struct link *l)
{
    ssize_t n = recv(l->fd, (char *)&l->in + l->have, sizeof l->in - l->have, MSG_DONTWAIT);
    if (n <= 0) {
        drop(l);
        return;
    }
    l->have += (size_t)n;
    if (l->have < sizeof l->in)
        return;
    struct frame whole = l->in;
    l->have = 0;
    on_frame(l, &whole);
}

static void greet(struct link *l)
{
    give_proof(l);
    rise(l);
    if (l->fd >= 0 && !l->is_up && now_ms() - l->began_ms > GREETING_MS)
        drop(l);
}

static void on_tick(void)
{
    for (size_t i = 0; i < LINKS; i++)
        greet(&node.links[i]);
    call_peers();
    if (!node.leads || !node.is_active || !find_share())
        return;
    make_triples();
    if (node.is_signing && now_ms() - node.began_ms > SIGNING_MS)
        node.is_signing = false;
    if (!node.is_signing)
        begin_signature();
}

static void loop_once(void)
{
    struct pollfd p[LINKS + 2] = {{.fd = node.wake, .events = POLLIN},
                                  {.fd = node.listener, .events = POLLIN}};
    for (size_t i = 0; i < LINKS; i++)
        p[i + 2] = (struct pollfd){.fd = node.links[i].fd, .events = POLLIN};
    (void)pthread_mutex_unlock(&node.lock);
    (void)poll(p, LINKS + 2, TICK_MS);
    (void)pthread_mutex_lock(&node.lock);
    eventfd_t unused;
    if (p[0].revents != 0)
        (void)eventfd_read(node.wake, &unused);
    if (p[1].revents != 0)
        open_link(accept(node.listener, NULL, NULL), NOBODY);
    for (size_t i = 0; i < LINKS; i++)
        if (p[i + 2].revents != 0 && node.links[i].fd == p[i + 2].fd)
            on_bytes(&node.links[i]);
    on_tick();
    (void)fflush(stdout);
}

/* ---- what the library asks of its host ----------------------------------------------- */

static enum mig_err load_keyshares(void *ctx, const struct mig_keyset *keyset,
                                   uint8_t (*shares)[MIG_SHARE_LEN])
{
    return mig_keystore_load(((struct node *)ctx)->store, keyset, shares);
}

static enum mig_err import_keyshares(void *ctx, const struct mig_keyset *keyset,
                                     const uint8_t (*shares)[MIG_SHARE_LEN], uint64_t now,
                                     const struct mig_fence *fence, struct mig_receipt *receipt)
{
    return mig_keystore_import(((struct node *)ctx)->store, keyset, shares, now, fence, receipt);
}

static enum mig_err load_receipt(void *ctx, const struct mig_keyset *keyset,
                                 struct mig_receipt *receipt)
{
    return mig_keystore_receipt(((struct node *)ctx)->store, keyset, receipt);
}

/* Connections of those who stay stay; everybody else's are dropped before the
 * first of the new ones is made. */
static enum mig_err participants_changed(void *ctx, const struct mig_change *change)
{
    (void)ctx;
    (void)pthread_mutex_lock(&node.lock);
    node.is_active = change->active;
    node.is_purging = change->purge_all || change->gone_count > 0; /* then purge_assets follows */
    node.threshold = (uint32_t)change->after->threshold;
    node.peer_count = 0;
    for (size_t i = 0; i < change->after->count && node.peer_count < IDS; i++) {
        const struct mig_participant *p = &change->after->list[i];
        const char *colon = strrchr(p->url, ':');
        struct peer *peer = &node.peers[node.peer_count++];
        peer->id = p->id;
        peer->port = colon != NULL ? (uint16_t)atoi(colon + 1) : 0;
        memcpy(peer->key, p->tls_key, MIG_KEY_LEN);
        if (memcmp(p->tls_key, node.identity->public_key, MIG_KEY_LEN) == 0)
            node.me = p->id;
    }
    for (size_t i = 0; i < LINKS; i++)
        if (node.links[i].fd >= 0 && (!change->active || peer_of(node.links[i].key) == NULL))
            drop(&node.links[i]);
    (void)printf("changed active=%d gone=%zu all=%d\n", change->active, change->gone_count,
                 change->purge_all);
    (void)eventfd_write(node.wake, 1);
    (void)pthread_mutex_unlock(&node.lock);
    return MIG_OK;
}

static uint64_t triples(void)
{
    struct mig_assets_stats stats;
    mig_assets_stats(node.assets, &stats);
    return stats.triples;
}

/* Checks itself: what is left is exactly what involves nobody who is gone. */
static enum mig_err purge_assets(void *ctx, const struct mig_change *change)
{
    (void)ctx;
    (void)pthread_mutex_lock(&node.lock);
    uint64_t before = triples(), expected = 0;
    uint32_t gone = 0;
    for (size_t i = 0; i < change->gone_count; i++)
        gone |= change->gone[i] < IDS ? 1u << change->gone[i] : 0;
    enum mig_err err = change->purge_all
                           ? mig_assets_purge_all(node.assets)
                           : mig_assets_purge(node.assets, change->gone, change->gone_count);
    for (uint32_t bits = 0; err == MIG_OK && bits < 1u << IDS; bits++) {
        if (change->purge_all || (bits & gone) != 0)
            node.held[bits] = 0;
        expected += node.held[bits];
    }
    node.is_purging = err != MIG_OK;
    (void)printf("purged gone=%#x before=%" PRIu64 " after=%" PRIu64 " expected=%" PRIu64 "\n",
                 gone, before, triples(), expected);
    (void)pthread_mutex_unlock(&node.lock);
    return err;
}

static void job_changed(void *ctx, enum mig_job job)
{
    static const char *const names[] = {"none", "waiting", "importing", "imported", "done"};
    (void)ctx;
    (void)printf("job %s\n", names[job]);
    (void)fflush(stdout);
}

static void backup_served(void *ctx, uint64_t epoch, const uint8_t keyset[MIG_DIGEST_LEN])
{
    (void)ctx;
    (void)printf("backup served: epoch %" PRIu64 ", keyset %02x%02x...\n", epoch, keyset[0],
                 keyset[1]);
    (void)fflush(stdout);
}

static void recovered(void *ctx, const struct mig_receipt *receipt)
{
    (void)ctx;
    (void)printf("recovered: epoch %" PRIu64 ", %u shares\n", receipt->epoch, receipt->shares);
    (void)fflush(stdout);
}

static void log_line(void *ctx, enum mig_log_level level, const char *event, const char *text)
{
    (void)ctx;
    if (level <= MIG_LOG_INFO)
        (void)fprintf(stderr, "%s: %s\n", event, text);
}

/* ---- starting and stopping -------------------------------------------------------------- */

static const char *in_folder(const char *folder, const char *name, char out[512])
{
    (void)snprintf(out, 512, "%s/%s", folder, name);
    return out;
}

static void open_stores(const char *folder, const char *contract, const struct mig_secret *key)
{
    char path[512];
    const char *why = "";
    uint8_t asset_key[MIG_KEY_LEN];
    must(mig_keystore_open(in_folder(folder, "state/keyshares", path), MIG_KEYSTORE_NODE, key,
                           contract, &node.store, &why) == MIG_OK,
         why);
    (void)crypto_generichash(asset_key, sizeof asset_key, (const uint8_t *)"assets", 6, key->bytes,
                             key->len);
    must(mig_assets_open(in_folder(folder, "assets", path), asset_key, &node.assets, &why) ==
             MIG_OK,
         why);
    sodium_memzero(asset_key, sizeof asset_key);
}

static void open_mesh(uint16_t port)
{
    struct sockaddr_in a = local(port);
    int yes = 1;
    node.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    node.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)setsockopt(node.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    must(bind(node.listener, (struct sockaddr *)&a, sizeof a) == 0 &&
             listen(node.listener, 16) == 0,
         "the port is taken");
    for (size_t i = 0; i < LINKS; i++)
        node.links[i].fd = -1;
}

static void stop(int number)
{
    (void)number;
    ends = 1;
}

int main(int argc, char **argv)
{
    char identity[512], access_key[512], store_key[512], state[512], why[MIG_WHY_MAX] = "";
    const char *reason = "";
    struct mig_secret *key = NULL;
    struct mig_plugin *plugin = NULL;
    must(argc == 6 || argc == 7, "CONTRACT ACCOUNT RPC FOLDER PORT [lead]");
    must(mig_crypto_init() == MIG_OK, "crypto does not start");
    node.leads = argc == 7;
    node.nonce = sodium_malloc(FROST_NONCE_LEN);
    node.asked_nonce = sodium_malloc(FROST_NONCE_LEN);
    must(node.nonce != NULL && node.asked_nonce != NULL, "no locked memory");
    struct mig_config config = {
        .contract = argv[1],
        .account = argv[2],
        .rpc = argv[3],
        .identity_key = in_folder(argv[4], "identity.key", identity),
        .access_key = in_folder(argv[4], "access.key", access_key),
        .state_dir = in_folder(argv[4], "state", state),
        .poll_interval_ms = 100,
        .listen = "127.0.0.1:0",
        .admin = "127.0.0.1:0",
        .skew_s = 1,
    };
    struct mig_host host = {
        .ctx = &node,
        .load_keyshares = load_keyshares,
        .import_keyshares = import_keyshares,
        .load_receipt = load_receipt,
        .participants_changed = participants_changed,
        .purge_assets = purge_assets,
        .job_changed = job_changed,
        .backup_served = backup_served,
        .recovered = recovered,
        .log = log_line,
    };
    must(mig_identity_load(identity, &node.identity, &reason) == MIG_OK, reason);
    must(mig_symmetric_key_load(in_folder(argv[4], "store.key", store_key), &key, &reason) ==
             MIG_OK,
         reason);
    open_stores(argv[4], argv[1], key);
    open_mesh((uint16_t)atoi(argv[5]));
    (void)signal(SIGTERM, stop);
    must(mig_start(&config, &host, &plugin, why) == MIG_OK, why);
    (void)printf("listening migration=%s admin=%s\n", mig_address(plugin, MIG_LISTENER_MIGRATION),
                 mig_address(plugin, MIG_LISTENER_ADMIN));
    (void)pthread_mutex_lock(&node.lock);
    while (!ends)
        loop_once();
    (void)pthread_mutex_unlock(&node.lock);
    mig_stop(&plugin, 1000); /* no hook is called from here on */
    for (size_t i = 0; i < LINKS; i++)
        drop(&node.links[i]);
    mig_assets_close(&node.assets);
    mig_keystore_close(&node.store);
    mig_secret_free(&key);
    mig_identity_free(&node.identity);
    sodium_free(node.share);
    sodium_free(node.nonce);
    sodium_free(node.asked_nonce);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* TLS with the node's identity, against clients of OpenSSL (in curl) and GnuTLS. */
#include "server/tls.h"

#include <curl/curl.h>
#include <gnutls/gnutls.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/encoding.h"
#include "server/listener.h"
#include "tests/harness.h"
#include "tests/wire.h"

static struct rig rig;
static struct mig_reaper *reaper;
static struct mig_listener *listener;
static struct wire wire;

static void start_with(const struct mig_limits *limits)
{
    rig_open_with(&rig, &(struct rig_options){.is_destination = true});
    CU_ASSERT_EQUAL_FATAL(mig_reaper_new(&reaper), MIG_OK);
    const struct mig_listener_config config = {
        .address = "127.0.0.1:0",
        .identity = rig.node,
        .limits = *limits,
        .reaper = reaper,
        .service = rig.service,
        .counters = &rig.counters,
    };
    CU_ASSERT_EQUAL_FATAL(mig_listener_start(&config, &listener, NULL), MIG_OK);
}

static void start(void)
{
    static const struct mig_limits patient = {20000, 20000, 500, 64, 64};
    start_with(&patient);
}

static void stop(void)
{
    mig_listener_stop(&listener, 1000);
    mig_reaper_free(&reaper);
    rig_close(&rig);
}

/* ---- curl, as the backup service does ---- */

static size_t drop(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

/* "sha256//" + base64 of the SHA-256 of the key's SubjectPublicKeyInfo. */
static void pin_of(const uint8_t key[MIG_KEY_LEN], char out[64])
{
    uint8_t spki[12 + MIG_KEY_LEN] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                      0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    uint8_t digest[MIG_DIGEST_LEN];
    char text[48];
    memcpy(spki + 12, key, MIG_KEY_LEN);
    mig_sha256(spki, sizeof spki, digest);
    CU_ASSERT_EQUAL(mig_base64_encode(digest, sizeof digest, text, sizeof text), MIG_OK);
    (void)snprintf(out, 64, "sha256//%s", text);
}

static CURLcode ask_pinned(const uint8_t key[MIG_KEY_LEN], long tls, long *status)
{
    char url[128], pin[64];
    pin_of(key, pin);
    (void)snprintf(url, sizeof url, "https://%s/shares_backup", mig_listener_address(listener));
    CURL *curl = curl_easy_init();
    CU_ASSERT_PTR_NOT_NULL_FATAL(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, pin);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, tls);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    CURLcode rc = curl_easy_perform(curl);
    *status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(curl);
    return rc;
}

static void curl_accepts_the_key_it_pins(void)
{
    long status;
    start();
    CU_ASSERT_EQUAL(ask_pinned(rig.node->public_key, CURL_SSLVERSION_TLSv1_3, &status), CURLE_OK);
    CU_ASSERT_EQUAL(status, 401);
    stop();
}

static void curl_refuses_another_key(void)
{
    long status;
    start();
    CU_ASSERT_EQUAL(ask_pinned(rig.other->public_key, CURL_SSLVERSION_TLSv1_3, &status),
                    CURLE_SSL_PINNEDPUBKEYNOTMATCH);
    CU_ASSERT_EQUAL(status, 0);
    stop();
}

static void refuses_tls_1_2(void)
{
    long status;
    start();
    long tls = CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2;
    CU_ASSERT_NOT_EQUAL(ask_pinned(rig.node->public_key, tls, &status), CURLE_OK);
    CU_ASSERT_EQUAL(status, 0);
    stop();
}

/* ---- GnuTLS, byte by byte ---- */

struct client {
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static bool client_open(struct client *c, const char *group)
{
    char priorities[128];
    (void)snprintf(priorities, sizeof priorities, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+%s",
                   group);
    wire_open(&wire, mig_listener_address(listener));
    CU_ASSERT_EQUAL_FATAL(gnutls_certificate_allocate_credentials(&c->credentials), 0);
    CU_ASSERT_EQUAL_FATAL(gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), 0);
    CU_ASSERT_EQUAL(gnutls_priority_set_direct(c->session, priorities, NULL), 0);
    CU_ASSERT_EQUAL(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials), 0);
    gnutls_transport_set_int(c->session, wire.fd);
    gnutls_handshake_set_timeout(c->session, 10000);
    gnutls_record_set_timeout(c->session, 10000);
    int rc;
    do {
        rc = gnutls_handshake(c->session);
    } while (rc < 0 && !gnutls_error_is_fatal(rc));
    return rc == 0;
}

static void client_close(struct client *c)
{
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    wire_close(&wire);
}

static bool client_send(struct client *c, const void *bytes, size_t len)
{
    return len == 0 || gnutls_record_send(c->session, bytes, len) == (ssize_t)len;
}

/* Into wire.text, until the end or a whole answer. */
static void client_read(struct client *c)
{
    wire.len = 0;
    wire.text[0] = '\0';
    while (wire_answers(&wire) == 0 || strlen(wire_body(&wire)) == 0) {
        ssize_t n = gnutls_record_recv(c->session, wire.text + wire.len, WIRE_MAX - wire.len);
        if (n <= 0)
            return;
        wire.len += (size_t)n;
        wire.text[wire.len] = '\0';
    }
}

/* Read with a third library. */
static void check_certificate(const gnutls_datum_t *der)
{
    uint8_t key[MIG_KEY_LEN];
    size_t len = sizeof key;
    const unsigned char *at = der->data;
    X509 *cert = d2i_X509(NULL, &at, (long)der->size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cert);
    EVP_PKEY *public_key = X509_get0_pubkey(cert);
    CU_ASSERT_EQUAL(EVP_PKEY_get_raw_public_key(public_key, key, &len), 1);
    CU_ASSERT_EQUAL(memcmp(key, rig.node->public_key, MIG_KEY_LEN), 0);
    CU_ASSERT_EQUAL(X509_verify(cert, public_key), 1);
    CU_ASSERT_EQUAL(X509_cmp_current_time(X509_get0_notBefore(cert)), -1);
    CU_ASSERT_EQUAL(X509_cmp_current_time(X509_get0_notAfter(cert)), 1);
    X509_free(cert);
}

static void presents_the_identity_and_nothing_to_resume(void)
{
    struct client c;
    unsigned count = 0;
    start();
    CU_ASSERT_FATAL(client_open(&c, "GROUP-X25519"));
    CU_ASSERT_EQUAL(gnutls_protocol_get_version(c.session), GNUTLS_TLS1_3);
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(c.session, &count);
    CU_ASSERT_EQUAL_FATAL(count, 1);
    check_certificate(chain);
    CU_ASSERT(client_send(&c, "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", 34));
    client_read(&c);
    CU_ASSERT_EQUAL(wire_status(&wire), 404);
    CU_ASSERT_EQUAL(gnutls_session_get_flags(c.session) & GNUTLS_SFLAGS_SESSION_TICKET, 0);
    client_close(&c);
    stop();
}

static void speaks_p256_key_exchange_too(void)
{
    struct client c;
    start();
    CU_ASSERT(client_open(&c, "GROUP-SECP256R1"));
    client_close(&c);
    CU_ASSERT_FALSE(client_open(&c, "GROUP-SECP521R1"));
    client_close(&c);
    stop();
}

static void an_upload_over_tls_is_imported(void)
{
    struct client c;
    char head[16 * 1024];
    start();
    rig_get_offer(&rig);
    CU_ASSERT_FATAL(rig.has_offer);
    rig_end(&rig);
    rig_ask(&rig, MIG_RESOURCE_UPLOAD);
    rig_compose(&rig);
    rig_sign(&rig);
    size_t len = wire_format(&rig, head, sizeof head);
    CU_ASSERT_FATAL(client_open(&c, "GROUP-X25519"));
    CU_ASSERT(client_send(&c, head, len));
    CU_ASSERT(client_send(&c, rig.body, rig.ask.body_len));
    client_read(&c);
    CU_ASSERT_EQUAL(wire_status(&wire), 201);
    CU_ASSERT_PTR_NOT_NULL(wire_field(&wire, "signature"));
    client_close(&c);
    stop();
}

static uint64_t reaped_heads(void)
{
    struct mig_listener_stats s;
    mig_listener_stats(listener, &s);
    return s.connections.reaped[MIG_REAPED_HEAD];
}

/* A hello that never ends: 200 bytes are announced, few come. */
static const char half_a_hello[] = "\x16\x03\x01\x00\xc8\x01\x00\x00";

static void a_handshake_that_does_not_end_is_cut(void)
{
    start_with(&(struct mig_limits){100, 20000, 500, 64, 64});
    wire_open(&wire, mig_listener_address(listener));
    CU_ASSERT(wire_send(&wire, half_a_hello, sizeof half_a_hello - 1));
    CU_ASSERT(wire_is_over(&wire));
    CU_ASSERT_EQUAL(reaped_heads(), 1);
    wire_close(&wire);
    stop();
}

static void plain_http_to_a_tls_port_gets_no_answer(void)
{
    start();
    wire_open(&wire, mig_listener_address(listener));
    CU_ASSERT(wire_say(&wire, "GET /shares_backup HTTP/1.1\r\nHost: h\r\n\r\n"));
    CU_ASSERT(wire_is_over(&wire));
    CU_ASSERT_EQUAL(wire_status(&wire), 0);
    wire_close(&wire);
    stop();
}

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* With epoll the library would burn a core here. */
static void a_pending_handshake_costs_no_processor(void)
{
    start_with(&(struct mig_limits){300, 20000, 500, 64, 64});
    wire_open(&wire, mig_listener_address(listener));
    CU_ASSERT(wire_send(&wire, half_a_hello, sizeof half_a_hello - 1));
    double before = cpu_seconds();
    CU_ASSERT(wire_is_over(&wire));
    CU_ASSERT(cpu_seconds() - before < 0.15);
    wire_close(&wire);
    stop();
}

/* ---- the certificate itself ---- */

static void the_same_key_makes_the_same_certificate(void)
{
    struct mig_identity *id = NULL, *another = NULL;
    struct mig_tls *a = NULL, *b = NULL, *c = NULL;
    uint8_t seed[MIG_SEED_LEN] = {9};
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &id), MIG_OK);
    seed[0] = 8;
    CU_ASSERT_EQUAL_FATAL(mig_identity_from_seed(seed, &another), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_tls_new(id, &a), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_tls_new(id, &b), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_tls_new(another, &c), MIG_OK);
    CU_ASSERT_EQUAL(a->certificate.cert.size, b->certificate.cert.size);
    CU_ASSERT_EQUAL(
        memcmp(a->certificate.cert.data, b->certificate.cert.data, a->certificate.cert.size), 0);
    CU_ASSERT_NOT_EQUAL(
        memcmp(a->certificate.cert.data, c->certificate.cert.data, a->certificate.cert.size), 0);
    mig_tls_free(&a);
    mig_tls_free(&b);
    mig_tls_free(&c);
    mig_identity_free(&id);
    mig_identity_free(&another);
}

static void free_twice_is_harmless(void)
{
    struct mig_tls *tls = NULL;
    mig_tls_free(&tls);
    mig_tls_free(&tls);
    CU_ASSERT_PTR_NULL(tls);
}

/* The secret must lie in locked memory alone: GnuTLS has no copy to leak. */
static void gnutls_cannot_give_the_secret_key_away(void)
{
    struct mig_identity *id = NULL;
    struct mig_tls *tls = NULL;
    gnutls_datum_t k = {0}, x = {0};
    CU_ASSERT_EQUAL_FATAL(mig_identity_generate(&id), MIG_OK);
    CU_ASSERT_EQUAL_FATAL(mig_tls_new(id, &tls), MIG_OK);
    CU_ASSERT(gnutls_privkey_export_ecc_raw(tls->key, NULL, &x, NULL, &k) != 0);
    mig_tls_free(&tls);
    mig_identity_free(&id);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(curl_accepts_the_key_it_pins),
        TEST(curl_refuses_another_key),
        TEST(refuses_tls_1_2),
        TEST(presents_the_identity_and_nothing_to_resume),
        TEST(speaks_p256_key_exchange_too),
        TEST(an_upload_over_tls_is_imported),
        TEST(a_handshake_that_does_not_end_is_cut),
        TEST(plain_http_to_a_tls_port_gets_no_answer),
        TEST(a_pending_handshake_costs_no_processor),
        TEST(the_same_key_makes_the_same_certificate),
        TEST(free_twice_is_harmless),
        TEST(gnutls_cannot_give_the_secret_key_away),
    };
    return run_tests("tls", tests, sizeof tests / sizeof *tests);
}

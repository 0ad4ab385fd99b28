/* Valid configurations with likely mistakes, each with all of its warnings. */
#include "gate/mistakes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "certs.h"
#include "site/site.h"
#include "site/snapshot.h"

#define HASH "00112233445566778899aabbccddeeff"

enum { NOW = 1801440000 }; /* 2027-02-01T00:00:00Z */

static struct certs certs;
static struct cert cert;
static const char *path;

static void write_file(const char *name, const char *text)
{
    const char *file = certs_path(&certs, name);
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(file, 0600), 0);
}

static int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    cert_make(&certs, &cert, "cert.pem",
              &(struct cert_spec){.name = "DNS:vpn.test,IP:192.0.2.1", .hours = 365 * 24});
    path = certs_path(&certs, "gate.conf");
    write_file("short", "123\n");
    write_file("long", "0123456789abcdef\n");
    write_file("nobody", "# empty\n");
    write_file("nets", "; merged away\n");
    write_file("ending",
               "a:" HASH "\nb:" HASH ":2027-01-31\nc:" HASH ":2027-01-30\nd:" HASH
               ":2027-02-01T00:00:01Z\ne:" HASH ":2027-02-14\nf:" HASH ":2027-02-15T00:00:01Z\n");
    write_file("ended", "a:" HASH ":2027-02-01T00:00Z\n");
    write_file("users", "alice:00112233445566778899aabbccddeeff\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cert_free(&cert);
    certs_fini(&certs);
    return 0;
}

/* Returns the hash of the listener's certificate. */
static void leaf_hex(const EVP_MD *md, char out[2 * EVP_MAX_MD_SIZE + 1])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n;

    assert_int_equal(X509_digest(cert.x509, md, digest, &n), 1);
    for (unsigned i = 0; i < n; i++)
        sprintf(out + 2 * i, "%02x", digest[i]);
}

/* In a text, @ is the hash SHA256 of the certificate, and $ its SHA1. */
static void write_text(FILE *f, const char *text)
{
    char sha256[2 * EVP_MAX_MD_SIZE + 1], sha1[2 * EVP_MAX_MD_SIZE + 1];

    leaf_hex(EVP_sha256(), sha256);
    leaf_hex(EVP_sha1(), sha1);
    for (; *text != '\0'; text++) {
        if (*text == '@' || *text == '$')
            fputs(*text == '@' ? sha256 : sha1, f);
        else
            fputc(*text, f);
    }
}

struct sample {
    const char *listener, *backend; /* lines of [listener l] and of [backend b] */
    const char *gate;               /* lines of [gate], which is at the end; NULL: none */
    const char *warnings;           /* each after the line that it is about */
};

static void write_sample(const struct sample *s)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fprintf(f, "[listener l]\nlisten = 127.0.0.1:4443\ncertificate = %s\n", cert.pem);
    write_text(f, s->listener);
    fputs("[backend b]\n", f);
    write_text(f, s->backend);
    fprintf(f, "[gate]\n%s", s->gate == NULL ? "" : s->gate);
    assert_int_equal(fclose(f), 0);
}

/* Writes line `number` of the configuration to `to`. */
static void write_line(FILE *to, unsigned long number)
{
    char line[256] = "";
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    while (number-- > 0)
        assert_non_null(fgets(line, sizeof line, f));
    assert_int_equal(fclose(f), 0);
    fprintf(to, "%.*s", (int)strcspn(line, "\n"), line);
}

/* Writes text and a line end, without the directory of the files. */
static void write_without_directory(FILE *to, const char *text)
{
    const char *at = strstr(text, certs.folder);

    if (at == NULL)
        fprintf(to, "%s\n", text);
    else
        fprintf(to, "%.*s%s\n", (int)(at - text), text, at + strlen(certs.folder) + 1);
}

/* Returns the warnings, each with the text of its line. */
static char *warnings_of(const struct sample *s)
{
    char *text = NULL, *out = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);

    write_sample(s);
    struct snapshot *snapshot = snapshot_load(path, NULL, stderr);
    assert_true(snapshot != NULL && snapshot->sound);
    struct site *site = site_new(snapshot, stderr);
    assert_non_null(site);
    mistakes_in_config(site->config, to);
    mistakes_in_files(site, to);
    mistakes_of_time(site, NOW, to, NULL);
    assert_int_equal(fclose(to), 0);
    site_unref(site);
    snapshot_unref(snapshot);

    to = open_memstream(&out, &n);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        static const char word[] = " warning: ";
        assert_int_equal(strncmp(line, path, strlen(path)), 0);
        char *at = strstr(line, word);
        assert_non_null(at);
        write_line(to, strtoul(line + strlen(path) + 1, NULL, 10));
        fputs(": ", to);
        write_without_directory(to, at + strlen(word));
    }
    assert_int_equal(fclose(to), 0);
    free(text);
    return out;
}

#define SERVER "server = 192.0.2.9:443\nverify = off\n"
#define OFF "crypto-binding = off\n"
#define REWRITE "users-file = users\n"
#define SECOND SERVER OFF "[backend web]\nserver = 192.0.2.8:80\ntls = no\n"

static const struct sample samples[] = {
    {"", SERVER OFF, NULL, ""},
    {"", SERVER REWRITE, NULL, ""},

    /* keys of [gate] */
    {"", SERVER OFF, "key-log = /var/log/keys\n",
     "key-log = /var/log/keys: key-log: /var/log/keys gets the keys of all TLS connections: "
     "an attacker with this file can decrypt the connections; remove this line when the fault is "
     "found\n"},
    {"", SERVER OFF, "ban-time = 1h\nban-reset = 1h\nban-exempt = 10.0.0.0/8\nban-file = bans\n",
     "ban-time = 1h: ban-time has no effect without ban-points\n"
     "ban-reset = 1h: ban-reset has no effect without ban-points\n"
     "ban-exempt = 10.0.0.0/8: ban-exempt has no effect without ban-points\n"
     "ban-file = bans: ban-file has no effect without ban-points\n"},
    {"", SERVER OFF, "status-allow = 10.0.0.0/8\nstatus-host = gate.example\n",
     "status-allow = 10.0.0.0/8: status-allow has no effect without `status`\n"
     "status-host = gate.example: status-host has no effect without `status`\n"},
    {"", SERVER OFF, "status-allow = 10.0.0.0/8\nstatus = 127.0.0.1:0\n", ""},
    {"", SERVER OFF, "shared-name = a\nshared-fail = refuse\nshared-ca-file = c.pem\n",
     "shared-name = a: shared-name has no effect without `shared`\n"
     "shared-fail = refuse: shared-fail has no effect without `shared`\n"
     "shared-ca-file = c.pem: shared-ca-file has no effect without rediss:// in `shared`\n"},
    {"", SERVER OFF, "shared = redis://a\nshared-name = a\nshared-ca-file = c.pem\n",
     "shared-ca-file = c.pem: shared-ca-file has no effect without rediss:// in `shared`\n"},
    {"", SERVER OFF, "shared = redis://a\nshared = rediss://b\nshared-ca-file = c.pem\n", ""},
    {"", SERVER OFF, "shared = redis://a\nshared-sentinel-password-file = long\n",
     "shared-sentinel-password-file = long: shared-sentinel-password-file has no effect without "
     "redis+sentinel:// in `shared`\n"},
    {"", SERVER OFF, "shared = rediss+sentinel://a/m\nshared-ca-file = c.pem\n", ""},
    {"", SERVER OFF, "status-group = root\nstatus-mode = 0666\nstatus = 127.0.0.1:0\n",
     "status-group = root: status-group has no effect without a Unix socket in `status`\n"
     "status-mode = 0666: status-mode has no effect without a Unix socket in `status`\n"},
    {"", SERVER OFF, "status-group = root\nstatus-mode = 0666\nstatus = unix:s\n", ""},
    {"", SERVER OFF, "ban-time = 1h\nban-points = 50\naddress-prefix-ipv6 = 56\n", ""},
    {"", SERVER OFF, "address-prefix-ipv4 = 24\naddress-prefix-ipv6 = 56\nhandshake-rate = 9/s\n",
     "address-prefix-ipv4 = 24: address-prefix-ipv4 has no effect without a limit or bans by "
     "address\n"
     "address-prefix-ipv6 = 56: address-prefix-ipv6 has no effect without a limit or bans by "
     "address\n"},
    {"", SERVER OFF, "ban-time = 10m\ntimeout-web = 60s\nban-reset = 600s\n", ""},
    {"", SERVER OFF, "timeout-web = 9s\ntimeout-key = 9s\n",
     "timeout-web = 9s: timeout-web has no effect without a listener that has `fallback`\n"
     "timeout-key = 9s: timeout-key has no effect without a [radius NAME]\n"},
    {"", SERVER OFF,
     "max-tunnels = 100\nmax-tunnels-per-address = 100\nmax-tunnels-per-user = 200\n",
     "max-tunnels-per-address = 100: max-tunnels-per-address has no effect because it is not below "
     "max-tunnels\n"
     "max-tunnels-per-user = 200: max-tunnels-per-user has no effect because it is not below "
     "max-tunnels\n"},
    {"", SERVER OFF, "max-tunnels = 100\nmax-tunnels-per-address = 99\n", ""},

    {"", SERVER OFF, "handshake-rate = 1/s\nhandshake-rate-per-address = 60/m\n",
     "handshake-rate-per-address = 60/m: handshake-rate-per-address has no effect because it is "
     "not below handshake-rate\n"},
    {"", SERVER OFF, "handshake-rate = 1/s\nhandshake-rate-per-address = 59/m\n", ""},

    /* rules */
    {"allow = any\ndeny = 192.0.2.7\ndefault = deny\n", SERVER OFF, NULL,
     "deny = 192.0.2.7: listener l: this rule is never reached: the rule on line 4 matches all of "
     "its addresses\n"},
    {"deny = 192.0.2.7\ndefault = allow\ndeny-action = drop\n", SERVER OFF, NULL, ""},
    {"deny-action = drop\n", SERVER OFF, NULL,
     "deny-action = drop: listener l: deny-action has no effect because no rule denies\n"},
    {"allow = 192.0.2.7\ndeny-action = drop\n", SERVER OFF, NULL, ""},
    {"default = deny\n", SERVER OFF, NULL,
     "default = deny: listener l: no allow rule: the listener denies every client\n"},
    {"deny = 192.0.2.7\nmode = dry-run\n", SERVER OFF, NULL,
     "mode = dry-run: listener l: mode = dry-run: no rule is enforced, every client is admitted\n"},
    {"recheck-tunnels = yes\n", SERVER OFF, NULL,
     "recheck-tunnels = yes: listener l: recheck-tunnels has no effect without rules\n"},
    {"deny-file = nets\n", SERVER OFF, NULL,
     "deny-file = nets: listener l: nets contains no network, so this rule matches no client\n"},
    {"host = vpn.test\nallow = any host vpn.test\nallow = any host other.test\n", SERVER OFF, NULL,
     "allow = any host other.test: listener l: this rule is never reached: the listener does not "
     "admit the name 'other.test' (see `host`)\n"},

    /* listeners */
    {"host = vpn.test\nhost = 192.0.2.1\n", SERVER OFF, NULL, ""},
    {"host = other.test\n", SERVER OFF, NULL,
     "host = other.test: listener l: host: no certificate contains 'other.test', so clients that "
     "dial this name refuse it\n"},
    {"v6only = no\n", SERVER OFF, NULL,
     "v6only = no: listener l: v6only has no effect without the address [::]\n"},
    {"listen = [::]:4443\nv6only = no\n", SERVER OFF, NULL, ""},
    {"tls-min = 1.3\nciphers = HIGH\n", SERVER OFF, NULL,
     "ciphers = HIGH: listener l: ciphers has no effect with tls-min = 1.3: see ciphersuites\n"},
    {"tls-max = 1.2\nciphersuites = TLS_AES_128_GCM_SHA256\n", SERVER OFF, NULL,
     "ciphersuites = TLS_AES_128_GCM_SHA256: listener l: ciphersuites has no effect with a tls-max "
     "below 1.3: see ciphers\n"},
    {"tls-max = 1.2\nkey-update = yes\n", SERVER OFF, NULL,
     "key-update = yes: listener l: key-update has no effect with a tls-max below 1.3: TLS 1.2 has "
     "no KeyUpdate\n"},
    {"", SERVER OFF "tls-max = 1.2\nkey-update = yes\n", NULL,
     "key-update = yes: backend b: key-update has no effect with a tls-max below 1.3: TLS 1.2 has "
     "no KeyUpdate\n"},
    {"accept-proxy = yes\ntrusted-proxies = 10.0.0.0/8\ntrusted-proxies = ::/0\n", SERVER OFF, NULL,
     "trusted-proxies = ::/0: listener l: trusted-proxies contains every address, so any client "
     "can forge its own\n"},
    {"backend = b\nuse-backend = web any\nuse-backend = b tenant a\n",
     SERVER OFF "[backend web]\n" SERVER OFF, NULL,
     "use-backend = b tenant a: listener l: this rule is never reached: the rule on line 5 matches "
     "all of its addresses\n"},

    /* backends */
    {"backend = b\n", SECOND OFF, NULL,
     "[backend web]: backend web: no listener uses this backend\n"},
    {"backend = b\nfallback = web\n", SECOND OFF REWRITE "pass-tenant = yes\n", NULL,
     "users-file = users: backend web: users-file has no effect for a backend that is only a "
     "fallback\n"
     "crypto-binding = off: backend web: crypto-binding has no effect for a backend that is only a "
     "fallback\n"
     "pass-tenant = yes: backend web: pass-tenant has no effect for a backend that is only a "
     "fallback\n"},
    {"", SERVER OFF REWRITE "zero-key = eap\n", NULL,
     "users-file = users: backend b: users-file has no effect with crypto-binding = passthrough or "
     "off\n"
     "zero-key = eap: backend b: zero-key has no effect with crypto-binding = passthrough or "
     "off\n"},
    {"", SERVER "crypto-binding = passthrough\n" REWRITE, NULL,
     "users-file = users: backend b: users-file has no effect with crypto-binding = passthrough or "
     "off\n"},
    {"", SERVER, NULL,
     "[backend b]: backend b: crypto-binding = rewrite without users-file or radius: no key for "
     "MS-CHAPv2 and EAP, so their calls are refused\n"},
    {"", SERVER "users-file = nobody\n", NULL,
     "users-file = nobody: backend b: users-file: nobody contains no user\n"},
    {"", SERVER "users-file = ending\n", NULL,
     "users-file = ending: backend b: users-file: ending: 2 lines expired: these users are "
     "refused, line 3 at 2027-01-31T00:00:00Z\n"
     "users-file = ending: backend b: users-file: ending: 2 lines will expire within 14 days, line "
     "4 at 2027-02-01T00:00:01Z\n"},
    {"", SERVER "users-file = ended\ncrypto-binding = auto\n", NULL,
     "users-file = ended: backend b: users-file: ended: 1 line expired: these users are refused, "
     "line 1 at 2027-02-01T00:00:00Z\n"},
    {"", SERVER "users-file = ended\ncrypto-binding = off\n", NULL,
     "users-file = ended: backend b: users-file has no effect with crypto-binding = passthrough or "
     "off\n"},
    {"", SERVER OFF "check-interval = 5s\nrise = 3\ndown-time = 5s\n", NULL,
     "check-interval = 5s: backend b: check-interval has no effect without check\n"
     "rise = 3: backend b: rise has no effect without check\n"},
    {"", SERVER OFF "check = tcp\nrise = 3\ndown-time = 5s\n", NULL,
     "down-time = 5s: backend b: down-time has no effect with check\n"},
    {"", "server = 192.0.2.9\nca-file = system\n" OFF, NULL,
     "server = 192.0.2.9: backend b: verify = ca: the certificate must contain the address "
     "192.0.2.9, which is rare: set verify-host to its name\n"},
    {"", "server = 192.0.2.9\nca-file = system\nverify-host = rras.test\n" OFF, NULL, ""},
    {"", "server = 192.0.2.9\nca-file = system\nsni = rras.test\n" OFF, NULL, ""},
    {"", "server = rras.test\nca-file = system\n" OFF, NULL, ""},
    {"", "server = 192.0.2.9\npin-sha256 = @\n" REWRITE, NULL,
     "pin-sha256 = @: backend b: pin-sha256: this is the certificate of [listener l] and not the "
     "server's, unless both have the same\n"},
    {"", "server = 192.0.2.9\npin-sha256 = @\ncrypto-binding = passthrough\n", NULL, ""},
    {"", SERVER "binding-cert-hash = @\n" REWRITE, NULL,
     "binding-cert-hash = @: backend b: binding-cert-hash: this is the certificate of [listener "
     "l]: if the server expects it, crypto-binding = passthrough is enough\n"},
    {"", SERVER "binding-cert-hash = $\n" REWRITE, NULL,
     "binding-cert-hash = $: backend b: binding-cert-hash: this is the certificate of [listener "
     "l]: if the server expects it, crypto-binding = passthrough is enough\n"},

    /* calls that return to the gate */
    {"", "server = 127.0.0.1:4443\nverify = off\n" OFF, NULL,
     "server = 127.0.0.1:4443: backend b: server: 127.0.0.1, port 4443, is [listener l] of this "
     "gate: its calls would return to it\n"},
    {"", "server = localhost:4443\nverify = off\n" OFF, NULL,
     "server = localhost:4443: backend b: server: localhost, port 4443, is [listener l] of this "
     "gate: its calls would return to it\n"},
    {"listen = *:5443\n", "server = [::ffff:127.0.0.9]:5443\nverify = off\n" OFF, NULL,
     "server = [::ffff:127.0.0.9]:5443: backend b: server: ::ffff:127.0.0.9, port 5443, is "
     "[listener l] of this gate: its calls would return to it\n"},
    {"listen = [::]:5443\nv6only = no\n", "server = 127.0.0.9:5443\nverify = off\n" OFF, NULL,
     "server = 127.0.0.9:5443: backend b: server: 127.0.0.9, port 5443, is [listener l] of this "
     "gate: its calls would return to it\n"},
    {"listen = [::]:5443\n", "server = 127.0.0.9:5443\nverify = off\n" OFF, NULL, ""},
    {"listen = *:5443\n", "server = 192.0.2.9:5443\nverify = off\n" OFF, NULL, ""},
    {"", "server = 127.0.0.1:4444\nverify = off\n" OFF, NULL, ""},
    {"backend = b\nfallback = web\n",
     SERVER OFF "[backend web]\nserver = 127.0.0.1:4443\nverify = off\n", NULL,
     "server = 127.0.0.1:4443: backend web: server: 127.0.0.1, port 4443, is [listener l] of this "
     "gate: its calls would return to it\n"},

    {"acme = 127.0.0.1:4443\n", "server = 127.0.0.1:9\nverify = off\n" OFF, NULL,
     "acme = 127.0.0.1:4443: listener l: acme: 127.0.0.1:4443 is [listener l] of this gate: the "
     "validations would return to it\n"},
    {"listen-http = *:4480\nacme-http = 127.0.0.1:4480\n",
     "server = 127.0.0.1:9\nverify = off\n" OFF, NULL,
     "acme-http = 127.0.0.1:4480: listener l: acme-http: 127.0.0.1:4480 is [listener l] of this "
     "gate: the validations would return to it\n"},
    {"acme-http = 127.0.0.1:4480\n", "server = 127.0.0.1:9\nverify = off\n" OFF, NULL,
     "acme-http = 127.0.0.1:4480: listener l: acme-http has no effect without listen-http\n"},

    {"backend = b\nfallback = web\n",
     "server = 127.0.0.1:9\nverify = off\n" OFF "[backend web]\nserver = localhost:9\ntls = no\n",
     NULL,
     "server = localhost:9: backend web: server: this is also a server of [backend b]: a denied "
     "client would reach SSTP there through `fallback`\n"},
    {"backend = b\nfallback = web\n",
     "server = 127.0.0.1:9\nverify = off\n" OFF "[backend web]\nserver = localhost:10\ntls = no\n",
     NULL, ""},

    /* RADIUS */
    {"",
     SERVER "radius = r\n[radius r]\nlisten = 127.0.0.1\nclients = 192.0.2.9\nsecret-file = long\n"
            "server = 192.0.2.5\n",
     NULL, ""},
    {"",
     SERVER OFF "[radius r]\nlisten = 127.0.0.1\nclients = 0.0.0.0/0\nsecret-file = long\n"
                "server-secret-file = short\nserver = localhost\nserver = 192.0.2.5\n",
     NULL,
     "[radius r]: radius r: no backend has radius = r, so the keys of its logins are not used\n"
     "clients = 0.0.0.0/0: radius r: clients contains every address: only the secret keeps others "
     "out\n"
     "server = 192.0.2.5: radius r: server: localhost, port 1812, is this gate's own address: its "
     "requests would return to it\n"
     "server-secret-file = short: radius r: server-secret-file: the secret has only 3 bytes: "
     "an attacker who records a login can guess it (RFC 2865 recommends at least 16)\n"},
    {"",
     SERVER
     "radius = r\n[radius r]\nlisten = *:1812\naccounting-listen = *:1813\nclients = 192.0.2.9\n"
     "secret-file = short\nserver = 192.0.2.5\naccounting-server = 127.0.0.1\n",
     NULL,
     "accounting-server = 127.0.0.1: radius r: accounting-server: 127.0.0.1, port 1813, is this "
     "gate's own address: its requests would return to it\n"
     "secret-file = short: radius r: secret-file: the secret has only 3 bytes: an attacker who "
     "records a login can guess it (RFC 2865 recommends at least 16)\n"},
};

static void each_mistake_has_its_warning(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char *have = warnings_of(&samples[i]);
        char *want;
        size_t n;
        FILE *to = open_memstream(&want, &n);
        write_text(to, samples[i].warnings);
        assert_int_equal(fclose(to), 0);
        assert_string_equal(have, want);
        free(have);
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_mistake_has_its_warning)};
    return cmocka_run_group_tests(tests, setup, teardown);
}

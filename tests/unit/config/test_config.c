#include "config/config_load.h"
#include "config/config_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the four above before it */
#include <cmocka.h>

#include "base/suggest.h"
#include "base/value.h"
#include "config/config_read.h"
#include "policy/backends.h"

/* Sections that lack nothing; a case adds its line to one of them. Three lines each. */
#define LISTENER "[listener a]\nlisten = 127.0.0.1:0\ncertificate = c.pem\n"
#define BACKEND "[backend b]\nserver = s\nverify = off\n"
/* One in which verify is not chosen, and one that speaks plain HTTP. */
#define UNCHOSEN "[backend b]\nserver = s\n"
#define PLAIN "[backend b]\nserver = s\ntls = no\n"
/* A third one, which others may lack. */
#define RADIUS                                                                                     \
    "[radius r]\nlisten = 127.0.0.1:0\nclients = 127.0.0.1\nsecret-file = s\nserver = r\n"
#define SHA1 "000102030405060708090a0b0c0d0e0f10111213"
#define SHA256 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10

static struct config *parse(const char *text, size_t len, char **problems)
{
    size_t n;
    FILE *f = open_memstream(problems, &n);
    assert_non_null(f);
    struct config *c = config_parse("/etc/gate/f.conf", text, len, f);
    fclose(f);
    return c;
}

/* What is wrong with text, without the path in front of each line. */
static char *problems_of(const char *text, size_t len)
{
    char *problems, *out = NULL;
    size_t n;
    config_free(parse(text, len, &problems));
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    static const char path[] = "/etc/gate/f.conf:";
    for (char *line = strtok(problems, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_int_equal(strncmp(line, path, strlen(path)), 0);
        fprintf(f, "%s\n", line + strlen(path));
    }
    fclose(f);
    free(problems);
    return out;
}

static char *print(const struct config *c)
{
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    config_print(c, f);
    fclose(f);
    return out;
}

static struct config *parse_good(const char *text)
{
    char *problems;
    struct config *c = parse(text, strlen(text), &problems);
    if (!c->sound)
        fail_msg("%s\n%s", text, problems);
    assert_string_equal(problems, "");
    free(problems);
    return c;
}

static char *reference(void)
{
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    config_print_reference(f);
    fclose(f);
    return out;
}

/* ---- values --------------------------------------------------------------------------------- */

/* A line that is good, and what -T makes of it. */
static const struct good {
    char section; /* g, l, b, r; u: a backend without verify; p: one with tls = no */
    const char *line, *printed;
} good_values[] = {
    {'g', "workers = auto", "workers = auto\n"},
    {'g', "workers = 1", "workers = 1\n"},
    {'g', "workers = 64", "workers = 64\n"},
    {'g', "log = stderr", "log = stderr\n"},
    {'g', "log = syslog", "log = syslog\n"},
    {'g', "log = /var/log/gate", "log = /var/log/gate\n"},
    {'g', "log = gate.log", "log = /etc/gate/gate.log\n"},
    {'g', "admin = unix:/run/gate.sock", "admin = unix:/run/gate.sock\n"},
    {'g', "admin = unix:gate.sock", "admin = unix:/etc/gate/gate.sock\n"},
    {'g', "admin = unix:/" X50 X50 "xxxxxx", "admin = unix:/" X50 X50 "xxxxxx\n"},
    {'g', "log-level = error", "log-level = error\n"},
    {'g', "log-level = warning", "log-level = warning\n"},
    {'g', "log-level = info", "log-level = info\n"},
    {'g', "log-level = debug", "log-level = debug\n"},
    {'g', "max-tunnels = 1", "max-tunnels = 1\n"},
    {'g', "max-tunnels = 1000000", "max-tunnels = 1000000\n"},
    {'g', "country-file = GeoLite2-Country.mmdb",
     "country-file = /etc/gate/GeoLite2-Country.mmdb\n"},
    {'g', "timeout-handshake = 1ms", "timeout-handshake = 1ms\n"},
    {'g', "timeout-request = 1500ms", "timeout-request = 1500ms\n"},
    {'g', "timeout-connect = 2000ms", "timeout-connect = 2s\n"},
    {'g', "timeout-answer = 90s", "timeout-answer = 90s\n"},
    {'g', "timeout-negotiate = 120s", "timeout-negotiate = 2m\n"},
    {'g', "timeout-idle = none", "timeout-idle = none\n"},
    {'g', "handshakes-at-once = 1", "handshakes-at-once = 1\n"},
    {'g', "handshakes-at-once = 1000000", "handshakes-at-once = 1000000\n"},
    {'g', "max-tunnels-per-address = none", "max-tunnels-per-address = none\n"},
    {'g', "max-tunnels-per-address = 0", "max-tunnels-per-address = none\n"},
    {'g', "max-tunnels-per-address = 3", "max-tunnels-per-address = 3\n"},
    {'g', "max-tunnels-per-user = 1000000", "max-tunnels-per-user = 1000000\n"},
    {'g', "address-prefix-ipv4 = 8", "address-prefix-ipv4 = 8\n"},
    {'g', "address-prefix-ipv6 = 128", "address-prefix-ipv6 = 128\n"},
    {'g', "handshake-rate = 1/s", "handshake-rate = 1/s\n"},
    {'g', "handshake-rate = 1000000/m", "handshake-rate = 1000000/m\n"},
    {'g', "handshake-rate = none", "handshake-rate = none\n"},
    {'g', "handshake-rate = 0", "handshake-rate = none\n"},
    {'g', "handshake-rate-per-address = 60/h", "handshake-rate-per-address = 60/h\n"},
    {'g', "ban-points = 0", "ban-points = none\n"},
    {'g', "ban-points = 10000", "ban-points = 10000\n"},
    {'g', "ban-time = 30d", "ban-time = 30d\n"},
    {'g', "ban-reset = 90s", "ban-reset = 90s\n"},
    {'g', "ban-exempt = ::ffff:10.0.0.0/104", "ban-exempt = 10.0.0.0/8\n"},
    {'g', "ban-exempt = 2001:db8::/32", "ban-exempt = 2001:db8::/32\n"},
    {'g', "ban-file = bans", "ban-file = /etc/gate/bans\n"},
    {'g', "timeout-idle = 0", "timeout-idle = none\n"},
    {'g', "timeout-idle = 0h", "timeout-idle = none\n"},
    {'g', "timeout-idle = 36h", "timeout-idle = 36h\n"},
    {'g', "timeout-idle = 30d", "timeout-idle = 30d\n"},
    {'g', "timeout-drain = 720h", "timeout-drain = 30d\n"},
    {'l', "listen = 192.0.2.1", "listen = 192.0.2.1:443\n"},
    {'l', "listen = [2001:db8::1]", "listen = [2001:db8::1]:443\n"},
    {'l', "listen = *:8443", "listen = 0.0.0.0:8443\n"},
    {'l', "listen = 0.0.0.0:443", "listen = 0.0.0.0:443\n"},
    {'l', "listen = [::]:443", "listen = [::]:443\n"},
    {'l', "listen = 127.0.0.1:0", "listen = 127.0.0.1:0\nlisten = 127.0.0.1:0\n"},
    {'l', "key = ../k;y.pem ; why not", "key = /etc/gate/../k;y.pem\n"},
    {'l',
     "key = k\ncertificate = d.pfx\npassphrase-file = p\nocsp-file = o.der\n"
     "certificate = /e.pem\nocsp-file = /o2.der",
     "certificate = /etc/gate/c.pem\nkey = /etc/gate/k\ncertificate = /etc/gate/d.pfx\n"
     "passphrase-file = /etc/gate/p\nocsp-file = /etc/gate/o.der\ncertificate = /e.pem\n"
     "ocsp-file = /o2.der\nstrict-sni = no\n"},
    {'l', "ocsp-file = o\nkey = k",
     "certificate = /etc/gate/c.pem\nkey = /etc/gate/k\n"
     "ocsp-file = /etc/gate/o\nstrict-sni"},
    {'l', "strict-sni = yes", "strict-sni = yes\n"},
    {'l', "tls-min = 1.0", "tls-min = 1.0\n"},
    {'l', "tls-min = TLSv1", "tls-min = 1.0\n"},
    {'l', "tls-min = TLSv1.3", "tls-min = 1.3\n"},
    {'l', "tls-max = 1.2", "tls-max = 1.2\n"},
    {'l', "tls-max = TLSv1.2", "tls-max = 1.2\n"},
    {'l', "ciphers = A+B:!C", "ciphers = A+B\nciphers = !C\n"},
    {'l', "ciphersuites = A\nciphersuites = B", "ciphersuites = A\nciphersuites = B\n"},
    {'l', "groups = X25519:P-256\ngroups = P-384",
     "groups = X25519\ngroups = P-256\ngroups = P-384\n"},
    {'l', "allow = 10.0.0.0/8\ndeny = ::/0\nallow = 10.0.0.1",
     "allow = 10.0.0.0/8\ndeny = ::/0\nallow = 10.0.0.1\ndefault = deny\n"},
    {'l', "deny = 10.0.0.0/8", "deny = 10.0.0.0/8\ndefault = allow\n"},
    {'l', "allow = 10.0.0.0/8\ndefault = allow", "allow = 10.0.0.0/8\ndefault = allow\n"},
    {'l',
     "allow = user *@a.example time Mon-Fri 08:00-18:00 Europe/Berlin\ndeny = any  action drop",
     "allow = user *@a.example time Mon-Fri 08:00-18:00 Europe/Berlin\ndeny = any action drop\n"
     "default = deny\n"},
    {'l', "deny = country de ; x\n[gate]\ncountry-file = /c",
     "deny = country de\ndefault = allow\n"},
    {'l', "deny = file bad sni *.a.example\nallow-file = not so bad\ndeny-file = /x",
     "deny = file /etc/gate/bad sni *.a.example\nallow-file = /etc/gate/not so bad\n"
     "deny-file = /x\ndefault = deny\n"},
    {'l', "deny-file = /x", "deny-file = /x\ndefault = allow\n"},
    {'l', "default = deny", "default = deny\n"},
    {'l', "deny-action = reset", "deny-action = reset\n"},
    {'l', "deny-action = drop", "deny-action = drop\n"},
    {'l', "deny-action = decoy", "deny-action = decoy\n"},
    {'l', "mode = enforce", "mode = enforce\n"},
    {'l', "mode = dry-run", "mode = dry-run\n"},
    {'l', "recheck-tunnels = yes", "recheck-tunnels = yes\n"},
    {'l', "recheck-tunnels = no", "recheck-tunnels = no\n"},
    {'l', "host = a.example\nhost = [::1]\nhost = 192.0.2.1",
     "host = a.example\nhost = ::1\nhost = 192.0.2.1\n"},
    {'l', "host = ::1", "host = ::1\n"},
    {'l', "backend = b\nfallback = w\n[backend w]\nserver = w\nverify = off", "fallback = w\n"},
    {'g', "timeout-web = 2m", "timeout-web = 2m\n"},
    {'l', "accept-proxy = yes\ntrusted-proxies = 192.0.2.0/24\ntrusted-proxies = ::1",
     "accept-proxy = yes\ntrusted-proxies = 192.0.2.0/24\ntrusted-proxies = ::1\n"},
    {'b', "send-proxy = v2", "send-proxy = v2\n"},
    {'l', "interface = eth0.100", "interface = eth0.100\n"},
    {'l', "v6only = no", "v6only = no\n"},
    {'l', "backend = b", "backend = b\n"},
    {'l', "", "backend = b\n"},
    {'b', "server = 10.0.0.5", "server = s:443\nserver = 10.0.0.5:443\n"},
    {'b', "server = [::1]:1", "server = [::1]:1\n"},
    {'b', "server = a_b-c.example:65535", "server = a_b-c.example:65535\n"},
    {'p', "crypto-binding = off", "server = s:80\nbalance = first\n"},
    {'p', "crypto-binding = off", "tls = no\n; backend-host:"},
    {'b', "server = a weight 256 backup max-tunnels 1000000\nbalance = leastconn",
     "server = s:443\nserver = a:443 weight 256 max-tunnels 1000000 backup\nbalance = leastconn\n"},
    {'b', "server = [::1]:2 weight 1\nbalance = source\nslow-start = 30s",
     "server = [::1]:2\nbalance = source\nslow-start = 30s\n"},
    {'b', "balance = roundrobin", "balance = roundrobin\nslow-start = none\n"},
    {'b', "fall = 1\nrise = 100\ndown-time = 1m\ncheck = tcp\ncheck-interval = 2s",
     "fall = 1\nrise = 100\ndown-time = 1m\ncheck = tcp\ncheck-interval = 2s\n; check-statuses:"},
    {'b', "check = no", "check = no\n"},
    {'b', "check = tls", "check = tls\n"},
    {'b', "check = http",
     "check = http\ncheck-interval = 10s\ncheck-statuses = 200-499\ncheck-statuses = 501\n"},
    {'b', "check = sstp", "check = sstp\ncheck-interval = 10s\ncheck-statuses = 200\n"},
    {'b', "check = http\ncheck-statuses = 401, 404-404 500\ncheck-statuses = 100-999",
     "check-statuses = 401\ncheck-statuses = 404\ncheck-statuses = 500\ncheck-statuses = "
     "100-999\n"},
    {'b', "pass-tenant = yes", "pass-tenant = yes\n"},
    {'l', "use-backend = b tenant Blue  host *.example.com",
     "use-backend = b tenant Blue host *.example.com\n"},
    {'l',
     "use-backend = b any\nuse-backend = b 10.0.0.0/8 time Mon 08:00-09:00 UTC\nuse-backend = b "
     "file x",
     "use-backend = b any\nuse-backend = b 10.0.0.0/8 time Mon 08:00-09:00 UTC\nuse-backend = b "
     "file /etc/gate/x\n"},
    {'b', "tls = yes", "tls = yes\n"},
    {'b', "", "verify = off\n"},
    {'u', "verify = pin\npin-sha256 = " SHA256, "verify = pin\npin-sha256 = " SHA256 "\n"},
    {'u', "pin-sha256 = " SHA256 "\npin-sha256 = " SHA256,
     "verify = pin\npin-sha256 = " SHA256 "\npin-sha256 = " SHA256 "\n"},
    {'u',
     "pin-sha256 = 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:"
     "1A:1B:1C:1D:1E:1F",
     "pin-sha256 = " SHA256 "\n"},
    {'u', "ca-file = ca.pem", "verify = ca\n; pin-sha256: none\nca-file = /etc/gate/ca.pem\n"},
    {'u', "ca-file = system\nverify = ca\nverify-host = [::1]",
     "ca-file = system\nverify-host = ::1\n"},
    {'b', "sni = a.example", "sni = a.example\n"},
    {'b', "backend-host = [::1]:80", "backend-host = [::1]:80\n"},
    {'b', "backend-host = a.example", "backend-host = a.example\n"},
    {'b', "tls-min = 1.1\ntls-max = 1.1", "tls-min = 1.1\ntls-max = 1.1\n"},
    {'b', "security-level = auto", "security-level = auto\n"},
    {'b', "security-level = 0", "security-level = 0\n"},
    {'b', "security-level = 5", "security-level = 5\n"},
    {'b', "ciphers = @SECLEVEL=0", "ciphers = @SECLEVEL=0\n"},
    {'b', "ciphersuites = TLS_AES_128_GCM_SHA256", "ciphersuites = TLS_AES_128_GCM_SHA256\n"},
    {'b', "groups = prime256v1", "groups = prime256v1\n"},
    {'b', "crypto-binding = rewrite", "crypto-binding = rewrite\n"},
    {'b', "crypto-binding = auto", "crypto-binding = auto\n"},
    {'b', "crypto-binding = passthrough", "crypto-binding = passthrough\n"},
    {'b', "binding-cert-hash = " SHA256 "\nbinding-cert-hash = " SHA1,
     "binding-cert-hash = " SHA1 "\nbinding-cert-hash = " SHA256 "\n"},
    {'p', "binding-cert-hash = " SHA1, "crypto-binding = rewrite\nbinding-cert-hash = " SHA1 "\n"},
    {'b', "server = s2", "zero-key = none\nouter-name = claim\n"},
    {'b', "zero-key = eap", "zero-key = eap\n"},
    {'b', "outer-name = verified", "outer-name = verified\n"},
    {'b', "users-file = /u", "users-file = /u\n"},
    {'g', "timeout-key = 500ms", "timeout-key = 500ms\n"},
    {'r',
     "[backend c]\nserver = s\nverify = off\nradius = r\n[listener c]\nlisten = "
     "127.0.0.2\ncertificate = c\nbackend = c",
     "radius = r\n"},
    {'r', "listen = 127.0.0.1", "listen = 127.0.0.1:0\nlisten = 127.0.0.1:1812\n"},
    {'r', "listen = *:1812", "listen = 0.0.0.0:1812\n"},
    {'r', "accounting-listen = [::1]\naccounting-server = r", "accounting-listen = [::1]:1813\n"},
    {'r', "accounting-listen = 127.0.0.1\naccounting-server = [::1]:5",
     "accounting-server = [::1]:5\n"},
    {'r', "clients = 10.0.0.0/8", "clients = 127.0.0.1\nclients = 10.0.0.0/8\n"},
    {'r', "", "secret-file = /etc/gate/s\nserver = r:1812\n"},
    {'r', "server = 192.0.2.1:5", "server = r:1812\nserver = 192.0.2.1:5\n"},
    {'r', "server-secret-file = /x", "server-secret-file = /x\n"},
    {'r', "require-message-authenticator = yes", "require-message-authenticator = yes\n"},
    {'r', "calling-station-id = client", "calling-station-id = client\n"},
    {'r', "timeout-server = 1s", "timeout-server = 1s\n"},
};

/* A whole file with line in the section that is meant. */
static char *file_with(char section, const char *line)
{
    char *text = NULL;
    const char *backend = section == 'u' ? UNCHOSEN : section == 'p' ? PLAIN : BACKEND;
    int n =
        asprintf(&text, "%s%s\n" LISTENER "%s%s\n%s%s\n%s%s\n", section == 'g' ? "[gate]\n" : "",
                 section == 'g' ? line : "", section == 'r' ? "backend = b\n" : "",
                 section == 'l' ? line : "", backend, strchr("bup", section) != NULL ? line : "",
                 section == 'r' ? RADIUS : "", section == 'r' ? line : "");
    assert_true(n > 0);
    return text;
}

static void good_values_print_as_themselves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_values / sizeof *good_values; i++) {
        const struct good *g = &good_values[i];
        char *text = file_with(g->section, g->line);
        struct config *c = parse_good(text);
        char *first = print(c);
        if (strstr(first, g->printed) == NULL)
            fail_msg("%s\nbecame\n%s", g->line, first);
        config_free(c);
        c = parse_good(first);
        char *second = print(c);
        assert_string_equal(first, second);
        config_free(c);
        free(text);
        free(first);
        free(second);
    }
}

/* A line that is bad, and what is said about it. */
static void bad_values_are_explained(void **state)
{
    (void)state;
    static const struct {
        char section;
        const char *line, *problem;
    } table[] = {
        {'g', "workers = 0", "workers: '0' is not a number from 1 to 64 or auto"},
        {'g', "workers = 65", "workers: '65' is not a number from 1 to 64 or auto"},
        {'g', "workers = -1", "workers: '-1' is not a number from 1 to 64 or auto"},
        {'g', "workers = 4294967297", "workers: '4294967297' is not a number from 1 to 64 or auto"},
        {'g', "workers = 2x", "workers: '2x' is not a number from 1 to 64 or auto"},
        {'g', "workers =", "workers: there is no value"},
        {'g', "workers = ; 3", "workers: there is no value"},
        {'g', "log-level = wraning", "log-level: unknown value 'wraning'; did you mean 'warning'?"},
        {'g', "admin = /run/gate.sock",
         "admin: '/run/gate.sock' is not a socket such as "
         "unix:/run/sstpgate/admin.sock"},
        {'g', "admin = unix:",
         "admin: 'unix:' is not a socket such as "
         "unix:/run/sstpgate/admin.sock"},
        {'g', "admin = unix:/" X50 X50 "xxxxxxx",
         "admin: '/" X50 X50 "xxxxxxx' is longer than the "
         "107 octets of a socket's path"},
        {'g', "log-level = Info", "log-level: unknown value 'Info'; did you mean 'info'?"},
        {'g', "log-level = 7", "log-level: unknown value '7': write error, warning, info or debug"},
        {'g', "max-tunnels = 1000001", "max-tunnels: '1000001' is not a number from 1 to 1000000"},
        {'g', "max-tunnels-per-user = 1000001",
         "max-tunnels-per-user: '1000001' is not a number from 0 to 1000000 or none"},
        {'g', "address-prefix-ipv4 = 33", "address-prefix-ipv4: '33' is not a number from 8 to 32"},
        {'g', "address-prefix-ipv6 = 0", "address-prefix-ipv6: '0' is not a number from 16 to 128"},
        {'g', "handshake-rate = 20",
         "handshake-rate: '20' lacks its unit: 20/s for each second, or one of /m, /h"},
        {'g', "handshake-rate = 0/s", "handshake-rate: '0/s': the number is one from 1 to 1000000"},
        {'g', "handshake-rate = 1000001/h",
         "handshake-rate: '1000001/h': the number is one from 1 to 1000000"},
        {'g', "handshake-rate = 4294967296/h",
         "handshake-rate: '4294967296/h': the number is one from 1 to 1000000"},
        {'g', "handshake-rate = 20/d",
         "handshake-rate: '20/d' is not a rate such as 20/s, 100/m or 500/h"},
        {'g', "handshake-rate = 20s",
         "handshake-rate: '20s' is not a rate such as 20/s, 100/m or 500/h"},
        {'g', "handshake-rate = /s",
         "handshake-rate: '/s' is not a rate such as 20/s, 100/m or 500/h"},
        {'g', "handshake-rate = 20/ s",
         "handshake-rate: '20/ s' is not a rate such as 20/s, 100/m or 500/h"},
        {'g', "ban-points = 10001", "ban-points: '10001' is not a number from 0 to 10000 or none"},
        {'g', "ban-time = 0", "ban-time: '0': this deadline cannot be left out"},
        {'g', "ban-exempt = 10.0.0.1/8",
         "ban-exempt: '10.0.0.1/8' is not a network: its prefix is too long, or bits after the "
         "prefix "
         "are set (10.0.0.0/8, not 10.0.0.1/8)"},
        {'g', "timeout-idle = 10",
         "timeout-idle: '10' lacks its unit: 10s for seconds, or one of ms, m, h, d"},
        {'g', "timeout-idle = 10 s",
         "timeout-idle: '10 s' is not a duration such as 1500ms, 90s, 5m, 2h or 1d"},
        {'g', "timeout-idle = 1.5s",
         "timeout-idle: '1.5s' is not a duration such as 1500ms, 90s, 5m, 2h or 1d"},
        {'g', "timeout-idle = s",
         "timeout-idle: 's' is not a duration such as 1500ms, 90s, 5m, 2h or 1d"},
        {'g', "timeout-idle = 31d", "timeout-idle: '31d' is more than 30d"},
        {'g', "timeout-idle = 4294967295d", "timeout-idle: '4294967295d' is more than 30d"},
        {'g', "timeout-idle = 4294967296ms", "timeout-idle: '4294967296ms' is more than 30d"},
        {'g', "timeout-drain = none", "timeout-drain: 'none': this deadline cannot be left out"},
        {'g', "timeout-drain = 0", "timeout-drain: '0': this deadline cannot be left out"},
        {'g', "timeout-drain = 0s", "timeout-drain: '0s': this deadline cannot be left out"},
        {'l', "listen = *",
         "listen: '*' means every address; if that is meant, write the port too: *:443"},
        {'l', "listen = 0.0.0.0",
         "listen: '0.0.0.0' means every address; if that is meant, write the port too: "
         "0.0.0.0:443"},
        {'l', "listen = [::]",
         "listen: '[::]' means every address; if that is meant, write the port too: [::]:443"},
        {'l', "listen = vpn.example.com",
         "listen: 'vpn.example.com' is not an address of this machine: write 192.0.2.1:443 or "
         "[2001:db8::1]:443"},
        {'l', "listen = ::1",
         "listen: '::1' is not an address of this machine: write 192.0.2.1:443 or "
         "[2001:db8::1]:443"},
        {'l', "listen = 192.0.2.1:65536",
         "listen: '192.0.2.1:65536' is not an address of this machine: write 192.0.2.1:443 or "
         "[2001:db8::1]:443 (ports end at 65535, and a zone must be there)"},
        {'l', "strict-sni = maybe", "strict-sni: unknown value 'maybe': write yes or no"},
        {'l', "tls-min = 1.4", "tls-min: unknown value '1.4': write 1.0, 1.1, 1.2 or 1.3"},
        {'l', "tls-max = SSLv23", "tls-max: unknown value 'SSLv23': write 1.0, 1.1, 1.2 or 1.3"},
        {'l', "ciphers = A::B", "ciphers: 'A::B' is not a list of names joined by ':'"},
        {'l', "ciphers = A B", "ciphers: 'A B' is not a list of names joined by ':'"},
        {'l', "ciphersuites = :", "ciphersuites: ':' is not a list of names joined by ':'"},
        {'l', "groups = X25519,P-256",
         "groups: 'X25519,P-256' is not a list of names joined by ':'"},
        {'l', "allow = 10.0.0.1/8",
         "allow: '10.0.0.1/8' is not a network: its prefix is too long, or bits after the prefix "
         "are "
         "set (10.0.0.0/8, not 10.0.0.1/8)"},
        {'l', "deny = all",
         "deny: unknown condition 'all': use address, file, country, any, user, host, sni, "
         "tenant, time or action"},
        {'l', "deny = 10.0.0.256",
         "deny: '10.0.0.256' is not an address or a network such as 198.51.100.0/24"},
        {'l', "allow = 10.0.0.0/8 usr bob", "allow: unknown condition 'usr'; did you mean 'user'?"},
        {'l', "allow = any action drop", "allow: action: only deny rules have one"},
        {'l', "deny = country DE", "country: [gate] has no country-file in which to look it up"},
        {'l', "deny = file " X50 X50 X50 X10 " user b",
         "deny: 'file /etc/gate/" X50 X50 X50 X10 " user b' does not fit into one value (at most "
         "176 bytes, no comment): use an absolute path"},
        {'l', "deny-action = close",
         "deny-action: unknown value 'close': write reset, drop or decoy"},
        {'l', "mode = dryrun", "mode: unknown value 'dryrun'; did you mean 'dry-run'?"},
        {'l', "default = drop", "default: unknown value 'drop': write allow or deny"},
        {'l', "interface = a/b", "interface: 'a/b' is not the name of an interface"},
        {'l', "interface = abcdefghijklmnop",
         "interface: 'abcdefghijklmnop' is not the name of an interface"},
        {'l', "host = *.example.com",
         "host: '*.example.com': wildcards are not taken here; write each name"},
        {'l', "host = a.example:443",
         "host: 'a.example:443' is neither a host name nor an address (no port here)"},
        {'l', "host = [192.0.2.1]",
         "host: '[192.0.2.1]' is neither a host name nor an address (no port here)"},
        {'l', "backend = b c", "backend: 'b c' cannot be the name of a section"},
        {'l', "backend = other", "backend: there is no [backend other]"},
        {'b', "server = 10.0.0.256", "server: '10.0.0.256' is not HOST, HOST:PORT or [IPv6]:PORT"},
        {'b', "server = ::1", "server: '::1' is not HOST, HOST:PORT or [IPv6]:PORT"},
        {'b', "server = a:0", "server: 'a:0': a port is a number from 1 to 65535"},
        {'b', "server = a:", "server: 'a:' is not HOST, HOST:PORT or [IPv6]:PORT"},
        {'b', "server = a..b", "server: 'a..b' is not HOST, HOST:PORT or [IPv6]:PORT"},
        {'b', "server = -a", "server: '-a' is not HOST, HOST:PORT or [IPv6]:PORT"},
        {'b', "server = http://a", "server: 'http://a' is not HOST, HOST:PORT or [IPv6]:PORT"},
        {'b', "server = a wieght 3", "server: unknown word 'wieght'; did you mean 'weight'?"},
        {'b', "server = a 3",
         "server: unknown word '3': there are weight NUMBER, max-tunnels NUMBER and backup"},
        {'b', "server = a weight", "server: weight needs a number from 1 to 256"},
        {'b', "server = a weight 0", "server: weight needs a number from 1 to 256"},
        {'b', "server = a weight 257", "server: weight needs a number from 1 to 256"},
        {'b', "server = a max-tunnels 1000001",
         "server: max-tunnels needs a number from 1 to 1000000"},
        {'b', "server = a max-tunnels 1 max-tunnels 1", "server: max-tunnels stands twice"},
        {'b', "server = a backup backup", "server: backup stands twice"},
        {'b', "server = a weight 1", "server: weight has no meaning with balance = first"},
        {'b', "server = s:443", "server: 's:443' stands already on line 7"},
        {'b', "slow-start = 1s", "slow-start has no meaning with balance = first"},
        {'b', "balance = leastcon", "balance: unknown value 'leastcon'; did you mean 'leastconn'?"},
        {'b', "fall = 0", "fall: '0' is not a number from 1 to 100"},
        {'b', "check = on", "check: unknown value 'on': write no, tcp, tls, http or sstp"},
        {'b', "check-statuses = 200\ncheck = tcp",
         "check-statuses is used with check = http or sstp only"},
        {'b', "check-statuses = 20\ncheck = http",
         "check-statuses: '20' is not a list of HTTP statuses such as 200 401 or 400-404"},
        {'b', "check-statuses = 500-400\ncheck = http",
         "check-statuses: '500-400' is not a list of HTTP statuses such as 200 401 or 400-404"},
        {'b', "check-statuses = ,\ncheck = http",
         "check-statuses: ',' is not a list of HTTP statuses such as 200 401 or 400-404"},
        {'p', "check = tls\ncrypto-binding = off", "check = tls needs tls = yes"},
        {'l', "use-backend = b",
         "use-backend: the rule has no condition: write `any` to match every client"},
        {'l', "use-backend = c any", "use-backend: there is no [backend c]"},
        {'l', "use-backend = b! any", "use-backend: 'b!' cannot be the name of a backend"},
        {'l', "use-backend = b user x",
         "use-backend: user: it is not known yet when the call is sent on"},
        {'l', "use-backend = b any action drop", "use-backend: action: only deny rules have one"},
        {'l', "use-backend = b country DE",
         "country: [gate] has no country-file in which to look it up"},
        {'l', "use-backend = b file " X50 X50 X50 X10,
         "use-backend: 'b file /etc/gate/" X50 X50 X50 X10
         "' does not fit into one value (at most 176 bytes, no comment): use an absolute "
         "path"},
        {'b', "tls = true", "tls: unknown value 'true': write yes or no"},
        {'u', "verify = pins", "verify: unknown value 'pins'; did you mean 'pin'?"},
        {'u', "verify = none", "verify: unknown value 'none': write pin, ca or off"},
        {'u', "pin-sha256 = " SHA1,
         "pin-sha256: not 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` "
         "prints behind the '='"},
        {'u', "pin-sha256 = " SHA256 "00",
         "pin-sha256: not 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` "
         "prints behind the '='"},
        {'b', "sni = 192.0.2.1", "sni: '192.0.2.1' is an address: TLS carries names only"},
        {'b', "backend-host = a b", "backend-host: 'a b' is not HOST, HOST:PORT or [IPv6]:PORT"},
        {'b', "security-level = 6", "security-level: '6' is not a number from 0 to 5 or auto"},
        {'b', "crypto-binding = rewite",
         "crypto-binding: unknown value 'rewite'; did you mean 'rewrite'?"},
        {'b', "binding-cert-hash = 0",
         "binding-cert-hash: neither 40 (SHA1) nor 64 (SHA256) hexadecimal digits"},
        {'b', "binding-cert-hash = 00::01",
         "binding-cert-hash: neither 40 (SHA1) nor 64 (SHA256) hexadecimal digits"},
        {'b', "binding-cert-hash = " SHA1 ":",
         "binding-cert-hash: neither 40 (SHA1) nor 64 (SHA256) hexadecimal digits"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *text = file_with(table[i].section, table[i].line);
        char *problems = problems_of(text, strlen(text)), *expected = NULL;
        int line = table[i].section == 'g' ? 2 : table[i].section == 'l' ? 5 : 9;
        if (table[i].section == 'u')
            line = 8;
        assert_true(asprintf(&expected, "%d: %s\n", line, table[i].problem) > 0);
        assert_string_equal(problems, expected);
        free(text);
        free(problems);
        free(expected);
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

/* A whole file and every line that is reported about it. */
static void problems_of_whole_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problems;
    } table[] = {
        {"", "1: there is no [listener NAME]: nothing would be accepted\n"},
        {"; nothing\n[gate]\n", "1: there is no [listener NAME]: nothing would be accepted\n"},
        {LISTENER "fallback = b\n" BACKEND,
         "1: [listener a] has nowhere to send calls: the only backend is its fallback\n"},
        {LISTENER "backend = b\nfallback = b\n" BACKEND,
         "5: fallback: s, port 443, is a server of [backend b], too: there a client that is denied "
         "would find SSTP, past all rules and limits\n"},
        {LISTENER "use-backend = b host x.example\nbackend = c\nfallback = w\n" BACKEND
                  "[backend c]\nserver = t\nverify = off\n"
                  "[backend w]\nserver = S:443\nverify = off\n",
         "6: fallback: S, port 443, is a server of [backend b], too: there a client that is denied "
         "would find SSTP, past all rules and limits\n"},
        {LISTENER, "1: [listener a] has nowhere to send calls: write a [backend NAME]\n"},
        {LISTENER BACKEND "[backend c]\nserver = t\nverify = off\n",
         "1: [listener a] lacks `backend`, and the file has more than one\n"},
        {"[listener a]\n[backend b]\nverify = off\n",
         "1: [listener a] lacks `listen`\n1: [listener a] lacks `certificate`\n"
         "2: [backend b] lacks `server`\n"},
        /* sections */
        {"workers = 1\n" LISTENER BACKEND, "1: 'workers' stands before any [section]\n"},
        {"MIGHAgEAMBMG=\n" LISTENER BACKEND, "1: a key stands before any [section]\n"},
        {"[gate]\nMIGHAgEAMBMG==\n" LISTENER BACKEND, "2: unknown key in [gate]\n"},
        {"[MIGHAgEAMBMG]\n" LISTENER BACKEND,
         "1: unknown section: there are [gate], [listener NAME], [backend NAME], "
         "[radius NAME]\n"},
        {"[gat]\n" LISTENER BACKEND, "1: unknown section 'gat'; did you mean [gate]?\n"},
        {"[listner a]\nlisten = 127.0.0.1\n", "1: unknown section 'listner'; did you mean "
                                              "[listener NAME]?\n"},
        {"[Gate]\n" LISTENER BACKEND, "1: unknown section 'Gate'; did you mean [gate]?\n"},
        {"[web x]\nfoo = bar\n" LISTENER BACKEND,
         "1: unknown section 'web': there are [gate], [listener NAME], [backend NAME], "
         "[radius NAME]\n"},
        {"[gate x]\n" LISTENER BACKEND, "1: [gate] takes no name\n"},
        {"[listener]\nlisten = 127.0.0.1:0\ncertificate = c\n" BACKEND,
         "1: [listener] needs a name: [listener NAME]\n"},
        {"[]\n" LISTENER BACKEND,
         "1: unknown section '': there are [gate], [listener NAME], [backend NAME], "
         "[radius NAME]\n"},
        {"[listener a b]\nlisten = 127.0.0.1:0\ncertificate = c\n" BACKEND,
         "1: 'a b': a name is 1 to 32 letters, digits, '_', '.', '-'\n"},
        {LISTENER "[backend " X10 X10 X10 "xxx]\nserver = s\nverify = off\n",
         "4: '" X10 X10 X10 "xxx': a name is 1 to 32 letters, digits, '_', '.', '-'\n"},
        {"[gate]\n[gate]\n" LISTENER BACKEND, "2: [gate] stands already on line 1\n"},
        {LISTENER LISTENER BACKEND, "4: [listener a] stands already on line 1\n"},
        {LISTENER BACKEND BACKEND "[gate]\n",
         "7: [backend b] stands already on line 4\n"
         "1: [listener a] lacks `backend`, and the file has more than one\n"},
        {"[gate\nworkers = 0\n" LISTENER BACKEND, "1: a section is written [NAME]: the `]` is "
                                                  "missing\n"},
        {"[gate] workers = 1\n" LISTENER BACKEND,
         "1: text behind [section]: put each key on a line of its own\n"},
        /* keys */
        {"[gate]\nworkers = 1\nworkers = 1\n" LISTENER BACKEND,
         "3: 'workers' stands already on line 2\n"},
        {"[gate]\nworker = 1\n" LISTENER BACKEND,
         "2: unknown key 'worker'; did you mean 'workers'?\n"},
        {"[gate]\ntimeout-hadnshake = 1s\n" LISTENER BACKEND,
         "2: unknown key 'timeout-hadnshake'; did you mean 'timeout-handshake'?\n"},
        {"[gate]\nWorkers = 1\n" LISTENER BACKEND,
         "2: unknown key 'Workers'; did you mean 'workers'?\n"},
        {"[gate]\nbanana = 1\n" LISTENER BACKEND, "2: unknown key 'banana' in [gate]\n"},
        {"[gate]\npin-sha256 = 1\n" LISTENER BACKEND,
         "2: 'pin-sha256' belongs in [backend NAME], not in [gate]\n"},
        {"[gate]\ntls-min = 1.2\n" LISTENER BACKEND,
         "2: 'tls-min' belongs in [listener NAME] or [backend NAME], not in [gate]\n"},
        {LISTENER "server = s\n" BACKEND,
         "4: 'server' belongs in [backend NAME] or [radius NAME], not in [listener NAME]\n"},
        {LISTENER BACKEND "certifcate = c\n",
         "7: unknown key 'certifcate'; did you mean 'certificate', which belongs in "
         "[listener NAME]?\n"},
        {LISTENER "backend = rsar\n[backend rras]\nserver = s\nverify = off\n",
         "4: backend: there is no [backend rsar]; did you mean 'rras'?\n"},
        /* the same address twice */
        {LISTENER "listen = 192.0.2.1\nlisten = 192.0.2.1:443\n" BACKEND,
         "5: listen: '192.0.2.1:443' stands already on line 4\n"},
        {LISTENER "listen = *:1\nbackend = b\n[listener b]\nlisten = 0.0.0.0:1\ncertificate = "
                  "c\n" BACKEND,
         "7: listen: '0.0.0.0:1' stands already on line 4\n"},
        {LISTENER "listen = 192.0.2.1:1\nlisten = [::ffff:192.0.2.1]:1\n" BACKEND,
         "5: listen: '192.0.2.1:1' stands already on line 4\n"},
        /* what belongs to a certificate */
        {"[listener a]\nkey = k\nlisten = 127.0.0.1:0\ncertificate = c\nkey = k\n" BACKEND,
         "2: key: there is no `certificate` above it\n"},
        {LISTENER "key = k\nocsp-file = o\nkey = l\nocsp-file = p\ncertificate = d\n"
                  "passphrase-file = x\npassphrase-file = y\n" BACKEND
                  "[listener b]\nlisten = 127.0.0.1:0\npassphrase-file = x\ncertificate = e\n",
         "6: key: the certificate on line 3 has one already\n"
         "7: ocsp-file: the certificate on line 3 has one already\n"
         "10: passphrase-file: the certificate on line 8 has one already\n"
         "16: passphrase-file: there is no `certificate` above it\n"},
        {"[listener a]\nlisten = 127.0.0.1:0\ncertificate = " X50 X50 X50 X10
         "xxxxxxx\nkey = k\n" BACKEND,
         "3: certificate: '/etc/gate/" X50 X50 X50 X10 "xxxxxxx' does not fit into one value (at "
         "most 176 bytes, no comment): use an absolute path\n"},
        /* what contradicts */
        {LISTENER "tls-max = 1.1\n" BACKEND,
         "4: tls-min is 1.2, which is more than tls-max, 1.1\n"},
        {LISTENER BACKEND "tls-min = 1.3\ntls-max = 1.2\n",
         "8: tls-min is 1.3, which is more than tls-max, 1.2\n"},
        {LISTENER "tls-max = 1.1\ntls-min = 9\n" BACKEND,
         "5: tls-min: unknown value '9': write 1.0, 1.1, 1.2 or 1.3\n"},
        {LISTENER UNCHOSEN,
         "4: [backend b] does not say how to verify the server: write pin-sha256 = FINGERPRINT, or "
         "ca-file = FILE (or `system`), or verify = off to trust whoever answers\n"},
        {LISTENER UNCHOSEN "pin-sha256 = " SHA256 "\nca-file = system\n",
         "7: both pin-sha256 and ca-file: write verify = pin or verify = ca, and only what belongs "
         "to it\n"},
        {LISTENER UNCHOSEN "verify = pin\n", "6: verify = pin needs pin-sha256\n"},
        {LISTENER UNCHOSEN "verify = ca\n", "6: verify = ca needs ca-file (a file, or `system`)\n"},
        {LISTENER BACKEND "pin-sha256 = " SHA256 "\nca-file = x\nverify-host = a\n",
         "7: pin-sha256 is used with verify = pin only\n"
         "8: ca-file is used with verify = ca only\n"
         "9: verify-host is used with verify = ca only\n"},
        {LISTENER UNCHOSEN "verify = ca\nca-file = x\npin-sha256 = " SHA256 "\n",
         "8: pin-sha256 is used with verify = pin only\n"},
        {LISTENER PLAIN,
         "6: with tls = no the server shows no certificate: crypto-binding = rewrite needs "
         "binding-cert-hash\n"},
        {LISTENER PLAIN "crypto-binding = auto\n",
         "6: with tls = no the server shows no certificate: crypto-binding = auto needs "
         "binding-cert-hash\n"},
        {LISTENER PLAIN "crypto-binding = off\nverify = off\nsni = a\nciphers = A\n",
         "8: verify has no meaning with tls = no\n9: sni has no meaning with tls = no\n"
         "10: ciphers has no meaning with tls = no\n"},
        {LISTENER BACKEND "crypto-binding = off\nbinding-cert-hash = " SHA1 "\n",
         "8: binding-cert-hash is used with crypto-binding = rewrite or auto only\n"},
        {LISTENER BACKEND "binding-cert-hash = " SHA1 "\nbinding-cert-hash = " SHA1 "\n",
         "8: binding-cert-hash: a SHA1 hash was given before: one of each kind is enough\n"},
        {LISTENER BACKEND "tls = on\n", "7: tls: unknown value 'on': write yes or no\n"},
        /* every one of them */
        {"[gate]\nworkers = x\nlog-level = x\nfoo\nmax-tunnels = 0\nbar\n" LISTENER
         "listen = x\nbaz = 1\n" BACKEND "tls-min = 1.3\ntls-max = 1.2",
         "2: workers: 'x' is not a number from 1 to 64 or auto\n"
         "3: log-level: unknown value 'x': write error, warning, info or debug\n"
         "4: expected `key = value` or [section]\n"
         "5: max-tunnels: '0' is not a number from 1 to 1000000\n"
         "6: expected `key = value` or [section]\n"
         "10: listen: 'x' is not an address of this machine: write 192.0.2.1:443 or "
         "[2001:db8::1]:443\n"
         "11: unknown key 'baz' in [listener NAME]\n"
         "16: tls-min is 1.3, which is more than tls-max, 1.2\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *problems = problems_of(table[i].text, strlen(table[i].text));
        assert_string_equal(problems, table[i].problems);
        free(problems);
    }
}

/* What libinih would cut, join or skip without a word. */
static void a_backend_has_so_many_servers(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);
        assert_non_null(f);
        fputs(LISTENER BACKEND, f); /* it has one */
        for (int i = 1; i < BACKENDS_SERVERS_MAX + over; i++)
            fprintf(f, "server = s%d\n", i);
        fclose(f);
        char *problems = problems_of(text, n);
        assert_string_equal(problems, over ? "70: server: a backend has at most 64\n" : "");
        free(problems);
        free(text);
    }
}

static void what_inih_hides_is_found(void **state)
{
    (void)state;
#define LONG_LINE                                                                                  \
    ": this line is longer than 198 bytes: repeat the key instead of writing a list, and put "     \
    "comments on lines of their own\n"
#define CONTROL ": a control character (or a lone CR) stands in this line\n"
#define EXPECTED ": expected `key = value` or [section]\n"
    static const struct {
        const char *text;
        size_t len; /* 0: all of it */
        const char *problems;
    } table[] = {
        /* 198 bytes are a line, blanks and line ends not counted; 199 are not */
        {LISTENER BACKEND "users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "x\r\n", 0, ""},
        {LISTENER BACKEND "  users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "x\t \n", 0, ""},
        {LISTENER BACKEND "users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "xx\n", 0, "7" LONG_LINE},
        /* the line after a full one is read */
        {LISTENER BACKEND "users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "x\nwait\n[gate]\n", 0,
         "8" EXPECTED},
        {"[gate] ;" X50 X50 X50 X50 "\nbanana = 1\n" LISTENER BACKEND, 0, "1" LONG_LINE},
        {";" X50 X50 X50 X50 X50 "\n  #" X50 X50 X50 X50 X50 "\n" LISTENER BACKEND, 0, ""},
        {LISTENER BACKEND "users-file = /" X50 X50 X50 X10 X10 "xxxxx\n", 0, ""},
        {LISTENER BACKEND "users-file = /" X50 X50 X50 X10 X10 "xxxxxx\n", 0,
         "7: a value is longer than 176 octets\n"},
        /* relative, it grows: "/etc/gate/" */
        {LISTENER BACKEND "users-file = " X50 X50 X50 X10 "xxxxxx\n", 0, ""},
        {LISTENER BACKEND "users-file = " X50 X50 X50 X10 "xxxxxxx\n", 0,
         "7: users-file: '/etc/gate/" X50 X50 X50 X10 "xxxxxxx' does not fit into one value (at "
         "most 176 bytes, no comment): use an absolute path\n"},
        {"[" X50 "]\nfoo = bar\n" LISTENER BACKEND, 0,
         "1: a section's name is longer than 49 octets\n"},
        {LISTENER BACKEND X50 " = 1\n", 0, "7: a key's name is longer than 49 octets\n"},
        /* no continuation lines: the blank before a key means nothing */
        {"[gate]\n  workers = 1\n\tlog-level = debug\n  " LISTENER BACKEND, 0, ""},
        {"[gate]\nworkers = 1\n  2\n" LISTENER BACKEND, 0, "3" EXPECTED},
        /* lines that are neither */
        {LISTENER BACKEND "users-file\n", 0, "7" EXPECTED},
        {LISTENER BACKEND "= x\n", 0, "7" EXPECTED},
        {LISTENER BACKEND "server 127.0.0.1:443\n", 0, "7" EXPECTED},
        {LISTENER BACKEND "users-file ; = x", 0, "7" EXPECTED},
        /* ends of lines and of files */
        {"\xef\xbb\xbf[gate]\r\nworkers = 1\r\n" LISTENER BACKEND "users-file = x\r", 0, ""},
        {"\xef\xbb\xbf" LISTENER BACKEND "users-file = x", 0, ""},
        {LISTENER "\xef\xbb\xbf[gate]\n" BACKEND, 0, "4" EXPECTED},
        /* control characters */
        {LISTENER BACKEND "users-file = a\rb\n", 0, "7" CONTROL},
        {LISTENER BACKEND "users-file = a\033b\n; \177\n", 0, "7" CONTROL "8" CONTROL},
        {LISTENER BACKEND "users-file = a\0b\n", sizeof LISTENER BACKEND "users-file = a\0b",
         "7" CONTROL},
        {"[ga\vte]\nbanana = 1\n" LISTENER BACKEND, 0, "1" CONTROL},
        /* comments */
        {"[gate] ; x\nworkers = 1 ; x\nlog-level = info\t; x\n;x\n#x\n" LISTENER BACKEND, 0, ""},
        {"[gate]# x\n" LISTENER BACKEND, 0, ""},
        {LISTENER BACKEND "users-file = a # b\n", 0,
         "7: ` #` behind a value would be part of it: a comment there starts with ` ;`\n"},
        {LISTENER BACKEND "users-file = a#b;c\n", 0, ""},
        {LISTENER BACKEND "users-file = \"a\"\n", 0, "7: values are written without quotes\n"},
        /* as inih does it */
        {LISTENER BACKEND "users-file: a\n", 0, ""},
        {"[  gate  ]\n" LISTENER BACKEND, 0, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = table[i].len != 0 ? table[i].len : strlen(table[i].text);
        char *problems = problems_of(table[i].text, len);
        if (strcmp(problems, table[i].problems) != 0)
            fail_msg("%s\n%s", table[i].text, problems);
        free(problems);
    }
}

/* A value is cut nowhere between the file and the field. */
static void the_longest_value_arrives_whole(void **state)
{
    (void)state;
    struct config *c = parse_good(LISTENER BACKEND "users-file=/" X50 X50 X50 X10 X10 "xxxxx");
    assert_int_equal(strlen(c->backend[0].users_file), VALUE_TEXT_MAX);
    config_free(c);
}

static void lists_may_be_longer_than_a_line(void **state)
{
    (void)state;
    struct config *c = parse_good(LISTENER "ciphers = " X50 X50 ":a\nciphers = " X50 X50
                                           ":b\nciphers = " X50 X50 ":c\n" BACKEND);
    assert_string_equal(c->listener[0].ciphers, X50 X50 ":a:" X50 X50 ":b:" X50 X50 ":c");
    char *first = print(c);
    config_free(c);
    c = parse_good(first);
    assert_string_equal(c->listener[0].ciphers, X50 X50 ":a:" X50 X50 ":b:" X50 X50 ":c");
    config_free(c);
    free(first);
}

/* ---- what is in the fields ------------------------------------------------------------------ */

static void defaults(void **state)
{
    (void)state;
    struct config *c = parse_good(LISTENER BACKEND);
    assert_string_equal(c->path, "/etc/gate/f.conf");
    const struct config_gate *g = &c->gate;
    assert_int_equal(g->workers, 0);
    assert_string_equal(g->log, "stderr");
    assert_int_equal(g->log_level, CONFIG_LOG_INFO);
    assert_int_equal(g->max_tunnels, 10000);
    assert_int_equal(g->timeout_handshake, 10000);
    assert_int_equal(g->timeout_request, 10000);
    assert_int_equal(g->timeout_connect, 5000);
    assert_int_equal(g->timeout_answer, 30000);
    assert_int_equal(g->timeout_negotiate, 90000);
    assert_int_equal(g->timeout_idle, 0);
    assert_int_equal(g->timeout_drain, 5000);
    assert_int_equal(c->listener_count, 1);
    const struct config_listener *l = &c->listener[0];
    assert_string_equal(l->name, "a");
    assert_int_equal(l->certificate_count, 1);
    assert_string_equal(l->certificate[0].file, "/etc/gate/c.pem");
    assert_int_equal(l->certificate[0].line, 3);
    assert_null(l->certificate[0].key);
    assert_null(l->certificate[0].passphrase_file);
    assert_null(l->certificate[0].ocsp_file);
    assert_false(l->strict_sni);
    assert_int_equal(l->tls_min, CONFIG_TLS_1_2);
    assert_int_equal(l->tls_max, CONFIG_TLS_1_3);
    assert_null(l->ciphers);
    assert_null(l->groups);
    assert_true(l->rules.default_allow);
    assert_int_equal(l->rules.count, 0);
    assert_int_equal(l->rules.deny_action, RULES_RESET);
    assert_false(l->dry_run);
    assert_false(l->recheck_tunnels);
    assert_int_equal(l->host.count, 0);
    assert_string_equal(l->backend_name, "b");
    assert_ptr_equal(l->backend, &c->backend[0]);
    assert_int_equal(c->backend_count, 1);
    const struct config_backend *b = &c->backend[0];
    assert_string_equal(b->servers.item[0].host, "s");
    assert_int_equal(b->servers.item[0].port, 443);
    assert_true(b->tls);
    assert_int_equal(b->verify, CONFIG_VERIFY_OFF);
    assert_int_equal(b->tls_min, CONFIG_TLS_1_2);
    assert_int_equal(b->tls_max, CONFIG_TLS_1_3);
    assert_int_equal(b->security_level, -1);
    assert_null(b->groups);
    assert_int_equal(b->binding, CONFIG_BINDING_REWRITE);
    assert_false(b->binding_sha1_known);
    assert_false(b->binding_sha256_known);
    config_free(c);
}

/* Pointers to backends are right although sections stand in any order. */
static void listeners_find_their_backend(void **state)
{
    (void)state;
    struct config *c =
        parse_good("[backend x]\nserver = [::1]\nverify = off\n" LISTENER "backend = y\n"
                   "[backend y]\nserver = t:1\nverify = off\nbinding-cert-hash = " SHA1 "\n"
                   "[listener b]\nlisten = 192.0.2.1\ncertificate = c\nbackend = x\n"
                   "allow = 192.0.2.0/24\n[gate]\nworkers = 3\n");
    assert_ptr_equal(c->listener[0].backend, &c->backend[1]);
    assert_ptr_equal(c->listener[1].backend, &c->backend[0]);
    assert_string_equal(c->backend[0].servers.item[0].host, "::1");
    assert_true(c->backend[1].binding_sha1_known);
    assert_int_equal(c->backend[1].binding_sha1[19], 0x13);
    assert_false(c->listener[1].rules.default_allow);
    const struct addr who = {.family = AF_INET, .ip = {192, 0, 2, 1}};
    const struct rules_facts facts = {.client = &who};
    assert_int_equal(rules_decide(&c->listener[1].rules, &facts).line, 16);
    assert_int_equal(c->gate.workers, 3);
    config_free(c);
}

static void lines_of_keys(void **state)
{
    (void)state;
    struct config *c = parse_good(LISTENER "listen = 192.0.2.1\n\n" BACKEND
                                           "[listener b]\nlisten = 192.0.2.2\ncertificate = x\n");
    assert_int_equal(config_line(c, &c->gate, "log"), 0);
    assert_int_equal(config_line(c, &c->listener[0], "certificate"), 3);
    assert_int_equal(config_line(c, &c->listener[0], "listen"), 4);
    assert_int_equal(config_line(c, &c->listener[0], "key"), 1);
    assert_int_equal(config_line(c, &c->backend[0], "server"), 7);
    assert_int_equal(config_line(c, &c->backend[0], "users-file"), 6);
    assert_int_equal(config_line(c, &c->listener[1], "certificate"), 11);
    config_free(c);
}

/* ---- files on disk -------------------------------------------------------------------------- */

static char *load_problems(const char *path)
{
    char *problems;
    size_t n;
    FILE *f = open_memstream(&problems, &n);
    assert_non_null(f);
    struct config *c = config_load(path, f);
    if (c != NULL) {
        const bool opened = config_open(c, f);
        assert_false(c->sound && opened);
    }
    config_free(c);
    fclose(f);
    return problems;
}

static void what_cannot_be_read_is_named(void **state)
{
    (void)state;
    char *problems = load_problems("/nowhere/f.conf");
    assert_string_equal(problems, "/nowhere/f.conf: cannot be opened: No such file or directory\n");
    free(problems);
    problems = load_problems("/");
    assert_string_equal(problems, "/: cannot be opened: Is a directory\n");
    free(problems);
    problems = load_problems("/dev/zero");
    assert_string_equal(problems, "/dev/zero: cannot be opened: not a regular file\n");
    free(problems);
}

/* The socket of a running gate is found, whatever has become of its file meanwhile. */
static void admin_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *admin, *problems; /* problems without the path */
    } table[] = {
        {"[gate]\nadmin = unix:/run/a\n" LISTENER BACKEND, "/run/a", ""},
        {"[gate]\nadmin = unix:/run/a\nbanana = 1\n[listener a]\nlisten = x\n", "/run/a", ""},
        {"[gate\n" LISTENER BACKEND, NULL, "1: a section"},
        {LISTENER BACKEND, NULL, " no `admin` in [gate]"},
        {"[gate]\nadmin = tcp:80\n", NULL, "2: admin: 'tcp:80' is not"},
    };
    char path[] = "/tmp/test_config.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *problems;
        size_t n, len = strlen(table[i].text);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, table[i].text, len, 0), len);
        FILE *f = open_memstream(&problems, &n);
        assert_non_null(f);
        char *admin = config_find_admin(path, f);
        fclose(f);
        if (table[i].admin == NULL) {
            assert_null(admin);
            assert_int_equal(strncmp(problems, path, strlen(path)), 0);
            assert_int_equal(
                strncmp(problems + strlen(path) + 1, table[i].problems, strlen(table[i].problems)),
                0);
        } else {
            assert_string_equal(admin, table[i].admin);
            assert_string_equal(problems, "");
        }
        free(admin);
        free(problems);
    }
    close(fd);
    unlink(path);
}

/* A configuration on disk with these lines in its listener; what is said about it. */
static char *listener_problems(const char *lines)
{
    char folder[] = "/tmp/config.XXXXXX", path[64], *problems;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f.conf", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, LISTENER "%s" BACKEND, lines);
    fclose(f);
    problems = load_problems(path);
    unlink(path);
    rmdir(folder);
    for (char *p; (p = strstr(problems, folder)) != NULL;)
        memmove(p, p + strlen(folder), strlen(p + strlen(folder)) + 1);
    return problems;
}

static void what_rules_name_is_opened(void **state)
{
    (void)state;
    char *problems = listener_problems("allow-file = none.txt\n"
                                       "deny = time Mon 00:00-24:00 Moon/Crater\n"
                                       "[gate]\ncountry-file = none.mmdb\n");
    assert_non_null(strstr(problems, "/none.mmdb: "));
    assert_non_null(strstr(problems, "/f.conf:7: country-file was not loaded, see its problems\n"));
    assert_non_null(strstr(problems,
                           "/none.txt: cannot be opened: No such file or directory\n"
                           "/f.conf:4: allow-file: /none.txt was not loaded, see its problems\n"
                           "/f.conf:5: deny: time zone Moon/Crater: "));
    free(problems);
}

/* A relative path to the file makes absolute paths of what it names. */
static void paths_start_at_the_file(void **state)
{
    (void)state;
    char *here = getcwd(NULL, 0), *expected = NULL;
    struct config *c = config_load("conf/demo.ini", stderr);
    assert_non_null(c);
    assert_true(asprintf(&expected, "%s/conf/../build/demo/users", here) > 0);
    assert_string_equal(c->backend[0].users_file, expected);
    config_free(c);
    free(here);
    free(expected);
}

/* ---- the table ------------------------------------------------------------------------------ */

/* Each row of the reference: its section's letter and its name. False at the end. */
static bool next_row(char **at, char *section, char name[64])
{
    for (; **at != '\0'; *at = strchr(*at, '\n') + 1) {
        if (**at == '[')
            *section = (*at)[1];
        else if (sscanf(*at, "%63[a-z0-9-] =", name) == 1) {
            *at = strchr(*at, '\n') + 1;
            return true;
        }
    }
    return false;
}

static void every_key_is_documented_and_tested(void **state)
{
    (void)state;
    char *all = reference(), *at = all, section = '?', name[64];
    unsigned rows = 0;
    while (next_row(&at, &section, name)) {
        char help[256], fallback[256];
        assert_int_equal(sscanf(at, " %255[^\n] %255[^\n]", help, fallback), 2);
        assert_true(strlen(help) > 10 && help[strlen(help) - 1] == '.');
        assert_true(strncmp(fallback, "default: ", 9) == 0 ||
                    strncmp(fallback, "required", 8) == 0);
        /* It has a parser, which is tried above with a good value at least. */
        char *line = NULL, *expected = NULL;
        assert_true(asprintf(&line, "%s =", name) > 0);
        char *text = file_with(section, line), *problems = problems_of(text, strlen(text));
        bool tried = strstr(LISTENER, line) != NULL || strstr(BACKEND, line) != NULL ||
                     strstr(RADIUS, line) != NULL;
        for (size_t i = 0; i < sizeof good_values / sizeof *good_values; i++)
            tried = tried || strstr(good_values[i].line, line) != NULL;
        if (!tried)
            fail_msg("no good value for %s is tried", name);
        assert_true(asprintf(&expected, "%s: there is no value\n", name) > 0);
        if (strstr(problems, expected) == NULL && strstr(problems, "stands already") == NULL)
            fail_msg("%s", problems);
        free(line);
        free(text);
        free(problems);
        free(expected);
        rows++;
    }
    assert_true(rows >= 39); /* the reference was not cut short */
    free(all);
}

static char *read_sample(void)
{
    size_t len;
    char *text = config_read_file("conf/sstpgate.conf", &len, stderr);
    assert_non_null(text);
    text = realloc(text, len + 1);
    assert_non_null(text);
    text[len] = '\0';
    return text;
}

/* The section of the sample that starts with this letter, up to the next header. */
static char *sample_section(const char *sample, char letter)
{
    char header[] = {'\n', ';', '[', letter, '\0'};
    const char *start = strstr(sample, header);
    if (start == NULL) {
        memmove(header + 1, header + 2, 3);
        start = strstr(sample, header);
    }
    assert_non_null(start);
    const char *end = strstr(start + 1, "\n[");
    return strndup(start, end == NULL ? strlen(start) : (size_t)(end - start));
}

static void the_sample_has_every_key(void **state)
{
    (void)state;
    char *all = reference(), *at = all, *sample = read_sample(), section = '?', name[64];
    while (next_row(&at, &section, name)) {
        char set[80], shown[80], *part = sample_section(sample, section);
        snprintf(set, sizeof set, "\n%s = ", name);
        snprintf(shown, sizeof shown, "\n;%s = ", name);
        if (strstr(part, set) == NULL && strstr(part, shown) == NULL)
            fail_msg("conf/sstpgate.conf lacks %s in %c", name, section);
        free(part);
    }
    free(all);
    free(sample);
}

/* Each line ";key = value" of the sample is a good one, and those of [gate] show the defaults where
 * these are values. */
static void the_sample_can_be_believed(void **state)
{
    (void)state;
    static const char *const radius[] = {"\n;[radius ",
                                         "\n;listen = 10.0.0.1:1812",
                                         "\n;accounting-listen = ",
                                         "\n;clients = ",
                                         "\n;secret-file = ",
                                         "\n;server = 10.0.0.9",
                                         "\n;accounting-server = "};
    char *sample = read_sample(), *effective;
    /* A section that few need is shown; its lines mean something together only. */
    for (size_t i = 0; i < sizeof radius / sizeof *radius; i++) {
        char *line = strstr(sample, radius[i]);
        assert_non_null(line);
        line[1] = ' ';
    }
    struct config *c = parse_good(sample);
    effective = print(c);
    config_free(c);
    const char *gate_end = strstr(sample, "\n[listener");
    for (char *p = strchr(sample, '\n'); p != NULL; p = strchr(p + 1, '\n')) {
        if (p[1] != ';' || p[2] < 'a' || p[2] > 'z')
            continue;
        p[1] = ' ';
        char *problems;
        c = parse(sample, strlen(sample), &problems);
        /* The keys of another way to verify contradict the sample only, and so does a backend that
         * it has no section for. */
        if (!c->sound && strstr(problems, "is used with") == NULL &&
            strstr(problems, "there is no [backend site]") == NULL &&
            strstr(problems, "without accept-proxy") == NULL)
            fail_msg("%s", problems);
        char *none = NULL;
        assert_true(asprintf(&none, "\n; %.*s: ", (int)strcspn(p + 2, " "), p + 2) > 0);
        bool has_default = strstr(effective, none) == NULL;
        free(none);
        if (p < gate_end && has_default) {
            char *now = print(c);
            assert_string_equal(now, effective);
            free(now);
        }
        config_free(c);
        free(problems);
        p[1] = ';';
    }
    free(effective);
    free(sample);
}

/* Any value that the reader takes fits behind its key when it is printed; those of numbers, rates
 * and durations are short. */
static void a_printed_line_is_never_too_long(void **state)
{
    (void)state;
    char *all = reference();
    unsigned rows = 0;
    for (char *at = all; *at != '\0'; at = strchr(at, '\n') + 1) {
        char name[64], syntax[16];
        if (sscanf(at, "%63[a-z0-9-] = %15[A-Z]", name, syntax) != 2)
            continue;
        if (strcmp(syntax, "RATE") == 0 || strcmp(syntax, "DURATION") == 0)
            continue;
        assert_true(strlen(name) + strlen(" = ") + VALUE_TEXT_MAX <= CONFIG_LINE_MAX);
        rows++;
    }
    assert_true(rows >= 20); /* the reference was understood */
    free(all);
}

/* ---- helpers -------------------------------------------------------------------------------- */

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } table[] = {
        {"", "", 0},
        {"abc", "", 3},
        {"abc", "abc", 0},
        {"abc", "ABC", 0},
        {"abc", "abd", 1},
        {"abc", "ab", 1},
        {"abc", "xabc", 1},
        {"abc", "acb", 1},
        {"listen", "silent", 4},
        {"ca", "abc", 3},
        {"workers", "wrokesr", 2},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(suggest_distance(table[i].a, table[i].b), table[i].distance);
        assert_int_equal(suggest_distance(table[i].b, table[i].a), table[i].distance);
    }
    assert_true(suggest_distance(X50 X50, "a") == SIZE_MAX);
}

static void durations_print_as_short_as_they_can(void **state)
{
    (void)state;
    static const struct {
        uint32_t ms;
        const char *text;
    } table[] = {{0, "0ms"},
                 {1, "1ms"},
                 {1000, "1s"},
                 {1001, "1001ms"},
                 {60000, "1m"},
                 {61000, "61s"},
                 {3600000, "1h"},
                 {86400000, "1d"},
                 {90000000, "25h"},
                 {2592000000, "30d"},
                 {4294967295, "4294967295ms"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[VALUE_DURATION_SIZE];
        value_duration_format(table[i].ms, text);
        assert_string_equal(text, table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_values_print_as_themselves),
        cmocka_unit_test(bad_values_are_explained),
        cmocka_unit_test(problems_of_whole_files),
        cmocka_unit_test(a_backend_has_so_many_servers),
        cmocka_unit_test(what_inih_hides_is_found),
        cmocka_unit_test(the_longest_value_arrives_whole),
        cmocka_unit_test(lists_may_be_longer_than_a_line),
        cmocka_unit_test(defaults),
        cmocka_unit_test(listeners_find_their_backend),
        cmocka_unit_test(lines_of_keys),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(admin_is_found),
        cmocka_unit_test(what_rules_name_is_opened),
        cmocka_unit_test(paths_start_at_the_file),
        cmocka_unit_test(every_key_is_documented_and_tested),
        cmocka_unit_test(the_sample_has_every_key),
        cmocka_unit_test(the_sample_can_be_believed),
        cmocka_unit_test(a_printed_line_is_never_too_long),
        cmocka_unit_test(distances),
        cmocka_unit_test(durations_print_as_short_as_they_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

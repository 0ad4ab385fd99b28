#include "config/config_type_tls.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/uri.h"
#include "base/value.h"
#include "config/config_sections.h"

/* Reads a list for OpenSSL, one name on each line or joined by ':' as in OpenSSL. OpenSSL checks
 * the names when the SSL_CTX is created. */
static bool parse_ciphers(struct config_input *in, const struct config_key *k, void *at,
                          const char *text)
{
    static const char name_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789_-.+!@=";
    char **list = at, *joined = NULL;
    for (const char *p = text;; p++) {
        size_t n = strspn(p, name_bytes);
        p += n;
        if (n == 0 || (*p != ':' && *p != '\0')) {
            config_problem(in, in->line, "%s: '%s' is not a list of names joined by ':'", k->name,
                           text);
            return false;
        }
        if (*p == '\0')
            break;
    }
    if (*list == NULL) {
        *list = config_type_copy(text);
        return true;
    }
    if (asprintf(&joined, "%s:%s", *list, text) < 0)
        joined = NULL;
    insist_alloc(joined);
    free(*list);
    *list = joined;
    return true;
}

/* Prints one name on each line, because the whole list may be too long for a line. */
static bool print_ciphers(FILE *out, const struct config_key *k, const void *at)
{
    char *const *list = at;
    const char *p = *list;
    if (p == NULL)
        return false;
    for (;;) {
        size_t n = strcspn(p, ":");
        fprintf(out, "%s = %.*s\n", k->name, (int)n, p);
        if (p[n] == '\0')
            return true;
        p += n + 1;
    }
}

const struct config_type config_type_ciphers = {.syntax = "LIST",
                                                .parse = parse_ciphers,
                                                .print = print_ciphers,
                                                .fini = config_type_fini_text};

/* Adds an invalid certificate, too, so that the keys below it do not seem to have none. */
static bool parse_certificate(struct config_input *in, const struct config_key *k, void *at,
                              const char *text)
{
    struct config_listener *l = at;
    char *file = config_type_read_path(in, k, text);
    l->certificate = config_grow(l->certificate, l->certificate_count, sizeof *l->certificate);
    l->certificate[l->certificate_count++] =
        (struct config_certificate){.line = in->line, .file = file};
    return file != NULL;
}

/* Prints each certificate, followed by its key and files. */
static bool print_certificates(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_listener *l = at;
    for (size_t i = 0; i < l->certificate_count; i++) {
        const struct config_certificate *c = &l->certificate[i];
        config_type_print_line(out, k, c->file);
        if (c->key != NULL)
            fprintf(out, "key = %s\n", c->key);
        if (c->passphrase_file != NULL)
            fprintf(out, "passphrase-file = %s\n", c->passphrase_file);
        if (c->ocsp_file != NULL)
            fprintf(out, "ocsp-file = %s\n", c->ocsp_file);
    }
    return l->certificate_count > 0;
}

static void fini_certificates(void *at)
{
    struct config_listener *l = at;
    for (size_t i = 0; i < l->certificate_count; i++) {
        free(l->certificate[i].file);
        free(l->certificate[i].key);
        free(l->certificate[i].passphrase_file);
        free(l->certificate[i].ocsp_file);
    }
    free(l->certificate);
}

const struct config_type config_type_certificate = {.syntax = "PATH",
                                                    .parse = parse_certificate,
                                                    .print = print_certificates,
                                                    .fini = fini_certificates};

/* Reads a place that belongs to the certificate above it. part, line: offsets in
 * config_certificate. read: returns the value to store; NULL: it has reported a problem. */
static bool parse_part(struct config_input *in, const struct config_key *k, void *at,
                       const char *text, size_t part, size_t line,
                       char *(*read)(struct config_input *in, const struct config_key *k,
                                     const char *text))
{
    struct config_listener *l = at;
    if (l->certificate_count == 0) {
        config_problem(in, in->line, "%s: no `certificate` is above this line", k->name);
        return false;
    }
    struct config_certificate *c = &l->certificate[l->certificate_count - 1];
    char **field = (char **)((char *)c + part);
    if (*field != NULL) {
        config_problem(in, in->line, "%s: already set for the certificate on line %u", k->name,
                       c->line);
        return false;
    }
    *field = read(in, k, text);
    *(unsigned *)((char *)c + line) = in->line;
    return *field != NULL;
}

/* Returns what is wrong with a URI; NULL: nothing that can be found without its provider. The
 * messages do not contain the URI, because it may contain a PIN. */
static const char *uri_problem(const char *uri)
{
    static const char *const programs[] = {"store", "engine"};

    if (uri_has_attribute(uri, "pin-value"))
        return "pin-value: the PIN would be in the configuration: write it to a file, set "
               "passphrase-file, and remove pin-value";
    if (uri_has_scheme(uri, "env"))
        return "a variable is written ${NAME}";
    if (uri_has_scheme(uri, "file"))
        return "the URI names a file of another host, or none: write a path";
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (uri_has_scheme(uri, programs[i]))
            return "another program's form: write the path of a file, or the URI alone, such as "
                   "pkcs11:token=NAME;object=NAME;type=private";
    return NULL;
}

/* Reads a path, or a URI, which remains as it is. */
static char *read_key(struct config_input *in, const struct config_key *k, const char *text)
{
    const char *file = uri_file(text);
    const char *problem;

    if (file != NULL || uri_scheme(text) == 0)
        return config_type_read_path(in, k, file == NULL ? text : file);
    problem = uri_problem(text);
    if (problem == NULL)
        return config_type_copy(text);
    config_problem(in, in->line, "%s: %s", k->name, problem);
    return NULL;
}

static bool parse_key(struct config_input *in, const struct config_key *k, void *at,
                      const char *text)
{
    return parse_part(in, k, at, text, offsetof(struct config_certificate, key),
                      offsetof(struct config_certificate, key_line), read_key);
}

static bool parse_passphrase_file(struct config_input *in, const struct config_key *k, void *at,
                                  const char *text)
{
    return parse_part(in, k, at, text, offsetof(struct config_certificate, passphrase_file),
                      offsetof(struct config_certificate, passphrase_line), config_type_read_path);
}

static bool parse_ocsp_file(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    return parse_part(in, k, at, text, offsetof(struct config_certificate, ocsp_file),
                      offsetof(struct config_certificate, ocsp_line), config_type_read_path);
}

/* Prints nothing, because print_certificates() prints this key, too. */
static bool print_with_certificate(FILE *out, const struct config_key *k, const void *at)
{
    (void)out, (void)k, (void)at;
    return true;
}

const struct config_type config_type_key = {
    .syntax = "PATH|URI", .parse = parse_key, .print = print_with_certificate};
const struct config_type config_type_passphrase_file = {
    .syntax = "PATH", .parse = parse_passphrase_file, .print = print_with_certificate};
const struct config_type config_type_ocsp_file = {
    .syntax = "PATH", .parse = parse_ocsp_file, .print = print_with_certificate};

static void print_hash(FILE *out, const struct config_key *k, const uint8_t *bytes, size_t n)
{
    fprintf(out, "%s = ", k->name);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%02x", bytes[i]);
    fputc('\n', out);
}

bool config_type_read_pin(struct config_input *in, const struct config_key *k, const char *text,
                          struct config_pin *pin)
{
    size_t n;
    const enum err e = value_hex(text, pin->sha256, sizeof pin->sha256, &n);
    if (e == ERR_OK && n == sizeof((struct config_backend *)0)->binding_sha1) {
        config_problem(in, in->line,
                       "%s: 40 hexadecimal digits are a SHA1, such as the thumbprint that Windows "
                       "shows; write the SHA256",
                       k->name);
        return false;
    }
    if (e != ERR_OK || n != sizeof pin->sha256) {
        config_problem(in, in->line,
                       "%s: not 64 hexadecimal digits, as `openssl x509 -noout -fingerprint "
                       "-sha256` prints after the '='",
                       k->name);
        return false;
    }
    return true;
}

void config_type_print_pin(FILE *out, const struct config_key *k, const struct config_pin *pin)
{
    print_hash(out, k, pin->sha256, sizeof pin->sha256);
}

static bool parse_pin(struct config_input *in, const struct config_key *k, void *at,
                      const char *text)
{
    struct config_backend *be = at;
    struct config_pin pin;

    if (!config_type_read_pin(in, k, text, &pin))
        return false;
    be->pin = config_grow(be->pin, be->pin_count, sizeof *be->pin);
    be->pin[be->pin_count++] = pin;
    return true;
}

static bool print_pin(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_backend *be = at;
    for (size_t i = 0; i < be->pin_count; i++)
        config_type_print_pin(out, k, &be->pin[i]);
    return be->pin_count > 0;
}

static void fini_pin(void *at)
{
    struct config_backend *be = at;
    free(be->pin);
}

const struct config_type config_type_pin = {
    .syntax = "HEX", .parse = parse_pin, .print = print_pin, .fini = fini_pin};

/* Reads a SHA1 or SHA256 hash; its length distinguishes the two. */
static bool parse_cert_hash(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    struct config_backend *be = at;
    uint8_t hash[sizeof be->binding_sha256];
    size_t n = 0;
    enum err e = value_hex(text, hash, sizeof hash, &n);
    bool sha1 = e == ERR_OK && n == sizeof be->binding_sha1;

    if (e != ERR_OK || (!sha1 && n != sizeof be->binding_sha256)) {
        config_problem(in, in->line, "%s: neither 40 (SHA1) nor 64 (SHA256) hexadecimal digits",
                       k->name);
        return false;
    }
    if (sha1 ? be->binding_sha1_known : be->binding_sha256_known) {
        config_problem(in, in->line, "%s: a %s hash is already set: write at most one of each kind",
                       k->name, sha1 ? "SHA1" : "SHA256");
        return false;
    }
    memcpy(sha1 ? be->binding_sha1 : be->binding_sha256, hash, n);
    *(sha1 ? &be->binding_sha1_known : &be->binding_sha256_known) = true;
    return true;
}

static bool print_cert_hash(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_backend *be = at;
    if (be->binding_sha1_known)
        print_hash(out, k, be->binding_sha1, sizeof be->binding_sha1);
    if (be->binding_sha256_known)
        print_hash(out, k, be->binding_sha256, sizeof be->binding_sha256);
    return be->binding_sha1_known || be->binding_sha256_known;
}

const struct config_type config_type_cert_hash = {
    .syntax = "HEX", .parse = parse_cert_hash, .print = print_cert_hash};

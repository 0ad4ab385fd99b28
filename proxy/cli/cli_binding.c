#include "cli/cli_binding.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/insist.h"
#include "base/memo.h"
#include "cli/usage.h"
#include "config/config_load.h"
#include "tls/tls_basics.h"
#include "tls/tls_facts.h"

static const struct usage usage = {
    .synopsis = "usage: sstpgate binding [-c CONF] [-p FILE] LISTENER|FILE\n",
    .help =
        "Prints the SHA1 and SHA256 of each certificate of a listener, or of the certificate in a\n"
        "file (PEM, DER or PKCS#12), and the commands that configure an SSTP server with them:\n"
        "RRAS, HTTP.sys, accel-ppp.\n"
        "\n"
        "  -c, --config CONF           configuration that defines LISTENER\n"
        "  -p, --passphrase-file FILE  file whose first line is the passphrase of a PKCS#12 file\n"
        "  -h, --help                  this text\n"
        "\n"
        "An argument without '/' is the name of a listener or, if there is no such listener, a "
        "file.\n"};

#define PARAMETERS "SYSTEM\\CurrentControlSet\\Services\\SstpSvc\\Parameters"
/* The application that owns a binding in HTTP.sys: that of RRAS (KB 947028). */
#define RRAS_APPID "{ba195980-cd49-458b-9e23-c84ee0adcd75}"

/* ---- one certificate ---- */

static void print_hex(const char *before, const uint8_t *octets, size_t n, const char *behind)
{
    fputs(before, stdout);
    for (size_t i = 0; i < n; i++)
        printf("%02x", octets[i]);
    fputs(behind, stdout);
}

static void print_time(const char *before, time_t t)
{
    char text[32];
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &tm);
    printf("%s%s", before, text);
}

static void print_facts(const char *file, const struct tls_facts *f)
{
    printf("certificate  %s\n", file);
    printf("  subject    %s\n", f->subject);
    printf("  issuer     %s\n", f->issuer);
    for (size_t i = 0; i < f->name_count; i++)
        printf("  %-9s  %s\n", i == 0 ? "names" : "", f->name[i]);
    printf("  key        %s\n", f->key);
    print_time("  valid      ", f->from);
    print_time(" to ", f->until);
    if (f->ca)
        fputs(
            "\n  note       the certificate of a CA (CA:TRUE): clients may refuse it from a server",
            stdout);
    if (f->rivals > 0)
        printf("\n  note       the file has %zu more certificate%s of servers; this is the first",
               f->rivals, f->rivals == 1 ? "" : "s");
    print_hex("\n  SHA1       ", f->sha1, sizeof f->sha1, "\n");
    print_hex("  SHA256     ", f->sha256, sizeof f->sha256, "\n");
}

/* Prints the commands for RRAS (PROTOCOL.md 4.6). RRAS gets only the SHA256; the commands delete a
 * SHA1 from its registry, because it is that of another certificate. */
static void print_rras(const struct tls_facts *f)
{
    puts("\nTo configure RRAS with this certificate (for crypto-binding = passthrough, or "
         "binding-cert-hash).\n"
         "Command prompt, as administrator:\n");
    puts("reg add HKLM\\" PARAMETERS " /v IsHashConfiguredByAdmin /t REG_DWORD /d 1 /f");
    print_hex("reg add HKLM\\" PARAMETERS " /v Sha256CertificateHash /t REG_BINARY /d ", f->sha256,
              sizeof f->sha256, " /f\n");
    puts("reg delete HKLM\\" PARAMETERS " /v Sha1CertificateHash /f 2>nul");
    puts("\nonly if RRAS gets plain HTTP from the gate (tls = no):\n");
    puts("reg add HKLM\\" PARAMETERS " /v UseHttps /t REG_DWORD /d 0 /f");
    puts("reg add HKLM\\" PARAMETERS " /v ListenerPort /t REG_DWORD /d 80 /f");
    puts("\nthen restart it, which ends its calls:\n");
    puts("net stop SstpSvc /y & net start RemoteAccess");
}

static void print_powershell(const struct tls_facts *f)
{
    puts("\nThe same in PowerShell:\n");
    puts("$p = 'HKLM:\\" PARAMETERS "'");
    puts("New-ItemProperty -Path $p -Name IsHashConfiguredByAdmin -PropertyType DWord -Value 1 "
         "-Force");
    fputs("New-ItemProperty -Path $p -Name Sha256CertificateHash -PropertyType Binary -Value "
          "([byte[]](",
          stdout);
    for (size_t i = 0; i < sizeof f->sha256; i++)
        printf("%s0x%02x", i == 0 ? "" : ",", f->sha256[i]);
    puts(")) -Force");
    puts("Remove-ItemProperty -Path $p -Name Sha1CertificateHash -ErrorAction SilentlyContinue");
    puts("\nonly with tls = no:\n");
    puts("New-ItemProperty -Path $p -Name UseHttps -PropertyType DWord -Value 0 -Force");
    puts("New-ItemProperty -Path $p -Name ListenerPort -PropertyType DWord -Value 80 -Force");
    puts("\nthen:\n");
    puts("Restart-Service SstpSvc -Force; Start-Service RemoteAccess");
}

static void print_sslcert(const struct tls_facts *f, const char *ipport)
{
    printf("netsh http delete sslcert ipport=%s\n", ipport);
    printf("netsh http add sslcert ipport=%s certhash=", ipport);
    print_hex("", f->sha1, sizeof f->sha1, " appid=" RRAS_APPID " certstorename=MY\n");
}

/* Prints commands for the addresses of l; NULL: for the addresses that RRAS uses by default. */
static void print_http_sys(const struct tls_facts *f, const struct config_listener *l)
{
    char text[ADDR_TEXT_MAX];

    puts("\nHTTP.sys without a gate (KB 947028), if this certificate is in the machine's store "
         "MY.\n"
         "Command prompt, as administrator; a delete that finds nothing is harmless:\n");
    puts("netsh http show sslcert");
    if (l == NULL) {
        print_sslcert(f, "0.0.0.0:443");
        print_sslcert(f, "[::]:443");
        return;
    }
    bool any = false;
    for (size_t i = 0; i < l->listen_count; i++)
        any = any || (!l->listen_plain[i] && addr_is_any(&l->listen[i]));
    if (!any) /* otherwise it would also be offered on all other addresses */
        puts("netsh http delete sslcert ipport=0.0.0.0:443\n"
             "netsh http delete sslcert ipport=[::]:443");
    for (size_t i = 0; i < l->listen_count; i++)
        if (!l->listen_plain[i])
            print_sslcert(f, addr_format(&l->listen[i], text));
}

static void print_others(const struct tls_facts *f)
{
    puts("\naccel-ppp, section [sstp]:\n");
    print_hex("cert-hash-sha1=", f->sha1, sizeof f->sha1, "\n");
    print_hex("cert-hash-sha256=", f->sha256, sizeof f->sha256, "\n");
    puts("\nsstpgate, if this is the certificate of a backend, or the one that the backend is "
         "configured with:\n");
    print_hex("pin-sha256 = ", f->sha256, sizeof f->sha256, "\n");
    print_hex("binding-cert-hash = ", f->sha256, sizeof f->sha256, "\n");
}

/* Prints everything about a certificate. before: "file:line: " of the configuration, for
 * messages, or empty. */
static bool print_certificate(const struct tls_certificate *c, const struct config_listener *l,
                              const char *before)
{
    char error[TLS_ERROR_MAX];
    struct tls_facts f;

    if (!tls_facts_read(c, &f, error)) {
        fprintf(stderr, "%s%s\n", before, error);
        return false;
    }
    print_facts(c->file, &f);
    print_rras(&f);
    print_powershell(&f);
    print_http_sys(&f, l);
    print_others(&f);
    tls_facts_fini(&f);
    return true;
}

/* ---- which certificate ---- */

static bool print_listener(const struct config_listener *l)
{
    bool ok = true;

    if (l->certificate_count > 1)
        printf("listener %s has %zu certificates. A server can be configured with only one: the "
               "one that its clients see.\n\n",
               l->name, l->certificate_count);
    for (size_t i = 0; i < l->certificate_count; i++) {
        const struct config_certificate *from = &l->certificate[i];
        const struct tls_certificate files = {
            .file = from->file, .key = from->key, .passphrase_file = from->passphrase_file};
        char *before = NULL;
        if (asprintf(&before, "%s:%u: ", l->file, from->line) < 0)
            before = NULL;
        insist_alloc(before);
        if (i > 0)
            puts("\n");
        ok &= print_certificate(&files, l, before);
        free(before);
    }
    return ok;
}

static bool print_file(const char *file, const char *passphrase_file)
{
    const struct tls_certificate c = {
        .file = file, .passphrase_file = passphrase_file, .passphrase_hint = "give -p FILE"};
    return print_certificate(&c, NULL, "");
}

static struct config *load_sound(const char *path, FILE *problems)
{
    struct config *c = config_load(path, problems);
    if (c != NULL && c->sound)
        return c;
    config_free(c);
    return NULL;
}

/* Prints a listener or, if there is no such listener, a file. Errors in the configuration are
 * reported only if neither exists. */
static bool print_word(const char *word, const char *config, const char *passphrase_file)
{
    char suggestion[SUGGEST_TEXT];
    struct memo problems;
    struct config *c = load_sound(config, memo_open(&problems));
    const struct config_listener *l = c == NULL ? NULL : config_find_listener(c, word, suggestion);
    bool ok = false;

    if (l != NULL)
        ok = print_listener(l);
    else if (access(word, F_OK) == 0)
        ok = print_file(word, passphrase_file);
    else if (c == NULL)
        fprintf(stderr, "sstpgate binding: no file '%s', and no listeners:\n%s", word,
                memo_text(&problems));
    else
        fprintf(stderr, "sstpgate binding: no [listener %s] in %s and no file '%s'%s\n", word,
                config, word, suggestion);
    config_free(c);
    memo_free(&problems);
    return ok;
}

int cli_binding(int argc, char **argv, const char *config)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"passphrase-file", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    char error[TLS_BASICS_ERROR_MAX];
    const char *passphrase_file = NULL;
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:p:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': config = optarg; break;
        case 'p': passphrase_file = optarg; break;
        case 'h': return usage_help(&usage);
        default: return usage_wrong(&usage);
        }
    }
    if (optind != argc - 1)
        return usage_wrong(&usage);
    const char *what = argv[optind];
    if (!tls_basics(error)) {
        fprintf(stderr, "sstpgate binding: %s\n", error);
        return EXIT_FAILED;
    }
    return usage_exit(strchr(what, '/') != NULL ? print_file(what, passphrase_file)
                                                : print_word(what, config, passphrase_file));
}

#include "cli/certificates_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/insist.h"
#include "base/json.h"

enum { TIME_TEXT = 32, SHA256_TEXT = 2 * 32 + 1 };

/* One certificate of a listener. */
struct item {
    const struct config_certificate *from;
    struct tls_inspection found;
    char *error; /* NULL: found is set */
};

struct shown_listener {
    const struct config_listener *from;
    struct item *item;
    bool *covered; /* for each name of `host` */
};

struct shown_backend {
    const struct config_backend *from;
    struct tls_findings findings; /* of its CAs */
};

struct certificates_report {
    struct shown_listener *listener;
    struct shown_backend *backend;
    size_t listeners, backends;
    size_t refused, warned, count; /* findings; certificates */
    const struct item *first;      /* the certificate that expires first; NULL: none */
};

/* ---- inspection ---- */

static void count_findings(struct certificates_report *r, const struct tls_findings *f)
{
    for (size_t i = 0; i < f->count; i++) {
        r->refused += f->item[i].level == TLS_REFUSED;
        r->warned += f->item[i].level == TLS_WARNING;
    }
}

static void item_init(struct certificates_report *r, struct item *item,
                      const struct config_certificate *from, time_t now, int warn_days)
{
    char error[TLS_ERROR_MAX];
    const struct tls_certificate files = {.file = from->file,
                                          .key = from->key,
                                          .passphrase_file = from->passphrase_file,
                                          .ocsp_file = from->ocsp_file};

    item->from = from;
    r->count++;
    if (!tls_inspect(&files, now, warn_days, &item->found, error)) {
        item->error = insist_alloc(strdup(error));
        r->refused++;
        return;
    }
    count_findings(r, &item->found.findings);
    if (r->first == NULL || item->found.facts.until < r->first->found.facts.until)
        r->first = item;
}

static bool is_covered(const struct shown_listener *l, const char *host)
{
    for (size_t i = 0; i < l->from->certificate_count; i++)
        if (l->item[i].error == NULL && tls_inspection_covers(&l->item[i].found, host))
            return true;
    return false;
}

static void listener_init(struct certificates_report *r, struct shown_listener *l,
                          const struct config_listener *from, time_t now, int warn_days)
{
    l->from = from;
    l->item = insist_alloc(calloc(from->certificate_count + 1, sizeof *l->item));
    l->covered = insist_alloc(calloc(from->host.count + 1, sizeof *l->covered));
    for (size_t i = 0; i < from->certificate_count; i++)
        item_init(r, &l->item[i], &from->certificate[i], now, warn_days);
    for (size_t i = 0; i < from->host.count; i++) {
        l->covered[i] = is_covered(l, from->host.item[i]);
        r->refused += !l->covered[i];
    }
}

static void backend_init(struct certificates_report *r, struct shown_backend *b,
                         const struct config_backend *from, time_t now)
{
    b->from = from;
    if (from->tls && from->verify == CONFIG_VERIFY_CA && strcmp(from->ca_file, "system") != 0)
        tls_inspect_cas(from->ca_file, now, &b->findings);
    count_findings(r, &b->findings);
}

struct certificates_report *certificates_report_new(const struct config *c,
                                                    const struct config_listener *listener,
                                                    time_t now, int warn_days)
{
    struct certificates_report *r = NEW(struct certificates_report);

    r->listener = insist_alloc(calloc(c->listener_count + 1, sizeof *r->listener));
    r->backend = insist_alloc(calloc(c->backend_count + 1, sizeof *r->backend));
    for (size_t i = 0; i < c->listener_count; i++)
        if (listener == NULL || listener == &c->listener[i])
            listener_init(r, &r->listener[r->listeners++], &c->listener[i], now, warn_days);
    for (size_t i = 0; listener == NULL && i < c->backend_count; i++)
        backend_init(r, &r->backend[r->backends++], &c->backend[i], now);
    return r;
}

void certificates_report_free(struct certificates_report *r)
{
    for (size_t i = 0; i < r->listeners; i++) {
        struct shown_listener *l = &r->listener[i];
        for (size_t k = 0; k < l->from->certificate_count; k++) {
            if (l->item[k].error == NULL)
                tls_inspection_fini(&l->item[k].found);
            free(l->item[k].error);
        }
        free(l->item);
        free(l->covered);
    }
    for (size_t i = 0; i < r->backends; i++)
        tls_findings_fini(&r->backend[i].findings);
    free(r->listener);
    free(r->backend);
    free(r);
}

enum tls_level certificates_report_level(const struct certificates_report *r)
{
    return r->refused > 0 ? TLS_REFUSED : r->warned > 0 ? TLS_WARNING : TLS_REMARK;
}

/* ---- words ---- */

static const char *time_text(time_t t, char out[TIME_TEXT])
{
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
    return out;
}

static const char *sha256_text(const struct tls_facts *f, char out[SHA256_TEXT])
{
    hex_write(out, f->sha256, sizeof f->sha256);
    out[SHA256_TEXT - 1] = '\0';
    return out;
}

static const char *level_word(enum tls_level level)
{
    static const char *const words[] = {
        [TLS_REMARK] = "remark", [TLS_WARNING] = "warning", [TLS_REFUSED] = "error"};
    return words[level];
}

static const char *verify_word(const struct config_backend *b)
{
    static const char *const words[] = {
        [CONFIG_VERIFY_PIN] = "pin", [CONFIG_VERIFY_CA] = "ca", [CONFIG_VERIFY_OFF] = "off"};
    return b->tls ? words[b->verify] : NULL;
}

/* ---- text ---- */

static void text_result(const struct certificates_report *r, FILE *out)
{
    static const char *const words[] = {
        [TLS_REMARK] = "OK", [TLS_WARNING] = "WARNING", [TLS_REFUSED] = "CRITICAL"};

    fprintf(out, "CERTIFICATES %s: %zu certificate%s, %zu error%s, %zu warning%s",
            words[certificates_report_level(r)], r->count, r->count == 1 ? "" : "s", r->refused,
            r->refused == 1 ? "" : "s", r->warned, r->warned == 1 ? "" : "s");
    if (r->first != NULL)
        fprintf(out, "; %d day%s left: %s", r->first->found.days_left,
                r->first->found.days_left == 1 ? "" : "s", r->first->from->file);
    fputc('\n', out);
}

static void text_findings(const struct tls_findings *f, FILE *out)
{
    for (int level = TLS_REFUSED; level >= TLS_REMARK; level--)
        for (size_t i = 0; i < f->count; i++)
            if ((int)f->item[i].level == level)
                fprintf(out, "    %-12s %s\n", level_word(f->item[i].level), f->item[i].text);
}

static void text_list(const char *label, char *const *text, size_t n, FILE *out)
{
    for (size_t i = 0; i < n; i++)
        fprintf(out, "    %-12s %s\n", i == 0 ? label : "", text[i]);
    if (n == 0)
        fprintf(out, "    %-12s none\n", label);
}

static void text_facts(const struct item *item, FILE *out)
{
    const struct tls_inspection *i = &item->found;
    const struct tls_facts *f = &i->facts;
    char from[TIME_TEXT], until[TIME_TEXT], sha256[SHA256_TEXT];

    fprintf(out, "    %-12s %s\n    %-12s %s\n", "subject", f->subject, "issuer", f->issuer);
    text_list("names", f->name, f->name_count, out);
    fprintf(out, "    %-12s %s%s%s\n", "key", f->key, item->from->key == NULL ? "" : ", ",
            item->from->key == NULL ? "" : item->from->key);
    fprintf(out, "    %-12s %s to %s, %d day%s left\n", "valid", time_text(f->from, from),
            time_text(f->until, until), i->days_left, i->days_left == 1 ? "" : "s");
    text_list("chain", i->chain, i->chain_count, out);
    fprintf(out, "    %-12s %s\n", "staple", tls_staple_word(i->staple));
    fprintf(out, "    %-12s %s%s\n", "system CA",
            i->verified ? "verifies it" : "does not verify it: ", i->verified ? "" : i->why_not);
    fprintf(out, "    %-12s %s\n", "SHA256", sha256_text(f, sha256));
}

static void text_item(const struct item *item, FILE *out)
{
    fprintf(out, "  certificate %s\n", item->from->file);
    if (item->error != NULL) {
        fprintf(out, "    %-12s %s\n", level_word(TLS_REFUSED), item->error);
        return;
    }
    text_facts(item, out);
    text_findings(&item->found.findings, out);
}

static void text_listener(const struct shown_listener *l, FILE *out)
{
    fprintf(out, "\nlistener %s\n", l->from->name);
    for (size_t i = 0; i < l->from->host.count; i++)
        fprintf(out, "  host %s: %s\n", l->from->host.item[i],
                l->covered[i] ? "covered" : "ERROR: no certificate has this name");
    for (size_t i = 0; i < l->from->certificate_count; i++)
        text_item(&l->item[i], out);
}

static void text_backend(const struct shown_backend *b, FILE *out)
{
    char sha256[SHA256_TEXT] = "";

    fprintf(out, "\nbackend %s\n", b->from->name);
    if (verify_word(b->from) == NULL) {
        fputs("  no TLS\n", out);
        return;
    }
    fprintf(out, "  verify = %s\n", verify_word(b->from));
    for (size_t i = 0; i < b->from->pin_count; i++) {
        hex_write(sha256, b->from->pin[i].sha256, sizeof b->from->pin[i].sha256);
        fprintf(out, "  pin-sha256 = %s\n", sha256);
    }
    if (b->from->ca_file != NULL)
        fprintf(out, "  ca-file = %s\n", b->from->ca_file);
    text_findings(&b->findings, out);
}

void certificates_report_text(const struct certificates_report *r, FILE *out)
{
    text_result(r, out);
    for (size_t i = 0; i < r->listeners; i++)
        text_listener(&r->listener[i], out);
    for (size_t i = 0; i < r->backends; i++)
        text_backend(&r->backend[i], out);
}

/* ---- JSON ---- */

static void json_pair(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_str(j, value);
}

static void json_list(struct json *j, const char *key, char *const *text, size_t n)
{
    json_key(j, key);
    json_array_begin(j);
    for (size_t i = 0; i < n; i++)
        json_str(j, text[i]);
    json_array_end(j);
}

static void json_finding(struct json *j, enum tls_level level, const char *text)
{
    json_object_begin(j);
    json_pair(j, "level", level_word(level));
    json_pair(j, "text", text);
    json_object_end(j);
}

static void json_findings(struct json *j, const struct tls_findings *f)
{
    json_key(j, "findings");
    json_array_begin(j);
    for (size_t i = 0; i < f->count; i++)
        json_finding(j, f->item[i].level, f->item[i].text);
    json_array_end(j);
}

static void json_facts(struct json *j, const struct tls_inspection *i)
{
    const struct tls_facts *f = &i->facts;
    char text[SHA256_TEXT];

    json_pair(j, "subject", f->subject);
    json_pair(j, "issuer", f->issuer);
    json_list(j, "names", f->name, f->name_count);
    json_pair(j, "serial", f->serial);
    json_pair(j, "key_type", f->key);
    json_pair(j, "not_before", time_text(f->from, text));
    json_pair(j, "not_after", time_text(f->until, text));
    json_key(j, "days");
    json_i64(j, i->days_left);
    json_list(j, "chain", i->chain, i->chain_count);
    json_pair(j, "staple", tls_staple_word(i->staple));
    json_key(j, "verified");
    json_bool(j, i->verified);
    json_pair(j, "why_not", i->why_not);
    json_pair(j, "sha256", sha256_text(f, text));
    json_findings(j, &i->findings);
}

static void json_item(struct json *j, const struct item *item)
{
    json_object_begin(j);
    json_pair(j, "file", item->from->file);
    json_pair(j, "key", item->from->key);
    if (item->error == NULL) {
        json_facts(j, &item->found);
    } else {
        json_key(j, "findings");
        json_array_begin(j);
        json_finding(j, TLS_REFUSED, item->error);
        json_array_end(j);
    }
    json_object_end(j);
}

static void json_listener(struct json *j, const struct shown_listener *l)
{
    json_object_begin(j);
    json_pair(j, "name", l->from->name);
    json_key(j, "hosts");
    json_array_begin(j);
    for (size_t i = 0; i < l->from->host.count; i++) {
        json_object_begin(j);
        json_pair(j, "host", l->from->host.item[i]);
        json_key(j, "covered");
        json_bool(j, l->covered[i]);
        json_object_end(j);
    }
    json_array_end(j);
    json_key(j, "certificates");
    json_array_begin(j);
    for (size_t i = 0; i < l->from->certificate_count; i++)
        json_item(j, &l->item[i]);
    json_array_end(j);
    json_object_end(j);
}

static void json_backend(struct json *j, const struct shown_backend *b)
{
    char sha256[SHA256_TEXT] = "";

    json_object_begin(j);
    json_pair(j, "name", b->from->name);
    json_pair(j, "verify", verify_word(b->from));
    json_key(j, "pins");
    json_array_begin(j);
    for (size_t i = 0; i < b->from->pin_count; i++) {
        hex_write(sha256, b->from->pin[i].sha256, sizeof b->from->pin[i].sha256);
        json_str(j, sha256);
    }
    json_array_end(j);
    json_pair(j, "ca_file", b->from->ca_file);
    json_findings(j, &b->findings);
    json_object_end(j);
}

void certificates_report_json(const struct certificates_report *r, FILE *out)
{
    static const char *const words[] = {
        [TLS_REMARK] = "ok", [TLS_WARNING] = "warning", [TLS_REFUSED] = "critical"};
    struct json j = json_to(out);

    json_object_begin(&j);
    json_pair(&j, "result", words[certificates_report_level(r)]);
    json_key(&j, "listeners");
    json_array_begin(&j);
    for (size_t i = 0; i < r->listeners; i++)
        json_listener(&j, &r->listener[i]);
    json_array_end(&j);
    json_key(&j, "backends");
    json_array_begin(&j);
    for (size_t i = 0; i < r->backends; i++)
        json_backend(&j, &r->backend[i]);
    json_array_end(&j);
    json_object_end(&j);
    fputc('\n', out);
}

#include "cli/probe_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memo.h"

#define PIN "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"

enum { DAY = 24 * 3600, NOW = 1000 * DAY };

static char vpn[] = "vpn.example.com", two[] = "two.example.com", subject[] = "CN=vpn";
static char *names[] = {vpn, two};

/* What a probe of RRAS with TLS 1.2 finds. */
static struct probe_settings settings;
static struct probe_result result;
static struct probe_report report;

static int set_up(void **state)
{
    (void)state;
    settings = (struct probe_settings){
        .host = "10.0.0.5", .port = 443, .name = "10.0.0.5", .http_host = "10.0.0.5"};
    result = (struct probe_result){
        .call = {.step = STEP_LCP,
                 .fault = FAULT_NO_METHOD,
                 .address = "10.0.0.5:443",
                 .tls_version = "TLSv1.2",
                 .cipher = "ECDHE-RSA-AES256-GCM-SHA384",
                 .has_leaf = true,
                 .status = 200,
                 .server = "Microsoft-HTTPAPI/2.0",
                 .mask = SSTP_HASH_SHA256,
                 .offered = {{PPP_EAP, 0}, {PPP_CHAP, 0x81}, {0xc223, 0x99}},
                 .offered_count = 3},
        .version = {PROBE_NO, PROBE_NO, PROBE_YES, PROBE_NO},
        .group = {PROBE_NO, PROBE_YES, PROBE_UNKNOWN},
        .backend = PROBE_YES,
        .backend_min = TLS_1_2,
        .backend_level = -1,
        .without_sni = PROBE_YES,
        .verified = PROBE_NO,
        .why_not = "self-signed certificate",
        .has_facts = true,
        .facts = {.subject = subject,
                  .issuer = subject,
                  .name = names,
                  .name_count = 2,
                  .key = "RSA 2048",
                  .from = NOW - 10 * DAY,
                  .until = NOW + 20 * DAY},
        .head_status = 401,
        .kind = {.kind = KIND_RRAS, .evidence = {"HEAD gets 401"}, .count = 1}};
    memset(result.call.leaf.sha256, 0x5a, BINDING_SHA256);
    report = (struct probe_report){
        .target = "10.0.0.5", .settings = &settings, .result = &result, .now = NOW};
    return 0;
}

static void expect(void (*print)(const struct probe_report *, FILE *), const char *part)
{
    struct memo text;

    print(&report, memo_open(&text));
    if (strstr(memo_text(&text), part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text.text);
    memo_free(&text);
}

static void expect_section(const char *section)
{
    struct memo text;

    probe_report_section(&report, memo_open(&text));
    assert_string_equal(memo_text(&text), section);
    memo_free(&text);
}

#define AUTO "; With users-file, or radius, the stricter value is rewrite.\ncrypto-binding = auto\n"

static void section_with_a_pin(void **state)
{
    (void)state;
    expect_section("[backend rras]\nserver = 10.0.0.5:443\nverify = pin\npin-sha256 = " PIN
                   "\ncheck = http\ncheck-statuses = 401\n" AUTO);
}

static void section_with_a_ca_and_a_name(void **state)
{
    (void)state;
    result.verified = PROBE_YES;
    settings.name = settings.http_host = "vpn.example.com";
    expect_section("[backend rras]\nserver = 10.0.0.5:443\nverify = ca\nca-file = system\n"
                   "sni = vpn.example.com\ncheck = http\ncheck-statuses = 401\n" AUTO);
}

static void section_of_an_old_server(void **state)
{
    (void)state;
    result.backend_min = TLS_1_0;
    expect(probe_report_section, "\ntls-min = 1.0\n");
    result.backend_min = TLS_1_2;
    result.backend_level = 0;
    expect(probe_report_section, "\nsecurity-level = 0\n");
}

static void section_without_tls(void **state)
{
    (void)state;
    settings.plain = true;
    settings.host = "fd00::5";
    settings.port = 80;
    result.head_status = KIND_HEAD_CLOSED;
    result.kind.kind = KIND_SOFTETHER;
    settings.name = settings.http_host = "vpn.example.com";
    expect_section("[backend softether]\nserver = [fd00::5]:80\ntls = no\n"
                   "backend-host = vpn.example.com\ncheck = sstp\n"
                   "; SoftEther does not check the crypto-binding.\ncrypto-binding = auto\n");
}

static void text(void **state)
{
    (void)state;
    expect(probe_report_text, "  TLS          1.2 (not 1.0 1.1 1.3)\n");
    expect(probe_report_text, "  groups       P-256 (not X25519)\n");
    expect(probe_report_text, "    names      vpn.example.com two.example.com\n");
    expect(probe_report_text, "    for 10.0.0.5: NO\n");
    expect(probe_report_text, "1972-09-17T00:00:00Z to 1972-10-17T00:00:00Z, 20 days left\n");
    expect(probe_report_text, "does not verify it: self-signed certificate\n");
    expect(probe_report_text, "    pin-sha256 = " PIN "\n");
    expect(probe_report_text, "  SNI          not needed\n");
    expect(probe_report_text, "  methods      eap ms-chapv2 0xc223/0x99\n");
    expect(probe_report_text, "  likely       RRAS\n               because HEAD gets 401\n");
    expect(probe_report_text, "\n[backend rras]\n");
}

static void dates_and_sni(void **state)
{
    (void)state;
    report.now = NOW + 21 * DAY;
    expect(probe_report_text, ", EXPIRED\n");
    report.now = NOW - 11 * DAY;
    expect(probe_report_text, ", NOT YET\n");
    result.other_leaf = true;
    expect(probe_report_text, "needed: without it another certificate is shown\n");
    result.without_sni = PROBE_NO;
    expect(probe_report_text, "needed: without it the handshake fails\n");
    result.without_sni = PROBE_UNKNOWN;
    result.other_leaf = false;
    expect(probe_report_text, "not tested: --host NAME gives a name\n");
}

static void no_sstp_server(void **state)
{
    (void)state;
    result.call.step = STEP_REQUEST;
    result.call.fault = FAULT_STATUS;
    result.call.status = 404;
    strcpy(result.call.detail, "HTTP status 404");
    report.exit = 5;
    expect(probe_report_text,
           "\nNo SSTP server: request: the server refused the SSTP request: HTTP status 404\n");
    expect(probe_report_json, "\"sstp\":false,\"exit\":5,\"failed_step\":\"request\",\"fault\":"
                              "\"status\",");
    expect(probe_report_json, "\"section\":null");
}

/* A server that says nothing has no answer to any version. */
static void nothing_is_known(void **state)
{
    (void)state;
    memset(result.version, 0, sizeof result.version);
    memset(result.group, 0, sizeof result.group);
    expect(probe_report_text, "  TLS          not known\n  groups       not known\n");
    result.version[0] = PROBE_NO;
    result.group[0] = PROBE_YES;
    expect(probe_report_text, "  TLS          (not 1.0)\n  groups       X25519\n");
}

static void json(void **state)
{
    (void)state;
    expect(probe_report_json, "\"sstp\":true,\"exit\":0,\"failed_step\":null,\"fault\":null,");
    expect(probe_report_json,
           "\"tls_versions\":{\"1.0\":false,\"1.1\":false,\"1.2\":true,\"1.3\":false}");
    expect(probe_report_json, "\"X25519\":false,\"P-256\":true,\"P-384\":null");
    expect(probe_report_json, "\"needs_sni\":false");
    expect(probe_report_json, "\"days\":20,\"verified\":false,\"why_not\":\"self-signed");
    expect(probe_report_json, "\"methods\":[\"eap\",\"ms-chapv2\",\"0xc223/0x99\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(section_with_a_pin, set_up),
                                       cmocka_unit_test_setup(section_with_a_ca_and_a_name, set_up),
                                       cmocka_unit_test_setup(section_of_an_old_server, set_up),
                                       cmocka_unit_test_setup(section_without_tls, set_up),
                                       cmocka_unit_test_setup(text, set_up),
                                       cmocka_unit_test_setup(dates_and_sni, set_up),
                                       cmocka_unit_test_setup(no_sstp_server, set_up),
                                       cmocka_unit_test_setup(nothing_is_known, set_up),
                                       cmocka_unit_test_setup(json, set_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

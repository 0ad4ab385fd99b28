#include "cli/setup_config.h"

#include <string.h>

/* Refuses every server, so the gate fails closed until the line is replaced. */
#define NO_PIN "0000000000000000000000000000000000000000000000000000000000000000"

static const char *answer(const struct setup_config *c, enum setup_question q)
{
    return setup_answer(c->answers, q);
}

static bool has(const char *text)
{
    return text != NULL && *text != '\0';
}

static void write_gate(const struct setup_config *c, FILE *out)
{
    fputs("[gate]\n", out);
    if (c->user != NULL)
        fprintf(out,
                "; A gate that root starts becomes this user. It must be able to read the files "
                "below.\n"
                "user = %s\n",
                c->user);
    if (c->admin != NULL)
        fprintf(out,
                "; Socket of `sstpgate ctl`, and of the verdict that `sstpgate dial` shows.\n"
                "admin = unix:%s\n",
                c->admin);
    else
        fputs("; Socket of `sstpgate ctl`; its directory must exist.\n"
              ";admin = unix:/run/sstpgate/admin.sock\n",
              out);
    fputs("; Metrics and a status page for this machine.\n"
          ";status = 127.0.0.1:9143\n\n",
          out);
}

static void write_listener(const struct setup_config *c, FILE *out)
{
    fprintf(out, "[listener public]\nlisten = %s\n\n", answer(c, SETUP_LISTEN));
    if (has(answer(c, SETUP_ACME)))
        fprintf(
            out,
            "; An ACME client at this address, such as lego, gets a certificate over the port of "
            "SSTP alone\n"
            "; (tls-alpn-01). It need not run between renewals.\n"
            "acme = %s\n\n",
            answer(c, SETUP_ACME));
    if (!setup_answer_is(c->answers, SETUP_CERTIFICATES, "files"))
        fputs("; Self-signed, for a trial: clients must trust it. The gate notices a new file by "
              "itself.\n",
              out);
    else
        fputs("; The gate notices a renewed file by itself, and cuts no tunnel.\n", out);
    fprintf(out, "certificate = %s\n", c->certificate);
    if (has(c->key))
        fprintf(out, "key = %s\n", c->key);
    if (has(answer(c, SETUP_PASSPHRASE)))
        fprintf(out, "passphrase-file = %s\n", answer(c, SETUP_PASSPHRASE));
    fprintf(out,
            "\n; Other names get the answer of a web site without SSTP.\n"
            "host = %s\n\n"
            "; Which clients may connect: without a line, all. Examples, the first match decides:\n"
            ";allow = 198.51.100.0/24\n"
            ";allow = user *@partner.example time Mon-Fri 08:00-18:00 Europe/Berlin\n"
            ";default = deny\n\n",
            answer(c, SETUP_HOST));
}

static void write_placeholders(const struct setup_config *c, FILE *out)
{
    fprintf(out,
            "[backend vpn]\nserver = %s\n"
            "; PLACEHOLDER: the server did not answer when this file was written. This pin refuses "
            "every\n"
            "; server. Replace the section with the output of: sstpgate probe --section %s\n"
            "verify = pin\npin-sha256 = " NO_PIN "\n",
            answer(c, SETUP_SERVER), answer(c, SETUP_SERVER));
    if (has(answer(c, SETUP_SERVER_NAME)))
        fprintf(out, "sni = %s\n", answer(c, SETUP_SERVER_NAME));
}

/* crypto-binding = auto, for a server without a source of keys. */
static void write_without_keys(FILE *out)
{
    fputs(
        "; auto: the gate verifies and re-signs the bindings whose key it knows: with PAP and "
        "CHAP-MD5\n"
        "; always. Without the key of a login by MS-CHAPv2 it forwards the client's binding "
        "unchanged: a\n"
        "; server that checks it (RRAS) then refuses the call, unless it has the gate's "
        "certificate "
        "and key.\n"
        "; One step allows rewrite, which works with every server and detects a man in the "
        "middle of every\n"
        "; login: a line for each user (users-file = users; sstpgate user -f users NAME), or a "
        "section\n"
        "; [radius NAME] between the server and its RADIUS server (for RRAS: NPS). Then delete the "
        "line.\n"
        "crypto-binding = auto\n",
        out);
}

static void write_logins(const struct setup_config *c, FILE *out)
{
    if (setup_answer_is(c->answers, SETUP_LOGINS, "none")) {
        write_without_keys(out);
        return;
    }
    fputs("\n; rewrite: each client's binding is verified with a key of its login, and re-signed "
          "for the\n; server.\ncrypto-binding = rewrite\n",
          out);
    if (setup_answer_is(c->answers, SETUP_LOGINS, "file"))
        fprintf(out,
                "; Written by `sstpgate user`; the gate notices changes by itself.\n"
                "users-file = %s\n",
                answer(c, SETUP_USERS_FILE));
    else
        fputs("radius = logins\n", out);
}

static void write_radius(const struct setup_config *c, FILE *out)
{
    fprintf(out,
            "\n; On the SSTP server, the address of the gate is the RADIUS server; on the RADIUS "
            "server, the\n; gate is the client. Both use the secret.\n"
            "[radius logins]\nlisten = %s\nclients = %s\nserver = %s\nsecret-file = %s\n",
            answer(c, SETUP_RADIUS_LISTEN), answer(c, SETUP_RADIUS_CLIENT), answer(c, SETUP_RADIUS),
            answer(c, SETUP_RADIUS_SECRET));
}

void setup_config_write(const struct setup_config *c, FILE *out)
{
    fprintf(out,
            "; Configuration of sstpgate, written by `sstpgate setup`. sstpgate.conf(5) has every "
            "key.\n"
            ";\n"
            ";   sstpgate -t -c %s\n"
            ";\n"
            "; checks it after a change, and `systemctl reload sstpgate` applies it without "
            "ending a tunnel.\n\n",
            c->path);
    write_gate(c, out);
    write_listener(c, out);
    if (c->probe != NULL)
        probe_report_server(c->probe, out);
    else
        write_placeholders(c, out);
    write_logins(c, out);
    if (setup_answer_is(c->answers, SETUP_LOGINS, "radius"))
        write_radius(c, out);
}

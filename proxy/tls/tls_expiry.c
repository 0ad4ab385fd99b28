#include "tls/tls_expiry.h"

#include <stdio.h>

static int due_step(int days_left)
{
    static const int steps[] = {0, 1, 7, 30};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (days_left < steps[i])
            return steps[i];
    return -1;
}

const char *tls_staple_word(enum tls_staple_state s)
{
    switch (s) {
    case TLS_STAPLE_FRESH: return "good";
    case TLS_STAPLE_STALE: return "expired";
    case TLS_STAPLE_REVOKED: return "revoked";
    case TLS_STAPLE_NONE:
    case TLS_STAPLE_UNUSABLE: break;
    }
    return "none";
}

void tls_expiry_set(struct tls_expiry *e, time_t until, time_t now)
{
    enum { DAY = 24 * 3600 };
    const time_t left = until - now;

    e->until = until;
    e->days_left = (int)((left < 0 ? left - (DAY - 1) : left) / DAY); /* rounded down */
    e->due = due_step(e->days_left);
}

const char *tls_expiry_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX])
{
    if (e->due < 0)
        return NULL;
    if (e->days_left < 0)
        snprintf(out, TLS_ERROR_MAX, "%s: the certificate has expired", e->file);
    else
        snprintf(out, TLS_ERROR_MAX, "%s: the certificate expires in %s%d day%s", e->file,
                 e->days_left == 0 ? "less than " : "", e->days_left == 0 ? 1 : e->days_left,
                 e->days_left <= 1 ? "" : "s");
    return out;
}

static const char *staple_doubt(const struct tls_expiry *e)
{
    switch (e->staple) {
    case TLS_STAPLE_NONE:
    case TLS_STAPLE_FRESH: break;
    case TLS_STAPLE_STALE: return "the OCSP response is stale or not yet valid";
    case TLS_STAPLE_REVOKED: return "the OCSP response does not report the certificate as good";
    case TLS_STAPLE_UNUSABLE: return e->unusable;
    }
    return NULL;
}

const char *tls_staple_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX])
{
    const char *doubt = staple_doubt(e);

    if (doubt == NULL)
        return NULL;
    snprintf(out, TLS_ERROR_MAX, "%s: %s, so no OCSP response is sent", e->ocsp_file, doubt);
    return out;
}

/* Computes the cost of a handshake from the size of the key, because the cost of a signature is
 * proportional to the cube of the size. */
const char *tls_key_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX])
{
    const double times = e->rsa_bits / 2048.0;

    if (e->rsa_bits <= TLS_RSA_USUAL)
        return NULL;
    snprintf(out, TLS_ERROR_MAX,
             "%s: its RSA key has %d bits, so each handshake takes about %.0f times the CPU time "
             "of a 2048-bit key",
             e->file, e->rsa_bits, times * times * times);
    return out;
}

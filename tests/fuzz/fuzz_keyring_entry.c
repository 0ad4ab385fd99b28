/* The first byte is the mode. 0: the rest is an entry as the parsers get it: one that they accept
 * is rebuilt to the same bytes. Otherwise the rest is a sealed entry as a store returns it, as
 * hexadecimal digits: none opens that the vault has not sealed. */
#include <stdlib.h>

#include "base/hex.h"
#include "base/insist.h"
#include "binding/vault.h"
#include "radius/keyring_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct span in)
{
    uint8_t out[KEYRING_ENTRY_MAX];
    struct keyring_outcome o;
    struct keyring_label label;
    struct addr client;
    uint64_t time_ms;

    if (keyring_entry_outcome(in, &o, &time_ms) == ERR_OK) {
        const size_t n = keyring_entry_of_outcome(&o, time_ms, out);
        INSIST(span_eq(span_of(out, n), in));
    }
    if (keyring_entry_client(in, &label, &client, &time_ms) == ERR_OK) {
        const size_t n = keyring_entry_of_client(&label, &client, time_ms, out);
        INSIST(span_eq(span_of(out, n), in));
    }
}

static void open_sealed(struct span in)
{
    static const uint8_t secret[VAULT_SECRET_MIN] = "a secret that no input can know", name[16];
    static struct vault *v;
    uint8_t sealed[512], plain[512];

    if (v == NULL)
        v = vault_new(span_of(secret, sizeof secret));
    if (in.n > 2 * sizeof sealed || !hex_read(in, sealed, in.n / 2))
        return;
    INSIST(!vault_open(v, VAULT_LOGIN, name, span_of(sealed, in.n / 2), plain));
    INSIST(!vault_open(v, VAULT_CLIENT, name, span_of(sealed, in.n / 2), plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] == 0)
        parse(span_of(data + 1, size - 1));
    else
        open_sealed(span_of(data + 1, size - 1));
    return 0;
}

#include "call/tunnels.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/call.h"
#include "policy/backends.h"
#include "site/site.h"

/* A block holds the facts and the texts of some 150 tunnels. The texts of a record are bounded
 * (record_keep), so the facts of one tunnel always fit. */
enum { BLOCK_SIZE = 65536, USUAL_SIZE = sizeof(struct tunnel_facts) + 128 };

struct tunnels_block {
    struct tunnels_block *next;
    size_t used;
    alignas(max_align_t) char bytes[BLOCK_SIZE];
};

/* Returns n bytes with the alignment of a struct or, for a text, of a byte. */
static void *take(struct tunnels *list, size_t n, size_t align)
{
    struct tunnels_block *b = list->blocks;
    size_t at = b == NULL ? BLOCK_SIZE : (b->used + align - 1) / align * align;

    INSIST(n <= BLOCK_SIZE);
    if (at + n > BLOCK_SIZE) {
        b = list->spare;
        if (b == NULL)
            b = insist_alloc(malloc(sizeof *b));
        else
            list->spare = b->next;
        b->next = list->blocks;
        list->blocks = b;
        at = 0;
    }
    b->used = at + n;
    return b->bytes + at;
}

static const char *copy(struct tunnels *list, const char *text)
{
    if (text == NULL)
        return NULL;
    const size_t n = strlen(text) + 1;
    return memcpy(take(list, n, 1), text, n);
}

void tunnels_init(struct tunnels *list)
{
    *list = (struct tunnels){0};
    list->last = &list->first;
}

void tunnels_reserve(struct tunnels *list, size_t count)
{
    for (size_t n = count * USUAL_SIZE / BLOCK_SIZE + 1; n > 0; n--) {
        struct tunnels_block *b = NEW(struct tunnels_block);
        memset(b->bytes, 1, sizeof b->bytes); /* zeros could be one page for all */
        b->next = list->spare;
        list->spare = b;
    }
}

static void blocks_free(struct tunnels_block *b)
{
    while (b != NULL) {
        struct tunnels_block *next = b->next;
        free(b);
        b = next;
    }
}

void tunnels_fini(struct tunnels *list)
{
    blocks_free(list->blocks);
    blocks_free(list->spare);
    tunnels_init(list);
}

bool tunnels_match(const struct call *call, const struct call_filter *filter)
{
    const struct record *r = &call->record;
    char name[BACKENDS_NAME_MAX];
    struct call_facts facts = {.worker = r->worker,
                               .number = r->number,
                               .client = record_has_client(r) ? &r->client : NULL,
                               .user = r->user,
                               .listener = r->listener,
                               .backend = r->backend,
                               .server = r->server};

    if (filter->server != NULL && call->uplink.place != NULL)
        facts.server_name = backends_place_name(call->uplink.place, name);
    return filter_matches(filter, &facts);
}

static void add(struct tunnels *list, const struct call *call)
{
    const struct record *r = &call->record;
    struct tunnel_facts *t = take(list, sizeof *t, alignof(struct tunnel_facts));
    const uint64_t now = call_now(call);

    *t = (struct tunnel_facts){.worker = r->worker,
                               .number = r->number,
                               .age_ms = now - r->started,
                               .client = r->client,
                               .up = r->up,
                               .down = r->down,
                               .method = r->method, /* a literal, as the seven below */
                               .binding = record_binding_word(r->binding),
                               .hash = r->hash,
                               .key = r->key,
                               .tls = r->tls_version,
                               .cipher = r->tls_cipher,
                               .client_records = r->client_records,
                               .server_records = r->server_records,
                               .user = copy(list, r->user),
                               .listener = copy(list, r->listener),
                               .backend = copy(list, r->backend),
                               .server = copy(list, r->server),
                               .host = copy(list, r->host),
                               .sni = copy(list, r->sni)};
    memcpy(t->assigned, r->assigned, sizeof t->assigned);
    record_rates(r, now, &t->up_rate, &t->down_rate);
    *list->last = t;
    list->last = &t->next;
    list->count++;
}

void tunnels_collect(struct tunnels *list, const struct call_set *set,
                     const struct call_filter *filter)
{
    const struct call *call;

    DL_FOREACH(set->list[CALL_RELAY], call) {
        __builtin_prefetch(call->next);
        if (tunnels_match(call, filter))
            add(list, call);
    }
}

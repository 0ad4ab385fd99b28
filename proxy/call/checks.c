#include "call/checks.h"

#include "base/log.h"

enum { LINE_EVERY_MS = 60000, SEEN_MS = 60000 };

bool checks_have_seen(struct checks_seen *seen, const struct addr *addr, uint64_t now_ms)
{
    struct addr host = *addr;

    host.port = 0;
    for (size_t i = 0; i < CHECKS_SEEN; i++)
        if (now_ms < seen->visitor[i].until && addr_equal(&seen->visitor[i].addr, &host))
            return true;
    seen->visitor[seen->next] = (struct checks_visitor){.addr = host, .until = now_ms + SEEN_MS};
    seen->next = (seen->next + 1) % CHECKS_SEEN;
    return false;
}

void checks_count(struct checks *checks, enum check kind)
{
    atomic_fetch_add(&checks->count[kind], 1);
}

void checks_report(struct checks *checks, uint64_t now_ms)
{
    static const char *const keys[CHECK_KINDS] = {[CHECK_SILENT] = "silent",
                                                  [CHECK_TLS] = "tls-only",
                                                  [CHECK_HEAD] = "head",
                                                  [CHECK_PATH] = "path",
                                                  [CHECK_PROXY] = "proxy"};
    unsigned count[CHECK_KINDS], sum = 0;
    struct log_line l;

    if (now_ms < checks->next_line)
        return;
    for (int kind = CHECK_SILENT; kind < CHECK_KINDS; kind++)
        sum += count[kind] = atomic_exchange(&checks->count[kind], 0);
    if (sum == 0)
        return;
    checks->next_line = now_ms + LINE_EVERY_MS;
    log_begin(&l, LOG_LEVEL_INFO, "checks");
    for (int kind = CHECK_SILENT; kind < CHECK_KINDS; kind++)
        log_num(&l, keys[kind], count[kind]);
    log_end(&l);
}

#include "control/report.h"

#include <string.h>

#include "control/report_calls.h"
#include "control/report_gates.h"
#include "control/report_site.h"
#include "control/report_status.h"

static const struct {
    const char *name;
    report_write_kind *write;
} kinds[] = {
    {"status", report_status},     {"tunnels", report_tunnels},
    {"failures", report_failures}, {"listeners", report_listeners},
    {"servers", report_servers},   {"certificates", report_certificates},
    {"bans", report_bans},         {"limits", report_limits},
    {"gates", report_gates},
};

const char *report_kind(size_t index)
{
    return index < sizeof kinds / sizeof *kinds ? kinds[index].name : NULL;
}

bool report_write(struct gate *gate, const char *kind, const struct report_query *q,
                  enum report_form form, FILE *out)
{
    for (size_t i = 0; report_kind(i) != NULL; i++) {
        if (strcmp(kind, kinds[i].name) != 0)
            continue;
        kinds[i].write(gate, q, form, out);
        return true;
    }
    return false;
}

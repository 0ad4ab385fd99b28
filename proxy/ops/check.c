#include "ops/check.h"

#include "call/site.h"
#include "call/snapshot.h"

bool check_config(const char *path, FILE *problems, FILE *print)
{
    struct snapshot *snapshot = snapshot_load(path, problems);
    if (snapshot == NULL)
        return false;
    struct site *site = site_new(snapshot, problems);
    bool ok = snapshot->sound && site != NULL;

    if (ok && print != NULL)
        config_print(snapshot->config, print);
    site_unref(site);
    snapshot_unref(snapshot);
    return ok;
}

#include "ops/check.h"

#include "call/site.h"

bool check_config(const struct config *c, FILE *problems)
{
    struct site_users users;
    struct site_users none = {0};
    bool users_ok = site_users_load(&users, c, problems);
    struct site *site = site_new(c, users_ok ? &users : &none, problems);
    bool ok = users_ok && site != NULL;

    site_free(site);
    if (users_ok)
        site_users_free(&users, c);
    return ok;
}

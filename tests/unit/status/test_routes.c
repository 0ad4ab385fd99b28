#include "status/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static const struct {
    const char *path, *name, *methods;
    enum route_kind kind;
} cases[] = {
    {"/", "html", "GET, HEAD", ROUTE_PAGE},
    {"/page.js", "js", "GET, HEAD", ROUTE_PAGE},
    {"/healthz", "healthz", "GET, HEAD", ROUTE_HEALTH},
    {"/readyz", "readyz", "GET, HEAD", ROUTE_READY},
    {"/metrics", "metrics", "GET, HEAD", ROUTE_METRICS},
    {"/api/v1/bans", "bans", "GET, HEAD", ROUTE_VIEW},
    {"/api/v1/tunnels", "tunnels", "GET, HEAD", ROUTE_VIEW},
    {"/api/v1/gates", "gates", "GET, HEAD", ROUTE_VIEW},
    {"/api/v1/ban", "ban", "POST", ROUTE_ACTION},
    {"/api/v1/reload", "reload", "POST", ROUTE_ACTION},
};

static void each_path_has_its_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct route *r = route_find(span_str(cases[i].path));
        assert_non_null(r);
        assert_string_equal(r->path, cases[i].path);
        assert_string_equal(r->name, cases[i].name);
        assert_int_equal(r->kind, cases[i].kind);
        assert_string_equal(route_methods(r), cases[i].methods);
        assert_int_equal(route_allows(r, "POST"), cases[i].kind == ROUTE_ACTION);
        assert_int_equal(route_allows(r, "GET"), cases[i].kind != ROUTE_ACTION);
        assert_int_equal(route_allows(r, "HEAD"), cases[i].kind != ROUTE_ACTION);
        assert_false(route_allows(r, "get") || route_allows(r, "") || route_allows(r, "OPTIONS"));
    }
}

static void other_paths_have_none(void **state)
{
    static const char *const paths[] = {"",
                                        "//",
                                        "/healthz/",
                                        "/HEALTHZ",
                                        "/api/v1/",
                                        "/api/v1",
                                        "/api/v2/status",
                                        "/metrics?",
                                        "/%6detrics",
                                        "/../",
                                        "*",
                                        "/api/v1/ba",
                                        "/api/v1/bans ",
                                        "http://localhost/"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_null(route_find(span_str(paths[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_path_has_its_row),
                                       cmocka_unit_test(other_paths_have_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "control/report_gates.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/memo.h"
#include "gate/gate_state.h"
#include "shared/shared.h"

enum { VALUE_SIZE = 128 };

/* ---- gates ---- */

static const char *const columns[] = {"name",  "version", "started", "tunnels",
                                      "state", "gate",    "mine",    NULL};

/* Copies the value of `key=` out of a description, which another gate has written: "" if it has
 * none, or a longer one. Returns out. */
static const char *value_of(const char *info, const char *key, char out[VALUE_SIZE])
{
    const size_t n = strlen(key);

    out[0] = '\0';
    for (const char *at = info; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " ")) {
        if (strncmp(at, key, n) != 0 || at[n] != '=')
            continue;
        const size_t len = strcspn(at + n + 1, " ");
        if (len < VALUE_SIZE) {
            memcpy(out, at + n + 1, len);
            out[len] = '\0';
        }
        break;
    }
    return out;
}

/* Returns a number of a description; -1: none. */
static int64_t number_of(const char *info, const char *key)
{
    char text[VALUE_SIZE], *end;
    const long long n = strtoll(value_of(info, key, text), &end, 10);

    return *text == '\0' || *end != '\0' || n < 0 || n > 253402300799 ? -1 : n;
}

static void gate_row(void *to, const struct shared_gate *g)
{
    struct report_rows *rows = to;
    const int64_t started = number_of(g->info, "started");
    const int64_t tunnels = number_of(g->info, "tunnels");
    char name[VALUE_SIZE], version[VALUE_SIZE], state[VALUE_SIZE], time[REPORT_TIME_SIZE];
    const struct report_field row[] = {
        report_str(value_of(g->info, "name", name)),
        report_str(value_of(g->info, "version", version)),
        started < 0 ? report_null() : report_str(report_time(started * 1000, time)),
        tunnels < 0 ? report_null() : report_int((uint64_t)tunnels),
        report_str(value_of(g->info, "state", state)),
        report_str(g->gate),
        report_bool(g->mine),
    };
    report_rows_add(rows, row);
}

void report_gates(struct gate *gate, const struct report_query *q, enum report_form form, FILE *out)
{
    struct report_rows rows;
    struct shared_state state;

    report_rows_begin(&rows, columns, q, form, out);
    if (shared_service_view(&gate->store) != NULL)
        shared_look(shared_service_view(&gate->store), &state, gate_row, &rows);
    report_rows_end(&rows);
}

const char *report_gates_problem(struct gate *gate, char why[REPORT_WHY_MAX])
{
    struct shared_state state;
    struct memo text;
    FILE *out;

    if (shared_service_view(&gate->store) == NULL)
        return "no store: the configuration has no `shared`";
    shared_look(shared_service_view(&gate->store), &state, NULL, NULL);
    if (state.up)
        return NULL;
    out = memo_open(&text);
    fputs("the store is down: ", out);
    report_print(out, state.why); /* from the store: without a line end */
    (void)snprintf(why, REPORT_WHY_MAX, "%s", memo_text(&text));
    memo_free(&text);
    return why;
}

/* ---- one gate ---- */

struct search {
    const char *name;
    size_t n;
    char *by_process, *by_name;
    bool several; /* by_name */
};

static bool is_name(const struct search *s, const char *name)
{
    return name != NULL && strlen(name) == s->n && memcmp(name, s->name, s->n) == 0;
}

static void search_gate(void *to, const struct shared_gate *g)
{
    struct search *s = to;
    char name[VALUE_SIZE];

    if (is_name(s, g->gate) && s->by_process == NULL) {
        s->by_process = insist_alloc(strdup(g->gate));
    } else if (is_name(s, value_of(g->info, "name", name))) {
        s->several = s->by_name != NULL;
        free(s->by_name);
        s->by_name = insist_alloc(strdup(g->gate));
    }
}

/* Returns what was found; NULL: nothing. */
static char *search_end(struct search *s, const char **problem)
{
    char *found = s->by_process != NULL ? s->by_process : s->several ? NULL : s->by_name;

    *problem = found != NULL ? NULL
               : s->several  ? "several processes have this name; `gates --json` has that of each"
                             : "no such gate; `gates` lists them";
    if (found != s->by_process)
        free(s->by_process);
    if (found != s->by_name)
        free(s->by_name);
    return found;
}

char *report_gates_find(struct gate *gate, const char *name, size_t n, bool *mine,
                        const char **problem, char why[REPORT_WHY_MAX])
{
    const struct shared_service *store = &gate->store;
    struct search s = {.name = name, .n = n};
    struct shared_state state;

    *problem = report_gates_problem(gate, why);
    if (*problem == NULL)
        shared_look(shared_service_view(store), &state, search_gate, &s);
    else if (store->name != NULL && (is_name(&s, store->gate) || is_name(&s, store->name)))
        s.by_process = insist_alloc(strdup(store->gate));
    else
        return NULL;
    char *found = search_end(&s, problem);
    *mine = found != NULL && strcmp(found, store->gate) == 0;
    return found;
}

/* ---- the store ---- */

static void put(struct json *j, const char *key, struct report_field field)
{
    json_key(j, key);
    report_field_json(j, &field);
}

static void print_logins(const struct shared_logins *l, FILE *out)
{
    if (l->vault == NULL)
        return;
    fputs("shared logins:", out);
    for (enum shared_logins_count i = 0; i < SHARED_LOGINS_COUNTS; i++)
        fprintf(out, "%s %s %llu", i == 0 ? "" : ",", shared_logins_word(i),
                atomic_load(&l->count[i]));
    fputc('\n', out);
}

static void json_logins(const struct shared_logins *l, struct json *j)
{
    json_key(j, "logins");
    if (l->vault == NULL) {
        json_null(j);
        return;
    }
    json_object_begin(j);
    for (enum shared_logins_count i = 0; i < SHARED_LOGINS_COUNTS; i++)
        put(j, shared_logins_word(i), report_int(atomic_load(&l->count[i])));
    json_object_end(j);
}

void report_gates_line(struct gate *gate, FILE *out)
{
    struct shared_state state;

    if (shared_service_view(&gate->store) == NULL)
        return;
    shared_look(shared_service_view(&gate->store), &state, NULL, NULL);
    fputs("shared: ", out);
    report_print(out, state.store[0] == '\0' ? "-" : state.store);
    if (state.up)
        fprintf(out, " up, %zu gates\n", state.gates);
    else
        fputs(" down, this gate decides alone: ", out);
    if (!state.up) {
        report_print(out, state.why[0] == '\0' ? "not connected yet" : state.why);
        fputc('\n', out);
    }
    print_logins(&gate->store.logins, out);
}

void report_gates_json(struct gate *gate, struct json *j)
{
    struct shared_state state;

    if (shared_service_view(&gate->store) == NULL) {
        json_null(j);
        return;
    }
    shared_look(shared_service_view(&gate->store), &state, NULL, NULL);
    json_object_begin(j);
    put(j, "store", report_str(state.store));
    put(j, "up", report_bool(state.up));
    put(j, "cause", report_str(state.why));
    put(j, "gates", report_int(state.gates));
    put(j, "questions", report_int(state.questions));
    put(j, "refused", report_int(state.refused));
    put(j, "unavailable", report_int(state.unavailable));
    put(j, "lost", report_int(state.lost));
    json_logins(&gate->store.logins, j);
    json_object_end(j);
}

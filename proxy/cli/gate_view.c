#include "cli/gate_view.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "cli/admin_client.h"

enum { ATTEMPTS = 20, PAUSE_MS = 50 };

/* ---- the table ---- */

/* Takes a cell off the front of *line, and ends it with a NUL. NULL: no cell is left. */
static char *take_cell(char **line)
{
    return *line == NULL ? NULL : strsep(line, "\t");
}

/* Copies the cell of a row that is in this column; NULL: there is none, or it is unknown. */
static char *cell_of(const char *names, const char *row, const char *column)
{
    char *name_line = insist_alloc(strdup(names)), *row_line = insist_alloc(strdup(row));
    char *names_left = name_line, *row_left = row_line, *found = NULL, *name, *cell;

    while ((name = take_cell(&names_left)) != NULL && (cell = take_cell(&row_left)) != NULL)
        if (strcmp(name, column) == 0 && strcmp(cell, "-") != 0)
            found = cell;
    found = found == NULL ? NULL : insist_alloc(strdup(found));
    free(name_line);
    free(row_line);
    return found;
}

static void take_row(struct gate_view *v, const char *names, const char *row)
{
    const struct {
        const char *column;
        char **to;
    } cells[] = {{"id", &v->id},           {"binding", &v->binding}, {"key", &v->key},
                 {"backend", &v->backend}, {"server", &v->server},   {"reason", &v->reason},
                 {"words", &v->words},     {"remedy", &v->remedy},   {"detail", &v->detail}};

    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        *cells[i].to = cell_of(names, row, cells[i].column);
}

/* Finds the first row of the client in an answer, which is changed. */
static bool find_row(struct gate_view *v, char *answer, const char *client)
{
    const char *names = strsep(&answer, "\n");
    char *row;

    while ((row = strsep(&answer, "\n")) != NULL) {
        char *cell = cell_of(names, row, "client");
        const bool found = cell != NULL && strcmp(cell, client) == 0;
        free(cell);
        if (found) {
            take_row(v, names, row);
            return true;
        }
    }
    return false;
}

/* ---- the question ---- */

/* Asks for the rows of the client's address. False: there is none of the client. */
static bool ask(struct gate_view *v, const char *socket, const char *table, const char *client)
{
    struct addr a;
    char text[ADDR_TEXT_MAX], line[2 * ADDR_TEXT_MAX];

    if (addr_parse(client, 0, &a) != ERR_OK)
        return true;
    struct cidr host = {.family = a.family, .bits = a.family == AF_INET ? 32 : 128};
    memcpy(host.ip, a.ip, sizeof host.ip);
    snprintf(line, sizeof line, "%s address %s\n", table, cidr_format(&host, text));
    const int fd = admin_client_dial(socket);
    char *answer = fd < 0 ? NULL : admin_client_ask(fd, line);
    if (answer == NULL) {
        v->problem = insist_alloc(strdup(strerror(errno)));
        return true;
    }
    const bool found = find_row(v, answer, client);
    free(answer);
    return found;
}

void gate_view_tunnel(struct gate_view *v, const char *socket, const char *client)
{
    *v = (struct gate_view){0};
    for (int i = 0; i < ATTEMPTS && !ask(v, socket, "tunnels", client); i++)
        (void)poll(NULL, 0, PAUSE_MS); /* the row appears with the next frame in the gate */
}

void gate_view_failure(struct gate_view *v, const char *socket, const char *client)
{
    *v = (struct gate_view){0};
    for (int i = 0; i < ATTEMPTS && !ask(v, socket, "failures", client); i++)
        (void)poll(NULL, 0, PAUSE_MS);
}

void gate_view_fini(struct gate_view *v)
{
    char *const texts[] = {v->id,     v->binding, v->key,    v->backend, v->server,
                           v->reason, v->words,   v->remedy, v->detail,  v->problem};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    *v = (struct gate_view){0};
}

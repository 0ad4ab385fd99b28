#include "gate/offer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"
#include "base/memo.h"
#include "gate/admin.h"
#include "gate/gate_state.h"
#include "gate/state_text.h"
#include "gate/state_transfer.h"
#include "gate/inherited.h"
#include "net/worker.h"

/* The numbers of calls of two processes do not overlap if the old one accepts fewer than a million
 * calls during the upgrade. */
enum { NUMBERS = 1000000 };

void offer_fd(struct offer *o, int fd, const char *name)
{
    if (o->count == o->room) {
        o->room = 2 * o->room + 16;
        o->fd = insist_alloc(realloc(o->fd, o->room * sizeof *o->fd));
    }
    o->fd[o->count++] = (struct spawn_fd){.fd = fd, .name = insist_alloc(strdup(name))};
}

/* Offers a socket under the next number, and writes its name to names. */
static void offer_socket(struct offer *o, int fd, bool held, FILE *names)
{
    char name[40];

    snprintf(name, sizeof name, "%s%zu", held ? INHERITED_HELD : INHERITED_OURS, o->sockets++);
    fprintf(names, " %s", name);
    offer_fd(o, fd, name);
}

void offer_free(struct offer *o)
{
    for (size_t i = 0; i < o->count; i++)
        free((char *)(uintptr_t)o->fd[i].name);
    free(o->fd);
}

/* ---- sockets ---- */

struct socket_item {
    size_t id;
    int fd;
};

struct socket_list {
    struct calls *calls;
    struct socket_item *item;
    size_t count;
    uint64_t number;
};

static void list_add(void *arg, size_t id, int fd)
{
    struct socket_list *l = arg;

    l->item = insist_alloc(realloc(l->item, (l->count + 1) * sizeof *l->item));
    l->item[l->count].id = id;
    l->item[l->count++].fd = fd;
}

/* Called in the worker's thread. */
static void list_worker(void *arg)
{
    struct socket_list *l = arg;

    calls_doors(l->calls, list_add, l);
    if (l->calls->set.next_number > l->number)
        l->number = l->calls->set.next_number;
}

static void offer_address(struct offer *o, const struct socket_list *l, size_t id,
                          const struct addr *want, bool shared)
{
    struct memo names;
    FILE *out = memo_open(&names);

    for (size_t i = 0; i < l->count; i++)
        if (l->item[i].id == id)
            offer_socket(o, l->item[i].fd, false, out);
    const char *text = memo_text(&names);
    if (*text != '\0')
        state_text_print(
            o->text, &(struct state_item){
                         .kind = STATE_SOCKET,
                         .socket = {.want = *want, .shared = shared, .names = span_str(text + 1)}});
    memo_free(&names);
}

static void offer_listening(struct offer *o, struct gate *gate)
{
    struct socket_list l = {0};

    for (size_t i = 0; i < gate->workers; i++) {
        l.calls = &gate->worker[i].calls;
        worker_call(&gate->worker[i].worker, list_worker, &l);
    }
    for (size_t i = 0; i < gate->sockets.count; i++)
        offer_address(o, &l, gate->sockets.item[i].id, &gate->sockets.item[i].want,
                      gate->sockets.item[i].inherited);
    free(l.item);
    const struct state_item numbers = {.kind = STATE_NUMBERS,
                                       .numbers = (l.number / NUMBERS + 1) * NUMBERS};
    state_text_print(o->text, &numbers);
}

static void offer_radius(struct offer *o, struct gate *gate)
{
    struct socket_list l = {0};
    const struct radius_sockets *s = &gate->radius.sockets;

    radius_service_sockets(&gate->radius, list_add, &l);
    for (size_t i = 0; i < s->count; i++)
        offer_address(o, &l, s->item[i].id, &s->item[i].want, false);
    free(l.item);
}

static void offer_status(struct offer *o, const struct status_service *s)
{
    struct socket_list l = {0};
    struct memo names;

    for (size_t i = 0; i < s->count; i++) {
        if (s->socket[i].path == NULL) {
            list_add(&l, i, s->socket[i].fd);
            offer_address(o, &l, i, &s->socket[i].want, false);
        } else {
            offer_socket(o, s->socket[i].fd, s->socket[i].held, memo_open(&names));
            memo_free(&names);
        }
    }
    free(l.item);
}

/* Other sockets are found by their own address. */
static void offer_others(struct offer *o, struct gate *gate)
{
    struct memo names;

    if (gate->admin == NULL)
        return;
    offer_socket(o, admin_fd(gate->admin), gate->admin_held, memo_open(&names));
    memo_free(&names);
}

/* ---- the state ---- */

bool offer_write_state(int fd, const char *text, size_t n)
{
    return ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 && file_write(fd, text, n);
}

int offer_all(struct offer *o, struct gate *gate, const char *name)
{
    struct memo text;

    o->text = memo_open(&text);
    state_text_begin(o->text);
    offer_listening(o, gate);
    offer_radius(o, gate);
    offer_status(o, &gate->status);
    offer_others(o, gate);
    state_transfer_write(gate, o->text);
    (void)memo_text(&text);
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd >= 0 && !offer_write_state(fd, text.text, text.n)) {
        const int error = errno;
        close(fd);
        errno = error;
        fd = -1;
    }
    memo_free(&text);
    if (fd >= 0)
        offer_fd(o, fd, name);
    return fd;
}

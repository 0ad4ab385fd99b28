#include "shared/shared_reply.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/insist.h"

enum { HEAD_SIZE = 40 }; /* bytes of another program that a report shows */

struct shared_reply {
    enum { REPLY_TEXT, REPLY_ERROR, REPLY_NUMBER, REPLY_LIST, REPLY_NIL } kind;
    int64_t number;
    size_t n; /* bytes, or items */
    char *text;
    struct shared_reply **item; /* NULL: not read yet */
};

void shared_reply_free(struct shared_reply *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; a->item != NULL && i < a->n; i++)
        shared_reply_free(a->item[i]); /* at most SHARED_REPLY_ITEMS deep */
    free(a->item);
    free(a->text);
    free(a);
}

static struct span text_of(const struct shared_reply *a, int kind)
{
    return a == NULL || (int)a->kind != kind ? span_str("") : span_of(a->text, a->n);
}

struct span shared_reply_text(const struct shared_reply *a)
{
    return text_of(a, REPLY_TEXT);
}

struct span shared_reply_error(const struct shared_reply *a)
{
    return text_of(a, REPLY_ERROR);
}

int64_t shared_reply_number(const struct shared_reply *a, int64_t otherwise)
{
    return a == NULL || a->kind != REPLY_NUMBER ? otherwise : a->number;
}

size_t shared_reply_count(const struct shared_reply *a)
{
    return a == NULL || a->kind != REPLY_LIST ? 0 : a->n;
}

const struct shared_reply *shared_reply_item(const struct shared_reply *a, size_t i)
{
    return i < shared_reply_count(a) ? a->item[i] : NULL;
}

#ifdef HAVE_HIREDIS
#include <hiredis/hiredis.h>

struct shared_replies {
    redisReader *reader;
    size_t bytes, items; /* since the last answer; items: in arrays, as announced */
    bool crowded;        /* an answer has more than SHARED_REPLY_ITEMS values */
    bool answered;       /* there was an answer: the server is a store */
    char head[HEAD_SIZE];
    size_t head_n; /* the first bytes of the server */
    char why[SHARED_REPLY_WHY];
};

bool shared_supported(void)
{
    return true;
}

/* ---- the values that the reader builds ---- */

/* The type of a number of elements has changed with version 1. */
#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

/* Returns a new value at its place in the array around it. */
static struct shared_reply *reply_new(const redisReadTask *task)
{
    struct shared_reply *a = NEW(struct shared_reply);

    if (task->parent != NULL) {
        struct shared_reply *around = task->parent->obj;
        around->item[task->idx] = a;
    }
    return a;
}

static void *create_string(const redisReadTask *task, char *text, size_t n)
{
    struct shared_reply *a = reply_new(task);

    a->kind = task->type == REDIS_REPLY_ERROR ? REPLY_ERROR : REPLY_TEXT;
    a->n = n;
    a->text = insist_alloc(malloc(n + 1));
    memcpy(a->text, text, n);
    a->text[n] = '\0';
    return a;
}

/* Counts the items when they are announced, because the memory for an array is allocated then, and
 * hiredis 1 permits arrays in arrays without a limit. */
static void *create_array(const redisReadTask *task, element_count n)
{
    struct shared_replies *r = task->privdata;

    r->crowded = (size_t)n > SHARED_REPLY_ITEMS - r->items;
    if (r->crowded)
        return NULL;
    r->items += (size_t)n;
    struct shared_reply *a = reply_new(task);
    a->kind = REPLY_LIST;
    a->n = (size_t)n;
    a->item = insist_alloc(calloc(a->n + 1, sizeof(struct shared_reply *)));
    return a;
}

static void *create_integer(const redisReadTask *task, long long number)
{
    struct shared_reply *a = reply_new(task);

    a->kind = REPLY_NUMBER;
    a->number = number;
    return a;
}

static void *create_nil(const redisReadTask *task)
{
    struct shared_reply *a = reply_new(task);

    a->kind = REPLY_NIL;
    return a;
}

static void free_object(void *a)
{
    shared_reply_free(a);
}

#if HIREDIS_MAJOR >= 1
static void *create_double(const redisReadTask *task, double value, char *text, size_t n)
{
    (void)value;
    return create_string(task, text, n);
}

static void *create_bool(const redisReadTask *task, int value)
{
    return create_integer(task, value);
}
#endif

static redisReplyObjectFunctions functions = {.createString = create_string,
                                              .createArray = create_array,
                                              .createInteger = create_integer,
                                              .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
                                              .createDouble = create_double,
                                              .createBool = create_bool,
#endif
                                              .freeObject = free_object};

/* ---- the reader ---- */

struct shared_replies *shared_replies_new(void)
{
    struct shared_replies *r = NEW(struct shared_replies);

    r->reader = insist_alloc(redisReaderCreateWithFunctions(&functions));
    r->reader->privdata = r;
    return r;
}

void shared_replies_free(struct shared_replies *r)
{
    if (r == NULL)
        return;
    redisReaderFree(r->reader);
    free(r);
}

void shared_replies_feed(struct shared_replies *r, struct span bytes)
{
    const size_t room = sizeof r->head - r->head_n, n = bytes.n < room ? bytes.n : room;

    if (r->bytes > SHARED_REPLY_BYTES)
        return; /* shared_replies_next reports it */
    if (n > 0)
        memcpy(r->head + r->head_n, bytes.p, n);
    r->head_n += n;
    r->bytes += bytes.n;
    (void)redisReaderFeed(r->reader, (const char *)bytes.p, bytes.n);
}

/* Writes the first line of the server: what other programs send there usually names them. */
static const char *first_line(const struct shared_replies *r, char out[HEAD_SIZE + 1])
{
    size_t n = 0;

    for (; n < r->head_n && r->head[n] != '\r' && r->head[n] != '\n'; n++) {
        out[n] = r->head[n];
        if (out[n] < ' ' || out[n] > '~')
            out[n] = '?';
    }
    out[n] = '\0';
    return out;
}

/* A record of TLS begins with its type: 21, an alert, or 22, a handshake. */
static enum err reader_failed(struct shared_replies *r, const char *why)
{
    char line[HEAD_SIZE + 1];

    if (r->answered || r->head_n == 0)
        snprintf(r->why, sizeof r->why, "%s", why);
    else if (r->head[0] == 21 || r->head[0] == 22)
        snprintf(r->why, sizeof r->why, "it is TLS (rediss)");
    else
        snprintf(r->why, sizeof r->why, "%.70s; it begins with '%s'", why, first_line(r, line));
    return ERR_SYNTAX;
}

enum err shared_replies_next(struct shared_replies *r, struct shared_reply **out)
{
    void *reply = NULL;
    const int failed = redisReaderGetReply(r->reader, &reply);

    if (failed != 0 && r->crowded) { /* hiredis reports it as out of memory */
        (void)reader_failed(r, "an answer has too many values");
        return ERR_TOO_LARGE;
    }
    if (failed != 0)
        return reader_failed(r, r->reader->errstr);
    if (reply == NULL && r->bytes > SHARED_REPLY_BYTES) {
        (void)reader_failed(r, "an answer is too large");
        return ERR_TOO_LARGE;
    }
    if (reply == NULL)
        return ERR_MORE;
    r->answered = true;
    r->items = 0;
    r->bytes = r->reader->len - r->reader->pos;
    *out = reply;
    return ERR_OK;
}

const char *shared_replies_why(const struct shared_replies *r)
{
    return r->why;
}

bool shared_replies_begun(const struct shared_replies *r)
{
    return r->head_n > 0;
}

struct span shared_command(int argc, const char **argv, const size_t *len)
{
    char *bytes = NULL;
    const long long n = redisFormatCommandArgv(&bytes, argc, argv, len);

    INSIST(n > 0);
    struct span copy = span_of(insist_alloc(malloc((size_t)n)), (size_t)n);
    memcpy((void *)copy.p, bytes, copy.n);
    redisFreeCommand(bytes);
    return copy;
}
#else

struct shared_replies {
    char unused;
};

bool shared_supported(void)
{
    return false;
}

struct shared_replies *shared_replies_new(void)
{
    return NEW(struct shared_replies);
}

void shared_replies_free(struct shared_replies *r)
{
    free(r);
}

void shared_replies_feed(struct shared_replies *r, struct span bytes)
{
    (void)r, (void)bytes;
}

enum err shared_replies_next(struct shared_replies *r, struct shared_reply **out)
{
    (void)r, (void)out;
    return ERR_SYNTAX;
}

const char *shared_replies_why(const struct shared_replies *r)
{
    (void)r;
    return "this program was built without hiredis";
}

bool shared_replies_begun(const struct shared_replies *r)
{
    (void)r;
    return false;
}

struct span shared_command(int argc, const char **argv, const size_t *len)
{
    (void)argc, (void)argv, (void)len;
    return span_of(NULL, 0);
}
#endif

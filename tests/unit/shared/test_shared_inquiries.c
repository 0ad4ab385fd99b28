#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/shared_inquiries.h"

/* The object without a thread and a connection: the test answers its commands and sets its clock.
 */
static struct shared *s;
static struct shared_op *sent[400];
static size_t sent_count, asked;
static bool refuses; /* the link takes no command */
static uint64_t now;
static struct shared_answers *answers; /* of the last inquiry that has ended */
static unsigned ended;
static char question[400];
static uint64_t age;

bool __wrap_shared_op_send(struct shared_op *op, struct shared_link *link,
                           const struct shared_settings *settings,
                           const struct shared_counts *counts);
void __wrap_worker_post(struct worker *w, void (*fn)(void *arg), void *arg);
uint64_t __wrap_worker_now(const struct worker *w);

bool __wrap_shared_op_send(struct shared_op *op, struct shared_link *link,
                           const struct shared_settings *settings,
                           const struct shared_counts *counts)
{
    (void)link, (void)settings, (void)counts;
    if (!refuses)
        sent[sent_count++] = op;
    return !refuses;
}

void __wrap_worker_post(struct worker *w, void (*fn)(void *arg), void *arg)
{
    (void)w;
    fn(arg);
}

uint64_t __wrap_worker_now(const struct worker *w)
{
    (void)w;
    return now;
}

static void on_answers(void *arg, struct shared_answers *a)
{
    (void)arg;
    shared_answers_free(answers);
    answers = a;
    ended++;
}

static void on_question(void *arg, const struct shared_question *q)
{
    (void)arg;
    snprintf(question, sizeof question, "%s|%s|%s", q->id, q->text, q->gate);
    age = q->age_ms;
    asked++;
}

static int begin(void **state)
{
    static const struct shared_settings settings = {.prefix = "p:", .gate = "me.1"};
    static const struct shared_ops ops = {.on_answers = on_answers, .on_question = on_question};
    static char gates[][5] = {"me.1", "a.1", "b.1"};

    (void)state;
    s = calloc(1, sizeof *s);
    s->c = &settings;
    s->ops = &ops;
    s->link.state = SHARED_READY;
    for (size_t i = 0; i < 3; i++)
        s->gate[i].gate = gates[i];
    s->gate_count = 3;
    sent_count = asked = ended = 0;
    refuses = false;
    now = 5000;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    shared_inquiries_end(s, "the end");
    for (size_t i = 0; i < sent_count; i++)
        shared_op_free(sent[i]);
    shared_answers_free(answers);
    answers = NULL;
    free(s);
    return 0;
}

/* Returns an answer of the store to PULL: `count` texts. */
static struct shared_reply *list(size_t count, const struct span *text)
{
    struct shared_replies *r = shared_replies_new();
    struct shared_reply *a = NULL;
    char head[32];

    snprintf(head, sizeof head, "*%zu\r\n", count);
    shared_replies_feed(r, span_str(head));
    for (size_t i = 0; i < count; i++) {
        snprintf(head, sizeof head, "$%zu\r\n", text[i].n);
        shared_replies_feed(r, span_str(head));
        shared_replies_feed(r, text[i]);
        shared_replies_feed(r, span_str("\r\n"));
    }
    assert_int_equal(shared_replies_next(r, &a), ERR_OK);
    shared_replies_free(r);
    return a;
}

/* Takes the last command that was sent, and checks its kind. */
static struct shared_op *last(enum shared_script script)
{
    assert_true(sent_count > 0);
    struct shared_op *op = sent[--sent_count];
    assert_int_equal(op->script, script);
    return op;
}

/* Answers the last PULL. a NULL: no answer comes. */
static void pulled(struct shared_reply *a)
{
    struct shared_op *op = last(SHARED_PULL);

    shared_inquiries_pulled(s, op, a);
    shared_reply_free(a);
    shared_op_free(op);
}

/* Answers the last PULL with these texts: a gate and a page in turn, and NULL at the end. */
static void pulled_pages(const char *first, ...)
{
    struct span text[16];
    size_t n = 0;
    va_list more;

    va_start(more, first);
    for (const char *at = first; at != NULL; at = va_arg(more, const char *))
        text[n++] = span_str(at);
    va_end(more);
    pulled(list(n, text));
}

/* Asks a question, and takes the command that sends it. */
static void ask(const char *only)
{
    const size_t before = sent_count;

    shared_inquire(s, "tunnels 5\nuser=x\n", only, NULL);
    assert_int_equal(sent_count, before + 1);
    shared_op_free(last(SHARED_BAN));
    shared_inquiries_tick(s);
}

/* Returns the answers as "gate: page page (missing)", with a line end behind each. */
static const char *result(void)
{
    static char out[512];
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < answers->count; i++) {
        const struct shared_answer *g = &answers->gate[i];
        n += (size_t)snprintf(out + n, sizeof out - n, "%s:", g->gate);
        for (size_t k = 0; k < g->pages && k < 8; k++)
            n += (size_t)snprintf(out + n, sizeof out - n, " %.20s", g->page[k]);
        n += (size_t)snprintf(out + n, sizeof out - n, g->missing == NULL ? "\n" : " (%s)\n",
                              g->missing);
    }
    return out;
}

/* ---- asking ---- */

static void a_question(void **state)
{
    (void)state;
    shared_inquire(s, "tunnels 5\nuser=x\n", NULL, &now);
    const struct shared_op *op = sent[0];
    assert_int_equal(op->script, SHARED_BAN);
    assert_string_equal(op->text[0], "q:me.1.1\ntunnels 5\nuser=x\n");
    assert_string_equal(op->text[1], SHARED_ASK_WORD);
    shared_inquiries_tick(s);
    assert_int_equal(sent_count, 2);
    assert_string_equal(sent[1]->text[0], "me.1.1");
    assert_int_equal(sent[1]->known, 0);
    shared_inquiries_tick(s); /* the first PULL has no answer yet */
    assert_int_equal(sent_count, 2);
    pulled_pages("b.1", ".x", "a.1", ".y", NULL);
    assert_int_equal(ended, 1);
    assert_ptr_equal(answers->arg, &now);
    assert_string_equal(answers->why, "");
    assert_string_equal(result(), "a.1: y\nb.1: x\n");
}

static void a_question_to_one_gate(void **state)
{
    (void)state;
    ask("b.1");
    pulled_pages("a.1", ".x", "b.1", ".y", NULL);
    assert_string_equal(result(), "b.1: y\n");
    shared_inquire(s, "t", "c.1", NULL); /* c.1 is not in the list of gates */
    assert_int_equal(ended, 2);
    assert_int_equal(answers->count, 0);
    shared_inquire(s, "t", "me.1", NULL);
    assert_int_equal(ended, 3);
    assert_int_equal(sent_count, 0);
}

static void questions_that_are_not_sent(void **state)
{
    (void)state;
    char text[SHARED_SUBJECT_MAX + 1];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    shared_inquire(s, text, NULL, NULL);
    assert_string_equal(answers->why, "the question is too long");
    refuses = true;
    shared_inquire(s, "t", NULL, NULL);
    assert_string_equal(answers->why, "the store takes no more commands");
    assert_string_equal(result(), "a.1: (no answer)\nb.1: (no answer)\n");
    refuses = false;
    s->link.state = SHARED_WAITING;
    shared_inquire(s, "t", NULL, NULL);
    assert_string_equal(answers->why, "not connected yet");
    snprintf(s->state.why, sizeof s->state.why, "it is down");
    shared_inquire(s, "t", NULL, NULL);
    assert_string_equal(answers->why, "it is down");
    s->link.state = SHARED_READY;
    s->gate_count = 0;
    shared_inquire(s, "t", NULL, NULL);
    assert_string_equal(answers->why, "the store has not named the other gates yet");
    assert_int_equal(sent_count, 0);
    assert_int_equal(ended, 5);
}

static void too_many_questions(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        shared_inquire(s, "t", NULL, NULL);
    assert_int_equal(ended, 0);
    shared_inquire(s, "t", NULL, NULL);
    assert_string_equal(answers->why, "too many questions at a time");
    shared_inquiries_end(s, "lost");
    assert_int_equal(ended, 9);
    assert_string_equal(answers->why, "lost");
    shared_inquire(s, "t", NULL, NULL);
    assert_int_equal(ended, 9); /* there is room again */
}

/* ---- pages ---- */

/* The pages of several gates are mixed. Pages after the last one of a gate, of gates that were not
 * asked, and of this gate are ignored. */
static void pages_out_of_order(void **state)
{
    (void)state;
    ask(NULL);
    pulled_pages("b.1", "+1", "a.1", "+1", "me.1", ".0", "b.1", "+2", NULL);
    assert_int_equal(ended, 0);
    assert_int_equal(sent[0]->known, 8); /* asks for the next pages at once */
    pulled_pages("a.1", ".2", "a.1", "+3", "a.1", ".4", "c.1", ".9", NULL);
    assert_int_equal(sent[0]->known, 16);
    pulled_pages("b.1", "", NULL); /* neither the last page nor a further one */
    assert_int_equal(ended, 1);
    assert_string_equal(result(), "a.1: 1 2\nb.1: 1 2 (its answer is damaged)\n");
}

/* The gate does not ask again at once after useless pages, because a hostile store could keep it
 * busy in this way. */
static void pages_of_no_use(void **state)
{
    (void)state;
    ask(NULL);
    pulled_pages("c.1", ".1", "me.1", "+2", NULL);
    assert_int_equal(sent_count, 0);
    shared_inquiries_tick(s);
    assert_int_equal(sent[0]->known, 4);
    pulled_pages(NULL, NULL);
    assert_int_equal(sent_count, 0);
    shared_inquiries_tick(s);
    pulled(NULL); /* the answer is lost */
    shared_inquiries_tick(s);
    assert_int_equal(sent[0]->known, 4);
    refuses = true;
    pulled_pages("a.1", "+1", NULL);
    shared_inquiries_tick(s);
    assert_int_equal(sent_count, 0);
    refuses = false;
    shared_inquiries_tick(s);
    assert_int_equal(sent[0]->known, 6);
    assert_int_equal(ended, 0);
}

static void too_many_pages(void **state)
{
    (void)state;
    ask("a.1");
    for (int i = 0; i < SHARED_PAGES_MAX; i++)
        pulled_pages("a.1", "+x", NULL);
    assert_int_equal(ended, 0);
    pulled_pages("a.1", ".x", NULL);
    assert_int_equal(ended, 1);
    assert_int_equal(answers->gate[0].pages, SHARED_PAGES_MAX);
    assert_string_equal(answers->gate[0].missing, "its answer is damaged");
}

/* The pages of all gates have a common bound, because 64 gates could otherwise fill 2 GB. */
static void too_many_bytes(void **state)
{
    (void)state;
    char *page = malloc(SHARED_PAGE_MAX + 1);
    int rounds = 0;

    memset(page, '+', SHARED_PAGE_MAX + 1);
    const struct span text[] = {span_str("c.1"), span_of(page, SHARED_PAGE_MAX + 1),
                                span_str("a.1"), span_str("+x")};
    ask(NULL);
    for (; ended == 0 && rounds < 1000; rounds++)
        pulled(list(4, text));
    assert_int_equal(ended, 1);
    assert_in_range(rounds, (32 << 20) / SHARED_PAGE_MAX - 1, (32 << 20) / SHARED_PAGE_MAX);
    assert_string_equal(answers->gate[0].missing, "its answer is incomplete");
    assert_string_equal(answers->gate[1].missing, "no answer");
    assert_int_equal(sent_count, 0);
    free(page);
}

static void expect_page(struct span page, const char *missing)
{
    const struct span text[] = {span_str("a.1"), page};
    const unsigned before = ended;

    ask("a.1");
    pulled(list(2, text));
    assert_int_equal(ended, before + 1);
    if (missing == NULL)
        assert_null(answers->gate[0].missing);
    else
        assert_string_equal(answers->gate[0].missing, missing);
}

static void damaged_pages(void **state)
{
    (void)state;
    static const char damaged[] = "its answer is damaged";
    char *page = malloc(SHARED_PAGE_MAX + 2);

    memset(page, '.', SHARED_PAGE_MAX + 2);
    expect_page(span_of(page, SHARED_PAGE_MAX + 1), NULL);
    assert_int_equal(strlen(answers->gate[0].page[0]), SHARED_PAGE_MAX);
    expect_page(span_of(page, SHARED_PAGE_MAX + 2), damaged);
    assert_int_equal(answers->gate[0].pages, 0);
    expect_page(span_str("."), NULL);
    expect_page(span_str(""), damaged);
    expect_page(span_str("x"), damaged);
    expect_page(span_of(".a\0b", 4), damaged);
    free(page);
}

/* ---- time ---- */

static void a_silent_gate(void **state)
{
    (void)state;
    ask(NULL);
    pulled_pages("b.1", ".x", NULL);
    now += SHARED_INQUIRY_MS - 1;
    shared_inquiries_tick(s);
    assert_int_equal(ended, 0);
    now++;
    shared_inquiries_tick(s);
    assert_int_equal(ended, 1);
    assert_string_equal(answers->why, "");
    assert_string_equal(result(), "a.1: (no answer)\nb.1: x\n");
}

static void an_answer_after_the_time_is_over(void **state)
{
    (void)state;
    ask(NULL);
    now += SHARED_INQUIRY_MS;
    shared_inquiries_tick(s);
    assert_int_equal(ended, 1);
    assert_string_equal(result(), "a.1: (no answer)\nb.1: (no answer)\n");
    pulled_pages("a.1", ".x", "b.1", ".y", NULL);
    shared_inquiries_tick(s);
    assert_int_equal(ended, 1);
    assert_int_equal(sent_count, 0);
    assert_string_equal(result(), "a.1: (no answer)\nb.1: (no answer)\n");
}

/* ---- answering ---- */

static void take(const char *subject, const char *by, uint64_t left_ms)
{
    question[0] = '\0';
    shared_inquiries_take(
        s,
        &(struct shared_ban){.subject = subject, .kind = SHARED_ASK, .by = by, .left_ms = left_ms});
}

static void questions_of_others(void **state)
{
    (void)state;
    char subject[200] = "q:";

    take("q:a.1.7\ntunnels 5\n", "a.1", SHARED_QUESTION_MS - 40);
    assert_string_equal(question, "a.1.7|tunnels 5\n|a.1");
    assert_int_equal(age, 40);
    take("q:a.1.7\n", "a.1", UINT64_MAX); /* a hostile store sends a wrong time */
    assert_string_equal(question, "a.1.7||a.1");
    assert_int_equal(age, 0);
    assert_int_equal(asked, 2);
    take("q:me.1.7\ntunnels 5\n", "me.1", 1);
    take("q:\ntunnels 5\n", "a.1", 1);
    take("q:a.1.7", "a.1", 1);
    take("x:a.1.7\ntunnels 5\n", "a.1", 1);
    take("\n", "a.1", 1);
    memset(subject + 2, 'x', 160);
    subject[162] = '\n';
    take(subject, "a.1", 1);
    assert_int_equal(asked, 2);
    subject[161] = '\n';
    take(subject, "a.1", 1);
    assert_int_equal(asked, 3);
}

/* Answers the last PUSH. Returns whether the next page was sent. */
static bool pushed(const char *answer)
{
    struct shared_replies *r = shared_replies_new();
    struct shared_op *op = last(SHARED_PUSH);
    struct shared_reply *a = NULL;

    shared_replies_feed(r, span_str(answer));
    (void)!shared_replies_next(r, &a);
    const bool more = shared_inquiries_pushed(s, op, a);
    if (!more)
        shared_op_free(op);
    shared_reply_free(a);
    shared_replies_free(r);
    return more;
}

static void an_answer_of_several_pages(void **state)
{
    (void)state;
    char *page[] = {(char[]){"x"}, (char[]){"y"}, (char[]){"z"}};

    shared_reply_pages(s, "a.1.7", page, 3);
    assert_string_equal(sent[0]->text[0], "a.1.7");
    assert_false(shared_op_is_last_page(sent[0]));
    assert_true(pushed("*1\r\n:1\r\n"));
    assert_int_equal(sent[0]->known, 1);
    assert_true(pushed("*1\r\n:1\r\n"));
    assert_true(shared_op_is_last_page(sent[0]));
    assert_int_equal(s->inquiries.answering, 1);
    assert_false(pushed("*1\r\n:1\r\n"));
    assert_int_equal(s->inquiries.answering, 0);
    shared_reply_pages(s, "a.1.8", page, 3);
    assert_false(pushed("*1\r\n:0\r\n")); /* the list is full */
    shared_reply_pages(s, "a.1.9", page, 3);
    assert_false(pushed("-ERR no\r\n"));
    shared_reply_pages(s, "a.1.10", page, 3);
    refuses = true;
    assert_false(pushed("*1\r\n:1\r\n"));
    assert_int_equal(s->inquiries.answering, 0);
}

static void too_many_answers(void **state)
{
    (void)state;
    char *page[] = {(char[]){"x"}};

    for (int i = 0; i < 9; i++)
        shared_reply_pages(s, "a.1.7", page, 1);
    assert_int_equal(sent_count, 8);
    assert_false(pushed("*1\r\n:1\r\n"));
    shared_reply_pages(s, "a.1.7", page, 1);
    assert_int_equal(sent_count, 8);
    refuses = true;
    while (s->inquiries.answering > 0)
        assert_false(pushed("*1\r\n:1\r\n"));
    shared_reply_pages(s, "a.1.7", page, 1);
    assert_int_equal(s->inquiries.answering, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_question),
        TEST(a_question_to_one_gate),
        TEST(questions_that_are_not_sent),
        TEST(too_many_questions),
        TEST(pages_out_of_order),
        TEST(pages_of_no_use),
        TEST(too_many_pages),
        TEST(too_many_bytes),
        TEST(damaged_pages),
        TEST(a_silent_gate),
        TEST(an_answer_after_the_time_is_over),
        TEST(questions_of_others),
        TEST(an_answer_of_several_pages),
        TEST(too_many_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

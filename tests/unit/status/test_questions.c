#include "status/questions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct question *ask(struct questions *q, void *owner)
{
    struct question *x = calloc(1, sizeof *x);
    assert_non_null(x);
    x->owner = owner;
    questions_ask(q, x);
    return x;
}

static void questions_are_answered_in_their_order(void **state)
{
    struct questions q;
    int a, b;

    (void)state;
    questions_init(&q);
    assert_null(questions_take(&q));
    struct question *first = ask(&q, &a), *second = ask(&q, &b);
    assert_null(questions_next(&q));
    assert_ptr_equal(questions_take(&q), first);
    assert_ptr_equal(questions_take(&q), second);
    assert_null(questions_take(&q));
    first->text = strdup("text");
    assert_true(questions_answer(&q, first));
    assert_ptr_equal(questions_next(&q), first);
    assert_null(questions_next(&q));
    question_free(first);
    question_free(second);
    question_free(NULL);
    questions_fini(&q);
}

/* The main thread never sees a question that was abandoned before: an action of which the client
 * got the answer that it has not begun does not happen later. */
static void an_abandoned_question_is_not_taken(void **state)
{
    struct questions q;

    (void)state;
    questions_init(&q);
    struct question *x = ask(&q, NULL), *other = ask(&q, NULL);
    assert_true(questions_abandon(&q, x));
    assert_ptr_equal(questions_take(&q), other);
    assert_null(questions_take(&q));
    question_free(other);
    questions_fini(&q);
}

static void an_answer_without_a_request_is_freed(void **state)
{
    struct questions q;

    (void)state;
    questions_init(&q);
    struct question *x = ask(&q, NULL);
    assert_ptr_equal(questions_take(&q), x);
    assert_false(questions_abandon(&q, x));
    x->text = strdup("late");
    assert_false(questions_answer(&q, x));
    assert_null(questions_next(&q));
    questions_fini(&q);
}

static void an_answer_that_has_just_arrived_can_be_abandoned(void **state)
{
    struct questions q;

    (void)state;
    questions_init(&q);
    struct question *x = ask(&q, NULL);
    assert_ptr_equal(questions_take(&q), x);
    assert_true(questions_answer(&q, x));
    assert_false(questions_abandon(&q, x));
    assert_null(questions_next(&q));
    questions_fini(&q);
}

static void the_end_frees_what_is_left(void **state)
{
    struct questions q;

    (void)state;
    questions_init(&q);
    struct question *x = ask(&q, NULL);
    ask(&q, NULL);
    assert_ptr_equal(questions_take(&q), x);
    x->text = strdup("text");
    assert_true(questions_answer(&q, x));
    questions_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_answered_in_their_order),
        cmocka_unit_test(an_abandoned_question_is_not_taken),
        cmocka_unit_test(an_answer_without_a_request_is_freed),
        cmocka_unit_test(an_answer_that_has_just_arrived_can_be_abandoned),
        cmocka_unit_test(the_end_frees_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

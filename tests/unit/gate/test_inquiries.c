#include "gate/inquiries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/insist.h"

static void questions_are_taken_in_their_order(void **state)
{
    struct inquiries q;

    (void)state;
    inquiries_init(&q);
    assert_null(inquiries_take(&q));
    assert_true(inquiries_put(&q, &(struct shared_question){"g1.1", "tunnels 100", "g1", 0}));
    assert_true(inquiries_put(&q, &(struct shared_question){"g2.1", "tunnels 5", "g2", 0}));
    struct inquiry_question *first = inquiries_take(&q);
    assert_string_equal(first->id, "g1.1");
    assert_string_equal(first->text, "tunnels 100");
    assert_string_equal(first->gate, "g1");
    inquiry_question_free(first);
    struct inquiry_question *second = inquiries_take(&q);
    assert_string_equal(second->id, "g2.1");
    inquiry_question_free(second);
    assert_null(inquiries_take(&q));
    inquiries_fini(&q);
}

static void too_many_questions_are_refused(void **state)
{
    struct inquiries q;
    const struct shared_question question = {"g1.1", "tunnels 100", "g1", 0};

    (void)state;
    inquiries_init(&q);
    for (int i = 0; i < INQUIRIES_MAX; i++)
        assert_true(inquiries_put(&q, &question));
    assert_false(inquiries_put(&q, &question));
    inquiry_question_free(inquiries_take(&q));
    assert_true(inquiries_put(&q, &question));
    inquiries_fini(&q); /* frees the rest */
}

static void answers_are_handed_over(void **state)
{
    struct inquiries q;
    struct shared_answers *a = NEW(struct shared_answers);

    (void)state;
    inquiries_init(&q);
    assert_null(inquiries_take_answers(&q));
    inquiries_put_answers(&q, a);
    inquiries_put_answers(&q, NEW(struct shared_answers));
    shared_answers_free(inquiries_take_answers(&q));
    assert_ptr_equal(inquiries_take_answers(&q), a);
    inquiries_put_answers(&q, a);
    inquiries_fini(&q); /* frees the rest */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_taken_in_their_order),
        cmocka_unit_test(too_many_questions_are_refused),
        cmocka_unit_test(answers_are_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

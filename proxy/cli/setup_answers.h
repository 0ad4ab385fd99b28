/* setup_answers: the questions of `sstpgate setup`, and their answers: from options, from the user,
 * or the defaults. An answer is accepted if the configuration would accept it. */
#ifndef SSTPGATE_CLI_SETUP_ANSWERS_H
#define SSTPGATE_CLI_SETUP_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* In the order in which they are asked. */
enum setup_question {
    SETUP_LISTEN,
    SETUP_HOST,
    SETUP_SERVER,
    SETUP_SERVER_NAME,
    SETUP_LOGINS,
    SETUP_USERS_FILE,
    SETUP_USER,
    SETUP_RADIUS,
    SETUP_RADIUS_LISTEN,
    SETUP_RADIUS_CLIENT,
    SETUP_RADIUS_SECRET,
    SETUP_CERTIFICATES,
    SETUP_ACME,
    SETUP_CERTIFICATE,
    SETUP_PASSPHRASE,
    SETUP_KEY,
    SETUP_QUESTIONS
};

struct setup_answers {
    const char *directory;              /* absolute: new files without a path are here */
    const char *given[SETUP_QUESTIONS]; /* by options; NULL: not given */
    char *text[SETUP_QUESTIONS];        /* accepted; NULL: not needed, or not answered yet;
                                           "": none */
    FILE *in;       /* answers of the user, unbuffered; NULL: nothing is asked */
    FILE *out;      /* questions and problems */
    bool exhausted; /* the input has ended */
};

/* Returns the name of the option that answers a question, and its argument for the usage; NULL: it
 * has none, and the answer is its name. */
const char *setup_question_option(enum setup_question q);
const char *setup_question_argument(enum setup_question q);

/* Writes the explanation of each option for the usage. */
void setup_answers_help(FILE *out);

/* Gets the answers to these questions, as far as they are needed. A wrong answer of the user is
 * asked for again; that of an option is an error. Returns false with the reason in a->out: a wrong
 * option, no answer where one is needed, or the end of the input. */
bool setup_answers_get(struct setup_answers *a, enum setup_question first,
                       enum setup_question last);

/* Asks a question with the answers yes and no; without an input returns `otherwise`. */
bool setup_answers_confirm(struct setup_answers *a, const char *question, bool otherwise);

/* Returns the accepted answer; NULL: none. */
const char *setup_answer(const struct setup_answers *a, enum setup_question q);

/* Returns whether the accepted answer is this word. */
bool setup_answer_is(const struct setup_answers *a, enum setup_question q, const char *word);

void setup_answers_fini(struct setup_answers *a);

#endif

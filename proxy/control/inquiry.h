/* inquiry: the questions of an administrator to the other gates that share a store: the list of
 * tunnels, and the end of a tunnel. A question is a line, `tunnels LIMIT` or `end GATE`, and a
 * filter (gate/orders.h); the answer is rows (report_pages.h). Main thread. */
#ifndef SSTPGATE_CONTROL_INQUIRY_H
#define SSTPGATE_CONTROL_INQUIRY_H

#include <stdbool.h>

struct call_filter;
struct gate;
struct inquiry_question;
struct shared_answers;

/* A question that waits for its answers. It is the first member of the caller's struct. */
struct inquiry {
    /* Takes the answers, which are valid during the call; NULL: there is no store. */
    void (*on_answers)(struct inquiry *inquiry, const struct shared_answers *a);
};

/* Asks the gate `only`, or all other gates (NULL). on_answers is called once, later or before this
 * function returns. Returns false, and makes no call, if the filter cannot be written. */
bool inquiry_begin(struct gate *gate, struct inquiry *inquiry, const char *line,
                   const struct call_filter *filter, const char *only);

/* Implement on_question and on_answers of struct gate_control. */
void inquiry_on_question(void *gate, const struct inquiry_question *q);
void inquiry_on_answers(void *gate, const struct shared_answers *a);

#endif

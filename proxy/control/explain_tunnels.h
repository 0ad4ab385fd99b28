/* explain_tunnels: which live tunnels a new configuration would end, without putting it in force.
 * Main thread. */
#ifndef SSTPGATE_CONTROL_EXPLAIN_TUNNELS_H
#define SSTPGATE_CONTROL_EXPLAIN_TUNNELS_H

#include <stdbool.h>
#include <stdio.h>

struct gate;

/* Loads the configuration path as a reload does, and writes the numbers of tunnels, then a table of
 * the tunnels that it would end, or would not admit again: lines with tabs, or a JSON object.
 * Returns NULL, or the reason of a failure; the errors of the configuration were written to out. */
const char *explain_tunnels(struct gate *gate, const char *path, bool json, FILE *out);

#endif

/* radius_section_answers: verifies the answers of a section's servers, puts their keys into the
 * keyring, and sends them to the clients. The RADIUS thread only. */
#ifndef SSTPGATE_RADIUS_RADIUS_SECTION_ANSWERS_H
#define SSTPGATE_RADIUS_RADIUS_SECTION_ANSWERS_H

#include "radius/radius_server.h"

/* Callbacks for radius_server_new; owner: the struct radius_section. */
extern const struct radius_server_calls radius_section_answers;

#endif

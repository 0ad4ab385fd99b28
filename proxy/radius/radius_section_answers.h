/* radius_section_answers: the answers of a section's servers: verified, their keys put into the
 * keyring, and sent to the client. The RADIUS thread only. */
#ifndef SSTPGATE_RADIUS_RADIUS_SECTION_ANSWERS_H
#define SSTPGATE_RADIUS_RADIUS_SECTION_ANSWERS_H

#include "radius/radius_server.h"

/* Callbacks for radius_server_new; owner: the struct radius_section. */
extern const struct radius_server_calls radius_section_answers;

#endif

/* ip_text: addresses as text. Pure: no state, no allocation. */
#ifndef SSTPGATE_WIRE_IP_TEXT_H
#define SSTPGATE_WIRE_IP_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* Takes decimal digits without leading zeros, at most max, off the front of *text. */
bool ip_text_number(struct span *text, unsigned max, unsigned *out);

/* Parses four numbers with dots, all of text. */
bool ip_text_parse4(struct span text, uint8_t ip[4]);

/* Parses all three forms of RFC 4291 2.2, without a zone: all of text. inet_ntop() writes v4-mapped
 * addresses in the third, with dots at the end, so haproxy sends it. */
bool ip_text_parse6(struct span text, uint8_t ip[16]);

#endif

/* radius_fixture: packets for the tests of proxy/radius/. To be included after cmocka.h. */
#ifndef SSTPGATE_TESTS_RADIUS_FIXTURE_H
#define SSTPGATE_TESTS_RADIUS_FIXTURE_H

#include "wire/radius.h"
#include "wire_octets.h"

/* Builds a packet. hex: the attributes. It stays valid until the next call with the same o. */
static inline struct radius_packet packet_of(struct radius_out *o, uint8_t code, const char *hex)
{
    struct span attributes = octets_hex(hex);
    struct cursor c = cursor_of(attributes);
    struct radius_attribute a;
    struct radius_packet p;

    radius_begin(o, code, 1);
    while (radius_next(&c, &a))
        radius_add(o, a.type, a.value);
    octets_free(attributes);
    assert_true(radius_end(o));
    assert_int_equal(radius_parse(span_of(o->octets, o->len), &p), ERR_OK);
    return p;
}

#endif

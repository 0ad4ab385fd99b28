/* ppp_method: the methods of authentication that the observer of PPP distinguishes. */
#ifndef SSTPGATE_WIRE_PPP_METHOD_H
#define SSTPGATE_WIRE_PPP_METHOD_H

#include <stdbool.h>
#include <stdint.h>

enum ppp_method {
    PPP_METHOD_NONE = 0, /* no method was agreed or used yet */
    PPP_METHOD_PAP,
    PPP_METHOD_CHAP_MD5,
    PPP_METHOD_MSCHAPV1,
    PPP_METHOD_MSCHAPV2,
    PPP_METHOD_EAP, /* EAP with an unknown type, or a type that is not listed below */
    PPP_METHOD_EAP_MD5,
    PPP_METHOD_EAP_TLS,
    PPP_METHOD_EAP_PEAP,
    PPP_METHOD_EAP_MSCHAPV2,
};

/* Returns the method that LCP agrees on with an authentication option: its protocol, and the byte
 * behind it (CHAP only). NONE: no method that is known here. */
enum ppp_method ppp_method_of(uint16_t protocol, uint8_t algorithm);

/* Returns a name for the log: "ms-chapv2", "eap-mschapv2", "pap", "none". */
const char *ppp_method_name(enum ppp_method m);

/* Returns whether the method gives both ends keys, so that a binding made with zeros is weak. */
bool ppp_method_has_keys(enum ppp_method m);

#endif

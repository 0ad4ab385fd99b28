#include "wire/ppp_method.h"

#include "wire/ppp_codes.h"
#include "wire/ppp_frame.h"

enum {
    CHAP_ALGORITHM_MD5 = 0x05,
    CHAP_ALGORITHM_MSCHAPV1 = 0x80,
    CHAP_ALGORITHM_MSCHAPV2 = 0x81,
};

enum ppp_method ppp_method_of(uint16_t protocol, uint8_t algorithm)
{
    if (protocol == PPP_PAP)
        return PPP_METHOD_PAP;
    if (protocol == PPP_EAP)
        return PPP_METHOD_EAP;
    if (protocol == PPP_CHAP && algorithm == CHAP_ALGORITHM_MD5)
        return PPP_METHOD_CHAP_MD5;
    if (protocol == PPP_CHAP && algorithm == CHAP_ALGORITHM_MSCHAPV1)
        return PPP_METHOD_MSCHAPV1;
    if (protocol == PPP_CHAP && algorithm == CHAP_ALGORITHM_MSCHAPV2)
        return PPP_METHOD_MSCHAPV2;
    return PPP_METHOD_NONE;
}

const char *ppp_method_name(enum ppp_method m)
{
    switch (m) {
    case PPP_METHOD_NONE: return "none";
    case PPP_METHOD_PAP: return "pap";
    case PPP_METHOD_CHAP_MD5: return "chap-md5";
    case PPP_METHOD_MSCHAPV1: return "ms-chapv1";
    case PPP_METHOD_MSCHAPV2: return "ms-chapv2";
    case PPP_METHOD_EAP: return "eap";
    case PPP_METHOD_EAP_MD5: return "eap-md5";
    case PPP_METHOD_EAP_TLS: return "eap-tls";
    case PPP_METHOD_EAP_PEAP: return "eap-peap";
    case PPP_METHOD_EAP_MSCHAPV2: return "eap-mschapv2";
    }
    return "unknown";
}

bool ppp_method_has_keys(enum ppp_method m)
{
    switch (m) {
    case PPP_METHOD_MSCHAPV1:
    case PPP_METHOD_MSCHAPV2:
    case PPP_METHOD_EAP_TLS:
    case PPP_METHOD_EAP_PEAP:
    case PPP_METHOD_EAP_MSCHAPV2: return true;
    case PPP_METHOD_NONE:
    case PPP_METHOD_PAP:
    case PPP_METHOD_CHAP_MD5:
    case PPP_METHOD_EAP: /* no key is known for these, so no warning is due */
    case PPP_METHOD_EAP_MD5: break;
    }
    return false;
}

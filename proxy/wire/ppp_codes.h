/* ppp_codes: the numbers and lengths in packets of LCP, PAP, CHAP and EAP that more than one file
 * reads or writes. */
#ifndef SSTPGATE_WIRE_PPP_CODES_H
#define SSTPGATE_WIRE_PPP_CODES_H

enum {
    PPP_PACKET_HEAD = 4, /* code, identifier, length; also of the packets inside EAP-MSCHAPv2 */

    /* LCP, RFC 1661 5 and 6; the first four also IPCP's */
    LCP_CONFIGURE_REQUEST = 1,
    LCP_CONFIGURE_ACK = 2,
    LCP_CONFIGURE_REJECT = 4,
    LCP_TERMINATE_REQUEST = 5,
    LCP_PROTOCOL_REJECT = 8,
    LCP_ECHO_REQUEST = 9,
    LCP_ECHO_REPLY = 10,
    LCP_OPTION_AUTH = 3,
    IPCP_OPTION_ADDRESS = 3, /* RFC 1332 3.3 */

    /* RFC 1334 2.2 */
    PAP_REQUEST = 1,
    PAP_ACK = 2,
    PAP_NAK = 3,

    /* RFC 1994 4, RFC 2759 7; also the opcodes of EAP-MSCHAPv2 ([MS-CHAP] 2.2) */
    CHAP_CHALLENGE = 1,
    CHAP_RESPONSE = 2,
    CHAP_SUCCESS = 3,
    CHAP_FAILURE = 4,
    CHAP_CHANGE_PASSWORD = 7,

    /* RFC 3748 4 and 5 */
    EAP_REQUEST = 1,
    EAP_RESPONSE = 2,
    EAP_SUCCESS = 3,
    EAP_FAILURE = 4,
    EAP_TYPE_IDENTITY = 1,
    EAP_TYPE_NOTIFICATION = 2,
    EAP_TYPE_NAK = 3,
    EAP_TYPE_MD5 = 4,
    EAP_TYPE_TLS = 13,
    EAP_TYPE_PEAP = 25,
    EAP_TYPE_MSCHAPV2 = 26,
};

/* MS-CHAP, RFC 2433 and RFC 2759. */
enum {
    PPP_MSCHAPV1_CHALLENGE = 8,
    PPP_MSCHAPV2_CHALLENGE = 16,
    PPP_NT_RESPONSE = 24,
    /* the value of a Response: LM 24 (v1) or challenge 16 and reserved 8 (v2), NT 24, flags 1 */
    PPP_MSCHAP_RESERVED = 8,
    PPP_MSCHAP_NT_AT = PPP_MSCHAPV2_CHALLENGE + PPP_MSCHAP_RESERVED,
    PPP_MSCHAP_VALUE = PPP_MSCHAP_NT_AT + PPP_NT_RESPONSE + 1,
    /* a change of password: encrypted password 516 and hash 16, then the value with flags 2 */
    PPP_NEW_PASSWORD = 516 + 16,
    PPP_CHANGE_PASSWORD_NT_AT = PPP_NEW_PASSWORD + PPP_MSCHAP_NT_AT,
    PPP_CHANGE_PASSWORD = PPP_CHANGE_PASSWORD_NT_AT + PPP_NT_RESPONSE + 2,
    PPP_ERROR_EXPIRED = 648, /* E= of a Failure, RFC 2759 6 */
};

#endif

/* login: the client's side of PAP (RFC 1334), CHAP-MD5 (RFC 1994), MS-CHAPv2 (RFC 2759) and
 * EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2). The server must prove that it knows the password
 * if the method supports that. Pure: packets in, packets out; no clock, no random numbers, no
 * allocation. The struct holds hashes of the password; login_fini wipes them. */
#ifndef SSTPGATE_CLIENT_LOGIN_H
#define SSTPGATE_CLIENT_LOGIN_H

#include "base/span.h"
#include "binding/hlak.h"
#include "binding/mschap.h"
#include "binding/nthash.h"
#include "wire/ppp.h"

/* A set of methods is made of these bits. */
#define LOGIN_BIT(method) (1u << (method))

enum {
    LOGIN_MESSAGE_MAX = 128,
    LOGIN_ANSWERS_MAX = 16, /* packets that answer the server; SoftEther needs five at most */
    LOGIN_PACKET_MAX = 1024 /* bytes of a packet that is sent: PPP_USER_MAX, and a password */
};

struct login_settings {
    struct span user, password; /* the caller's; at most PPP_USER_MAX - 1 and 768 bytes */
    const struct nthash *md4;   /* NULL: no method of Microsoft is possible */
    uint8_t peer_challenge[MSCHAP_CHALLENGE]; /* random */
};

enum login_result {
    LOGIN_PENDING,
    LOGIN_ACCEPTED,
    LOGIN_REFUSED,  /* by the server: `error` and `message` */
    LOGIN_EXPIRED,  /* the server requests a new password (E=648) */
    LOGIN_UNJUDGED, /* the server could not check the password (E=930) */
    LOGIN_IMPOSTOR, /* the server has accepted without a proof that it knows the password */
    LOGIN_NO_TYPE,  /* the server insists on another type of EAP: eap_type */
    LOGIN_UNUSABLE, /* the password is not UTF-8, or OpenSSL has no MD4 or MD5 */
};

typedef void login_send(void *arg, uint16_t protocol, struct span packet);

struct login {
    const struct login_settings *settings;
    login_send *send;
    void *arg;
    enum ppp_method method;
    enum login_result result;
    bool proved;      /* the server has proved that it knows the password */
    unsigned error;   /* E= of a Failure of MS-CHAPv2; 0: none */
    uint8_t eap_type; /* the type that the server requested last */
    unsigned answers;
    uint8_t pap_id;
    uint8_t challenge_id;
    bool answered; /* challenge, nt_response and hash_hash are set */
    uint8_t challenge[MSCHAP_CHALLENGE];
    uint8_t nt_response[NT_RESPONSE], hash_hash[NT_HASH];
    char message[LOGIN_MESSAGE_MAX]; /* of the server, printable ASCII; "": none */
};

/* Begins the login that LCP has agreed on. method: PPP_METHOD_PAP, _CHAP_MD5, _MSCHAPV2 or
 * _EAP_MSCHAPV2. settings must outlive l. */
void login_start(struct login *l, enum ppp_method method, const struct login_settings *settings,
                 login_send *send, void *arg);

/* Sends the request of PAP again; the other methods wait for the server. */
void login_retransmit(struct login *l);

/* Handles a packet of the server: code, identifier and content of a PPP frame that ppp_frame_read
 * has read. Calls send at most once. l->result changes once. */
void login_receive(struct login *l, const struct ppp_frame *f);

/* Writes the key of the login for the crypto-binding, which the caller wipes. */
void login_key(const struct login *l, struct hlak *out);

/* Wipes the secrets. */
void login_fini(struct login *l);

#endif

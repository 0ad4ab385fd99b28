/* fault: the steps of a call, and the faults that can end them: a word for programs, a sentence,
 * the probable cause, and what to look at. */
#ifndef SSTPGATE_CLIENT_FAULT_H
#define SSTPGATE_CLIENT_FAULT_H

/* The steps of a call, in their order. */
enum step {
    STEP_RESOLVE, /* the name */
    STEP_CONNECT, /* TCP */
    STEP_TLS,
    STEP_REQUEST, /* HTTP */
    STEP_SSTP,    /* Connect Request and Ack */
    STEP_LCP,
    STEP_LOGIN,
    STEP_IPCP, /* after Call Connected, which has no answer of its own */
    STEP_PING,
    STEP_UP, /* not a step: all are done */
};

enum fault {
    FAULT_NONE,
    FAULT_LOCAL,     /* this machine */
    FAULT_NAME,      /* the name has no address */
    FAULT_REFUSED,   /* the port is closed */
    FAULT_NO_ROUTE,  /* other errors of connect() */
    FAULT_TIMEOUT,   /* no answer before the deadline, in any step */
    FAULT_CLOSED,    /* the server has closed or reset the connection, in any step */
    FAULT_NOT_TLS,   /* the server has answered with something else */
    FAULT_TLS,       /* the handshake has failed */
    FAULT_UNTRUSTED, /* the certificate does not verify */
    FAULT_PIN,       /* the certificate is not the pinned one */
    FAULT_NOT_HTTP,
    FAULT_STATUS,     /* another status than 200 */
    FAULT_NOT_SSTP,   /* the server does not speak SSTP after its 200 */
    FAULT_NAK,        /* Call Connect Nak */
    FAULT_NO_HASH,    /* the Ack offers no hash protocol that is possible */
    FAULT_ABORTED,    /* SSTP's Abort, in any step but after Call Connected */
    FAULT_ENDED,      /* SSTP's Disconnect, or the end of LCP, in any step */
    FAULT_ENDLESS,    /* the negotiation of LCP or IPCP does not end */
    FAULT_NO_METHOD,  /* no method of authentication in common */
    FAULT_NO_EAP,     /* no type of EAP in common */
    FAULT_PASSWORD,   /* the server has refused the login */
    FAULT_LOGIN_END,  /* the server has ended the call instead of answering the login */
    FAULT_EXPIRED,    /* the password has expired */
    FAULT_UNJUDGED,   /* the server could not check the password */
    FAULT_IMPOSTOR,   /* the server has not proved that it knows the password */
    FAULT_BINDING,    /* Abort after Call Connected */
    FAULT_NO_IPCP,    /* IPCP refused */
    FAULT_NO_ADDRESS, /* IPCP without an address */
    FAULT_NO_PING,    /* no answer to the ping */
    FAULTS
};

struct fault_info {
    const char *word;
    const char *text;  /* a sentence without a full stop */
    const char *blame; /* the probable cause */
    const char *look;  /* places to look at */
};

/* Returns the texts of a fault. */
const struct fault_info *fault_info(enum fault f);

/* Returns a name for output: "resolve", "tls", "login". */
const char *step_name(enum step s);

/* Returns the exit code for a failure in this step: FAULT_EXIT_ and the codes after it. */
enum {
    FAULT_EXIT_CONNECT = 3, /* also the name */
    FAULT_EXIT_TLS = 4,
    FAULT_EXIT_SSTP = 5, /* also HTTP and LCP */
    FAULT_EXIT_LOGIN = 6,
    FAULT_EXIT_BINDING = 7,
    FAULT_EXIT_NETWORK = 8, /* IPCP and the ping */
};
int fault_exit(enum step s, enum fault f);

#endif

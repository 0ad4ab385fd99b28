/* err: what the network, the file system or the user can cause, as a value.
 * What only we can cause is an assertion (see check.h), not one of these. */
#ifndef SSTPGATE_BASE_ERR_H
#define SSTPGATE_BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))

enum err {
    ERR_OK = 0,
    ERR_MORE,      /* a parser wants more octets; nothing was kept, call again with all of them */
    ERR_SYNTAX,    /* not what the specification calls well formed */
    ERR_TOO_LARGE, /* longer than the limit of this parser */
    ERR_VERSION,   /* protocol version we do not speak */
    ERR_LENGTH,    /* a length field that cannot be right */
    ERR_MISSING,   /* something required is not there */
    ERR_DUPLICATE, /* something that must stand once stands twice */
    ERR_RANGE,     /* a value outside of what is allowed */
    ERR_SYSTEM,    /* the operating system refused; errno says why */
    ERR_TLS,       /* OpenSSL refused; its text was taken by the caller */
    ERR_CLOSED,    /* the other side has ended this direction */
};

/* A few words for a log line. Never NULL. */
const char *err_text(enum err e);

#endif

/* err: an error that the network, the file system or the user can cause, as a value. An error that
 * only this program can cause is an assertion instead, see insist.h. */
#ifndef SSTPGATE_BASE_ERR_H
#define SSTPGATE_BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))

enum err {
    ERR_OK = 0,
    ERR_MORE,      /* a parser needs more bytes; it has kept nothing, call again with all of them */
    ERR_SYNTAX,    /* malformed, by the specification */
    ERR_TOO_LARGE, /* longer than the limit of this parser */
    ERR_VERSION,   /* unsupported protocol version */
    ERR_LENGTH,    /* a length field has an impossible value */
    ERR_MISSING,   /* a required part is missing */
    ERR_DUPLICATE, /* a part that may occur once is set twice */
    ERR_RANGE,     /* a value outside of the allowed range */
    ERR_SYSTEM,    /* the operating system refused; errno has the cause */
    ERR_TLS,       /* OpenSSL refused; the callee has kept the text */
    ERR_CLOSED,    /* the peer has ended this direction */
};

/* Returns a few words for a log line; never NULL. */
const char *err_text(enum err e);

#endif

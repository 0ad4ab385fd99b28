#include "base/err.h"

const char *err_text(enum err e)
{
    switch (e) {
    case ERR_OK: return "ok";
    case ERR_MORE: return "incomplete";
    case ERR_SYNTAX: return "malformed";
    case ERR_TOO_LARGE: return "too large";
    case ERR_VERSION: return "wrong version";
    case ERR_LENGTH: return "wrong length";
    case ERR_MISSING: return "required part missing";
    case ERR_DUPLICATE: return "is set twice";
    case ERR_RANGE: return "value not allowed";
    case ERR_SYSTEM: return "system error";
    case ERR_TLS: return "TLS error";
    case ERR_CLOSED: return "closed by the peer";
    }
    return "unknown";
}

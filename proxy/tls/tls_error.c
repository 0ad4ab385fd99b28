#include "tls/tls_error.h"

#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A provider may have the number of ERR_LIB_USER, too, and a table of reasons. */
static bool has_own_text(unsigned long e, const char *data)
{
    return ERR_GET_LIB(e) == ERR_LIB_USER && data != NULL && *data != '\0';
}

/* Reports the oldest entry, because it is the cause; later entries are those of the callers that
 * failed because of it. Entries of ERR_LIB_USER come from the callbacks of this room and have a
 * text of their own. */
void tls_error_text(char out[TLS_ERROR_MAX], const char *what)
{
    const char *data = NULL;
    unsigned long e = ERR_peek_error_data(&data, NULL);
    const char *reason = e == 0 ? NULL : has_own_text(e, data) ? data : ERR_reason_error_string(e);
    if (reason == NULL && ERR_SYSTEM_ERROR(e))
        reason = strerror((int)ERR_GET_REASON(e));
    snprintf(out, TLS_ERROR_MAX, "%s%s%s", what, *what != '\0' ? ": " : "",
             reason == NULL ? "unknown error" : reason);
    ERR_clear_error();
}

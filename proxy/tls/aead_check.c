#include "tls/aead_check.h"

#include <stdio.h>

bool aead_check(const struct aead_library_ops *library, char error[AEAD_ERROR_MAX])
{
    (void)library;
    error[0] = '\0';
    return true;
}

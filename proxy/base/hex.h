/* hex: converts bytes to hexadecimal digits, and back. */
#ifndef SSTPGATE_BASE_HEX_H
#define SSTPGATE_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Reads n bytes. Returns false if text is not 2 * n digits; then out may have a part of the
 * bytes. */
bool hex_read(struct span text, uint8_t *out, size_t n);

/* Writes 2 * n digits in lower case, without a NUL. */
void hex_write(char *out, const uint8_t *octets, size_t n);

#endif

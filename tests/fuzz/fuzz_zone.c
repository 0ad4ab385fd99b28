/* The input is a file of a time zone; its offsets are read at any time and around the changes. */
#include <stddef.h>
#include <stdint.h>

#include "policy/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone *z = zone_parse(data, size);
    if (z == NULL)
        return 0;
    for (int64_t now = -5000000000; now < 10000000000; now += 98765432)
        (void)zone_offset(z, now);
    zone_free(z);
    return 0;
}

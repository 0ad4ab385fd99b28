/* process: the use of processor, memory and files by this process, for the metrics. */
#ifndef SSTPGATE_CONTROL_PROCESS_H
#define SSTPGATE_CONTROL_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Return false if the value is unknown, for example because /proc is missing. */
bool process_cpu_us(uint64_t *us);
bool process_memory(uint64_t *resident, uint64_t *size); /* bytes */
bool process_open_files(uint64_t *count);
bool process_max_files(uint64_t *count); /* UINT64_MAX: no limit */

#endif

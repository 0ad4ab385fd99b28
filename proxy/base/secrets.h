/* secrets: memory for keys. It is excluded from core dumps and wiped when it is freed. Small blocks
 * share pages with other secrets of their size. Any thread. */
#ifndef SSTPGATE_BASE_SECRETS_H
#define SSTPGATE_BASE_SECRETS_H

#include <stddef.h>

enum { SECRETS_MAX = 2048, SECRETS_ALIGN = 64 };

/* Allocates n bytes (1..SECRETS_MAX), all zeros, aligned to SECRETS_ALIGN. Never NULL. */
void *secrets_alloc(size_t n);

/* Wipes and frees p; a no-op for NULL. n: as allocated. */
void secrets_free(void *p, size_t n);

/* Wipes n bytes in a way that the compiler does not remove. */
void secrets_wipe(void *p, size_t n);

/* Returns the bytes that are mapped now. For tests. */
size_t secrets_mapped(void);

#endif

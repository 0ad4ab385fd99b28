#include "base/secrets.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/insist.h"

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define LSAN_REGISTER_ROOT_REGION(p, n) __lsan_register_root_region(p, n)
#define LSAN_UNREGISTER_ROOT_REGION(p, n) __lsan_unregister_root_region(p, n)
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define LSAN_REGISTER_ROOT_REGION(p, n) ((void)(p), (void)(n))
#define LSAN_UNREGISTER_ROOT_REGION(p, n) ((void)(p), (void)(n))
#endif

/* A chunk starts at a multiple of its size, so that the address of a slot gives its chunk. It
 * starts with its head; the slots of one size follow. */
enum { CHUNK = 65536, SIZES = SECRETS_MAX / SECRETS_ALIGN };

struct slot {
    struct slot *next;
};

struct chunk {
    struct chunk *next, *prev; /* a circle of the chunks with a free slot */
    struct slot *spare;        /* slots that were freed */
    uint32_t fresh;            /* offset of the slots that were never used */
    uint32_t used;             /* slots */
};
_Static_assert(sizeof(struct chunk) <= SECRETS_ALIGN, "the first slot is aligned");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct chunk *open_chunks[SIZES]; /* with a free slot; NULL: none */
static size_t mapped;

static void link_chunk(struct chunk **first, struct chunk *c)
{
    c->next = *first == NULL ? c : *first;
    c->prev = *first == NULL ? c : (*first)->prev;
    c->next->prev = c->prev->next = c;
    *first = c;
}

static void unlink_chunk(struct chunk **first, struct chunk *c)
{
    c->next->prev = c->prev;
    c->prev->next = c->next;
    if (*first == c)
        *first = c->next == c ? NULL : c->next;
}

/* Maps twice the size and returns the rest, because mmap() aligns to pages only. */
static struct chunk *map_chunk(void)
{
    uint8_t *p = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    INSIST(p != MAP_FAILED);
    const size_t before = (CHUNK - (uintptr_t)p % CHUNK) % CHUNK;

    if (before > 0)
        INSIST(munmap(p, before) == 0);
    INSIST(munmap(p + before + CHUNK, CHUNK - before) == 0);
    struct chunk *c = (struct chunk *)((uintptr_t)p + before);
    /* An error is ignored: each supported kernel has the call, but qemu-user, for example, has not.
     */
    (void)madvise(c, CHUNK, MADV_DONTDUMP);
    c->fresh = SECRETS_ALIGN;
    mapped += CHUNK;
    LSAN_REGISTER_ROOT_REGION(c, CHUNK);
    ASAN_POISON_MEMORY_REGION((uint8_t *)c + SECRETS_ALIGN, CHUNK - SECRETS_ALIGN);
    return c;
}

static void unmap_chunk(struct chunk *c)
{
    ASAN_UNPOISON_MEMORY_REGION(c, CHUNK);
    LSAN_UNREGISTER_ROOT_REGION(c, CHUNK);
    INSIST(munmap(c, CHUNK) == 0);
    mapped -= CHUNK;
}

static bool is_full(const struct chunk *c, size_t size)
{
    return c->spare == NULL && c->fresh + size > CHUNK;
}

static void *take_slot(struct chunk *c, size_t size)
{
    void *p = c->spare;

    if (p != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(p, sizeof(struct slot));
        c->spare = c->spare->next;
        memset(p, 0, sizeof(struct slot)); /* the other bytes were wiped */
    } else {
        p = (uint8_t *)c + c->fresh;
        c->fresh += (uint32_t)size;
    }
    c->used++;
    return p;
}

static size_t size_of(size_t n)
{
    INSIST(n > 0 && n <= SECRETS_MAX);
    return (n + SECRETS_ALIGN - 1) / SECRETS_ALIGN * SECRETS_ALIGN;
}

void *secrets_alloc(size_t n)
{
    const size_t size = size_of(n);
    struct chunk **first = &open_chunks[size / SECRETS_ALIGN - 1];

    pthread_mutex_lock(&lock);
    if (*first == NULL)
        link_chunk(first, map_chunk());
    struct chunk *c = *first;
    void *p = take_slot(c, size);
    if (is_full(c, size))
        unlink_chunk(first, c);
    pthread_mutex_unlock(&lock);
    ASAN_POISON_MEMORY_REGION(p, size);
    ASAN_UNPOISON_MEMORY_REGION(p, n);
    return p;
}

void secrets_free(void *p, size_t n)
{
    if (p == NULL)
        return;
    const size_t size = size_of(n);
    struct chunk **first = &open_chunks[size / SECRETS_ALIGN - 1];
    struct chunk *c = (struct chunk *)((uintptr_t)p / CHUNK * CHUNK);
    struct slot *s = p;

    secrets_wipe(p, n);
    pthread_mutex_lock(&lock);
    if (is_full(c, size))
        link_chunk(first, c);
    ASAN_UNPOISON_MEMORY_REGION(s, sizeof *s);
    s->next = c->spare;
    c->spare = s;
    ASAN_POISON_MEMORY_REGION(p, size);
    c->used--;
    /* One chunk remains, so that a single secret that comes and goes costs no system call. */
    if (c->used == 0 && c->next != c) {
        unlink_chunk(first, c);
        unmap_chunk(c);
    }
    pthread_mutex_unlock(&lock);
}

void secrets_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

size_t secrets_mapped(void)
{
    pthread_mutex_lock(&lock);
    const size_t n = mapped;
    pthread_mutex_unlock(&lock);
    return n;
}

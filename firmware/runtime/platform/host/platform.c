/* WAMR's platform on a POSIX host. What WAMR declares but this runtime's configuration never calls is left out: a change of
   configuration that needs it fails to link. */

#define _GNU_SOURCE
#include "platform_api_extension.h"
#include "platform_api_vmcore.h"
#include "wasmbed.h"
#include <sys/mman.h>

static __thread wasmbed_budget *current;

wasmbed_budget *
wasmbed_budget_enter(wasmbed_budget *budget)
{
    wasmbed_budget *previous = current;
    current = budget;
    return previous;
}

/* Takes `size` bytes from the budget; false if it has not so much left. */
static bool
take(wasmbed_budget *budget, size_t size)
{
    size_t used, limit;
    if (!budget)
        return true;
    limit = __atomic_load_n(&budget->limit, __ATOMIC_RELAXED);
    used = __atomic_load_n(&budget->used, __ATOMIC_RELAXED);
    if (size > limit || used > limit - size) {
        __atomic_fetch_add(&budget->refused, 1, __ATOMIC_RELAXED);
        return false;
    }
    used += size;
    /* Only one thread at a time works for an application; others only read. */
    __atomic_store_n(&budget->used, used, __ATOMIC_RELAXED);
    if (used > __atomic_load_n(&budget->peak, __ATOMIC_RELAXED))
        __atomic_store_n(&budget->peak, used, __ATOMIC_RELAXED);
    return true;
}

static void
give_back(wasmbed_budget *budget, size_t size)
{
    if (budget)
        __atomic_store_n(&budget->used, __atomic_load_n(&budget->used, __ATOMIC_RELAXED) - size, __ATOMIC_RELAXED);
}

/* Ahead of every allocation: whose it is. */
typedef struct header {
    wasmbed_budget *budget;
    size_t size;
} header;

void *
wasmbed_malloc(unsigned int size)
{
    size_t whole = (size_t)size + sizeof(header);
    header *h;
    if (!take(current, whole))
        return NULL;
    if (!(h = malloc(whole))) {
        give_back(current, whole);
        return NULL;
    }
    h->budget = current;
    h->size = whole;
    return h + 1;
}

void *
wasmbed_realloc(void *ptr, unsigned int size)
{
    size_t whole = (size_t)size + sizeof(header), old;
    header *h, *moved;
    if (!ptr)
        return wasmbed_malloc(size);
    h = (header *)ptr - 1;
    old = h->size;
    if (whole > old && !take(h->budget, whole - old))
        return NULL;
    if (!(moved = realloc(h, whole))) {
        if (whole > old)
            give_back(h->budget, whole - old);
        return NULL;
    }
    if (whole < old)
        give_back(moved->budget, old - whole);
    moved->size = whole;
    return moved + 1;
}

void
wasmbed_free(void *ptr)
{
    header *h;
    if (!ptr)
        return;
    h = (header *)ptr - 1;
    give_back(h->budget, h->size);
    free(h);
}

void *
os_malloc(unsigned size)
{
    return wasmbed_malloc(size);
}

void *
os_realloc(void *ptr, unsigned size)
{
    return wasmbed_realloc(ptr, size);
}

void
os_free(void *ptr)
{
    wasmbed_free(ptr);
}

/* Linear memories: fresh zero pages that cost nothing until they are touched. */

static size_t
granules(size_t size)
{
    return (size + os_getpagesize() - 1) & ~(size_t)(os_getpagesize() - 1);
}

void *
os_mmap(void *hint, size_t size, int prot, int flags, os_file_handle file)
{
    void *memory;
    (void)prot;
    (void)flags;
    (void)file;
    size = granules(size);
    if (!take(current, size))
        return NULL;
    memory = mmap(hint, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        give_back(current, size);
        return NULL;
    }
    return memory;
}

void
os_munmap(void *addr, size_t size)
{
    size = granules(size);
    if (addr && munmap(addr, size) == 0)
        give_back(current, size);
}

void *
os_mremap(void *old_addr, size_t old_size, size_t new_size)
{
    void *memory;
    old_size = granules(old_size);
    new_size = granules(new_size);
    if (new_size > old_size && !take(current, new_size - old_size))
        return NULL;
    memory = mremap(old_addr, old_size, new_size, MREMAP_MAYMOVE);
    if (memory == MAP_FAILED) {
        if (new_size > old_size)
            give_back(current, new_size - old_size);
        return NULL;
    }
    if (new_size < old_size)
        give_back(current, old_size - new_size);
    return memory;
}

int
os_mprotect(void *addr, size_t size, int prot)
{
    /* Every mapping is readable and writable from the start. */
    (void)addr;
    (void)size;
    (void)prot;
    return 0;
}

void
os_dcache_flush(void)
{}

void
os_icache_flush(void *start, size_t len)
{
    (void)start;
    (void)len;
}

/* Messages of WAMR itself: logging is compiled out, and what is left goes nowhere. */

int
os_printf(const char *format, ...)
{
    (void)format;
    return 0;
}

int
os_vprintf(const char *format, va_list ap)
{
    (void)format;
    (void)ap;
    return 0;
}

int
bh_platform_init(void)
{
    return 0;
}

void
bh_platform_destroy(void)
{}

uint64
os_time_get_boot_us(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (uint64)now.tv_sec * 1000000 + (uint64)now.tv_nsec / 1000;
}

uint64
os_time_thread_cputime_us(void)
{
    return wasmbed_thread_cpu_ns() / 1000;
}

uint64_t
wasmbed_thread_cpu_ns(void)
{
    struct timespec used;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

korp_tid
os_self_thread(void)
{
    return pthread_self();
}

/* The interpreter calls itself only through host functions, and ours never call back, so its native stack is bounded by
   construction; NULL turns WAMR's check of it off. */
uint8 *
os_thread_get_stack_boundary(void)
{
    return NULL;
}

void
os_thread_jit_write_protect_np(bool enabled)
{
    (void)enabled;
}

int
os_mutex_init(korp_mutex *mutex)
{
    mutex->until_checkpoint = 0;
    return pthread_mutex_init(&mutex->mutex, NULL);
}

int
os_mutex_destroy(korp_mutex *mutex)
{
    return pthread_mutex_destroy(&mutex->mutex);
}

int
os_cond_init(korp_cond *cond)
{
    return pthread_cond_init(cond, NULL);
}

int
os_cond_destroy(korp_cond *cond)
{
    return pthread_cond_destroy(cond);
}

/* WAMR's platform on a POSIX host. What WAMR declares but this runtime's configuration never calls is left out: a change of
   configuration that needs it fails to link. */

#define _GNU_SOURCE
#include "platform_api_extension.h"
#include "platform_api_vmcore.h"
#include "wasmbed.h"
#include <sys/mman.h>

/* What belongs to no application, and to applications without an arena. */

void *
wasmbed_heap_alloc(size_t size)
{
    return malloc(size);
}

void *
wasmbed_heap_realloc(void *ptr, size_t old_size, size_t new_size)
{
    (void)old_size;
    return realloc(ptr, new_size);
}

void
wasmbed_heap_free(void *ptr, size_t size)
{
    (void)size;
    free(ptr);
}

/* Linear memories: fresh zero pages that cost nothing until they are touched. */

void *
wasmbed_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void
wasmbed_unmap(void *addr, size_t size)
{
    munmap(addr, size);
}

void *
wasmbed_remap(void *addr, size_t old_size, size_t new_size)
{
    void *memory = mremap(addr, old_size, new_size, MREMAP_MAYMOVE);
    return memory == MAP_FAILED ? NULL : memory;
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

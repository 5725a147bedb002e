/* The memory of applications, on every platform: budgets, arenas and linear memories. */

#include "mem_alloc.h"
#include "platform_api_extension.h"
#include "platform_api_vmcore.h"
#include "wasmbed.h"

/* On a platform that preempts, the scheduler exchanges it at every switch, as one does a thread's own. */
static os_thread_local_attribute wasmbed_budget *current;

wasmbed_budget *
wasmbed_budget_enter(wasmbed_budget *budget)
{
    wasmbed_budget *previous = current;
    current = budget;
    return previous;
}

/* Clears all of the memory, and takes some of it for its own account. NULL if there is too little. */
void *
wasmbed_arena(void *memory, size_t size)
{
    return size > UINT32_MAX ? NULL : mem_allocator_create(memory, (uint32_t)size);
}

static void
refuse(wasmbed_budget *budget)
{
    if (budget)
        __atomic_fetch_add(&budget->refused, 1, __ATOMIC_RELAXED);
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
        refuse(budget);
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

/* Ahead of every allocation: whose it is. Its size keeps the eight bytes of alignment that follow it. */
typedef struct header {
    wasmbed_budget *budget;
    size_t size;
} header;

/* The size with its header; 0 if a 32-bit platform cannot count it. */
static size_t
whole(unsigned int size)
{
    size_t sum = (size_t)size + sizeof(header);
    return sum < size ? 0 : sum;
}

static bool
has_arena(const wasmbed_budget *budget)
{
    return budget && budget->arena;
}

void *
wasmbed_malloc(unsigned int size)
{
    size_t bytes = whole(size);
    header *h;
    if (bytes == 0 || bytes > UINT32_MAX) {
        refuse(current);
        return NULL;
    }
    if (!take(current, bytes))
        return NULL;
    h = has_arena(current) ? mem_allocator_malloc(current->arena, (uint32_t)bytes) : wasmbed_heap_alloc(bytes);
    if (!h) {
        give_back(current, bytes);
        refuse(current);
        return NULL;
    }
    h->budget = current;
    h->size = bytes;
    return h + 1;
}

void *
wasmbed_realloc(void *ptr, unsigned int size)
{
    size_t bytes = whole(size), old;
    header *h, *moved;
    wasmbed_budget *budget;
    if (!ptr)
        return wasmbed_malloc(size);
    h = (header *)ptr - 1;
    old = h->size;
    budget = h->budget;
    if (bytes == 0 || bytes > UINT32_MAX) {
        refuse(budget);
        return NULL;
    }
    if (bytes > old && !take(budget, bytes - old))
        return NULL;
    moved = has_arena(budget) ? mem_allocator_realloc(budget->arena, h, (uint32_t)bytes)
                              : wasmbed_heap_realloc(h, old, bytes);
    if (!moved) {
        if (bytes > old)
            give_back(budget, bytes - old);
        refuse(budget);
        return NULL;
    }
    if (bytes < old)
        give_back(budget, old - bytes);
    moved->size = bytes;
    return moved + 1;
}

void
wasmbed_free(void *ptr)
{
    header *h;
    wasmbed_budget *budget;
    size_t size;
    if (!ptr)
        return;
    h = (header *)ptr - 1;
    budget = h->budget;
    size = h->size;
    give_back(budget, size);
    if (has_arena(budget))
        mem_allocator_free(budget->arena, h);
    else
        wasmbed_heap_free(h, size);
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

/* Linear memories. WAMR rounds the size it accounts up to a page, and maps and unmaps sizes that are not: so they are rounded up
   here to the same granule, or what the interpreter lets an application write would reach past what was mapped. 0 if that cannot
   be counted. */
static size_t
granules(size_t size)
{
    size_t rounded = (size + os_getpagesize() - 1) & ~(size_t)(os_getpagesize() - 1);
    return rounded < size ? 0 : rounded;
}

void *
os_mmap(void *hint, size_t size, int prot, int flags, os_file_handle file)
{
    void *memory;
    (void)hint;
    (void)prot;
    (void)flags;
    (void)file;
    size = granules(size);
    if (size == 0 || size > UINT32_MAX) {
        refuse(current);
        return NULL;
    }
    if (has_arena(current)) {
        if ((memory = wasmbed_malloc((unsigned)size)))
            memset(memory, 0, size);
        return memory;
    }
    if (!take(current, size))
        return NULL;
    if (!(memory = wasmbed_map(size))) {
        give_back(current, size);
        refuse(current);
    }
    return memory;
}

void
os_munmap(void *addr, size_t size)
{
    if (!addr)
        return;
    if (has_arena(current)) {
        wasmbed_free(addr);
        return;
    }
    size = granules(size);
    wasmbed_unmap(addr, size);
    give_back(current, size);
}

void *
os_mremap(void *old_addr, size_t old_size, size_t new_size)
{
    void *memory;
    old_size = granules(old_size);
    new_size = granules(new_size);
    if (new_size == 0 || new_size > UINT32_MAX) {
        refuse(current);
        return NULL;
    }
    if (has_arena(current)) {
        if ((memory = wasmbed_realloc(old_addr, (unsigned)new_size)) && new_size > old_size)
            memset((char *)memory + old_size, 0, new_size - old_size);
        return memory;
    }
    if (new_size > old_size && !take(current, new_size - old_size))
        return NULL;
    if (!(memory = wasmbed_remap(old_addr, old_size, new_size))) {
        if (new_size > old_size)
            give_back(current, new_size - old_size);
        refuse(current);
        return NULL;
    }
    if (new_size < old_size)
        give_back(current, old_size - new_size);
    return memory;
}

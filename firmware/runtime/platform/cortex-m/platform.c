/* WAMR's platform on a Cortex-M without an operating system. What WAMR declares but this runtime's configuration never calls is
   left out: a change of configuration that needs it fails to link. The heap is the firmware's: src/wamr/heap.rs. */

#include "platform_api_extension.h"
#include "platform_api_vmcore.h"
#include "wasmbed.h"

/* Eight words at a time: WAMR clears 128 bytes at every call of a host function, and arenas and linear memories are cleared whole.
   What the compiler would bring along takes three instructions for each word, newlib's more. */
__attribute__((naked)) void *
memset(void *start, int value, size_t size)
{
    __asm__ volatile("mov   r12, r0\n"
                     "and   r1, r1, #255\n"
                     "orr   r1, r1, r1, lsl #8\n"
                     "orr   r1, r1, r1, lsl #16\n"
                     /* Bytes up to a word. */
                     "1: tst r12, #3\n"
                     "beq   2f\n"
                     "cbz   r2, 9f\n"
                     "strb  r1, [r12], #1\n"
                     "subs  r2, #1\n"
                     "b     1b\n"
                     /* Eight words at a time. */
                     "2: cmp r2, #32\n"
                     "blo   4f\n"
                     "push  {r4-r9}\n"
                     "mov   r3, r1\n"
                     "mov   r4, r1\n"
                     "mov   r5, r1\n"
                     "mov   r6, r1\n"
                     "mov   r7, r1\n"
                     "mov   r8, r1\n"
                     "mov   r9, r1\n"
                     "3: stmia r12!, {r1, r3-r9}\n"
                     "subs  r2, #32\n"
                     "cmp   r2, #32\n"
                     "bhs   3b\n"
                     "pop   {r4-r9}\n"
                     /* Words, then bytes. */
                     "4: subs r2, #4\n"
                     "blo   5f\n"
                     "str   r1, [r12], #4\n"
                     "b     4b\n"
                     "5: adds r2, #4\n"
                     "6: beq  9f\n"
                     "strb  r1, [r12], #1\n"
                     "subs  r2, #1\n"
                     "b     6b\n"
                     "9: bx   lr\n");
}

/* Linear memories lie in arenas, always: without one there is none, or an application would take the heap that the device reconnects
   with. */

void *
wasmbed_map(size_t size)
{
    (void)size;
    return NULL;
}

void
wasmbed_unmap(void *addr, size_t size)
{
    (void)addr;
    (void)size;
}

void *
wasmbed_remap(void *addr, size_t old_size, size_t new_size)
{
    (void)addr;
    (void)old_size;
    (void)new_size;
    return NULL;
}

int
os_mprotect(void *addr, size_t size, int prot)
{
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

/* newlib's would send a signal. This is a fault, which ends the application that had the processor. */
void
abort(void)
{
    __builtin_trap();
}

int
bh_platform_init(void)
{
    return 0;
}

void
bh_platform_destroy(void)
{}

/* Nothing in this configuration looks at a clock: applications ask their host functions. */

uint64
os_time_get_boot_us(void)
{
    return 0;
}

uint64
os_time_thread_cputime_us(void)
{
    return 0;
}

korp_tid
os_self_thread(void)
{
    return 0;
}

/* The stack's end is told for each application, by wasm_runtime_set_native_stack_boundary. */
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
    *mutex = 0;
    return 0;
}

int
os_mutex_destroy(korp_mutex *mutex)
{
    (void)mutex;
    return 0;
}

int
os_cond_init(korp_cond *cond)
{
    *cond = 0;
    return 0;
}

int
os_cond_destroy(korp_cond *cond)
{
    (void)cond;
    return 0;
}

/* What the Rust side of the runtime calls beyond WAMR's own interface, and what it is called by. */

#ifndef WASMBED_H
#define WASMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory of one application. The layout is repeated in `src/wamr/budget.rs`. */
typedef struct wasmbed_budget {
    size_t limit;
    size_t used;
    size_t peak;
    size_t refused;
    /* Where all of it lies, if it has a place of its own: what wasmbed_arena made. */
    void *arena;
} wasmbed_budget;

/* Makes an arena of that memory, which then belongs to it. NULL if it is too small. */
void *
wasmbed_arena(void *memory, size_t size);

/* From now on this thread allocates from `budget` (NULL: from no one's); returns the one before. */
wasmbed_budget *
wasmbed_budget_enter(wasmbed_budget *budget);

void *
wasmbed_malloc(unsigned int size);
void *
wasmbed_realloc(void *ptr, unsigned int size);
void
wasmbed_free(void *ptr);

/* The platform's heap: eight bytes of alignment, NULL when there is no more. */
void *
wasmbed_heap_alloc(size_t size);
void *
wasmbed_heap_realloc(void *ptr, size_t old_size, size_t new_size);
void
wasmbed_heap_free(void *ptr, size_t size);

/* Memory for linear memories without an arena, zeroed; sizes are multiples of os_getpagesize(). */
void *
wasmbed_map(size_t size);
void *
wasmbed_remap(void *addr, size_t old_size, size_t new_size);
void
wasmbed_unmap(void *addr, size_t size);

/* CPU time of the calling thread. */
uint64_t
wasmbed_thread_cpu_ns(void);

struct WASMExecEnv;

/* What every host function is registered as. */
void
wasmbed_native(struct WASMExecEnv *env, uint64_t *cells);

/* In Rust: does the host function `import`, with what wasm_runtime_set_user_data left, its parameters in `cells` and the linear
   memory. The result goes to the first cell. False to end the application. */
bool
wasmbed_call(void *user_data, const void *import, uint64_t *cells, uint8_t *memory, size_t memory_size);

/* Makes `env` come to a checkpoint after so many branches and calls, at least 1. */
void
wasmbed_arm(struct WASMExecEnv *env, uint32_t branches);

/* Makes an ordinary lock of it again, so that it can be destroyed. */
void
wasmbed_disarm(struct WASMExecEnv *env);

/* Whether a loaded module's memory can become larger than it begins. */
bool
wasmbed_can_grow(const void *module);

/* In Rust: called at a checkpoint with what wasm_runtime_set_user_data left. Returns how many branches and calls to go on for,
   or 0 to end the application. */
uint32_t
wasmbed_pause(void *user_data);

#endif

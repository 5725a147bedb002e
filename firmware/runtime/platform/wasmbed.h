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
} wasmbed_budget;

/* From now on this thread allocates from `budget` (NULL: from no one's); returns the one before. */
wasmbed_budget *
wasmbed_budget_enter(wasmbed_budget *budget);

void *
wasmbed_malloc(unsigned int size);
void *
wasmbed_realloc(void *ptr, unsigned int size);
void
wasmbed_free(void *ptr);

/* CPU time of the calling thread. */
uint64_t
wasmbed_thread_cpu_ns(void);

struct WASMExecEnv;

/* Makes `env` come to a checkpoint after so many branches and calls, at least 1. */
void
wasmbed_arm(struct WASMExecEnv *env, uint32_t branches);

/* Makes an ordinary lock of it again, so that it can be destroyed. */
void
wasmbed_disarm(struct WASMExecEnv *env);

/* In Rust: called at a checkpoint with what wasm_runtime_set_user_data left. Returns how many branches and calls to go on for,
   or 0 to end the application. */
uint32_t
wasmbed_pause(void *user_data);

#endif

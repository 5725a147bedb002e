/* Between the interpreter and Rust: knows the layout of WAMR's execution environments and modules. */

#include "platform_api_vmcore.h"
#include "wasm_exec_env.h"
#include "wasm_runtime.h"
#include "wasm_runtime_common.h"
#include "wasmbed.h"

/* A platform that preempts applications by itself, as PendSV does, has no thread manager and no checkpoints. */
#if WASM_ENABLE_THREAD_MGR != 0

int
wasmbed_checkpoint(korp_mutex *lock)
{
    WASMExecEnv *env = (WASMExecEnv *)((char *)lock - offsetof(WASMExecEnv, wait_lock));
    uint32_t branches = wasmbed_pause(env->user_data);
    if (branches == 0) {
        /* The interpreter leaves without an exception; the Rust side knows why. */
        WASM_SUSPEND_FLAGS_FETCH_OR(env->suspend_flags, WASM_SUSPEND_FLAG_TERMINATE);
        branches = 1;
    }
    lock->until_checkpoint = branches;
    return 0;
}

void
wasmbed_arm(struct WASMExecEnv *env, uint32_t branches)
{
    env->wait_lock.until_checkpoint = branches;
}

void
wasmbed_disarm(struct WASMExecEnv *env)
{
    env->wait_lock.until_checkpoint = 0;
}

#else

void
wasmbed_arm(struct WASMExecEnv *env, uint32_t branches)
{
    (void)env;
    (void)branches;
}

void
wasmbed_disarm(struct WASMExecEnv *env)
{
    (void)env;
}

#endif

/* Every host function: registered as "raw", so with an array of cells. Gathers what the Rust side needs in one place, as it is on
   the way of every call. */
void
wasmbed_native(struct WASMExecEnv *env, uint64_t *cells)
{
    WASMModuleInstance *instance = (WASMModuleInstance *)env->module_inst;
    WASMMemoryInstance *memory = instance->memory_count > 0 ? instance->memories[0] : NULL;
    if (!wasmbed_call(env->user_data, env->attachment, cells, memory ? memory->memory_data : NULL,
                      memory ? (size_t)memory->memory_data_size : 0))
        /* The interpreter leaves. */
        wasm_runtime_set_exception(env->module_inst, "ended");
}

bool
wasmbed_can_grow(const void *of)
{
    const WASMModule *module = of;
    uint32 i;
    /* Whether its code asks for memory, or for its size. */
    if (!module->possible_memory_grow)
        return false;
    for (i = 0; i < module->memory_count; i++)
        if (module->memories[i].max_page_count > module->memories[i].init_page_count)
            return true;
    return false;
}

/* WAMR's bridge to host functions of any signature. Ours are registered as "raw": called with an array of cells, on every
   architecture alike and without assembler, so this is only there to be linked. */
void
invokeNative(void)
{
    abort();
}

/* A part of WAMR's other interface, the WebAssembly C API, which nothing here uses. */
void
wasm_trap_delete(void *trap)
{
    (void)trap;
    abort();
}

/* WAMR's thread manager for programs of one thread, in place of its own. What is wanted of it is only that the interpreter looks
   at branches and calls whether it is to end (WASM_ENABLE_THREAD_MGR=1). WAMR's own keeps a list of all execution environments in
   the process, searches it under a lock at every trap, and frees a pointer it never set when memory is refused to it. */

#include "platform_api_vmcore.h"

#if WASM_ENABLE_THREAD_MGR != 0

#include "thread_manager.h"
#include "wasm_native.h"
#include "wasm_runtime.h"

bool
thread_manager_init(void)
{
    return true;
}

void
thread_manager_destroy(void)
{}

void
wasm_cluster_set_max_thread_num(uint32 num)
{
    (void)num;
}

WASMCluster *
wasm_cluster_create(WASMExecEnv *exec_env)
{
    /* Anything but NULL: environments refer to no cluster. */
    static WASMCluster none;
    (void)exec_env;
    return &none;
}

WASMCluster *
wasm_exec_env_get_cluster(WASMExecEnv *exec_env)
{
    (void)exec_env;
    return NULL;
}

bool
wasm_cluster_del_exec_env(WASMCluster *cluster, WASMExecEnv *exec_env)
{
    (void)cluster;
    (void)exec_env;
    return true;
}

void
wasm_cluster_wait_for_all_except_self(WASMCluster *cluster, WASMExecEnv *exec_env)
{
    (void)cluster;
    (void)exec_env;
}

/* Found: none. So a trap is noted in its instance alone. */
WASMExecEnv *
wasm_clusters_search_exec_env(WASMModuleInstanceCommon *module_inst)
{
    (void)module_inst;
    return NULL;
}

void
wasm_cluster_set_exception(WASMExecEnv *exec_env, const char *exception)
{
    (void)exec_env;
    (void)exception;
}

void
exception_lock(WASMModuleInstance *module_inst)
{
    (void)module_inst;
}

void
exception_unlock(WASMModuleInstance *module_inst)
{
    (void)module_inst;
}

WASMExecEnv *
wasm_cluster_spawn_exec_env(WASMExecEnv *exec_env)
{
    (void)exec_env;
    return NULL;
}

void
wasm_cluster_destroy_spawned_exec_env(WASMExecEnv *exec_env)
{
    (void)exec_env;
}

void
wasm_cluster_spread_custom_data(WASMModuleInstanceCommon *module_inst, void *custom_data)
{
    wasm_runtime_set_custom_data_internal(module_inst, custom_data);
}

void
wasm_cluster_set_context(WASMModuleInstanceCommon *module_inst, void *key, void *ctx)
{
    wasm_native_set_context(module_inst, key, ctx);
}

void
wasm_cluster_traverse_lock(WASMExecEnv *exec_env)
{
    (void)exec_env;
}

void
wasm_cluster_traverse_unlock(WASMExecEnv *exec_env)
{
    (void)exec_env;
}

#endif

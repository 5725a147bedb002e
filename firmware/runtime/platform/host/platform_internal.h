/* WAMR's platform on a POSIX host: types, and the two things this runtime adds to an ordinary port, memory budgets and
   checkpoints. A board has a folder of its own with the same file. */

#ifndef _PLATFORM_INTERNAL_H
#define _PLATFORM_INTERNAL_H

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BH_APPLET_PRESERVED_STACK_SIZE (32 * 1024)
#define BH_THREAD_DEFAULT_PRIORITY 0

#define os_thread_local_attribute __thread

/* WAMR rounds a memory's size up to a page but maps the unrounded size. With a granule of 16 both agree, and a linear memory
   of 3 KB stays one. */
#define os_getpagesize() 16

typedef pthread_t korp_tid;
typedef pthread_t korp_thread;
typedef pthread_cond_t korp_cond;
typedef pthread_rwlock_t korp_rwlock;
typedef int korp_sem;

typedef int os_file_handle;
typedef int os_raw_file_handle;
typedef void *os_dir_stream;
typedef int os_poll_file_handle;
typedef unsigned int os_nfds_t;
typedef struct timespec os_timespec;

static inline os_file_handle
os_get_invalid_handle(void)
{
    return -1;
}

/* A lock, or a checkpoint. WAMR, told that 32-bit words are not atomic here (WASM_UINT32_IS_ATOMIC=0), takes the lock of an
   execution environment at every branch and every call, to look whether it is to terminate. That lock is contended by nobody,
   as one thread only ever runs an environment. So it is made the place where an application is held back or ended: armed by
   wasmbed_arm, it counts down instead of locking, and at zero calls wasmbed_checkpoint on the application's own thread. */
typedef struct korp_mutex {
    uint32_t until_checkpoint; /* 0: an ordinary lock */
    pthread_mutex_t mutex;
} korp_mutex;

#define OS_THREAD_MUTEX_INITIALIZER { 0, PTHREAD_MUTEX_INITIALIZER }

int
wasmbed_checkpoint(korp_mutex *lock);

static inline int
os_mutex_lock(korp_mutex *lock)
{
    if (__builtin_expect(lock->until_checkpoint > 1, 1)) {
        lock->until_checkpoint--;
        return 0;
    }
    if (lock->until_checkpoint == 0)
        return pthread_mutex_lock(&lock->mutex);
    return wasmbed_checkpoint(lock);
}

static inline int
os_mutex_unlock(korp_mutex *lock)
{
    return lock->until_checkpoint ? 0 : pthread_mutex_unlock(&lock->mutex);
}

#endif

/* WAMR's platform on a Cortex-M without an operating system: types. An application is preempted by PendSV, wherever it is, so
   there are no threads, no thread manager and no checkpoints, and every lock is nothing. */

#ifndef _PLATFORM_INTERNAL_H
#define _PLATFORM_INTERNAL_H

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BH_APPLET_PRESERVED_STACK_SIZE (2 * 1024)
#define BH_THREAD_DEFAULT_PRIORITY 0

/* One core; what would be a thread's own is exchanged at a switch. */
#define os_thread_local_attribute

/* WAMR rounds a memory's size up to a page but maps the unrounded size: with 4096 it let applications write past the end of what
   malloc had given. With a granule of 16 both agree (see os_mmap), and a linear memory of 3 KB stays one. */
#define os_getpagesize() 16

typedef int korp_tid;
typedef int korp_thread;
typedef int korp_mutex;
typedef int korp_cond;
typedef int korp_rwlock;
typedef int korp_sem;

typedef int os_file_handle;
typedef int os_raw_file_handle;
typedef void *os_dir_stream;
typedef int os_poll_file_handle;
typedef unsigned int os_nfds_t;
typedef int os_timespec;

static inline os_file_handle
os_get_invalid_handle(void)
{
    return -1;
}

#define OS_THREAD_MUTEX_INITIALIZER 0

static inline int
os_mutex_lock(korp_mutex *lock)
{
    (void)lock;
    return 0;
}

static inline int
os_mutex_unlock(korp_mutex *lock)
{
    (void)lock;
    return 0;
}

#endif

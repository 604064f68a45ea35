/*
 * Short time slices for the helper and its worker. They ask for no more of the CPU with that, but
 * for their turn as soon as they wake up: else each of them waits until the program that has the CPU
 * has had a slice of its own, and between the end of one pod and the start of the next there are
 * four such waits. Linux from 6.12 on; others pay no heed to it.
 */
#include "helper.h"

#if ON_LINUX

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_sched_setattr
#define SYS_sched_setattr -1
#define SYS_sched_getattr -1
#endif

/* The shortest there is. */
#define SLICE_NS 100000
/* The programs have slices as long as everybody's. */
#define RESET_ON_FORK 1

/* Headers have it since lately only. */
typedef struct Attributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtimeNs;
  uint64_t deadlineNs;
  uint64_t periodNs;
} Attributes;

static void shorten(pid_t pid) {
  Attributes attributes;
  if (syscall(SYS_sched_getattr, pid, &attributes, (unsigned)sizeof attributes, 0u) != 0) return;
  /* Who has another policy, or priority over others, was given what it needs, and its programs inherit that. */
  if (attributes.policy != SCHED_OTHER || attributes.nice < 0) return;
  attributes.size = sizeof attributes;
  attributes.flags |= RESET_ON_FORK;
  attributes.runtimeNs = SLICE_NS;
  /* Where that is not allowed, all is as it was. */
  syscall(SYS_sched_setattr, pid, &attributes, 0u);
}

void shortenSlices(pid_t worker) {
  shorten(0);
  /* It may have died meanwhile, and its pid may be another's. */
  if (getppid() == worker) shorten(worker);
}

#else

void shortenSlices(pid_t worker) { (void)worker; }

#endif

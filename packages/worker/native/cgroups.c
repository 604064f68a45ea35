/* The cgroup of a program, which the worker made: so that its limits hold from its first page on. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#if ON_LINUX

#include <sched.h>
#include <sys/syscall.h>

/* Headers may be older than the kernel; the numbers are the same everywhere. */
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#define BIRTH_IN_CGROUP 0x200000000ull

/* What clone3 takes, as far as Linux 5.7 knows it. */
typedef struct Birth {
  uint64_t flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls, setTid, setTidSize, cgroup;
} Birth;

/*
 * To move a process takes a lock of all that are born and end, and some ms; to be born there does not.
 * Seccomp may forbid it, as it does in containers.
 */
pid_t bearInCgroup(const char *cgroup) {
  int directory = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -1;
  Birth birth = {.flags = CLONE_VFORK | BIRTH_IN_CGROUP, .exitSignal = SIGCHLD, .cgroup = (uint64_t)directory};
  long pid = syscall(SYS_clone3, &birth, sizeof birth);
  if (pid != 0) close(directory);
  return (pid_t)pid;
}

bool enterCgroup(const char *cgroup) {
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
  if (length < 0 || (size_t)length >= sizeof path) {
    errno = ENAMETOOLONG;
    return false;
  }
  int members = open(path, O_WRONLY | O_CLOEXEC);
  if (members < 0) return false;
  ssize_t written = write(members, "0", 1);
  int error = errno;
  close(members);
  errno = error;
  return written == 1;
}

#else

pid_t bearInCgroup(const char *cgroup) {
  (void)cgroup;
  return -1;
}

bool enterCgroup(const char *cgroup) {
  (void)cgroup;
  errno = ENOSYS;
  return false;
}

#endif

/* The user of a program. In its child, which may share the helper's memory: no allocation. */
#include "helper.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

#if ON_LINUX
#include <sys/syscall.h>
#endif

/* More groups than anybody asks for. */
#define MOST_GROUPS 256

#if ON_LINUX

/* Of this child alone: the functions of the C library change all that share its memory. */
#if defined(SYS_setresuid32)
#define SET_GROUPS SYS_setgroups32
#define SET_GID SYS_setresgid32
#define SET_UID SYS_setresuid32
#else
#define SET_GROUPS SYS_setgroups
#define SET_GID SYS_setresgid
#define SET_UID SYS_setresuid
#endif

static bool change(uid_t uid, gid_t gid, size_t count, const gid_t *groups) {
  return syscall(SET_GROUPS, count, groups) == 0 && syscall(SET_GID, gid, gid, gid) == 0 &&
         syscall(SET_UID, uid, uid, uid) == 0;
}

#else

static bool change(uid_t uid, gid_t gid, size_t count, const gid_t *groups) {
  return setgroups((int)count, groups) == 0 && setgid(gid) == 0 && setuid(uid) == 0;
}

#endif

bool becomeUser(const char *user, int stdoutEnd, int stderrEnd) {
  static gid_t groups[MOST_GROUPS];
  char *at;
  uid_t uid = (uid_t)strtoul(user, &at, 10);
  gid_t gid = (gid_t)strtoul(at, &at, 10);
  size_t count = 0;
  while (*at != '\0') {
    if (count == MOST_GROUPS) {
      errno = EINVAL;
      return false;
    }
    groups[count++] = (gid_t)strtoul(at, &at, 10);
  }
  /* So that it may open /dev/stdout. */
  if (fchown(stdoutEnd, uid, gid) != 0 || fchown(stderrEnd, uid, gid) != 0) return false;
  return change(uid, gid, count, groups);
}

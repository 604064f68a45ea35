/*
 * Volumes at their mountPath: bind mounts in a mount namespace that only this program has. Runs
 * in a child with memory of its own, before the program is executed. Where a mountPath does not
 * exist on this machine, the directory above it is replaced by one of the same content that has it.
 */
#include "helper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#if ON_LINUX

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A directory with more entries is not made anew: each costs a mount. */
#define MOST_ENTRIES 1000
/* Where the new root is mounted first; any directory does. */
#define STAGE "/tmp"
/* Where the old root lies meanwhile. */
#define OLD_ROOT "/.drover-old-root"

/* Volumes that are mounted: what is made in them is the pod's. */
static const char **volumes;
static size_t volumeCount;
/* File systems that are this namespace's own. What of the machine is repeated in them is not of them. */
static dev_t *replacements;
static size_t replacementCount;

static bool writeFile(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  bool isDone = write(file, text, strlen(text)) == (ssize_t)strlen(text);
  close(file);
  return isDone;
}

/* A mount namespace: the administrator's, else one with a user namespace where the system lets us. */
static bool enterNamespace(void) {
  if (unshare(CLONE_NEWNS) == 0) return true;
  if (errno != EPERM) return false;
  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  char map[64];
  /* The same user as before, and nobody else. */
  writeFile("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "%u %u 1", (unsigned)uid, (unsigned)uid);
  if (!writeFile("/proc/self/uid_map", map)) return false;
  snprintf(map, sizeof map, "%u %u 1", (unsigned)gid, (unsigned)gid);
  return writeFile("/proc/self/gid_map", map);
}

/* Whether the machine does not notice what is made in an existing directory, wherever links on the way lead. */
static bool isOwned(const char *way) {
  struct stat status;
  char path[PATH_MAX], volume[PATH_MAX];
  if (stat(way, &status) != 0 || realpath(way, path) == NULL) return false;
  for (size_t index = 0; index < replacementCount; index++) {
    if (replacements[index] == status.st_dev) return true;
  }
  for (size_t index = 0; index < volumeCount; index++) {
    if (realpath(volumes[index], volume) == NULL) continue;
    size_t length = strlen(volume);
    if (strncmp(path, volume, length) == 0 && (path[length] == '/' || path[length] == '\0'))
      return true;
  }
  return false;
}

static bool ownReplacement(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) return false;
  replacements[replacementCount++] = status.st_dev;
  return true;
}

/* Puts the deepest existing directory of a path into `parent`; true = the path itself exists. */
static bool findExisting(const char *path, char parent[PATH_MAX]) {
  struct stat status;
  if (stat(path, &status) == 0) return true;
  snprintf(parent, PATH_MAX, "%s", path);
  do {
    char *slash = strrchr(parent, '/');
    if (slash == parent) {
      parent[1] = '\0';
      return false;
    }
    *slash = '\0';
  } while (stat(parent, &status) != 0);
  return false;
}

static bool makeFolders(const char *path) {
  char part[PATH_MAX];
  snprintf(part, sizeof part, "%s", path);
  for (char *at = part + 1;; at++) {
    if (*at != '/' && *at != '\0') continue;
    char kept = *at;
    *at = '\0';
    if (mkdir(part, 0755) != 0 && errno != EEXIST) return false;
    if (kept == '\0') return true;
    *at = kept;
  }
}

/* Makes one entry of a directory appear in its replacement. */
static bool repeatEntry(int folder, const char *name, const char *from, const char *to) {
  struct stat status;
  if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
  if (S_ISLNK(status.st_mode)) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder, name, target, sizeof target - 1);
    if (length < 0) return false;
    target[length] = '\0';
    return symlink(target, to) == 0;
  }
  if (S_ISDIR(status.st_mode)) {
    if (mkdir(to, 0755) != 0) return false;
  } else {
    int file = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return false;
    close(file);
  }
  return mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0 || errno == ENOENT;
}

/* Fills the directory `to` with what `folder` has, which can be reached by the path `from`. */
static bool repeatFolder(int folder, const char *from, const char *to) {
  int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? NULL : fdopendir(copy);
  if (entries == NULL) return false;
  int count = 0;
  bool isDone = true;
  for (struct dirent *entry; isDone && (entry = readdir(entries)) != NULL;) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    char source[PATH_MAX], target[PATH_MAX];
    int sourceLength = snprintf(source, sizeof source, "%s/%s", from, name);
    int targetLength = snprintf(target, sizeof target, "%s/%s", to, name);
    if (sourceLength >= PATH_MAX || targetLength >= PATH_MAX) errno = ENAMETOOLONG;
    else if (++count > MOST_ENTRIES) errno = E2BIG;
    else if (repeatEntry(folder, name, source, target)) continue;
    isDone = false;
  }
  int error = errno;
  closedir(entries);
  errno = error;
  return isDone;
}

/* Replaces a directory below the root by one in memory with the same content. */
static bool replaceFolder(const char *path) {
  int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct stat status;
  if (folder < 0 || fstat(folder, &status) != 0) return false;
  char options[32], from[64];
  snprintf(options, sizeof options, "mode=%04o", (unsigned)(status.st_mode & 07777));
  snprintf(from, sizeof from, "/proc/self/fd/%d", folder);
  bool isDone = mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 &&
                ownReplacement(path) && repeatFolder(folder, from, path);
  int error = errno;
  close(folder);
  errno = error;
  return isDone;
}

/* The same for the root itself: a new one takes its place, and the old one is left once it is repeated. */
static bool replaceRoot(void) {
  if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) return false;
  if (mkdir(STAGE OLD_ROOT, 0700) != 0 || chdir(STAGE) != 0) return false;
  if (syscall(SYS_pivot_root, ".", "." OLD_ROOT) != 0 || chdir("/") != 0) return false;
  int root = open(OLD_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0 || !repeatFolder(root, OLD_ROOT, "")) return false;
  close(root);
  return umount2(OLD_ROOT, MNT_DETACH) == 0 && rmdir(OLD_ROOT) == 0 && ownReplacement("/");
}

static bool bindOne(const Mount *mountPoint, int source) {
  char from[64];
  snprintf(from, sizeof from, "/proc/self/fd/%d", source);
  const char *target = mountPoint->target;
  if (mount(from, target, NULL, MS_BIND | MS_REC, NULL) != 0) return false;
  if (mountPoint->isReadOnly) {
    /* In a user namespace these may not be taken away, so they have to be given again. */
    struct statvfs status;
    if (statvfs(target, &status) != 0) return false;
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
    if (status.f_flag & ST_NOSUID) flags |= MS_NOSUID;
    if (status.f_flag & ST_NODEV) flags |= MS_NODEV;
    if (status.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
    if (status.f_flag & ST_NOATIME) flags |= MS_NOATIME;
    if (status.f_flag & ST_NODIRATIME) flags |= MS_NODIRATIME;
    if (status.f_flag & ST_RELATIME) flags |= MS_RELATIME;
    if (mount(NULL, target, NULL, flags, NULL) != 0) return false;
  }
  volumes[volumeCount++] = target;
  return true;
}

/* A file can only be mounted over a file. */
static bool makeFile(const char *path) {
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash != folder) {
    *slash = '\0';
    if (!makeFolders(folder)) return false;
  }
  /* There is none, or it is a link that leads nowhere, and that is not followed. */
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) return false;
  close(file);
  return true;
}

static bool prepareTarget(const char *target, int source) {
  char parent[PATH_MAX];
  struct stat status;
  if (findExisting(target, parent)) return true;
  if (!isOwned(parent) && !replaceFolder(parent)) return false;
  if (fstat(source, &status) != 0) return false;
  return S_ISDIR(status.st_mode) ? makeFolders(target) : makeFile(target);
}

static int depthOf(const char *path) {
  int depth = 0;
  for (; *path != '\0'; path++) depth += *path == '/' && path[1] != '\0' && path[1] != '/';
  return depth;
}

static int byDepth(const void *left, const void *right) {
  return depthOf(((const Mount *)left)->target) - depthOf(((const Mount *)right)->target);
}

static bool refuse(StartReport *report, const char *what) {
  report->error = errno;
  report->step = STEP_MOUNTS;
  snprintf(report->detail, sizeof report->detail, "%s", what);
  return false;
}

bool makeMounts(const StartRequest *request, StartReport *report) {
  Mount *mounts = request->mounts;
  size_t count = request->mountCount;
  int *sources = calloc(count, sizeof *sources);
  volumes = calloc(count, sizeof *volumes);
  replacements = calloc(count + 1, sizeof *replacements);
  if (sources == NULL || volumes == NULL || replacements == NULL) return refuse(report, "memory");
  if (!enterNamespace()) return refuse(report, "mount namespace");
  /* What is mounted here stays here; what is unmounted outside goes here, too. */
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) return refuse(report, "mount namespace");
  /* The outer ones first, so that one volume may lie in another. */
  qsort(mounts, count, sizeof *mounts, byDepth);
  char parent[PATH_MAX];
  bool hasNewRoot = false;
  for (size_t index = 0; index < count; index++) {
    const char *target = mounts[index].target;
    errno = EINVAL;
    if (target[0] != '/' || target[1] == '\0' || strlen(target) >= PATH_MAX) return refuse(report, target);
    if (hasNewRoot || findExisting(target, parent) || parent[1] != '\0') continue;
    if (!replaceRoot()) return refuse(report, target);
    hasNewRoot = true;
  }
  /* Before any of them is hidden by another. */
  for (size_t index = 0; index < count; index++) {
    sources[index] = open(mounts[index].source, O_PATH | O_CLOEXEC);
    if (sources[index] < 0) return refuse(report, mounts[index].source);
  }
  for (size_t index = 0; index < count; index++) {
    if (!prepareTarget(mounts[index].target, sources[index]) || !bindOne(&mounts[index], sources[index]))
      return refuse(report, mounts[index].target);
  }
  return true;
}

#else

bool makeMounts(const StartRequest *request, StartReport *report) {
  report->error = ENOSYS;
  report->step = STEP_MOUNTS;
  snprintf(report->detail, sizeof report->detail, "%s", request->mounts[0].target);
  return false;
}

#endif

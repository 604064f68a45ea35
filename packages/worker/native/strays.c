/*
 * Processes that outlived the main process of their container. On Linux orphans become children
 * of this helper (a subreaper), so none escapes: whoever is a child and no main process is one.
 */
#include "helper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if ON_LINUX

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>

/* Its environment is not looked through further than this. */
#define MOST_ENVIRONMENT_BYTES (256 * 1024)

static char marker[96];
static char childrenPath[64];
static long ticksPerSecond;

typedef struct Found {
  pid_t parent;
  pid_t session;
  char state;
  int64_t startedBootMs;
} Found;

void straysOpen(const char *nonce) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) fail("subreaper");
  snprintf(marker, sizeof marker, "DROVER_PROCESS=%s.", nonce);
  snprintf(childrenPath, sizeof childrenPath, "/proc/self/task/%d/children", (int)getpid());
  ticksPerSecond = sysconf(_SC_CLK_TCK);
}

/* Reads a file of /proc, ended by NUL. The caller frees it. */
static char *readAll(const char *path, size_t most, size_t *size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  size_t capacity = 4096;
  char *bytes = malloc(capacity);
  size_t count = 0;
  while (bytes != NULL) {
    ssize_t got = read(file, bytes + count, capacity - count - 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    count += (size_t)got;
    if (count + 1 < capacity) continue;
    if (capacity >= most) break;
    capacity *= 2;
    char *grown = realloc(bytes, capacity);
    if (grown == NULL) break;
    bytes = grown;
  }
  close(file);
  if (bytes != NULL) bytes[count] = '\0';
  *size = count;
  return bytes;
}

static bool readStat(pid_t pid, Found *found) {
  char path[64];
  size_t size;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  char *text = readAll(path, 4096, &size);
  if (text == NULL) return false;
  /* The name is in parentheses and may hold anything, so count from the last one. */
  const char *at = strrchr(text, ')');
  long long ticks = 0;
  int parent = 0, session = 0;
  bool isRead = at != NULL && sscanf(at + 1,
                                     " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d"
                                     " %*d %*d %*d %lld",
                                     &found->state, &parent, &session, &ticks) == 4;
  free(text);
  found->parent = parent;
  found->session = session;
  found->startedBootMs = ticks * 1000 / ticksPerSecond;
  return isRead;
}

/* Id of the container by the marker in the environment; 0 = none, or it can not be read. */
static uint32_t readMarker(pid_t pid) {
  char path[64];
  size_t size;
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  char *text = readAll(path, MOST_ENVIRONMENT_BYTES, &size);
  if (text == NULL) return 0;
  uint32_t id = 0;
  size_t length = strlen(marker);
  for (char *entry = text; id == 0 && entry < text + size; entry += strlen(entry) + 1)
    if (strncmp(entry, marker, length) == 0) id = (uint32_t)strtoul(entry + length, NULL, 10);
  free(text);
  return id;
}

/* Whether a container that still runs may have started it. */
static bool mayBelongToRunning(pid_t pid, const Found *found) {
  Container *leader = findByPid(found->session);
  if (leader != NULL) return true;
  uint32_t id = readMarker(pid);
  if (id != 0) {
    Container *owner = findById(id);
    return owner != NULL && owner->pid != 0;
  }
  /* It hides where it comes from: whatever runs, and began before it, may have started it. */
  for (Container *container = containers; container != NULL; container = container->next)
    if (container->pid != 0 && container->startedBootMs <= found->startedBootMs + 10) return true;
  return false;
}

/* Returns whether it is there and no main process. */
static bool judge(pid_t pid, bool all) {
  if (!all && findByPid(pid) != NULL) return false;
  Found found;
  if (!readStat(pid, &found) || found.parent != getpid()) return false;
  /* Dead already; its end is about to be told. */
  if (found.state == 'Z' || found.state == 'X') return true;
  if (all || !mayBelongToRunning(pid, &found)) kill(pid, SIGKILL);
  return true;
}

/* Kernels without the list of children: everybody is asked for his parent. */
static int judgeEverybody(bool all) {
  DIR *processes = opendir("/proc");
  if (processes == NULL) return 0;
  int count = 0;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL;)
    if (isdigit((unsigned char)entry->d_name[0])) count += judge((pid_t)atoi(entry->d_name), all);
  closedir(processes);
  return count;
}

int killStrays(bool all) {
  size_t size;
  char *text = readAll(childrenPath, 16 * 1024 * 1024, &size);
  if (text == NULL) return judgeEverybody(all);
  int count = 0;
  char *at = text;
  for (char *end;; at = end) {
    long pid = strtol(at, &end, 10);
    if (end == at) break;
    count += judge((pid_t)pid, all);
  }
  free(text);
  return count;
}

#else

/* Only the process group can be killed here, which the caller did. */
void straysOpen(const char *nonce) { (void)nonce; }

int killStrays(bool all) {
  (void)all;
  return 0;
}

#endif

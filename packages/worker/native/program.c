/* Starting a program: a child that shares this memory until it executes, which costs no copy. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if ON_LINUX
#include <sched.h>
#include <sys/prctl.h>
#endif

#if defined(__GNUC__)
#define NOT_SANITIZED __attribute__((no_sanitize("address")))
#else
#define NOT_SANITIZED
#endif

/* Where a command is looked up when its environment has no PATH. */
#define DEFAULT_PATH "/usr/bin:/bin"

typedef struct Child {
  const StartRequest *request;
  int stdoutEnd;
  int stderrEnd;
  /* It was born in another cgroup than its own. */
  bool entersCgroup;
  StartReport *report;
} Child;

static int emptyInput = -1;
static pid_t ownPid;
/* Shared with children, also those that have a copy of this memory. */
static StartReport *sharedReport;

static void say(StartReport *report, enum StartStep step) {
  report->error = errno;
  report->step = step;
}

/* Executes a file; one that is neither a binary nor starts with #! is a shell script, as everywhere. */
static void executeFile(const char *path, char **argv, char **environment) {
  execve(path, argv, environment);
  if (errno != ENOEXEC) return;
  char *command = argv[0];
  argv[0] = (char *)(uintptr_t)path;
  argv[-1] = (char *)(uintptr_t) "/bin/sh";
  execve(argv[-1], argv - 1, environment);
  argv[0] = command;
  errno = ENOEXEC;
}

static const char *pathOf(char **environment) {
  for (char **entry = environment; *entry != NULL; entry++)
    if (strncmp(*entry, "PATH=", 5) == 0) return *entry + 5;
  return DEFAULT_PATH;
}

/* Looks the command up as execvp does, but in the PATH it will have. Returns only on failure. */
static void execute(char **argv, char **environment) {
  const char *command = argv[0];
  if (*command == '\0') {
    errno = ENOENT;
    return;
  }
  if (strchr(command, '/') != NULL) {
    executeFile(command, argv, environment);
    return;
  }
  char candidate[PATH_MAX];
  size_t length = strlen(command);
  bool wasForbidden = false;
  const char *end;
  for (const char *at = pathOf(environment);; at = end + 1) {
    end = strchr(at, ':');
    if (end == NULL) end = at + strlen(at);
    size_t folder = (size_t)(end - at);
    if (folder + 1 + length >= sizeof candidate) {
      errno = ENAMETOOLONG;
    } else {
      memcpy(candidate, at, folder);
      /* An empty entry is the working directory. */
      if (folder > 0) candidate[folder++] = '/';
      memcpy(candidate + folder, command, length + 1);
      executeFile(candidate, argv, environment);
    }
    if (errno == EACCES) wasForbidden = true;
    else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != ESTALE) return;
    if (*end == '\0') break;
  }
  errno = wasForbidden ? EACCES : ENOENT;
}

/* A FIFO without a writer must not hold up the helper, which sleeps until the program is executed. */
static int openInput(const char *path) {
  int input = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (input >= 0) fcntl(input, F_SETFL, O_RDONLY);
  return input;
}

/* Between the birth of the child and its program. With shared memory: no allocation, no stdio. */
NOT_SANITIZED static int runChild(void *argument) {
  const Child *child = argument;
  const StartRequest *request = child->request;
  StartReport *report = child->report;
  setsid();
  /* First, so that all it takes counts there. */
  if (child->entersCgroup && !enterCgroup(request->cgroup)) {
    say(report, STEP_CGROUP);
    return 127;
  }
  int input = emptyInput;
  /* A mount may hide it. */
  if (*request->input != '\0') input = openInput(request->input);
  if (input < 0) {
    say(report, STEP_INPUT);
    return 127;
  }
  if (request->mountCount > 0 && !makeMounts(request, report)) return 127;
  if (*request->user != '\0' && !becomeUser(request->user, child->stdoutEnd, child->stderrEnd)) {
    say(report, STEP_USER);
    return 127;
  }
#if ON_LINUX
  /* When this helper is killed alone nobody else would kill its programs at once. A new user forgets it. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != ownPid) return 127;
#else
  signal(SIGCHLD, SIG_DFL);
#endif
  if (dup2(input, 0) < 0 || dup2(child->stdoutEnd, 1) < 0 || dup2(child->stderrEnd, 2) < 0) {
    say(report, STEP_OTHER);
    return 127;
  }
  if (chdir(request->workingDir) != 0) {
    say(report, STEP_DIRECTORY);
    return 127;
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execute(request->argv, request->environment);
  say(report, STEP_COMMAND);
  return 127;
}

void programsOpen(void) {
  ownPid = getpid();
  emptyInput = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (emptyInput < 0) fail("/dev/null");
  sharedReport = mmap(NULL, sizeof *sharedReport, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0);
  if (sharedReport == MAP_FAILED) fail("mmap");
}

#if ON_LINUX

static pid_t bear(Child *child) {
  if (child->entersCgroup) {
    pid_t pid = bearInCgroup(child->request->cgroup);
    if (pid > 0) return pid;
    if (pid == 0) {
      child->entersCgroup = false;
      _exit(runChild(child));
    }
  }
  /* The parent sleeps until the child executes or ends, so one stack does for all. */
  static char stack[64 * 1024] __attribute__((aligned(64)));
  /* Mounts need a namespace, which a child that shares memory can not always have. */
  int memory = child->request->mountCount > 0 ? 0 : CLONE_VM;
  return clone(runChild, stack + sizeof stack, memory | CLONE_VFORK | SIGCHLD, child);
}

#else

static pid_t bear(Child *child) {
  /* Closed by executing the program, which is how the parent knows that it may read the report. */
  int executed[2];
  if (pipe(executed) != 0) return -1;
  fcntl(executed[0], F_SETFD, FD_CLOEXEC);
  fcntl(executed[1], F_SETFD, FD_CLOEXEC);
  pid_t pid = fork();
  if (pid == 0) _exit(runChild(child));
  int error = errno;
  close(executed[1]);
  char byte;
  if (pid > 0)
    while (read(executed[0], &byte, 1) < 0 && errno == EINTR) continue;
  close(executed[0]);
  errno = error;
  return pid;
}

#endif

pid_t startProgram(const StartRequest *request, int stdoutEnd, int stderrEnd, StartReport *report) {
  sharedReport->step = STEP_NONE;
  Child child = {request, stdoutEnd, stderrEnd, *request->cgroup != '\0', sharedReport};
  pid_t pid = bear(&child);
  if (pid < 0) {
    say(report, STEP_OTHER);
    return 0;
  }
  if (sharedReport->step == STEP_NONE) return pid;
  *report = *sharedReport;
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  return 0;
}

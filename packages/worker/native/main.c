/*
 * Arguments: the nonce for the marker variable, the directory for the FIFO of the replies, and the
 * pid of the worker.
 * Commands come on descriptor 0; when they end, all that was started is killed, and the helper ends.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if ON_LINUX
#include <sys/syscall.h>
/* Headers may be older than the kernel; the number is the same everywhere. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#endif

/*
 * A program that is this young is not watched yet: most that end so soon cost one message then
 * and no registration, and the worker can wait so long for the news that it runs.
 */
#define YOUNG_MS 5
/* A program that wrote little rests so long, so that many small writes make one message. */
#define REST_MS 5
/* Less than this is little. */
#define LITTLE_BYTES 4096
/* How long output is waited for after the main process ended; only strays can hold it up. */
#define DRAIN_MS 1000
/* Ends within this time share one look for strays. */
#define STRAY_DELAY_MS 20
/* A look for strays may take one part in so many of the time. */
#define STRAY_TIME_SHARE 20
/* At the end: how long what was killed may take to die, as a process does that hangs in the kernel. */
#define FINISH_MS 4000

/* What the pipe to the worker holds. */
#define REPLY_PIPE_BYTES (256 * 1024)

#define NEVER INT64_MAX

static const char *nonce;
/* Keeps the FIFO of the replies open until the worker reads it. */
static int replyGuard = -1;
/* Containers: those not watched yet, and those that ended with open output. */
static Link young, draining;
/* Outputs: those that rest, and those that are to be read in this turn. */
static Link resting, readable;
static int64_t lookForStraysAtMs = NEVER;
static int64_t noLookBeforeMs;

/* ---- outputs --------------------------------------------------------------------------------- */

static void closeOutput(Output *output) {
  if (output->descriptor < 0) return;
  queueRemove(&output->link);
  if (output->isArmed) eventsForget(output->descriptor);
  close(output->descriptor);
  output->descriptor = -1;
}

/* ---- telling the worker ---------------------------------------------------------------------- */

static const char *number(char text[24], int64_t value) {
  snprintf(text, 24, "%lld", (long long)value);
  return text;
}

static void announce(Container *container) {
  if (container->isAnnounced) return;
  container->isAnnounced = true;
  char pid[24], time[24];
  const char *fields[] = {number(pid, container->mainPid), number(time, container->startedAtMs),
                          container->mountProblem};
  sendText(FRAME_STARTED, container->id, 3, fields);
}

/* The end, once there is nothing more to be read; of one that the worker has heard nothing of, all in one. */
static void completeIfDone(Container *container) {
  if (container->pid != 0 || container->outputs[0].descriptor >= 0 || container->outputs[1].descriptor >= 0)
    return;
  char pid[24], startTime[24], code[24] = "", signalNumber[24] = "", endTime[24];
  if (WIFSIGNALED(container->status)) number(signalNumber, WTERMSIG(container->status));
  else number(code, WEXITSTATUS(container->status));
  const char *fields[] = {number(pid, container->mainPid), number(startTime, container->startedAtMs),
                          container->mountProblem, code, signalNumber, number(endTime, container->endedAtMs)};
  if (container->isAnnounced) sendText(FRAME_EXITED, container->id, 3, fields + 3);
  else sendText(FRAME_RAN, container->id, 6, fields);
  removeContainer(container);
}

/* Of a program that the worker has heard nothing of: if there is nothing to be read it need not hear of its start. */
static ssize_t forwardFirst(Output *output) {
  static char bytes[LITTLE_BYTES];
  Container *container = output->container;
  ssize_t count = read(output->descriptor, bytes, sizeof bytes);
  int error = errno;
  if (count > 0 || (count < 0 && error == EAGAIN)) announce(container);
  if (count > 0) sendOutput(container->id, output->stream, bytes, (size_t)count);
  errno = error;
  return count;
}

/* Reads once. False = nothing more is there for now. */
static bool readOutput(Output *output) {
  Container *container = output->container;
  ssize_t count = container->isAnnounced
                      ? forwardOutput(container->id, output->stream, output->descriptor)
                      : forwardFirst(output);
  if (count > 0) {
    if (count >= LITTLE_BYTES || container->pid == 0) return true;
    queueAdd(&resting, &output->link, nowMs + REST_MS);
    return false;
  }
  if (count < 0 && errno == EINTR) return true;
  if (count < 0 && errno == EAGAIN) {
    queueRemove(&output->link);
    if (!output->isArmed) eventsArm(output->descriptor, output, output->isRegistered);
    output->isRegistered = output->isArmed = true;
    return false;
  }
  closeOutput(output);
  completeIfDone(container);
  return false;
}

/* One piece of each that has some, so that no flood holds up the others. */
static void readOutputs(void) {
  Link last;
  memset(&last, 0, sizeof last);
  queueAdd(&readable, &last, 0);
  while (readable.next != &last && !repliesAreFull()) {
    Output *output = OWNER_OF(readable.next, Output, link);
    queueRemove(&output->link);
    if (readOutput(output)) queueAdd(&readable, &output->link, 0);
  }
  queueRemove(&last);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void refuseStart(uint32_t id, int error, enum StartStep step) {
  const char *steps[] = {"other", "directory", "command", "mounts", "input", "user", "cgroup", "other"};
  const char *fields[] = {errorName(error), steps[step]};
  sendText(FRAME_START_FAILED, id, 2, fields);
}

static bool mayRunWithoutMounts(const StartRequest *request) {
  for (size_t index = 0; index < request->mountCount; index++)
    if (request->mounts[index].isRequired) return false;
  return true;
}

static bool makePipe(int ends[2]) {
#if ON_LINUX
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
#else
  if (pipe(ends) != 0) return false;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
  /* Only the reading end, which nobody shares: programs expect theirs to block. */
  fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);
  return true;
}

static void addRunning(uint32_t id, pid_t pid, const int readingEnds[2], const StartReport *mounts) {
  Container *container = addContainer(id);
  setPid(container, pid);
  container->startedAtMs = readWallMs();
  container->startedBootMs = readBootMs();
  for (int index = 0; index < 2; index++) container->outputs[index].descriptor = readingEnds[index];
  if (mounts->step == STEP_MOUNTS)
    snprintf(container->mountProblem, sizeof container->mountProblem, "%s: %s", mounts->detail,
             errorName(mounts->error));
  queueAdd(&young, &container->link, nowMs + YOUNG_MS);
}

static void start(uint32_t id, StartRequest *request) {
  int out[2] = {-1, -1}, err[2] = {-1, -1};
  StartReport report = {.step = STEP_OTHER};
  StartReport mounts = {.step = STEP_NONE};
  pid_t pid = 0;
  if (!makePipe(out) || !makePipe(err)) {
    report.error = errno;
  } else {
    pid = startProgram(request, out[1], err[1], &report);
    if (pid == 0 && report.step == STEP_MOUNTS && mayRunWithoutMounts(request)) {
      /* It still has its volumes under the paths in its environment. */
      mounts = report;
      request->mountCount = 0;
      pid = startProgram(request, out[1], err[1], &report);
    }
  }
  if (out[1] >= 0) close(out[1]);
  if (err[1] >= 0) close(err[1]);
  if (pid > 0) {
    addRunning(id, pid, (int[]){out[0], err[0]}, &mounts);
    return;
  }
  if (out[0] >= 0) close(out[0]);
  if (err[0] >= 0) close(err[0]);
  refuseStart(id, report.error, report.step);
}

static void handleFrame(int type, uint32_t id, char *payload, size_t size) {
  if (replyGuard >= 0) {
    /* Who sends commands reads the replies. */
    close(replyGuard);
    replyGuard = -1;
  }
  if (type == FRAME_START) {
    char marker[96];
    snprintf(marker, sizeof marker, "DROVER_PROCESS=%s.%u", nonce, (unsigned)id);
    StartRequest request = {0};
    bool isSound = decodeStart(payload, size, marker, &request);
    if (isSound && findById(id) == NULL) start(id, &request);
    else refuseStart(id, EINVAL, STEP_OTHER);
    free(request.mounts);
    free(request.argv - 1);
  } else if (type == FRAME_SIGNAL) {
    /* Unknown: it ended while the order was on its way. */
    Container *container = findById(id);
    if (container != NULL && container->pid != 0) kill(-container->pid, atoi(payload));
  }
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void lookForStrays(int64_t atMs) {
  if (atMs < noLookBeforeMs) atMs = noLookBeforeMs;
  if (atMs < lookForStraysAtMs) lookForStraysAtMs = atMs;
}

static void endMain(Container *container, int status) {
  /* As in a container, nothing outlives the main process. */
  kill(-container->pid, SIGKILL);
  forgetPid(container);
  container->status = status;
  container->endedAtMs = readWallMs();
  queueAdd(&draining, &container->link, nowMs + DRAIN_MS);
  for (int index = 0; index < 2; index++) {
    Output *output = &container->outputs[index];
    if (output->descriptor >= 0) queueAdd(&readable, &output->link, 0);
  }
  lookForStrays(nowMs + STRAY_DELAY_MS);
  completeIfDone(container);
}

static void reap(void) {
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    Container *container = findByPid(pid);
    if (container != NULL) endMain(container, status);
    /* An orphan: what it leaves has become a child of this process just now. */
    else lookForStrays(nowMs);
  }
}

/* Somebody still holds the output of what ended: it must be a stray, if not a process just killed. */
static void hurryStrays(void) {
  for (Link *link = draining.next; link != &draining; link = link->next)
    if (link->dueMs - nowMs > DRAIN_MS - STRAY_DELAY_MS) lookForStrays(nowMs + 1);
}

/* Kills everything and ends. */
static void finish(void) {
  for (Container *container = containers; container != NULL; container = container->next)
    if (container->pid != 0) kill(-container->pid, SIGKILL);
  int64_t untilMs = readMonotonicMs() + FINISH_MS;
  while (readMonotonicMs() < untilMs) {
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) continue;
    if (pid < 0 && errno == ECHILD) break;
    killStrays(true);
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
  }
}

void fail(const char *what) {
  static bool isFailing;
  fprintf(stderr, "process helper: %s: %s\n", what, strerror(errno));
  if (!isFailing) {
    isFailing = true;
    finish();
  }
  exit(1);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void runTimers(void) {
  Link *link;
  while ((link = queueDue(&young, nowMs)) != NULL) {
    Container *container = OWNER_OF(link, Container, link);
    queueRemove(link);
    announce(container);
    for (int index = 0; index < 2; index++) queueAdd(&readable, &container->outputs[index].link, 0);
  }
  while ((link = queueDue(&resting, nowMs)) != NULL) queueAdd(&readable, link, 0);
  while ((link = queueDue(&draining, nowMs)) != NULL) {
    Container *container = OWNER_OF(link, Container, link);
    if (repliesAreFull()) {
      /* It is the worker that holds it up, so there may be more. */
      queueAdd(&draining, link, nowMs + DRAIN_MS);
      continue;
    }
    for (int index = 0; index < 2; index++) closeOutput(&container->outputs[index]);
    completeIfDone(container);
  }
  if (lookForStraysAtMs <= nowMs) {
    lookForStraysAtMs = NEVER;
    killStrays(false);
    int64_t endedMs = readMonotonicMs();
    noLookBeforeMs = endedMs + (endedMs - nowMs) * STRAY_TIME_SHARE;
  }
}

static int nextTimeoutMs(void) {
  if (!queueIsEmpty(&readable) && !repliesAreFull()) return 0;
  int64_t dueMs = lookForStraysAtMs;
  const Link *queues[] = {&young, &resting, &draining};
  for (int index = 0; index < 3; index++)
    if (!queueIsEmpty(queues[index]) && queues[index]->next->dueMs < dueMs)
      dueMs = queues[index]->next->dueMs;
  if (dueMs == NEVER) return -1;
  int64_t waitMs = dueMs - readMonotonicMs();
  return waitMs < 0 ? 0 : (int)waitMs;
}

/* One turn. False = the worker is gone or done. */
static bool turn(void) {
  void *owners[64];
  int count = eventsWait(nextTimeoutMs(), owners, 64);
  nowMs = readMonotonicMs();
  bool hasCommands = false;
  for (int index = 0; index < count; index++) {
    if (owners[index] == &commandSource) {
      hasCommands = true;
    } else if (owners[index] == &signalSource) {
      eventsClearSignal();
      reap();
    } else if (owners[index] != &replySink) {
      Output *output = owners[index];
      output->isArmed = false;
      if (output->descriptor >= 0) queueAdd(&readable, &output->link, 0);
    }
  }
  /* Last, because a start waits until its program is executed. */
  bool goesOn = !hasCommands || readCommands(handleFrame);
  runTimers();
  readOutputs();
  hurryStrays();
  flushReplies();
  freeOver();
  return goesOn;
}

/*
 * Closes what the worker inherited from whoever started it and would hand on to every program:
 * one of these descriptors may hold a credential.
 */
static void closeInherited(void) {
#if ON_LINUX
  if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0) return;
#endif
  long most = sysconf(_SC_OPEN_MAX);
  if (most < 0 || most > 65536) most = 65536;
  for (int descriptor = 3; descriptor < most; descriptor++) close(descriptor);
}

static void takeSignals(void) {
  sigset_t all;
  sigfillset(&all);
  /* Blocked, not ignored, since what is ignored stays so in a program. */
  sigprocmask(SIG_SETMASK, &all, NULL);
  for (int signalNumber = 1; signalNumber < NSIG; signalNumber++) signal(signalNumber, SIG_DFL);
}

/*
 * Says that it is ready, and where: a FIFO, because a worker can read that into one buffer again
 * and again, which it can not with the pipes that it makes itself.
 */
static void openReplies(const char *directory) {
  char path[4096];
  int length = snprintf(path, sizeof path, "%s/replies", directory);
  if (length < 0 || (size_t)length >= sizeof path || mkfifo(path, 0600) != 0) fail(directory);
  replyGuard = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  int replies = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (replyGuard < 0 || replies < 0) fail(path);
#if ON_LINUX
  fcntl(replies, F_SETPIPE_SZ, REPLY_PIPE_BYTES);
#endif
  sendText(FRAME_READY, 0, 2, (const char *const[]){PROTOCOL_VERSION, path});
  flushReplies();
  if (dup2(replies, STDOUT_FILENO) < 0) fail("dup2");
  close(replies);
}

/* The worker does that as soon as it is ready, unless it was killed before. */
static void removeReplies(const char *directory) {
  char path[4096];
  snprintf(path, sizeof path, "%s/replies", directory);
  unlink(path);
  rmdir(directory);
}

int main(int argumentCount, char **arguments) {
  if (argumentCount < 3) {
    fprintf(stderr, "usage: %s NONCE DIRECTORY [PID] (it is started by a worker)\n", arguments[0]);
    return 2;
  }
  nonce = arguments[1];
  closeInherited();
  takeSignals();
  umask(022);
  int flags = fcntl(STDIN_FILENO, F_GETFL);
  if (flags < 0 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) < 0) fail("descriptor 0");
  queueInit(&young);
  queueInit(&draining);
  queueInit(&resting);
  queueInit(&readable);
  nowMs = readMonotonicMs();
  eventsOpen();
  programsOpen();
  straysOpen(nonce);
  if (argumentCount > 3) shortenSlices(atoi(arguments[3]));
  openReplies(arguments[2]);
  while (turn()) continue;
  finish();
  removeReplies(arguments[2]);
  return 0;
}

/*
 * The process helper: a small program that starts the pods' programs for a worker and outlives
 * nothing. What it must do is in docs/design/0002-process-helper.md; processHelper.ts beside the
 * worker does the same in JavaScript, only slower.
 */
#ifndef DROVER_HELPER_H
#define DROVER_HELPER_H

/* Included first everywhere: namespaces, pipe2 and the like. */
#define _GNU_SOURCE

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* -DDROVER_PORTABLE builds on Linux what other systems get, so that it can be tested there. */
#if defined(__linux__) && !defined(DROVER_PORTABLE)
#define ON_LINUX 1
#else
#define ON_LINUX 0
#endif

#define PROTOCOL_VERSION "6"

/* Types of frames: frames.ts. */
enum {
  FRAME_START = 1,
  FRAME_SIGNAL = 2,
  FRAME_READY = 16,
  FRAME_STARTED = 17,
  FRAME_START_FAILED = 18,
  FRAME_EXITED = 19,
  FRAME_OUTPUT = 20,
  FRAME_RAN = 21
};

/* Length, type, id. */
#define HEADER_BYTES 9
#define MAX_FRAME_BYTES (16u * 1024 * 1024)

/* ---- time and queues (queues.c) -------------------------------------------------------------- */

/* Of the present turn of the loop, from a clock that only grows. */
extern int64_t nowMs;
int64_t readMonotonicMs(void);
/* Since the epoch. */
int64_t readWallMs(void);
/* Since boot, as in /proc; 0 where there is none. */
int64_t readBootMs(void);

/* A queue of what is due after a fixed delay, so the first is always the next. */
typedef struct Link {
  struct Link *previous;
  struct Link *next;
  int64_t dueMs;
} Link;

void queueInit(Link *head);
bool queueIsEmpty(const Link *head);
void queueAdd(Link *head, Link *link, int64_t dueMs);
/* Also of a link that is in no queue, if it was once zeroed. */
void queueRemove(Link *link);
/* The first when it is due, else NULL; it stays in the queue. */
Link *queueDue(const Link *head, int64_t atMs);

#define OWNER_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* ---- events (events.c) ----------------------------------------------------------------------- */

/* What an event belongs to: one of the two below, or an Output. */
extern char commandSource, signalSource, replySink;

void eventsOpen(void);
/* Asks for one event of a descriptor that was never asked for, or whose event has come. */
void eventsArm(int descriptor, void *owner, bool isRegistered);
/* Before a descriptor that was armed is closed. */
void eventsForget(int descriptor);
/* One event as soon as descriptor 1 takes bytes again. */
void eventsArmReply(void);
/* Waits; -1 = for ever. Returns how many owners it wrote. */
int eventsWait(int timeoutMs, void **owners, int most);
/* Forgets that children ended, before they are asked for their ends. */
void eventsClearSignal(void);

/* ---- frames (frames.c) ----------------------------------------------------------------------- */

/* Handles one frame; its payload is followed by a NUL. */
typedef void (*FrameHandler)(int type, uint32_t id, char *payload, size_t size);

/* Reads what is there. False = end of the stream. */
bool readCommands(FrameHandler handle);
void sendText(int type, uint32_t id, int count, const char *const *fields);
void sendOutput(uint32_t id, int stream, const char *bytes, size_t count);
/* Reads from a pipe into a frame. What read(2) returns, with errno. */
ssize_t forwardOutput(uint32_t id, int stream, int descriptor);
/* So much waits for the worker that no more output is taken. */
bool repliesAreFull(void);
void flushReplies(void);

/* ---- programs (program.c) -------------------------------------------------------------------- */

typedef struct Mount {
  const char *source;
  const char *target;
  bool isReadOnly;
  /* The program is not run without it. */
  bool isRequired;
} Mount;

typedef struct StartRequest {
  const char *workingDir;
  /* Opened as standard input; empty = there is nothing to read. */
  const char *input;
  /* Numbers of its user, group and further groups; empty = those of the helper. */
  const char *user;
  /* Directory of the cgroup that it is born in; empty = that of the helper. */
  const char *cgroup;
  Mount *mounts;
  size_t mountCount;
  /* With a free place before the first, for an interpreter. Ended by NULL. */
  char **argv;
  char **environment;
} StartRequest;

enum StartStep {
  STEP_NONE,
  STEP_DIRECTORY,
  STEP_COMMAND,
  STEP_MOUNTS,
  STEP_INPUT,
  STEP_USER,
  STEP_CGROUP,
  STEP_OTHER
};

/* How a start went, written by the child until it executes the program. */
typedef struct StartReport {
  enum StartStep step;
  int error;
  /* Which mount could not be made. */
  char detail[256];
} StartReport;

/*
 * Points a request into its payload, which ends with a NUL behind `size`; the marker becomes the
 * last variable. False = it is none. The caller frees `mounts` and `argv - 1`. (requests.c)
 */
bool decodeStart(char *payload, size_t size, char *marker, StartRequest *request);

void programsOpen(void);
/* Starts a program with these ends as its output; 0 = it did not, and the report says why. */
pid_t startProgram(const StartRequest *request, int stdoutEnd, int stderrEnd, StartReport *report);

/* ---- mounts (mounts.c) ----------------------------------------------------------------------- */

/* In the child: makes the mounts in a namespace of its own. False = not, and the report says why. */
bool makeMounts(const StartRequest *request, StartReport *report);

/* ---- users (user.c) -------------------------------------------------------------------------- */

/* In the child: it becomes this user, who may write to these ends. False = not, and errno says why. */
bool becomeUser(const char *user, int stdoutEnd, int stderrEnd);

/* ---- cgroups (cgroups.c) --------------------------------------------------------------------- */

/*
 * Bears a child in this cgroup, with a copy of this memory, which sleeps until the child executes or
 * ends; 0 in the child. -1 = the kernel can not do that, and the child has to enter it.
 */
pid_t bearInCgroup(const char *cgroup);
/* In the child. False = not, and errno says why. */
bool enterCgroup(const char *cgroup);

/* ---- containers (containers.c) --------------------------------------------------------------- */

typedef struct Container Container;

typedef struct Output {
  Container *container;
  /* Reading end; -1 = every writer has closed, or nobody waits any more. */
  int descriptor;
  /* 1 or 2. */
  int stream;
  bool isRegistered;
  bool isArmed;
  /* In the queue of those that rest, or of those that are read in this turn. */
  Link link;
} Output;

struct Container {
  uint32_t id;
  /* Of the main process; 0 = it ended. */
  pid_t pid;
  /* The same, also when it ended. */
  pid_t mainPid;
  int64_t startedAtMs;
  /* As in /proc: since boot. */
  int64_t startedBootMs;
  /* The worker knows that it runs. */
  bool isAnnounced;
  int status;
  int64_t endedAtMs;
  char mountProblem[320];
  Output outputs[2];
  /* In the queue of the young, then of those that ended but may still have output. */
  Link link;
  Container *nextById;
  Container *nextByPid;
  Container *previous, *next;
};

extern Container *containers;
Container *findById(uint32_t id);
Container *findByPid(pid_t pid);
Container *addContainer(uint32_t id);
void setPid(Container *container, pid_t pid);
void forgetPid(Container *container);
/* It is freed by freeOver, once no event can name its outputs any more. */
void removeContainer(Container *container);
void freeOver(void);

/* ---- strays (strays.c): processes that outlived their container ------------------------------ */

void straysOpen(const char *nonce);
/* Kills those whose container has ended, or all. Returns how many children are left that are no main process. */
int killStrays(bool all);

/* ---- slices (slices.c) ----------------------------------------------------------------------- */

/* This process and the worker that started it get their turn as soon as they wake up. */
void shortenSlices(pid_t worker);

/* ---- errors (errors.c) ----------------------------------------------------------------------- */

const char *errorName(int error);
/* Says it to the worker's log and ends, with all that was started. */
void fail(const char *what) __attribute__((noreturn));

#endif

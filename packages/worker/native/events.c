/* Waiting for commands, ends of children and output: epoll and signalfd, elsewhere poll. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

char commandSource, signalSource, replySink;

#if ON_LINUX

#include <sys/epoll.h>
#include <sys/signalfd.h>

static int events = -1;
static int childSignal = -1;
static bool replyIsRegistered;

static void control(int operation, int descriptor, uint32_t what, void *owner) {
  struct epoll_event event = {.events = what, .data = {.ptr = owner}};
  if (epoll_ctl(events, operation, descriptor, &event) != 0) fail("epoll_ctl");
}

void eventsOpen(void) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  events = epoll_create1(EPOLL_CLOEXEC);
  childSignal = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (events < 0 || childSignal < 0) fail("epoll");
  control(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, &commandSource);
  control(EPOLL_CTL_ADD, childSignal, EPOLLIN, &signalSource);
}

/* One shot, since a hung-up pipe would report itself again and again while it rests. */
void eventsArm(int descriptor, void *owner, bool isRegistered) {
  control(isRegistered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, EPOLLIN | EPOLLONESHOT, owner);
}

/*
 * A closed descriptor leaves epoll by itself only when nobody else has it, and a child that has just
 * been started does: it wakes this process before the kernel closes what is not for the program.
 */
void eventsForget(int descriptor) { control(EPOLL_CTL_DEL, descriptor, 0, NULL); }

void eventsArmReply(void) {
  control(replyIsRegistered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, STDOUT_FILENO, EPOLLOUT | EPOLLONESHOT,
          &replySink);
  replyIsRegistered = true;
}

int eventsWait(int timeoutMs, void **owners, int most) {
  struct epoll_event found[64];
  int count = epoll_wait(events, found, most < 64 ? most : 64, timeoutMs);
  if (count < 0) {
    if (errno != EINTR) fail("epoll_wait");
    return 0;
  }
  for (int index = 0; index < count; index++) owners[index] = found[index].data.ptr;
  return count;
}

void eventsClearSignal(void) {
  struct signalfd_siginfo info[8];
  while (read(childSignal, info, sizeof info) > 0) continue;
}

#else

#include <poll.h>
#include <string.h>

static int childPipe[2] = {-1, -1};
static bool replyIsArmed;
static struct pollfd *polled;
static void **pollOwners;
static size_t polledCount, polledCapacity;

static void onChild(int number) {
  (void)number;
  int kept = errno;
  ssize_t written = write(childPipe[1], "", 1);
  (void)written;
  errno = kept;
}

static void prepare(int descriptor) {
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

void eventsOpen(void) {
  if (pipe(childPipe) != 0) fail("pipe");
  prepare(childPipe[0]);
  prepare(childPipe[1]);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = onChild;
  action.sa_flags = SA_RESTART;
  sigaction(SIGCHLD, &action, NULL);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_UNBLOCK, &child, NULL);
}

void eventsArm(int descriptor, void *owner, bool isRegistered) {
  (void)isRegistered;
  if (polledCount == polledCapacity) {
    polledCapacity = polledCapacity == 0 ? 64 : 2 * polledCapacity;
    polled = realloc(polled, polledCapacity * sizeof *polled);
    pollOwners = realloc(pollOwners, polledCapacity * sizeof *pollOwners);
    if (polled == NULL || pollOwners == NULL) fail("out of memory");
  }
  polled[polledCount] = (struct pollfd){.fd = descriptor, .events = POLLIN};
  pollOwners[polledCount] = owner;
  polledCount++;
}

static void takeOut(size_t index) {
  polledCount--;
  polled[index] = polled[polledCount];
  pollOwners[index] = pollOwners[polledCount];
}

void eventsForget(int descriptor) {
  for (size_t index = 0; index < polledCount; index++) {
    if (polled[index].fd != descriptor) continue;
    takeOut(index);
    return;
  }
}

void eventsArmReply(void) { replyIsArmed = true; }

static int waitForFixed(struct pollfd *fixed, int timeoutMs) {
  /* Two calls of poll would not wait together, so the fixed ones stand at the end of the array. */
  for (int index = 0; index < 3; index++) eventsArm(fixed[index].fd, NULL, false);
  for (int index = 0; index < 3; index++) polled[polledCount - 3 + index] = fixed[index];
  int count = poll(polled, (nfds_t)polledCount, timeoutMs);
  for (int index = 0; index < 3; index++) fixed[index] = polled[polledCount - 3 + index];
  polledCount -= 3;
  return count;
}

int eventsWait(int timeoutMs, void **owners, int most) {
  struct pollfd fixed[3] = {
      {.fd = STDIN_FILENO, .events = POLLIN},
      {.fd = childPipe[0], .events = POLLIN},
      {.fd = replyIsArmed ? STDOUT_FILENO : -1, .events = POLLOUT},
  };
  if (waitForFixed(fixed, timeoutMs) < 0) {
    if (errno != EINTR && errno != EAGAIN) fail("poll");
    return 0;
  }
  int count = 0;
  if (fixed[0].revents != 0) owners[count++] = &commandSource;
  if (fixed[1].revents != 0) owners[count++] = &signalSource;
  if (fixed[2].revents != 0) {
    replyIsArmed = false;
    owners[count++] = &replySink;
  }
  for (size_t index = polledCount; index > 0 && count < most; index--) {
    if (polled[index - 1].revents == 0) continue;
    owners[count++] = pollOwners[index - 1];
    takeOut(index - 1);
  }
  return count;
}

void eventsClearSignal(void) {
  char bytes[64];
  while (read(childPipe[0], bytes, sizeof bytes) > 0) continue;
}

#endif

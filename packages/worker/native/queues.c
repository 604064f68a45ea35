/* Time, and queues of what is due after a fixed delay. */
#include "helper.h"

#include <time.h>

int64_t nowMs;

int64_t readMonotonicMs(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t readWallMs(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int64_t readBootMs(void) {
#if ON_LINUX
  struct timespec time;
  clock_gettime(CLOCK_BOOTTIME, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
#else
  return 0;
#endif
}

void queueInit(Link *head) { head->previous = head->next = head; }

bool queueIsEmpty(const Link *head) { return head->next == head; }

void queueAdd(Link *head, Link *link, int64_t dueMs) {
  queueRemove(link);
  link->dueMs = dueMs;
  link->next = head;
  link->previous = head->previous;
  head->previous->next = link;
  head->previous = link;
}

void queueRemove(Link *link) {
  if (link->next == NULL) return;
  link->previous->next = link->next;
  link->next->previous = link->previous;
  link->next = link->previous = NULL;
}

Link *queueDue(const Link *head, int64_t atMs) {
  return !queueIsEmpty(head) && head->next->dueMs <= atMs ? head->next : NULL;
}

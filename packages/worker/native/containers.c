/* The containers there are, by id and by pid. */
#include "helper.h"

#include <stdlib.h>

#define BUCKETS 1024

Container *containers;

static Container *byId[BUCKETS];
static Container *byPid[BUCKETS];
/* Over, freed at the end of a turn: events may still name their outputs. */
static Container *over;

Container *findById(uint32_t id) {
  Container *container = byId[id % BUCKETS];
  while (container != NULL && container->id != id) container = container->nextById;
  return container;
}

Container *findByPid(pid_t pid) {
  if (pid <= 0) return NULL;
  Container *container = byPid[(unsigned)pid % BUCKETS];
  while (container != NULL && container->pid != pid) container = container->nextByPid;
  return container;
}

Container *addContainer(uint32_t id) {
  Container *container = calloc(1, sizeof *container);
  if (container == NULL) fail("out of memory");
  container->id = id;
  for (int index = 0; index < 2; index++)
    container->outputs[index] = (Output){.container = container, .descriptor = -1, .stream = index + 1};
  container->nextById = byId[id % BUCKETS];
  byId[id % BUCKETS] = container;
  container->next = containers;
  if (containers != NULL) containers->previous = container;
  containers = container;
  return container;
}

void setPid(Container *container, pid_t pid) {
  container->pid = container->mainPid = pid;
  container->nextByPid = byPid[(unsigned)pid % BUCKETS];
  byPid[(unsigned)pid % BUCKETS] = container;
}

void forgetPid(Container *container) {
  Container **place = &byPid[(unsigned)container->pid % BUCKETS];
  while (*place != container) place = &(*place)->nextByPid;
  *place = container->nextByPid;
  container->pid = 0;
}

void removeContainer(Container *container) {
  Container **place = &byId[container->id % BUCKETS];
  while (*place != container) place = &(*place)->nextById;
  *place = container->nextById;
  if (container->previous != NULL) container->previous->next = container->next;
  else containers = container->next;
  if (container->next != NULL) container->next->previous = container->previous;
  queueRemove(&container->link);
  container->nextById = over;
  over = container;
}

void freeOver(void) {
  while (over != NULL) {
    Container *next = over->nextById;
    free(over);
    over = next;
  }
}

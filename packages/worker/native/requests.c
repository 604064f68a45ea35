/* A start request, as it is in its frame: frames.ts. */
#include "helper.h"

#include <stdlib.h>
#include <string.h>

/* Cuts strings off a payload. */
typedef struct Fields {
  char *at;
  char *end;
  bool isBroken;
} Fields;

static char *nextField(Fields *fields) {
  static char empty[1];
  if (fields->at > fields->end) {
    fields->isBroken = true;
    return empty;
  }
  char *field = fields->at;
  fields->at += strlen(field) + 1;
  return field;
}

/* So many fields of a list that the rest can hold them. */
static size_t nextCount(Fields *fields) {
  unsigned long count = strtoul(nextField(fields), NULL, 10);
  if (count <= (size_t)(fields->end - fields->at) + 1) return count;
  fields->isBroken = true;
  return 0;
}

bool decodeStart(char *payload, size_t size, char *marker, StartRequest *request) {
  Fields fields = {.at = payload, .end = payload + size};
  request->workingDir = nextField(&fields);
  request->input = nextField(&fields);
  request->user = nextField(&fields);
  request->cgroup = nextField(&fields);
  request->mountCount = nextCount(&fields);
  request->mounts = calloc(request->mountCount + 1, sizeof *request->mounts);
  if (request->mounts == NULL) fail("out of memory");
  for (size_t index = 0; index < request->mountCount; index++) {
    request->mounts[index].source = nextField(&fields);
    request->mounts[index].target = nextField(&fields);
    const char *mode = nextField(&fields);
    request->mounts[index].isReadOnly = strncmp(mode, "ro", 2) == 0;
    request->mounts[index].isRequired = strchr(mode, '!') != NULL;
  }
  size_t argumentCount = nextCount(&fields);
  size_t restCount = 0;
  for (char *at = fields.at; at <= fields.end; at += strlen(at) + 1) restCount++;
  char **strings = calloc(restCount + 4, sizeof *strings);
  if (strings == NULL) fail("out of memory");
  request->argv = strings + 1;
  if (argumentCount == 0 || argumentCount > restCount) {
    fields.isBroken = true;
    argumentCount = 0;
  }
  for (size_t index = 0; index < argumentCount; index++) request->argv[index] = nextField(&fields);
  request->environment = request->argv + argumentCount + 1;
  size_t variable = 0;
  while (fields.at <= fields.end) request->environment[variable++] = nextField(&fields);
  request->environment[variable] = marker;
  return !fields.isBroken;
}

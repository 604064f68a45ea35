/* The wire to the worker, as in frames.ts: commands come on descriptor 0, replies go to 1. */
#include "helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Read from a pipe at a time: what a pipe holds. */
#define OUTPUT_BYTES 65536
/* More waiting for the worker than this, and programs have to wait with their output. */
#define FULL_BYTES (256 * 1024)
/* A buffer that a large frame has made larger than this is made small again. */
#define KEPT_BYTES (512 * 1024)

typedef struct Buffer {
  char *bytes;
  size_t start;
  size_t end;
  size_t capacity;
} Buffer;

static Buffer commands;
static Buffer replies;

/* Room for so many bytes behind the end. */
static char *reserve(Buffer *buffer, size_t size) {
  if (buffer->start == buffer->end) buffer->start = buffer->end = 0;
  if (buffer->end + size > buffer->capacity && buffer->start > 0) {
    memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->end - buffer->start);
    buffer->end -= buffer->start;
    buffer->start = 0;
  }
  if (buffer->end + size > buffer->capacity) {
    size_t capacity = 2 * buffer->capacity;
    if (capacity < buffer->end + size) capacity = buffer->end + size;
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (buffer->bytes == NULL) fail("out of memory");
    buffer->capacity = capacity;
  }
  return buffer->bytes + buffer->end;
}

static void shrink(Buffer *buffer) {
  if (buffer->start != buffer->end || buffer->capacity <= KEPT_BYTES) return;
  free(buffer->bytes);
  *buffer = (Buffer){0};
}

static uint32_t readNumber(const char *bytes) {
  const unsigned char *at = (const unsigned char *)bytes;
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void writeNumber(char *bytes, uint32_t number) {
  for (int index = 0; index < 4; index++) bytes[index] = (char)(number >> (8 * index) & 0xff);
}

static void writeHeader(char *bytes, int type, uint32_t id, size_t payloadBytes) {
  writeNumber(bytes, (uint32_t)(HEADER_BYTES - 4 + payloadBytes));
  bytes[4] = (char)type;
  writeNumber(bytes + 5, id);
}

/* Handles the frames that are complete. Returns the bytes that the next one needs. */
static size_t handleFrames(FrameHandler handle) {
  for (;;) {
    size_t there = commands.end - commands.start;
    if (there < 4) return HEADER_BYTES;
    char *frame = commands.bytes + commands.start;
    uint32_t rest = readNumber(frame);
    if (rest < HEADER_BYTES - 4 || rest > MAX_FRAME_BYTES) fail("a frame of impossible length");
    size_t size = 4 + (size_t)rest;
    if (there < size) return size;
    /* The last string ends with its frame: put a NUL there as long as it is used. */
    char kept = frame[size];
    frame[size] = '\0';
    handle((unsigned char)frame[4], readNumber(frame + 5), frame + HEADER_BYTES, size - HEADER_BYTES);
    frame[size] = kept;
    commands.start += size;
  }
}

bool readCommands(FrameHandler handle) {
  static size_t needed = HEADER_BYTES;
  size_t there = commands.end - commands.start;
  size_t wanted = needed > there + OUTPUT_BYTES ? needed - there : OUTPUT_BYTES;
  /* One more for the NUL. */
  char *free = reserve(&commands, wanted + 1);
  ssize_t count = read(STDIN_FILENO, free, wanted);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  commands.end += (size_t)count;
  needed = handleFrames(handle);
  shrink(&commands);
  return true;
}

void sendText(int type, uint32_t id, int count, const char *const *fields) {
  size_t size = 0;
  for (int index = 0; index < count; index++) size += strlen(fields[index]) + 1;
  if (size > 0) size--;
  char *frame = reserve(&replies, HEADER_BYTES + size + 1);
  writeHeader(frame, type, id, size);
  char *at = frame + HEADER_BYTES;
  for (int index = 0; index < count; index++) {
    size_t length = strlen(fields[index]);
    memcpy(at, fields[index], length + 1);
    at += length + 1;
  }
  replies.end += HEADER_BYTES + size;
}

/* Completes a frame whose bytes are in their place. */
static void endOutput(char *frame, uint32_t id, int stream, size_t count) {
  writeHeader(frame, FRAME_OUTPUT, id, 1 + count);
  frame[HEADER_BYTES] = (char)stream;
  replies.end += HEADER_BYTES + 1 + count;
}

void sendOutput(uint32_t id, int stream, const char *bytes, size_t count) {
  char *frame = reserve(&replies, HEADER_BYTES + 1 + count);
  memcpy(frame + HEADER_BYTES + 1, bytes, count);
  endOutput(frame, id, stream, count);
}

ssize_t forwardOutput(uint32_t id, int stream, int descriptor) {
  char *frame = reserve(&replies, HEADER_BYTES + 1 + OUTPUT_BYTES);
  ssize_t count = read(descriptor, frame + HEADER_BYTES + 1, OUTPUT_BYTES);
  if (count > 0) endOutput(frame, id, stream, (size_t)count);
  return count;
}

bool repliesAreFull(void) { return replies.end - replies.start >= FULL_BYTES; }

void flushReplies(void) {
  while (replies.start < replies.end) {
    ssize_t count = write(STDOUT_FILENO, replies.bytes + replies.start, replies.end - replies.start);
    if (count >= 0) {
      replies.start += (size_t)count;
    } else if (errno == EAGAIN) {
      eventsArmReply();
      return;
    } else if (errno != EINTR) {
      /* The worker is gone; the end of the commands says so too, and then everything ends. */
      replies.start = replies.end;
    }
  }
  shrink(&replies);
}

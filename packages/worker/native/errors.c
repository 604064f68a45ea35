/* Names of errors: not every libc has strerrorname_np. */
#include "helper.h"

#include <errno.h>
#include <stdio.h>

static const struct {
  int error;
  const char *name;
} names[] = {
    {E2BIG, "E2BIG"},     {EACCES, "EACCES"},
    {EAGAIN, "EAGAIN"},   {EBUSY, "EBUSY"},
    {EINVAL, "EINVAL"},   {EIO, "EIO"},
    {EISDIR, "EISDIR"},   {ELOOP, "ELOOP"},
    {EMFILE, "EMFILE"},   {ENFILE, "ENFILE"},
    {ENODEV, "ENODEV"},   {ENOENT, "ENOENT"},
    {ENOEXEC, "ENOEXEC"}, {ENOMEM, "ENOMEM"},
    {ENOSPC, "ENOSPC"},   {ENOSYS, "ENOSYS"},
    {ENOTDIR, "ENOTDIR"}, {EPERM, "EPERM"},
    {EROFS, "EROFS"},     {ETXTBSY, "ETXTBSY"},
    {EUSERS, "EUSERS"},   {ENAMETOOLONG, "ENAMETOOLONG"},
    {EEXIST, "EEXIST"},   {ESTALE, "ESTALE"},
};

const char *errorName(int error) {
  static char other[32];
  for (size_t index = 0; index < sizeof names / sizeof *names; index++)
    if (names[index].error == error) return names[index].name;
  snprintf(other, sizeof other, "error %d", error);
  return other;
}

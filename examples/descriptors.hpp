// SPDX-License-Identifier: MIT
// How the programs here get descriptors for a loop, in calls that every POSIX system has. (Linux
// and FreeBSD can do it with less: SOCK_NONBLOCK, SOCK_CLOEXEC, accept4(), pipe2(). macOS cannot.)
#pragma once

#include <fcntl.h>

/// No program that is started inherits it. Returns `fd`, which may be -1.
inline int close_on_exec(int fd) {
  if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

/// That, and no call on it waits.
inline int non_blocking(int fd) {
  if (fd >= 0) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return close_on_exec(fd);
}

// SPDX-License-Identifier: MIT
// What the workloads do to descriptors: the same calls whatever the loop is, and counted.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <system_error>

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conformance/support/pairs.hpp"

namespace pollux::bench {

using support::Handle;
using support::Pair;
using support::PairKind;

/// How many system calls the workload has made itself, in rows of one thread.
inline std::uint64_t own_calls = 0;

/// Passes on what a system call returned; throws if it failed.
template <class Result>
Result checked(Result result, const char* what) {
  if (result < 0) throw std::system_error{errno, std::system_category(), what};
  return result;
}

inline void send_byte(int handle) {
  ++own_calls;
  checked(::send(handle, "x", 1, MSG_NOSIGNAL), "send");
}

/// Whether there was a byte; false is the end.
inline bool receive_byte(int handle) {
  char byte = 0;
  ++own_calls;
  return checked(::recv(handle, &byte, 1, 0), "recv") == 1;
}

inline void expect_byte(int handle) {
  if (!receive_byte(handle))
    throw std::runtime_error{"readable was delivered, and nothing was there"};
}

inline Handle make_eventfd(unsigned value = 0) {
  return Handle{checked(::eventfd(value, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")};
}

inline void signal_eventfd(int handle) {
  const std::uint64_t one = 1;
  ++own_calls;
  checked(::write(handle, &one, sizeof one), "write");
}

inline void drain_eventfd(int handle) {
  std::uint64_t value = 0;
  ++own_calls;
  checked(::read(handle, &value, sizeof value), "read");
}

inline void close_counted(Handle& handle) {
  ++own_calls;
  handle.close();
}

/// As many descriptors as this process may open without being asked for more rights.
inline rlim_t raise_descriptor_limit() {
  rlimit limit{};
  checked(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  checked(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  return limit.rlim_cur;
}

/// The resident memory of this process, without what it has given back to its allocator.
inline double resident_bytes() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
  const support::Handle file{checked(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC), "open")};
  char text[128] = {};
  checked(::read(file.get(), text, sizeof text - 1), "read");
  const std::string pages{text};
  return std::stod(pages.substr(pages.find(' '))) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace pollux::bench

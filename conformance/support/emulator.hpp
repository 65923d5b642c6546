// SPDX-License-Identifier: MIT
// What tests need of Linux and an emulator of another processor may not have. They ask by trying
// it.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance/support/pairs.hpp"

namespace pollux::support {

/// The emulator that runs this process ($POLLUX_EMULATOR); empty where none does.
inline std::string_view emulator() {
  const char* const name = std::getenv("POLLUX_EMULATOR");
  return name != nullptr ? name : "";
}

/// Leaves the rest of the test out under an emulator that has no such thing. On a kernel nothing is
/// left out: there the test fails.
#define POLLUX_NEEDS(thing, is_there)                                                      \
  if (const auto emulator = pollux::support::emulator(); !emulator.empty() && !(is_there)) \
  GTEST_SKIP() << emulator << " has no " << (thing)

/// Whether sockets of that kind have the option. What else is wrong with the value is another
/// matter.
inline bool has_socket_option(PairKind kind, int option, int value) {
  const Handle socket = make_socket(kind);
  return ::setsockopt(socket.get(), SOL_SOCKET, option, &value, sizeof value) == 0 ||
         (errno != ENOPROTOOPT && errno != EOPNOTSUPP);
}

/// How ioctl() takes its request: as unsigned long, or with musl as int, for which some are too
/// large.
template <class Request>
Request request_of(int (*call)(int, Request, ...));

/// Whether a terminal shows that it is in packet mode (TIOCGPKT).
inline bool shows_packet_mode() {
#if defined(TIOCGPKT)
  const Handle master{::posix_openpt(O_RDWR | O_NOCTTY)};
  int mode = 0;
  constexpr auto request = static_cast<decltype(request_of(&::ioctl))>(TIOCGPKT);
  return ::ioctl(master.get(), request, &mode) == 0;
#else
  return false;
#endif
}

/// Whether memory is wiped for a child as MADV_WIPEONFORK has it: without that nobody notices a
/// child that is made without fork handlers.
inline bool wipes_memory_for_children() {
#if defined(MADV_WIPEONFORK)
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const page =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  auto* const mark = static_cast<volatile char*>(page);
  *mark = 1;
  bool wipes = ::madvise(page, size, MADV_WIPEONFORK) == 0;
  if (wipes) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(*mark);
    int status = -1;
    wipes = child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
  }
  ::munmap(page, size);
  return wipes;
#else
  return false;
#endif
}

}  // namespace pollux::support

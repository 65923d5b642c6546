// SPDX-License-Identifier: MIT
#include "platform/environment.hpp"

#include <cstdlib>

#include <unistd.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

namespace pollux::detail::platform {

namespace {

bool has_more_rights_than_its_caller() noexcept {
#if defined(__linux__)
  // Also of a program with file capabilities, whose numbers show nothing.
  if (::getauxval(AT_SECURE) != 0) return true;
#endif
  return ::getuid() != ::geteuid() || ::getgid() != ::getegid();
}

}  // namespace

const char* trusted_variable(const char* name) noexcept {
  const char* const value = std::getenv(name);
  return value != nullptr && !has_more_rights_than_its_caller() ? value : nullptr;
}

std::FILE* open_for_lines(const char* path) noexcept {
  std::FILE* const file = std::fopen(path, "ae");
  if (file != nullptr) static_cast<void>(std::setvbuf(file, nullptr, _IOLBF, BUFSIZ));
  return file;
}

}  // namespace pollux::detail::platform

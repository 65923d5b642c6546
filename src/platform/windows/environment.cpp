// SPDX-License-Identifier: MIT
#include "platform/environment.hpp"

#include <cstdlib>

#include <io.h>
#include <windows.h>

namespace pollux::detail::platform {

// A program that is started gets its caller's rights, or asks the user.
const char* trusted_variable(const char* name) noexcept {
  return std::getenv(name);
}

std::FILE* open_for_lines(const char* path) noexcept {
  std::FILE* const file = std::fopen(path, "ab");
  if (file == nullptr) return nullptr;
  const auto handle = reinterpret_cast<HANDLE>(::_get_osfhandle(::_fileno(file)));
  ::SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0);
  // Windows takes "by lines" for "when the buffer is full".
  static_cast<void>(std::setvbuf(file, nullptr, _IONBF, 0));
  return file;
}

}  // namespace pollux::detail::platform

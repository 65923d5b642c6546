// SPDX-License-Identifier: MIT
// Errors as POSIX has them: errno's numbers are those of std::errc.
#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

namespace pollux {

const std::error_category& native_category() noexcept {
  return std::system_category();
}

std::error_code system_error_code(std::errc why) noexcept {
  return {static_cast<int>(why), native_category()};
}

}  // namespace pollux

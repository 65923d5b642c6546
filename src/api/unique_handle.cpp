// SPDX-License-Identifier: MIT
#include <pollux/unique_handle.hpp>

#include "platform/stream_io.hpp"

namespace pollux {

std::error_code UniqueHandle::close() noexcept {
  const int error = detail::platform::close_owned(release());
  return error == 0 ? std::error_code{} : detail::platform::error_code(error);
}

}  // namespace pollux

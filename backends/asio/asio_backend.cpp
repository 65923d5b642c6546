// SPDX-License-Identifier: MIT
// The Asio backend on an io_context of its own. The backend itself is a header, pollux/asio.hpp, so
// that an application can compile it against its own Asio, for its own io_context.
#include "asio_backend.hpp"

#include <pollux/asio.hpp>

namespace pollux {

std::unique_ptr<Backend> make_asio_backend(std::error_code& error) {
  return make_reporting<detail::AsioBackend>(error, nullptr);
}

}  // namespace pollux

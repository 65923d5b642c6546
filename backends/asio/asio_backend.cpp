// SPDX-License-Identifier: MIT
// The Asio backend on an io_context of its own. The backend itself is a header, pollux/asio.hpp, so
// that an application can compile it against its own Asio, for its own io_context.
#include "asio_backend.hpp"

#include <pollux/asio.hpp>

namespace pollux {

std::unique_ptr<Backend> make_asio_backend(std::error_code& error) {
  auto backend = std::make_unique<detail::AsioBackend>(nullptr, error);
  return error ? nullptr : std::unique_ptr<Backend>{std::move(backend)};
}

}  // namespace pollux

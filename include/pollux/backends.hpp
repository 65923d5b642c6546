// SPDX-License-Identifier: MIT
// The backends compiled into this library, best first.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/export.hpp>

namespace pollux {

/// One compiled-in backend.
struct BackendInfo {
  std::string_view name;  ///< as Backend::name() has it
  /// Makes one. Null and an error if this machine cannot run it, or is short of descriptors or
  /// memory.
  std::unique_ptr<Backend> (*make)(std::error_code& error);
};

/// All compiled-in backends, the one that a Reactor takes by itself first. Any thread.
POLLUX_EXPORT std::span<const BackendInfo> backends() noexcept;

/// Whether a backend can be made here and now; `error`, if it can't, says why. Any thread.
POLLUX_EXPORT bool usable(const BackendInfo& backend, std::error_code& error);

/// Makes the backend called `name`. An empty name means: the one named by the environment variable
/// POLLUX_BACKEND if that is set and not empty, else the first one that is usable here.
/// Null and an error otherwise: Errc::unknown_backend if no backend of that name is compiled in,
/// else what its maker said. Any thread, as long as none changes the environment.
POLLUX_EXPORT std::unique_ptr<Backend> make_backend(std::string_view name, std::error_code& error);

}  // namespace pollux

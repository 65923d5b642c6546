// SPDX-License-Identifier: MIT
// The system's resolver.
#pragma once

#include <cstdint>

#include <pollux/resolver.hpp>

namespace pollux::detail::platform {

/// Asks for the addresses of `host`, each once, in the system's order. `Numeric`: only of what is
/// an address by itself, which takes no time; host_not_found for anything else. May wait for as
/// long as the system likes. Any thread.
enum class Names : std::uint8_t { all, numeric };
Resolved resolve(const char* host, std::uint16_t port, Names names) noexcept;

}  // namespace pollux::detail::platform

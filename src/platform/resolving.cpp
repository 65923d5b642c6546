// SPDX-License-Identifier: MIT
#include "platform/resolving.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"
#include "platform/socket_headers.hpp"

namespace pollux {

namespace {

class ResolverCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "pollux.resolver"; }

  std::string message(int value) const override {
#if defined(_WIN32)
    return native_category().message(value);  // its numbers are Winsock's; gai_strerror() is not
                                              // for several threads there
#else
    return ::gai_strerror(value);
#endif
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    switch (value) {
      case EAI_AGAIN:
        return std::errc::resource_unavailable_try_again;
      case EAI_MEMORY:
        return std::errc::not_enough_memory;
      case EAI_FAMILY:
        return std::errc::address_family_not_supported;
      case EAI_BADFLAGS:
        return std::errc::invalid_argument;
#if defined(EAI_OVERFLOW)
      case EAI_OVERFLOW:
        return std::errc::filename_too_long;
#endif
      default:
        return {value, *this};
    }
  }
};

/// Some systems have several words for a host that is not there, or that has no address.
bool is_unknown_name(int error) noexcept {
  switch (error) {
    case EAI_NONAME:
#if defined(EAI_NODATA) && EAI_NODATA != EAI_NONAME
    case EAI_NODATA:
#endif
#if defined(EAI_ADDRFAMILY)
    case EAI_ADDRFAMILY:
#endif
      return true;
    default:
      return false;
  }
}

std::error_code error_of(int error) noexcept {
#if defined(EAI_SYSTEM)
  if (error == EAI_SYSTEM) return detail::platform::error_code(errno);
#endif
  if (is_unknown_name(error)) return Errc::host_not_found;
  return {error, resolver_category()};
}

struct Frees {
  void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

}  // namespace

const std::error_category& resolver_category() noexcept {
  static const ResolverCategory category;
  return category;
}

namespace detail::platform {

Resolved resolve(const char* host, std::uint16_t port, Names names) noexcept {
#if defined(_WIN32)
  start_sockets();
#endif
  addrinfo hints{};
  // Not AI_ADDRCONFIG: where there is nothing but loopback, it finds nothing.
  hints.ai_flags = AI_NUMERICSERV | (names == Names::numeric ? AI_NUMERICHOST : 0);
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  std::array<char, 8> service{};
  std::to_chars(service.data(), service.data() + service.size(), port);
  addrinfo* first = nullptr;
  const int error = ::getaddrinfo(host, service.data(), &hints, &first);
  if (error != 0) return {error_of(error), {}};
  const std::unique_ptr<addrinfo, Frees> list{first};
  Resolved found;
  report_memory(found.error, [&] {
    for (const addrinfo* one = first; one != nullptr; one = one->ai_next) {
      const Address address{one->ai_addr, static_cast<std::size_t>(one->ai_addrlen)};
      if (address.family() == Address::Family::none) continue;
      if (std::find(found.addresses.begin(), found.addresses.end(), address) ==
          found.addresses.end())
        found.addresses.push_back(address);
    }
  });
  return found;
}

}  // namespace detail::platform

}  // namespace pollux

// SPDX-License-Identifier: MIT
// Addresses as text, and as the system has them.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

#include <pollux/address.hpp>
#include <pollux/backend_support.hpp>

#include "platform/socket_headers.hpp"

namespace pollux {

namespace {

constexpr std::string_view unix_prefix = "unix:";
constexpr std::size_t name_offset = offsetof(sockaddr_un, sun_path);

#if defined(__linux__)
constexpr bool has_abstract_names = true;
#else
constexpr bool has_abstract_names = false;
#endif

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A string that ends with a zero, without memory of its own.
class Terminated {
 public:
  explicit Terminated(std::string_view text) noexcept : fits_{text.size() < bytes_.size()} {
    if (fits_) std::copy(text.begin(), text.end(), bytes_.begin());
  }
  bool fits() const noexcept { return fits_; }
  const char* get() const noexcept { return bytes_.data(); }

 private:
  std::array<char, 64> bytes_{};
  bool fits_;
};

std::optional<sockaddr_in> ipv4(std::string_view host, std::uint16_t port) {
  const Terminated text{host};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (!text.fits() || ::inet_pton(AF_INET, text.get(), &address.sin_addr) != 1) return std::nullopt;
  return address;
}

std::optional<sockaddr_in6> ipv6(std::string_view host, std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  if (const std::size_t percent = host.find('%'); percent != std::string_view::npos) {
    const std::string_view scope = host.substr(percent + 1);
    const Terminated name{scope};
    if (!name.fits()) return std::nullopt;
    address.sin6_scope_id = number<std::uint32_t>(scope).value_or(::if_nametoindex(name.get()));
    if (address.sin6_scope_id == 0) return std::nullopt;
    host = host.substr(0, percent);
  }
  const Terminated text{host};
  if (!text.fits() || ::inet_pton(AF_INET6, text.get(), &address.sin6_addr) != 1)
    return std::nullopt;
  return address;
}

template <class Sockaddr>
Sockaddr as(const void* bytes) {
  Sockaddr address;
  std::memcpy(&address, bytes, sizeof address);
  return address;
}

std::string with_port(std::string host, std::uint16_t port) {
  return std::move(host) + ':' + std::to_string(port);
}

/// std::errc{}, if `name` is one.
std::errc parse_name(std::string_view name, Address& parsed) noexcept {
  const bool is_abstract = name.starts_with('@');
  if (name.empty() || name.find('\0') != std::string_view::npos ||
      (is_abstract && !has_abstract_names))
    return std::errc::invalid_argument;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A path ends with a zero, and an abstract name begins with one.
  const std::size_t size = is_abstract ? name.size() : name.size() + 1;
  if (size > sizeof address.sun_path) return std::errc::filename_too_long;
  std::copy(name.begin(), name.end(), address.sun_path);
  if (is_abstract) address.sun_path[0] = '\0';
  parsed = Address{&address, name_offset + size};
  return {};
}

std::errc parse_host_and_port(std::string_view text, Address& parsed) noexcept {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::errc::invalid_argument;
  const auto port = number<std::uint16_t>(text.substr(colon + 1));
  if (!port) return std::errc::invalid_argument;
  std::string_view host = text.substr(0, colon);
  if (host == "*") host = "[::]";
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto address = ipv6(host.substr(1, host.size() - 2), *port);
    if (!address) return std::errc::invalid_argument;
    parsed = Address{&*address, sizeof *address};
  } else {
    const auto address = ipv4(host, *port);
    if (!address) return std::errc::invalid_argument;
    parsed = Address{&*address, sizeof *address};
  }
  return {};
}

}  // namespace

Address::Address(const void* sockaddr, std::size_t size) noexcept {
  const std::size_t known = std::min(size, most);
  if (known < sizeof(sockaddr::sa_family)) return;
  std::memcpy(bytes_.data(), sockaddr, known);
  size_ = static_cast<std::uint8_t>(known);
  if (family() == Family::none || (family() == Family::unix_name && size <= name_offset)) {
    bytes_ = {};
    size_ = 0;
  }
}

Address::Address(std::string_view text, std::error_code& error) noexcept {
  const std::errc why = text.starts_with(unix_prefix)
                            ? parse_name(text.substr(unix_prefix.size()), *this)
                            : parse_host_and_port(text, *this);
  error = why == std::errc{} ? std::error_code{} : system_error_code(why);
}

Address::Address(std::string_view text) {
  std::error_code error;
  *this = Address{text, error};
  if (error) throw std::system_error{error, "pollux::Address \"" + std::string{text} + '"'};
}

Address Address::from_ip(std::span<const std::byte> bytes, std::uint16_t port) noexcept {
  if (bytes.size() == sizeof(in_addr)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    std::memcpy(&address.sin_addr, bytes.data(), bytes.size());
    return {&address, sizeof address};
  }
  if (bytes.size() == sizeof(in6_addr)) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    std::memcpy(&address.sin6_addr, bytes.data(), bytes.size());
    return {&address, sizeof address};
  }
  return {};
}

std::span<const std::byte> Address::ip() const noexcept {
  const std::span<const std::byte> all{bytes_};
  switch (family()) {
    case Family::ipv4:
      return all.subspan(offsetof(sockaddr_in, sin_addr), sizeof(in_addr));
    case Family::ipv6:
      return all.subspan(offsetof(sockaddr_in6, sin6_addr), sizeof(in6_addr));
    default:
      return {};
  }
}

Address::Family Address::family() const noexcept {
  if (size_ < sizeof(sockaddr::sa_family)) return Family::none;
  switch (as<sockaddr>(bytes_.data()).sa_family) {
    case AF_INET:
      return size_ >= sizeof(sockaddr_in) ? Family::ipv4 : Family::none;
    case AF_INET6:
      return size_ >= sizeof(sockaddr_in6) ? Family::ipv6 : Family::none;
    case AF_UNIX:
      return Family::unix_name;
    default:
      return Family::none;
  }
}

std::uint16_t Address::port() const noexcept {
  switch (family()) {
    case Family::ipv4:
      return ntohs(as<sockaddr_in>(bytes_.data()).sin_port);
    case Family::ipv6:
      return ntohs(as<sockaddr_in6>(bytes_.data()).sin6_port);
    default:
      return 0;
  }
}

std::string Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  switch (family()) {
    case Family::ipv4: {
      const auto address = as<sockaddr_in>(bytes_.data());
      ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
      return with_port(text.data(), port());
    }
    case Family::ipv6: {
      const auto address = as<sockaddr_in6>(bytes_.data());
      ::inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
      std::string host = text.data();
      if (address.sin6_scope_id != 0) host += '%' + std::to_string(address.sin6_scope_id);
      return with_port('[' + host + ']', port());
    }
    case Family::unix_name: {
      std::string name{reinterpret_cast<const char*>(bytes_.data()) + name_offset,
                       size_ - name_offset};
      if (name.starts_with('\0')) {
        name[0] = '@';
      } else {
        name.resize(std::min(name.size(), name.find('\0')));
      }
      return std::string{unix_prefix} + name;
    }
    case Family::none:
      break;
  }
  return {};
}

bool Address::operator==(const Address& other) const noexcept {
  return size_ == other.size_ && std::memcmp(bytes_.data(), other.bytes_.data(), size_) == 0;
}

}  // namespace pollux

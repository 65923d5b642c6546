// SPDX-License-Identifier: MIT
// Where a socket is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <pollux/export.hpp>

namespace pollux {

/// The address of a socket: IPv4 or IPv6 with a port, or the name of an AF_UNIX socket. A value.
/// Any thread.
class POLLUX_EXPORT Address {
 public:
  /// What kind of address it is.
  enum class Family : std::uint8_t { none, ipv4, ipv6, unix_name };

  /// No address: that of an AF_UNIX socket without a name, for instance.
  Address() noexcept = default;
  /// From text, as to_string() makes it: `127.0.0.1:80`, `[::1]:80`, `[fe80::1%eth0]:80`,
  /// `unix:/run/name`, and, where a system has abstract names (Linux), `unix:@name`. Port 0 has the
  /// system choose one. `*:80` is all of IPv6 and IPv4, `0.0.0.0:80` all of IPv4. Names of hosts
  /// are a resolver's: `invalid_argument` for them, and for all else that is none of these;
  /// `filename_too_long` for a name that an AF_UNIX address has no room for.
  explicit Address(std::string_view text);
  Address(std::string_view text, std::error_code& error) noexcept;

  /// From the 4 bytes of an IPv4 address, or the 16 of one of IPv6, in the order of the network; no
  /// address from any other number of them.
  static Address from_ip(std::span<const std::byte> bytes, std::uint16_t port) noexcept;

  /// `none` for no address.
  Family family() const noexcept;
  /// What from_ip() takes; none for other families. The bytes belong to this object.
  std::span<const std::byte> ip() const noexcept;
  /// Of IPv4 and IPv6; 0 for the others.
  std::uint16_t port() const noexcept;
  /// "" for none.
  std::string to_string() const;

  // As the system has it, a sockaddr, for calls of one's own.

  /// From the `size` bytes of a sockaddr; no address if that is of another family.
  Address(const void* sockaddr, std::size_t size) noexcept;
  const void* data() const noexcept { return bytes_.data(); }
  std::size_t size() const noexcept { return size_; }

  /// Whether they are the same byte for byte.
  bool operator==(const Address& other) const noexcept;

 private:
  static constexpr std::size_t most = 112;  ///< a sockaddr_un and its kin; a sockaddr_in6 is 28

  alignas(8) std::array<std::byte, most> bytes_{};
  std::uint8_t size_ = 0;
};

}  // namespace pollux

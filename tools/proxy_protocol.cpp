// SPDX-License-Identifier: MIT
#include "proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include <pollux/stream.hpp>

namespace pollux::tools {

namespace {

using Family = Address::Family;

constexpr std::string_view v2_signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t v2_fixed_size = 16;
constexpr std::size_t v1_longest = 107;
constexpr char tcp4 = 0x11;
constexpr char tcp6 = 0x21;

std::uint16_t big_endian(std::string_view bytes) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8 |
                                    static_cast<unsigned char>(bytes[1]));
}
void append_big_endian(std::string& to, std::uint16_t value) {
  to += {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

/// Without its port, and the brackets of IPv6.
std::string host_of(const Address& address) {
  std::string host = address.to_string();
  host.erase(host.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return host;
}

/// An IPv4 client of a socket that takes IPv6 too shows as ::ffff:1.2.3.4.
Address unmapped(const Address& address) {
  constexpr std::string_view prefix{"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12};
  if (address.ip().size() != 16 || !as_text(address.ip()).starts_with(prefix)) return address;
  return Address::from_ip(address.ip().subspan(prefix.size()), address.port());
}

bool is_tcp(const Address& client, const Address& server) {
  return client.family() == server.family() && !client.ip().empty();
}

std::string make_v1(const Address& client, const Address& server) {
  if (!is_tcp(client, server)) return "PROXY UNKNOWN\r\n";
  return fmt::format("PROXY {} {} {} {} {}\r\n", client.family() == Family::ipv4 ? "TCP4" : "TCP6",
                     host_of(client), host_of(server), client.port(), server.port());
}

std::string make_v2(const Address& client, const Address& server) {
  std::string header{v2_signature};
  header += '\x21';  // version 2, on behalf of somebody
  if (!is_tcp(client, server)) return header + std::string(3, '\0');
  std::string addresses{as_text(client.ip())};
  addresses += as_text(server.ip());
  append_big_endian(addresses, client.port());
  append_big_endian(addresses, server.port());
  header += client.family() == Family::ipv4 ? tcp4 : tcp6;
  append_big_endian(header, static_cast<std::uint16_t>(addresses.size()));
  return header + addresses;
}

ParsedHeader parse_v1(std::string_view bytes) {
  using Is = ParsedHeader::Is;
  const std::size_t end = bytes.substr(0, v1_longest).find("\r\n");
  if (end == std::string_view::npos)
    return {bytes.size() < v1_longest ? Is::incomplete : Is::wrong};
  // PROXY, the family, the client's host, the server's, the client's port, the server's.
  std::array<std::string_view, 6> words;
  std::size_t count = 0;
  for (std::string_view line = bytes.substr(0, end); count < words.size(); ++count) {
    const std::size_t space = line.find(' ');
    words[count] = line.substr(0, space);
    line = space == std::string_view::npos ? "" : line.substr(space + 1);
  }
  if (words[1] == "UNKNOWN") return {Is::header, end + 2};
  const bool is_v6 = words[1] == "TCP6";
  if (!is_v6 && words[1] != "TCP4") return {};
  bool wrong = false;
  const auto parsed = [&](std::string_view host, std::string_view port) {
    std::error_code error;
    const Address address{fmt::format("{}{}{}:{}", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port),
                          error};
    wrong |= static_cast<bool>(error);
    return address;
  };
  const Address client = parsed(words[2], words[4]);
  const Address server = parsed(words[3], words[5]);
  if (wrong) return {};
  return {Is::header, end + 2, client, server};
}

ParsedHeader parse_v2(std::string_view bytes) {
  using Is = ParsedHeader::Is;
  if (bytes.size() < v2_fixed_size) return {Is::incomplete};
  const std::size_t size = v2_fixed_size + big_endian(bytes.substr(14));
  const char command = bytes[12];
  const char family = bytes[13];
  if (command != '\x20' && command != '\x21') return {};
  if (bytes.size() < size) return {Is::incomplete};
  const std::size_t ip = family == tcp4 ? 4 : 16;
  // The sender itself (a health check), or a client of another kind.
  if (command == '\x20' || (family != tcp4 && family != tcp6)) return {Is::header, size};
  if (size < v2_fixed_size + 2 * ip + 4) return {};
  const std::string_view addresses = bytes.substr(v2_fixed_size);
  const auto parsed = [&](std::size_t which) {
    return Address::from_ip(as_bytes(addresses.substr(which * ip, ip)),
                            big_endian(addresses.substr(2 * ip + 2 * which)));
  };
  return {Is::header, size, parsed(0), parsed(1)};
}

}  // namespace

std::string make_header(ProxyHeader version, const Address& from, const Address& to) {
  const Address client = unmapped(from);
  const Address server = unmapped(to);
  switch (version) {
    case ProxyHeader::v1:
      return make_v1(client, server);
    case ProxyHeader::v2:
      return make_v2(client, server);
    case ProxyHeader::none:
      break;
  }
  return {};
}

ParsedHeader parse_header(std::string_view bytes) {
  constexpr std::string_view v1_start = "PROXY ";
  const auto begins_like = [&](std::string_view start) {
    return bytes.substr(0, start.size()) == start.substr(0, bytes.size());
  };
  if (begins_like(v2_signature)) return parse_v2(bytes);
  if (begins_like(v1_start)) return parse_v1(bytes);
  return {};
}

}  // namespace pollux::tools

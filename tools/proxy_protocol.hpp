// SPDX-License-Identifier: MIT
// The PROXY protocol: a header in front of a connection's bytes that says who the client is.
// Versions 1 and 2 of https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <pollux/address.hpp>

namespace pollux::tools {

enum class ProxyHeader { none, v1, v2 };

/// The header of a connection from a client to a server.
std::string make_header(ProxyHeader version, const Address& from, const Address& to);

/// What the first bytes of a connection are.
struct ParsedHeader {
  enum class Is { incomplete, header, wrong } is = Is::wrong;
  std::size_t size = 0;
  Address client = {};  ///< none, if the header does not say
  Address server = {};  ///< likewise: where the client has connected to
};

ParsedHeader parse_header(std::string_view bytes);

}  // namespace pollux::tools

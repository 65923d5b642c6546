// SPDX-License-Identifier: MIT
#include "soak/resources.hpp"

#include <fstream>
#include <sstream>

#include <unistd.h>
#if defined(__GLIBC__)  // FreeBSD has a header of that name, which is an error
#include <malloc.h>
#endif

#include "conformance/support/pairs.hpp"
#include "conformance/support/system.hpp"

namespace pollux::soak {

namespace {

/// "0100007F:1F90": the port stands behind the colon, in hex.
unsigned port_of(const std::string& address) {
  const auto colon = address.rfind(':');
  return colon == std::string::npos
             ? 0
             : static_cast<unsigned>(std::stoul(address.substr(colon + 1), nullptr, 16));
}

std::size_t tcp_sockets(const std::set<unsigned>& ports) {
  const std::string time_wait = "06";
  std::ifstream table{"/proc/net/tcp"};
  std::string line;
  std::getline(table, line);  // the heading
  std::size_t count = 0;
  while (std::getline(table, line)) {
    std::istringstream words{line};
    std::string number, local, remote, state;
    words >> number >> local >> remote >> state;
    if (state != time_wait && (ports.contains(port_of(local)) || ports.contains(port_of(remote))))
      ++count;
  }
  return count;
}

/// Who was accepted has its listener's name; its peer has none, and goes with it or shows as a
/// descriptor.
std::size_t unix_sockets(const std::set<std::string>& names) {
  std::ifstream table{"/proc/net/unix"};
  std::string line;
  std::size_t count = 0;
  while (std::getline(table, line)) {
    const auto blank = line.rfind(' ');
    if (blank != std::string::npos && names.contains(line.substr(blank + 1))) ++count;
  }
  return count;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

long resident_kib() {
  if (sanitized) return 0;
  long size = 0;
  long resident = 0;
  std::ifstream{"/proc/self/statm"} >> size >> resident;
  return resident * (::sysconf(_SC_PAGESIZE) / 1024);
}

long heap_kib() {
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 33)
  const struct mallinfo2 info = ::mallinfo2();
  return static_cast<long>((info.uordblks + info.hblkhd) / 1024);
#endif
#endif
  return 0;
}

}  // namespace

Resources resources(const Addresses& addresses) {
  return {support::open_descriptors(),
          tcp_sockets(addresses.tcp_ports) + unix_sockets(addresses.unix_names), heap_kib(),
          resident_kib()};
}

}  // namespace pollux::soak

// SPDX-License-Identifier: MIT
// What a process has of the machine, to be compared before and after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

namespace pollux::soak {

struct Resources {
  std::size_t descriptors = 0;
  std::size_t sockets = 0;  ///< of the listeners given, at either end; without those in TIME_WAIT
  long heap_kib = 0;        ///< allocated and not freed; 0 where it cannot be asked for
  long resident_kib = 0;    ///< 0 under a sanitizer, which keeps what was freed
};

/// The addresses that the soak's listeners have had.
struct Addresses {
  std::set<unsigned> tcp_ports;
  std::set<std::string> unix_names;
};

Resources resources(const Addresses& addresses);

}  // namespace pollux::soak

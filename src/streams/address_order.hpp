// SPDX-License-Identifier: MIT
// In which order addresses are tried.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <pollux/address.hpp>

namespace pollux::detail {

/// The addresses so that families take turns (RFC 8305, section 4): first that of the first one,
/// then the others. Within each the order stays.
inline std::vector<Address> interleaved(std::vector<Address> addresses) {
  if (addresses.empty()) return addresses;
  std::vector<Address> ordered;
  ordered.reserve(addresses.size());
  const Address::Family family = addresses.front().family();
  const auto is_first_family = [family](const Address& one) { return one.family() == family; };
  const auto others = std::stable_partition(addresses.begin(), addresses.end(), is_first_family);
  auto first = addresses.begin();
  auto other = others;
  while (first != others || other != addresses.end()) {
    if (first != others) ordered.push_back(*first++);
    if (other != addresses.end()) ordered.push_back(*other++);
  }
  return ordered;
}

}  // namespace pollux::detail

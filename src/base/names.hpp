// SPDX-License-Identifier: MIT
// The names of bits, as every text of the library has them.
#pragma once

#include <string_view>
#include <utility>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>

namespace pollux::detail {

inline constexpr std::pair<Event, std::string_view> event_names[] = {
    {Event::peer_closed, "peer_closed"},
    {Event::readable, "readable"},
    {Event::end_of_stream, "end_of_stream"},
    {Event::error, "error"},
    {Event::hangup, "hangup"},
    {Event::writable, "writable"}};

inline constexpr std::pair<Interest, std::string_view> interest_names[] = {
    {Interest::readable, "readable"},
    {Interest::writable, "writable"},
    {Interest::peer_closed, "peer_closed"},
    {Interest::one_shot, "one_shot"},
    {Interest::edge, "edge"},
    {Interest::priority, "priority"}};

inline constexpr std::pair<RawReady, std::string_view> raw_ready_names[] = {
    {RawReady::in, "in"},       {RawReady::pri, "pri"}, {RawReady::out, "out"},
    {RawReady::rdhup, "rdhup"}, {RawReady::hup, "hup"}, {RawReady::err, "err"}};

inline constexpr std::pair<RawInterest, std::string_view> raw_interest_names[] = {
    {RawInterest::in, "in"},       {RawInterest::pri, "pri"}, {RawInterest::out, "out"},
    {RawInterest::rdhup, "rdhup"}, {RawInterest::hup, "hup"}, {RawInterest::edge, "edge"}};

/// Gives `to` the names of those bits that are set, with `separator` between them, or "none".
template <class Bits, class Names, class Append>
void put_names(Bits bits, const Names& names, std::string_view separator, Append to) {
  bool first = true;
  for (const auto& [bit, name] : names) {
    if (!any(bits, bit)) continue;
    if (!std::exchange(first, false)) to(separator);
    to(name);
  }
  if (first) to(std::string_view{"none"});
}

}  // namespace pollux::detail

// SPDX-License-Identifier: MIT
// What the texts of the library for people have in common: the names of bits, and times.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
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

/// The time in seconds, with six digits behind the point.
template <class Append>
void put_seconds(std::chrono::nanoseconds time, Append to) {
  const bool negative = time < std::chrono::nanoseconds::zero();
  const std::int64_t total = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  auto rest = static_cast<std::uint64_t>(negative ? -total : total);
  char text[24];  // the longest duration has 13 digits before the point
  char* first = text + sizeof text;
  for (int digits = 0; digits < 8 || rest != 0; ++digits) {
    *--first = digits == 6 ? '.' : static_cast<char>('0' + rest % 10);
    if (digits != 6) rest /= 10;
  }
  if (negative) *--first = '-';
  to(std::string_view{first, static_cast<std::size_t>(text + sizeof text - first)});
}

inline std::string seconds(std::chrono::nanoseconds time) {
  std::string text;
  put_seconds(time, [&](std::string_view part) { text += part; });
  return text;
}
template <class Bits, class Names>
std::string names(Bits bits, const Names& of, std::string_view separator) {
  std::string text;
  put_names(bits, of, separator, [&](std::string_view part) { text += part; });
  return text;
}

}  // namespace pollux::detail

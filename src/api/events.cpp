// SPDX-License-Identifier: MIT
#include <pollux/events.hpp>

#include "base/text.hpp"

namespace pollux {

namespace {

using detail::event_names;
using detail::interest_names;

void append(std::string& to, std::string_view word, char separator) {
  if (!to.empty()) to += separator;
  to += word;
}

std::string names(Event events, const std::error_code& error) {
  std::string text;
  for (const auto& [bit, name] : event_names) {
    if (!any(events, bit)) continue;
    append(text, name, ' ');
    if (bit == Event::error && error) text += '(' + error.message() + ')';
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string to_string(const StreamEvent& event) {
  return names(event.events(), event.error());
}
std::string to_string(Event events) {
  return names(events, {});
}

std::string to_string(Interest interest) {
  std::string text;
  for (const auto& [bit, name] : interest_names) {
    if (any(interest, bit)) append(text, name, '|');
  }
  return text.empty() ? "none" : text;
}

std::string_view to_string(PeerClosedLatency latency) noexcept {
  switch (latency) {
    case PeerClosedLatency::immediate:
      return "immediate";
    case PeerClosedLatency::probed:
      return "probed";
    case PeerClosedLatency::after_drain:
      return "after drain";
  }
  return "";
}

}  // namespace pollux

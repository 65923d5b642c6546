// SPDX-License-Identifier: MIT
// Registrations::dump(): what is watched, what the kernel is asked for, and how each watch stands.
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "io/registrations.hpp"

namespace pollux::detail {

namespace {

std::string_view kind_of(const Slot& slot) {
  if (slot.is_internal()) return "internal";
  if (!slot.is_stream()) return "readiness";
  switch (slot.type.kind) {
    case StreamKind::socket:
      return slot.type.has(Quirk::multipath) ? "stream (multipath socket)" : "stream (socket)";
    case StreamKind::pipe_reader:
      return "stream (pipe, reading end)";
    case StreamKind::pipe_writer:
      return "stream (pipe, writing end)";
    case StreamKind::terminal:
      return "stream (terminal)";
  }
  return "stream";
}

/// What is installed: `edge` is how a masked watch is asked for, and any that wants it.
std::string kernel_interest(RawInterest installed) {
  return installed == RawInterest::none ? "nothing" : names(installed, raw_interest_names, " ");
}

/// Where a stream is in its life.
void add_life(std::string& to, const Slot& slot) {
  const State& state = slot.state;
  if (state.peer_closed_delivered) to += ", peer_closed delivered";
  if (state.over) {
    to += ", over: hangup delivered";
    return;
  }
  if (state.parked) {
    to += ", parked: over, with bytes unread, while paused";
    return;
  }
  if (state.ended) {
    to += ", end_of_stream delivered";
  } else if (slot.type.kind != StreamKind::pipe_writer) {
    to += any(slot.interest, Interest::readable) ? ", reading" : ", paused";
  }
}

}  // namespace

void Registrations::dump(std::string& to) const {
  const LoopContext::time_point now = loop_.now();
  for (std::uint32_t i = 0; i < table().size(); ++i) {
    const Slot& slot = table().slot(i);
    if (!slot.used) continue;
    to += "  fd " + std::to_string(slot.handle) + ' ';
    to += kind_of(slot);
    to += ", interest " + to_string(slot.interest);
    to += ", kernel asked for " + kernel_interest(slot.installed);
    if (slot.closed) {
      to += ", closed under its watch";
    } else {
      if (slot.is_stream()) add_life(to, slot);
      if (slot.state.mask == Mask::all) to += ", masked until something new happens";
      if (slot.state.mask == Mask::hint) to += ", the peer's FIN is asked about by a timer";
      if (slot.outside == Outside::in_edge_set) to += ", in the edge set";
    }
    if (slot.listed.recheck) to += ", to be rechecked";
    if (slot.listed.changed) to += ", change of interest pending";
    if (slot.ready != RawReady::none)
      to += ", reported and not yet delivered: " + names(slot.ready, raw_ready_names, " ");
    if (slot.backoff != 0)
      to += ", " + std::to_string(slot.backoff) + " reports or retries in a row without an event";
    if (const auto retry = set_.retry_time(i); retry != LoopContext::time_point::max())
      to += ", asked about again in " + seconds(between(now, retry)) + " s";
    if (called_.index == i) to += called_.ended ? ", unwatched by its handler" : ", in its handler";
    to += '\n';
  }
}

}  // namespace pollux::detail

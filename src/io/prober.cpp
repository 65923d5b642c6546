// SPDX-License-Identifier: MIT
#include "io/prober.hpp"

#include <utility>

namespace pollux::detail {

using platform::Outcome;

StreamType Prober::examine(NativeHandle handle, std::error_code& error) noexcept {
  StreamType type = system_.stream_type(handle, error);
  if (!error && type.has(Quirk::multipath)) system_.learn_fin_number(handle, type);
  return type;
}

void Prober::learn_fin_number(Slot& slot) noexcept {
  system_.learn_fin_number(slot.handle, slot.type);
}

PeerFin Prober::peer_fin(const Slot& slot) noexcept {
  return system_.probe_peer_fin(slot.handle, slot.type, RawReady::none).found;
}

Outcome Prober::probe(Slot& slot, Probe wanted, Observation& found) noexcept {
  ++loop_.stats.probes;
  switch (wanted) {
    case Probe::inbound:
      return probe_inbound(slot, found);
    case Probe::outbound:
      return probe_outbound(slot, found);
    case Probe::error:
      return take_error(slot, found);
    case Probe::peer_fin: {
      const auto answer = system_.probe_peer_fin(slot.handle, slot.type, known(found));
      if (answer.outcome != Outcome::answered) return answer.outcome;
      found.peer_fin = answer.found;
      if (answer.error != 0) found.error = answer.error;
      break;
    }
    case Probe::standing: {
      const auto answer = system_.probe_standing(slot.handle, slot.type, known(found));
      if (answer.outcome != Outcome::answered) return answer.outcome;
      found.standing = answer.found;
      break;
    }
    case Probe::none:
      break;
  }
  return Outcome::answered;
}

/// A probe came upon an error, and so has taken it. Of a connection that has failed the kernel says
/// that it is over, and a backend mostly so. Without, the error may not be the connection's.
bool Prober::is_none_of_its_own(const Slot& slot, RawReady ready) noexcept {
  return slot.type.kind == StreamKind::socket && !any(ready, RawReady::hup) &&
         system_.probe_standing(slot.handle, slot.type, RawReady::none).found == Standing::good;
}

Outcome Prober::probe_inbound(Slot& slot, Observation& found) noexcept {
  const auto ask = [&] { return system_.probe_inbound(slot.handle, slot.type, known(found)); };
  auto answer = ask();
  if (answer.found == Inbound::failed && is_none_of_its_own(slot, found.ready)) answer = ask();
  if (answer.found == Inbound::unknown) return answer.outcome;
  found.inbound = answer.found;
  found.error = answer.error;
  // What an earlier probe took comes when the bytes before it have been read.
  if (slot.pending_error != 0 && answer.found != Inbound::bytes) {
    found.inbound = Inbound::failed;
    found.error = slot.take_error();
  }
  return Outcome::answered;
}

Outcome Prober::probe_outbound(Slot& slot, Observation& found) noexcept {
  const auto ask = [&] { return system_.probe_outbound(slot.handle); };
  auto answer = ask();
  if (answer.found == Outbound::failed && is_none_of_its_own(slot, found.ready)) answer = ask();
  if (answer.outcome != Outcome::answered) return answer.outcome;
  found.outbound = answer.found;
  if (answer.error != 0) found.error = answer.error;
  return Outcome::answered;
}

Outcome Prober::take_error(Slot& slot, Observation& found) noexcept {
  found.error_known = true;
  const int reported = std::exchange(found.error, slot.take_error());
  if (found.error != 0) return Outcome::answered;
  const auto answer = system_.take_error(slot.handle, slot.type.kind, known(found));
  if (answer.outcome != Outcome::answered) return answer.outcome;
  const int error = answer.found != 0 ? answer.found : reported;
  if (error != 0 && !is_none_of_its_own(slot, found.ready)) found.error = error;
  return Outcome::answered;
}

}  // namespace pollux::detail

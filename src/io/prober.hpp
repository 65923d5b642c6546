// SPDX-License-Identifier: MIT
// Asks the kernel about one stream, for the lifecycle (io/stream_lifecycle.hpp).
#pragma once

#include <system_error>

#include <pollux/backend.hpp>

#include "base/loop_context.hpp"
#include "io/capabilities.hpp"
#include "io/watch_table.hpp"
#include "platform/platform.hpp"

namespace pollux::detail {

class Prober {
 public:
  /// `capabilities` must outlive it.
  Prober(LoopContext& loop, const Capabilities& capabilities) noexcept
      : loop_{loop}, capabilities_{capabilities}, system_{loop.system_calls} {
    prepare();
  }

  /// What kind of byte stream `handle` is, and what is unusual about it. Errors as for
  /// Reactor::watch_stream().
  StreamType examine(NativeHandle handle, std::error_code& error) noexcept;
  /// A connection made of several numbers its bytes; what the numbers say of an end must be known
  /// before there is one.
  void learn_fin_number(Slot& slot) noexcept;
  /// Makes the probe that is wanted, and adds what it finds. An error that a probe takes out of the
  /// kernel too early waits in the slot.
  platform::Outcome probe(Slot& slot, Probe wanted, Observation& found) noexcept;
  /// What is true of it now, whether the backend would report it or not; changes nothing.
  RawReady what_is_true(const Slot& slot) noexcept {
    return system_.what_is_true(slot.handle, slot.type);
  }
  /// Whether a FIN can be seen behind unread bytes; changes nothing.
  PeerFin peer_fin(const Slot& slot) noexcept;

  platform::System& system() noexcept { return system_; }
  void leave_kernel() noexcept { system_.leave_kernel(); }
  void after_fork() noexcept { prepare(); }

 private:
  void prepare() noexcept {
    if (capabilities_.need_probes()) system_.prepare_to_look();
  }
  bool is_none_of_its_own(const Slot& slot, RawReady ready) noexcept;
  platform::Outcome probe_inbound(Slot& slot, Observation& found) noexcept;
  platform::Outcome probe_outbound(Slot& slot, Observation& found) noexcept;
  platform::Outcome take_error(Slot& slot, Observation& found) noexcept;
  RawReady known(const Observation& found) const noexcept {
    return capabilities_.knows_over ? found.ready : RawReady::none;
  }

  LoopContext& loop_;
  const Capabilities& capabilities_;
  platform::System system_;
};

}  // namespace pollux::detail

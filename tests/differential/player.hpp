// SPDX-License-Identifier: MIT
// Plays histories on one backend, on real descriptors.
#pragma once

#include <memory>
#include <string>

#include <pollux/reactor.hpp>

#include "differential/history.hpp"
#include "differential/model.hpp"
#include "differential/trace.hpp"
#include "support/pairs.hpp"

namespace pollux::differential {

/// One reactor, used for one history after another. One thread at a time.
class Player {
 public:
  explicit Player(std::unique_ptr<Backend> backend);

  Trace play(const History& history);

  /// What this backend owes for peer_closed behind unread bytes.
  EarlyNotice early_notice() const noexcept;

 private:
  class Play;

  Reactor reactor_;
  support::Handle listener4_;
  support::Handle listener6_;
};

/// Why no history of this kind can be played here; empty if they can.
std::string why_unavailable(Kind kind);

}  // namespace pollux::differential

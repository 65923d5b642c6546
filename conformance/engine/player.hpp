// SPDX-License-Identifier: MIT
// Plays histories on one backend, on real descriptors.
#pragma once

#include <array>
#include <memory>

#include <pollux/reactor.hpp>

#include "conformance/engine/connections.hpp"
#include "conformance/engine/history.hpp"
#include "conformance/engine/model.hpp"
#include "conformance/engine/trace.hpp"
#include "conformance/support/contestants.hpp"

namespace pollux::differential {

/// One reactor, or two, used for one history after another. One thread at a time.
class Player {
 public:
  explicit Player(support::Contestant::Make make);

  Trace play(const History& history);

  /// What this backend owes for peer_closed behind unread bytes.
  EarlyNotice early_notice() const noexcept;

 private:
  class Play;

  Reactor& reactor(std::size_t number);

  support::Contestant::Make make_;
  std::array<std::unique_ptr<Reactor>, 2> reactors_;  ///< the second when it is needed
  Connections connections_;
};

}  // namespace pollux::differential

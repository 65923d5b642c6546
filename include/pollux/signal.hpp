// SPDX-License-Identifier: MIT
// One watch of one signal.
#pragma once

#include <utility>

#include <pollux/detail/registration.hpp>

namespace pollux {

namespace detail {

/// The watch of a signal or of a child.
using ProcessWatchBase = Registration<Registered::process>;

}  // namespace detail

/// The watch of a signal, made by Reactor::on_signal(). Its handler runs in the loop's thread,
/// where everything may be done that a signal handler must not do, and gets the number. It is
/// called in the turn after the signal was raised, whichever thread that was raised in, and once
/// for all that came since its last call: as with signals that are pending, the number of calls
/// means nothing, but the last is never lost. The signal is delivered to each of its watches, of
/// one reactor or of many.
///
/// As long as a signal is watched anywhere in the process, pollux has its disposition
/// (sigaction(2), with SA_RESTART); what was there before is not called, and comes back with the
/// end of the last watch, unless somebody has replaced pollux's meanwhile. A signal that every
/// thread blocks, or that somebody else takes (sigwait(3), signalfd(2)), is not delivered.
class SignalWatch : public detail::ProcessWatchBase {
 public:
  SignalWatch() noexcept = default;

 private:
  using Registration::Registration;
};

}  // namespace pollux

// SPDX-License-Identifier: MIT
// One watch of one signal.
#pragma once

#include <pollux/detail/registration.hpp>

namespace pollux {

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
///
/// On Windows there are SIGINT (also Ctrl-C), SIGBREAK (Ctrl-Break), SIGTERM (also when the console
/// is closed or the user leaves: the process has a few seconds then) and SIGABRT. The C library
/// there takes a handler out while raise() calls it: if two threads raise one signal at the same
/// time, the process may end. What a console's user does comes another way.
///
/// It ends with the object, which may be moved. All members: loop thread, and harmless when the
/// reactor is gone.
class SignalWatch : private detail::Registration<detail::Registered::process> {
 public:
  /// Watches nothing.
  SignalWatch() noexcept = default;

  /// Ends the watch: the handler is not called any more, not even inside this turn, and is
  /// destroyed, at the latest when the call that is running returns. May be called by the handler
  /// itself.
  void reset() noexcept { end(); }

  /// Whether this object holds a watch that has not been ended. True also when the
  /// reactor is gone.
  explicit operator bool() const noexcept { return is_live(); }

 private:
  friend class Reactor;
  friend class detail::LentWatch<SignalWatch>;
  using Registration::Registration;
};

}  // namespace pollux

// SPDX-License-Identifier: MIT
// The event loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>
#include <pollux/handler.hpp>
#include <pollux/watch.hpp>

namespace pollux {

/// How a reactor is set up. The defaults suit nearly everybody.
struct ReactorOptions {
  /// How many reports one wait may bring.
  std::uint32_t event_batch = 512;
  /// A condition that no kernel call can wait for (Interest::peer_closed behind unread bytes on a
  /// backend that must probe; an error bit that stays up without an error) is looked at again after
  /// `probe_interval_min`, then after twice as long, up to `probe_interval_max`. No timer runs
  /// while no watch needs it. Zero for both means: at every turn.
  std::chrono::nanoseconds probe_interval_min = std::chrono::milliseconds{1};
  std::chrono::nanoseconds probe_interval_max = std::chrono::milliseconds{100};
  /// The clock that deadlines are measured by; for tests.
  std::chrono::steady_clock::time_point (*clock)() = &std::chrono::steady_clock::now;
};

/// Watches descriptors and calls handlers. One thread at a time uses it: the loop's thread. Only
/// wake() and stop() may be called from any other, and from signal handlers.
///
/// Handlers run inside run(), run_once(), run_for() and poll(), and may do anything but call those:
/// change interest, end their own watch or any other, close, open, watch, stop, destroy the
/// reactor's other users. An exception thrown by a handler leaves run*(); the event counts as
/// delivered, whatever else had been fetched is reported by the next turn, and the reactor stays
/// usable.
///
/// Calls with a `std::error_code&` report through it, those without throw std::system_error.
class Reactor {
 public:
  /// On the backend named by $POLLUX_BACKEND, or else the best one usable here.
  Reactor();
  explicit Reactor(std::error_code& error);
  /// On the backend of that name; an empty name is the same as none. See make_backend() for the
  /// errors.
  explicit Reactor(std::string_view backend, const ReactorOptions& options = {});
  Reactor(std::string_view backend, std::error_code& error);
  Reactor(std::string_view backend, const ReactorOptions& options, std::error_code& error);
  /// On a backend of your own; null is std::errc::invalid_argument.
  explicit Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options = {});
  Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options, std::error_code& error);

  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  /// Ends all registrations; the descriptors stay open. Watches that live on are harmless: they
  /// hear nothing, and set_interest() answers Errc::reactor_closed. Not from inside a handler.
  ~Reactor();

  /// Watches `handle` for plain readiness. `handle` must stay open until the watch has ended.
  ///
  /// Refused alike on every backend: `bad_file_descriptor` for what is not open,
  /// `operation_not_permitted` for files and directories, `file_exists` for a handle that this
  /// reactor watches already, `invalid_argument` for Interest::peer_closed. What else the kernel
  /// says
  /// (`not_enough_memory`, `no_space_on_device`) is passed on. Refused means: nothing has changed.
  [[nodiscard]] Watch watch(NativeHandle handle, Interest interest, Handler<Readiness> handler);
  [[nodiscard]] Watch watch(NativeHandle handle, Interest interest, Handler<Readiness> handler,
                            std::error_code& error);

  /// Watches the byte stream `handle`, with its whole lifecycle. The stream need not be in
  /// non-blocking mode. Errors as for watch(), and Errc::not_a_stream for what has no byte stream
  /// in it.
  [[nodiscard]] StreamWatch watch_stream(NativeHandle handle, Interest interest,
                                         Handler<StreamEvent> handler);
  [[nodiscard]] StreamWatch watch_stream(NativeHandle handle, Interest interest,
                                         Handler<StreamEvent> handler, std::error_code& error);

  /// Runs turns until stop() is called, also if nothing is watched. Returns how often handlers were
  /// called. Errors, here and below: Errc::already_running, Errc::reactor_closed, or what the
  /// kernel said to a wait or to the rebuilding of its set.
  std::size_t run();
  std::size_t run(std::error_code& error);

  /// Waits until at least one handler has been called, wake() or stop() is, or `timeout` has
  /// passed; never comes back early otherwise. Without a timeout, for as long as it takes.
  std::size_t run_once();
  std::size_t run_once(std::error_code& error);
  std::size_t run_once(std::chrono::nanoseconds timeout);
  std::size_t run_once(std::chrono::nanoseconds timeout, std::error_code& error);

  /// Runs turns for as long as `duration`, or until stop().
  std::size_t run_for(std::chrono::nanoseconds duration);
  std::size_t run_for(std::chrono::nanoseconds duration, std::error_code& error);

  /// One turn that never waits: calls the handlers of what is ready now.
  std::size_t poll();
  std::size_t poll(std::error_code& error);

  /// Makes the run, run_once, run_for or poll that is running return after the handler that is
  /// running, or, if none is, the next one return at once. Any thread, and signal handlers.
  void stop() noexcept;

  /// Makes a run_once() that waits return, or the next one return at once. Any thread, and signal
  /// handlers. Calls may fall together; none is lost.
  void wake() noexcept;

  /// The backend's name. "" if there is none because the constructor reported an error.
  std::string_view backend_name() const noexcept;
  /// What the backend can be believed on; see Backend::reports().
  RawReady backend_reports() const noexcept;

 private:
  std::shared_ptr<detail::ReactorCore> core_;
};

}  // namespace pollux

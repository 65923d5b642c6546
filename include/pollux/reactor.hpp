// SPDX-License-Identifier: MIT
// The event loop.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>
#include <pollux/export.hpp>
#include <pollux/handler.hpp>
#include <pollux/poster.hpp>
#include <pollux/process.hpp>
#include <pollux/signal.hpp>
#include <pollux/stats.hpp>
#include <pollux/timer.hpp>
#include <pollux/watch.hpp>

namespace pollux {

namespace detail {
class StreamService;
}

/// How a reactor is set up. The defaults suit nearly everybody.
struct ReactorOptions {
  /// How many reports one wait may bring.
  std::uint32_t event_batch = 512;
  /// A condition that no kernel call can wait for (Interest::peer_closed behind unread bytes on a
  /// backend that must probe; an error bit that stays up without an error) is probed again after
  /// `probe_interval_min`, then after twice as long, up to `probe_interval_max`. No timer runs
  /// while no watch needs it. Zero for both means: at every turn.
  std::chrono::nanoseconds probe_interval_min = std::chrono::milliseconds{1};
  std::chrono::nanoseconds probe_interval_max = std::chrono::milliseconds{100};
  /// Bits of RawReady that are not to be believed although the backend reports them, on a kernel
  /// that gets them wrong: rdhup, hup, err. What they say is found by looking, as on backends that
  /// have none; rdhup is then not asked for. (in and out have no effect here.)
  RawReady unreliable_bits = RawReady::none;
  /// The clock that deadlines are measured by; for tests.
  std::chrono::steady_clock::time_point (*clock)() = &std::chrono::steady_clock::now;
};

/// Watches descriptors, keeps timers, and calls handlers. One thread at a time uses it: the loop's
/// thread. Only post(), wake() and stop() may be called from any other, the latter two also from
/// signal handlers. The child of a fork() has a reactor of its own after after_fork().
///
/// Handlers run inside run(), run_forever(), run_once(), run_for() and poll(). They may call any
/// member except those, and may destroy any watch, timer or poster, their own included; they must
/// not destroy the reactor. An exception thrown by a handler leaves run*(); the event counts as
/// delivered, the next turn reports whatever else had been fetched, and the reactor stays usable.
///
/// One turn: changes of interest go to the kernel, the wait, handlers of watches, then those of
/// signals and children, those of timers, then what was posted. What a handler arms, raises or
/// posts comes in the next turn.
///
/// Calls with a `std::error_code&` report through it, those without throw std::system_error. Out of
/// memory is `not_enough_memory` with both, and changes nothing: what is watched, armed or posted
/// stays so, and a change that could not reach the kernel does when there is memory again. (What is
/// made of a lambda with more than three pointers of captures takes memory before the call, and
/// throws std::bad_alloc there.)
class POLLUX_EXPORT Reactor {
 public:
  /// On the backend named by $POLLUX_BACKEND, or else the best one usable here.
  ///
  /// All constructors read $POLLUX_TRACE, once. `1` or `stderr` sets a TextTracer to standard
  /// error; anything else names a file, to which a TextTracer appends (`./1` for a file of that
  /// name). Empty, `0` or not set: none, as in a program with more rights than its caller. A file
  /// that cannot be opened is Errc::trace_unavailable. set_tracer() replaces that tracer.
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
  /// get no event, and set_interest() answers Errc::reactor_closed. Not from inside a handler.
  ~Reactor();

  /// Watches `handle` for plain readiness. `handle` must stay open until the watch has ended.
  ///
  /// Refused alike on every backend: `bad_file_descriptor` for what is not open,
  /// `operation_not_permitted` for files and directories, `file_exists` for a handle that this
  /// reactor watches already, `invalid_argument` for Interest::peer_closed, for one_shot and edge
  /// together and for unknown bits, `operation_not_supported` for edge or priority on a backend
  /// that has none. Which file cannot be watched is the kernel's to say, not its type's. What else
  /// the kernel says (`not_enough_memory`, `no_space_on_device`) is passed on. Refused means:
  /// nothing has changed.
  [[nodiscard]] Watch watch(NativeHandle handle, Interest interest, Handler<Readiness> handler);
  [[nodiscard]] Watch watch(NativeHandle handle, Interest interest, Handler<Readiness> handler,
                            std::error_code& error);

  /// Watches the byte stream `handle`, with its whole lifecycle. The stream need not be in
  /// non-blocking mode. Errors as for watch(), Errc::not_a_stream for what has no byte stream in
  /// it, and `invalid_argument` for Interest::edge: what comes behind the bytes would be lost.
  [[nodiscard]] StreamWatch watch_stream(NativeHandle handle, Interest interest,
                                         Handler<StreamEvent> handler);
  [[nodiscard]] StreamWatch watch_stream(NativeHandle handle, Interest interest,
                                         Handler<StreamEvent> handler, std::error_code& error);

  /// A timer that is not armed: Timer::restart() or restart_at() does that, as often as it is
  /// wanted. It fires once each time. Keep the object: the timer ends with it.
  [[nodiscard]] Timer timer(Handler<Timer> handler);
  [[nodiscard]] Timer timer(Handler<Timer> handler, std::error_code& error);
  /// A timer that fires once, `delay` from now; a negative one is none. Keep the object: the timer
  /// ends with it.
  [[nodiscard]] Timer after(std::chrono::nanoseconds delay, Handler<Timer> handler);
  [[nodiscard]] Timer after(std::chrono::nanoseconds delay, Handler<Timer> handler,
                            std::error_code& error);
  /// A timer that fires once, at `deadline`, or at once if that is past.
  [[nodiscard]] Timer at(Timer::time_point deadline, Handler<Timer> handler);
  [[nodiscard]] Timer at(Timer::time_point deadline, Handler<Timer> handler,
                         std::error_code& error);
  /// A timer that fires every `period`, first one period from now. If the loop falls behind, it
  /// fires once for all periods that were missed, and stays in step with those to come.
  /// `invalid_argument` for a period that is not positive.
  [[nodiscard]] Timer every(std::chrono::nanoseconds period, Handler<Timer> handler);
  [[nodiscard]] Timer every(std::chrono::nanoseconds period, Handler<Timer> handler,
                            std::error_code& error);

  /// The time by ReactorOptions::clock when this turn first asked for it: the clock is read once a
  /// turn, however often this is called, for those who put many timers off
  /// (Timer::restart_at()). It is behind by what the handlers of this turn have taken since. Where
  /// no handler is running, it is the time now. Loop thread.
  Timer::time_point turn_time() const noexcept;

  /// Has `handler` called whenever this process gets the signal, from now on. See SignalWatch for
  /// what that takes. Keep the object: the watch ends with it. `invalid_argument` for what is no
  /// signal, for SIGKILL and SIGSTOP, and for those that a thread's own fault raises (SIGSEGV,
  /// SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS), Errc::reactor_closed, Errc::forked.
  [[nodiscard]] SignalWatch on_signal(int signo, Handler<int> handler);
  [[nodiscard]] SignalWatch on_signal(int signo, Handler<int> handler, std::error_code& error);

  /// Waits for the child process `pid` and has `handler` called with what has become of it; in the
  /// next turn, if it has ended already. See ChildWatch. Keep the object. `no_child_process` for
  /// what is no child of this process, or was waited for already, `file_exists` for one that this
  /// reactor watches, Errc::reactor_closed, Errc::forked.
  [[nodiscard]] ChildWatch on_child_exit(int pid, Handler<ChildExit> handler);
  [[nodiscard]] ChildWatch on_child_exit(int pid, Handler<ChildExit> handler,
                                         std::error_code& error);
  /// The same for the process that `process` is a handle of, as CreateProcess() gives one. It need
  /// not be a child, but it may not be this process. pollux duplicates the handle: the caller's
  /// stays the caller's, who may close it at once. It takes the rights SYNCHRONIZE and
  /// PROCESS_QUERY_LIMITED_INFORMATION. `bad_file_descriptor` for what is no handle of a process,
  /// `permission_denied` without these rights, `no_child_process` for this process itself, and the
  /// other errors of the number's. Windows; elsewhere `function_not_supported`.
  [[nodiscard]] ChildWatch on_child_exit(ProcessHandle process, Handler<ChildExit> handler);
  [[nodiscard]] ChildWatch on_child_exit(ProcessHandle process, Handler<ChildExit> handler,
                                         std::error_code& error);

  /// Has `task` called by the loop's thread, in the next turn. Any thread, as long as the reactor
  /// is there; see Poster::post() for the promises, and poster() for threads that may live longer.
  void post(Handler<void> task);
  void post(Handler<void> task, std::error_code& error);
  /// A handle to post with, which may outlive the reactor, and keeps run() running. Loop thread.
  Poster poster() const noexcept;

  /// Runs turns until stop() is called, or nothing is left that could ever call a handler: no
  /// watch, whatever its interest is; no armed timer; no signal watch; no child whose end is still
  /// to come; no posted task, and no Poster, of this reactor. With nothing from the beginning it
  /// returns at once. A Poster keeps it running, in any thread; so use one where work is still to
  /// come, or run_forever(). Not counted: what another loop has to do, as an application's own
  /// io_context (pollux/asio.hpp). Returns how often handlers were called. Errors, here and below:
  /// Errc::already_running, Errc::reactor_closed, or what the kernel said to a wait or to the
  /// rebuilding of its set.
  std::size_t run();
  std::size_t run(std::error_code& error);

  /// Runs turns until stop() is called, also if nothing is left: for a thread that waits for
  /// post().
  std::size_t run_forever();
  std::size_t run_forever(std::error_code& error);

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

  /// Makes the run, run_forever, run_once, run_for or poll that is running return after the handler
  /// that is running, or, if none is, the next one return at once. Any thread, and signal handlers.
  void stop() noexcept;

  /// Makes a run_once() that waits return, or the next one return at once. Any thread, and signal
  /// handlers. Calls may fall together; none is lost.
  void wake() noexcept;

  // Inside another event loop (docs/embedding.md; adapters are in pollux/embed/). A turn is split
  // in three: prepare(), then the other loop waits on native_handle() and for next_timeout(), then
  // check() and dispatch(), or poll(), which is all three without a wait. Loop thread, all of them.

  /// What the other loop is to wait on, for reading. It may change in prepare(), check(), watch()
  /// and after_fork(). `operation_not_supported` on a backend that has none: poll, and asio, whose
  /// place is on the other loop's own io_context (pollux/asio.hpp).
  NativeHandle native_handle() const;
  NativeHandle native_handle(std::error_code& error) const noexcept;
  /// How long the other loop may wait, rounded to nothing: zero if something is due, nullopt if
  /// only a descriptor, another thread or a signal can bring something.
  std::optional<std::chrono::nanoseconds> next_timeout() noexcept;
  /// Applies all changes to the kernel's set; from now on other threads make native_handle()
  /// readable. Returns next_timeout().
  std::optional<std::chrono::nanoseconds> prepare();
  /// Fetches what the kernel has to report, without waiting. Whether dispatch() has anything to do.
  bool check();
  bool check(std::error_code& error);
  /// Calls handlers: of what check() has fetched, of signals and children, of timers that are due,
  /// of what was posted. How many. Errc::already_running from inside a handler.
  std::size_t dispatch();
  std::size_t dispatch(std::error_code& error);
  /// `notify` is called, once after each prepare(), when what was prepared holds no longer: a
  /// deadline came that is earlier, interest was changed, the native handle is another. The other
  /// loop then prepares again, which it must not do from inside `notify`. None: an empty handler.
  void on_reschedule(Handler<void> notify);

  /// In the child of a fork: makes the reactor independent of the parent's, which shares the
  /// kernel's set, and goes on with the same watches, timers, signals and posted tasks. Children
  /// that are watched remain the parent's, and so do signals that were raised before the fork.
  /// Before this call run*(), poll(), check(), watch(), set_interest(), on_signal() and
  /// on_child_exit() answer Errc::forked, and watches and reactors that are destroyed leave the
  /// parent's set alone. Fork while no other thread is posting. Call notify_fork() of an
  /// application's own io_context first. Where nothing was forked it does nothing.
  ///
  /// A child that is made without fork handlers, by _Fork() or a bare clone(2), is one like any
  /// other, as long as this is called there before it starts threads. On Linux before 4.14 and on
  /// other systems the reactor cannot recognise such a child until then: what is done earlier is
  /// done to the parent's set. A child that shares its parent's memory (vfork(2), CLONE_VM) has no
  /// reactor of its own: there it does nothing.
  void after_fork();
  void after_fork(std::error_code& error);

  /// What has been done so far. Loop thread.
  Stats stats() const noexcept;
  /// From now on `tracer` is called for all that happens, first of all for what is watched already;
  /// null: nobody is. It must live until another is set or the reactor is gone. Loop thread.
  void set_tracer(Tracer* tracer) noexcept;

  /// All that it watches and waits for, as text of several lines: each descriptor with what it is
  /// watched as, its interest, what the kernel is asked for, and how it stands (reading, paused,
  /// end_of_stream delivered, over, parked, masked, closed under its watch, when it is asked about
  /// again); how many timers, and when the next is due; signals and children; how many tasks wait.
  /// For people, who may call it from a debugger too: the text may change with any version. Changes
  /// nothing, asks the kernel nothing. Loop thread, also inside a handler. May throw
  /// std::bad_alloc.
  std::string dump() const;

  /// The backend's name. "" if there is none because the constructor reported an error.
  std::string_view backend_name() const noexcept;
  /// What the backend can be believed on; see Backend::reports().
  RawReady backend_reports() const noexcept;

 private:
  friend class detail::StreamService;

  detail::CorePointer core_;
};

}  // namespace pollux

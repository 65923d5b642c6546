// SPDX-License-Identifier: MIT
// The public face: everything is passed on to the core.
#include <pollux/reactor.hpp>

#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/backends.hpp>
#include <pollux/error.hpp>

#include "api/environment_tracer.hpp"
#include "loop/event_loop.hpp"

namespace pollux {

namespace {

/// Runs `call` with an error code, and throws what it reports.
template <class Call>
auto throwing(const char* what, Call call) {
  std::error_code error;
  auto result = call(error);
  if (error) throw std::system_error{error, what};
  return result;
}

using detail::CorePointer;
using detail::EventLoop;
using Until = EventLoop::Until;

/// What is never destroyed.
template <class T>
union Kept {
  template <class... Arguments>
  explicit Kept(Arguments&&... arguments) : it{std::forward<Arguments>(arguments)...} {}
  ~Kept() {}  // NOLINT
  T it;
};

/// Of all reactors that there was no memory for: closed, and never changed.
EventLoop& closed_core() noexcept {
  static Kept<detail::PostQueue> posts{nullptr};
  static Kept<EventLoop> core{
      std::shared_ptr<detail::PostQueue>{std::shared_ptr<void>{}, &posts.it}};
  return core.it;
}

/// Null, and an error, without the memory for it.
CorePointer made_core(std::unique_ptr<Backend> backend, const ReactorOptions& options,
                      std::error_code& error) {
  return report_memory(error, [&] {
    std::unique_ptr<Tracer> tracer;
    if (!error) tracer = detail::tracer_from_environment(options.clock(), error);
    if (error) backend.reset();
    CorePointer core{*new EventLoop(std::move(backend), options)};
    if (tracer) core->own_tracer(std::move(tracer));
    return core;
  });
}

CorePointer or_closed(CorePointer made) noexcept {
  return made ? std::move(made) : CorePointer::uncounted(closed_core());
}

}  // namespace

Reactor::Reactor() : Reactor{std::string_view{}} {}
Reactor::Reactor(std::error_code& error) : Reactor{std::string_view{}, error} {}
Reactor::Reactor(std::string_view backend, const ReactorOptions& options)
    : core_{throwing("pollux::Reactor", [&](std::error_code& error) {
        return made_core(make_backend(backend, error), options, error);
      })} {}
Reactor::Reactor(std::string_view backend, std::error_code& error)
    : Reactor{backend, ReactorOptions{}, error} {}
Reactor::Reactor(std::string_view backend, const ReactorOptions& options, std::error_code& error)
    : core_{or_closed(made_core(make_backend(backend, error), options, error))} {}
Reactor::Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options)
    : core_{throwing("pollux::Reactor", [&](std::error_code& error) {
        if (!backend) error = system_error_code(std::errc::invalid_argument);
        return made_core(std::move(backend), options, error);
      })} {}
Reactor::Reactor(std::unique_ptr<Backend> backend, const ReactorOptions& options,
                 std::error_code& error) {
  error = backend ? std::error_code{} : system_error_code(std::errc::invalid_argument);
  core_ = or_closed(made_core(std::move(backend), options, error));
}
Reactor::~Reactor() {
  core_->close();
  if (&*core_ == &closed_core()) core_.let_go();
}

Watch Reactor::watch(NativeHandle handle, Interest interest, Handler<Readiness> handler,
                     std::error_code& error) {
  handler.bind(core_.base());
  const Token token = core_->registrations().watch(handle, interest, std::move(handler),
                                                   detail::Watched::readiness, error);
  return error ? Watch{} : Watch{core_.base(), token};
}
StreamWatch Reactor::watch_stream(NativeHandle handle, Interest interest,
                                  Handler<StreamEvent> handler, std::error_code& error) {
  handler.bind(core_.base());
  const Token token = core_->registrations().watch(handle, interest, std::move(handler),
                                                   detail::Watched::stream, error);
  return error ? StreamWatch{} : StreamWatch{core_.base(), token};
}

namespace {

using Added = detail::TimerService::Added;

void prepare(EventLoop& core, Handler<Timer>& handler) {
  if (!handler) handler = Handler<Timer>{[] {}};
  handler.bind(core);
}

Added add_after(EventLoop& core, std::chrono::nanoseconds delay, bool repeats,
                Handler<Timer>& handler) {
  prepare(core, handler);
  return core.timers().add(core.from_now(delay), delay, repeats, handler);
}
Added add_at(EventLoop& core, Timer::time_point deadline, Handler<Timer>& handler) {
  prepare(core, handler);
  return core.timers().add(deadline, {}, false, handler);
}
Added add_unarmed(EventLoop& core, Handler<Timer>& handler) {
  prepare(core, handler);
  return core.timers().add_unarmed(handler);
}

Token token_of(Added added, std::error_code& error) noexcept {
  error = detail::TimerService::error_of(added);
  return {added.index, 0};
}
Token token_of(Added added, const char* what) {
  if (added.outcome != Added::done)
    throw std::system_error{detail::TimerService::error_of(added), what};
  return {added.index, 0};
}

}  // namespace

Timer Reactor::timer(Handler<Timer> handler, std::error_code& error) {
  const Token token = token_of(add_unarmed(*core_, handler), error);
  return error ? Timer{} : Timer{core_.base(), token};
}
Timer Reactor::after(std::chrono::nanoseconds delay, Handler<Timer> handler,
                     std::error_code& error) {
  const Token token = token_of(add_after(*core_, delay, false, handler), error);
  return error ? Timer{} : Timer{core_.base(), token};
}
Timer Reactor::at(Timer::time_point deadline, Handler<Timer> handler, std::error_code& error) {
  const Token token = token_of(add_at(*core_, deadline, handler), error);
  return error ? Timer{} : Timer{core_.base(), token};
}
Timer Reactor::every(std::chrono::nanoseconds period, Handler<Timer> handler,
                     std::error_code& error) {
  const Token token = token_of(add_after(*core_, period, true, handler), error);
  return error ? Timer{} : Timer{core_.base(), token};
}
// Not by way of their namesakes: an error code takes a call to its category.
Timer Reactor::timer(Handler<Timer> handler) {
  return {core_.base(), token_of(add_unarmed(*core_, handler), "pollux::Reactor::timer")};
}
Timer Reactor::after(std::chrono::nanoseconds delay, Handler<Timer> handler) {
  return {core_.base(),
          token_of(add_after(*core_, delay, false, handler), "pollux::Reactor::after")};
}
Timer Reactor::at(Timer::time_point deadline, Handler<Timer> handler) {
  return {core_.base(), token_of(add_at(*core_, deadline, handler), "pollux::Reactor::at")};
}
Timer Reactor::every(std::chrono::nanoseconds period, Handler<Timer> handler) {
  return {core_.base(),
          token_of(add_after(*core_, period, true, handler), "pollux::Reactor::every")};
}
Timer::time_point Reactor::turn_time() const noexcept {
  return core_->turn_time();
}

SignalWatch Reactor::on_signal(int signo, Handler<int> handler, std::error_code& error) {
  handler.bind(core_.base());
  const Token token = core_->processes().watch_signal(signo, std::move(handler), error);
  return error ? SignalWatch{} : SignalWatch{core_.base(), token};
}
ChildWatch Reactor::on_child_exit(int pid, Handler<ChildExit> handler, std::error_code& error) {
  handler.bind(core_.base());
  const Token token = core_->processes().watch_child({pid}, std::move(handler), error);
  return error ? ChildWatch{} : ChildWatch{core_.base(), token};
}
ChildWatch Reactor::on_child_exit(ProcessHandle process, Handler<ChildExit> handler,
                                  std::error_code& error) {
  handler.bind(core_.base());
  const Token token = core_->processes().watch_child({0, process}, std::move(handler), error);
  return error ? ChildWatch{} : ChildWatch{core_.base(), token};
}
SignalWatch Reactor::on_signal(int signo, Handler<int> handler) {
  return throwing("pollux::Reactor::on_signal", [&](std::error_code& error) {
    return on_signal(signo, std::move(handler), error);
  });
}
ChildWatch Reactor::on_child_exit(int pid, Handler<ChildExit> handler) {
  return throwing("pollux::Reactor::on_child_exit", [&](std::error_code& error) {
    return on_child_exit(pid, std::move(handler), error);
  });
}
ChildWatch Reactor::on_child_exit(ProcessHandle process, Handler<ChildExit> handler) {
  return throwing("pollux::Reactor::on_child_exit", [&](std::error_code& error) {
    return on_child_exit(process, std::move(handler), error);
  });
}

Poster Reactor::poster() const noexcept {
  return Poster{core_->posts()};
}
void Reactor::post(Handler<void> task) {
  const auto pushed = core_->posts()->push(std::move(task));
  if (pushed != detail::PostQueue::Pushed::yes)
    throw std::system_error{detail::PostQueue::error_of(pushed), "pollux::Reactor::post"};
}
void Reactor::post(Handler<void> task, std::error_code& error) {
  error = detail::PostQueue::error_of(core_->posts()->push(std::move(task)));
}

namespace {

/// poll() and a timeout of nothing: one turn that does not wait, and reads no clock.
EventLoop::time_point deadline(const EventLoop& core, std::chrono::nanoseconds timeout) {
  return timeout <= std::chrono::nanoseconds::zero() ? EventLoop::time_point::min()
                                                     : core.from_now(timeout);
}

}  // namespace

std::size_t Reactor::run(std::error_code& error) {
  return core_->run(EventLoop::time_point::max(), Until::nothing_left, error);
}
std::size_t Reactor::run_forever(std::error_code& error) {
  return core_->run(EventLoop::time_point::max(), Until::stopped, error);
}
std::size_t Reactor::run_once(std::error_code& error) {
  return core_->run(EventLoop::time_point::max(), Until::called, error);
}
std::size_t Reactor::run_once(std::chrono::nanoseconds timeout, std::error_code& error) {
  return core_->run(deadline(*core_, timeout), Until::called, error);
}
std::size_t Reactor::run_for(std::chrono::nanoseconds duration, std::error_code& error) {
  return core_->run(deadline(*core_, duration), Until::stopped, error);
}
std::size_t Reactor::poll(std::error_code& error) {
  return core_->run(EventLoop::time_point::min(), Until::called, error);
}

// Not by way of their namesakes, which take the handler by value: it is moved once less.
Watch Reactor::watch(NativeHandle handle, Interest interest, Handler<Readiness> handler) {
  return throwing("pollux::Reactor::watch", [&](std::error_code& error) {
    return watch(handle, interest, std::move(handler), error);
  });
}
StreamWatch Reactor::watch_stream(NativeHandle handle, Interest interest,
                                  Handler<StreamEvent> handler) {
  return throwing("pollux::Reactor::watch_stream", [&](std::error_code& error) {
    return watch_stream(handle, interest, std::move(handler), error);
  });
}
std::size_t Reactor::run() {
  return throwing("pollux::Reactor::run", [&](std::error_code& error) { return run(error); });
}
std::size_t Reactor::run_forever() {
  return throwing("pollux::Reactor::run_forever",
                  [&](std::error_code& error) { return run_forever(error); });
}
std::size_t Reactor::run_once() {
  return throwing("pollux::Reactor::run_once",
                  [&](std::error_code& error) { return run_once(error); });
}
std::size_t Reactor::run_once(std::chrono::nanoseconds timeout) {
  return throwing("pollux::Reactor::run_once",
                  [&](std::error_code& error) { return run_once(timeout, error); });
}
std::size_t Reactor::run_for(std::chrono::nanoseconds duration) {
  return throwing("pollux::Reactor::run_for",
                  [&](std::error_code& error) { return run_for(duration, error); });
}
std::size_t Reactor::poll() {
  return throwing("pollux::Reactor::poll", [&](std::error_code& error) { return poll(error); });
}

NativeHandle Reactor::native_handle(std::error_code& error) const noexcept {
  return core_->native_handle(error);
}
NativeHandle Reactor::native_handle() const {
  return throwing("pollux::Reactor::native_handle",
                  [&](std::error_code& error) { return native_handle(error); });
}
std::optional<std::chrono::nanoseconds> Reactor::next_timeout() noexcept {
  return core_->next_timeout();
}
std::optional<std::chrono::nanoseconds> Reactor::prepare() {
  return core_->prepare_for_host();
}
bool Reactor::check(std::error_code& error) {
  return core_->check_for_host(error);
}
bool Reactor::check() {
  return throwing("pollux::Reactor::check", [&](std::error_code& error) { return check(error); });
}
std::size_t Reactor::dispatch(std::error_code& error) {
  return core_->dispatch_for_host(error);
}
std::size_t Reactor::dispatch() {
  return throwing("pollux::Reactor::dispatch",
                  [&](std::error_code& error) { return dispatch(error); });
}
void Reactor::on_reschedule(Handler<void> notify) {
  core_->on_reschedule(std::move(notify));
}

void Reactor::after_fork(std::error_code& error) {
  core_->after_fork(error);
}
void Reactor::after_fork() {
  throwing("pollux::Reactor::after_fork", [&](std::error_code& error) {
    after_fork(error);
    return 0;
  });
}

Stats Reactor::stats() const noexcept {
  return core_->stats();
}
std::string Reactor::dump() const {
  return core_->dump();
}
void Reactor::set_tracer(Tracer* tracer) noexcept {
  core_->set_tracer(tracer);
}

void Reactor::stop() noexcept {
  core_->stop();
}
void Reactor::wake() noexcept {
  core_->wake();
}

std::string_view Reactor::backend_name() const noexcept {
  return core_->backend() != nullptr ? core_->backend()->name() : std::string_view{};
}
RawReady Reactor::backend_reports() const noexcept {
  return core_->backend() != nullptr ? core_->backend()->reports() : RawReady::none;
}

}  // namespace pollux

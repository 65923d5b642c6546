// SPDX-License-Identifier: MIT
// The turn, from top to bottom: prepare, wait, deliver.
// Its sleeping and waking is proved with event_loop.pml.
#include "loop/event_loop.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

#include <pollux/error.hpp>

#include "platform/platform.hpp"

namespace pollux::detail {

std::size_t EventLoop::run(time_point deadline, Until until, std::error_code& error) {
  error = refusal_to_run();
  if (error) return 0;
  loop_.wake_host();  // which waits, and has called this meanwhile: posts do not wake it now

  const Running running{loop_};
  loop_.ends_with_nothing_left = until == Until::nothing_left;
  if (loop_.ends_with_nothing_left) loop_.something_ended();  // perhaps before this run
  const bool for_ever = until != Until::called && deadline == time_point::max();
  std::size_t called = 0;
  while (!loop_.stopped()) {
    woken_ = false;
    called += turn(deadline, error);
    if (error) {
      if (woken_) loop_.wakeup.mark(Wakeup::wake);  // who tries again is woken
      break;
    }
    if (for_ever && loop_.wakeup.pending() == 0) continue;
    if (loop_.ends_with_nothing_left && loop_.wakeup.consume(Wakeup::check) && nothing_left())
      break;
    if (until == Until::called && (woken_ || called > 0)) break;
    if (deadline != time_point::max() && this->until(deadline).is_zero()) break;
  }
  return called;
}

inline std::size_t EventLoop::turn(time_point deadline, std::error_code& error) {
  ++loop_.turn;
  if (!loop_.nothing_pending) {
    const bool nothing_pending = prepare();
    if (loop_.ends_with_nothing_left && nothing_left()) {
      loop_.wakeup.mark(Wakeup::check);  // for run(), which checks nothing else in most turns
      return 0;
    }
    if (!nothing_pending) {
      if (watches_.has_work()) return deliver_all();  // left by check_for_host(), or an exception
      deadline = std::min(deadline, next_deadline());
    }
  }
  const Timeout timeout = loop_.wakeup.about_to_sleep() ? until(deadline) : Timeout::zero();
  const std::uint32_t reports = wait(timeout, error);
  return deliver(reports, error);
}

/// Whether nothing is left that could ever call a handler. Posters are checked before what they
/// have posted, since they post first and go then.
bool EventLoop::nothing_left() const noexcept {
  return watches_.registrations().count() == 0 && !timers_.any_armed() &&
         !processes_.any_active() && !posts_->has_posters() &&
         !loop_.wakeup.is_pending(Wakeup::post) && !hook_has_work();
}

/// Asks the services to do what must be done before a wait. Whether none has anything pending
/// afterwards: then the turns that follow need not ask, until one adds work.
bool EventLoop::prepare() {
  if (hook_) hook_->prepare();
  watches_.set().prepare();
  timers_.prepare();
  loop_.nothing_pending = !has_work() && !watches_.set().has_retries() && !timers_.need_clock() &&
                          loop_.tracer == nullptr;
  return loop_.nothing_pending;
}

/// Has the backend wait. How much it has reported; `error` is set if there is one, and else left as
/// it is.
std::uint32_t EventLoop::wait(Timeout timeout, std::error_code& error) {
  ++loop_.stats.waits;
  const WaitResult result = loop_.backend->wait(watches_.room(), timeout);
  loop_.wakeup.awake();
  if (result.error != 0) error = platform::error_code(result.error);
  loop_.stats.reports += result.count;
  return result.count;
}

/// Calls the handlers: how many.
inline std::size_t EventLoop::deliver(std::uint32_t reports, std::error_code& error) {
  if (loop_.nothing_pending && loop_.wakeup.pending() == 0) {
    if (reports == 0) return 0;
    // The common case: nothing to merge the report with, and nobody to be probed ahead of it.
    Slot* const slot = reports == 1 ? watches_.only_reported() : nullptr;
    if (slot != nullptr) return watches_.deliver_only(*slot) ? 1 : deliver_all();
  }
  timers_.waited(reports != 0);
  watches_.merge(reports, error);
  return deliver_all();
}

/// What was posted or raised by now is for this turn, what is by one of the handlers for the next.
std::size_t EventLoop::deliver_all() {
  woken_ = loop_.wakeup.consume(Wakeup::wake);
  if (loop_.wakeup.consume(Wakeup::check)) loop_.something_ended();
  const bool posts = loop_.wakeup.is_pending(Wakeup::post);
  if (posts) posts_->collect();
  processes_.collect();
  std::size_t called = watches_.deliver();
  if (processes_.any_due() && !loop_.stopped()) called += processes_.deliver();
  if (timers_.need_clock() && !loop_.stopped()) called += timers_.deliver();
  if (hook_has_work() && !loop_.stopped()) called += hook_->deliver();
  if (posts && !loop_.stopped()) called += posts_->deliver(loop_);
  if (posts) loop_.something_ended();
  return called;
}

/// How long a wait may last for the services' sake; time_point::min(): not at all.
LoopContext::time_point EventLoop::next_deadline() noexcept {
  if (has_work()) return time_point::min();
  const time_point retry = watches_.set().next_deadline();
  return timers_.need_clock() ? std::min(retry, timers_.next_deadline()) : retry;
}

/// The clock is read only where it has to be.
Timeout EventLoop::until(time_point time) const noexcept {
  if (time == time_point::max()) return Timeout::infinite();
  if (time == time_point::min()) return Timeout::zero();
  return from_now_until(time);
}

/// Out of line: most turns wait for as long as it takes.
Timeout EventLoop::from_now_until(time_point time) const noexcept {
  // What is longest would be without an end.
  constexpr auto longest = std::chrono::nanoseconds::max() - std::chrono::nanoseconds{1};
  return Timeout{std::min(between(loop_.now(), time), longest)};
}

bool EventLoop::has_work() const noexcept {
  return watches_.has_work() || watches_.registrations().set().has_rechecks() ||
         processes_.has_work() || hook_has_work();
}

std::error_code EventLoop::refusal_to_run() const noexcept {
  if (loop_.backend && loop_.running) return Errc::already_running;
  return loop_.refusal_to_register();
}

EventLoop::EventLoop(std::unique_ptr<Backend> backend, const ReactorOptions& options)
    : loop_{std::move(backend), options, platform::forks()},
      watches_{loop_, Capabilities::of(loop_.backend.get(), options.unreliable_bits),
               options.event_batch},
      posts_{std::make_shared<PostQueue>(loop_.backend ? &loop_.wakeup : nullptr)} {}

EventLoop::EventLoop(std::shared_ptr<PostQueue> closed) noexcept
    : loop_{nullptr, {}, platform::forks()},
      watches_{loop_, Capabilities::of(nullptr, RawReady::none)},
      posts_{std::move(closed)} {}

void EventLoop::close() noexcept {
  assert(!loop_.running && "a reactor must not be destroyed by one of its handlers");
  if (!loop_.backend) return;
  loop_.host_is_back();
  if (loop_.forked()) posts_->after_fork();
  posts_->close();
  watches_.registrations().leave_kernel();
  processes_.leave_kernel();
  timers_.leave_kernel();
  // The kernel's set goes as a whole. Handlers go after it: their captures may close descriptors.
  loop_.backend.reset();
  if (hook_) hook_->close();
  watches_.registrations().destroy_handlers();
  timers_.destroy_handlers();
  processes_.destroy_handlers();
  loop_.tracer = nullptr;
  own_tracer_.reset();
}

void EventLoop::after_fork(std::error_code& error) {
  error.clear();
  if (!loop_.backend) error = Errc::reactor_closed;
  if (loop_.running) error = Errc::already_running;
  if (error) return;
  platform::look_for_fork();
  if (!loop_.forked()) return;
  posts_->after_fork();
  processes_.leave_to_parent();
  timers_.after_fork();
  error = watches_.registrations().leave_parent();
  if (error) return;
  loop_.leave_parent();
  watches_.registrations().after_fork();
  processes_.after_fork();
  if (hook_) hook_->after_fork();
}

Stats EventLoop::stats() const noexcept {
  Stats stats = loop_.stats;
  stats.turns = loop_.turn - LoopContext::before_the_first;
  stats.system_calls = loop_.system_calls.made();
  if (loop_.backend) stats.system_calls += loop_.backend->system_calls();
  return stats;
}

namespace {

/// Adds a heading, and what `add` adds below it, or "none".
template <class Add>
void add_section(std::string& to, std::string_view heading, Add add) {
  to += heading;
  const std::size_t end = to.size();
  to += '\n';
  add(to);
  if (to.size() == end + 1) to.insert(end, " none");
}

}  // namespace

std::string EventLoop::dump() const {
  if (!loop_.backend) return "reactor: closed\n";
  std::string text{"reactor: on "};
  text += loop_.backend->name();
  text += ", " + std::to_string(stats().turns) + " turns";
  if (loop_.running) text += ", in a turn";
  if (loop_.forked()) text += ", in the child of a fork, before after_fork()";
  constexpr std::pair<unsigned, std::string_view> requests[] = {{Wakeup::stop, ", stop() pending"},
                                                                {Wakeup::wake, ", wake() pending"}};
  for (const auto& [request, what] : requests) {
    if (loop_.wakeup.is_pending(request)) text += what;
  }
  text += '\n';
  add_section(text, "watches:", [this](std::string& to) { watches_.registrations().dump(to); });
  timers_.dump(text);
  add_section(text, "signals and children:", [this](std::string& to) { processes_.dump(to); });
  text += "tasks: " + std::to_string(posts_->waiting()) + " waiting\n";
  return text;
}

}  // namespace pollux::detail

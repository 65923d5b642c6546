// SPDX-License-Identifier: MIT
// Accepts what comes in.
#include "streams/listener_core.hpp"

#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/listening.hpp"
#include "platform/platform.hpp"
#include "streams/stream_core.hpp"
#include "streams/stream_service.hpp"

namespace pollux::detail {

namespace {

/// How many are accepted before others get their turn.
constexpr int most_at_once = 64;

}  // namespace

ListenerCore::ListenerCore(Reactor& reactor, AcceptHandler&& handler,
                           const ListenerOptions& options)
    : reactor_{&reactor},
      options_{options},
      handler_{std::move(handler)},
      group_{new StreamGroup{options.stream}} {
  group_->owner = this;
}

ListenerCore::~ListenerCore() {
  group_->owner = nullptr;
}

/// What the handler of its watch has. Where that goes with the reactor, the listener does too.
class ListenerCore::Watching {
 public:
  explicit Watching(std::shared_ptr<ListenerCore> core) noexcept : core_{std::move(core)} {}
  Watching(Watching&&) noexcept = default;
  Watching& operator=(Watching&&) = delete;
  ~Watching() {
    if (core_) core_->close();
  }
  ListenerCore& core() const noexcept { return *core_; }

 private:
  std::shared_ptr<ListenerCore> core_;
};

// Its beginning and its end.

std::error_code ListenerCore::listen(const Address& address) noexcept {
  std::error_code error = StreamGroup::refusal(options_.stream);
  if (!error) service_ = StreamService::of(*reactor_, error);
  if (error) return error;
  const platform::Opened opened =
      platform::listen_at(address, options_.backlog, options_.reuse_port, service_->calls());
  if (opened.error != 0) return platform::error_code(opened.error);
  UniqueHandle socket{opened.handle};
  // What is accepted has it from the socket that listens.
  if (options_.no_delay && address.family() != Address::Family::unix_name)
    platform::send_at_once(socket.get(), service_->calls());
  owns_name_ = true;
  made_in_ = service_->generation();
  error = start(std::move(socket));
  if (error) close();
  return error;
}

std::error_code ListenerCore::start(UniqueHandle socket) noexcept {
  std::error_code error = StreamGroup::refusal(options_.stream);
  if (error) return error;
  service_ = StreamService::of(*reactor_, error);
  if (error) return error;
  socket_ = std::move(socket);
  if (const int failed = platform::make_non_blocking(socket_.get(), service_->calls()))
    return platform::error_code(failed);
  address_ = platform::own_address(socket_.get(), service_->calls());
  if (options_.when_exhausted == WhenExhausted::shed)
    spare_.reset(platform::open_spare(service_->calls()));
  report_memory(error, [&] {
    retry_ = reactor_->timer(
        [this] {
          exhausted_ = false;
          accept();
        },
        error);
    if (error) return false;
    watch_ = reactor_->watch(
        socket_.get(), Interest::readable,
        [watching = Watching{shared_from_this()}](Readiness) { watching.core().accept(); }, error);
    return true;
  });
  return error;
}

void ListenerCore::close() noexcept {
  const auto self = weak_from_this().lock();  // the watch may be the last who has it
  // The watch has the loop, and that the service. A child that was forked may go before its parent.
  if (socket_ && owns_name_ && service_->owns(made_in_))
    platform::remove_name(address_, service_->calls());
  address_ = {};
  Watch watch = std::move(watch_);
  watch.reset();
  retry_.reset();
  socket_.reset();
  spare_.reset();
  accepted_.reset();
  if (calling_) return;
  const AcceptHandler handler = std::move(handler_);  // its captures may ask anything
}

// Whom it lets in, and when.

void ListenerCore::pause() noexcept {
  paused_ = true;
  update_interest();
}

void ListenerCore::resume() noexcept {
  paused_ = false;
  exhausted_ = false;
  update_interest();
}

void ListenerCore::stream_closed() noexcept {
  exhausted_ = false;
  update_interest();
}

bool ListenerCore::is_full() const noexcept {
  return options_.connection_limit != 0 && group_->open >= options_.connection_limit;
}

bool ListenerCore::accepts() const noexcept {
  return is_open() && !paused_ && !exhausted_ && !is_full();
}

void ListenerCore::update_interest() noexcept {
  // What cannot be changed for want of memory remains as it was, and accept() does nothing then.
  std::error_code ignored;
  watch_.set_interest(accepts() ? Interest::readable : Interest::none, ignored);
  // The kernel has nothing to report of who was accepted already.
  if (accepted_ && accepts()) retry_.restart(std::chrono::nanoseconds{0}, ignored);
}

void ListenerCore::accept() {
  const auto self = shared_from_this();
  for (int count = 0; count < most_at_once && accepts(); ++count)
    if (!accept_one()) break;
  update_interest();
}

/// False, if nobody else can be accepted now.
bool ListenerCore::accept_one() {
  if (!accepted_) {
    const platform::Accepted next = platform::accept_next(socket_.get(), service_->calls());
    if (next.would_block) return false;
    if (next.error != 0) return make_room();
    if (next.handle == no_handle) return true;
    accepted_.reset(next.handle);
    accepted_peer_ = next.peer;
  }
  std::error_code error;
  Stream stream = StreamCore::make(*reactor_, accepted_, group_, error);
  if (error && options_.when_exhausted == WhenExhausted::shed) {
    ++stats_.shed;
    accepted_.reset();
    return true;
  }
  if (error) {
    wait_for_room();
    return false;
  }
  hand_over(std::move(stream), accepted_peer_);
  return true;
}

void ListenerCore::hand_over(Stream stream, const Address& peer) {
  struct Calling {
    ListenerCore& core;
    explicit Calling(ListenerCore& called) noexcept : core{called} { core.calling_ = true; }
    ~Calling() {
      core.calling_ = false;
      if (!core.is_open()) core.close();
    }
  } const calling{*this};
  ++stats_.accepted;
  if (!handler_) return;
  const AcceptCall call{stream, peer};
  handler_.call(&call);
}

/// accept() has failed: most likely no descriptor is left. False, if who comes in has to wait.
bool ListenerCore::make_room() noexcept {
  if (!spare_) {
    wait_for_room();
    return false;
  }
  spare_.reset();
  UniqueHandle next{platform::accept_next(socket_.get(), service_->calls()).handle};
  const bool shed = static_cast<bool>(next);
  next.reset();
  if (shed) ++stats_.shed;
  spare_.reset(platform::open_spare(service_->calls()));
  if (!shed) wait_for_room();
  return shed;
}

void ListenerCore::wait_for_room() noexcept {
  ++stats_.exhausted;
  exhausted_ = true;
  std::error_code ignored;  // the timer is there
  retry_.restart(options_.retry_after, ignored);
  if (options_.when_exhausted == WhenExhausted::shed && !spare_)
    spare_.reset(platform::open_spare(service_->calls()));
}

}  // namespace pollux::detail

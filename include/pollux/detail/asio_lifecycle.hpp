// SPDX-License-Identifier: MIT
// How the waits of pollux/asio_lifecycle.hpp are done. Applications have no need of it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/error.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include <pollux/backend.hpp>
#include <pollux/probe.hpp>

namespace pollux::detail {

enum class End : std::uint8_t { peer_closed, end_of_stream, hangup };

/// How the wait for `awaited` ends, or nothing while it does not.
inline std::optional<std::error_code> outcome(End awaited, const StreamState& state) {
  if (state.failed) return make_error_code(::asio::error::connection_reset);
  switch (awaited) {
    case End::peer_closed:
      if (state.peer_closed) return std::error_code{};
      // Over by our own shutdown. Nothing follows a hang-up.
      if (state.hangup) return make_error_code(::asio::error::shut_down);
      break;
    case End::end_of_stream:
      if (state.end_of_stream) return std::error_code{};
      break;
    case End::hangup:
      if (state.hangup) return std::error_code{};
      break;
  }
  return std::nullopt;
}

/// One wait, from its start to the call of `Handler`. Up to three waits of Asio's own are out for
/// it at any time; each may complete on another thread, where the handler's executor allows that.
///
/// It cannot simply be async_wait(wait_read) and a probe. Asio serves the waits and reads of a
/// socket in their order, and a read that comes upon the end leaves those behind it waiting for
/// ever; and while bytes are unread that wait would complete again and again.
template <class Socket, class Handler>
class EndWait : public std::enable_shared_from_this<EndWait<Socket, Handler>> {
 public:
  EndWait(Handler handler, Socket& socket, End awaited)
      : handler_{std::move(handler)},
        socket_{socket},
        awaited_{awaited},
        descriptor_{socket.get_executor()},
        timer_{socket.get_executor()} {}
  EndWait(const EndWait&) = delete;
  EndWait& operator=(const EndWait&) = delete;
  ~EndWait() {
    if (descriptor_.is_open()) descriptor_.release();  // the detector closes it
  }

  void start() {
    const std::lock_guard lock{mutex_};
    auto slot = ::asio::get_associated_cancellation_slot(handler_);
    if (slot.is_connected()) {
      // Weak, since a slot outlives what it cancels where a context is destroyed.
      slot.assign([weak = this->weak_from_this()](::asio::cancellation_type type) {
        const auto wait = weak.lock();
        if (wait && type != ::asio::cancellation_type::none) wait->cancel();
      });
    }
    arm(lifeline);
    if (!socket_.is_open()) return;  // the lifeline completes
    or_finish([this] { arm_detector(); });
  }

 private:
  using Executor = typename Socket::executor_type;
  using Clock = std::chrono::steady_clock;

  /// What is waited for; bits. The lifeline is a wait on the socket itself, which completes when
  /// the socket is cancelled or closed; with Asio's epoll reactor also on failures and urgent data.
  enum Source : unsigned { lifeline = 1, detector = 2, timer = 4 };

  void arm_detector() {
    std::error_code error;
    CloseDetector handle{socket_.native_handle(), error};
    if (!error) descriptor_.assign(handle.handle(), error);
    if (error) {
      arm(timer);  // no detector: probe from time to time
    } else {
      detector_ = std::move(handle);
      arm(detector);
    }
  }

  /// Does a step. Without the memory for it the wait completes with not_enough_memory.
  template <class Step>
  void or_finish(Step step) {
    try {
      step();
    } catch (const std::bad_alloc&) {
      finish(std::make_error_code(std::errc::not_enough_memory));
    }
  }

  /// What Asio calls when one of them is over, where and with what memory the user's handler says.
  struct Completion {
    std::shared_ptr<EndWait> wait;
    Source source;

    using executor_type = ::asio::associated_executor_t<Handler, Executor>;
    executor_type get_executor() const noexcept {
      return ::asio::get_associated_executor(wait->handler_, wait->timer_.get_executor());
    }
    using allocator_type = ::asio::associated_allocator_t<Handler>;
    allocator_type get_allocator() const noexcept {
      return ::asio::get_associated_allocator(wait->handler_);
    }
    using cancellation_slot_type = ::asio::cancellation_slot;
    cancellation_slot_type get_cancellation_slot() const noexcept {
      return source == lifeline ? wait->cut_.slot() : cancellation_slot_type{};
    }

    void operator()(const std::error_code& error) { completed(std::move(wait), source, error); }
  };

  static void completed(std::shared_ptr<EndWait> wait, Source source,
                        const std::error_code& error) {
    {
      const std::lock_guard lock{wait->mutex_};
      wait->outstanding_ &= ~source;
      if (!wait->result_) wait->or_finish([&] { wait->advance(source, error); });
      if (wait->outstanding_ != 0) return;
    }
    // The last one. All memory is given back before the handler is called.
    auto slot = ::asio::get_associated_cancellation_slot(wait->handler_);
    if (slot.is_connected()) slot.clear();
    const std::error_code result = *wait->result_;
    Handler handler(std::move(wait->handler_));
    wait.reset();
    std::move(handler)(result);
  }

  void advance(Source source, const std::error_code& error) {
    if (error) return finish(error);
    if (!socket_.is_open()) return finish(::asio::error::operation_aborted);
    // Before the probe, or what comes after it is lost.
    if (source == detector) detector_.drain();

    std::error_code refused;
    const StreamState state =
        detector_ ? detector_.probe(refused) : probe_stream(socket_.native_handle(), refused);
    if (refused == std::errc::not_connected) return finish(::asio::error::not_connected);
    // Short of memory: nothing is known now, and later it may be.
    const bool is_blind =
        refused == std::errc::not_enough_memory || refused == std::errc::no_buffer_space;
    if (refused && !is_blind) return finish(refused);
    if (const auto result = outcome(awaited_, state)) return finish(*result);
    // A lifeline that completed without a failure would do so again at once.
    if (source != lifeline) arm(lifeline);
    if (detector_) arm(detector);
    // No kernel reports that the last byte was read.
    const bool awaits_reader = state.unread && awaited_ != End::peer_closed;
    if (source == detector) interval_ = {};  // news: probe again soon
    if (!detector_ || !is_out(lifeline) || awaits_reader || is_blind) arm(timer);
  }

  bool is_out(Source source) const noexcept { return (outstanding_ & source) != 0; }

  void arm(Source source) {
    if (is_out(source)) return;
    Completion completion{this->shared_from_this(), source};
    switch (source) {
      case lifeline:
        socket_.async_wait(Socket::wait_error, std::move(completion));
        break;
      case detector:
        descriptor_.async_wait(decltype(descriptor_)::wait_read, std::move(completion));
        break;
      case timer:
        timer_.expires_after(interval_);
        timer_.async_wait(std::move(completion));
        interval_ = std::clamp<Clock::duration>(2 * interval_, std::chrono::milliseconds{1},
                                                std::chrono::milliseconds{100});
        break;
    }
    outstanding_ |= source;
  }

  void finish(const std::error_code& result) {
    result_ = result;
    // Also those that are complete and wait to be called: then this does nothing.
    if (is_out(lifeline)) cut_.emit(::asio::cancellation_type::terminal);
    if (is_out(detector)) descriptor_.cancel();
    if (is_out(timer)) timer_.cancel();
  }

  void cancel() {
    const std::lock_guard lock{mutex_};
    if (!result_) finish(::asio::error::operation_aborted);
  }

  Handler handler_;
  Socket& socket_;
  const End awaited_;
  std::mutex mutex_;
  unsigned outstanding_ = 0;  ///< of Source
  std::optional<std::error_code> result_;
  ::asio::cancellation_signal cut_;  ///< of the lifeline
  CloseDetector detector_;
  ::asio::posix::basic_stream_descriptor<Executor> descriptor_;  ///< the detector's
  ::asio::basic_waitable_timer<Clock, ::asio::wait_traits<Clock>, Executor> timer_;
  Clock::duration interval_{};
};

struct StartEndWait {
  template <class Handler, class Socket>
  void operator()(Handler&& handler, Socket* socket, End awaited) const {
    using Wait = EndWait<Socket, std::decay_t<Handler>>;
    using Allocator = ::asio::associated_allocator_t<std::decay_t<Handler>>;
    typename std::allocator_traits<Allocator>::template rebind_alloc<Wait> allocator{
        ::asio::get_associated_allocator(handler)};
    std::allocate_shared<Wait>(allocator, std::forward<Handler>(handler), *socket, awaited)
        ->start();
  }
};

template <class Token, class Socket>
auto async_wait_end(Socket& socket, End awaited, Token& token) {
  return ::asio::async_initiate<Token, void(std::error_code)>(StartEndWait{}, token, &socket,
                                                              awaited);
}

}  // namespace pollux::detail

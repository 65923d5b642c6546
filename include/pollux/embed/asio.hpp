// SPDX-License-Identifier: MIT
// A reactor inside standalone Asio: whoever runs the io_context runs its handlers, too.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <pollux/detail/asio_memory.hpp>
#include <pollux/embed/embedded_reactor.hpp>

/// A reactor inside the loop of another library.
namespace pollux::embed {

/// As long as it lives, an Asio executor runs the handlers of a reactor. (The other way round, a
/// reactor whose waits run an io_context, is pollux/asio.hpp.) Whatever uses the reactor or this
/// object must run there, too, and must not run at the same time: an io_context that one thread
/// runs, or a strand. Reactor and execution context outlive it; a handler may destroy it.
///
/// As long as it lives the io_context has work to do. What a handler throws leaves io_context::run,
/// which may be called again. Reactor::stop() ends a turn, not the io_context.
class AsioSource {
 public:
  /// std::system_error: `operation_not_supported` on a backend without native handle (see
  /// docs/embedding.md for what to do), or what the system says when it is out of descriptors.
  AsioSource(Reactor& reactor, ::asio::any_io_executor executor)
      : state_{std::make_shared<State>(reactor, std::move(executor))} {
    try {
      state_->start();
    } catch (...) {
      state_->leave();  // what is out by now holds a share
      throw;
    }
  }
  /// `context` outlives this object.
  AsioSource(Reactor& reactor, ::asio::io_context& context)
      : AsioSource{reactor, context.get_executor()} {}
  AsioSource(const AsioSource&) = delete;
  AsioSource& operator=(const AsioSource&) = delete;
  ~AsioSource() { state_->leave(); }

 private:
  /// Asio's completions hold a share: they may come when the adapter has gone.
  class State : public std::enable_shared_from_this<State> {
   public:
    State(Reactor& reactor, ::asio::any_io_executor executor)
        : embedded_{reactor}, descriptor_{executor}, timer_{executor} {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      if (descriptor_.is_open()) descriptor_.release();  // not closed: it is the reactor's
    }

    void start() {
      descriptor_.assign(embedded_.handle());
      embedded_.on_reschedule([this] { arm_later(); });
      arm();
    }

    void leave() {
      if (descriptor_.is_open()) descriptor_.release();
      timer_.cancel();
      embedded_.leave();
    }

   private:
    void turn() {
      try {
        embedded_.turn();
      } catch (...) {
        arm();
        throw;
      }
      arm();
    }

    /// Asio has no step before its wait: arm_later() passes on what changes from here on.
    void arm() {
      if (embedded_.has_left() || embedded_.is_turning()) return;
      const Timeout timeout = embedded_.prepare();
      if (embedded_.is_outdated() || !descriptor_.is_open()) renew();
      if (!waiting_) wait();
      if (host_timer_.is_to_be_set(timeout)) set_timer(timeout);
    }

    void arm_later() noexcept {
      try {
        ::asio::post(descriptor_.get_executor(), [self = shared_from_this()] { self->arm(); });
      } catch (const std::bad_alloc&) {
        embedded_.wake();  // the long way round
      }
    }

    void renew() {
      const detail::OwnedHandle old = embedded_.renew();
      if (descriptor_.is_open()) descriptor_.release();
      ++generation_;
      waiting_ = false;
      descriptor_.assign(embedded_.handle());
    }

    void wait() {
      const auto completed = [generation = generation_](State& self, const std::error_code& error) {
        if (error == ::asio::error::operation_aborted || generation != self.generation_) return;
        self.waiting_ = false;
        if (error) throw std::system_error{error, "pollux::embed::AsioSource"};
        self.turn();
      };
      descriptor_.async_wait(::asio::posix::stream_descriptor::wait_read,
                             completion(wait_memory_, completed));
      waiting_ = true;
    }

    void set_timer(Timeout timeout) {
      // Asio adds it to the clock, which has an end.
      const std::chrono::nanoseconds longest = std::chrono::hours{24};
      timer_.expires_after(std::min(timeout.duration(), longest));
      const auto completed = [](State& self, const std::error_code& error) {
        if (error) return;
        self.host_timer_.has_expired();
        self.turn();
      };
      try {
        timer_.async_wait(completion(timer_memory_, completed));
      } catch (const std::bad_alloc&) {
        host_timer_.has_expired();  // it is not set
        embedded_.wake();           // and is tried again, the long way round
      }
    }

    /// What Asio needs is there already: a turn that ended without a wait would be the last. Two in
    /// turn, since what was cancelled may not be over yet.
    using Memory = pollux::detail::AsioMemory<256>;
    using TwoMemories = std::array<Memory, 2>;

    template <class Call>
    struct Completion {
      std::shared_ptr<State> state;
      Memory* memory;
      Call call;

      using allocator_type = pollux::detail::AsioAllocator<std::byte, Memory>;
      allocator_type get_allocator() const noexcept { return allocator_type{*memory}; }
      void operator()(const std::error_code& error) const { call(*state, error); }
    };
    template <class Call>
    Completion<Call> completion(TwoMemories& memories, Call call) {
      return {shared_from_this(), &memories[memories[0].is_free() ? 0 : 1], std::move(call)};
    }

    detail::EmbeddedReactor embedded_;
    detail::HostTimer host_timer_;
    ::asio::posix::stream_descriptor descriptor_;  ///< the reactor's handle, not owned
    ::asio::steady_timer timer_;
    TwoMemories wait_memory_;
    TwoMemories timer_memory_;
    std::uint64_t generation_ = 0;  ///< of the handle: an older one's wait may still complete
    bool waiting_ = false;
  };

  std::shared_ptr<State> state_;
};

}  // namespace pollux::embed

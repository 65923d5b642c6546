// SPDX-License-Identifier: MIT
// Accepts what comes in.
#include <pollux/listener.hpp>

#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/listening.hpp"
#include "streams/stream_core.hpp"

namespace pollux {

namespace detail {

namespace {

/// How many are accepted before anybody else's handler is called.
constexpr int most_at_once = 64;
/// How long a listener waits when there are no descriptors, or no memory.
constexpr std::chrono::milliseconds pause_when_exhausted{100};

}  // namespace

/// Owned by its Listener, and by whoever is calling its handler. Its streams know it by the
/// connections that they count as.
class ListenerCore : public std::enable_shared_from_this<ListenerCore> {
 public:
  ListenerCore(Reactor& reactor, AcceptHandler&& handler, const ListenerOptions& options)
      : reactor_{reactor}, options_{options}, handler_{std::move(handler)} {}
  ListenerCore(const ListenerCore&) = delete;
  ListenerCore& operator=(const ListenerCore&) = delete;
  ~ListenerCore() { close(); }

  std::error_code start(const Address& address);
  Address address() const noexcept { return address_; }
  std::size_t connections() const noexcept { return *connections_; }
  void pause() noexcept {
    paused_ = true;
    update_interest();
  }
  void resume() noexcept {
    paused_ = false;
    update_interest();
  }
  void close() noexcept;

 private:
  void accept();
  bool accept_one();
  void exhausted() noexcept;
  void shed() noexcept;
  void hand_over(UniqueHandle socket, const Address& peer);
  bool is_full() const noexcept {
    return options_.connection_limit != 0 && *connections_ >= options_.connection_limit;
  }
  void update_interest() noexcept;

  Reactor& reactor_;
  const ListenerOptions options_;
  AcceptHandler handler_;
  Address address_;
  UniqueHandle socket_;
  UniqueHandle spare_;
  Watch watch_;
  Timer retry_;
  std::shared_ptr<std::size_t> connections_ = std::make_shared<std::size_t>(0);
  SystemCalls calls_;
  bool paused_ = false;
  bool exhausted_ = false;
};

}  // namespace detail
}  // namespace pollux

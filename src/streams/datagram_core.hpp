// SPDX-License-Identifier: MIT
// What a Datagram is inside.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>

#include <pollux/datagram.hpp>

#include "platform/datagram_io.hpp"
#include "streams/holding.hpp"
#include "streams/message_batch.hpp"
#include "streams/message_sender.hpp"
#include "streams/stream_service.hpp"

namespace pollux::detail {

/// Held by its owner's Datagram, by the handler of its watch, and by whoever calls handlers: it
/// lives until all of them have let go. Loop thread.
class DatagramCore {
 public:
  /// Null, and an error, if it cannot be made. `family` is that of a socket without an address.
  static DatagramCore* make(Reactor& reactor, const Address& local, Address::Family family,
                            const DatagramOptions& options, std::error_code& error) noexcept;

  DatagramCore(const DatagramCore&) = delete;
  DatagramCore& operator=(const DatagramCore&) = delete;

  /// What `datagram` owns, which it does no longer; null for nothing, and for what a handler was
  /// given and does not own.
  static DatagramCore* take_from(Datagram& datagram) noexcept;
  /// Its owner has gone.
  void orphan() noexcept;
  bool is_open() const noexcept { return !flags_.closed && service_.reactor() != nullptr; }

  void connect(const Address& peer, std::error_code& error) noexcept;
  void on_message(AnyHandler&& handler) noexcept;
  void on_error(AnyHandler&& handler) noexcept;
  void on_drained(AnyHandler&& handler) noexcept { on_drained_ = std::move(handler); }
  void pause() noexcept;
  void resume() noexcept;
  bool is_paused() const noexcept { return flags_.paused; }
  /// Null: to the peer that it is connected to.
  bool send(Bytes bytes, const Address* to, std::error_code& error) noexcept;
  std::size_t unsent() const noexcept { return sender_.queue().size(); }
  void close() noexcept;
  Address address() const noexcept { return platform::own_address(handle_.get(), calls()); }
  NativeHandle native_handle() const noexcept { return handle_.get(); }

 private:
  using Hold = Holding<DatagramCore>;
  friend Hold;
  /// While a handler is called.
  class Calling;
  class Delivering;
  class Settling;

  DatagramCore(StreamService& service, const DatagramOptions& options) noexcept
      : service_{service},
        loop_{service.loop()},
        made_in_{service.generation()},
        options_{options},
        sender_{service, options.send_limit} {}
  ~DatagramCore();
  std::error_code start(const Address& local, Address::Family family) noexcept;
  SystemCalls& calls() const noexcept { return service_.calls(); }

  // What the watch and the timer report.
  void handle(Readiness readiness);
  void handle_due();
  void settle();

  void receive();
  bool deliver_batch();
  bool wants_messages() const noexcept { return is_open() && on_message_ && !flags_.paused; }

  // Errors.
  void deliver_errors();
  void report(const DatagramError& error);
  void report_number(int number);

  // Sending.
  bool may_send(const Address* to, std::error_code& error) const noexcept;
  void after_sending() noexcept;

  void release() noexcept;
  void forget_handlers() noexcept;
  Interest wanted_interest() const noexcept;
  void update_interest() noexcept;
  void make_due(std::chrono::nanoseconds delay = {}) noexcept;

  struct Flags {
    bool closed = false;
    bool paused = false;
    bool starved = false;       ///< no memory for a message: it is received later
    bool errors_due = false;    ///< the kernel may have something to say
    bool keeps_errors = false;  ///< in its queue
    bool no_priority = false;   ///< the backend has no such interest
    bool calling = false;       ///< a handler of its own runs
    bool delivering = false;    ///< that is on_message()
  };

  StreamService& service_;
  CorePointer loop_;        ///< which has the service
  const unsigned made_in_;  ///< StreamService::generation()
  const DatagramOptions options_;
  Watch watch_;
  Timer timer_;  ///< what is due in the next turn, or is tried again later
  AnyHandler on_message_;
  AnyHandler on_error_;
  AnyHandler on_drained_;
  UniqueHandle handle_;
  MessageBatch batch_;
  MessageSender sender_;
  Datagram* lent_ = nullptr;  ///< what the handler that runs was given
  std::uint32_t holders_ = 0;
  std::int32_t taken_error_ = 0;  ///< a call of ours has taken it out of the kernel
  Address::Family family_ = Address::Family::none;
  Interest interest_ = Interest::none;
  Flags flags_;
};

}  // namespace pollux::detail

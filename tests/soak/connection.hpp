// SPDX-License-Identifier: MIT
// One connection of the soak: what is done to it, and whether what its watch reports keeps the
// contract.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <pollux/reactor.hpp>

#include "conformance/support/pairs.hpp"
#include "soak/checker.hpp"
#include "soak/random.hpp"

namespace pollux::soak {

class Connection;

/// What the connections of one loop have in common.
struct Common {
  Reactor& reactor;
  std::chrono::milliseconds patience;  ///< how long what is due may take
  bool mistakes;                       ///< some are closed before the watch ends (rule 11)
  /// Does something to another connection; called from inside a handler.
  std::function<void(const Connection& from)> meddle;
  /// The contract is broken: prints the connection's history.
  std::function<void(const Connection& by, std::string_view what)> report;

  std::uint64_t turn = 0;
  bool dispatching = false;  ///< a turn is running
  std::uint64_t events = 0;  ///< reported so far
  std::uint64_t bytes = 0;   ///< read and compared so far, at both ends
};

/// Lives until it is done(): a random sequence of operations, then an end of some kind, then a
/// while in which nothing may be reported.
class Connection {
 public:
  Connection(Common& common, Kind kind, std::uint64_t index, std::uint64_t seed,
             support::Pair ends);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Does one operation, or waits for what is due.
  void step();
  bool done() const noexcept { return stage_ == Stage::done; }
  /// Nothing can be done until something has been reported.
  bool is_waiting() const noexcept { return due_ != Due::nothing; }

  Kind kind() const noexcept { return facts_.kind; }
  std::uint64_t index() const noexcept { return index_; }
  /// "tcp: peer_write(10) | [readable] read(10)"; a bar stands for one turn of the loop or more.
  const std::string& history() const noexcept { return history_; }

 private:
  enum class Stage : std::uint8_t { operations, end, second_end, third_end, silence, done };
  enum class Due : std::uint8_t {
    nothing,
    readable,
    writable,
    peer_closed,
    end,
    hangup,
    end_at_peer
  };

  // What is done to it (connection.cpp).
  void operate();
  bool operate(std::size_t which);
  void steal();
  bool break_off();
  void finish();
  void finish_by_closing();
  void finish_by_peer();
  void finish_paused();
  void close_local();
  void watch_anew();
  void set_interest(Interest interest);
  void toggle(Interest bit);
  bool expect_event(Due what);
  void expect(Due what);
  void wait_for_what_is_due();
  bool is_fulfilled();
  std::string_view name(Due due) const;

  // Bytes and shutdowns (traffic.cpp). Each notes itself.
  void peer_write(std::size_t most);
  void peer_fill();
  void peer_read(std::size_t most);
  void peer_shut_down();
  void peer_close();
  void peer_reset();
  void write(std::size_t most);
  void fill();
  void read(std::size_t most);
  void shut_down_read();
  void shut_down_write();
  bool has_peer() const noexcept { return static_cast<bool>(ends_.peer); }
  bool peer_may_write() const noexcept;
  bool may_write() const noexcept;
  bool may_read() const noexcept;
  long transfer_out(const support::Handle& to, std::uint64_t salt, std::uint64_t& total,
                    std::size_t most);
  long transfer_in(const support::Handle& from, std::uint64_t salt, std::uint64_t& total,
                   std::size_t most);

  void handle(const StreamEvent& event);
  void on_readable();
  void on_writable();
  void note(std::string_view what, long amount = -1);
  void wrong(std::string_view what);

  Common& common_;
  std::uint64_t index_;
  Random random_;
  support::Pair ends_;
  Facts facts_;
  StreamWatch watch_;
  Stage stage_ = Stage::operations;
  unsigned left_;  ///< operations, or steps of silence
  unsigned way_;   ///< how it ends
  Due due_ = Due::nothing;
  Event since_due_ = Event::none;  ///< reported since then
  std::chrono::steady_clock::time_point due_until_;
  bool peer_saw_end_ = false;
  std::uint64_t to_local_;  ///< salts of the bytes
  std::uint64_t to_peer_;
  std::uint64_t noted_turn_ = 0;
  std::string history_;
};

}  // namespace pollux::soak

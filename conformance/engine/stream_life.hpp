// SPDX-License-Identifier: MIT
// What the model knows of a pollux::Stream, by what its header says (pollux/stream.hpp): it reads
// and writes by itself, has the life of a stream watch otherwise, and closes its descriptor.
#pragma once

#include <chrono>
#include <cstdint>

#include "conformance/engine/life.hpp"

namespace pollux::differential {

// How the streams of histories are set up. Each run of the loop lasts a second of the player's
// clock: so a stream that is being closed is cut off in the second one, and what waits to have
// arrived at the peer has arrived in the first.
inline constexpr std::uint32_t stream_high_water = 3;  // more than one write, less than two
inline constexpr std::chrono::milliseconds stream_close_timeout{1500};
inline constexpr int runs_until_cut_off = 2;

/// The life of a stream. What its members answer is what a history records of them.
class StreamLife final : public Life {
 public:
  using Life::Life;

  void resume() override;
  void keep() { keeps_ = !keeps_; }
  int read(int most);
  /// A number of bytes, or minus an error number.
  int write();
  /// Whether write() answers false.
  bool has_enough() const { return above_; }

  void shutdown_write();
  void close();
  void abort();
  void abort_when_sent();
  /// It is destroyed.
  void unwatch() override;

  void turn(Trace& trace) override;

 private:
  void finish(int error) override;
  int kept() const override { return kept_; }

  bool is_socket() { return line().can_read(end_of_line()) && line().can_write(end_of_line()); }
  bool may_read() const { return !is_reading() || has_ended(); }
  void send();
  int take_arrived();
  void fail(int error);
  void deliver();
  void deliver_failure(int bytes);
  void end_outbound();
  void go_on_closing();
  void end_when_sent();
  void release();

  int unsent_ = 0;
  int kept_ = 0;
  bool keeps_ = false;      ///< one byte of each call of on_data()
  bool kept_due_ = false;   ///< is delivered again, since the stream goes on
  bool above_ = false;      ///< more than the high-water mark has been waiting
  bool drained_ = false;    ///< and no more than the low one is, since this run of the loop
  bool shut_ = false;       ///< by shutdown_write(): when all has been sent
  bool shut_down_ = false;  ///< has been
  bool closing_ = false;
  bool resets_ = false;  ///< closing, with a reset at the end
  bool silent_ = false;  ///< nothing more is delivered
  bool destroyed_ = false;
  bool hangup_due_ = false;
  int runs_closing_ = 0;
  int failure_ = 0;  ///< that an own call has met
};

}  // namespace pollux::differential

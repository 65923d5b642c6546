// SPDX-License-Identifier: MIT
// The half of the model that knows what TCP, AF_UNIX, pipes, terminals … are: what an operation
// answers, and the state that it leaves the two ends in. It knows no flag of a kernel.
#pragma once

#include <array>

#include "conformance/engine/history.hpp"

namespace pollux::differential {

inline constexpr int chunk = 2;           // bytes that a write writes
inline constexpr int low_water_mark = 3;  // bytes
inline constexpr int urgent_bytes = 1;

/// What waits to be read at an end. At most one byte is urgent: the last that was sent as such. It
/// is not in the stream, but it keeps its place: no read goes over it (RFC 6093).
class Inbox {
 public:
  /// `keeps_old`: an urgent byte at the front that is overtaken by another joins the stream.
  explicit Inbox(bool keeps_old = false) : keeps_old_{keeps_old} {}

  int unread() const { return before_ + after_; }
  /// Whether a close throws nothing away. What was taken still has its place.
  bool is_empty() const { return unread() == 0 && mark_ == Mark::none; }

  void arrive(int bytes);
  void arrive_urgent();
  /// A newer mark, of which the byte never comes.
  void move_mark();
  /// How many; 0 if none are there.
  int read(int most);
  bool has_urgent() const { return mark_ == Mark::unread; }
  void take_urgent() { mark_ = Mark::taken; }
  /// Whether there is a byte behind those that were peeked at.
  bool peek();
  void discard() { before_ = after_ = 0; }

 private:
  enum class Mark { none, unread, taken };

  bool keeps_old_;
  int before_ = 0;  ///< bytes up to the mark, or all of them
  int after_ = 0;
  Mark mark_ = Mark::none;
  int peeked_ = 0;
};

/// One end of a line.
struct End {
  Inbox in;
  bool fin = false;         ///< the other end's FIN has arrived here
  bool shut_read = false;   ///< by its own SHUT_RD
  bool shut_write = false;  ///< by its own SHUT_WR; AF_UNIX: or by the other's SHUT_RD
  bool gone = false;        ///< by a reset, by FINs both ways, or with the other end
  bool open = true;
  bool linger_zero = false;
  int error = 0;             ///< pending
  bool urgent_lost = false;  ///< its mark was heeded, and the byte answered with a reset
  int low_water = 1;
  bool reads_fail = false;  ///< whatever is unread
  bool packet_mode = false;
  int control = 0;  ///< packets of it

  bool inbound_over() const { return fin || shut_read || gone; }
  bool outbound_over() const { return shut_write || gone; }
  bool both_over() const { return inbound_over() && outbound_over(); }
  int unread() const { return reads_fail ? 0 : in.unread() + control; }
};

/// What a look at an end shows of it: nothing new, that the other one has ended, or a failure.
enum class Sight { nothing, the_end, a_failure };

/// The two ends of one connection. Where an operation answers, it is with a number of bytes, 0, or
/// minus an error number.
class Line {
 public:
  explicit Line(Kind kind);

  const End& operator[](int end) const { return ends_[static_cast<std::size_t>(end)]; }
  /// The pending error, which is told only once.
  int fetch_error(int end);

  int write(int end, int bytes = chunk);
  void write_urgent(int end);
  int read(int end, int most);
  int read_all(int end);
  int read_urgent(int end);
  int peek(int end);
  void drain(int end);
  void shutdown_read(int end);
  void shutdown_write(int end);
  /// The last descriptor of that end is closed.
  void close(int end);
  void set_linger_zero(int end) { at(end).linger_zero = true; }
  void set_low_water(int end) { at(end).low_water = low_water_mark; }
  void set_packet_mode(int end) { at(end).packet_mode = true; }
  void discard(int end);

  bool can_read(int end) const;
  bool can_write(int end) const;
  Sight look(int end) const;
  /// Whether a FIN that has arrived does not show yet.
  bool hides_fin(int end) const;

 private:
  End& at(int end) { return ends_[static_cast<std::size_t>(end)]; }
  bool is_tcp() const { return family_ == Family::tcp || family_ == Family::mptcp; }
  bool is_unix() const { return family_ == Family::unix_stream || family_ == Family::seqpacket; }
  bool has_packets() const { return family_ == Family::seqpacket || family_ == Family::udp; }
  bool is_slave(int end) const {
    return family_ == Family::terminal && (kind_ == Kind::terminal) == (end == 0);
  }
  bool refuses_bytes(const End& to) const;
  bool has_no_sides(int end) const;
  bool takes_bytes(int end);
  int nothing_to_read(int end);
  int result_of_failed(int end, int of_a_refusal, int otherwise);
  void reset(End& end);
  void close_if_done(End& end);
  bool shows_end(int end) const;
  void send_fin(int end);

  Kind kind_;
  Family family_;
  std::array<End, 2> ends_;
};

}  // namespace pollux::differential

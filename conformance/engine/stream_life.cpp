// SPDX-License-Identifier: MIT
#include "conformance/engine/stream_life.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace pollux::differential {

// Reading.

void StreamLife::resume() {
  kept_due_ |= !is_reading() && kept_ > 0;
  Life::resume();
}

/// Of those kept, and then of those that the kernel has.
int StreamLife::read(int most) {
  if (is_over() || closing_ || !may_read()) return 0;
  int count = std::min(most, kept_);
  kept_ -= count;
  if (count == most || has_ended()) return count;
  const int answer = line().read(end_of_line(), most - count);
  if (answer < 0 && answer != -EAGAIN) fail(-answer);
  return count + std::max(answer, 0);
}

/// What on_data() is called with counts as read, but for what it keeps.
int StreamLife::take_arrived() {
  if (!is_reading()) return 0;
  const int arrived = here().unread() > 0 ? line().read_all(end_of_line()) : 0;
  if (arrived == 0 && !std::exchange(kept_due_, false)) return 0;
  kept_due_ = false;
  const int all = kept_ + arrived;
  kept_ = keeps_ ? std::min(all, 1) : 0;
  return all - kept_;
}

// Writing.

int StreamLife::write() {
  if (is_over() || closing_) return -ENOTCONN;
  if (shut_) return -EPIPE;
  if (failure_ == 0) unsent_ += chunk;
  above_ |= unsent_ > static_cast<int>(stream_high_water);
  return chunk;
}

/// What was written in front of a turn is sent in it, together. A connection that has failed takes
/// nothing, and the bytes are lost.
void StreamLife::send() {
  if (const int bytes = std::exchange(unsent_, 0); bytes > 0) {
    drained_ = std::exchange(above_, false);
    if (here().outbound_over()) {
      const int pending = line().fetch_error(end_of_line());
      return fail(pending != 0 ? pending : EPIPE);
    }
    line().write(end_of_line(), bytes);
  }
  if (shut_ && failure_ == 0) end_outbound();
}

/// A call has met the failure, and says so in the next turn.
void StreamLife::fail(int error) {
  failure_ = error;
  unsent_ = 0;
}

void StreamLife::shutdown_write() {
  if (is_over() || closing_ || std::exchange(shut_, true)) return;
  if (unsent_ == 0) end_outbound();
}

/// Of a pipe's writing end it is the end of the stream.
void StreamLife::end_outbound() {
  if (is_over() || std::exchange(shut_down_, true)) return;
  if (is_socket()) return line().shutdown_write(end_of_line());
  release();
}

// The end.

void StreamLife::close() {
  if (is_over() || std::exchange(closing_, true)) return;
  kept_ = 0;
  if (unsent_ == 0) end_when_sent();
}

/// Its own side, and the stream when the peer has ended as well.
void StreamLife::end_when_sent() {
  if (resets_) return;
  if (has_ended() || !is_socket()) return release();
  end_outbound();
}

void StreamLife::abort_when_sent() {
  // A pipe has no reset: it is the end that comes when all has been sent.
  if (!is_socket()) return close();
  if (is_over() || destroyed_) return;
  closing_ = resets_ = true;
  kept_ = 0;
}

void StreamLife::abort() {
  if (destroyed_) return;
  silent_ = true;
  hangup_due_ = false;
  if (is_over()) return;
  line().set_linger_zero(end_of_line());
  release();
}

void StreamLife::unwatch() {
  destroyed_ = silent_ = true;
  hangup_due_ = false;
  close();
}

void StreamLife::release() {
  set_over();
  line().close(end_of_line());
  hangup_due_ = !silent_;
}

void StreamLife::finish(int error) {
  Life::finish(error);
  line().close(end_of_line());
}

// What the loop delivers.

void StreamLife::turn(Trace& trace) {
  begin(trace);
  if (!is_over()) send();
  if (is_over() || closing_) return go_on_closing();
  deliver();
  // After hangup its handlers are not called any more; and on_drained() has no place in front of it
  // either.
  if (std::exchange(drained_, false) && !is_over()) say_first(Item::What::drained);
}

void StreamLife::deliver() {
  const int bytes = take_arrived();
  if (failure_ != 0) return deliver_failure(bytes);
  deliver_peer_closed(false);
  if (bytes > 0) say(Item::What::data, bytes);
  deliver_lifecycle();
}

/// Who is paused learns of it at once, others behind the bytes, and behind the end, if that had
/// come: then writing is what has failed, and no reset has cut the stream.
void StreamLife::deliver_failure(int bytes) {
  const bool was_reset = failure_ != EPIPE;
  if (!was_reset) deliver_peer_closed(false);
  if (bytes > 0) say(Item::What::data, bytes);
  const bool reads = line().can_read(end_of_line()) && is_reading() && !has_ended();
  if (reads && here().inbound_over() && !was_reset) end();
  finish(failure_);
}

/// Nothing is delivered but hangup, when the descriptor is closed. What arrives before is nobody's.
void StreamLife::go_on_closing() {
  drained_ = false;
  if (!is_over()) end_when_sent();
  if (!is_over()) {
    const bool ended = here().error != 0 || here().inbound_over() || failure_ != 0;
    while (here().unread() > 0) line().read_all(end_of_line());
    ++runs_closing_;
    if (resets_) line().set_linger_zero(end_of_line());
    if (resets_ || ended || runs_closing_ == runs_until_cut_off) release();
  }
  if (std::exchange(hangup_due_, false)) say(Item::What::hangup);
}

}  // namespace pollux::differential

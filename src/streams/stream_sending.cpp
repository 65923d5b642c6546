// SPDX-License-Identifier: MIT
// The sending half of a stream: what is written goes to the kernel, and then it ends.
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "streams/stream_core.hpp"

namespace pollux::detail {

// Writing.

template <class What>
bool StreamCore::write(std::size_t size, What&& what, std::error_code& error) noexcept {
  error.clear();
  if (service().reactor() == nullptr) {
    error = Errc::reactor_closed;
  } else if (over_ || is_closing()) {
    error = Errc::stream_closed;
  } else if (outbound_ != Outbound::open) {
    error = system_error_code(std::errc::broken_pipe);
  } else if (output_.size() + size > handle_.options().write_limit && !relayed_) {
    error = system_error_code(std::errc::no_buffer_space);
  } else if (size != 0 && output_.failure() == 0 &&
             output_.write(size, std::forward<What>(what), handle_, error)) {
    bytes_moved();
  }
  return !error && after_write();
}
template bool StreamCore::write(std::size_t, std::span<const Bytes>&, std::error_code&) noexcept;
template bool StreamCore::write(std::size_t, std::string&&, std::error_code&) noexcept;

bool StreamCore::move_by_pipe(StreamCore& from, std::size_t& moved) noexcept {
  moved = 0;
  if (over_ || is_closing() || outbound_ != Outbound::open || output_.failure() != 0) return true;
  if (output_.is_above(handle_.options())) return false;
  const std::size_t before = output_.size();
  const platform::Moved result = output_.move_by_pipe(from.handle_, handle_);
  if (result.error != 0) from.outbound_failed(result.error);
  moved = result.bytes;
  if (moved == 0) return true;
  from.bytes_moved();
  if (output_.size() < before + moved) bytes_moved();
  return after_write();
}

/// Whether more may be written.
bool StreamCore::after_write() noexcept {
  if (output_.failure() != 0) make_due();
  if (output_.can_send()) {
    if (output_.is_much()) {
      send();
    } else if (!calling_) {
      service().add(*this);
    }
  }
  note_drained();
  const bool is_above = output_.is_above(handle_.options());
  if (output_.is_blocked()) update_interest();
  return !is_above;
}

void StreamCore::note_drained() noexcept {
  if (!output_.has_drained(handle_.options())) return;
  drained_ = true;
  make_due();
}

void StreamCore::send() noexcept {
  if (output_.send(handle_)) bytes_moved();
  if (output_.failure() != 0) return make_due();
  note_drained();
  if (output_.empty()) {
    if (outbound_ != Outbound::open) end_outbound();
    if (is_closing() && !over_) close_when_sent();
  }
  update_interest();
}

void StreamCore::shutdown_write() noexcept {
  if (over_ || is_closing() || outbound_ != Outbound::open) return;
  outbound_ = Outbound::ends_when_sent;
  if (output_.empty()) end_outbound();
}

/// False for what has not been connected yet.
bool StreamCore::end_outbound() noexcept {
  if (over_ || std::exchange(outbound_, Outbound::ended) == Outbound::ended) return true;
  side_ended();
  if (handle_.kind() == StreamKind::pipe_writer) release_quietly();
  if (handle_.kind() != StreamKind::socket) return true;
  // Another failure is the connection's, and the watch says so.
  return handle_.shutdown_write() != std::errc::not_connected;
}

// The end.

void StreamCore::close() noexcept {
  if (over_ || is_closing()) return;
  closing_ = Closing::when_sent;
  if (!calling_) input_.forget();  // its handler still has it otherwise
  if (output_.failure() == 0 && output_.empty()) return close_when_sent();
  if (output_.failure() != 0 || !start_closing_timer()) return release_quietly();
  if (output_.can_send()) service().add(*this);
  update_interest();
}

/// A close that leaves bytes unread is a reset, which may take away what the peer has not read yet:
/// so the peer's end comes first.
void StreamCore::close_when_sent() noexcept {
  if (closing_ == Closing::reset_when_sent) return;  // when it has arrived
  if (ended_ || ends_when_resumed_ || handle_.kind() != StreamKind::socket ||
      !start_closing_timer() || !end_outbound())
    return release_quietly();
  update_interest();
}

void StreamCore::abort_when_sent() noexcept {
  if (over_ || closing_ == Closing::reset_when_sent) return;
  if (handle_.kind() != StreamKind::socket) return close();  // it has no reset
  closing_ = Closing::reset_when_sent;
  stop_closing_timer();
  if (!calling_) input_.forget();  // its handler still has it otherwise
  // Where there is no timer, nothing can be waited for.
  if (output_.failure() != 0 || !start_closing_timer()) {
    handle_.reset_on_close();
    return release_quietly();
  }
  if (output_.can_send()) service().add(*this);
  update_interest();
}

void StreamCore::cut_off() noexcept {
  orphan_ = true;  // nothing more is delivered, nor a hangup that is due
  if (over_) return calling_ ? void() : forget_handlers();
  handle_.reset_on_close();
  release();
}

bool StreamCore::start_closing_timer() noexcept {
  Reactor* const reactor = service().reactor();
  if (reactor == nullptr) return false;
  std::error_code error;
  report_memory(error, [&] {
    if (!deadlines().is_closing())
      error = deadlines().start_closing(*reactor, handle_.options(),
                                        closing_ == Closing::reset_when_sent,
                                        [this] { closing_timer_fired(); });
    return true;
  });
  return !error;
}

void StreamCore::closing_timer_fired() {
  const Hold hold{*this};
  if (closing_ == Closing::reset_when_sent) {
    // No event says that all has arrived at the peer, and a reset throws away what has not.
    const std::size_t left = output_.size() + handle_.unacknowledged();
    if (deadlines().waits_for(left, *service().reactor(), handle_.options())) return;
    handle_.reset_on_close();
  } else if (!output_.empty()) {
    handle_.reset_on_close();
  }
  release();
  report(Event::hangup);
}

}  // namespace pollux::detail

// SPDX-License-Identifier: MIT
// A stream: from what its watch reports to its handlers, and from what is written to the kernel.
#include "streams/stream_core.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

namespace pollux::detail {

namespace {

/// How much room there is at least behind what is kept.
constexpr std::size_t least_behind_kept = 4096;
/// How much is read where there is no memory for more.
constexpr std::size_t least_read = 512;

/// For how many turns the end is left to the watch where a write has failed.
constexpr std::uint8_t most_turns_awaited = 8;

constexpr Event ends = Event::end_of_stream | Event::error | Event::hangup;

constexpr Event without(Event a, Event b) {
  return static_cast<Event>(static_cast<unsigned>(a) & ~static_cast<unsigned>(b));
}

std::error_code no_memory() noexcept {
  return system_error_code(std::errc::not_enough_memory);
}

}  // namespace

/// What the handler of its watch has. Where that goes with the reactor, the stream ends.
class StreamCore::Watching {
 public:
  explicit Watching(StreamCore& core) noexcept : core_{&core} { ++core.holders_; }
  Watching(Watching&& other) noexcept : core_{std::exchange(other.core_, nullptr)} {}
  Watching& operator=(Watching&&) = delete;
  ~Watching() {
    if (core_ == nullptr) return;
    const Hold hold{Hold::taken_over, *core_};
    if (core_->service().reactor() != nullptr) return;
    core_->orphan_ = true;
    core_->release();
    core_->forget_handlers();
  }
  StreamCore& core() const noexcept { return *core_; }

 private:
  StreamCore* core_;
};

// Its beginning, and its owners.

Stream StreamCore::make(Reactor& reactor, UniqueHandle& handle, const GroupPointer& group,
                        std::error_code& error) noexcept {
  Stream stream;
  error.clear();
  StreamService* const service = StreamService::of(reactor, error);
  if (service == nullptr) return stream;
  StreamCore* const core =
      report_memory(error, [&] { return new StreamCore(*service, std::move(handle), group); });
  if (core == nullptr) return stream;
  Hold hold{*core};
  error = core->start();
  if (error) {
    handle = core->handle_.give_back();
    return stream;
  }
  service->add(*core);  // by the next wait it is known who reads
  hold.leave();         // the owner's
  stream.core_ = core;
  return stream;
}

std::error_code StreamCore::start() noexcept {
  std::error_code error = handle_.watch([watching = Watching{*this}](const StreamEvent& event) {
    watching.core().watch_reports(event);
  });
  const StreamOptions& options = handle_.options();
  if (error || (options.idle_timeout.count() == 0 && options.half_closed_timeout.count() == 0))
    return error;
  report_memory(error, [&] {
    error = deadlines().start(*service().reactor(), options, [this] {
      const Hold hold{*this};
      handle_.reset_on_close();
      fail(system_error_code(std::errc::timed_out));
    });
    return true;
  });
  bytes_moved();
  return error;
}

StreamCore* StreamCore::take_from(Stream& stream) noexcept {
  StreamCore* const core = std::exchange(stream.core_, nullptr);
  if (core == nullptr) return nullptr;
  StreamService::Call& call = core->service().call();
  if (call.lent != &stream) return core;
  call.lent = nullptr;
  return nullptr;
}

void StreamCore::orphan() noexcept {
  orphan_ = true;
  close();
  if (!calling_) forget_handlers();
  const Hold hold{Hold::taken_over, *this};
}

// What the watch reports.

void StreamCore::watch_reports(const StreamEvent& event) {
  const Hold hold{*this};
  late_ |= event.events() & ends;
  try {
    if (event.peer_closed() && !shows_an_end_instead()) report(Event::peer_closed);
    if (event.readable() && !over_) receive(false);
    if (late_ != Event::none && !over_) {
      deliver_kept();  // before the end
      if (!over_) handle_ends(std::exchange(late_, Event::none), event.error());
    }
    if (event.writable() && !over_) {
      output_.unblock();
      send();
    }
    if (drained_ && !over_) deliver_drained();
    if (output_.can_send() && !over_) send();  // what the handlers have written
  } catch (...) {
    // The rest comes in the next turn: handle_ends() finds why in the failure.
    if (any(late_, Event::error)) output_.fail(event.error().value(), service().write_blocks());
    make_due();
    throw;
  }
}

void StreamCore::handle_ends(Event events, std::error_code why) {
  if (any(events, Event::hangup) && !why && output_.failure() != 0) {
    why = platform::error_code(output_.failure());
    events |= Event::error;
    // Who is paused learns of a failure alone (rule 5).
    if (shows_an_end_instead() || input_.paused) events = without(events, Event::end_of_stream);
  }
  if (any(events, Event::end_of_stream)) {
    // Both directions are over, and what was kept is unread (rule 4).
    ends_when_resumed_ = any(events, Event::hangup) && !why && input_.paused && !is_closing() &&
                         !input_.kept().empty();
    if (ends_when_resumed_) return;
    ended_ = true;
    side_ended();
  }
  if (any(events, Event::hangup)) {
    if (why && relayed_ && input_.paused && !is_closing()) {
      // settle_failure() reads the bytes, and then it fails.
      waits_to_fail_ = true;
      outbound_failed(why.value());
      return note_drained();  // who writes here waits for no room any more
    }
    release();
    report(events, why);
    return;
  }
  update_interest();
  if (is_closing()) {
    if (output_.empty()) close_when_sent();
  } else if (on_event_) {
    report(events);
  } else {
    close();
  }
}

/// A write has taken the error out of the kernel, which shows the end of the stream afterwards.
/// That is one only where the peer's had come before: then the error is a broken pipe.
bool StreamCore::shows_an_end_instead() const noexcept {
  return output_.failure() != 0 &&
         platform::error_code(output_.failure()) != std::errc::broken_pipe;
}

// Reading.

void StreamCore::on_data(AnyHandler&& handler) noexcept {
  if (StreamReplacements* const later = replacements()) {
    later->data = std::move(handler);
    return;
  }
  input_.on_data = std::move(handler);
  update_interest();
  deliver_kept_again();
}

/// What was kept is due, whether more comes or not.
void StreamCore::deliver_kept_again() noexcept {
  if (!input_.has_kept() || input_.paused || over_) return;
  input_.kept_due = true;
  make_due();
}

/// `again`: what is kept is delivered also if nothing has come. Whether it has come to the end.
bool StreamCore::receive(bool again) {
  std::array<std::byte, least_read> few;
  std::span<std::byte> into{few};
  if (is_closing()) {  // nobody's bytes
    if (handle_.read(into).error != 0) release_quietly();
    return false;
  }
  if (!input_.reads()) {
    update_interest();
    return false;
  }
  if (spliced_ && (deliver_spliced() || over_ || !input_.reads())) return false;
  BufferPool::Block block;
  if (input_.has_kept()) {
    into = input_.make_room(least_behind_kept);
    if (into.empty()) fail(no_memory());
  } else if ((block = service().read_blocks().take())) {
    into = {block.get(), service().read_blocks().block_size()};
  }
  if (over_) return false;
  const platform::Moved moved = handle_.read(into);
  if (moved.error != 0) fail(platform::error_code(moved.error));
  if (over_) return false;
  if (moved.bytes != 0) bytes_moved();
  if (input_.has_kept()) {
    input_.add(moved.bytes);
    if (moved.bytes != 0 || again) deliver_data(input_.kept());
  } else if (moved.bytes != 0) {
    deliver_data({into.data(), moved.bytes});
  }
  if (block) service().read_blocks().give_back(std::move(block));
  return moved.bytes == 0 && !moved.would_block;
}

/// Whether bytes have moved. Where none have, there is something else to be read: also an end.
bool StreamCore::deliver_spliced() {
  const std::uint32_t before = input_.reads_made;
  spliced_ = !input_.has_kept();
  if (spliced_) deliver_data({});
  return input_.reads_made != before;
}

void StreamCore::deliver_data(Bytes bytes) {
  struct CountsAsRead {
    StreamInput* input;
    ~CountsAsRead() {
      if (input != nullptr) input->forget();
    }
  } counts_as_read{&input_};  // also if the handler throws
  StreamDelivery delivery{bytes, bytes.size()};
  deliver(bytes, delivery);
  const Bytes rest = bytes.subspan(delivery.read);
  if (rest.empty() || over_ || orphan_ || is_closing()) return;
  if (rest.size() > handle_.options().read_limit)
    return fail(system_error_code(std::errc::no_buffer_space));
  counts_as_read.input = nullptr;
  if (!input_.keep(rest)) return fail(no_memory());
  if (delivery.replaced) deliver_kept_again();
}

bool StreamCore::deliver_kept() {
  if (!std::exchange(input_.kept_due, false) || !input_.has_kept() || input_.paused || over_)
    return false;
  receive(true);
  return true;
}

void StreamCore::pause() noexcept {
  input_.paused = true;
  update_interest();
}

void StreamCore::resume() noexcept {
  if (!std::exchange(input_.paused, false) || over_) return;
  update_interest();
  deliver_kept_again();
  if (waits_to_fail_ || ends_when_resumed_) make_due();
}

Bytes StreamCore::read(std::size_t most) noexcept {
  StreamService::Call& call = service().call();
  if (call.core == this && call.delivery != nullptr) return call.delivery->take(most);
  if ((!input_.paused && !ended_) || is_closing()) return {};
  const std::size_t there = input_.kept().size();
  if (there < most && !over_ && has_inbound()) {
    const std::size_t wanted = std::min(most - there, service().read_blocks().block_size());
    const std::span<std::byte> room = input_.make_room(wanted);
    if (room.empty()) return {};
    const platform::Moved moved = handle_.read(room.first(wanted));
    input_.add(moved.bytes);
    if (moved.bytes != 0) bytes_moved();
    if (moved.error != 0) outbound_failed(moved.error);
  }
  service().add(*this);  // which takes the memory back
  return input_.take(most);
}

void StreamCore::keep(std::size_t bytes) noexcept {
  StreamService::Call& call = service().call();
  if (call.core == this && call.delivery != nullptr) call.delivery->keep(bytes);
}

/// A read or a write has failed. The watch has had a turn to report the end: what it has not
/// reported is that nobody reads what is written (AF_UNIX), or bytes are still to be read. It has
/// another one when these have been read, and the end is behind them.
void StreamCore::settle_failure() {
  if (waits_to_fail_ && input_.paused && !is_closing()) return;
  if (is_closing() || !input_.reads() || !has_inbound())
    return fail(platform::error_code(output_.failure()));
  const std::uint32_t before = input_.reads_made;
  const bool at_end = receive(false);
  if (over_) return;
  if (input_.reads_made == before) {
    if (!at_end) return fail(platform::error_code(output_.failure()));
    // A backend that reports what is not there may do so first, and again.
    if (turns_awaited_++ == most_turns_awaited)
      return handle_ends(Event::end_of_stream | Event::hangup, {});
  }
  make_due();
}

// Its part in a turn.

void StreamCore::prepare() noexcept {
  if (over_) return;
  if (output_.can_send()) send();
  input_.forget_read();
  update_interest();
}

bool StreamCore::deliver_due() {
  due = false;
  if (over_) return late_ != Event::none && report(std::exchange(late_, Event::none));
  bool called = false;
  try {
    called = drained_ && deliver_drained();
    called |= deliver_kept();
    if (ends_when_resumed_ && !input_.paused && !over_) {
      ends_when_resumed_ = false;
      late_ |= Event::end_of_stream | Event::hangup;
    }
    if (late_ != Event::none && !over_) {
      handle_ends(std::exchange(late_, Event::none), {});
      called = true;
    }
    if (output_.failure() != 0 && !over_) {
      settle_failure();
      called = true;
    }
    if (output_.can_send() && !over_) send();
  } catch (...) {
    make_due();
    throw;
  }
  return called;
}

}  // namespace pollux::detail

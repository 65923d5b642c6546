// SPDX-License-Identifier: MIT
// A stream: from what its watch reports to its handlers, and from what is written to the kernel.
#include "streams/stream_core.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/open_socket.hpp"

namespace pollux::detail {

namespace {

/// Shorter writes are gathered, and sent together.
constexpr std::size_t short_write = 4096;
/// What was gathered is sent when there is so much of it.
constexpr std::size_t much_gathered = 64 * 1024;
/// How long it takes until the kernel is asked what has arrived at the peer, at first and at last.
constexpr std::chrono::milliseconds first_question{1};
constexpr std::chrono::milliseconds last_question{50};
/// How much is read where there is no memory for more.
constexpr std::size_t least_read = 512;

constexpr Event ends = Event::end_of_stream | Event::error | Event::hangup;

constexpr Event operator&(Event a, Event b) {
  return static_cast<Event>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}

std::error_code no_memory() noexcept {
  return system_error_code(std::errc::not_enough_memory);
}

}  // namespace

const StreamOptions StreamCore::default_options{};

/// While a handler is called. Afterwards the handlers of a stream that has ended are forgotten.
class StreamCore::Calling {
 public:
  explicit Calling(StreamCore& core, StreamDelivery* delivery = nullptr) noexcept : core_{core} {
    lent_.core_ = &core;
    core.calling_ = true;
    core.service().call() = {&lent_, &core, delivery};
  }
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;
  ~Calling() {
    core_.calling_ = false;
    // Not if the handler has moved another stream into it: that one ends here.
    if (core_.service().call().lent == &lent_) lent_.core_ = nullptr;
    core_.service().call() = {};
    if (core_.over_ || core_.orphan_) core_.forget_handlers();
  }
  Stream& stream() noexcept { return lent_; }

 private:
  StreamCore& core_;
  Stream lent_;
};

/// What the handler of its watch has. Where that goes with the reactor, the stream ends.
class StreamCore::Watching {
 public:
  explicit Watching(StreamCore& core) noexcept : core_{&core} { ++core.holders_; }
  Watching(Watching&& other) noexcept : core_{std::exchange(other.core_, nullptr)} {}
  Watching& operator=(Watching&&) = delete;
  ~Watching() {
    if (core_ == nullptr) return;
    const Hold hold{Hold::taken_over, *core_};
    if (core_->service().reactor() == nullptr) core_->reactor_closed();
  }
  StreamCore& core() const noexcept { return *core_; }

 private:
  StreamCore* core_;
};

StreamCore* StreamCore::give(Stream& stream) noexcept {
  StreamCore* const core = std::exchange(stream.core_, nullptr);
  if (core == nullptr) return nullptr;
  StreamService::Call& call = core->service().call();
  if (call.lent != &stream) return core;
  call.lent = nullptr;
  return nullptr;
}

// Its beginning.

bool StreamCore::are_valid(const StreamOptions& options) noexcept {
  return options.write_low_water <= options.write_high_water &&
         options.write_high_water <= options.write_limit;
}

StreamCore* StreamCore::make(Reactor& reactor, UniqueHandle handle, const StreamOptions& options,
                             std::error_code& error) noexcept {
  error = are_valid(options) ? std::error_code{} : system_error_code(std::errc::invalid_argument);
  if (error) return nullptr;
  StreamGroup* const group = report_memory(error, [&]() -> StreamGroup* {
    return options == default_options ? nullptr : new StreamGroup{options};
  });
  if (error) return nullptr;
  Stream stream = make(reactor, handle, GroupPointer{group}, error);
  return give(stream);
}

Stream StreamCore::make(Reactor& reactor, UniqueHandle& handle, const GroupPointer& group,
                        std::error_code& error) noexcept {
  Stream stream;
  StreamService* const service = StreamService::of(reactor, error);
  if (service == nullptr) return stream;
  StreamCore* const core =
      report_memory(error, [&] { return new StreamCore(*service, std::move(handle), group); });
  if (core == nullptr) return stream;
  Hold hold{*core};
  error = core->start();
  if (error) {
    handle = std::move(core->handle_);
    return stream;
  }
  hold.leave();  // the owner's
  stream.core_ = core;
  return stream;
}

std::error_code StreamCore::start() noexcept {
  std::error_code error;
  const Interest asked =
      options().peer_closed ? Interest::readable | Interest::peer_closed : Interest::readable;
  watch_ = service().reactor()->watch_stream(
      handle_.get(), asked,
      [watching = Watching{*this}](const StreamEvent& event) { watching.core().handle(event); },
      error);
  if (error) return error;
  interest_ = asked;
  kind_ = service().loop().registrations().stream_kind(handle_.get());
  if (const int failed = platform::prepare_to_move(handle_.get(), kind_, service().calls()))
    error = platform::error_code(failed);
  if (!error) error = make_deadlines();
  if (error) watch_.reset();
  return error;
}

StreamCore::~StreamCore() {
  queue_.clear(service().write_blocks());
  leave_group();
}

void StreamCore::leave_group() noexcept {
  if (!group_ || std::exchange(left_, true)) return;
  --group_->open;
  if (group_->owner != nullptr) group_->owner->stream_closed();
}

Address StreamCore::local_address() const noexcept {
  return platform::own_address(handle_.get(), service().calls());
}

Address StreamCore::peer_address() const noexcept {
  return platform::peer_address(handle_.get(), service().calls());
}

void StreamCore::on_data(AnyHandler&& handler) noexcept {
  on_data_ = std::move(handler);
  reads_ = static_cast<bool>(on_data_);
  update_interest();
}

void StreamCore::on_drained(AnyHandler&& handler) {
  extras().on_drained = std::move(handler);
}

// What the watch reports.

void StreamCore::handle(const StreamEvent& event) {
  const Hold hold{*this};
  if (event.peer_closed() && !shows_an_end_instead()) report(Event::peer_closed);
  if (event.readable() && !over_) receive(false);
  if (any(event.events(), ends) && !over_) {
    deliver_kept();  // before the end
    if (!over_) handle_ends(event);
  }
  if (event.writable() && !over_) {
    blocked_ = false;
    flush();
  }
  if (drained_ && !over_) deliver_drained();
  if (!queue_.empty() && !blocked_ && !over_) flush();  // what the handlers have written
}

void StreamCore::handle_ends(const StreamEvent& event) {
  Event events = event.events() & ends;
  std::error_code why = event.error();
  if (any(events, Event::hangup) && !why && failure_ != 0) {
    why = platform::error_code(failure_);
    events |= Event::error;
    // Who is paused learns of a failure alone (rule 5).
    if (shows_an_end_instead() || paused_) events = events & (Event::error | Event::hangup);
  }
  if (any(events, Event::end_of_stream)) {
    // Both directions are over, and what was kept is unread (rule 4).
    ends_when_resumed_ = any(events, Event::hangup) && !why && paused_ && !closing_ && has_kept();
    if (ends_when_resumed_) return;
    ended_ = true;
    side_ended();
  }
  if (any(events, Event::hangup)) {
    if (why && bytes_go_first_ && paused_ && !closing_) return wait_to_fail(why);
    release();
    report(events, why);
    return;
  }
  update_interest();
  if (closing_) {
    if (queue_.empty()) close_when_sent();
  } else if (on_event_) {
    report(events);
  } else {
    close();
  }
}

/// A write has taken the error out of the kernel, which shows the end of the stream afterwards.
/// That is one only where the peer's had come before: then the error is a broken pipe.
bool StreamCore::shows_an_end_instead() const noexcept {
  return failure_ != 0 && platform::error_code(failure_) != std::errc::broken_pipe;
}

/// settle_failure() reads the bytes, and then it fails.
void StreamCore::wait_to_fail(std::error_code why) noexcept {
  waits_to_fail_ = true;
  watch_.reset();
  outbound_failed(why.value());
}

/// Whether it has come to the end.
bool StreamCore::receive(bool again) {
  if (closing_) return discard(), false;
  if (!reads_ || paused_) return update_interest(), false;
  std::array<std::byte, least_read> few;
  BufferPool::Block block;
  std::span<std::byte> into{few};
  if (kept_) {
    if (make_room_to_keep(short_write))
      into = {kept_->memory.get() + kept_->end, kept_->room - kept_->end};
    else
      return fail(no_memory()), false;
  } else if ((block = service().read_blocks().take())) {
    into = {block.get(), service().read_blocks().block_size()};
  }
  const platform::Moved moved = platform::read_some(handle_.get(), kind_, into, service().calls());
  if (moved.error != 0) return fail(platform::error_code(moved.error)), false;
  if (moved.bytes != 0) bytes_moved();
  if (kept_) {
    kept_->end += moved.bytes;
    if (moved.bytes != 0 || again)
      deliver_data({kept_->memory.get() + kept_->begin, kept_->end - kept_->begin});
  } else if (moved.bytes != 0) {
    deliver_data({into.data(), moved.bytes});
  }
  if (block) service().read_blocks().give_back(std::move(block));
  return moved.bytes == 0 && !moved.would_block;
}

/// What a stream that is being closed still gets.
void StreamCore::discard() noexcept {
  std::array<std::byte, 4096> nobodys;
  const platform::Moved moved =
      platform::read_some(handle_.get(), kind_, nobodys, service().calls());
  if (moved.error != 0) release_quietly();
}

void StreamCore::deliver_data(Bytes bytes) {
  struct Forgets {
    std::unique_ptr<Kept>& kept;
    bool armed = true;
    ~Forgets() {
      if (armed) kept.reset();
    }
  } counts_as_read{kept_};  // also if the handler throws
  StreamDelivery delivery{bytes, bytes.size()};
  {
    Calling calling{*this, &delivery};
    const StreamCall<Bytes> call{calling.stream(), bytes};
    on_data_.call(&call);
  }
  const Bytes rest = bytes.subspan(delivery.read);
  if (rest.empty() || over_ || closing_ || orphan_) return;
  if (rest.size() >= options().read_limit)
    return fail(system_error_code(std::errc::no_buffer_space));
  counts_as_read.armed = false;
  if (!keep_rest(rest)) fail(no_memory());
}

bool StreamCore::keep_rest(Bytes rest) noexcept {
  if (kept_) {
    kept_->begin = kept_->end - rest.size();
    return true;
  }
  if (!make_room_to_keep(rest.size())) return false;
  std::memcpy(kept_->memory.get(), rest.data(), rest.size());
  kept_->end = rest.size();
  return true;
}

/// Room behind what is kept. What is kept may move.
bool StreamCore::make_room_to_keep(std::size_t bytes) noexcept {
  if (!kept_) kept_.reset(new (std::nothrow) Kept);
  if (!kept_) return false;
  const std::size_t size = kept_->end - kept_->begin;
  if (kept_->room - kept_->end >= bytes) return true;
  if (kept_->room < size + bytes) {
    const std::size_t room = std::max(size + bytes, 2 * size);
    std::unique_ptr<std::byte[]> memory{new (std::nothrow) std::byte[room]};
    if (!memory) return false;
    if (size != 0) std::memcpy(memory.get(), kept_->memory.get() + kept_->begin, size);
    kept_->memory = std::move(memory);
    kept_->room = room;
  } else {
    std::memmove(kept_->memory.get(), kept_->memory.get() + kept_->begin, size);
  }
  kept_->begin = 0;
  kept_->end = size;
  return true;
}

void StreamCore::pause() noexcept {
  paused_ = true;
  if (!over_) update_interest();
}

void StreamCore::resume() noexcept {
  if (!std::exchange(paused_, false) || over_) return;
  update_interest();
  if (kept_) kept_due_ = true;
  if (kept_ || waits_to_fail_ || ends_when_resumed_) make_due();
}

Bytes StreamCore::read(std::size_t most) noexcept {
  StreamService::Call& call = service().call();
  if (call.core == this && call.delivery != nullptr) {
    StreamDelivery& delivery = *call.delivery;
    if (!std::exchange(delivery.counts, true)) delivery.read = 0;
    const Bytes taken = delivery.bytes.subspan(
        delivery.read, std::min(most, delivery.bytes.size() - delivery.read));
    delivery.read += taken.size();
    return taken;
  }
  if ((!paused_ && !ended_) || closing_) return {};
  const std::size_t there = kept_ ? kept_->end - kept_->begin : 0;
  if (there < most && !over_ && !ended_) {
    const std::size_t wanted = std::min(most - there, service().read_blocks().block_size());
    if (!make_room_to_keep(wanted)) return {};
    const platform::Moved moved = platform::read_some(
        handle_.get(), kind_, {kept_->memory.get() + kept_->end, wanted}, service().calls());
    kept_->end += moved.bytes;
    if (moved.bytes != 0) bytes_moved();
    if (moved.error != 0) outbound_failed(moved.error);
  }
  if (!kept_) return {};
  const Bytes taken{kept_->memory.get() + kept_->begin, std::min(most, kept_->end - kept_->begin)};
  kept_->begin += taken.size();
  ask_for_turn();  // which takes the memory back
  return taken;
}

void StreamCore::keep(std::size_t bytes) noexcept {
  StreamService::Call& call = service().call();
  if (call.core != this || call.delivery == nullptr) return;
  call.delivery->counts = true;
  call.delivery->read = call.delivery->bytes.size() - std::min(bytes, call.delivery->bytes.size());
}

// Writing.

bool StreamCore::may_write(std::size_t bytes, std::error_code& error) const noexcept {
  error = {};
  if (service().reactor() == nullptr) {
    error = Errc::reactor_closed;
  } else if (over_ || closing_) {
    error = Errc::stream_closed;
  } else if (wants_shutdown_) {
    error = system_error_code(std::errc::broken_pipe);
  } else if (bytes > options().write_limit - queue_.size()) {
    error = system_error_code(std::errc::no_buffer_space);
  }
  return !error;
}

bool StreamCore::write(std::span<const Bytes> pieces, std::error_code& error) noexcept {
  std::size_t size = 0;
  for (const Bytes piece : pieces) size += piece.size();
  if (!may_write(size, error)) return false;
  if (size == 0 || write_failed_) return !above_;
  WriteQueue::Room room{service().write_blocks()};
  if (!queue_.reserve(size, room)) {
    error = no_memory();
    return false;
  }
  std::size_t sent = 0;
  if (queue_.empty() && !blocked_ && size >= short_write) sent = send(pieces).bytes;
  for (const Bytes piece : pieces) {
    const std::size_t gone = std::min(sent, piece.size());
    sent -= gone;
    if (gone < piece.size()) queue_.append(piece.subspan(gone), room);
  }
  return after_write();
}

bool StreamCore::write(std::string&& text, std::error_code& error) noexcept {
  if (text.size() < short_write) {
    const Bytes bytes = as_bytes(text);
    return write({&bytes, 1}, error);
  }
  if (!may_write(text.size(), error)) return false;
  if (write_failed_) return !above_;
  if (!queue_.append(std::move(text))) {
    error = no_memory();
    return false;
  }
  if (!blocked_) flush();
  return after_write();
}

/// What was written waits now, as far as it was not sent.
bool StreamCore::after_write() noexcept {
  if (write_failed_) queue_.clear(service().write_blocks());
  if (!queue_.empty() && !blocked_) {
    if (queue_.size() >= much_gathered) {
      flush();
    } else if (!calling_) {
      ask_for_turn();
    }
  }
  above_ |= queue_.size() > options().write_high_water;
  if (blocked_) update_interest();
  return !above_;
}

/// What the kernel does not take at once makes the stream wait for room.
platform::Moved StreamCore::send(std::span<const Bytes> pieces) noexcept {
  std::size_t size = 0;
  for (const Bytes piece : pieces.first(std::min(pieces.size(), platform::most_pieces)))
    size += piece.size();
  const platform::Moved moved =
      platform::write_some(handle_.get(), kind_, pieces, service().calls());
  if (moved.bytes != 0) bytes_moved();
  if (moved.error != 0) {
    outbound_failed(moved.error);
  } else {
    blocked_ = moved.bytes < size;
  }
  return moved;
}

void StreamCore::flush() noexcept {
  std::array<Bytes, platform::most_pieces> pieces;
  while (!queue_.empty() && !blocked_) {
    const std::size_t count = queue_.first(pieces);
    queue_.remove(send({pieces.data(), count}).bytes, service().write_blocks());
  }
  if (above_ && queue_.size() <= options().write_low_water) {
    above_ = false;
    drained_ = true;
    make_due();
  }
  if (queue_.empty()) all_sent();
  if (!over_) update_interest();
}

void StreamCore::all_sent() noexcept {
  if (write_failed_) return;
  if (wants_shutdown_ && !shut_down_) end_outbound();
  if (closing_ && !over_) close_when_sent();
}

/// The connection has failed, but bytes that came before may still be there to be read: the watch
/// reports its end, or else settle_failure() does.
void StreamCore::outbound_failed(int error) noexcept {
  failure_ = error;
  write_failed_ = true;
  blocked_ = false;
  queue_.clear(service().write_blocks());
  make_due();
}

void StreamCore::shutdown_write() noexcept {
  if (over_ || closing_ || std::exchange(wants_shutdown_, true)) return;
  if (queue_.empty()) end_outbound();
}

/// False for what has not been connected yet.
bool StreamCore::end_outbound() noexcept {
  if (over_ || std::exchange(shut_down_, true)) return true;
  side_ended();
  if (kind_ == StreamKind::pipe_writer) release_quietly();
  if (kind_ != StreamKind::socket) return true;
  std::error_code failed;  // otherwise the connection has, and the watch says so
  watch_.shutdown(Shutdown::write, failed);
  return failed != std::errc::not_connected;
}

// The end.

void StreamCore::close() noexcept {
  if (over_ || std::exchange(closing_, true)) return;
  if (!calling_) kept_.reset();  // its handler still has it otherwise
  // Who is paused has to find the peer's end now.
  if (!write_failed_ && queue_.empty()) return close_when_sent();
  std::error_code error = service().reactor() != nullptr ? std::error_code{} : Errc::reactor_closed;
  if (!error && !closes_in_time()) error = no_memory();
  if (error || write_failed_) return release_quietly();
  if (!blocked_) ask_for_turn();
  update_interest();
}

/// A close that leaves bytes unread is a reset, which may take away what the peer has not read yet:
/// so the peer's end comes first.
void StreamCore::close_when_sent() noexcept {
  if (resets_) return;  // when it has arrived
  if (ended_ || ends_when_resumed_ || kind_ != StreamKind::socket || !closes_in_time() ||
      !end_outbound())
    return release_quietly();
  update_interest();
}

bool StreamCore::closes_in_time() noexcept {
  return (extras_ && extras_->closing) || make_closing_timer(options().close_timeout);
}

bool StreamCore::make_closing_timer(std::chrono::nanoseconds delay) noexcept {
  Reactor* const reactor = service().reactor();
  if (reactor == nullptr) return false;
  std::error_code error;
  report_memory(error, [&] {
    extras().closing = reactor->after(delay, [this] { closing_timer_fired(); });
    return true;
  });
  return !error;
}

void StreamCore::closing_timer_fired() {
  const Hold hold{*this};
  if (resets_) return reset_when_acknowledged();
  if (!queue_.empty()) platform::reset_on_close(handle_.get(), service().calls());
  release();
  report(Event::hangup);
}

void StreamCore::abort_when_sent() noexcept {
  if (over_) return;
  if (kind_ != StreamKind::socket) return close();  // it has no reset, but what was written is sent
  // Where there is no timer, nothing can be waited for.
  if (write_failed_ || !make_closing_timer(first_question)) {
    platform::reset_on_close(handle_.get(), service().calls());
    return release_quietly();
  }
  if (!calling_) kept_.reset();  // its handler still has it otherwise
  closing_ = true;
  resets_ = true;
  extras_->give_up_at = later(service().reactor()->turn_time(), options().close_timeout);
  extras_->unacknowledged = std::numeric_limits<std::size_t>::max();
  if (!blocked_) ask_for_turn();
  update_interest();
}

/// No event says that all has arrived at the peer, and a reset throws away what has not.
void StreamCore::reset_when_acknowledged() noexcept {
  const std::size_t left =
      queue_.size() + platform::unacknowledged(handle_.get(), service().calls());
  const Timer::time_point now = service().reactor()->turn_time();
  if (left < extras_->unacknowledged) {
    extras_->unacknowledged = left;
    extras_->give_up_at = later(now, options().close_timeout);
  }
  if (left == 0 || now >= extras_->give_up_at) {
    platform::reset_on_close(handle_.get(), service().calls());
    release();
    hangup_due_ = true;
    return make_due();
  }
  std::error_code ignored;
  extras_->closing.restart(extras_->ask_after, ignored);
  extras_->ask_after = std::min(2 * extras_->ask_after, last_question);
}

void StreamCore::abort() noexcept {
  orphan_ = true;  // nothing more is delivered, nor a hangup that is due
  if (over_) return calling_ ? void() : forget_handlers();
  platform::reset_on_close(handle_.get(), service().calls());
  release();
}

void StreamCore::orphan() noexcept {
  orphan_ = true;
  close();
  if (!calling_) forget_handlers();
  let_go();
}

void StreamCore::reactor_closed() noexcept {
  orphan_ = true;  // nobody is called
  release();
  forget_handlers();
}

void StreamCore::let_go() noexcept {
  const Hold hold{Hold::taken_over, *this};
}

/// Closes the descriptor: nothing comes of it any more.
void StreamCore::release() noexcept {
  const Hold hold{*this};
  over_ = true;
  interest_ = Interest::none;
  watch_.reset();
  handle_.reset();
  leave_group();
  queue_.clear(service().write_blocks());
  if (extras_) extras_->idle.reset(), extras_->half_closed.reset(), extras_->closing.reset();
  if (!calling_ && orphan_) forget_handlers();
}

/// The same where no handler may be called: in the next turn.
void StreamCore::release_quietly() noexcept {
  const Hold hold{*this};
  release();
  if (orphan_ || !on_event_ || service().reactor() == nullptr) return;
  hangup_due_ = true;
  make_due();
}

void StreamCore::fail(std::error_code why) {
  release();
  report(Event::error | Event::hangup, why);
}

/// A write has failed. The watch has had a turn to report the end: what it has not reported is
/// that nobody reads what is written (AF_UNIX), or bytes are still to be read. It has another one
/// when these have been read, and the end is behind them.
void StreamCore::settle_failure() {
  if (over_ || (waits_to_fail_ && paused_ && !closing_)) return;
  if (closing_ || paused_ || !reads_ || ended_) return fail(platform::error_code(failure_));
  const std::size_t before = reads_made_;
  const bool at_end = receive(false);
  if (over_) return;
  if (reads_made_ == before && (!at_end || std::exchange(end_awaited_, true)))
    return fail(platform::error_code(failure_));
  make_due();
}

bool StreamCore::deliver_due() {
  due_ = false;
  bool called = false;
  if (std::exchange(hangup_due_, false)) return report(Event::hangup);
  if (over_) return false;
  if (drained_) called = deliver_drained();
  called |= deliver_kept();
  if (ends_when_resumed_ && !paused_ && !over_) {
    handle_ends(StreamEvent{Event::end_of_stream | Event::hangup});
    called = true;
  }
  if (write_failed_ && !over_) {
    settle_failure();
    called = true;
  }
  if (!queue_.empty() && !blocked_ && !over_) flush();
  return called;
}

/// What was kept, if it is due.
bool StreamCore::deliver_kept() {
  if (!std::exchange(kept_due_, false) || !kept_ || paused_ || over_) return false;
  receive(true);
  return true;
}

bool StreamCore::deliver_drained() {
  drained_ = false;
  if (closing_ || orphan_ || !extras_ || !extras_->on_drained) return false;
  Calling calling{*this};
  const StreamCall<void> call{calling.stream()};
  extras_->on_drained.call(&call);
  return true;
}

void StreamCore::prepare() noexcept {
  if (over_) return;
  if (!queue_.empty() && !blocked_) flush();
  if (kept_ && kept_->begin == kept_->end) kept_.reset();
}

bool StreamCore::report(Event events, std::error_code why) {
  if (closing_) {
    events = events & Event::hangup;
    why = {};
  }
  if (orphan_ || !on_event_ || events == Event::none) {
    if (over_ && !calling_) forget_handlers();
    return false;
  }
  const StreamEvent event{events, why};
  Calling calling{*this};
  const StreamCall<StreamEvent> call{calling.stream(), event};
  on_event_.call(&call);
  return true;
}

void StreamCore::forget_handlers() noexcept {
  const Hold hold{*this};
  kept_.reset();
  // Their captures may ask anything of the stream on their way out.
  const AnyHandler data = std::move(on_data_);
  const AnyHandler event = std::move(on_event_);
  const AnyHandler drained = extras_ ? std::move(extras_->on_drained) : AnyHandler{};
}

// What the kernel is asked for, and when.

Interest StreamCore::wanted_interest() const noexcept {
  Interest wanted = Interest::none;
  const bool reads = closing_ || (reads_ && !paused_);
  if (reads && !ended_ && kind_ != StreamKind::pipe_writer) wanted |= Interest::readable;
  if (blocked_ && !queue_.empty()) wanted |= Interest::writable;
  if (options().peer_closed && !closing_) wanted |= Interest::peer_closed;
  return wanted;
}

void StreamCore::update_interest() noexcept {
  const Interest wanted = wanted_interest();
  if (wanted == interest_ || over_ || waits_to_fail_ || ends_when_resumed_) return;
  std::error_code error;
  watch_.set_interest(wanted, error);
  if (!error) interest_ = wanted;
  if (error && service().reactor() != nullptr) outbound_failed(error.value());
}

StreamCore::Extras& StreamCore::extras() {
  if (!extras_) extras_ = std::make_unique<Extras>();
  return *extras_;
}

std::error_code StreamCore::make_deadlines() noexcept {
  std::error_code error;
  const auto make = [&](Timer Extras::*timer, std::chrono::nanoseconds timeout) {
    if (timeout.count() == 0) return;
    report_memory(error, [&] {
      extras().*timer = service().reactor()->timer([this] { timed_out(); });
      return true;
    });
  };
  make(&Extras::idle, options().idle_timeout);
  make(&Extras::half_closed, options().half_closed_timeout);
  bytes_moved();
  return error;
}

void StreamCore::bytes_moved() noexcept {
  ++reads_made_;
  if (!extras_ || !extras_->idle) return;
  std::error_code ignored;
  extras_->idle.restart_at(later(service().reactor()->turn_time(), options().idle_timeout),
                           ignored);
}

void StreamCore::side_ended() noexcept {
  if (!extras_ || !extras_->half_closed || extras_->half_closed.armed()) return;
  std::error_code ignored;
  extras_->half_closed.restart(options().half_closed_timeout, ignored);
}

void StreamCore::timed_out() {
  const Hold hold{*this};
  if (over_) return;
  platform::reset_on_close(handle_.get(), service().calls());
  fail(system_error_code(std::errc::timed_out));
}

}  // namespace pollux::detail

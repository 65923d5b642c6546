// SPDX-License-Identifier: MIT
// A datagram socket: from what its watch reports to its handlers, and from what is sent to the
// kernel.
#include "streams/datagram_core.hpp"

#include <new>
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"

namespace pollux::detail {

namespace {

using namespace std::chrono_literals;
using platform::Exchanged;

/// How many messages, and errors, are delivered before anybody else's handler is called.
constexpr int most_at_once = 64;
/// What is refused for want of memory is tried again.
constexpr std::chrono::nanoseconds without_memory = 10ms;

bool is_want_of_memory(int error) noexcept {
  const std::error_code code = platform::error_code(error);
  return code == std::errc::not_enough_memory || code == std::errc::no_buffer_space;
}

}  // namespace

/// Afterwards the handlers of a socket that is closed are forgotten.
class DatagramCore::Calling {
 public:
  explicit Calling(DatagramCore& core) noexcept : core_{core} {
    datagram_.core_ = &core;
    core.lent_ = &datagram_;
    core.flags_.calling = true;
  }
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;
  ~Calling() {
    core_.flags_.calling = false;
    // Not if the handler has moved another one into it: that one ends here.
    if (core_.lent_ == &datagram_) datagram_.core_ = nullptr;
    core_.lent_ = nullptr;
    if (core_.flags_.closed) core_.forget_handlers();
  }
  Datagram& datagram() noexcept { return datagram_; }

 private:
  DatagramCore& core_;
  Datagram datagram_;
};

/// While messages of a batch are delivered, which stays until the last handler has returned. What
/// is left of it, since a handler has paused or thrown, stays for later.
class DatagramCore::Delivering {
 public:
  explicit Delivering(DatagramCore& core) noexcept : core_{core} { core.flags_.delivering = true; }
  Delivering(const Delivering&) = delete;
  Delivering& operator=(const Delivering&) = delete;
  ~Delivering() {
    core_.flags_.delivering = false;
    if (!core_.is_open() || !core_.batch_.has_next())
      core_.batch_.drop(core_.service_.read_blocks());
  }

 private:
  DatagramCore& core_;
};

/// What handlers leave to be done is done in the next turn, if one has thrown.
class DatagramCore::Settling {
 public:
  explicit Settling(DatagramCore& core) noexcept : core_{core} {}
  Settling(const Settling&) = delete;
  Settling& operator=(const Settling&) = delete;
  ~Settling() {
    if (!settled_) core_.make_due();
  }
  void settle() {
    core_.settle();
    settled_ = true;
  }

 private:
  DatagramCore& core_;
  bool settled_ = false;
};

DatagramCore* DatagramCore::take_from(Datagram& datagram) noexcept {
  DatagramCore* const core = std::exchange(datagram.core_, nullptr);
  if (core == nullptr || core->lent_ != &datagram) return core;
  core->lent_ = nullptr;
  return nullptr;
}

void DatagramCore::orphan() noexcept {
  const Hold hold{Hold::taken_over, *this};
  close();
}

// Its beginning and its end.

DatagramCore* DatagramCore::make(Reactor& reactor, const Address& local, Address::Family family,
                                 const DatagramOptions& options, std::error_code& error) noexcept {
  error.clear();
  StreamService* const service = StreamService::of(reactor, error);
  if (service == nullptr) return nullptr;
  if (options.message_limit == 0 || options.message_limit > service->read_blocks().block_size()) {
    error = system_error_code(std::errc::invalid_argument);
    return nullptr;
  }
  DatagramCore* const core =
      report_memory(error, [&] { return new DatagramCore(*service, options); });
  if (core == nullptr) return nullptr;
  Hold hold{*core};
  error = core->start(local, family);
  if (error) return nullptr;
  hold.leave();  // the owner's
  return core;
}

std::error_code DatagramCore::start(const Address& local, Address::Family family) noexcept {
  const platform::Opened opened =
      platform::open_datagram(local, family, options_.reuse_port, calls());
  if (opened.error != 0) return platform::error_code(opened.error);
  handle_.reset(opened.handle);
  family_ = local.family() != Address::Family::none ? local.family() : family;
  sender_.use(handle_.get(), family_);
  std::error_code error;
  Reactor& reactor = *service_.reactor();
  timer_ = reactor.timer(Handler<Timer>{[this] { handle_due(); }}, error);
  if (error) return error;
  watch_ = reactor.watch(
      handle_.get(), Interest::none,
      Handler<Readiness>{[hold = Hold{*this}](Readiness readiness) { hold->handle(readiness); }},
      error);
  return error;
}

DatagramCore::~DatagramCore() {
  release();
}

void DatagramCore::close() noexcept {
  if (flags_.closed) return;
  if (!sender_.is_full()) sender_.flush();
  const Hold hold{*this};
  release();
  if (!flags_.calling) forget_handlers();
}

void DatagramCore::release() noexcept {
  if (std::exchange(flags_.closed, true)) return;
  watch_.reset();
  timer_.reset();
  const Address name = family_ == Address::Family::unix_name ? address() : Address{};
  handle_.reset();
  // A child that was forked may go before its parent.
  if (service_.owns(made_in_)) platform::remove_name(name, calls());
  sender_.queue().clear(service_.write_blocks());
  if (!flags_.delivering) batch_.drop(service_.read_blocks());
}

void DatagramCore::forget_handlers() noexcept {
  const Hold hold{*this};
  // Their captures may ask anything of the socket on their way out.
  const AnyHandler message = std::move(on_message_);
  const AnyHandler error = std::move(on_error_);
  const AnyHandler drained = std::move(on_drained_);
}

void DatagramCore::connect(const Address& peer, std::error_code& error) noexcept {
  error.clear();
  if (service_.reactor() == nullptr) {
    error = Errc::reactor_closed;
  } else if (flags_.closed) {
    error = system_error_code(std::errc::bad_file_descriptor);
  } else if (peer.family() == Address::Family::none) {
    error = system_error_code(std::errc::invalid_argument);
  } else if (const int failed = platform::connect_datagram(handle_.get(), peer, calls())) {
    error = platform::error_code(failed);
  } else {
    sender_.set_peer(peer);
  }
}

void DatagramCore::on_message(AnyHandler&& handler) noexcept {
  if (!is_open()) return;
  on_message_ = std::move(handler);
  if (batch_.has_next() && wants_messages()) make_due();
  update_interest();
}

void DatagramCore::on_error(AnyHandler&& handler) noexcept {
  if (!is_open()) return;
  on_error_ = std::move(handler);
  const bool wanted = static_cast<bool>(on_error_);
  sender_.note_failures(wanted);
  if (wanted != flags_.keeps_errors)
    flags_.keeps_errors = platform::keep_errors(handle_.get(), family_, wanted, calls());
  update_interest();
}

// What the watch and the timer report.

void DatagramCore::handle(Readiness readiness) {
  const Hold hold{*this};
  Settling settling{*this};
  // First, since an error that is pending takes the place of a message.
  if (readiness.error()) deliver_errors();
  if (readiness.readable() && wants_messages()) receive();
  if (readiness.writable() && sender_.is_blocked()) sender_.try_again();
  settling.settle();
}

/// In the next turn, or later.
void DatagramCore::handle_due() {
  const Hold hold{*this};
  Settling settling{*this};
  flags_.starved = false;
  if (batch_.has_next()) deliver_batch();
  if (sender_.is_held()) sender_.try_again();
  settling.settle();
}

/// What the handlers have left to be done.
void DatagramCore::settle() {
  if (!is_open()) return;
  if (!sender_.is_full()) sender_.flush();
  if (flags_.errors_due || sender_.has_errors()) deliver_errors();
  if (is_open() && sender_.take_drained() && on_drained_) {
    Calling calling{*this};
    const DatagramCall<void> call{calling.datagram()};
    on_drained_.call(&call);
  }
  after_sending();
}

void DatagramCore::receive() {
  if (batch_.has_next() && !deliver_batch()) return;
  for (int left = most_at_once; left > 0 && wants_messages();) {
    if (!batch_.make_room(options_.message_limit, service_.read_blocks())) {
      flags_.starved = true;
      return make_due(without_memory);
    }
    const std::size_t room = batch_.slots().size();
    const Exchanged received = platform::receive_messages(handle_.get(), batch_.slots(), calls());
    batch_.came(received.count);
    if (received.error != 0 && is_want_of_memory(received.error)) {
      flags_.starved = true;
      make_due(without_memory);
    } else if (received.error != 0) {
      taken_error_ = received.error;
      flags_.errors_due = true;
    }
    left -= static_cast<int>(received.count);
    if (!deliver_batch() || received.count < room) return;
  }
}

/// Whether all of it has been, and more may be.
bool DatagramCore::deliver_batch() {
  const Delivering delivering{*this};
  while (batch_.has_next()) {
    if (!wants_messages()) return false;
    const Message message = batch_.take_next();
    Calling calling{*this};
    const DatagramCall<Message> call{calling.datagram(), message};
    on_message_.call(&call);
  }
  return is_open();
}

void DatagramCore::pause() noexcept {
  flags_.paused = true;
  if (is_open()) update_interest();
}

void DatagramCore::resume() noexcept {
  if (!std::exchange(flags_.paused, false) || !is_open()) return;
  if (batch_.has_next() && !flags_.delivering) make_due();
  update_interest();
}

// Errors.

/// All that the kernel has to say, so that the bit which reports it goes down. Where it keeps no
/// errors it has one at most, which Winsock leaves there for whoever asks again. A number without
/// an address, which a call of ours has taken, is said only if nothing better is.
void DatagramCore::deliver_errors() {
  flags_.errors_due = true;  // if a handler throws
  bool found = false;
  bool all = false;
  DatagramError error;
  for (int left = most_at_once; left > 0 && !all && is_open(); --left) {
    all = !platform::next_error(handle_.get(), flags_.keeps_errors, error, calls());
    if (all) break;
    all = !flags_.keeps_errors;
    if (error.origin == DatagramError::Origin::local) {
      sender_.queue().note_mtu(error, sender_.peer());  // of one that has failed
    } else {
      found = true;
      report(error);
    }
  }
  if (!all) return make_due();
  flags_.errors_due = false;
  const int of_send = sender_.take_earlier_error();
  const int taken = std::exchange(taken_error_, 0);
  if (!flags_.keeps_errors) {  // each is one that nothing else says
    report_number(of_send);
    report_number(taken);
  } else if (!found) {
    report_number(taken != 0 ? taken : of_send);
  }
  if (!sender_.queue().has_failed()) return;
  MessageQueue::Failures failures{sender_.queue(), service_.write_blocks()};
  while (is_open() && failures.next(error, sender_.peer())) report(error);
}

void DatagramCore::report_number(int number) {
  DatagramError error;
  error.code = platform::error_code(number);
  if (error.code) report(error);
}

void DatagramCore::report(const DatagramError& error) {
  if (!is_open() || !on_error_) return;
  DatagramError said = error;
  if (said.peer.family() == Address::Family::none) said.peer = sender_.peer();
  Calling calling{*this};
  const DatagramCall<DatagramError> call{calling.datagram(), said};
  on_error_.call(&call);
}

// Sending.

bool DatagramCore::may_send(const Address* to, std::error_code& error) const noexcept {
  error.clear();
  const Address& peer = to != nullptr ? *to : sender_.peer();
  if (service_.reactor() == nullptr) {
    error = Errc::reactor_closed;
  } else if (flags_.closed) {
    error = system_error_code(std::errc::bad_file_descriptor);
  } else if (peer.family() == Address::Family::none) {
    error = system_error_code(std::errc::destination_address_required);
  }
  return !error;
}

bool DatagramCore::send(Bytes bytes, const Address* to, std::error_code& error) noexcept {
  if (!may_send(to, error)) return false;
  platform::OutgoingMessage message{bytes};
  if (to != nullptr) message = {bytes, to->data(), to->size()};
  // What on_message() sends goes when it has seen the batch.
  const bool has_room = sender_.send(message, flags_.delivering, error);
  if (!flags_.calling) after_sending();
  return has_room;
}

/// Where no handler may be called.
void DatagramCore::after_sending() noexcept {
  if (!is_open()) return;
  if (sender_.has_errors()) make_due();
  if (sender_.is_held()) make_due(sender_.next_try());
  update_interest();
}

// What the kernel is asked for, and when.

Interest DatagramCore::wanted_interest() const noexcept {
  Interest wanted = Interest::none;
  if (wants_messages() && !flags_.starved && !batch_.has_next()) wanted |= Interest::readable;
  if (sender_.is_blocked()) wanted |= Interest::writable;
  // An error wakes a watch for whichever interest it has. This one has nothing else to report.
  if (wanted == Interest::none && on_error_ && !flags_.no_priority) wanted = Interest::priority;
  return wanted;
}

void DatagramCore::update_interest() noexcept {
  if (!is_open()) return;
  Interest wanted = wanted_interest();
  if (wanted == interest_) return;
  std::error_code error;
  watch_.set_interest(wanted, error);
  if (wanted == Interest::priority && error == std::errc::operation_not_supported) {
    flags_.no_priority = true;
    wanted = Interest::none;
    watch_.set_interest(wanted, error);
  }
  if (error) return make_due(without_memory);  // and again
  interest_ = wanted;
}

void DatagramCore::make_due(std::chrono::nanoseconds delay) noexcept {
  if (!is_open()) return;
  const auto deadline = loop_->from_now(delay);
  if (timer_.deadline() <= deadline) return;
  std::error_code ignored;  // it needs no memory
  timer_.restart_at(deadline, ignored);
}

}  // namespace pollux::detail

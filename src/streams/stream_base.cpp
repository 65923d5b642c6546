// SPDX-License-Identifier: MIT
#include "streams/stream_base.hpp"

#include <utility>

#include <pollux/backend_support.hpp>

#include "streams/stream_core.hpp"

namespace pollux::detail {

/// What few streams have.
struct StreamBase::Extras {
  AnyHandler on_drained;
  StreamDeadlines deadlines;
};

/// While a handler is called. Afterwards the handlers of a stream that has ended are forgotten.
class StreamBase::Calling {
 public:
  explicit Calling(StreamBase& base, StreamDelivery* delivery = nullptr) noexcept
      : core_{base.core()}, delivery_{delivery} {
    lent_.core_ = &core_;
    core_.calling_ = true;
    core_.service().call() = {&lent_, &core_, delivery, &replaced_};
  }
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;
  ~Calling() {
    core_.calling_ = false;
    // Not if the handler has moved another stream into it: that one ends here.
    if (core_.service().call().lent == &lent_) lent_.core_ = nullptr;
    core_.service().call() = {};
    if (core_.over_ || core_.orphan_) {
      core_.forget_handlers();
      return;
    }
    if (replaced_.data) {
      core_.on_data(std::move(*replaced_.data));
      if (delivery_ != nullptr) delivery_->replaced = true;
    }
    if (replaced_.event) core_.on_event(std::move(*replaced_.event));
    if (replaced_.drained) core_.extras_->on_drained = std::move(*replaced_.drained);
  }
  Stream& stream() noexcept { return lent_; }

 private:
  StreamCore& core_;
  StreamDelivery* const delivery_;
  Stream lent_;
  StreamReplacements replaced_;
};

StreamBase::StreamBase(StreamService& service, UniqueHandle handle,
                       const GroupPointer& group) noexcept
    : handle_{service, std::move(handle), group} {}

StreamBase::~StreamBase() {
  output_.clear(service().write_blocks());
}

StreamDeadlines& StreamBase::deadlines() {
  if (!extras_) extras_ = std::make_unique<Extras>();
  return extras_->deadlines;
}

void StreamBase::side_ended() noexcept {
  if (extras_) extras_->deadlines.side_ended(handle_.options());
}

void StreamBase::stop_closing_timer() noexcept {
  if (extras_) extras_->deadlines.stop_closing();
}

void StreamBase::bytes_moved() noexcept {
  ++input_.reads_made;
  if (extras_ && service().reactor() != nullptr)
    extras_->deadlines.bytes_moved(*service().reactor(), handle_.options());
}

StreamCore& StreamBase::core() noexcept {
  return static_cast<StreamCore&>(*this);
}

// Whom it calls.

void StreamBase::deliver(Bytes bytes, StreamDelivery& delivery) {
  Calling calling{*this, &delivery};
  const StreamCall<Bytes> call{calling.stream(), bytes};
  input_.on_data.call(&call);
}

bool StreamBase::report(Event events, std::error_code why) {
  if (is_closing()) {
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

void StreamBase::on_event(AnyHandler&& handler) noexcept {
  if (StreamReplacements* const later = replacements())
    later->event = std::move(handler);
  else
    on_event_ = std::move(handler);
}

void StreamBase::on_drained(AnyHandler&& handler) {
  if (!extras_) extras_ = std::make_unique<Extras>();
  if (StreamReplacements* const later = replacements())
    later->drained = std::move(handler);
  else
    extras_->on_drained = std::move(handler);
}

bool StreamBase::deliver_drained() {
  drained_ = false;
  if (is_closing() || orphan_ || !extras_ || !extras_->on_drained) return false;
  Calling calling{*this};
  const StreamCall<void> call{calling.stream()};
  extras_->on_drained.call(&call);
  return true;
}

void StreamBase::forget_handlers() noexcept {
  const StreamCore::Hold hold{core()};
  input_.forget();
  // Their captures may ask anything of the stream on their way out.
  const AnyHandler data = std::move(input_.on_data);
  const AnyHandler event = std::move(on_event_);
  const AnyHandler drained = extras_ ? std::move(extras_->on_drained) : AnyHandler{};
}

// Its end.

void StreamBase::release() noexcept {
  const StreamCore::Hold hold{core()};
  over_ = true;
  late_ = Event::none;
  handle_.close();
  output_.clear(service().write_blocks());
  if (extras_) extras_->deadlines = {};
  if (!calling_ && orphan_) forget_handlers();
}

void StreamBase::release_quietly() noexcept {
  const StreamCore::Hold hold{core()};
  release();
  if (orphan_ || !on_event_ || service().reactor() == nullptr) return;
  late_ = Event::hangup;
  make_due();
}

void StreamBase::fail(std::error_code why) {
  if (over_) return;
  release();
  report(Event::error | Event::hangup, why);
}

void StreamBase::outbound_failed(int error) noexcept {
  output_.fail(error, service().write_blocks());
  make_due();
}

// What it asks for.

void StreamBase::update_interest() noexcept {
  if (over_ || waits_to_fail_ || ends_when_resumed_) return;
  Interest wanted = Interest::none;
  if ((is_closing() || input_.reads()) && has_inbound()) wanted |= Interest::readable;
  if (output_.is_blocked() && !output_.empty()) wanted |= Interest::writable;
  if (handle_.options().peer_closed && !is_closing()) wanted |= Interest::peer_closed;
  const std::error_code error = handle_.set_interest(wanted);
  if (error && service().reactor() != nullptr) outbound_failed(error.value());
}

void StreamBase::make_due() noexcept {
  due = true;
  service().add(core());
}

}  // namespace pollux::detail

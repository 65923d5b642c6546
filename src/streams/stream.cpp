// SPDX-License-Identifier: MIT
// The public face of a stream: everything is passed on to its core.
#include <pollux/stream.hpp>

#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "streams/stream_core.hpp"

namespace pollux {

using detail::GroupPointer;
using detail::StreamCore;
using detail::StreamGroup;
using detail::StreamHandle;

namespace {

/// Runs `call` with an error code, and throws what it reports.
template <class Call>
bool throwing(Call call) {
  std::error_code error;
  const bool result = call(error);
  if (error) throw std::system_error{error, "pollux::Stream::write"};
  return result;
}

bool closed(std::error_code& error) noexcept {
  error = Errc::stream_closed;
  return false;
}

}  // namespace

Stream::Stream(Reactor& reactor, UniqueHandle handle, const StreamOptions& options) {
  std::error_code error;
  *this = Stream{reactor, std::move(handle), options, error};
  if (error) throw std::system_error{error, "pollux::Stream"};
}
Stream::Stream(Reactor& reactor, UniqueHandle handle, const StreamOptions& options,
               std::error_code& error) {
  error = StreamGroup::refusal(options);
  if (error) return;
  StreamGroup* const group = report_memory(error, [&]() -> StreamGroup* {
    return options == StreamHandle::default_options ? nullptr : new StreamGroup{options};
  });
  if (!error) *this = StreamCore::make(reactor, handle, GroupPointer{group}, error);
}
Stream::Stream(Stream&& other) noexcept : core_{StreamCore::take_from(other)} {}
Stream& Stream::operator=(Stream&& other) noexcept {
  if (this != &other) {
    StreamCore* const taken = StreamCore::take_from(other);
    if (StreamCore* const before = StreamCore::take_from(*this)) before->orphan();
    core_ = taken;
  }
  return *this;
}
Stream::~Stream() {
  if (StreamCore* const core = StreamCore::take_from(*this)) core->orphan();
}

Stream::operator bool() const noexcept {
  return core_ != nullptr && core_->is_open();
}

void Stream::on_data(StreamHandler<Bytes> handler) {
  if (core_ != nullptr) core_->on_data(std::move(handler));
}
void Stream::on_event(StreamHandler<StreamEvent> handler) {
  if (core_ != nullptr) core_->on_event(std::move(handler));
}
void Stream::on_drained(StreamHandler<void> handler) {
  if (core_ != nullptr) core_->on_drained(std::move(handler));
}

void Stream::pause() noexcept {
  if (core_ != nullptr) core_->pause();
}
void Stream::resume() noexcept {
  if (core_ != nullptr) core_->resume();
}
bool Stream::is_paused() const noexcept {
  return core_ != nullptr && core_->input().paused;
}
Bytes Stream::read(std::size_t most) noexcept {
  return core_ != nullptr ? core_->read(most) : Bytes{};
}
void Stream::keep(std::size_t bytes) noexcept {
  if (core_ != nullptr) core_->keep(bytes);
}

bool Stream::write(Bytes bytes, std::error_code& error) noexcept {
  std::span<const Bytes> one{&bytes, 1};
  return core_ != nullptr ? core_->write(bytes.size(), one, error) : closed(error);
}
bool Stream::write(Bytes bytes) {
  return throwing([&](std::error_code& error) { return write(bytes, error); });
}
bool Stream::write(std::string&& text, std::error_code& error) noexcept {
  return core_ != nullptr ? core_->write(text.size(), std::move(text), error) : closed(error);
}
bool Stream::write(std::string&& text) {
  return throwing([&](std::error_code& error) { return write(std::move(text), error); });
}
bool Stream::write(std::span<const Bytes> pieces, std::error_code& error) noexcept {
  if (core_ == nullptr) return closed(error);
  std::size_t size = 0;
  for (const Bytes piece : pieces) size += piece.size();
  return core_->write(size, pieces, error);
}
bool Stream::write(std::span<const Bytes> pieces) {
  return throwing([&](std::error_code& error) { return write(pieces, error); });
}
std::size_t Stream::unsent() const noexcept {
  return core_ != nullptr ? core_->output().size() : 0;
}

void Stream::shutdown_write() noexcept {
  if (core_ != nullptr) core_->shutdown_write();
}
void Stream::close() noexcept {
  if (core_ != nullptr) core_->close();
}
void Stream::abort() noexcept {
  if (core_ != nullptr) core_->cut_off();
}
void Stream::abort_when_sent() noexcept {
  if (core_ != nullptr) core_->abort_when_sent();
}
void Stream::detach() noexcept {
  if (StreamCore* const core = StreamCore::take_from(*this))
    const StreamCore::Hold last{StreamCore::Hold::taken_over, *core};
}

Address Stream::local_address() const noexcept {
  return core_ != nullptr ? core_->handle().local_address() : Address{};
}
Address Stream::peer_address() const noexcept {
  return core_ != nullptr ? core_->handle().peer_address() : Address{};
}
NativeHandle Stream::native_handle() const noexcept {
  return core_ != nullptr ? core_->handle().get() : no_handle;
}

}  // namespace pollux

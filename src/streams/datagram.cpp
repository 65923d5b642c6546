// SPDX-License-Identifier: MIT
// The public face of a datagram socket: everything is passed on to its core.
#include <pollux/datagram.hpp>

#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "streams/datagram_core.hpp"

namespace pollux {

using detail::DatagramCore;

namespace {

/// Runs `call` with an error code, and throws what it reports.
template <class Call>
auto throwing(const char* what, Call call) {
  std::error_code error;
  const auto result = call(error);
  if (error) throw std::system_error{error, what};
  return result;
}

bool closed(std::error_code& error) noexcept {
  error = system_error_code(std::errc::bad_file_descriptor);
  return false;
}

}  // namespace

Datagram::Datagram(Reactor& reactor, const Address& local, const DatagramOptions& options)
    : core_{throwing("pollux::Datagram", [&](std::error_code& error) {
        return DatagramCore::make(reactor, local, Address::Family::none, options, error);
      })} {}
Datagram::Datagram(Reactor& reactor, const Address& local, const DatagramOptions& options,
                   std::error_code& error)
    : core_{DatagramCore::make(reactor, local, Address::Family::none, options, error)} {}
Datagram::Datagram(Reactor& reactor, Address::Family family, const DatagramOptions& options)
    : core_{throwing("pollux::Datagram", [&](std::error_code& error) {
        return DatagramCore::make(reactor, Address{}, family, options, error);
      })} {}
Datagram::Datagram(Reactor& reactor, Address::Family family, const DatagramOptions& options,
                   std::error_code& error)
    : core_{DatagramCore::make(reactor, Address{}, family, options, error)} {}
Datagram::Datagram(Datagram&& other) noexcept : core_{DatagramCore::take_from(other)} {}
Datagram& Datagram::operator=(Datagram&& other) noexcept {
  if (this != &other) {
    DatagramCore* const taken = DatagramCore::take_from(other);
    if (DatagramCore* const before = DatagramCore::take_from(*this)) before->orphan();
    core_ = taken;
  }
  return *this;
}
Datagram::~Datagram() {
  if (DatagramCore* const core = DatagramCore::take_from(*this)) core->orphan();
}

Datagram::operator bool() const noexcept {
  return core_ != nullptr && core_->is_open();
}

void Datagram::connect(const Address& peer, std::error_code& error) noexcept {
  if (core_ != nullptr) {
    core_->connect(peer, error);
  } else {
    closed(error);
  }
}
void Datagram::connect(const Address& peer) {
  throwing("pollux::Datagram::connect", [&](std::error_code& error) {
    connect(peer, error);
    return true;
  });
}

void Datagram::on_message(DatagramHandler<Message> handler) {
  if (core_ != nullptr) core_->on_message(std::move(handler));
}
void Datagram::on_error(DatagramHandler<DatagramError> handler) {
  if (core_ != nullptr) core_->on_error(std::move(handler));
}
void Datagram::on_drained(DatagramHandler<void> handler) {
  if (core_ != nullptr) core_->on_drained(std::move(handler));
}

void Datagram::pause() noexcept {
  if (core_ != nullptr) core_->pause();
}
void Datagram::resume() noexcept {
  if (core_ != nullptr) core_->resume();
}
bool Datagram::is_paused() const noexcept {
  return core_ != nullptr && core_->is_paused();
}

bool Datagram::send(Bytes bytes, const Address& to, std::error_code& error) noexcept {
  return core_ != nullptr ? core_->send(bytes, &to, error) : closed(error);
}
bool Datagram::send(Bytes bytes, const Address& to) {
  return throwing("pollux::Datagram::send",
                  [&](std::error_code& error) { return send(bytes, to, error); });
}
bool Datagram::send(Bytes bytes, std::error_code& error) noexcept {
  return core_ != nullptr ? core_->send(bytes, nullptr, error) : closed(error);
}
bool Datagram::send(Bytes bytes) {
  return throwing("pollux::Datagram::send",
                  [&](std::error_code& error) { return send(bytes, error); });
}
std::size_t Datagram::unsent() const noexcept {
  return core_ != nullptr ? core_->unsent() : 0;
}

void Datagram::close() noexcept {
  if (core_ != nullptr) core_->close();
}
Address Datagram::address() const noexcept {
  return core_ != nullptr ? core_->address() : Address{};
}
NativeHandle Datagram::native_handle() const noexcept {
  return core_ != nullptr ? core_->native_handle() : no_handle;
}

}  // namespace pollux

// SPDX-License-Identifier: MIT
// What a Listener is inside.
#pragma once

#include <memory>
#include <system_error>

#include <pollux/listener.hpp>
#include <pollux/timer.hpp>
#include <pollux/watch.hpp>

#include "streams/stream_group.hpp"

namespace pollux::detail {

class StreamService;

/// Owned by its Listener, by the handler of its watch, and by whoever calls its handler. Its
/// streams are a group. Loop thread.
class ListenerCore final : public GroupOwner, public std::enable_shared_from_this<ListenerCore> {
 public:
  /// May throw std::bad_alloc.
  ListenerCore(Reactor& reactor, AcceptHandler&& handler, const ListenerOptions& options);
  ListenerCore(const ListenerCore&) = delete;
  ListenerCore& operator=(const ListenerCore&) = delete;
  ~ListenerCore();

  std::error_code listen(const Address& address) noexcept;
  std::error_code start(UniqueHandle socket) noexcept;

  bool is_open() const noexcept { return static_cast<bool>(socket_); }
  Address address() const noexcept { return address_; }
  NativeHandle native_handle() const noexcept { return socket_.get(); }
  std::size_t connections() const noexcept { return group_->open; }
  ListenerStats stats() const noexcept { return stats_; }

  void pause() noexcept;
  void resume() noexcept;
  void close() noexcept;

  void stream_closed() noexcept override;

 private:
  class Watching;

  void accept();
  bool accept_one();
  void hand_over(Stream stream, const Address& peer);
  bool make_room() noexcept;
  void wait_for_room() noexcept;
  bool is_full() const noexcept;
  bool accepts() const noexcept;
  void update_interest() noexcept;

  Reactor* reactor_;
  StreamService* service_ = nullptr;
  const ListenerOptions options_;
  AcceptHandler handler_;
  GroupPointer group_;
  Address address_;
  UniqueHandle socket_;
  UniqueHandle spare_;
  /// Who was accepted when there was no memory for a stream, and waits for some.
  UniqueHandle accepted_;
  Address accepted_peer_;
  Watch watch_;
  Timer retry_;
  ListenerStats stats_;
  unsigned made_in_ = 0;  ///< StreamService::generation()
  bool owns_name_ = false;
  bool paused_ = false;
  bool exhausted_ = false;  ///< until retry_, or a stream has ended
  bool calling_ = false;
};

}  // namespace pollux::detail

// SPDX-License-Identifier: MIT
// What a stream has of the system.
#pragma once

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

#include <pollux/stream.hpp>

#include "platform/open_socket.hpp"
#include "platform/splicing.hpp"
#include "platform/stream_io.hpp"
#include "streams/stream_group.hpp"
#include "streams/stream_service.hpp"

namespace pollux::detail {

/// The descriptor of a stream, its watch, and the group in which it counts as open. Loop thread.
class StreamHandle {
 public:
  StreamHandle(StreamService& service, UniqueHandle handle, const GroupPointer& group) noexcept
      : service_{service}, group_{group}, handle_{std::move(handle)} {
    if (group_) ++group_->open;
  }
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;
  ~StreamHandle() { close(); }

  StreamService& service() const noexcept { return *service_; }
  const StreamOptions& options() const noexcept {
    return group_ ? group_->options : default_options;
  }
  NativeHandle get() const noexcept { return handle_.get(); }
  StreamKind kind() const noexcept { return kind_; }

  std::error_code watch(Handler<StreamEvent>&& handler) noexcept;
  /// An error is the watch's: it has ended.
  std::error_code set_interest(Interest wanted) noexcept {
    return wanted == interest_ ? std::error_code{} : change_interest(wanted);
  }
  /// Closes it, once.
  void close() noexcept;
  /// Gives it up: the caller's.
  UniqueHandle give_back() noexcept;

  platform::Moved read(std::span<std::byte> into) const noexcept {
    return platform::read_some(get(), kind_, into, calls());
  }
  platform::Moved write(std::span<const Bytes> pieces) const noexcept {
    return platform::write_some(get(), kind_, pieces, calls());
  }
  bool can_splice_to(const StreamHandle& other) const noexcept {
    return platform::can_splice(get(), kind_, other.get(), other.kind_, calls());
  }
  platform::Moved splice_into(NativeHandle pipe, std::size_t most) const noexcept {
    return platform::splice_in(get(), pipe, most, calls());
  }
  platform::Moved splice_from(NativeHandle pipe, std::size_t bytes) const noexcept {
    return platform::splice_out(pipe, get(), bytes, calls());
  }
  std::error_code shutdown_write() noexcept;
  void reset_on_close() const noexcept { platform::reset_on_close(get(), calls()); }
  std::size_t unacknowledged() const noexcept { return platform::unacknowledged(get(), calls()); }
  Address local_address() const noexcept { return platform::own_address(get(), calls()); }
  Address peer_address() const noexcept { return platform::peer_address(get(), calls()); }

  static const StreamOptions default_options;

 private:
  SystemCalls& calls() const noexcept { return service().calls(); }
  std::error_code change_interest(Interest wanted) noexcept;
  void leave_group() noexcept;

  ServicePointer service_;
  StreamWatch watch_;
  GroupPointer group_;  ///< none: alone, with the defaults
  UniqueHandle handle_;
  StreamKind kind_ = StreamKind::socket;
  Interest interest_ = Interest::none;
};

}  // namespace pollux::detail

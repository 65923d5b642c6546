// SPDX-License-Identifier: MIT
// A registration of pollux/asio.hpp where Asio waits for descriptors.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>
#include <pollux/detail/asio_memory.hpp>
#include <pollux/error.hpp>

#if !defined(ASIO_HAS_POSIX_STREAM_DESCRIPTOR)
#error "On Windows pollux/asio.hpp needs Asio's completion port: without ASIO_DISABLE_IOCP."
#endif

namespace pollux::detail {

/// Where Asio waits with epoll or poll requests of io_uring, its wait_error reports every failure.
/// On kqueue and select() it does not.
#if defined(ASIO_HAS_EPOLL) || defined(ASIO_HAS_IO_URING_AS_DEFAULT)
inline constexpr RawReady asio_reports = RawReady::in | RawReady::out | RawReady::err;
#else
inline constexpr RawReady asio_reports = RawReady::in | RawReady::out;
#endif

/// One registration: up to three waits, each of which Asio completes once. Every outstanding wait
/// holds a share, so that a completion that comes late finds an entry without an owner, and not a
/// dead one.
class AsioEntry {
 public:
  using Queue = std::vector<std::shared_ptr<AsioEntry>>;
  /// What Asio has of a descriptor that was closed first stays in its set.
  static constexpr bool outlives_its_handle = true;

  AsioEntry(::asio::io_context& context, Token token, Queue& reported)
      : descriptor_{context}, token_{token}, reported_{&reported} {}
  AsioEntry(const AsioEntry&) = delete;
  AsioEntry& operator=(const AsioEntry&) = delete;
  ~AsioEntry() { release(); }

  /// Registers `handle` with Asio.
  static std::error_code open(const std::shared_ptr<AsioEntry>& entry, NativeHandle handle,
                              const HandleIdentity& identity) {
    std::error_code error;
    try {
      entry->descriptor_.assign(handle, error);
    } catch (const std::bad_alloc&) {
      return system_error_code(std::errc::not_enough_memory);
    }
    // Asio's category is its own; the number is the system's.
    if (error) return {error.value(), native_category()};
    entry->identity_ = identity;
    // The first wait makes Asio switch the descriptor to non-blocking mode (once, as it remembers).
    // It is not ours to configure: switch it back.
    const int flags = ::fcntl(handle, F_GETFL);
    error = arm(entry, RawInterest::hup);
    if ((flags & O_NONBLOCK) == 0) ::fcntl(handle, F_SETFL, flags);
    return error;
  }

  Token token() const noexcept { return token_; }
  bool active() const noexcept { return reported_ != nullptr; }
  NativeHandle handle() { return descriptor_.native_handle(); }
  const HandleIdentity& identity() const noexcept { return identity_; }

  /// Makes the waits of `entry` that `interest` needs and that are not outstanding. A wait that is
  /// not needed any more stays, and its completion is not reported. Without memory the old interest
  /// holds.
  static std::error_code arm(const std::shared_ptr<AsioEntry>& entry, RawInterest interest) try {
    if (any(interest, RawInterest::in)) arm(entry, Wait::wait_read);
    if (any(interest, RawInterest::out)) arm(entry, Wait::wait_write);
    arm(entry, Wait::wait_error);  // hang-up and error are reported in any case
    entry->interest_ = interest;
    return {};
  } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  }
  static std::error_code arm_again(const std::shared_ptr<AsioEntry>& entry, const HandleRegistry&) {
    return arm(entry, entry->interest_);
  }

  /// What was reported since the last call. Asio reports hang-up, error and exceptional conditions
  /// by one completion, and with the first two completes the other waits as well: then poll() says
  /// what is true. It does not see a condition that the kernel forgets once it has
  /// reported it.
  RawReady take_ready(SystemCalls& calls) noexcept {
    const RawReady reported = std::exchange(ready_, RawReady::none);
    if (!any(reported, RawReady::err)) return reported;
    const RawReady seen = poll_once(handle(), interest_ | RawInterest::pri, calls);
    if (any(seen, RawReady::err | RawReady::hup | RawReady::pri)) return seen;
    return any(interest_, RawInterest::pri) ? seen | RawReady::pri : reported;
  }
  /// Asio does not bring a failure's number along.
  static constexpr int error() noexcept { return 0; }

  /// Nothing is reported from now on.
  void disown() noexcept { reported_ = nullptr; }
  /// Takes the descriptor out of Asio, open as it is.
  void release() {
    if (descriptor_.is_open()) descriptor_.release();
  }

 private:
  using Descriptor = ::asio::posix::basic_stream_descriptor<::asio::io_context::executor_type>;
  using Wait = Descriptor::wait_type;
  using Memory = AsioMemory<192>;  // Asio 1.22 takes 120 to 136

  /// What Asio calls when a wait completes. Asio gives the memory back before it calls or drops it.
  struct Completion {
    std::shared_ptr<AsioEntry> entry;
    Wait wait;

    using allocator_type = AsioAllocator<std::byte, Memory>;
    allocator_type get_allocator() const noexcept {
      return allocator_type{entry->memory_[static_cast<std::size_t>(wait)]};
    }
    void operator()(const std::error_code& error) const { completed(entry, wait, error); }
  };

  static void arm(const std::shared_ptr<AsioEntry>& entry, Wait wait) {
    if (!entry->outstanding_[static_cast<std::size_t>(wait)]) ask(entry, wait);
  }
  static void ask(const std::shared_ptr<AsioEntry>& entry, Wait wait) {
    entry->descriptor_.async_wait(wait, Completion{entry, wait});
    entry->outstanding_[static_cast<std::size_t>(wait)] = true;
  }

  static void completed(const std::shared_ptr<AsioEntry>& entry, Wait wait,
                        const std::error_code& error) noexcept {
    entry->outstanding_[static_cast<std::size_t>(wait)] = false;
    if (!entry->active() || error == ::asio::error::operation_aborted) return;
    RawReady bit = RawReady::err;
    if (!error && wait == Wait::wait_read) bit = RawReady::in;
    if (!error && wait == Wait::wait_write) bit = RawReady::out;
    if (bit == RawReady::in && !any(entry->interest_, RawInterest::in)) return;
    if (bit == RawReady::out && !any(entry->interest_, RawInterest::out)) return;
    if (entry->ready_ == RawReady::none) entry->reported_->push_back(entry);  // there is room
    entry->ready_ |= bit;
  }

  friend class AsioOrphans;

  Descriptor descriptor_;
  Token token_;
  HandleIdentity identity_;
  RawInterest interest_ = RawInterest::none;
  RawReady ready_ = RawReady::none;
  std::array<bool, 3> outstanding_{};
  std::array<Memory, 3> memory_;
  Queue* reported_;                  ///< null once removed
  std::shared_ptr<AsioEntry> next_;  ///< of the orphans
};

}  // namespace pollux::detail

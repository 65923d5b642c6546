// SPDX-License-Identifier: MIT
// A registration of pollux/asio.hpp where Asio waits on a completion port. Asio's own waits for
// readiness would tie the caller's socket to that port, and use a thread that calls select(). So it
// is AFD's poll that is waited for, through a handle of the device that belongs to the context.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include <asio/execution_context.hpp>
#include <asio/io_context.hpp>
#include <asio/windows/overlapped_ptr.hpp>
#include <asio/windows/stream_handle.hpp>

#include <pollux/backend.hpp>
#include <pollux/backend_support.hpp>
#include <pollux/detail/afd_poll.hpp>
#include <pollux/detail/asio_memory.hpp>

namespace pollux::detail {

inline constexpr RawReady asio_reports =
    RawReady::in | RawReady::out | RawReady::rdhup | RawReady::err | RawReady::pri;

/// The device, as one context has it.
class AsioDevice : public ::asio::execution_context::service {
 public:
  using key_type = AsioDevice;
  static inline ::asio::execution_context::id id;

  explicit AsioDevice(::asio::execution_context& context)
      : service{context}, device_{static_cast<::asio::io_context&>(context)} {}

  /// The handle, which is at the context's port; null and an error if there is none to be had.
  HANDLE open(std::error_code& error) {
    if (device_.is_open()) return device_.native_handle();
    const HANDLE handle = afd::open_device(error);
    if (error) return nullptr;
    device_.assign(handle, error);
    if (!error) return handle;
    ::CloseHandle(handle);
    error = {error.value(), native_category()};
    return nullptr;
  }

 private:
  void shutdown() override {
    std::error_code ignored;
    device_.close(ignored);
  }

  ::asio::windows::stream_handle device_;
};

/// One registration. The poll that is pending holds a share: the kernel writes to it until the
/// completion has come.
class AsioEntry {
 public:
  using Queue = std::vector<std::shared_ptr<AsioEntry>>;
  /// Nothing of a socket that was closed stays behind.
  static constexpr bool outlives_its_handle = false;

  AsioEntry(::asio::io_context& context, Token token, Queue& reported)
      : context_{context}, token_{token}, reported_{&reported} {}
  AsioEntry(const AsioEntry&) = delete;
  AsioEntry& operator=(const AsioEntry&) = delete;
  ~AsioEntry() = default;

  static std::error_code open(const std::shared_ptr<AsioEntry>& entry, NativeHandle handle,
                              const HandleIdentity& identity) {
    SystemCalls uncounted;
    std::error_code error;
    entry->base_ = afd::base_socket(handle, uncounted, error);
    if (!error) entry->device_ = ::asio::use_service<AsioDevice>(entry->context_).open(error);
    entry->handle_ = handle;
    entry->identity_ = identity;
    return error;
  }

  Token token() const noexcept { return token_; }
  bool active() const noexcept { return reported_ != nullptr; }
  NativeHandle handle() const noexcept { return handle_; }
  const HandleIdentity& identity() const noexcept { return identity_; }

  /// Has a poll pending that is made for all of `interest`, now or when the one that is pending has
  /// been cancelled. Without memory the old interest holds.
  static std::error_code arm(const std::shared_ptr<AsioEntry>& entry, RawInterest interest) {
    const ULONG wanted = afd::to_native(interest);
    if (entry->armed_ == 0) {
      if (const std::error_code error = begin(entry, wanted)) return error;
    } else if ((wanted & ~entry->armed_) != 0) {
      entry->cancel();
    }
    entry->interest_ = interest;
    return {};
  }
  static std::error_code arm_again(const std::shared_ptr<AsioEntry>& entry,
                                   const HandleRegistry& files) {
    // Closed under its watch: a poll goes by number, which could be another's.
    if (files.was_closed(entry->token_.slot)) return {};
    const std::error_code error = arm(entry, entry->interest_);
    return error == std::errc::not_enough_memory ? error : std::error_code{};
  }

  /// What is true now, of what was reported since the last call: the kernel completes a poll at any
  /// time, and bytes that have been read since may have an end behind them.
  RawReady take_ready(SystemCalls& calls) noexcept {
    is_queued_ = false;
    const RawReady reported = std::exchange(ready_, RawReady::none);
    if (reported == RawReady::none || any(reported, RawReady::err)) return reported;
    const RawReady seen = poll_once(handle_, interest_, calls);
    const bool asks_for_fin = any(interest_, RawInterest::in | RawInterest::rdhup);
    return asks_for_fin ? seen : without(seen, RawReady::rdhup);
  }
  /// The number of the failure that was reported, or 0.
  int error() const noexcept { return error_; }

  /// Nothing is reported from now on.
  void disown() noexcept { reported_ = nullptr; }
  /// Ends the poll.
  void release() noexcept {
    if (armed_ != 0) cancel();
  }

 private:
  using Memory = AsioMemory<256>;

  /// What Asio calls when the poll completes. Asio gives the memory back before it calls or drops
  /// it.
  struct Completion {
    std::shared_ptr<AsioEntry> entry;

    using allocator_type = AsioAllocator<std::byte, Memory>;
    allocator_type get_allocator() const noexcept { return allocator_type{entry->memory_}; }
    void operator()(const std::error_code& error, std::size_t) const { completed(entry, error); }
  };

  static std::error_code begin(const std::shared_ptr<AsioEntry>& entry, ULONG events) try {
    ::asio::windows::overlapped_ptr poll{entry->context_, Completion{entry}};
    const std::error_code error =
        afd::begin_poll(entry->device_, entry->info_, poll.get(), entry->base_, events);
    if (error) return error;
    entry->overlapped_ = poll.release();  // until the completion
    entry->armed_ = events;
    return {};
  } catch (const std::bad_alloc&) {
    return system_error_code(std::errc::not_enough_memory);
  }

  void cancel() noexcept { ::CancelIoEx(device_, overlapped_); }

  static void completed(const std::shared_ptr<AsioEntry>& entry,
                        const std::error_code& error) noexcept {
    entry->armed_ = 0;
    if (!entry->active()) return;
    const bool has_answer = !error && entry->info_.handle_count != 0;
    const ULONG events = has_answer ? entry->info_.polled.events : 0;
    if ((events & afd::local_close) != 0) return;
    // Also of one that was cancelled: the next wait makes it anew.
    if (!std::exchange(entry->is_queued_, true))
      entry->reported_->push_back(entry);  // there is room
    entry->ready_ |= afd::to_raw(events, entry->interest_);
    entry->error_ = events != 0 ? afd::error_of(entry->info_.polled) : 0;
  }

  friend class AsioOrphans;

  ::asio::io_context& context_;
  HANDLE device_ = nullptr;
  OVERLAPPED* overlapped_ = nullptr;
  afd::PollInfo info_{};
  Token token_;
  NativeHandle handle_ = no_handle;
  SOCKET base_ = INVALID_SOCKET;
  HandleIdentity identity_;
  RawInterest interest_ = RawInterest::none;
  RawReady ready_ = RawReady::none;
  int error_ = 0;
  ULONG armed_ = 0;         ///< what the poll that is pending was made for; 0: there is none
  bool is_queued_ = false;  ///< among what was reported
  Memory memory_;
  Queue* reported_;                  ///< null once removed
  std::shared_ptr<AsioEntry> next_;  ///< of the orphans
};

}  // namespace pollux::detail

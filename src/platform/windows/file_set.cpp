// SPDX-License-Identifier: MIT
#include "platform/windows/file_set.hpp"

#include <array>
#include <utility>

#include <pollux/error.hpp>

namespace pollux::detail::platform {

namespace {

/// To cancel one poll of a handle the kernel goes through all of them.
constexpr std::uint32_t polls_a_device = 32;

}  // namespace

FileSet::FileSet(SystemCalls& calls, std::error_code& error) noexcept : calls_{calls} {
  ++calls_;
  port_ = ::CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
  if (port_ == nullptr) error = {static_cast<int>(::GetLastError()), native_category()};
}

FileSet::~FileSet() {
  if (port_ == nullptr) return;
  for (std::uint32_t key = 0; key < entries_.size(); ++key) remove(key);
  while (pending_ != 0) fetch_completions(INFINITE);
  devices_.clear();
  ::CloseHandle(port_);
}

/// On a device of its own and a few others'.
afd::Device& FileSet::device_for(std::uint32_t key, std::error_code& error) {
  const std::size_t index = key / polls_a_device;
  if (index >= devices_.size()) devices_.resize(index + 1);
  if (devices_[index] == nullptr) devices_[index] = std::make_unique<afd::Device>(calls_);
  afd::Device& device = *devices_[index];
  if (!device.is_open()) error = device.open(port_, 0);
  return device;
}

std::error_code FileSet::add(std::uint32_t key, SOCKET base_socket) {
  constexpr std::size_t many = 64;
  if (removed_ > many) fetch_completions(0);
  std::error_code error;
  if (key >= entries_.size()) entries_.resize(std::size_t{key} + 1);
  afd::Device& device = device_for(key, error);
  if (error) return error;
  auto entry = std::make_unique<Entry>(device);
  error = device.begin(*entry, base_socket, afd::local_close);
  if (error) return error;
  ++pending_;
  remove(key);
  entries_[key] = std::move(entry);
  return {};
}

bool FileSet::is_open(std::uint32_t key) const noexcept {
  return key < entries_.size() && entries_[key] != nullptr && entries_[key]->is_pending();
}

void FileSet::remove(std::uint32_t key) noexcept {
  if (key >= entries_.size() || entries_[key] == nullptr) return;
  std::unique_ptr<Entry> entry = std::move(entries_[key]);
  if (entry->is_complete) return;
  if (entry->is_pending()) entry->device.cancel(*entry);
  entry->is_removed = true;
  ++removed_;
  static_cast<void>(entry.release());  // until its completion comes
}

void FileSet::fetch_completions(DWORD timeout_ms) noexcept {
  std::array<OVERLAPPED_ENTRY, 64> fetched;
  ULONG count = 0;
  ++calls_;
  if (::GetQueuedCompletionStatusEx(port_, fetched.data(), fetched.size(), &count, timeout_ms,
                                    FALSE) == 0)
    return;
  for (ULONG i = 0; i < count; ++i) {
    auto* const entry = static_cast<Entry*>(reinterpret_cast<afd::Poll*>(fetched[i].lpOverlapped));
    entry->is_complete = true;
    --pending_;
    if (!entry->is_removed) continue;
    --removed_;
    delete entry;
  }
}

}  // namespace pollux::detail::platform

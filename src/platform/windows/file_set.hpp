// SPDX-License-Identifier: MIT
// Which open sockets some numbers stand for, by polls that nothing but a close ends: on Windows a
// socket has no number of its own to be known by, as a file has on POSIX systems.
#pragma once

#include <cstdint>
#include <memory>
#include <system_error>
#include <vector>

#include <pollux/backend.hpp>
#include <pollux/detail/afd_poll.hpp>

namespace pollux::detail::platform {

/// Loop thread.
class FileSet {
 public:
  /// `error` says why there is none to be had.
  FileSet(SystemCalls& calls, std::error_code& error) noexcept;
  FileSet(const FileSet&) = delete;
  FileSet& operator=(const FileSet&) = delete;
  ~FileSet();

  /// Notes a socket of the device's under `key`, in place of what that stood for. On error nothing
  /// has changed.
  std::error_code add(std::uint32_t key, SOCKET base_socket);
  /// Whether the socket under `key` has not been closed.
  bool is_open(std::uint32_t key) const noexcept;
  void remove(std::uint32_t key) noexcept;

 private:
  struct Entry : afd::Poll {
    explicit Entry(afd::Device& made_by) noexcept : device{made_by} {}
    afd::Device& device;
    bool is_complete = false;  ///< the port has said so: the kernel does not write to it any more
    bool is_removed = false;
  };

  afd::Device& device_for(std::uint32_t key, std::error_code& error);
  void fetch_completions(DWORD timeout_ms) noexcept;

  SystemCalls& calls_;
  HANDLE port_ = nullptr;
  std::vector<std::unique_ptr<afd::Device>> devices_;
  std::vector<std::unique_ptr<Entry>> entries_;  ///< by key
  std::size_t pending_ = 0;                      ///< completions that are to come
  std::size_t removed_ = 0;  ///< entries that are kept only until their completion comes
};

}  // namespace pollux::detail::platform

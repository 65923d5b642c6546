// SPDX-License-Identifier: MIT
// What streams have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <system_error>

#include <pollux/backend_support.hpp>
#include <pollux/stream.hpp>

namespace pollux::detail {

/// Called for each stream of a group that has closed its descriptor. Calls no handler.
class GroupOwner {
 public:
  virtual void stream_closed() noexcept = 0;

 protected:
  ~GroupOwner() = default;
};

/// The options of one stream, or of all that a listener has accepted, and how many of those are
/// open. Loop thread.
class StreamGroup {
 public:
  explicit StreamGroup(const StreamOptions& of_each) : options{of_each} {}

  /// Why there can be no stream with these options.
  static std::error_code refusal(const StreamOptions& options) noexcept {
    const bool make_sense = options.write_low_water <= options.write_high_water &&
                            options.write_high_water <= options.write_limit;
    return make_sense ? std::error_code{} : system_error_code(std::errc::invalid_argument);
  }

  const StreamOptions options;
  std::size_t open = 0;         ///< streams that have a descriptor
  GroupOwner* owner = nullptr;  ///< null: nobody is called

 private:
  friend class GroupPointer;
  std::uint32_t holders_ = 0;
};

/// Holds a group: it lives as long as a stream, or its owner, does.
class GroupPointer {
 public:
  GroupPointer() noexcept = default;
  explicit GroupPointer(StreamGroup* group) noexcept : group_{group} {
    if (group_ != nullptr) ++group_->holders_;
  }
  GroupPointer(const GroupPointer& other) noexcept : GroupPointer{other.group_} {}
  GroupPointer& operator=(const GroupPointer&) = delete;
  ~GroupPointer() {
    if (group_ != nullptr && --group_->holders_ == 0) delete group_;
  }

  StreamGroup* operator->() const noexcept { return group_; }
  explicit operator bool() const noexcept { return group_ != nullptr; }

 private:
  StreamGroup* group_ = nullptr;
};

}  // namespace pollux::detail

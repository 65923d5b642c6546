// SPDX-License-Identifier: MIT
// For backends whose kernel leaves something out: who may be watched, which registration a handle
// has, and a handle to wake a wait with. Applications have no need of it.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <ratio>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <pollux/backend.hpp>
#include <pollux/export.hpp>

namespace pollux {

/// The error code that the kernel would answer with, of native_category(): for a backend that finds
/// by itself what another backend's kernel refuses. Any thread.
POLLUX_EXPORT std::error_code system_error_code(std::errc why) noexcept;

/// Runs `call`. Where there is no memory for it, nothing comes of it but `not_enough_memory`. Any
/// thread.
template <class Call>
auto report_memory(std::error_code& error, Call call) -> decltype(call()) try {
  return call();
} catch (const std::bad_alloc&) {
  error = system_error_code(std::errc::not_enough_memory);
  return decltype(call())();
}

/// Makes a `Made` of `arguments` and an error code; null if that has an error then, as without the
/// memory for it. Any thread.
template <class Made, class... Arguments>
std::unique_ptr<Backend> make_reporting(std::error_code& error, Arguments&&... arguments) {
  error.clear();
  return report_memory(error, [&]() -> std::unique_ptr<Backend> {
    auto made = std::make_unique<Made>(std::forward<Arguments>(arguments)..., error);
    if (error) return nullptr;
    return made;
  });
}

/// A duration as kernels take it: `Spec` is `timespec`, or one of its kin, and clamped to what its
/// seconds hold, which on 32-bit systems may be 68 years. Any thread.
template <class Spec>
constexpr Spec to_timespec(std::chrono::nanoseconds duration) noexcept {
  // The whole seconds below the least duration are beyond it: nothing here is counted back from
  // them.
  std::int64_t seconds = duration.count() / std::nano::den;
  std::int64_t rest = duration.count() % std::nano::den;
  if (rest < 0) {
    --seconds;
    rest += std::nano::den;
  }
  Spec spec{};
  using Seconds = std::numeric_limits<decltype(spec.tv_sec)>;
  spec.tv_sec = static_cast<decltype(spec.tv_sec)>(
      std::clamp<std::int64_t>(seconds, Seconds::min(), Seconds::max()));
  spec.tv_nsec = static_cast<decltype(spec.tv_nsec)>(rest);
  return spec;
}

/// Which open file a descriptor number stands for, as far as fstat(2) knows. Equal identities of
/// one number at two times mean: not closed and reused in between. But Linux gives all eventfds and
/// their like one inode, and all masters of pseudo-terminals; HandleRegistry distinguishes those.
struct HandleIdentity {
  std::uint64_t device = 0;  ///< st_dev
  std::uint64_t inode = 0;   ///< st_ino
  std::uint32_t access = 0;  ///< reading, writing or both: distinguishes the ends of a pipe

  friend constexpr bool operator==(const HandleIdentity&, const HandleIdentity&) = default;
};

/// Who `handle` is, or why it cannot be watched: `bad_file_descriptor` if it is not open,
/// `operation_not_permitted` for what the kernel cannot wait for (regular files, directories, what
/// has no poll method; Linux is asked by epoll_ctl(2)). `calls` counts the system calls. Any
/// thread.
POLLUX_EXPORT HandleIdentity identify(NativeHandle handle, std::error_code& error,
                                      SystemCalls& calls) noexcept;
inline HandleIdentity identify(NativeHandle handle, std::error_code& error) noexcept {
  SystemCalls uncounted;
  return identify(handle, error, uncounted);
}

namespace detail {

/// A table that grows to the highest handle: descriptors are small numbers that are given out
/// again.
class HandleTable {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  std::uint32_t find(NativeHandle handle) const noexcept {
    const auto index = static_cast<std::size_t>(handle);  // a negative one is beyond the table
    return index < handles_ ? numbers_[index] : none;
  }
  void make_room(NativeHandle handle) {
    const auto index = static_cast<std::size_t>(handle);
    if (index < handles_) return;
    numbers_.resize(index + index / 2 + 16, none);
    handles_ = numbers_.size();
  }
  void put(NativeHandle handle, std::uint32_t number) noexcept {
    numbers_[static_cast<std::size_t>(handle)] = number;
  }
  void remove(NativeHandle handle) noexcept { put(handle, none); }
  void clear() noexcept {
    numbers_.clear();
    handles_ = 0;
  }

 private:
  std::vector<std::uint32_t> numbers_;  ///< by handle
  std::size_t handles_ = 0;             ///< how many there is room for
};

/// For handles of which nothing is known: a SOCKET may be any number.
class HandleHash {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  std::uint32_t find(NativeHandle handle) const noexcept {
    const auto found = numbers_.find(handle);
    return found != numbers_.end() ? found->second : none;
  }
  void make_room(NativeHandle handle) { numbers_.try_emplace(handle, none); }
  void put(NativeHandle handle, std::uint32_t number) noexcept {
    const auto found = numbers_.find(handle);
    if (found != numbers_.end()) found->second = number;
  }
  void remove(NativeHandle handle) noexcept { numbers_.erase(handle); }
  void clear() noexcept { numbers_.clear(); }

 private:
  std::unordered_map<NativeHandle, std::uint32_t> numbers_;
};

}  // namespace detail

/// A number of the backend's own for each handle: a slot, or a place in an array of registrations.
/// A table by handle where handles are descriptors, and a hash map where they are not. Loop thread.
///
/// `none` is the number of a handle that has none, and find() answers it. make_room() comes before
/// put(), of a handle that is open: it may throw std::bad_alloc, and then has changed nothing. All
/// others throw nothing; remove() takes handles that there is room for, clear() forgets all.
using HandleMap =
    std::conditional_t<std::signed_integral<NativeHandle>, detail::HandleTable, detail::HandleHash>;

/// For backends whose kernel keeps no set of its own: who may be watched, and whether a number
/// still stands for the file that was put down under it. On Linux sockets and pipes go by their
/// inode, which is never another's, and costs one call to ask for. All else is put into an epoll
/// set that nobody waits on: the kernel takes it or refuses it, knows it by its open file, and
/// forgets it when that is closed. Elsewhere all go by identify(). `key` is a small number of the
/// caller's own, under which it finds the file again: a token's slot, for instance. Loop thread.
class POLLUX_EXPORT HandleRegistry {
 public:
  /// `calls` outlives it.
  explicit HandleRegistry(SystemCalls& calls) noexcept : calls_{calls} {}
  HandleRegistry(const HandleRegistry&) = delete;
  HandleRegistry& operator=(const HandleRegistry&) = delete;
  ~HandleRegistry() { reset(); }

  /// So that add() takes no memory for keys below `keys`. May throw std::bad_alloc.
  void make_room(std::uint32_t keys);
  /// Puts `handle` down, in place of what the key stood for before. Errors as identify() has them,
  /// and `not_enough_memory`, or what else epoll_ctl(2) says; nothing has changed then. Short of
  /// descriptors, what is no socket and no pipe is known by fstat(2) alone; on Windows, short of
  /// memory, a socket is known by its ports alone.
  std::error_code add(std::uint32_t key, NativeHandle handle) noexcept;
  /// The same where Backend::set_interest() adds: `registered` is the key under which the number is
  /// registered already, or HandleMap::none. If it still stands for the same open file, the answer
  /// is `file_exists`. If not, that was closed under its watch, and the number given out again:
  /// then `drop` is called, which has to remove the old registration, and `handle` is put down.
  template <class Drop>
  std::error_code add_once(std::uint32_t key, NativeHandle handle, std::uint32_t registered,
                           Drop drop) {
    if (registered != HandleMap::none) {
      if (is_same(registered, handle)) return system_error_code(std::errc::file_exists);
      drop();
    }
    return add(key, handle);
  }
  /// Whether `handle` was noted under `key`, and still stands for the same open file.
  bool is_same(std::uint32_t key, NativeHandle handle) noexcept;
  /// Whether the system has said by itself that it was closed: mostly costs no call. Only Windows
  /// says so, where a poll goes by number and no set forgets one.
  bool was_closed(std::uint32_t key) const noexcept;
  /// What fstat(2) answered then; of what is no socket and no pipe, others may have the same.
  HandleIdentity identity(std::uint32_t key) const noexcept {
    return knows(key) ? known_[key].identity : HandleIdentity{};
  }
  /// Forgets `handle`, whatever it stands for by now.
  void remove(std::uint32_t key, NativeHandle handle) noexcept {
    if (!knows(key)) return;
    if (known_[key].known_by == By::set) remove_from_set(key, handle);
    known_[key].known_by = By::nothing;
  }
  /// Forgets all. In the child of a fork this comes first: the kernel's set is the parent's too.
  void reset() noexcept;

 private:
  /// How to find out that a number still stands for the same file; nothing, if none was noted.
  enum class By : std::uint8_t { nothing, identity, set };
  struct Known {
    HandleIdentity identity;
    By known_by = By::nothing;
  };
  static constexpr std::uint64_t no_device = ~std::uint64_t{0};

  bool knows(std::uint32_t key) const noexcept {
    return key < keys_ && known_[key].known_by != By::nothing;
  }
  std::error_code add_new(std::uint32_t key, NativeHandle handle, HandleIdentity identity,
                          unsigned mode) noexcept;
  std::error_code examine(NativeHandle handle, unsigned mode, Known& known) noexcept;
  void remove_from_set(std::uint32_t key, NativeHandle handle) noexcept;

  SystemCalls& calls_;
  std::vector<Known> known_;  ///< by key
  std::uint32_t keys_ = 0;    ///< how many there is room for
  NativeHandle set_ = no_handle;
  std::uint64_t socket_device_ = no_device;  ///< the one that all sockets are on, once it is known
};

/// What poll(2) says of `handle` just now: hang-up and error, and what `interest` asks for besides
/// (rdhup where the system knows it). Changes nothing. none if it cannot be asked. Any thread.
POLLUX_EXPORT RawReady poll_once(NativeHandle handle, RawInterest interest,
                                 SystemCalls& calls) noexcept;

/// Another number for the same open file, which a program that is executed does not get. no_handle
/// and an error if there is none to be had: `bad_file_descriptor`, too many open files. The caller
/// owns it. Any thread.
POLLUX_EXPORT NativeHandle duplicate_handle(NativeHandle handle, std::error_code& error) noexcept;
/// Closes a descriptor, or a socket on Windows. Any thread.
POLLUX_EXPORT void close_handle(NativeHandle handle) noexcept;

/// How often this process is the child of a fork, counted from when this was first called; never 0.
/// Equal counts at two times mean: the same process, or one that has its memory in common with it
/// (vfork(2)). A child that is made without fork handlers, by _Fork() or a bare clone(2), counts
/// on Linux 4.14 and later; elsewhere from Reactor::after_fork() on. Any thread, and signal
/// handlers.
POLLUX_EXPORT unsigned fork_count() noexcept;

/// A handle that becomes readable when any thread, or a signal handler, calls signal(): an eventfd
/// where there is one, else a pipe. Owned and closed by this object.
class POLLUX_EXPORT WakeHandle {
 public:
  /// `error` says why none could be made (too many open files); the object is then of no use.
  /// `calls` outlives it.
  WakeHandle(SystemCalls& calls, std::error_code& error) noexcept;
  WakeHandle(const WakeHandle&) = delete;
  WakeHandle& operator=(const WakeHandle&) = delete;
  ~WakeHandle();

  /// In the child of a fork: a new one, since the old one is shared with the parent. Otherwise
  /// nothing. On error the old one stays. For Backend::reset(). Loop thread.
  std::error_code renew_after_fork() noexcept;

  /// What to wait on, for reading.
  NativeHandle handle() const noexcept { return read_; }
  /// Makes handle() readable. Any thread, and signal handlers; keeps errno.
  void signal() const noexcept;
  /// Makes handle() unreadable again, until the next signal(). Loop thread.
  void drain() const noexcept;
  /// Whether it is still there: a program may have closed all descriptors that it did not know.
  /// Loop thread.
  bool is_open() const noexcept;

 private:
  std::error_code open() noexcept;

  SystemCalls& calls_;
  NativeHandle read_ = no_handle;
  NativeHandle write_ = no_handle;
  unsigned fork_count_;
};

}  // namespace pollux

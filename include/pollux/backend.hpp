// SPDX-License-Identifier: MIT
// The one header for a porter: what a backend is asked for, and what it answers.
// A backend brings raw readiness in the kernel's words and judges nothing; every decision about
// what that readiness means for a connection is made once, above it (docs/adding-a-backend.md).
#pragma once

#include <chrono>
#include <climits>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

#include <pollux/system_calls.hpp>

namespace pollux {

/// What the operating system calls a descriptor: an `int`, or a `SOCKET` on Windows.
#if defined(_WIN32)
using NativeHandle = std::uintptr_t;
#else
using NativeHandle = int;
#endif
/// No descriptor.
inline constexpr NativeHandle no_handle = static_cast<NativeHandle>(-1);

/// Names one registration, for as long as it lasts. The backend keeps it and hands it back with
/// each event, both halves unchanged. `slot` is small and dense and may serve as an index; it is
/// given out again, and `generation` then differs. Slot 0xFFFFFFFF is never used: it is free for a
/// backend's own wake handle.
struct Token {
  std::uint32_t slot = 0;        ///< an index, which is given out again
  std::uint32_t generation = 0;  ///< differs for each registration of one slot

  friend constexpr bool operator==(const Token&, const Token&) = default;
};

/// What a registration is asked to watch for, in the kernel's words. `none` is "not registered".
enum class RawInterest : std::uint8_t {
  none = 0,
  in = 1,     ///< readable, or its end
  out = 4,    ///< writable
  rdhup = 2,  ///< the peer's FIN, known early; only asked of a backend whose reports() has it
  hup = 8,    ///< hang-up and error only: keeps a registration that asks for nothing else. A
              ///< backend whose kernel cannot do that has no `err` in reports().
  edge = 16,  ///< report this registration only when something new happens, not for as long as a
              ///< condition lasts. A backend that can't answers `operation_not_supported`.
  pri = 32,   ///< exceptional conditions (POLLPRI and its kin); one without, the same
};

/// What the kernel reported, in the kernel's words, but not in its numbers: a backend translates
/// them. `in` and `out` are promises (level: for as long as they hold), `pri` where it was asked
/// for (some kernels forget it once it was reported); the others are as good as reports() says.
enum class RawReady : std::uint16_t {
  none,
  in = 1,
  pri = 2,
  out = 4,
  err = 8,
  hup = 16,
  rdhup = 0x2000
};

/// RawInterest and RawReady are sets of bits.
template <class T>
concept RawBits = std::same_as<T, RawInterest> || std::same_as<T, RawReady>;
template <RawBits Bits>
constexpr Bits operator|(Bits a, Bits b) noexcept {
  return static_cast<Bits>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
template <RawBits Bits>
constexpr Bits& operator|=(Bits& a, Bits b) noexcept {
  return a = a | b;
}
/// Whether `bits` has any bit of `wanted`.
template <RawBits Bits>
constexpr bool any(Bits bits, Bits wanted) noexcept {
  return (static_cast<unsigned>(bits) & static_cast<unsigned>(wanted)) != 0;
}
/// Those of `bits` that are not in `lost`.
constexpr RawReady without(RawReady bits, RawReady lost) noexcept {
  return static_cast<RawReady>(static_cast<unsigned>(bits) & ~static_cast<unsigned>(lost));
}

/// One report, of what is true now. Two reports for one token in one wait are allowed.
struct RawEvent {
  Token token;                      ///< of the registration, as it was asked for
  RawReady ready = RawReady::none;  ///< every bit that is set is true now
  int error = 0;  ///< with err or hup: the failure's number, where the kernel brings it along
};

/// How long a wait may last. Rounding and clamping are done here, in one place.
class Timeout {
 public:
  using nanoseconds = std::chrono::nanoseconds;  ///< what it counts
  /// Without end; and one that does not wait at all.
  static constexpr Timeout infinite() noexcept { return Timeout{nanoseconds::max()}; }
  static constexpr Timeout zero() noexcept { return Timeout{nanoseconds::zero()}; }
  /// A negative duration is zero.
  constexpr explicit Timeout(nanoseconds duration) noexcept
      : duration_{duration < nanoseconds::zero() ? nanoseconds::zero() : duration} {}

  /// Whether it is one of these, and how long it is: of no meaning if is_infinite().
  constexpr bool is_infinite() const noexcept { return duration_ == nanoseconds::max(); }
  constexpr bool is_zero() const noexcept { return duration_ == nanoseconds::zero(); }
  constexpr nanoseconds duration() const noexcept { return duration_; }
  /// For poll() and its kin: milliseconds, rounded up so that a wait never ends early, clamped to
  /// what an int holds (the core waits again after 24 days); −1 is infinite.
  constexpr int poll_ms() const noexcept {
    if (is_infinite()) return -1;
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(
        duration_ > nanoseconds::max() - std::chrono::milliseconds{1}
            ? nanoseconds::max() - std::chrono::milliseconds{1}
            : duration_);
    return ms.count() > INT_MAX ? INT_MAX : static_cast<int>(ms.count());
  }

 private:
  nanoseconds duration_;
};

/// What a wait came back with: reports, or an error and none.
struct WaitResult {
  std::uint32_t count = 0;  ///< reports at the front of the span
  int error = 0;            ///< the system's number (errno); 0 for none
};

/// Six functions, and two that are optional. Registrations are level-triggered and persistent: a
/// kernel that reports once is asked again at the start of the *next* wait. A backend never closes,
/// reads or configures a handle it was given, never merges or filters reports, and neither logs nor
/// aborts. Out of memory, it answers `not_enough_memory`. (A std::bad_alloc that set_interest() or
/// reset() lets through is taken for that: all must be as before then, too.)
///
/// All members but wake() are called by the loop's thread only.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  /// Its name, in lower case: also that of its folder, and of its rows in tests and benches.
  virtual std::string_view name() const noexcept = 0;

  /// The bits of RawReady it can be believed on. With `rdhup` the peer's FIN is left to it, and a
  /// plain `in` means bytes. With `hup` that bit says that both directions are over. With `err`
  /// failures are reported (as `err` or `hup`) also of a registration that asks for nothing;
  /// without it, the core keeps a bit armed to learn of them. With `pri` it may be asked for.
  /// Whatever is missing here but reported all the same is taken as a hint to probe.
  virtual RawReady reports() const noexcept = 0;

  /// Adds (`from` is none), changes, or removes (`to` is none) the registration of `handle`; `from`
  /// is what the last successful call asked for. Atomic: on error the old interest still holds.
  ///
  /// `from` equal to `to` asks whether the registration is still there and changes nothing.
  ///
  /// Adding must refuse what cannot be watched: `bad_file_descriptor` for what is not open,
  /// `operation_not_permitted` for files, directories and their like, `file_exists` for a handle
  /// that is registered already. A registration whose handle was closed in the meantime is gone by
  /// itself: what is asked about it answers `no_such_file_or_directory` or `bad_file_descriptor`.
  /// The number may be registered anew, and the core then asks nothing more about the old token.
  /// pollux/backend_support.hpp has a helper for kernels that do none of this.
  virtual std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                                       Token token) = 0;

  /// Waits until something can be reported, wake() is called, or the timeout has passed; fills the
  /// front of `out`. May come back early with nothing, for no reason (a signal, for instance):
  /// deadlines are the core's. What does not fit is reported by the next waits, and nothing
  /// starves. Throws nothing of its own; what foreign code running inside the wait throws (a
  /// handler on an application's own `asio::io_context`) passes through.
  virtual WaitResult wait(std::span<RawEvent> out, Timeout timeout) = 0;

  /// Makes the wait that is running, or else the next one, come back. Any thread may call it, and a
  /// signal handler; calls may fall together, and none is lost.
  virtual void wake() noexcept = 0;

  /// Forgets every registration and starts on a new kernel object. On error all is as before.
  virtual std::error_code reset() = 0;

  /// Removes what is closed next, if `handle` still is what was registered. If not, the answer is
  /// as above: a removal may take the caller's word for it, and this must not.
  virtual std::error_code remove_closing(NativeHandle handle, RawInterest from, Token token) {
    const std::error_code error = set_interest(handle, from, from, token);
    return error ? error : set_interest(handle, from, RawInterest::none, token);
  }

  /// What another loop may wait on in this one's place: readable whenever a wait() would report
  /// something or has been woken. It may be another after reset(). no_handle where there is none.
  /// Once it has been asked for, nothing may be kept back until the next wait().
  virtual NativeHandle native_handle() noexcept { return no_handle; }

  /// How many system calls it has made, as far as it counts them: for Stats.
  virtual std::uint64_t system_calls() const noexcept { return system_calls_.made(); }

 protected:
  SystemCalls system_calls_;  ///< what system_calls() answers
};

}  // namespace pollux

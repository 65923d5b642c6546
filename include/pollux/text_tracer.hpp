// SPDX-License-Identifier: MIT
// A tracer that writes down what it sees, for people: a line for each thing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

#include <pollux/backend.hpp>
#include <pollux/events.hpp>
#include <pollux/export.hpp>
#include <pollux/handler.hpp>
#include <pollux/stats.hpp>

namespace pollux {

/// Writes a line for each thing that happens to a watch: the time since `start` in seconds, the
/// descriptor, and what it was.
///
///     0.000012 fd 5 watched stream, interest readable
///     0.000431 fd 5 reported in rdhup
///     0.000433 fd 5 delivered readable
///     0.000440 fd 5 interest readable -> none
///     0.000929 fd 5 unwatched
///
/// `reported` has the kernel's words, `delivered` the contract's. docs/troubleshooting.md
/// goes through them by symptom. The lines are for people: they may change with any version.
///
/// Reactor::set_tracer() takes one; a tracer serves one reactor. $POLLUX_TRACE makes one without a
/// change of the program: see Reactor. Nothing here throws. Memory is taken where a watch begins,
/// and for the text of an error; without it a number stands in the text's place, and a question
/// mark in the descriptor's.
class POLLUX_EXPORT TextTracer : public Tracer {
 public:
  /// To a stream that stays open as long as the tracer is set, and is not owned. Each line is
  /// written by one fwrite(); when it reaches the file is the stream's affair (setvbuf).
  explicit TextTracer(std::FILE* stream, time_point start = std::chrono::steady_clock::now());
  /// To a function, which gets each line without its end, and must not throw.
  explicit TextTracer(Handler<std::string_view> line,
                      time_point start = std::chrono::steady_clock::now());

  /// A handler that took at least so long gets a line of its own when it returns: nothing else was
  /// delivered meanwhile.
  static constexpr std::chrono::milliseconds long_call{10};

  void watched(time_point when, NativeHandle handle, Token token, WatchKind kind,
               Interest interest) noexcept override;
  void reported(time_point when, Token token, RawReady ready) noexcept override;
  void delivered(time_point when, Token token, const StreamEvent& event) noexcept override;
  void delivered(time_point when, Token token, Readiness readiness) noexcept override;
  void handler_returned(time_point when, Token token) noexcept override;
  void interest_changed(time_point when, Token token, Interest before,
                        Interest after) noexcept override;
  void watch_changed(time_point when, Token token, WatchChange change) noexcept override;

 private:
  class Line;

  /// What a token's slot was last watched as.
  struct Known {
    NativeHandle handle = no_handle;
    std::uint32_t generation = 0;
    bool ended = true;
  };

  void remember(Token token, NativeHandle handle);
  Known known(Token token) const noexcept;
  Line begin(time_point when, Token token) const noexcept;
  void write(Line& line) noexcept;

  std::FILE* stream_ = nullptr;
  Handler<std::string_view> line_;
  time_point start_;
  time_point called_at_{};          ///< the handler that was called last
  std::unique_ptr<Known[]> known_;  ///< by slot
  std::size_t size_ = 0;            ///< of that
};

}  // namespace pollux

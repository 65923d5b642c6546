// SPDX-License-Identifier: MIT
// The small public types: what they hold, how they print, which errors are which, who is chosen.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <pollux/pollux.hpp>

#include "conformance/support/contestants.hpp"
#include "support/environment.hpp"

namespace pollux {

namespace {

using namespace std::chrono_literals;

static_assert(Timeout::zero().poll_ms() == 0 && Timeout::infinite().poll_ms() == -1);
static_assert(Timeout{1ns}.poll_ms() == 1 && Timeout{24h * 365}.poll_ms() == INT_MAX);
static_assert(Timeout{1ms}.poll_ms() == 1 && Timeout{1ms + 1ns}.poll_ms() == 2);
static_assert(Timeout{-1ns}.is_zero() && Timeout{std::chrono::nanoseconds::min()}.is_zero());
static_assert(Timeout{std::chrono::nanoseconds::max()}.is_infinite());
static_assert(Timeout{std::chrono::nanoseconds::max() - 1ns}.poll_ms() == INT_MAX);
static_assert(Timeout{1ms * INT_MAX}.poll_ms() == INT_MAX);
static_assert(Timeout{1ms * INT_MAX - 1ns}.poll_ms() == INT_MAX);
static_assert(Timeout{1ms * (INT_MAX - 1)}.poll_ms() == INT_MAX - 1);
static_assert(!std::is_copy_constructible_v<Watch> && std::is_nothrow_move_constructible_v<Watch>);
static_assert(std::is_nothrow_move_assignable_v<StreamWatch>);
static_assert(!std::is_copy_constructible_v<Reactor>);

TEST(Timeouts, NeverRoundToLess) {
  for (std::int64_t ns = 0; ns < 10'000'000; ns += 997) {
    const int ms = Timeout{std::chrono::nanoseconds{ns}}.poll_ms();
    EXPECT_GE(std::chrono::milliseconds{ms}, std::chrono::nanoseconds{ns});
    EXPECT_LT(std::chrono::milliseconds{ms}, std::chrono::nanoseconds{ns} + 1ms);
  }
}

TEST(Interests, AreSets) {
  Interest set = Interest::readable;
  set |= Interest::peer_closed;
  EXPECT_TRUE(any(set, Interest::peer_closed));
  EXPECT_FALSE(any(set, Interest::writable));
  set &= ~Interest::readable;
  EXPECT_EQ(set, Interest::peer_closed);
  EXPECT_EQ(~Interest::none, Interest::readable | Interest::writable | Interest::peer_closed |
                                 Interest::one_shot | Interest::edge | Interest::priority);
}

TEST(Interests, PrintTheirNames) {
  EXPECT_EQ(to_string(Interest::none), "none");
  EXPECT_EQ(to_string(Interest::readable), "readable");
  EXPECT_EQ(to_string(~Interest::none), "readable|writable|peer_closed|one_shot|edge|priority");
}

TEST(StreamEvents, PrintInTheOrderOfTheLifecycleWithWritableLast) {
  EXPECT_EQ(to_string(Event::none), "none");
  EXPECT_EQ(to_string(Event::writable | Event::readable | Event::peer_closed),
            "peer_closed readable writable");
  EXPECT_EQ(to_string(Event::hangup | Event::error | Event::end_of_stream),
            "end_of_stream error hangup");
  const auto refused = std::make_error_code(std::errc::connection_refused);
  EXPECT_EQ(to_string(StreamEvent{Event::error | Event::hangup, refused}),
            "error(" + refused.message() + ") hangup");
  EXPECT_EQ(to_string(StreamEvent{Event::hangup}), "hangup");
}

TEST(StreamEvents, AnswerForEachBitAlone) {
  const auto answers = [](Event bits) {
    const StreamEvent event{bits};
    return std::vector<bool>{event.peer_closed(), event.readable(), event.end_of_stream(),
                             event.hangup(), event.writable()};
  };
  EXPECT_EQ(answers(Event::peer_closed), (std::vector<bool>{true, false, false, false, false}));
  EXPECT_EQ(answers(Event::readable), (std::vector<bool>{false, true, false, false, false}));
  EXPECT_EQ(answers(Event::end_of_stream), (std::vector<bool>{false, false, true, false, false}));
  EXPECT_EQ(answers(Event::hangup), (std::vector<bool>{false, false, false, true, false}));
  EXPECT_EQ(answers(Event::writable), (std::vector<bool>{false, false, false, false, true}));
  EXPECT_FALSE(StreamEvent{Event::hangup}.error());
  EXPECT_EQ(StreamEvent{Event::readable}, StreamEvent{Event::readable});
}

TEST(PeerClosedLatencies, PrintTheirNames) {
  EXPECT_EQ(to_string(PeerClosedLatency::immediate), "immediate");
  EXPECT_EQ(to_string(PeerClosedLatency::probed), "probed");
  EXPECT_EQ(to_string(PeerClosedLatency::after_drain), "after drain");
}

TEST(Errors, AreTheConditionsTheyAreSaidToBe) {
  const std::pair<Errc, std::errc> conditions[] = {
      {Errc::unknown_backend, std::errc::invalid_argument},
      {Errc::no_usable_backend, std::errc::function_not_supported},
      {Errc::not_a_stream, std::errc::invalid_argument},
      {Errc::reactor_closed, std::errc::operation_canceled},
      {Errc::already_running, std::errc::resource_deadlock_would_occur},
      {Errc::watch_closed, std::errc::bad_file_descriptor},
      {Errc::trace_unavailable, std::errc::io_error}};
  std::set<std::string> messages;
  for (const auto& [own, condition] : conditions) {
    const std::error_code error = own;
    EXPECT_EQ(error, condition) << error.message();
    EXPECT_EQ(&error.category(), &error_category());
    messages.insert(error.message());
  }
  EXPECT_EQ(messages.size(), std::size(conditions)) << "each says something else";
  EXPECT_STREQ(error_category().name(), "pollux");
  const std::error_code unknown{99, error_category()};
  EXPECT_NE(unknown.message(), "");
  EXPECT_NE(unknown, std::errc::invalid_argument);
}

TEST(Version, OfTheLibraryIsThatOfTheHeader) {
  EXPECT_STREQ(version(), POLLUX_VERSION_STRING);
  EXPECT_EQ(std::to_string(POLLUX_VERSION_MAJOR) + '.' + std::to_string(POLLUX_VERSION_MINOR) +
                '.' + std::to_string(POLLUX_VERSION_PATCH),
            POLLUX_VERSION_STRING);
}

/// $POLLUX_BACKEND for as long as it lives.
struct BackendVariable : support::EnvironmentVariable {
  explicit BackendVariable(const char* value) : EnvironmentVariable{"POLLUX_BACKEND", value} {}
};

/// What is compiled in and can be made here, best first. (Whether all that should be can be is for
/// the tests of each backend to say.)
std::vector<BackendInfo> usable_backends() {
  std::vector<BackendInfo> all;
  for (const BackendInfo& info : backends()) {
    const auto same_name = [&](const auto& absentee) { return absentee.name == info.name; };
    if (std::ranges::none_of(support::absentees(), same_name)) all.push_back(info);
  }
  return all;
}

TEST(Backends, AreMadeByName) {
  const BackendVariable other{"nonsense"};
  for (const BackendInfo& info : usable_backends()) {
    std::error_code error = Errc::unknown_backend;
    EXPECT_TRUE(usable(info, error)) << info.name << ": " << error.message();
    const auto made = make_backend(info.name, error);
    ASSERT_NE(made, nullptr) << info.name;
    EXPECT_FALSE(error);
    EXPECT_EQ(made->name(), info.name);
    EXPECT_TRUE(any(made->reports(), RawReady::in) && any(made->reports(), RawReady::out));
    EXPECT_EQ(Reactor{info.name}.backend_name(), info.name);
    EXPECT_EQ(Reactor{info.name}.backend_reports(), made->reports());
  }
}

TEST(Backends, ThatThisMachineCannotRunAreRefusedWithItsReason) {
  for (const auto& [name, why] : support::absentees()) {
    std::error_code error;
    EXPECT_EQ(make_backend(name, error), nullptr) << name;
    EXPECT_EQ(error, why) << name;
    error.clear();
    EXPECT_EQ((Reactor{name, error}.backend_name()), "");
    EXPECT_EQ(error, why) << name;
    EXPECT_THROW(Reactor{name}, std::system_error) << name;
    const BackendVariable variable{name.c_str()};
    EXPECT_THROW(Reactor{}, std::system_error) << "who is named is not replaced by another";
  }
}

TEST(Backends, AreTheBestByThemselves) {
  for (const char* unset : {static_cast<const char*>(nullptr), ""}) {
    const BackendVariable variable{unset};
    std::error_code error;
    const auto made = make_backend("", error);
    ASSERT_NE(made, nullptr);
    EXPECT_EQ(made->name(), usable_backends().front().name);
    EXPECT_EQ(Reactor{}.backend_name(), usable_backends().front().name);
    EXPECT_EQ(Reactor{error}.backend_name(), usable_backends().front().name);
    EXPECT_FALSE(error);
  }
}

TEST(Backends, AreChosenByTheEnvironment) {
  for (const BackendInfo& info : usable_backends()) {
    const BackendVariable variable{std::string{info.name}.c_str()};
    std::error_code error;
    EXPECT_EQ(Reactor{}.backend_name(), info.name);
    EXPECT_EQ(Reactor{error}.backend_name(), info.name);
    EXPECT_EQ(make_backend("", error)->name(), info.name);
    EXPECT_EQ(Reactor{usable_backends().front().name}.backend_name(),
              usable_backends().front().name)
        << "a name that is given counts more";
  }
}

TEST(Backends, OfAnUnknownNameAreRefused) {
  std::error_code error;
  EXPECT_EQ(make_backend("nonsense", error), nullptr);
  EXPECT_EQ(error, Errc::unknown_backend);
  for (const char* near : {"Epoll", "epoll ", "pol", "polls"}) {
    EXPECT_EQ(make_backend(near, error), nullptr) << near;
    EXPECT_EQ(error, Errc::unknown_backend) << near;
  }
  const Reactor by_name{"nonsense", error};
  EXPECT_EQ(error, Errc::unknown_backend);
  EXPECT_EQ(by_name.backend_name(), "");
  EXPECT_THROW(Reactor{"nonsense"}, std::system_error);

  const BackendVariable variable{"nonsense"};
  error.clear();
  const Reactor by_environment{error};
  EXPECT_EQ(error, Errc::unknown_backend);
  EXPECT_THROW(Reactor{}, std::system_error);
}

}  // namespace

}  // namespace pollux

// SPDX-License-Identifier: MIT
// What the conformance tests share: one row for every backend under test and kind of stream.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "conformance/support/contestants.hpp"
#include "conformance/support/recorder.hpp"

namespace pollux::conformance {

using namespace support;

/// How long the histories of every_history_test.cpp are at most: run()'s --depth.
inline unsigned history_depth = 3;

/// What one instance of a test runs on.
struct Row {
  std::string_view backend;
  PairKind kind{};
};
void PrintTo(const Row& row, std::ostream* to);

// The kinds of stream that a test makes sense for.
inline constexpr PairKind tcp[] = {PairKind::tcp4, PairKind::tcp6};
inline constexpr PairKind unix_streams[] = {PairKind::unix_stream};
inline constexpr PairKind sockets[] = {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream};
/// Those of the sockets that have urgent bytes here.
inline std::span<const PairKind> with_urgent_bytes() {
  if (is_available(PairKind::unix_stream) && unix_has_urgent_bytes()) return sockets;
  return tcp;
}
inline constexpr PairKind pipes[] = {PairKind::pipe};
inline constexpr PairKind streams[] = {PairKind::tcp4, PairKind::tcp6, PairKind::unix_stream,
                                       PairKind::pipe};

/// The backends under test, each with those of `kinds` that this system has.
std::vector<Row> rows(std::span<const PairKind> kinds);
/// The name of such a row: epoll_tcp4.
std::string row_name(const testing::TestParamInfo<Row>& info);

/// The backends under test, for what does not depend on the kind of stream.
std::vector<std::string_view> backend_rows();
std::string backend_row_name(const testing::TestParamInfo<std::string_view>& info);

/// Every backend under test x each of `kinds`; `suite` is a class derived from OnEachKind.
#define POLLUX_ON_EACH_KIND(suite, kinds)                                          \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(suite); /* of none that is here */ \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(rows(kinds)), row_name)
/// Every backend under test; `suite` is a class derived from OnEachBackend.
#define POLLUX_ON_EACH_BACKEND(suite) \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(backend_rows()), backend_row_name)

/// A reactor on a given backend; and no test may leave a descriptor open.
class KitTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  virtual std::string_view backend() const = 0;

  Reactor& reactor() { return *reactor_; }
  /// A fresh reactor with these options, instead of the one there was.
  void use(const ReactorOptions& options) { reactor_.emplace(make_contestant(backend()), options); }

  /// Nothing is left to do, and no handler is called: the backend is asked for exactly one wait,
  /// the one that runs into the deadline. (Where it cannot learn of a failure without being asked
  /// for more, the loop also looks by itself from time to time, and less and less often.)
  /// rule02_idle_states_test.cpp takes its time; elsewhere a glance will do.
  static constexpr std::chrono::milliseconds glance{10};
  testing::AssertionResult sleeps(std::chrono::milliseconds duration = glance);

 private:
  std::size_t descriptors_before_ = 0;
  std::optional<Reactor> reactor_;
};

class OnEachBackend : public KitTest, public testing::WithParamInterface<std::string_view> {
 protected:
  std::string_view backend() const override { return GetParam(); }
};

class OnEachKind : public KitTest, public testing::WithParamInterface<Row> {
 protected:
  std::string_view backend() const override { return GetParam().backend; }
  PairKind kind() const { return GetParam().kind; }

  using History = std::function<void(Pair& pair)>;
  using Story = std::function<void(Pair& pair, Recorder& local)>;

  /// `history` happens to a fresh pair, `story` is what the watch of its local side must learn of
  /// it: one that was there before, and one that is registered after the fact.
  void before_and_after(Interest interest, const History& history, const Story& story);
  /// As above, for a paused watch: with an empty interest, and with all it may still ask for. What
  /// only those ask for, `writable` and `peer_closed`, is left out of the story.
  void while_paused(const History& history, const Story& story);
};

/// Whether `recorder` now hears exactly that.
testing::AssertionResult delivers(Recorder& recorder, std::string_view expected);
/// The same, where the last error that was reported must be that one.
testing::AssertionResult delivers(Recorder& recorder, std::string_view expected, std::errc error);
/// Whether nothing comes, although the loop turns.
testing::AssertionResult delivers_nothing(Recorder& recorder);

/// Makes the recorder's handler read all there is whenever something is readable; `total` counts.
void drain_on_readable(Recorder& recorder, const Handle& handle, std::size_t& total);

/// Of a stream that was reset: what a read gives, and what there is to be delivered once the owner
/// has read so (rule 10): the end that is left, or, where a failure stays, that.
long read_of_a_reset();
std::string_view end_of_a_taken_failure();
/// Whether `handle`, of which a read has given `read`, was reset. Where a read may give the same of
/// an end (Wine, once its server has seen the failure), the two differ in what shows.
testing::AssertionResult shows_a_reset(const Handle& handle, long read);

/// Of TCP: what a reset behind a FIN is, and what is delivered of both if the loop has not run in
/// between.
std::errc error_behind_a_fin();
std::string_view fin_and_reset();

/// The peer resets the connection. (On AF_UNIX that is a close with bytes unread.)
void reset_by_peer(Pair& pair);

}  // namespace pollux::conformance

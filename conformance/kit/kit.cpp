// SPDX-License-Identifier: MIT
#include "conformance/kit/kit.hpp"

#include <cerrno>

#include "conformance/support/system.hpp"

namespace pollux::conformance {

std::vector<Row> rows(std::span<const PairKind> kinds) {
  std::vector<Row> all;
  for (const Contestant& contestant : contestants()) {
    for (const PairKind kind : kinds) {
      if (is_available(kind)) all.push_back({contestant.name, kind});
    }
  }
  return all;
}

void PrintTo(const Row& row, std::ostream* to) {
  *to << row.backend << '_' << to_string(row.kind);
}

std::string row_name(const testing::TestParamInfo<Row>& info) {
  return testing::PrintToString(info.param);
}

std::vector<std::string_view> backend_rows() {
  std::vector<std::string_view> all;
  for (const Contestant& contestant : contestants()) all.push_back(contestant.name);
  return all;
}

std::string backend_row_name(const testing::TestParamInfo<std::string_view>& info) {
  return std::string{info.param};
}

void KitTest::SetUp() {
  descriptors_before_ = open_descriptors();
  use({});
}

void KitTest::TearDown() {
  reactor_.reset();
  EXPECT_EQ(open_descriptors(), descriptors_before_) << "descriptors were leaked, or closed";
}

testing::AssertionResult KitTest::sleeps(std::chrono::milliseconds duration) {
  settle(reactor());
  auto waits = waits_in(duration, reactor());
  // The kernel takes down an earlier test's ring in its own time, and that cuts waits short.
  for (int i = 0; waits > 1 && i < 20; ++i) waits = waits_in(duration, reactor());
  // Looks are made after 1, 2, 4 … 64 ms: seven or eight, of a few waits each.
  const bool looks = !any(reactor().backend_reports(), RawReady::err);
  if (waits <= (looks ? 32u : 1u)) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "the loop waited " << waits << " times in " << duration.count() << " ms";
}

void OnEachKind::before_and_after(Interest interest, const History& history, const Story& story) {
  const testing::ScopedTrace interested{__FILE__, __LINE__, "interest: " + to_string(interest)};
  {
    SCOPED_TRACE("registered before");
    Pair pair = make_pair(kind());
    Recorder local{reactor(), pair.local, interest};
    local.events_until("");
    history(pair);
    story(pair, local);
  }
  SCOPED_TRACE("registered after the fact");
  forget_own_ends();
  Pair pair = make_pair(kind());
  history(pair);
  Recorder local{reactor(), pair.local, interest};
  report_own_ends(local);
  story(pair, local);
}

void OnEachKind::while_paused(const History& history, const Story& story) {
  for (const Interest interest : {Interest::none, Interest::writable, Interest::peer_closed,
                                  Interest::writable | Interest::peer_closed}) {
    before_and_after(interest, history, [&](Pair& pair, Recorder& local) {
      local.ignore(Event::writable | Event::peer_closed);
      story(pair, local);
    });
  }
}

testing::AssertionResult delivers(Recorder& recorder, std::string_view expected) {
  const std::string received = recorder.events_until(expected);
  if (received == expected) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "received \"" << received << "\" where \"" << expected << "\" was due";
}

testing::AssertionResult delivers(Recorder& recorder, std::string_view expected, std::errc error) {
  const auto result = delivers(recorder, expected);
  if (!result || recorder.error() == error) return result;
  return testing::AssertionFailure()
         << "the error was \"" << recorder.error().message() << "\", not \""
         << std::make_error_code(error).message() << '"';
}

testing::AssertionResult delivers_nothing(Recorder& recorder) {
  return delivers(recorder, "");
}

void drain_on_readable(Recorder& recorder, const Handle& handle, std::size_t& total) {
  recorder.on_event([&handle, &total](const StreamEvent& event) {
    if (event.readable()) total += drain(handle);
  });
}

long read_of_a_reset() {
  return system_facts().read_behind_failure_is_the_end ? 0 : -ECONNRESET;
}

testing::AssertionResult shows_a_reset(const Handle& handle, long read) {
  if (read == -ECONNRESET) return testing::AssertionSuccess();
  if (read != read_of_a_reset()) return testing::AssertionFailure() << "the read gave " << read;
  if (look_at_other_end(handle, std::chrono::milliseconds{0}) == OtherEnd::failed)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "it is an end, and no reset";
}

std::string_view end_of_a_taken_failure() {
  return system_facts().failure_is_taken ? "end_of_stream hangup" : "error hangup";
}

std::errc error_behind_a_fin() {
  return system_facts().reset_behind_fin_is_broken_pipe ? std::errc::broken_pipe
                                                        : std::errc::connection_reset;
}

std::string_view fin_and_reset() {
  return system_facts().reset_hides_fin ? "error hangup" : "end_of_stream error hangup";
}

void reset_by_peer(Pair& pair) {
  write_bytes(pair.local, "left unread by the peer");
  reset_connection(pair.peer);
}

}  // namespace pollux::conformance

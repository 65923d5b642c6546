// SPDX-License-Identifier: MIT
// A program to do harm to: lives through stories on one backend, and prints what it learned of
// each. faults_test.py lets its system calls fail. An error that pollux reports is printed on a
// line of its own ("! watch: Cannot allocate memory"), and what failed is done again, as an
// application would. All that is not pollux's doing happens on a second thread: a tracer of the
// first one meets the library's calls alone.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

#include "conformance/support/recorder.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::faults {

namespace {

using namespace std::chrono_literals;
using namespace support;

/// The thread on which the peers live, and this program's own reads, writes and closes happen.
class Outside {
 public:
  ~Outside() { run({}); }

  /// Returns when it is done.
  void run(std::function<void()> action) {
    action_ = std::move(action);
    begin_.release();
    done_.acquire();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  void work() {
    for (bool last = false; !last; done_.release()) {
      begin_.acquire();
      last = !action_;
      try {
        if (!last) action_();
      } catch (...) {
        failure_ = std::current_exception();
      }
    }
  }

  std::function<void()> action_;
  std::exception_ptr failure_;
  std::binary_semaphore begin_{0};
  std::binary_semaphore done_{0};
  support::Thread thread_{[this] { work(); }};
};

class Stage {
 public:
  explicit Stage(std::string_view backend) : backend_{backend} {}

  /// A story begins, on a fresh reactor.
  void begin(std::string_view title, const ReactorOptions& options = {}) {
    say(title);
    insist("make", [&] { on_.emplace(backend_, options); });
  }
  /// It ends: with nothing left to do the loop must not turn, whatever has failed before.
  void end() {
    const std::uint64_t before = on_->stats().waits;
    insist("run", [&] { reactor().run_for(2ms); });
    say(on_->stats().waits - before < 50 ? "    and rests" : "    and spins");
    on_.reset();
  }

  void outside(std::function<void()> action) { outside_.run(std::move(action)); }
  void say(std::string_view line) { delivered_.append(line).append("\n"); }

  /// Until it has been done.
  template <class Call>
  void insist(std::string_view what, Call call) {
    for (int tries = 1;; ++tries) {
      try {
        return call();
      } catch (const std::system_error& failure) {
        if (tries == 100) throw;
        say("! " + std::string{what} + ": " + failure.code().message());
      }
    }
  }

  void expect(Recorder& recorder, std::string_view expected) {
    std::string received;
    insist("run", [&] { received = recorder.events_until(expected); });
    if (recorder.error()) received += " (" + recorder.error().message() + ")";
    say("    " + (received.empty() ? "nothing" : received));
  }

  Reactor& reactor() { return *on_; }

  void print() {
    outside([this] { std::fputs(delivered_.c_str(), stdout), std::fflush(stdout); });
  }

 private:
  std::string_view backend_;
  std::string delivered_;
  Outside outside_;
  std::optional<Reactor> on_;
};

/// A pair of which one side is watched.
class Stream {
 public:
  Stream(Stage& stage, PairKind kind, Interest interest) : stage_{stage} {
    stage.outside([&] { pair = make_pair(kind); });
    watch(interest);
  }
  Stream(Stage& stage, Pair of, Interest interest) : pair{std::move(of)}, stage_{stage} {
    watch(interest);
  }
  Stream(Stream&&) = delete;
  ~Stream() {
    recorder_.reset();
    stage_.outside([this] { pair = {}; });
  }

  void watch(Interest interest) {
    stage_.insist("watch", [&] { recorder_.emplace(stage_.reactor(), pair.local, interest); });
  }
  void unwatch() { recorder_.reset(); }
  void ask(Interest interest) {
    stage_.insist("set_interest", [&] { recorder_->watch.set_interest(interest); });
  }
  void expect(std::string_view expected) { stage_.expect(*recorder_, expected); }

  void peer_writes() {
    stage_.outside([this] { write_bytes(pair.peer, "abc"); });
  }
  void peer_closes() {
    stage_.outside([this] { pair.peer.close(); });
  }
  /// All the bytes, and not what comes behind them.
  void reads() {
    stage_.outside([this] { read_bytes(pair.local); });
  }

  Pair pair;

 private:
  Stage& stage_;
  std::optional<Recorder> recorder_;
};

void conversation(Stage& stage, PairKind kind) {
  stage.begin("bytes, an answer, a half-close each way: " + std::string{to_string(kind)});
  Stream stream{stage, kind, Interest::readable};
  stream.expect("");
  stream.peer_writes();
  stream.expect("readable");
  stream.reads();
  stream.expect("");
  stream.ask(Interest::readable | Interest::writable);
  stream.expect("writable");
  stream.ask(Interest::readable);
  stream.expect("");
  stream.peer_writes();
  stage.outside([&] { shutdown_write(stream.pair.peer); });
  stream.expect("readable");
  stream.reads();
  stream.expect("end_of_stream");
  stage.outside([&] { shutdown_write(stream.pair.local); });
  stream.expect("hangup");
  stage.end();
}

void reset_behind_bytes(Stage& stage) {
  stage.begin("a reset behind bytes");
  Stream stream{stage, PairKind::tcp4, Interest::readable};
  stream.peer_writes();
  stage.outside([&] { reset_connection(stream.pair.peer); });
  stream.expect("readable");
  stream.reads();
  stream.expect("error hangup");
  stage.end();
}

void reset_while_paused(Stage& stage) {
  stage.begin("a reset while paused");
  Stream stream{stage, PairKind::tcp4, Interest::readable};
  stream.expect("");
  stream.ask(Interest::none);
  stream.expect("");
  stage.outside([&] { reset_connection(stream.pair.peer); });
  stream.expect("error hangup");
  stage.end();
}

void pause(Stage& stage, PairKind kind) {
  stage.begin("a pause in which the peer closes: " + std::string{to_string(kind)});
  Stream stream{stage, kind, Interest::readable};
  stream.ask(Interest::none);
  stream.expect("");
  stream.peer_writes();
  stream.peer_closes();
  stream.expect("");
  stream.ask(Interest::readable);
  stream.expect("readable");
  stream.reads();
  stream.expect(is_tcp(kind) ? "end_of_stream" : "end_of_stream hangup");
  stage.end();
}

void early_notice(Stage& stage) {
  stage.begin("an early notice behind bytes");
  Stream stream{stage, PairKind::tcp4, Interest::peer_closed};
  stream.peer_writes();
  stream.peer_closes();
  stream.expect("peer_closed");
  stream.ask(Interest::readable);
  stream.expect("readable");
  stream.reads();
  stream.expect("end_of_stream");
  stage.end();
}

void refusal(Stage& stage) {
  stage.begin("a connection that is refused");
  Pair pair;
  stage.outside([&] { pair.local = start_refused_connect(PairKind::tcp4); });
  Stream stream{stage, std::move(pair), Interest::readable | Interest::writable};
  stream.expect("error hangup");
  stage.end();
}

void second_watch(Stage& stage) {
  stage.begin("unwatched, and watched again");
  Stream stream{stage, PairKind::unix_stream, Interest::readable};
  stream.peer_writes();
  stream.expect("readable");
  stream.unwatch();
  stream.peer_closes();
  stream.watch(Interest::readable);
  stream.expect("readable");
  stream.reads();
  stream.expect("end_of_stream hangup");
  stage.end();
}

void pipes(Stage& stage) {
  stage.begin("a pipe's reading end");
  {
    Stream stream{stage, PairKind::pipe, Interest::readable};
    stream.expect("");
    stream.peer_writes();
    stream.peer_closes();
    stream.expect("readable");
    stream.reads();
    stream.expect("end_of_stream hangup");
    stage.end();
  }
  stage.begin("a pipe's writing end");
  Pair pair;
  stage.outside([&] {
    pair = make_pair(PairKind::pipe);
    std::swap(pair.local, pair.peer);
  });
  Stream stream{stage, std::move(pair), Interest::writable};
  stream.expect("writable");
  stream.ask(Interest::none);
  stream.expect("");
  stream.peer_closes();
  stream.expect("error hangup");
  stage.end();
}

void closed_under_its_watch(Stage& stage) {
  stage.begin("closed under its watch, with a duplicate alive");
  Stream bystander{stage, PairKind::tcp4, Interest::readable};
  Stream stream{stage, PairKind::tcp4, Interest::readable};
  stream.expect("");
  Handle copy;
  stage.outside([&] {
    copy = duplicate(stream.pair.local);
    stream.pair.local.close();
  });
  stream.unwatch();
  stream.peer_writes();
  bystander.expect("");
  bystander.peer_writes();
  bystander.expect("readable");
  bystander.reads();
  bystander.expect("");
  stage.end();
  stage.outside([&] { copy.close(); });
}

void crowd(Stage& stage) {
  stage.begin("more that are ready than fit into one wait", {.event_batch = 2});
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 7; ++i) {
    const PairKind kind = i % 2 == 0 ? PairKind::unix_stream : PairKind::pipe;
    streams.push_back(std::make_unique<Stream>(stage, kind, Interest::readable));
    streams.back()->peer_writes();
  }
  for (const auto& stream : streams) {
    stream->expect("readable");
    stream->reads();
  }
  for (const auto& stream : streams) stream->peer_closes();
  for (const auto& stream : streams) stream->expect("end_of_stream hangup");
  stage.end();
}

void plain_readiness(Stage& stage) {
  stage.begin("plain readiness");
  Pair pair;
  stage.outside([&] {
    pair = make_pair(PairKind::unix_stream);
    write_bytes(pair.peer, "abc");
  });
  Watch watch;
  bool called = false;
  stage.insist("watch", [&] {
    watch = stage.reactor().watch(pair.local.get(), Interest::readable,
                                  [&](Readiness readiness) { called = readiness.readable(); });
  });
  const auto collect = [&] {
    stage.insist("run", [&] { run_until(stage.reactor(), [&] { return called; }); });
    stage.say(std::exchange(called, false) ? "    readable" : "    nothing");
  };
  collect();
  watch.set_interest(Interest::none);
  stage.insist("run", [&] { settle(stage.reactor()); });
  stage.insist("set_interest", [&] { watch.set_interest(Interest::readable); });
  collect();
  watch.reset();
  stage.outside([&] { pair = {}; });
  stage.end();
}

void wakes(Stage& stage) {
  stage.begin("wakes, from this thread, from another, and from three at once");
  const auto expect_wake = [&] {
    const auto start = std::chrono::steady_clock::now();
    stage.insist("run", [&] { stage.reactor().run_once(5s); });
    const bool early = std::chrono::steady_clock::now() - start < 5s;
    stage.say(early ? "    woken" : "    not woken");
  };
  stage.reactor().wake();
  expect_wake();
  stage.outside([&] { stage.reactor().wake(); });
  expect_wake();
  stage.outside([&] {
    std::vector<support::Thread> others;
    for (int i = 0; i < 3; ++i) {
      others.emplace_back([&] {
        for (int round = 0; round < 1000; ++round) stage.reactor().wake();
      });
    }
  });
  expect_wake();
  stage.end();
}

void play_all(Stage& stage) {
  for (const PairKind kind : {PairKind::tcp4, PairKind::unix_stream}) conversation(stage, kind);
  for (const PairKind kind : {PairKind::tcp4, PairKind::unix_stream}) pause(stage, kind);
  reset_behind_bytes(stage);
  reset_while_paused(stage);
  early_notice(stage);
  refusal(stage);
  second_watch(stage);
  pipes(stage);
  closed_under_its_watch(stage);
  crowd(stage);
  plain_readiness(stage);
  wakes(stage);
}

/// With a handler that does not ask for a restart, every signal cuts short the call it meets.
void deliver_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGURG, &action, nullptr);
}

}  // namespace

}  // namespace pollux::faults

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::signal(SIGPIPE, SIG_IGN);
  pollux::faults::deliver_signals();
  pollux::faults::Stage stage{argv[1]};
  ::getppid();  // a mark for the tracer: from here on
  pollux::faults::play_all(stage);
  ::getppid();  // up to here
  stage.print();
}

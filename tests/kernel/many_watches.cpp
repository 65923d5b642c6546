// SPDX-License-Identifier: MIT
// pollux_many_watches: one reactor with as many watches as there can be descriptors, on each
// backend. Every event is counted: each once, and none of another watch. And what it costs: a turn
// with few of them active, the memory, and to make the kernel's set anew.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <pollux/backends.hpp>
#include <pollux/reactor.hpp>

#include "conformance/support/pairs.hpp"
#include "conformance/support/system.hpp"
#include "support/each_backend.hpp"

namespace pollux::many {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using support::Handle;

struct Options {
  std::size_t watches = 1'000'000;
  std::string backend;  ///< empty: all
};

constexpr std::size_t few = 100;
constexpr auto patience = 120s;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

/// What a line of /proc/meminfo, or of another file like it, says.
double bytes_in(const char* file, const std::string& name) {
  std::ifstream lines{file};
  std::string word;
  double kib = 0;
  while (lines >> word) {
    if (word == name + ':' && lines >> kib) return kib * 1024;
  }
  return 0;
}

/// Of this process, and of all that the kernel has made.
struct Memory {
  double process = bytes_in("/proc/self/status", "VmRSS");
  double kernel = bytes_in("/proc/meminfo", "Slab");
};

/// All watches on one backend.
class ManyWatches {
 public:
  ManyWatches(std::string_view backend, std::size_t count) : reactor_{backend}, watched_(count) {
    std::cout << backend << ": " << count << " watches\n" << std::fixed << std::setprecision(2);
  }

  /// Whether all was well.
  bool run() {
    make_descriptors();
    make_watches();
    measure_turns();
    rebuild_in_a_child();
    rebuild_for_a_stale_registration();
    end_half();
    return well_;
  }

 private:
  struct Watched {
    Handle handle;
    Watch watch;
    std::uint32_t calls = 0;  ///< of its handler since check() has looked
  };

  void make_descriptors() {
    const Memory before;
    for (Watched& each : watched_) {
      each.handle = Handle{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
      if (!each.handle) throw std::system_error{errno, std::system_category(), "eventfd"};
    }
    const Memory after;
    std::cout << "  descriptors: " << per_watch(after.kernel - before.kernel)
              << " bytes each in the kernel\n";
  }

  void make_watches() {
    const Memory before;
    const auto start = Clock::now();
    for (Watched& each : watched_) {
      each.watch = reactor_.watch(each.handle.get(), Interest::readable,
                                  [this, &each](Readiness ready) { handle(each, ready); });
    }
    const double took = microseconds_since(start);
    const auto first = Clock::now();
    reactor_.poll();
    const double turn = microseconds_since(first);
    const Memory after;
    std::cout << "  watching: " << per_watch(took) << " us each, and a first turn of "
              << turn / 1000 << " ms; " << per_watch(after.process - before.process)
              << " bytes each in the process, " << per_watch(after.kernel - before.kernel)
              << " in the kernel\n"
              << std::flush;
    // A backend may put requests off until the loop has nothing else to do.
    const auto idle = Clock::now();
    for (int turns = 0; turns < 3; ++turns) reactor_.run_once(1ms);
    std::cout << "  the first 3 turns that sleep: " << microseconds_since(idle) / 1000 << " ms\n"
              << std::flush;
    check({}, "nothing is active");
  }

  void measure_turns() {
    const double idle = median_of_turns(0);
    std::cout << "  a turn: " << idle << " us with nothing active, " << median_of_turns(1)
              << " with one, " << median_of_turns(few) << " with " << few << '\n'
              << std::flush;
    const std::size_t many = watched_.size() / 10;
    // A wait brings so many reports, and some backends go through all registrations for it.
    const std::size_t turns = many / ReactorOptions{}.event_batch + 1;
    if (static_cast<double>(turns) * idle * 2 > std::chrono::microseconds{patience}.count()) {
      std::cout << "  not played: a tenth of them active, which takes " << turns << " turns\n";
      return;
    }
    const double took = activate(many);
    std::cout << "  a tenth of them active: " << took / static_cast<double>(many)
              << " us for each\n"
              << std::flush;
  }

  double median_of_turns(std::size_t active) {
    std::vector<double> took;
    const auto until = Clock::now() + 3s;
    while (took.size() < 3 || (took.size() < 1000 && Clock::now() < until))
      took.push_back(activate(active));
    std::ranges::sort(took);
    return took[took.size() / 2];
  }

  /// Makes so many readable, evenly chosen, and runs the loop until each was called: how long.
  double activate(std::size_t count) {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < count; ++i) {
      // Another one each time.
      chosen.push_back((i * (watched_.size() / count) + next_++) % watched_.size());
    }
    std::ranges::sort(chosen);
    const auto double_ones = std::ranges::unique(chosen);
    chosen.erase(double_ones.begin(), double_ones.end());
    std::erase_if(chosen, [&](std::size_t place) { return !watched_[place].watch; });
    for (const std::size_t place : chosen) ::eventfd_write(watched_[place].handle.get(), 1);
    const auto start = Clock::now();
    called_ = 0;
    do {
      reactor_.poll();
    } while (called_ < chosen.size() && Clock::now() < start + patience);
    const double took = microseconds_since(start);
    check(chosen, "some are active");
    return took;
  }

  void handle(Watched& each, Readiness ready) {
    ++called_;
    ++each.calls;
    eventfd_t value = 0;
    if (!ready.readable() || ::eventfd_read(each.handle.get(), &value) != 0)
      complain("a report of what is not true");
  }

  /// Whether these have been called, once each, and no other: also not in the next turn.
  void check(const std::vector<std::size_t>& chosen, std::string_view when) {
    reactor_.poll();
    const std::size_t called = called_;
    if (called != chosen.size())
      complain(std::string{when} + ": " + std::to_string(chosen.size()) + " calls are due, and " +
               std::to_string(called) + " have come");
    for (const std::size_t place : chosen) {
      if (watched_[place].calls != 1) complain("not called once: " + std::to_string(place));
      watched_[place].calls = 0;
    }
    called_ = 0;
  }

  void rebuild_in_a_child() {
    std::cout << std::flush;
    const bool child_is_well = support::run_forked([this] {
      const auto start = Clock::now();
      reactor_.after_fork();
      const double took = microseconds_since(start);
      reactor_.poll();
      const double with_turn = microseconds_since(start);
      std::cout << "  after a fork: " << took / 1000 << " ms, with the first turn "
                << with_turn / 1000 << " ms\n"
                << std::flush;
      activate(few);
      return well_;
    });
    if (!child_is_well) complain("in the child of a fork it went wrong");
    activate(few);
  }

  /// A descriptor is closed while its duplicate lives: epoll goes on reporting it, and cannot
  /// remove it any more.
  void rebuild_for_a_stale_registration() {
    Watched& closed = watched_[watched_.size() / 2];
    const Handle duplicate = support::duplicate(closed.handle);
    closed.handle.close();
    closed.watch.reset();
    const std::uint64_t rebuilds = reactor_.stats().rebuilds;
    ::eventfd_write(duplicate.get(), 1);
    const auto start = Clock::now();
    for (int turns = 0; turns < 3; ++turns) reactor_.poll();
    const double took = microseconds_since(start);
    std::cout << "  a stale registration: " << reactor_.stats().rebuilds - rebuilds
              << " rebuilds, 3 turns of " << took / 1000 << " ms in all\n"
              << std::flush;
    check({}, "behind a stale registration");
    activate(few);
  }

  /// The other half ends with the reactor.
  void end_half() {
    const auto start = Clock::now();
    for (std::size_t place = 0; place < watched_.size(); place += 2) watched_[place].watch.reset();
    reactor_.poll();
    const double took = microseconds_since(start);
    activate(few);
    std::cout << "  ending: " << took * 2 / static_cast<double>(watched_.size()) << " us each\n"
              << std::flush;
  }

  double per_watch(double all) const { return all / static_cast<double>(watched_.size()); }

  void complain(const std::string& what) {
    if (++complaints_ <= 5) std::cout << "  WRONG: " << what << '\n' << std::flush;
    well_ = false;
  }

  Reactor reactor_;
  std::vector<Watched> watched_;
  std::size_t called_ = 0;
  std::size_t next_ = 0;
  int complaints_ = 0;
  bool well_ = true;
};

/// Whether this process may have so many descriptors, and some for itself.
bool make_room(std::size_t descriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, descriptors + 100);
  limit.rlim_max = std::max(limit.rlim_max, limit.rlim_cur);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool run(std::string_view backend, std::size_t watches) try {
  const auto start = Clock::now();
  const bool well = ManyWatches{backend, watches}.run();
  std::cout << "  " << (well ? "well" : "not well") << ", " << microseconds_since(start) / 1e6
            << " s\n"
            << std::flush;
  return well;
} catch (const std::exception& failure) {
  std::cout << "  not well: " << failure.what() << '\n' << std::flush;
  return false;
}

/// Each in a process of its own, which has nothing of the memory of others.
bool run(const Options& options) {
  if (!make_room(options.watches)) {
    std::cout << "this process may not have " << options.watches << " descriptors\n";
    return false;
  }
  return support::on_each_backend(options.backend, [&](const BackendInfo& backend) {
    std::cout << std::flush;
    return support::run_forked([&] { return run(backend.name, options.watches); });
  });
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--backend") {
      options.backend = argv[i + 1];
    } else if (option == "--watches") {
      char* end = nullptr;
      options.watches = static_cast<std::size_t>(std::strtoull(argv[i + 1], &end, 10));
      if (*end != '\0' || options.watches < 2 * few) return false;
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

}  // namespace

}  // namespace pollux::many

int main(int argc, char** argv) try {
  pollux::many::Options options;
  if (!pollux::many::parse(argc, argv, options)) {
    std::cerr << "usage: pollux_many_watches [--backend NAME] [--watches N], 200 at least\n";
    return 2;
  }
  return pollux::many::run(options) ? 0 : 1;
} catch (const std::exception& failure) {
  std::cerr << "pollux_many_watches: " << failure.what() << '\n';
  return 1;
}

// SPDX-License-Identifier: MIT
// pollux_soak: many connections on each backend, with everything at random that can happen to one,
// and every event held against the contract. What is left behind at the end is counted.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <pollux/backends.hpp>
#include <pollux/reactor.hpp>

#include "conformance/support/system.hpp"
#include "soak/connection.hpp"
#include "soak/resources.hpp"
#include "support/each_backend.hpp"

namespace pollux::soak {

namespace {

using namespace std::chrono_literals;
using support::Handle;
using support::Pair;
using support::PairKind;

struct Options {
  std::uint64_t connections = 40'000;
  std::uint64_t seed = 0;
  std::size_t wave = 300;  ///< so many are open at a time, at most
  std::chrono::milliseconds patience = 10s;
  std::uint64_t breaches = 10;  ///< after so many it is given up
  bool mistakes = false;
  bool lossy = false;   ///< packets are lost on the way, and TCP repeats no reset
  std::string backend;  ///< empty: all
};

constexpr std::uint64_t listener_lasts = 4096;  ///< connections
constexpr long heap_margin_kib = 256;
constexpr long resident_margin_kib = 16 * 1024;

/// Accepts the connections; a new address now and then, or TIME_WAIT would use the ports up.
class Door {
 public:
  explicit Door(PairKind kind) : kind_{kind}, listener_{support::make_listener(kind)} {}

  void note_address(Addresses& addresses) const {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&storage), &size);
    if (kind_ == PairKind::tcp4) {
      addresses.tcp_ports.insert(ntohs(reinterpret_cast<sockaddr_in&>(storage).sin_port));
    } else {  // an abstract name: it begins with a zero, shown as @
      const auto& path = reinterpret_cast<sockaddr_un&>(storage).sun_path;
      const std::size_t length = size - offsetof(sockaddr_un, sun_path);
      addresses.unix_names.insert('@' + std::string(path + 1, length - 1));
    }
  }

  /// Either end may be the one that is watched.
  Pair connect(bool accepted_is_local) const {
    Handle one = support::start_connect(kind_, listener_);
    Handle other = support::accept_one(listener_);
    if (accepted_is_local) std::swap(one, other);
    return {std::move(one), std::move(other)};
  }

 private:
  PairKind kind_;
  Handle listener_;
};

void make_buffers_small(const Pair& ends) {
  for (const Handle* end : {&ends.local, &ends.peer}) {
    const int size = 16384;
    ::setsockopt(end->get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
}

/// A reset that was lost is sent again to whoever asks. Nobody gives up meanwhile.
void make_curious(const Pair& ends) {
  for (const Handle* end : {&ends.local, &ends.peer}) support::keep_alive(*end, 100);
}

/// All connections on one backend.
class Soak {
 public:
  Soak(const BackendInfo& backend, const Options& options)
      : name_{backend.name},
        options_{options},
        random_{options.seed},
        reactor_{backend.name},
        common_{
            .reactor = reactor_,
            .patience = options.patience,
            .mistakes = options.mistakes,
            .meddle = [this](const Connection& from) { meddle(from); },
            .report = [this](const Connection& by, std::string_view what) { report(by, what); }} {}

  /// Whether all was well.
  bool run() {
    const auto start = std::chrono::steady_clock::now();
    open_doors();
    // So that what is allocated once, and for good, is there.
    run_until(std::min<std::uint64_t>(options_.connections / 4, 4 * options_.wave));
    let_go();
    const Resources before = resources(addresses_);
    run_until(options_.connections);
    Resources after = let_go(before);
    compare(before, after);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cout << name_ << ": " << opened_ << " connections (";
    for (std::size_t kind = 0; kind < kinds; ++kind)
      std::cout << (kind == 0 ? "" : ", ") << to_string(static_cast<Kind>(kind)) << ' '
                << of_kind_[kind];
    std::cout << "), " << common_.turn << " turns, " << common_.events << " events, "
              << common_.bytes / 1'000'000 << " MB; descriptors " << before.descriptors << " -> "
              << after.descriptors << ", sockets " << after.sockets << ", heap " << before.heap_kib
              << " -> " << after.heap_kib << " KiB, resident " << before.resident_kib << " -> "
              << after.resident_kib << " KiB; " << breaches_ << " breaches, " << took.count()
              << " s\n"
              << std::flush;
    return breaches_ == 0;
  }

 private:
  void open_doors() {
    tcp_ = std::make_unique<Door>(PairKind::tcp4);
    unix_ = std::make_unique<Door>(PairKind::unix_stream);
    tcp_->note_address(addresses_);
    unix_->note_address(addresses_);
  }

  std::unique_ptr<Connection> open() {
    if (opened_ % listener_lasts == listener_lasts - 1) open_doors();
    const std::size_t roll = random_.below(100);
    const Kind kind = roll < 45   ? Kind::tcp
                      : roll < 75 ? Kind::unix_stream
                      : roll < 90 ? Kind::pipe_in
                                  : Kind::pipe_out;
    Pair ends;
    if (kind == Kind::pipe_in || kind == Kind::pipe_out) {
      ends = support::make_pair(PairKind::pipe);
      if (random_.chance(50)) ::fcntl(ends.local.get(), F_SETPIPE_SZ, 4096);
      if (kind == Kind::pipe_out) std::swap(ends.local, ends.peer);
    } else {
      ends = (kind == Kind::tcp ? tcp_ : unix_)->connect(random_.chance(50));
      make_buffers_small(ends);
      if (kind == Kind::tcp) support::set_no_delay(ends.local);
      if (kind == Kind::tcp) support::set_no_delay(ends.peer);
      if (kind == Kind::tcp && options_.lossy) make_curious(ends);
    }
    ++of_kind_[static_cast<std::size_t>(kind)];
    return std::make_unique<Connection>(common_, kind, opened_++, options_.seed, std::move(ends));
  }

  void run_until(std::uint64_t count) {
    std::size_t target = options_.wave;
    std::size_t pace = options_.wave;
    while (opened_ < count || !live_.empty()) {
      if (breaches_ >= options_.breaches) return live_.clear();
      // Many at a time, and few, so that the loop also sleeps; and much between two turns, or
      // little.
      const auto up_to_a_wave = [&] {
        return 1 + random_.below(options_.wave) / (1 + 20 * random_.below(2));
      };
      if (random_.chance(1)) target = up_to_a_wave();
      if (random_.chance(3)) pace = 1 + up_to_a_wave();
      while (live_.size() < target && opened_ < count) live_.push_back(open());
      const std::uint64_t events = common_.events;
      for (std::size_t steps = random_.below(pace); steps > 0; --steps)
        step(random_.below(live_.size()), count);
      const bool idle = common_.events == events &&
                        std::ranges::all_of(live_, [](const auto& c) { return c->is_waiting(); });
      turn(idle);
      std::erase_if(live_, [](const auto& c) { return c->done(); });
    }
  }

  /// A connection that is over gives its place, and its numbers, to a new one at once.
  void step(std::size_t place, std::uint64_t count) {
    std::unique_ptr<Connection>& chosen = live_[place];
    chosen->step();
    if (!chosen->done() || opened_ >= count || common_.dispatching) return;
    chosen.reset();
    chosen = open();
  }

  /// Turns come at random places between the operations, and some of them sleep.
  void turn(bool idle) {
    ++common_.turn;
    common_.dispatching = true;
    std::error_code error;
    if (random_.chance(5)) {
      reactor_.post([this, place = random_.below(options_.wave)] {
        if (place < live_.size()) live_[place]->step();
      });
    }
    if (idle) {
      reactor_.run_once(5ms, error);
    } else if (random_.chance(70)) {
      reactor_.poll(error);
    } else {
      reactor_.run_once(std::chrono::microseconds{random_.below(300)}, error);
    }
    common_.dispatching = false;
    if (error) breach("the loop answered " + error.message());
  }

  void meddle(const Connection& from) {
    const auto& chosen = live_[random_.below(live_.size())];
    if (chosen.get() != &from) chosen->step();
  }

  /// Turns the loop until nothing is left of the connections, or patience is at its end.
  Resources let_go(const Resources& before = {}) {
    const auto until = std::chrono::steady_clock::now() + options_.patience;
    Resources now;
    do {
      reactor_.run_for(10ms);
      now = resources(addresses_);
    } while ((now.sockets > doors ||
              (before.descriptors != 0 && now.descriptors > before.descriptors)) &&
             std::chrono::steady_clock::now() < until);
    return now;
  }

  void compare(const Resources& before, const Resources& after) {
    const auto ask = [&](bool well, std::string_view what, auto was, auto is) {
      if (!well)
        breach(std::string{what} + ": " + std::to_string(was) + " -> " + std::to_string(is));
    };
    ask(after.descriptors == before.descriptors, "descriptors are left", before.descriptors,
        after.descriptors);
    ask(after.sockets <= doors, "sockets are left", doors, after.sockets);
    ask(after.heap_kib <= before.heap_kib + heap_margin_kib, "the heap has grown (KiB)",
        before.heap_kib, after.heap_kib);
    ask(after.resident_kib <= before.resident_kib + resident_margin_kib,
        "the process has grown (KiB)", before.resident_kib, after.resident_kib);
  }

  void report(const Connection& by, std::string_view what) {
    breach("connection " + std::to_string(by.index()) + ", " + std::string{to_string(by.kind())} +
           ": " + std::string{what} + "\n    " + by.history());
  }

  void breach(const std::string& what) {
    ++breaches_;
    std::cout << name_ << ": " << what << "\n    again: --backend " << name_ << " --seed "
              << options_.seed << " --connections " << options_.connections << " --wave "
              << options_.wave << (options_.mistakes ? " --mistakes" : "")
              << (options_.lossy ? " --lossy" : "") << '\n'
              << std::flush;
  }

  static constexpr std::size_t doors = 2;  ///< the listeners themselves

  std::string_view name_;
  const Options& options_;
  Random random_;
  Reactor reactor_;
  Common common_;
  Addresses addresses_;
  std::unique_ptr<Door> tcp_;
  std::unique_ptr<Door> unix_;
  std::vector<std::unique_ptr<Connection>> live_;
  std::uint64_t opened_ = 0;
  std::uint64_t of_kind_[kinds] = {};
  std::uint64_t breaches_ = 0;
};

constexpr std::string_view usage =
    "usage: pollux_soak [--backend NAME] [--connections N] [--seed N] [--wave N] [--patience "
    "SECONDS] [--mistakes] [--lossy]\n";

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if (option == "--mistakes" || option == "--lossy") {
      (option == "--lossy" ? options.lossy : options.mistakes) = true;
      --i;
      continue;
    }
    if (i + 1 == argc) return false;
    const std::string value = argv[i + 1];
    if (option == "--backend") {
      options.backend = value;
      continue;
    }
    char* end = nullptr;
    const auto number = static_cast<std::size_t>(std::strtoull(value.c_str(), &end, 10));
    if (*end != '\0' || number == 0) return false;
    if (option == "--connections") {
      options.connections = number;
    } else if (option == "--seed") {
      options.seed = number;
    } else if (option == "--wave") {
      options.wave = number;
    } else if (option == "--breaches") {
      options.breaches = number;
    } else if (option == "--patience") {
      options.patience = std::chrono::seconds{number};
    } else {
      return false;
    }
  }
  return true;
}

int run(const Options& options) {
  std::cout << "seed " << options.seed << '\n';
  const bool well = support::on_each_backend(options.backend, [&](const BackendInfo& backend) {
    const std::size_t descriptors = support::open_descriptors();
    const bool went_well = Soak{backend, options}.run();
    if (support::open_descriptors() == descriptors) return went_well;
    std::cout << backend.name << ": the reactor has left a descriptor open\n";
    return false;
  });
  return well ? 0 : 1;
}

}  // namespace

}  // namespace pollux::soak

int main(int argc, char** argv) try {
  pollux::soak::Options options;
  options.seed = std::random_device{}();
  if (!pollux::soak::parse(argc, argv, options)) {
    std::cerr << pollux::soak::usage;
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);  // pipes have no MSG_NOSIGNAL
  return pollux::soak::run(options);
} catch (const std::exception& failure) {
  std::cerr << "pollux_soak: " << failure.what() << '\n';
  return 1;
}

// SPDX-License-Identifier: MIT
// What the benchmarks share: the loops that are compared, and how a workload becomes one row a
// loop.
#pragma once

#include <array>
#include <cerrno>
#include <deque>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/epoll.h>

#include <benchmark/benchmark.h>

#include <pollux/backends.hpp>
#include <pollux/reactor.hpp>

#include "support/pairs.hpp"

namespace pollux::bench {

// One function a topic; each registers its rows.
void register_ping_pong();
void register_idle();

/// Passes on what a system call returned; throws if it failed.
template <class Result>
Result checked(Result result, const char* what) {
  if (result < 0) throw std::system_error{errno, std::system_category(), what};
  return result;
}

// The loops. Each has watch(handle, on_readable), run(), and stop() for the handlers to call.
// `on_readable` belongs to the workload and stays where it is for as long as the loop runs; the
// descriptors stay open for as long as the loop lives.

class PolluxLoop {
 public:
  explicit PolluxLoop(std::string_view backend) : reactor_{backend} {}
  void run() { reactor_.run(); }
  void stop() { reactor_.stop(); }

 protected:
  Reactor reactor_;
};

/// Plain readiness watches.
class ReadinessLoop : public PolluxLoop {
 public:
  using PolluxLoop::PolluxLoop;

  template <class F>
  void watch(NativeHandle handle, F& on_readable) {
    watches_.push_back(
        reactor_.watch(handle, Interest::readable, [&on_readable](Readiness) { on_readable(); }));
  }

 private:
  std::vector<Watch> watches_;
};

/// Stream watches, with their whole lifecycle.
class StreamLoop : public PolluxLoop {
 public:
  using PolluxLoop::PolluxLoop;

  template <class F>
  void watch(NativeHandle handle, F& on_readable) {
    watches_.push_back(
        reactor_.watch_stream(handle, Interest::readable, [&on_readable](const StreamEvent& event) {
          if (event.readable()) on_readable();
        }));
  }

 private:
  std::vector<StreamWatch> watches_;
};

/// What the raw loops call: a function and its data, as hand-written C has it.
struct RawHandler {
  void (*call)(void* self);
  void* self;
};

template <class F>
RawHandler raw_handler(F& function) {
  return {[](void* self) { (*static_cast<F*>(self))(); }, &function};
}

/// epoll by hand, level-triggered.
class RawEpollLoop {
 public:
  template <class F>
  void watch(int handle, F& on_readable) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &handlers_.emplace_back(raw_handler(on_readable));
    checked(::epoll_ctl(set_.get(), EPOLL_CTL_ADD, handle, &event), "epoll_ctl");
  }
  void run();
  void stop() { stopped_ = true; }

 private:
  support::Handle set_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  std::deque<RawHandler> handlers_;  // which stay where they are
  bool stopped_ = false;
};

/// poll by hand, on an array that stays as it is.
class RawPollLoop {
 public:
  template <class F>
  void watch(int handle, F& on_readable) {
    polled_.push_back({handle, POLLIN, 0});
    handlers_.push_back(raw_handler(on_readable));
  }
  void run();
  void stop() { stopped_ = true; }

 private:
  std::vector<pollfd> polled_;
  std::vector<RawHandler> handlers_;  // beside it
  bool stopped_ = false;
};

/// Says in the head of the results, the JSON ones too, that a row is missing, and why.
inline void leave_out(const std::string& row, const std::string& why) {
  benchmark::AddCustomContext("left out: " + row, why);
}

/// Registers `<topic>/<backend><suffix>` for each backend. `workload(state, make_loop)` makes its
/// loop after its descriptors, so that the loop goes first.
template <class Loop, class Workload>
void register_backends(const std::string& topic, Workload workload,
                       const std::string& suffix = {}) {
  for (const BackendInfo& backend : backends()) {
    const std::string row = topic + "/" + std::string{backend.name} + suffix;
    if (std::error_code error; !usable(backend, error)) {
      leave_out(row, error.message());
      continue;
    }
    benchmark::RegisterBenchmark(row.c_str(), [workload, backend](benchmark::State& state) {
      workload(state, [&backend] { return Loop{backend.name}; });
    });
  }
}

/// Registers `<topic>/raw_epoll` and `<topic>/raw_poll`.
template <class Workload>
void register_raw(const std::string& topic, Workload workload) {
  benchmark::RegisterBenchmark((topic + "/raw_epoll").c_str(), [workload](benchmark::State& state) {
    workload(state, [] { return RawEpollLoop{}; });
  });
  benchmark::RegisterBenchmark((topic + "/raw_poll").c_str(), [workload](benchmark::State& state) {
    workload(state, [] { return RawPollLoop{}; });
  });
}

}  // namespace pollux::bench

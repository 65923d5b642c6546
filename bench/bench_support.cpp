// SPDX-License-Identifier: MIT
// The turns of the hand-written loops, and the program.
#include "bench_support.hpp"

namespace pollux::bench {

void RawEpollLoop::run() {
  std::array<epoll_event, 512> events;
  while (!stopped_) {
    const int count = ::epoll_wait(set_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (count < 0 && errno != EINTR) checked(count, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      const auto* handler = static_cast<RawHandler*>(events[static_cast<std::size_t>(i)].data.ptr);
      handler->call(handler->self);
    }
  }
}

void RawPollLoop::run() {
  while (!stopped_) {
    int left = ::poll(polled_.data(), static_cast<nfds_t>(polled_.size()), -1);
    if (left < 0 && errno != EINTR) checked(left, "poll");
    for (std::size_t i = 0; left > 0; ++i) {
      if (polled_[i].revents == 0) continue;
      --left;
      handlers_[i].call(handlers_[i].self);
    }
  }
}

}  // namespace pollux::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  pollux::bench::register_ping_pong();
  pollux::bench::register_idle();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}

// SPDX-License-Identifier: MIT
// Threads compute, and the loop's thread has what comes of it: nothing needs a lock.
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include <pollux/pollux.hpp>

std::uint64_t sum_up_to(std::uint64_t n) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 1; i <= n; ++i) sum += i;
  return sum;
}

int main() {
  constexpr std::size_t count = 4;
  pollux::Reactor reactor;
  std::vector<std::uint64_t> results;  // of the loop's thread alone

  std::vector<std::thread> workers;
  for (std::size_t i = 1; i <= count; ++i) {
    // A Poster may outlive the reactor: what is posted then is refused, and nothing is touched.
    workers.emplace_back([&, i, poster = reactor.poster()] {
      poster.post([&, sum = sum_up_to(i * 1000)] {
        results.push_back(sum);
        if (results.size() == count) reactor.stop();
      });
    });
  }
  reactor.run();

  for (std::thread& worker : workers) worker.join();
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%zu results, %llu together\n", results.size(), static_cast<unsigned long long>(sum));
}

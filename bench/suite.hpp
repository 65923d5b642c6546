// SPDX-License-Identifier: MIT
// The rows that there are, and the ways to run them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "meter.hpp"

namespace pollux::bench {

/// What a row is timed by.
enum class Time { cpu, wall, by_hand };

struct Row {
  std::string name;  ///< "W1.unix/epoll": workload and loop
  Time time;
  std::function<void(Meter&)> run;
  std::string whose{};  ///< the loop is pollux's, raw, or a peer's
};

struct LeftOut {
  std::string name;
  std::string why;
};

class Suite {
 public:
  /// Takes the rows that `from` adds, all of loops that are `whose`.
  void gather(const char* whose, void (*from)(Suite& suite));

  void add(Row row);
  /// A row that is missing, or a loop with all its rows.
  void leave_out(std::string name, std::string why) {
    left_out_.push_back({std::move(name), std::move(why)});
  }

  /// Adds it, or leaves it out if so many descriptors are more than this process may open.
  void add_if_fits(std::size_t descriptors, Row row);

  /// What pollux::bench::run() does.
  int run(int argc, char** argv) const;

 private:
  const Row* find(const std::string& name) const;
  int run_benchmarks(int argc, char** argv) const;
  int list() const;

  const rlim_t descriptor_limit_ = raise_descriptor_limit();
  const char* whose_ = "";
  std::vector<Row> rows_;
  std::vector<LeftOut> left_out_;
};

/// Another library's loop: as a global object in a program that links it, its rows are gathered as
/// well.
class Peer {
 public:
  explicit Peer(void (*gather)(Suite& suite));
};

}  // namespace pollux::bench

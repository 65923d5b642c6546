// SPDX-License-Identifier: MIT
// The meters of one cell: several chunks in one process, set up once; and one counted section.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "meter.hpp"

namespace pollux::bench {

/// What an operation has taken.
struct Taken {
  double cpu_ns = 0;
  double wall_ns = 0;
};

class CellMeter : public Meter {
 public:
  void pause() override { stop(); }
  void resume() override { start(); }
  void took(std::chrono::nanoseconds time) override { by_hand_ += time; }
  void report(const std::string& name, double value) override { values_.emplace(name, value); }

  /// Of the last chunk; of all that were measured.
  std::uint64_t operations() const { return operations_; }
  /// One line of JSON. `row` is its name.
  std::string json(const std::string& row) const;

 protected:
  virtual void start();
  virtual void stop();
  /// The next chunk is to be so many operations, in steps of `step`: gives out the first step.
  void give(std::uint64_t operations, std::uint64_t step);
  Taken taken() const;
  double share_of(std::chrono::nanoseconds chunk) const;
  void forget();

  std::chrono::nanoseconds wall_{};
  std::chrono::nanoseconds cpu_{};
  std::uint64_t counted_ = 0;
  std::uint64_t operations_ = 0;
  std::vector<Taken> chunks_;

 private:
  std::chrono::nanoseconds by_hand_{};
  std::chrono::steady_clock::time_point wall_start_;
  std::chrono::nanoseconds cpu_start_{};
  std::uint64_t calls_start_ = 0;
  std::map<std::string, double> values_;
};

struct CellOptions {
  std::uint64_t chunks = 8;
  std::chrono::milliseconds chunk{8};
  std::chrono::milliseconds budget{600};  ///< all chunks, but for three
};

/// Finds out how many operations make a chunk, then takes some of those.
class ChunkMeter final : public CellMeter {
 public:
  explicit ChunkMeter(const CellOptions& options) : options_{options} {}

 private:
  bool next(std::uint64_t step) override;

  CellOptions options_;
  bool started_ = false;
  bool calibrated_ = false;
  std::chrono::steady_clock::time_point since_;
};

/// Some operations to warm up, and then exactly so many as are asked for, or up to a whole batch,
/// between two marks that a tracer can see.
class MarkedMeter final : public CellMeter {
 public:
  explicit MarkedMeter(std::uint64_t operations) : wanted_{operations} {}

  bool unhurried() const override { return true; }

 private:
  void start() override;
  void stop() override;
  bool next(std::uint64_t step) override;

  std::uint64_t wanted_;
  enum class Stage { fresh, warming, counting } stage_ = Stage::fresh;
};

}  // namespace pollux::bench

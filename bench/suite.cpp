// SPDX-License-Identifier: MIT
#include "suite.hpp"

#include <charconv>
#include <exception>
#include <iostream>
#include <optional>
#include <string_view>

#include <benchmark/benchmark.h>

#include <pollux/testing/bench.hpp>

#include "cell_meter.hpp"
#include "loops/loops.hpp"

namespace pollux::bench {

namespace {

/// Google Benchmark's state.
class StateMeter final : public Meter {
 public:
  explicit StateMeter(benchmark::State& state) : state_{state} {}

  void pause() override {
    state_.PauseTiming();
    stop();
  }
  void resume() override {
    start();
    state_.ResumeTiming();
  }
  void took(std::chrono::nanoseconds time) override { by_hand_ += time; }
  void report(const std::string& name, double value) override { state_.counters[name] = value; }

 private:
  bool next(std::uint64_t count) override {
    if (running_) stop();
    // Single operations are given out all at once, so that each costs a comparison. Google
    // Benchmark looks at the time taken by hand when the last has been asked for.
    const auto all = static_cast<std::uint64_t>(state_.max_iterations);
    if (running_ && by_hand_.count() != 0)
      state_.SetIterationTime(std::chrono::duration<double>(by_hand_).count());
    const std::uint64_t batch = count == 1 ? all : count;
    running_ = state_.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch));
    if (!running_) {
      if (counts_calls()) {
        state_.counters["calls"] =
            static_cast<double>(counted_) / static_cast<double>(state_.iterations());
      }
      return false;
    }
    left_ = batch - count;
    start();
    return true;
  }

  void start() { calls_start_ = calls(); }
  void stop() { counted_ += calls() - calls_start_; }

  benchmark::State& state_;
  std::chrono::nanoseconds by_hand_{};
  std::uint64_t calls_start_ = 0;
  std::uint64_t counted_ = 0;
  bool running_ = false;
};

/// What comes behind `flag` in one of the arguments.
std::optional<std::string> value_of(std::string_view flag, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument{argv[i]};
    if (argument.starts_with(flag)) return std::string{argument.substr(flag.size())};
  }
  return std::nullopt;
}

template <class Number>
Number number_of(std::string_view flag, Number otherwise, int argc, char** argv) {
  const auto text = value_of(flag, argc, argv);
  if (!text) return otherwise;
  Number number{};
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != text->data() + text->size() || number == 0)
    throw std::invalid_argument{std::string{flag} + *text};
  return number;
}

CellOptions cell_options(int argc, char** argv) {
  CellOptions options;
  options.chunks = number_of("--chunks=", options.chunks, argc, argv);
  options.chunk =
      std::chrono::milliseconds{number_of("--chunk-ms=", options.chunk.count(), argc, argv)};
  options.budget =
      std::chrono::milliseconds{number_of("--budget-ms=", options.budget.count(), argc, argv)};
  return options;
}

std::vector<void (*)(Suite&)>& peers() {
  static std::vector<void (*)(Suite&)> gatherers;
  return gatherers;
}

void measure(const Row& row, CellMeter&& meter) {
  row.run(meter);
  std::cout << meter.json(row.name) << '\n';
}

}  // namespace

void Suite::gather(const char* whose, void (*from)(Suite& suite)) {
  whose_ = whose;
  from(*this);
}

void Suite::add(Row row) {
  row.whose = whose_;
  rows_.push_back(std::move(row));
}

void Suite::add_if_fits(std::size_t descriptors, Row row) {
  constexpr std::size_t others = 64;  // the loop's own, and whatever this process was started with
  if (descriptors + others <= descriptor_limit_) {
    add(std::move(row));
  } else {
    leave_out(row.name, "the limit of open files is " + std::to_string(descriptor_limit_));
  }
}

const Row* Suite::find(const std::string& name) const {
  for (const Row& row : rows_) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

int Suite::list() const {
  for (const Row& row : rows_)
    std::cout << row.name << (row.time == Time::cpu ? "\tcpu\t" : "\twall\t") << row.whose << '\n';
  for (const LeftOut& row : left_out_) std::cout << row.name << "\tleft out: " << row.why << '\n';
  return 0;
}

int Suite::run_benchmarks(int argc, char** argv) const {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  bool failed = false;
  for (const Row& row : rows_) {
    auto* registered =
        benchmark::RegisterBenchmark(row.name.c_str(), [&row, &failed](benchmark::State& state) {
          try {
            StateMeter meter{state};
            row.run(meter);
          } catch (const std::exception& error) {
            failed = true;
            state.SkipWithError(error.what());
          }
        });
    if (row.time == Time::wall) registered->UseRealTime();
    if (row.time == Time::by_hand) registered->UseManualTime();
  }
  for (const LeftOut& row : left_out_)
    benchmark::AddCustomContext("left out: " + row.name, row.why);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return failed ? 1 : 0;
}

int Suite::run(int argc, char** argv) const try {
  if (value_of("--rows", argc, argv)) return list();
  const auto name = value_of("--row=", argc, argv);
  if (!name) return run_benchmarks(argc, argv);
  const Row* row = find(*name);
  if (row == nullptr) throw std::invalid_argument{"there is no row " + *name};
  if (value_of("--exactly=", argc, argv)) {
    measure(*row, MarkedMeter{number_of<std::uint64_t>("--exactly=", 0, argc, argv)});
  } else {
    measure(*row, ChunkMeter{cell_options(argc, argv)});
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}

Peer::Peer(void (*gather)(Suite& suite)) {
  peers().push_back(gather);
}

int run(int argc, char** argv) {
  Suite suite;
  suite.gather("pollux", gather_pollux);
  suite.gather("raw", gather_raw);
  for (const auto gather : peers()) suite.gather("peer", gather);
  return suite.run(argc, argv);
}

}  // namespace pollux::bench

// SPDX-License-Identifier: MIT
#include "cell_meter.hpp"

#include <algorithm>
#include <ctime>
#include <sstream>

#include <unistd.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#endif

namespace pollux::bench {

namespace {

std::chrono::nanoseconds cpu_time() {
  timespec time{};
  checked(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), "clock_gettime");
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

}  // namespace

void CellMeter::start() {
  calls_start_ = calls();
  wall_start_ = std::chrono::steady_clock::now();
  cpu_start_ = cpu_time();
}

void CellMeter::stop() {
  cpu_ += cpu_time() - cpu_start_;
  wall_ += std::chrono::steady_clock::now() - wall_start_;
  counted_ += calls() - calls_start_;
}

void CellMeter::forget() {
  cpu_ = wall_ = by_hand_ = {};
  counted_ = 0;
}

void CellMeter::give(std::uint64_t operations, std::uint64_t step) {
  operations_ = (std::max(operations, step) + step - 1) / step * step;
  left_ = operations_ - step;
}

Taken CellMeter::taken() const {
  const auto each = [this](std::chrono::nanoseconds time) {
    return static_cast<double>(time.count()) / static_cast<double>(operations_);
  };
  return {each(cpu_), each(by_hand_.count() != 0 ? by_hand_ : wall_)};
}

std::string CellMeter::json(const std::string& row) const {
  std::ostringstream out;
  out.precision(12);
  const auto list = [&](const char* name, double Taken::*which) {
    out << ",\"" << name << "\":[";
    for (std::size_t i = 0; i < chunks_.size(); ++i)
      out << (i == 0 ? "" : ",") << chunks_[i].*which;
    out << ']';
  };
  out << "{\"row\":\"" << row << "\",\"operations\":" << operations_;
  list("cpu_ns", &Taken::cpu_ns);
  list("wall_ns", &Taken::wall_ns);
  if (counts_calls()) out << ",\"calls\":" << counted_;
  for (const auto& [name, value] : values_) out << ",\"" << name << "\":" << value;
  out << '}';
  return out.str();
}

/// How much of a chunk this one was. The less of the two clocks: what passes on the wall while
/// others run says nothing.
double CellMeter::share_of(std::chrono::nanoseconds chunk) const {
  return static_cast<double>(std::min(wall_, cpu_).count()) / static_cast<double>(chunk.count());
}

bool ChunkMeter::next(std::uint64_t step) {
  if (!started_) {
    started_ = true;
    since_ = std::chrono::steady_clock::now();
    give(step, step);
    start();
    return true;
  }
  stop();
  if (calibrated_) {
    chunks_.push_back(taken());
    const bool spent = std::chrono::steady_clock::now() - since_ > options_.budget;
    if (chunks_.size() >= options_.chunks || (spent && chunks_.size() >= 3)) return false;
    give(operations_, step);
  } else if (const double share = share_of(options_.chunk); share < 0.25) {
    give(operations_ * 4, step);  // which also warms up
  } else {
    give(static_cast<std::uint64_t>(static_cast<double>(operations_) / share), step);
    calibrated_ = true;
  }
  forget();
  start();
  return true;
}

void MarkedMeter::start() {
  CellMeter::start();
  if (stage_ != Stage::counting) return;
  ::getppid();
  CALLGRIND_TOGGLE_COLLECT;
}

void MarkedMeter::stop() {
  if (stage_ == Stage::counting) {
    CALLGRIND_TOGGLE_COLLECT;
    ::getppid();
  }
  CellMeter::stop();
}

bool MarkedMeter::next(std::uint64_t step) {
  if (stage_ != Stage::fresh) stop();
  if (stage_ == Stage::counting) {
    chunks_.push_back(taken());
    return false;
  }
  const bool warm = stage_ == Stage::warming;
  stage_ = warm ? Stage::counting : Stage::warming;
  give(warm ? wanted_ : step == 1 ? 200 : step, step);
  forget();
  start();
  return true;
}

}  // namespace pollux::bench

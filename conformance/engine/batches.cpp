// SPDX-License-Identifier: MIT
#include "conformance/engine/batches.hpp"

#include <algorithm>
#include <random>

#include "conformance/engine/connections.hpp"
#include "conformance/engine/explorer.hpp"

namespace pollux::differential {

namespace {

std::vector<Op> operations(const Plan& plan, Kind kind, bool core) {
  std::vector<Op> ops;
  for (std::size_t i = 0; i < op_count; ++i) {
    const auto op = static_cast<Op>(i);
    if (!applies(kind, op) || !why_unavailable(kind, op).empty()) continue;
    if (std::ranges::find(plan.left_out, op) != plan.left_out.end()) continue;
    if (is_core(kind, op) || !core) ops.push_back(op);
  }
  return ops;
}

constexpr std::uint32_t at_first = 1;
constexpr std::uint32_t at_every_second = 0x55555555;

/// Where the loop runs in between: at first, so that the kernel has been asked before anything
/// happens, and then after every second operation, in both phases.
std::vector<std::uint32_t> turns_within(unsigned length) {
  const std::uint32_t all = (std::uint32_t{1} << length) - 1;
  std::vector<std::uint32_t> turns{at_every_second & all};
  if (length > 2) turns.push_back((at_every_second << 1 | at_first) & all);
  return turns;
}

/// All histories of up to `depth` of these operations, at every pace.
void add_all(std::vector<Batch>& to, Kind kind, const std::vector<Op>& ops, unsigned depth) {
  std::uint64_t count = 1;
  for (unsigned length = 0; length <= depth; ++length, count *= ops.size()) {
    to.push_back({kind, Pace::at_end, ops, length, false, count});
    if (length == 3) to.push_back({kind, Pace::marked, ops, length, false, count, 0, at_first});
    // Where the loop runs in between, a shorter history is the beginning of a longer one.
    if (length < depth) continue;
    to.push_back({kind, Pace::each, ops, length, false, count});
    for (const std::uint32_t turns : turns_within(length))
      to.push_back({kind, Pace::marked, ops, length, false, count, 0, turns});
  }
}

}  // namespace

History Batch::at(std::uint64_t number) const {
  History history = random ? drawn(number) : sequence(number);
  keep_what_goes_together(history);
  return history;
}

History Batch::sequence(std::uint64_t number) const {
  History history{kind, pace, {}};
  for (unsigned i = 0; i < length; ++i) {
    if ((turns >> i & 1) != 0) history.ops.push_back(Op::turn);
    history.ops.push_back(ops[static_cast<std::size_t>(number % ops.size())]);
    number /= ops.size();
  }
  return history;
}

History Batch::drawn(std::uint64_t number) const {
  std::seed_seq sequence{seed, number, static_cast<std::uint64_t>(kind),
                         static_cast<std::uint64_t>(pace)};
  std::mt19937_64 generator{sequence};
  History history{kind, pace, {}};
  const auto left = 1 + generator() % length;
  if (pace == Pace::marked && generator() % 4 != 0) history.ops.push_back(Op::turn);
  for (std::uint64_t i = 0; i < left; ++i) {
    history.ops.push_back(ops[static_cast<std::size_t>(generator() % ops.size())]);
    if (pace == Pace::marked && generator() % 5 < 2) history.ops.push_back(Op::turn);
  }
  return history;
}

unsigned depth_for(unsigned depth, Kind kind) {
  return depth - std::min<unsigned>(depth, shape(kind).shorter);
}

std::vector<Batch> batches(const Plan& plan, Kind kind) {
  std::vector<Batch> all;
  const std::vector<Op> ops = operations(plan, kind, false);
  add_all(all, kind, operations(plan, kind, true), depth_for(plan.depth, kind));
  if (plan.depth_of_all > 0)
    add_all(all, kind, ops, std::min(plan.depth_of_all, depth_for(plan.depth, kind)));
  if (plan.random_histories > 0) {
    const std::uint64_t count = plan.random_histories >> 2 * (shape(kind).shorter / 2);
    for (const Pace pace : all_paces())
      all.push_back({kind, pace, ops, plan.random_length, true, count, plan.seed});
  }
  std::erase_if(all, [&](const Batch& batch) {
    return batch.pace == Pace::marked && !batch.random && !plan.marked_exhaustively;
  });
  return all;
}

}  // namespace pollux::differential

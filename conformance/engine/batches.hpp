// SPDX-License-Identifier: MIT
// Which histories a plan means: all sequences of one length, numbered, or random ones, each made
// from the seed and its number.
#pragma once

#include <cstdint>
#include <vector>

#include "conformance/engine/history.hpp"

namespace pollux::differential {

struct Plan;

/// A run of histories of one kind that are played one after another.
struct Batch {
  Kind kind;
  Pace pace;
  std::vector<Op> ops;
  unsigned length;
  bool random;
  std::uint64_t count;
  std::uint64_t seed = 0;
  std::uint32_t turns = 0;  ///< `marked`: bit i for a turn in front of the operation i

  History at(std::uint64_t number) const;

 private:
  History sequence(std::uint64_t number) const;
  History drawn(std::uint64_t number) const;
};

/// Of the core operations of that kind.
unsigned depth_for(unsigned depth, Kind kind);

std::vector<Batch> batches(const Plan& plan, Kind kind);

}  // namespace pollux::differential

// SPDX-License-Identifier: MIT
// The name of 0.1: now pollux/testing/bench.hpp.
#pragma once

#include <pollux/testing/bench.hpp>  // IWYU pragma: export

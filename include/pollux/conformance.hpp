// SPDX-License-Identifier: MIT
// The name of 0.1: now pollux/testing/conformance.hpp.
#pragma once

#include <pollux/testing/conformance.hpp>  // IWYU pragma: export

// SPDX-License-Identifier: MIT
// The contract (docs/contract.md) as tests, for a backend of your own: each rule, and every history
// of operations up to a length against a model of the contract. Comes with the package's component
// `conformance`, as the target pollux::conformance, and needs GoogleTest.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include <pollux/backend.hpp>

/// The tests of the contract, for a backend of your own.
namespace pollux::conformance {

/// Makes a fresh backend; null and an error if it can't. Called once before all tests, and once a
/// test and more; also by several threads at a time, each for a backend of its own.
using Maker = std::function<std::unique_ptr<Backend>(std::error_code& error)>;

/// Puts a backend to the test. `name` is what its name() says: letters, digits and underscores. If
/// none is added, those that are compiled into the library are tested. Before run(), by the thread
/// that calls it.
void add_backend(std::string name, Maker make);

/// Runs the tests, each called `Suite.Test/<backend>` or `Suite.Test/<backend>_<kind of stream>`.
/// Takes GoogleTest's flags, and `--depth=<n>`, the length up to which every history is played
/// (3, if it is not given). For main() to return: 0 if all have passed, 1 if not, 2 for an argument
/// that is neither. SIGPIPE is ignored from here on.
///
/// A backend that cannot be made here, for another reason than that the process is short of
/// descriptors or memory, has no tests: a line on the error stream says so and why. If none is
/// left, that is 1. Where one is expected, name it in the environment variable
/// POLLUX_REQUIRE_BACKENDS
/// (`epoll;io_uring`): `Backends.AreHereWhereTheyAreRequired` then fails.
int run(int argc, char** argv);

}  // namespace pollux::conformance

// SPDX-License-Identifier: MIT
// The benchmarks (docs/benchmarks.md), for a backend of your own: each workload on it, beside epoll
// and poll written by hand. Comes with the package's component `bench`, as the target
// pollux::bench, and needs Google Benchmark.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include <pollux/backend.hpp>

/// The benchmarks, for a backend of your own.
namespace pollux::bench {

/// Makes a fresh backend; null and an error if it can't. Called once a loop, by the thread that
/// runs it.
using Maker = std::function<std::unique_ptr<Backend>(std::error_code& error)>;

/// Adds a backend to those that are measured: the ones that are compiled into the library. Its rows
/// are called `<workload>/<name>`. Before run(), by the thread that calls it.
void add_backend(std::string name, Maker make);

/// Runs the benchmarks. Takes Google Benchmark's flags; or, for a script that measures or counts
/// from outside, one of
///
///     --rows                 lists the rows, by which clock each is timed and whose loop it is,
///                            with tabs between; or why one is left out
///     --row=<row>            measures one, in chunks: --chunks=8, of --chunk-ms=8 each, and at
///                            least three within --budget-ms=600; JSON
///     --row=<row> --exactly=<operations>
///                            does so many, between two getppid(2) as marks (and the next two, if
///                            the row sets up anew); Callgrind collects there with
///                            --collect-atstart=no; JSON
///
/// For main() to return: 0, or 1 if a row has failed or an argument is none of these. Raises the
/// limit of open files as far as it may.
int run(int argc, char** argv);

}  // namespace pollux::bench

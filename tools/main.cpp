// SPDX-License-Identifier: MIT
// The `pollux` command. Exit status: 0, or 1 if something is not as it must be, or 2 for bad usage.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <pollux/version.hpp>

#include "backends_command.hpp"
#include "options.hpp"
#include "proxy/proxy.hpp"
#include "trace_command.hpp"
#include "verify_command.hpp"

namespace {

using namespace pollux::tools;

constexpr int bad_usage = 2;

/// Durations are given in seconds.
void add_duration(CLI::App* command, const char* name, std::chrono::nanoseconds& to,
                  const char* help) {
  command
      ->add_option_function<double>(
          name,
          [&to](double seconds) {
            to = std::chrono::duration_cast<std::chrono::nanoseconds>(
                std::chrono::duration<double>{seconds});
          },
          help)
      ->check(CLI::Range(0.0, 1e8));
}

CLI::App* add_proxy(CLI::App& app, ProxyOptions& options) {
  CLI::App* command = app.add_subcommand(
      "proxy", "Pass connections on, with each end and each reset as it was made");
  command->add_option("LISTEN", options.listen, "address:port, *:port or unix:path")->required();
  command->add_option("TARGET", options.targets, "host:port, [address]:port or unix:path, in turn");
  command->add_option("--targets", options.targets_file,
                      "More of them, a line each; SIGHUP: again");
  command->add_option("--threads", options.threads, "A reactor each")->check(CLI::Range(1u, 1024u));
  command->add_option("--backend", options.backend, "See `pollux backends`");
  command->add_option("--limit", options.limit, "Of connections; others wait to be accepted");
  add_duration(command, "--connect", options.connect_timeout,
               "Seconds until a target is given up [10]");
  add_duration(command, "--idle", options.idle_timeout,
               "Seconds without a byte until a connection is cut off [never]");
  add_duration(command, "--half-closed", options.half_closed_timeout,
               "The same, from when one side has ended");
  const std::map<std::string, ProxyHeader> versions{{"v1", ProxyHeader::v1},
                                                    {"v2", ProxyHeader::v2}};
  command->add_option("--send-header", options.send_header, "PROXY protocol to the target: v1, v2")
      ->transform(CLI::CheckedTransformer(versions));
  command->add_flag("--accept-header", options.accept_header, "PROXY protocol from the client");
  command->add_flag("--trace", options.trace, "A line for what happens to a connection");
  command->add_flag("--stats", options.stats, "A line of JSON each second");
  command->add_option("--metrics", options.metrics, "address:port, where Prometheus may ask");
  return command;
}

int run(int argc, char** argv) {
  CLI::App app{"pollux: an event loop that tells the same story on every backend"};
  app.name("pollux");
  app.set_version_flag("--version", "pollux " POLLUX_VERSION_STRING);
  app.require_subcommand(0, 1);

  std::string format = "table";
  TraceOptions options;
  const auto add_list = [](CLI::App* command, const char* name, std::vector<std::string>& to,
                           const char* help) {
    command->add_option(name, to, help)->delimiter(',')->allow_extra_args(false);
  };

  CLI::App* backends =
      app.add_subcommand("backends", "List the backends: what each can tell, what runs here");
  CLI::App* trace =
      app.add_subcommand("trace", "Play every scenario on every backend, side by side");
  VerifyOptions search;
  CLI::App* verify =
      app.add_subcommand("verify", "Play every history on every backend, against a model");
  for (CLI::App* command : {backends, trace})
    command->add_option("--format", format, "table, markdown or json")->capture_default_str();
  add_list(trace, "--scenario", options.scenarios, "Only these: S1,S9,...");
  add_list(trace, "--backend", options.backends, "Only these: see `pollux backends`");
  add_list(trace, "--kind", options.kinds, "Only on these: tcp4, tcp6, unix, pipe, or all");
  verify->add_option("--depth", search.depth, "Every history of so many core operations")
      ->check(CLI::Range(0u, 8u))
      ->capture_default_str();
  verify
      ->add_option("--depth-of-all", search.depth_of_all,
                   "Every history of so many of all operations [2, or from depth 5 on, depth - 2]")
      ->check(CLI::Range(0u, 8u));
  verify->add_option("--random", search.random,
                     "Then so many random, longer ones of each kind, at each pace [by depth]");
  verify->add_option("--seconds", search.seconds, "Random ones for so long instead")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  verify->add_option("--seed", search.seed, "Of the random ones")->capture_default_str();
  add_list(verify, "--backend", search.backends, "Only these: see `pollux backends`");
  verify->add_option("--against", search.against,
                     "Compare with what this backend tells, not with the model");
  add_list(verify, "--kind", search.kinds,
           "Only these: tcp4, unix, pipe_reader, terminal, tcp4_both, tcp4_stream, ...");
  add_list(verify, "--without", search.without, "None of these operations: peek,peer_urgent,...");
  verify->add_option("--history", search.history,
                     "Play one, as verify prints it: \"tcp4 each: peer_write peer_close\"");
  verify->add_flag("--json", search.json, "The report as JSON");

  ProxyOptions relayed;
  CLI::App* proxy = add_proxy(app, relayed);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    throw UsageError{error.what()};
  }
  options.format = parse_format(format);
  if (backends->parsed()) return list_backends(options.format);
  if (trace->parsed()) return pollux::tools::trace(options);
  if (verify->parsed()) return pollux::tools::verify(search);
  if (proxy->parsed()) return pollux::tools::proxy(relayed);
  fmt::print("{}", app.help());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  int status = 1;
  try {
    status = run(argc, argv);
    if (std::fflush(stdout) != 0) throw std::system_error{errno, std::generic_category(), "output"};
  } catch (const UsageError& error) {
    fmt::print(stderr, "pollux: {} (see pollux --help)\n", error.what());
    status = bad_usage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "pollux: {}\n", error.what());
    status = 1;
  }
  return status;
}

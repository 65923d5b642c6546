// SPDX-License-Identifier: MIT
#include "proxy.hpp"

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <pollux/pollux.hpp>

#include "options.hpp"
#include "proxy_worker.hpp"

namespace pollux::tools {

namespace {

using namespace std::chrono_literals;

struct Count {
  const char* name;
  const char* type;
  std::atomic<std::uint64_t> ProxyCounts::*of;
};
constexpr Count all_counts[] = {{"accepted", "counter", &ProxyCounts::accepted},
                                {"open", "gauge", &ProxyCounts::open},
                                {"not_connected", "counter", &ProxyCounts::not_connected},
                                {"cut_off", "counter", &ProxyCounts::cut_off},
                                {"bytes_from_clients", "counter", &ProxyCounts::from_clients},
                                {"bytes_from_targets", "counter", &ProxyCounts::from_targets}};

Address parse_address(const std::string& text) {
  std::error_code error;
  const Address address{text, error};
  if (error) throw UsageError{fmt::format("\"{}\" is no address: {}", text, error.message())};
  return address;
}

/// The workers, each in its thread, and the thread that looks after them.
class Proxy {
 public:
  explicit Proxy(const ProxyOptions& options)
      : options_{options}, control_{options.backend}, poster_{control_.poster()} {
    const Targets targets = read_targets(options);
    Address listen = parse_address(options.listen);
    if (options.threads > 1 && listen.family() == Address::Family::unix_name)
      throw UsageError{"several threads cannot listen at one unix: address"};
    if (options.limit != 0 && options.limit < options.threads)
      throw UsageError{"a limit below the number of threads leaves some without connections"};
    for (unsigned i = 0; i < options.threads; ++i) {
      workers_.push_back(std::make_unique<ProxyWorker>(options, listen, targets));
      listen = workers_.front()->address();  // its port, if that was left to the system
    }
    if (!options.metrics.empty())
      metrics_ = Listener{control_, parse_address(options.metrics),
                          [this](Stream client) { answer(std::move(client)); }};
  }

  int run() {
    fmt::print("listening on {}\n", workers_.front()->address().to_string());
    if (metrics_) fmt::print("metrics on {}\n", metrics_.address().to_string());
    std::fflush(stdout);
    std::vector<SignalWatch> signals;
    for (const int signo : {SIGTERM, SIGINT})
      signals.push_back(control_.on_signal(signo, [this](int) { end(); }));
#ifdef SIGHUP
    signals.push_back(control_.on_signal(SIGHUP, [this](int) { reload(); }));
#endif
    Timer stats;
    if (options_.stats) stats = control_.every(1s, [this] { print_stats(); });
    std::vector<std::thread> threads;
    for (const auto& worker : workers_)
      threads.emplace_back([this, &worker] { run_worker(*worker); });
    control_.run_forever();
    for (std::thread& thread : threads) thread.join();
    if (options_.stats) print_stats();
    return failed_ ? 1 : 0;
  }

 private:
  void run_worker(ProxyWorker& worker) {
    std::string why;
    try {
      worker.run();
    } catch (const std::exception& error) {
      why = error.what();
    }
    poster_.post([this, why] {
      if (!why.empty()) {
        fmt::print(stderr, "pollux: {}\n", why);
        failed_ = true;
        for (const auto& other : workers_) other->end();
      }
      if (++ended_ == workers_.size()) control_.stop();
    });
  }

  void end() {
    for (const auto& worker : workers_) draining_ ? worker->end() : worker->drain();
    draining_ = true;
  }

  void reload() {
    try {
      const Targets targets = read_targets(options_);
      for (const auto& worker : workers_) worker->use(targets);
    } catch (const UsageError& error) {  // those that there are remain
      fmt::print(stderr, "pollux: {}\n", error.what());
    }
  }

  std::uint64_t sum(const Count& count) const {
    std::uint64_t all = 0;
    for (const auto& worker : workers_) all += worker->counts().*count.of;
    return all;
  }

  void print_stats() const {
    std::string line;
    for (const Count& count : all_counts)
      line += fmt::format("{}\"{}\":{}", line.empty() ? "{" : ",", count.name, sum(count));
    fmt::print("{}}}\n", line);
    std::fflush(stdout);
  }

  /// Whatever it asks for: once, and the connection ends.
  void answer(Stream client) const {
    client.on_data([this](Stream& self, Bytes bytes) {
      if (as_text(bytes).find("\r\n\r\n") == std::string_view::npos) return self.keep(bytes.size());
      std::string text;
      for (const Count& count : all_counts)
        fmt::format_to(std::back_inserter(text),
                       "# TYPE pollux_proxy_{0} {1}\npollux_proxy_{0} {2}\n", count.name,
                       count.type, sum(count));
      self.write(
          fmt::format("HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                      "Content-Length: {}\r\n\r\n{}",
                      text.size(), text));
      self.close();
    });
    client.detach();
  }

  const ProxyOptions& options_;
  Reactor control_;
  const Poster poster_;
  std::vector<std::unique_ptr<ProxyWorker>> workers_;
  Listener metrics_;
  std::size_t ended_ = 0;
  bool draining_ = false;
  bool failed_ = false;
};

}  // namespace

int proxy(const ProxyOptions& options) {
  return Proxy{options}.run();
}

}  // namespace pollux::tools

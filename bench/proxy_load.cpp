// SPDX-License-Identifier: MIT
// The client and the server on the two sides of a proxy, for tests/proxy/speed.py: both in one
// thread, so that one processor can keep a proxy on another one busy.
//
//     pollux_proxy_load WORK --listener FD --port PORT [--connections N] [--seconds S]
//
// FD is a socket that listens, PORT where the clients connect: the proxy's, or that of FD itself.
// When everything is connected and warm it prints `begin` and waits for a line; it works for S
// seconds, prints a line of JSON, and keeps its connections until its input ends. So whoever runs
// it can look at the proxy before and after.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>

#include "io.hpp"

namespace pollux::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int too_long_ms = 20'000;
constexpr double warm_up_s = 0.1;
constexpr std::size_t message_bytes = 64;
constexpr std::size_t sent_bytes = std::size_t{1} << 18;  // at once
constexpr std::size_t dropped_bytes = std::size_t{1} << 20;

struct Options {
  std::string work;
  int listener = -1;
  std::uint16_t port = 0;
  std::size_t connections = 1;
  double seconds = 1;
};

void set_no_delay(int handle) {
  const int on = 1;
  checked(::setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
}

void set_non_blocking(int handle) {
  checked(::fcntl(handle, F_SETFL, O_NONBLOCK), "fcntl");
}

/// Not without a deadline: what never comes is an error.
void wait_for(int handle, short events, const char* what) {
  pollfd polled{handle, events, 0};
  if (checked(::poll(&polled, 1, too_long_ms), "poll") == 0) throw std::runtime_error{what};
}

/// Connected: behind a proxy, to the proxy.
Handle make_client(std::uint16_t port) {
  Handle client{checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  checked(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
          "connect");
  set_non_blocking(client.get());
  set_no_delay(client.get());
  return client;
}

/// None if nobody has connected.
Handle accept_one(int listener) {
  const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (accepted < 0 && (errno == EAGAIN || errno == ECONNABORTED)) return Handle{};
  Handle server{checked(accepted, "accept4")};
  set_no_delay(server.get());
  return server;
}

struct Connection {
  Handle client;
  Handle server;
};

/// One after the other, with a byte each way: what the proxy needs for a connection it has by then.
std::vector<Connection> connect_all(const Options& options) {
  std::vector<Connection> connections;
  while (connections.size() < options.connections) {
    Connection made{make_client(options.port), {}};
    send_byte(made.client.get());
    while (!made.server) {
      wait_for(options.listener, POLLIN, "the proxy does not connect to the server");
      made.server = accept_one(options.listener);
    }
    for (const auto& [from, to] : {std::pair{made.client.get(), made.server.get()},
                                   std::pair{made.server.get(), made.client.get()}}) {
      if (from == made.server.get()) send_byte(from);
      wait_for(to, POLLIN, "a byte does not come through");
      expect_byte(to);
    }
    connections.push_back(std::move(made));
  }
  return connections;
}

/// Descriptors with a number each. It does not sleep while it measures: what it took to wake this
/// side up would count as the proxy's.
class Poller {
 public:
  void add(int handle, std::uint64_t number, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = number;
    checked(::epoll_ctl(set_.get(), EPOLL_CTL_ADD, handle, &event), "epoll_ctl");
  }

  template <class Function>
  void poll(int timeout_ms, Function&& function) {
    const int count = checked(
        ::epoll_wait(set_.get(), events_.data(), static_cast<int>(events_.size()), timeout_ms),
        "epoll_wait");
    const auto now = Clock::now();
    if (count > 0) last_event_ = now;
    if (now - last_event_ > std::chrono::milliseconds{too_long_ms})
      throw std::runtime_error{"nothing comes through"};
    for (int i = 0; i < count; ++i) {
      const auto& event = events_[static_cast<std::size_t>(i)];
      function(event.data.u64, event.events);
    }
  }

 private:
  Handle set_{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  std::array<epoll_event, 256> events_{};
  Clock::time_point last_event_ = Clock::now();
};

/// How many bytes came; 0 if none has yet. The end is an error.
std::size_t receive_some(int handle, void* into, std::size_t size, int flags = 0) {
  const ssize_t received = ::recv(handle, into, size, flags);
  if (received < 0 && errno == EAGAIN) return 0;
  if (checked(received, "recv") == 0) throw std::runtime_error{"the proxy has ended a connection"};
  return static_cast<std::size_t>(received);
}

// What each work has: `step()`, called again and again; `reset()`, where the measured part begins;
// `print()`.

/// 64 bytes to the server and back, one at a time on each connection.
class RoundTrips {
 public:
  explicit RoundTrips(const Options& options)
      : connections_{connect_all(options)}, ends_(2 * connections_.size()) {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      ends_[2 * i].handle = connections_[i].client.get();
      ends_[2 * i + 1].handle = connections_[i].server.get();
      for (const std::size_t end : {2 * i, 2 * i + 1}) poller_.add(ends_[end].handle, end, EPOLLIN);
    }
    taken_ns_.reserve(std::size_t{1} << 20);
    reset();
  }

  void step() {
    poller_.poll(0, [this](std::uint64_t number, std::uint32_t) { deliver(number); });
  }

  /// All begin anew, and nothing is under way.
  void reset() {
    while (under_way_ != 0) {
      starting_ = false;
      step();
    }
    starting_ = true;
    taken_ns_.clear();
    for (std::size_t end = 0; end < ends_.size(); end += 2) start(ends_[end]);
  }

  void print(double seconds) {
    std::sort(taken_ns_.begin(), taken_ns_.end());
    if (taken_ns_.empty()) throw std::runtime_error{"not one round trip in all that time"};
    const auto at = [this](double part) {
      return taken_ns_[static_cast<std::size_t>(part * static_cast<double>(taken_ns_.size() - 1))] /
             1e3;
    };
    std::printf(R"({"operations": %zu, "seconds": %.6f, "median_us": %.3f, "p99_us": %.3f})"
                "\n",
                taken_ns_.size(), seconds, at(0.5), at(0.99));
  }

 private:
  struct End {
    int handle = -1;
    std::size_t received = 0;
    Clock::time_point sent;
  };

  void send_message(int handle) {
    if (checked(::send(handle, message_.data(), message_.size(), MSG_NOSIGNAL), "send") !=
        static_cast<ssize_t>(message_.size()))
      throw std::runtime_error{"a message had no room"};
  }

  void start(End& client) {
    ++under_way_;
    client.sent = Clock::now();
    send_message(client.handle);
  }

  void deliver(std::uint64_t number) {
    auto& end = ends_[number];
    end.received +=
        receive_some(end.handle, answer_.data() + end.received, message_bytes - end.received);
    if (end.received < message_bytes) return;
    end.received = 0;
    if (number % 2 == 1) {
      send_message(end.handle);
      return;
    }
    const auto taken =
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - end.sent);
    taken_ns_.push_back(
        static_cast<std::uint32_t>(std::min<std::int64_t>(taken.count(), UINT32_MAX)));
    --under_way_;
    if (starting_) start(end);
  }

  std::vector<Connection> connections_;
  std::vector<End> ends_;
  Poller poller_;
  const std::string message_ = std::string(message_bytes, 'x');
  std::array<char, message_bytes> answer_{};
  std::vector<std::uint32_t> taken_ns_;
  std::size_t under_way_ = 0;
  bool starting_ = true;
};

/// As many bytes as go through, from the clients to the servers or both ways. They are not copied
/// here: what is sent are the pages of a file in memory, what comes is dropped by the kernel.
class Bytes {
 public:
  Bytes(const Options& options, bool both_ways) : connections_{connect_all(options)} {
    for (const auto& connection : connections_) {
      add(connection.client.get(), both_ways, true);
      add(connection.server.get(), true, both_ways);
    }
  }

  void step() {
    poller_.poll(20, [this](std::uint64_t number, std::uint32_t events) {
      const int handle = static_cast<int>(number);
      if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        throw std::runtime_error{"the proxy has ended a connection"};
      if ((events & EPOLLIN) != 0)
        bytes_ += receive_some(handle, nullptr, dropped_bytes, MSG_TRUNC);
      if ((events & EPOLLOUT) != 0 &&
          ::send(handle, source_.data(), source_.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        checked(-1, "send");
    });
  }

  void reset() { bytes_ = 0; }

  void print(double seconds) const {
    if (bytes_ == 0) throw std::runtime_error{"not one byte in all that time"};
    std::printf(R"({"bytes": %llu, "seconds": %.6f})"
                "\n",
                static_cast<unsigned long long>(bytes_), seconds);
  }

 private:
  void add(int handle, bool receives, bool sends) {
    poller_.add(handle, static_cast<std::uint64_t>(handle),
                (receives ? unsigned{EPOLLIN} : 0U) | (sends ? unsigned{EPOLLOUT} : 0U));
  }

  std::vector<Connection> connections_;
  const std::string source_ = std::string(sent_bytes, 'x');
  Poller poller_;
  std::size_t bytes_ = 0;
};

/// Connections of a byte each way, that the client ends: some at once, a new one when the server
/// has seen the end of another one.
class Churn {
 public:
  explicit Churn(const Options& options) : options_{options} {
    poller_.add(options_.listener, listener_number, EPOLLIN);
    reset();
  }

  void step() {
    while (starting_ && open_ < options_.connections) start();
    poller_.poll(0, [this](std::uint64_t number, std::uint32_t) {
      if (number == listener_number)
        accept_all();
      else
        deliver(number);
    });
  }

  void reset() {
    starting_ = false;
    while (open_ != 0) step();
    starting_ = true;
    done_ = 0;
  }

  void print(double seconds) const {
    if (done_ == 0) throw std::runtime_error{"not one connection in all that time"};
    std::printf(R"({"operations": %zu, "seconds": %.6f})"
                "\n",
                done_, seconds);
  }

 private:
  static constexpr std::uint64_t listener_number = UINT64_MAX;
  struct End {
    Handle handle;
    bool is_client = false;
  };

  void keep(Handle handle, bool is_client) {
    const auto number = static_cast<std::size_t>(handle.get());
    if (ends_.size() <= number) ends_.resize(number + 1);
    poller_.add(handle.get(), number, EPOLLIN);
    ends_[number] = End{std::move(handle), is_client};
  }

  void start() {
    Handle client = make_client(options_.port);
    send_byte(client.get());
    keep(std::move(client), true);
    ++open_;
  }

  void accept_all() {
    while (Handle server = accept_one(options_.listener)) keep(std::move(server), false);
  }

  /// A client's byte comes back from the server, the client ends, and the server ends too.
  void deliver(std::uint64_t number) {
    auto& end = ends_[number];
    char byte = 0;
    const ssize_t received = checked(::recv(end.handle.get(), &byte, 1, 0), "recv");
    if (end.is_client) {
      if (received == 0) throw std::runtime_error{"the proxy has ended a connection"};
      end.handle.close();
    } else if (received != 0) {
      send_byte(end.handle.get());
    } else {
      end.handle.close();
      --open_;
      ++done_;
    }
  }

  const Options options_;
  Poller poller_;
  std::vector<End> ends_;
  std::size_t open_ = 0;
  std::size_t done_ = 0;
  bool starting_ = true;
};

/// Connections that are there, and do nothing.
class Idle {
 public:
  explicit Idle(const Options& options) : connections_{connect_all(options)} {}
  void step() {}
  void reset() {}
  void print(double seconds) const {
    std::printf(R"({"operations": %zu, "seconds": %.6f})"
                "\n",
                connections_.size(), seconds);
  }

 private:
  std::vector<Connection> connections_;
};

template <class Work>
double work_for(Work& work, double seconds) {
  const auto start = Clock::now();
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{seconds});
  auto now = start;
  for (; now < end; now = Clock::now()) work.step();
  return std::chrono::duration<double>(now - start).count();
}

/// Says where it is, and goes on after a line, or the end.
void wait_for_a_line() {
  std::fflush(stdout);
  for (int read = 0; read != '\n' && read != EOF;) read = std::getchar();
}

template <class Work>
void run(Work work, double seconds) {
  work_for(work, seconds > 0 ? warm_up_s : 0);
  std::puts("begin");
  wait_for_a_line();
  work.reset();
  work.print(work_for(work, seconds));
  wait_for_a_line();
}

Options parse(int argc, char** argv) {
  Options options;
  if (argc > 1) options.work = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--listener") options.listener = std::stoi(value);
    if (name == "--port") options.port = static_cast<std::uint16_t>(std::stoul(value));
    if (name == "--connections") options.connections = std::stoul(value);
    if (name == "--seconds") options.seconds = std::stod(value);
  }
  if (options.listener < 0 || options.port == 0)
    throw std::runtime_error{
        "usage: WORK --listener FD --port PORT [--connections N] [--seconds S]"};
  return options;
}

void run_named(const Options& options) {
  set_non_blocking(options.listener);
  raise_descriptor_limit();
  if (options.work == "one-way")
    run(Bytes{options, false}, options.seconds);
  else if (options.work == "both-ways")
    run(Bytes{options, true}, options.seconds);
  else if (options.work == "round-trips")
    run(RoundTrips{options}, options.seconds);
  else if (options.work == "churn")
    run(Churn{options}, options.seconds);
  else if (options.work == "idle")
    run(Idle{options}, 0);
  else
    throw std::runtime_error{"WORK is one-way, both-ways, round-trips, churn or idle"};
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  try {
    pollux::bench::run_named(pollux::bench::parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

// SPDX-License-Identifier: MIT
// Mistakes that programs make with connections, one a name, each small enough to see its trace:
//
//     POLLUX_TRACE=1 symptoms paused
//
// docs/troubleshooting.md has what each of them prints, and what to do about it.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pollux/pollux.hpp>

#include "descriptors.hpp"

namespace {

using namespace std::chrono_literals;
using pollux::Interest;

/// A connection, of which we have both ends.
class Connection {
 public:
  Connection() {
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_) != 0)
      throw std::system_error{errno, std::system_category(), "socketpair"};
    for (const int end : ends_) non_blocking(end);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    if (ends_[1] >= 0) ::close(ends_[1]);
  }

  int fd() const { return ends_[0]; }
  /// Our end, for whoever is to own it.
  pollux::UniqueHandle take() { return pollux::UniqueHandle{std::exchange(ends_[0], -1)}; }
  void peer_sends(std::string_view bytes) const {
    if (::send(ends_[1], bytes.data(), bytes.size(), 0) < 0) std::perror("send");
  }
  void peer_ends() const { ::shutdown(ends_[1], SHUT_WR); }
  void peer_closes() {
    ::close(ends_[1]);
    ends_[1] = -1;
  }
  /// Reads what is there: how many bytes.
  long read_all() const {
    char buffer[4096];
    const auto n = ::recv(fd(), buffer, sizeof buffer, 0);
    return n > 0 ? static_cast<long>(n) : 0;
  }

 private:
  int ends_[2];
};

void show(const pollux::Reactor& reactor) {
  std::fputs(reactor.dump().c_str(), stderr);
}

/// Pauses after the first message, and never goes on.
void paused(pollux::Reactor& reactor) {
  const Connection connection;
  pollux::StreamWatch watch;
  watch = reactor.watch_stream(connection.fd(), Interest::readable,
                               [&](const pollux::StreamEvent& event) {
                                 if (!event.readable()) return;
                                 connection.read_all();
                                 watch.set_interest(Interest::none);
                               });
  connection.peer_sends("first");
  reactor.run_for(10ms);
  connection.peer_sends("second");
  reactor.run_for(10ms);
  show(reactor);
}

/// Has one handler wait for something, so that all others wait as well.
void blocked(pollux::Reactor& reactor) {
  const Connection slow;
  const Connection other;
  const auto first = reactor.watch_stream(slow.fd(), Interest::readable, [&](const auto&) {
    slow.read_all();
    std::this_thread::sleep_for(50ms);  // a look-up, a lock, a database
  });
  const auto second =
      reactor.watch_stream(other.fd(), Interest::readable, [&](const auto&) { other.read_all(); });
  slow.peer_sends("slow");
  reactor.post([&] { other.peer_sends("other"); });
  for (int i = 0; i < 2; ++i) reactor.run_once(1s);
}

/// Goes on asking for room with nothing to write.
void spins(pollux::Reactor& reactor) {
  const Connection connection;
  const auto watch = reactor.watch_stream(connection.fd(), Interest::readable | Interest::writable,
                                          [](const auto&) {});
  for (int i = 0; i < 3; ++i) reactor.run_once();
}

/// Takes the end of the peer's requests for the end of the connection.
void too_early(pollux::Reactor& reactor) {
  const Connection connection;
  pollux::StreamWatch watch;
  watch = reactor.watch_stream(connection.fd(), Interest::readable | Interest::peer_closed,
                               [&](const pollux::StreamEvent& event) {
                                 if (event.peer_closed()) watch.reset();  // and closes
                               });
  connection.peer_sends("GET / HTTP/1.0\r\n\r\n");
  connection.peer_ends();
  reactor.run_once();
  std::fprintf(stderr, "%ld bytes were not read\n", connection.read_all());
}

/// Pauses, and expects to be told of the close all the same.
void silent(pollux::Reactor& reactor) {
  const Connection connection;
  auto watch = reactor.watch_stream(connection.fd(), Interest::none, [](const auto&) {});
  connection.peer_sends("bytes");
  connection.peer_ends();
  reactor.run_for(10ms);
  std::fputs("now with peer_closed\n", stderr);
  watch.set_interest(Interest::peer_closed);
  reactor.run_once(1s);
}

/// Pauses, and the peer closes both directions behind bytes that nobody reads.
void parked(pollux::Reactor& reactor) {
  Connection connection;
  auto watch = reactor.watch_stream(connection.fd(), Interest::none,
                                    [&](const auto&) { connection.read_all(); });
  connection.peer_sends("bytes");
  connection.peer_closes();
  reactor.run_for(10ms);
  std::fputs("now reading\n", stderr);
  watch.set_interest(Interest::readable);
  for (int i = 0; i < 2; ++i) reactor.run_once(1s);
}

/// Closes on the hang-up of a readiness watch, which says nothing of the bytes before it.
void last_bytes(pollux::Reactor& reactor) {
  Connection connection;
  pollux::Watch watch;
  watch = reactor.watch(connection.fd(), Interest::readable, [&](pollux::Readiness ready) {
    if (ready.hangup()) watch.reset();  // and closes
  });
  connection.peer_sends("last words");
  connection.peer_closes();
  reactor.run_once();
  std::fprintf(stderr, "%ld bytes were not read\n", connection.read_all());
}

/// Watches a descriptor whose watch is still there.
void twice(pollux::Reactor& reactor) {
  const Connection connection;
  const auto first = reactor.watch_stream(connection.fd(), Interest::readable, [](const auto&) {});
  try {
    const auto second = reactor.watch(connection.fd(), Interest::writable, [](const auto&) {});
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
}

/// Closes a descriptor, and its watch only afterwards.
void closed_first(pollux::Reactor& reactor) {
  const Connection connection;
  auto watch = reactor.watch_stream(connection.fd(), Interest::readable, [](const auto&) {});
  const int duplicate = ::dup(connection.fd());
  ::close(connection.fd());
  watch.set_interest(Interest::readable | Interest::writable);
  reactor.poll();
  show(reactor);
  ::dup2(duplicate, connection.fd());
  ::close(duplicate);
}

/// Uses a reactor in the child of a fork.
void forked(pollux::Reactor& reactor) {
  const Connection connection;
  const auto watch = reactor.watch_stream(connection.fd(), Interest::readable,
                                          [&](const auto&) { connection.read_all(); });
  connection.peer_sends("bytes");
  const pid_t child = ::fork();
  if (child != 0) {
    ::waitpid(child, nullptr, 0);
    return;
  }
  std::error_code error;
  reactor.poll(error);
  std::fprintf(stderr, "poll: %s\n", error.message().c_str());
  show(reactor);
  reactor.after_fork();
  reactor.poll();
  ::_exit(0);
}

/// Begins to watch, and loses the object that keeps the watch.
void nothing_left(pollux::Reactor& reactor) {
  const Connection connection;
  {
    const auto watch = reactor.watch_stream(connection.fd(), Interest::readable,
                                            [&](const auto&) { connection.read_all(); });
  }
  connection.peer_sends("bytes");
  reactor.run_for(10ms);
  show(reactor);
}

/// Shows, when it is sent a signal, what it waits for.
void goes_on(pollux::Reactor& reactor) {
  const Connection connection;
  const auto watch = reactor.watch_stream(connection.fd(), Interest::readable, [](const auto&) {});
  const pollux::Timer timer = reactor.every(1h, [] {});
  const pollux::SignalWatch usr1 = reactor.on_signal(SIGUSR1, [&](int) { show(reactor); });
  std::raise(SIGUSR1);
  reactor.run_once(1s);
}

/// Writes on, although nobody reads.
void grows(pollux::Reactor& reactor) {
  Connection connection;
  pollux::Stream stream{reactor, connection.take()};
  for (int i = 0; i < 3; ++i) {
    const bool goes_on = stream.write(std::string(4 << 20, 'x'));
    reactor.run_for(10ms);
    std::fprintf(stderr, "%s, and more than %zu MiB wait\n", goes_on ? "true" : "false",
                 stream.unsent() >> 20);
  }
}

/// Does not say what is to become of a stream whose peer has ended its side.
void stays_open(pollux::Reactor& reactor) {
  Connection connection;
  pollux::Stream stream{reactor, connection.take()};
  stream.on_data([](pollux::Bytes) {});
  stream.on_event([](const pollux::StreamEvent&) {});
  connection.peer_sends("all");
  connection.peer_ends();
  reactor.run_for(10ms);
  show(reactor);
  stream.shutdown_write();
  reactor.run();
}

/// Sets a stream up, and loses it.
void not_kept(pollux::Reactor& reactor) {
  Connection connection;
  {
    pollux::Stream stream{reactor, connection.take()};
    stream.on_data([](pollux::Stream& self, pollux::Bytes bytes) { self.write(bytes); });
  }
  reactor.run_for(10ms);
  connection.peer_closes();
  reactor.run();
}

/// Keeps each client for ever.
void full(pollux::Reactor& reactor) {
  pollux::ListenerOptions options;
  options.connection_limit = 1;
  std::vector<pollux::Stream> clients;
  const pollux::Listener listener{
      reactor, pollux::Address{"127.0.0.1:0"},
      [&](pollux::Stream client) { clients.push_back(std::move(client)); }, options};
  const pollux::Address address = listener.address();
  std::vector<pollux::UniqueHandle> peers(2);
  for (pollux::UniqueHandle& peer : peers) {
    peer.reset(close_on_exec(::socket(AF_INET, SOCK_STREAM, 0)));
    if (::connect(peer.get(), static_cast<const sockaddr*>(address.data()),
                  static_cast<socklen_t>(address.size())) != 0)
      std::perror("connect");
  }
  reactor.run_for(10ms);
  show(reactor);
  std::fprintf(stderr, "%zu open\n", listener.connections());
  clients.clear();  // each ends its own side, and closes when its peer has done so too
  peers.front().reset();
  reactor.run_for(10ms);
}

constexpr struct {
  std::string_view name;
  void (*play)(pollux::Reactor&);
} symptoms[] = {{"paused", paused},
                {"blocked", blocked},
                {"spins", spins},
                {"too_early", too_early},
                {"silent", silent},
                {"parked", parked},
                {"last_bytes", last_bytes},
                {"twice", twice},
                {"closed_first", closed_first},
                {"forked", forked},
                {"nothing_left", nothing_left},
                {"goes_on", goes_on},
                {"grows", grows},
                {"stays_open", stays_open},
                {"not_kept", not_kept},
                {"full", full}};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string_view wanted = argc == 2 ? argv[1] : "";
  for (const auto& [name, play] : symptoms) {
    if (name != wanted) continue;
    pollux::Reactor reactor;
    play(reactor);
    return 0;
  }
  std::fputs("usage: symptoms <name>, which is one of", stderr);
  for (const auto& symptom : symptoms) std::fprintf(stderr, " %s", symptom.name.data());
  std::fputs("\n", stderr);
  return 2;
}

// SPDX-License-Identifier: MIT
#include "echo_client.hpp"

#include <array>
#include <csignal>
#include <exception>
#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace pollux::bench {

namespace {

constexpr int too_long_ms = 60'000;
constexpr std::size_t examined_bytes = std::size_t{1} << 20;

template <class Value>
void set_option(int handle, int level, int option, const Value& value) {
  checked(::setsockopt(handle, level, option, &value, sizeof value), "setsockopt");
}

/// How many bytes were sent: none if there is no room.
std::size_t send_some(int handle, const char* bytes, std::size_t size) {
  const ssize_t sent = ::send(handle, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno == EAGAIN) return 0;
  return static_cast<std::size_t>(checked(sent, "send"));
}

short wait_for(int handle, short events, int timeout_ms) {
  pollfd polled{handle, events, 0};
  checked(::poll(&polled, 1, timeout_ms), "poll");
  return polled.revents;
}

void send_all(int handle, const std::string& bytes) {
  std::size_t sent = send_some(handle, bytes.data(), bytes.size());
  while (sent < bytes.size()) {
    if (wait_for(handle, POLLOUT, too_long_ms) == 0)
      throw std::runtime_error{"the server reads nothing"};
    sent += send_some(handle, bytes.data() + sent, bytes.size() - sent);
  }
}

}  // namespace

ChildProcess::ChildProcess(const std::function<void()>& function)
    : pid_{checked(::fork(), "fork")} {
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int status = 0;
  try {
    function();
  } catch (...) {
    status = 1;
  }
  // Nothing of the parent's is flushed or destroyed here.
  ::_exit(status);
}

ChildProcess::~ChildProcess() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::expect_success() {
  int status = 0;
  checked(::waitpid(pid_, &status, 0), "waitpid");
  pid_ = 0;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw std::runtime_error{"the server has not sent back what it was sent"};
}

Pair make_connection() {
  Pair pair = support::make_pair(PairKind::tcp4);
  set_option(pair.local.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(pair.peer.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(pair.peer.get(), SOL_SOCKET, SO_LINGER, linger{.l_onoff = 1, .l_linger = 0});
  return pair;
}

Pair make_narrow_connection() {
  Pair pair = make_connection();
  for (const int option : {SO_SNDBUF, SO_RCVBUF}) {
    set_option(pair.local.get(), SOL_SOCKET, option, 32 * 1024);
    set_option(pair.peer.get(), SOL_SOCKET, option, 32 * 1024);
  }
  return pair;
}

void examine(int handle) {
  std::string sent(examined_bytes, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 2654435761U >> 13);
  std::size_t written = 0;
  std::size_t compared = 0;
  std::array<char, 65'536> answer;
  bool full = false;
  while (compared < sent.size()) {
    const bool unsent = written < sent.size();
    const auto events = static_cast<short>((unsent ? POLLOUT : 0) | (full ? POLLIN : 0));
    // Until there is no room for a while, nothing is read: the server's answers have to wait.
    const short ready = wait_for(handle, events, full ? too_long_ms : 20);
    if (ready == 0 && full) throw std::runtime_error{"the server answers nothing"};
    if (ready == 0) full = true;
    if ((ready & POLLOUT) != 0)
      written += send_some(handle, sent.data() + written, sent.size() - written);
    if (unsent && written == sent.size()) {
      checked(::shutdown(handle, SHUT_WR), "shutdown");
      full = true;
    }
    if ((ready & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const auto size =
        static_cast<std::size_t>(checked(::recv(handle, answer.data(), answer.size(), 0), "recv"));
    if (size == 0 || size > written - compared || sent.compare(compared, size, answer.data(), size))
      throw std::runtime_error{"the answer is another"};
    compared += size;
  }
  if (wait_for(handle, POLLIN, too_long_ms) == 0 || ::recv(handle, answer.data(), 1, 0) != 0)
    throw std::runtime_error{"the server does not end its side"};
}

void keep_busy(const std::vector<Handle>& handles, std::size_t size) {
  const std::string message(size, 'x');
  std::vector<std::size_t> missing(handles.size(), size);
  std::vector<char> answer(size);
  const Handle set{checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
  for (std::size_t i = 0; i < handles.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    checked(::epoll_ctl(set.get(), EPOLL_CTL_ADD, handles[i].get(), &event), "epoll_ctl");
    send_all(handles[i].get(), message);
  }
  std::array<epoll_event, 512> events;
  for (;;) {
    const int count = checked(
        ::epoll_wait(set.get(), events.data(), static_cast<int>(events.size()), too_long_ms),
        "epoll_wait");
    if (count == 0) throw std::runtime_error{"the server answers nothing"};
    for (int i = 0; i < count; ++i) {
      const auto place = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64);
      const int handle = handles[place].get();
      const ssize_t received = checked(::recv(handle, answer.data(), missing[place], 0), "recv");
      if (received == 0) throw std::runtime_error{"the server has closed a connection"};
      missing[place] -= static_cast<std::size_t>(received);
      if (missing[place] != 0) continue;
      missing[place] = size;
      send_all(handle, message);
    }
  }
}

}  // namespace pollux::bench

// SPDX-License-Identifier: MIT
// The probes as Windows has them, and the wake handle. Winsock cannot be asked not to wait for once
// (there is no MSG_DONTWAIT), nor whether a socket is one that waits: a peek is made only where
// something is there to be peeked at.
#include <utility>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

#include "platform/platform.hpp"
#include "platform/tcp_states.hpp"
#include "platform/windows/sockets.hpp"

namespace pollux {

namespace platform = detail::platform;

// There is no fork, and so no child of one.
unsigned fork_count() noexcept {
  return 1;
}

RawReady poll_once(NativeHandle handle, RawInterest interest, SystemCalls& calls) noexcept {
  // The condition of urgent data is the only one of its kind here. Another bit would be refused.
  short events = 0;
  if (any(interest, RawInterest::in)) events |= POLLRDNORM;
  if (any(interest, RawInterest::out)) events |= POLLWRNORM;
  if (any(interest, RawInterest::pri)) events |= POLLRDBAND;
  const short seen = platform::HandlePoller{calls}.look(handle, events).seen;
  const bool has_failed = (seen & POLLERR) != 0;
  const bool has_ended = (seen & POLLHUP) != 0 && !has_failed;
  RawReady ready = RawReady::none;
  if ((seen & POLLRDNORM) != 0) ready |= RawReady::in;
  if ((seen & POLLWRNORM) != 0) ready |= RawReady::out;
  if ((seen & POLLRDBAND) != 0) ready |= RawReady::pri;
  if (has_ended) ready |= RawReady::rdhup;
  if (has_ended && any(interest, RawInterest::in)) ready |= RawReady::in;
  if (has_failed) ready |= RawReady::err | RawReady::hup;
  return ready;
}

namespace {

/// Closes a socket that comes to nothing.
class OwnSocket {
 public:
  explicit OwnSocket(SOCKET socket) noexcept : socket_{socket} {}
  OwnSocket(const OwnSocket&) = delete;
  OwnSocket& operator=(const OwnSocket&) = delete;
  ~OwnSocket() {
    if (socket_ != INVALID_SOCKET) ::closesocket(socket_);
  }
  SOCKET get() const noexcept { return socket_; }
  SOCKET release() noexcept { return std::exchange(socket_, INVALID_SOCKET); }
  bool is_open() const noexcept { return socket_ != INVALID_SOCKET; }

 private:
  SOCKET socket_;
};

SOCKET make_socket() noexcept {
  return ::WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, nullptr, 0,
                      WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

bool name_of(int(WSAAPI* ask)(SOCKET, sockaddr*, int*), SOCKET socket, sockaddr_in& name) noexcept {
  int size = sizeof name;
  return ask(socket, reinterpret_cast<sockaddr*>(&name), &size) == 0;
}

bool make_quick(SOCKET socket) noexcept {
  u_long on = 1;
  const int no_delay = 1;
  return ::ioctlsocket(socket, static_cast<long>(FIONBIO), &on) == 0 &&
         ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, reinterpret_cast<const char*>(&no_delay),
                      sizeof no_delay) == 0;
}

/// A connection of this process with itself: 0, or the number of the error.
int make_pair(SOCKET& reading, SOCKET& writing) noexcept {
  const OwnSocket listener{make_socket()};
  OwnSocket connecting{make_socket()};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  if (!listener.is_open() || !connecting.is_open() ||
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), 1) != 0 || !name_of(&::getsockname, listener.get(), address) ||
      ::connect(connecting.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return ::WSAGetLastError();
  OwnSocket accepted{::accept(listener.get(), nullptr, nullptr)};
  sockaddr_in own{};
  sockaddr_in peer{};
  if (!accepted.is_open() || !name_of(&::getsockname, connecting.get(), own) ||
      !name_of(&::getpeername, accepted.get(), peer) || !make_quick(accepted.get()) ||
      !make_quick(connecting.get()))
    return ::WSAGetLastError();
  // Somebody else's on this machine was faster.
  if (own.sin_port != peer.sin_port || own.sin_addr.s_addr != peer.sin_addr.s_addr)
    return WSAECONNABORTED;
  reading = accepted.release();
  writing = connecting.release();
  return 0;
}

}  // namespace

WakeHandle::WakeHandle(SystemCalls& calls, std::error_code& error) noexcept
    : calls_{calls}, fork_count_{fork_count()} {
  error = open();
}

std::error_code WakeHandle::open() noexcept {
  platform::start_sockets();
  SOCKET reading = INVALID_SOCKET;
  SOCKET writing = INVALID_SOCKET;
  if (const int error = make_pair(reading, writing)) return platform::error_code(error);
  read_ = reading;
  write_ = writing;
  return {};
}

WakeHandle::~WakeHandle() {
  if (write_ != no_handle) ::closesocket(write_);
  if (read_ != no_handle) ::closesocket(read_);
}

std::error_code WakeHandle::renew_after_fork() noexcept {
  return {};
}

void WakeHandle::signal() const noexcept {
  const DWORD saved_error = ::GetLastError();
  ::send(write_, "", 1, 0);  // if there is no room, it is readable already
  ::SetLastError(saved_error);
}

void WakeHandle::drain() const noexcept {
  char buffer[512];
  while (::recv(read_, buffer, sizeof buffer, 0) == static_cast<int>(sizeof buffer)) {
  }
}

bool WakeHandle::is_open() const noexcept {
  int value = 0;
  return platform::socket_option(read_, SO_TYPE, value, calls_) == 0;
}

namespace detail::platform {

const std::atomic<unsigned>& forks() noexcept {
  static const std::atomic<unsigned> count{1};
  return count;
}

unsigned count_fork() noexcept {
  return 1;
}

void look_for_fork() noexcept {}

void HandlePoller::prepare() noexcept {}

void HandlePoller::drop() noexcept {}

Sight HandlePoller::look(NativeHandle handle, short events) noexcept {
  WSAPOLLFD look{handle, events, 0};
  ++calls_;
  if (::WSAPoll(&look, 1, 0) >= 0) return {look.revents};
  const int error = ::WSAGetLastError();
  if (error == WSAENOTSOCK) return {POLLNVAL};  // it refuses a set with nothing in it but that
  return {0, error};
}

void System::close_handle(NativeHandle handle) noexcept {
  ++calls_;
  ::closesocket(handle);
}

int System::shut_down(NativeHandle handle, Shutdown how, StreamType& type) noexcept {
  constexpr int sides[] = {SD_RECEIVE, SD_SEND, SD_BOTH};  // in the order of Shutdown
  ++calls_;
  if (::shutdown(handle, sides[static_cast<std::size_t>(how)]) != 0) return ::WSAGetLastError();
  type.set(Quirk::silent);
  return 0;
}

namespace {

/// What a read would fail with, where no poll shows that it would: WSAESHUTDOWN if the owner has
/// shut the inbound side down, WSAENOTCONN. 0 if it would wait, or find something. Asked by a
/// receive of nothing, which takes no byte, and is called off where it would wait: a peek would
/// keep a loop waiting whose owner has left a socket blocking.
int why_nothing_comes(NativeHandle handle, SystemCalls& calls) noexcept {
  WSABUF nothing{0, nullptr};
  DWORD received = 0;
  DWORD flags = 0;
  WSAOVERLAPPED pending{};
  const HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
  if (event == nullptr) return 0;
  // The low bit keeps the completion from a port that the owner may have the socket at.
  pending.hEvent = reinterpret_cast<HANDLE>(reinterpret_cast<std::uintptr_t>(event) | 1);
  calls += 3;
  int error = 0;
  if (::WSARecv(handle, &nothing, 1, &received, &flags, &pending, nullptr) != 0)
    error = ::WSAGetLastError();
  if (error == WSA_IO_PENDING) {
    error = 0;
    calls += 2;
    ::CancelIoEx(reinterpret_cast<HANDLE>(handle), &pending);
    ::WaitForSingleObject(event, INFINITE);  // until then the kernel writes to `pending`
  }
  ::CloseHandle(event);
  return error;
}

/// The TCP state; no value where the system does not show it (before Windows 10 of 2017, other
/// protocols, Wine).
struct State {
  bool is_known = false;
  std::uint8_t state = 0;
};

State tcp_state(NativeHandle handle, SystemCalls& calls) noexcept {
  DWORD version = 0;
  TCP_INFO_v0 info{};
  DWORD size = 0;
  ++calls;
  if (::WSAIoctl(handle, SIO_TCP_INFO, &version, sizeof version, &info, sizeof info, &size, nullptr,
                 nullptr) != 0)
    return {};
  return {true, static_cast<std::uint8_t>(info.State)};
}

/// Whether it is neither connected nor connecting. Without the TCP state only of a socket that has
/// no address is this known: to connect gives it one.
bool was_never_connected(NativeHandle handle, SystemCalls& calls) noexcept {
  sockaddr_storage name{};
  int size = sizeof name;
  ++calls;
  if (::getpeername(handle, reinterpret_cast<sockaddr*>(&name), &size) == 0 ||
      ::WSAGetLastError() != WSAENOTCONN)
    return false;
  size = sizeof name;
  ++calls;
  if (::getsockname(handle, reinterpret_cast<sockaddr*>(&name), &size) != 0)
    return ::WSAGetLastError() == WSAEINVAL;
  const State tcp = tcp_state(handle, calls);
  return tcp.is_known && tcp.state == windows_tcp_states.closed;
}

}  // namespace

StreamType System::stream_type(NativeHandle handle, std::error_code& error) noexcept {
  start_sockets();
  error.clear();
  StreamType type;
  int value = 0;
  if (const int refused = socket_option(handle, SO_TYPE, value, calls_)) {
    if (is_about_the_handle(refused)) identify(handle, error, calls_);
    if (!error) error = error_code(refused);
    return type;
  }
  // Of a datagram, and of a packet of zero bytes, "a read returns 0" is no end. A listener has
  // none.
  if (value != SOCK_STREAM) error = Errc::not_a_stream;
  if (const int refused = socket_option(handle, SO_ACCEPTCONN, value, calls_)) {
    if (is_probes_own(refused)) error = error_code(refused);
  } else if (value != 0) {
    error = Errc::not_a_stream;
  }
  if (!error) examine_socket(handle, type, error);
  return type;
}

void System::examine_socket(NativeHandle handle, StreamType& type, std::error_code&) noexcept {
  type.set(Quirk::silent, was_never_connected(handle, calls_));
}

void System::learn_fin_number(NativeHandle, StreamType&) noexcept {}

Answer<Inbound> System::peek(NativeHandle handle) noexcept {
  const Sight sight = look(handle, POLLRDNORM);
  if (sight.error != 0) return no_answer<Inbound>(sight.error);
  if ((sight.seen & POLLNVAL) != 0) return no_answer<Inbound>(WSAENOTSOCK);
  char byte;
  int error = 0;
  if (sight.seen == 0) {
    error = why_nothing_comes(handle, calls_);
    if (error == WSAENOTCONN && !was_never_connected(handle, calls_)) error = 0;  // connecting
    if (error == 0) return {Inbound::empty};
  } else {
    ++calls_;
    const int count = ::recv(handle, &byte, 1, MSG_PEEK);
    if (count > 0) return {Inbound::bytes};
    if (count < 0) error = ::WSAGetLastError();
  }
  // Of a failure the state may know the code, and the call another, or none.
  if ((sight.seen & POLLERR) != 0)
    return {Inbound::failed, Outcome::answered, take_error(handle, StreamKind::socket, {}).found};
  // Of what has arrived behind an own shutdown nothing can be read.
  if (error == 0 || error == WSAESHUTDOWN) return {Inbound::end};
  if (error == WSAEWOULDBLOCK) return {Inbound::empty};
  if (is_probes_own(error)) return no_answer<Inbound>(error);
  return {Inbound::failed, Outcome::answered, error};
}

Answer<Inbound> System::look_inside(NativeHandle handle, StreamType, RawReady) noexcept {
  return peek(handle);
}

long System::send_nothing(NativeHandle handle) noexcept {
  ++calls_;
  return ::send(handle, "", 0, 0);
}

Answer<Outbound> System::probe_outbound(NativeHandle handle) noexcept {
  const int error = send_nothing(handle) < 0 ? ::WSAGetLastError() : 0;
  if (error == WSAEWOULDBLOCK) return {Outbound::full};
  if (error == WSAESHUTDOWN) return {Outbound::over};
  if (error != 0 && is_probes_own(error)) return no_answer<Outbound>(error);
  if (error != 0) return {Outbound::failed, Outcome::answered, error};
  const Sight sight = look(handle, POLLWRNORM);
  if (sight.error != 0) return no_answer<Outbound>(sight.error);
  return {(sight.seen & POLLWRNORM) != 0 ? Outbound::open : Outbound::full};
}

Answer<PeerFin> System::probe_peer_fin(NativeHandle handle, StreamType, RawReady) noexcept {
  const State tcp = tcp_state(handle, calls_);
  if (tcp.is_known) {
    const PeerFin found = peer_fin(windows_tcp_states, tcp.state);
    if (found != PeerFin::closed) return {found};
  }
  // A hang-up is the peer's FIN, and never an own shutdown; with an error it is a reset.
  const Sight sight = look(handle, 0);
  if (sight.error != 0) return no_answer<PeerFin>(sight.error);
  if ((sight.seen & POLLNVAL) != 0) return no_answer<PeerFin>(WSAENOTSOCK);
  if ((sight.seen & POLLERR) != 0) return {PeerFin::closed};
  return {(sight.seen & POLLHUP) != 0 ? PeerFin::received : PeerFin::not_received};
}

RawReady System::what_is_true(NativeHandle handle, StreamType) noexcept {
  constexpr auto asked = RawInterest::in | RawInterest::out | RawInterest::rdhup;
  RawReady ready = poll_once(handle, asked, calls_);
  if (any(ready, RawReady::hup)) return ready;
  if (was_never_connected(handle, calls_)) return ready | RawReady::in | RawReady::hup;
  // What poll shows nothing of: own shutdowns.
  const bool has_ended = any(ready, RawReady::rdhup) || peek(handle).found == Inbound::end;
  if (has_ended) ready |= RawReady::in | RawReady::rdhup;
  if (has_ended && probe_outbound(handle).found == Outbound::over) ready |= RawReady::hup;
  return ready;
}

// There is no queue of errors that are none of the connection's.
Answer<Standing> System::probe_standing(NativeHandle, StreamType, RawReady) noexcept {
  return {Standing::doubtful};
}

Answer<int> System::take_error(NativeHandle handle, StreamKind, RawReady) noexcept {
  int pending = 0;
  const int refused = socket_option(handle, SO_ERROR, pending, calls_);
  if (refused != 0) return is_probes_own(refused) ? no_answer<int>(refused) : Answer<int>{};
  if (pending != 0) return {pending};
  // Windows keeps there what has become of a connect(). A reset shows in the state alone.
  const Sight sight = look(handle, 0);
  return {(sight.seen & POLLERR) != 0 ? WSAECONNRESET : 0};
}

}  // namespace detail::platform

}  // namespace pollux

// SPDX-License-Identifier: MIT
// What is the AFD backend's own, and Windows': a poll completes once and at any time, a socket has
// no inode, and errors have Windows' numbers.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <winsock2.h>
// In this order.
#include <windows.h>

#include <gtest/gtest.h>

#include <pollux/backend_support.hpp>
#include <pollux/backends.hpp>
#include <pollux/pollux.hpp>

#include "conformance/support/system.hpp"

namespace pollux {
namespace {

using namespace support;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr Token first{0, 1};
constexpr Token second{1, 1};

std::unique_ptr<Backend> make() {
  std::error_code error;
  auto backend = make_backend("afd", error);
  if (backend == nullptr) throw std::system_error{error, "afd"};
  return backend;
}

/// What the next waits report within a second, of one registration.
RawEvent next_report(Backend& backend) {
  std::array<RawEvent, 1> out;
  const auto end = Clock::now() + 1s;
  while (Clock::now() < end) {
    if (backend.wait(out, Timeout{10ms}).count == 1) return out[0];
  }
  return {};
}

std::error_code add(Backend& backend, const Handle& handle, RawInterest interest, Token token) {
  return backend.set_interest(handle.get(), RawInterest::none, interest, token);
}

TEST(Afd, TellsAFinFromAReset) {
  const auto backend = make();
  Pair ended = make_pair(PairKind::tcp4);
  ASSERT_FALSE(add(*backend, ended.local, RawInterest::in, first));
  shutdown_write(ended.peer);
  const RawEvent fin = next_report(*backend);
  EXPECT_EQ(fin.ready, RawReady::in | RawReady::rdhup);
  EXPECT_EQ(fin.error, 0);

  Pair failed = make_pair(PairKind::tcp4);
  ASSERT_FALSE(backend->set_interest(ended.local.get(), RawInterest::in, RawInterest::none, first));
  ASSERT_FALSE(add(*backend, failed.local, RawInterest::hup, second));
  reset_connection(failed.peer);
  const RawEvent reset = next_report(*backend);
  EXPECT_EQ(reset.token, second);
  EXPECT_EQ(reset.ready, RawReady::err | RawReady::hup);
  EXPECT_EQ(reset.error, WSAECONNRESET);
}

TEST(Afd, ReportsNothingThatWasTrueOnlyBeforeTheWait) {
  const auto backend = make();
  const Pair pair = make_pair(PairKind::tcp4);
  ASSERT_FALSE(add(*backend, pair.local, RawInterest::in, first));
  write_bytes(pair.peer, "abc");
  ASSERT_EQ(next_report(*backend).ready, RawReady::in);
  std::array<RawEvent, 1> out;
  // The poll that this makes has completed when it returns.
  ASSERT_EQ(backend->wait(out, Timeout{1s}).count, 1u);
  ASSERT_EQ(backend->wait(out, Timeout::zero()).count, 1u);
  EXPECT_EQ(read_bytes(pair.local), 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(backend->wait(out, Timeout{5ms}).count, 0u);
}

TEST(Afd, KnowsAtOnceThatASocketWasClosed) {
  const auto backend = make();
  Pair pair = make_pair(PairKind::tcp4);
  const NativeHandle number = pair.local.get();
  ASSERT_FALSE(add(*backend, pair.local, RawInterest::in, first));
  write_bytes(pair.peer, "abc");
  ASSERT_EQ(next_report(*backend).ready, RawReady::in);
  EXPECT_FALSE(backend->set_interest(number, RawInterest::in, RawInterest::in, first));
  // No poll for bytes is pending now: the one for the close is.
  pair.local.close();
  EXPECT_EQ(backend->set_interest(number, RawInterest::in, RawInterest::in, first),
            std::errc::no_such_file_or_directory);
}

TEST(Afd, DoesNotCloseANumberThatIsAnothersWhileADuplicateLives) {
  Reactor reactor{"afd"};
  Pair pair = make_pair(PairKind::tcp4);
  const NativeHandle number = pair.local.get();
  StreamWatch watch =
      reactor.watch_stream(number, Interest::readable, [](const StreamEvent&) { FAIL(); });
  const Handle copy = duplicate(pair.local);
  pair.local.close();
  std::vector<Handle> others;
  for (int i = 0; i < 64 && (others.empty() || others.back().get() != number); ++i)
    others.push_back(make_socket(PairKind::tcp4));
  ASSERT_EQ(others.back().get(), number) << "the system gives the lowest number that is free";
  EXPECT_FALSE(watch.close());
  int type = 0;
  int size = sizeof type;
  EXPECT_EQ(::getsockopt(number, SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &size), 0);
}

TEST(Afd, MayBeResetAndEndedWhilePollsArePending) {
  std::vector<Pair> pairs;
  for (int i = 0; i < 100; ++i) pairs.push_back(make_pair(PairKind::tcp4));
  for (int round = 0; round < 3; ++round) {
    const auto backend = make();
    for (int life = 0; life < 2; ++life) {
      for (std::uint32_t i = 0; i < pairs.size(); ++i)
        ASSERT_FALSE(add(*backend, pairs[i].local, RawInterest::in, {i, 1}));
      for (std::uint32_t i = 0; i < pairs.size(); i += 3)
        ASSERT_FALSE(backend->set_interest(pairs[i].local.get(), RawInterest::in, RawInterest::none,
                                           {i, 1}));
      if (life == 0) {
        ASSERT_FALSE(backend->reset());
      }
    }
    std::array<RawEvent, 4> out;
    EXPECT_EQ(backend->wait(out, Timeout{1ms}).count, 0u);
  }
}

TEST(Afd, WaitsForAFractionOfAMillisecond) {
  const auto backend = make();
  std::array<RawEvent, 1> out;
  auto shortest = Clock::duration::max();
  for (int i = 0; i < 50; ++i) {
    const auto start = Clock::now();
    backend->wait(out, Timeout{300us});
    shortest = std::min(shortest, Clock::now() - start);
  }
  EXPECT_LT(shortest, 10ms) << "a tick of the clock is 15.6 ms";
}

TEST(Afd, RefusesWhatIsNoSocket) {
  const auto backend = make();
  const auto refusal = [&](HANDLE handle) {
    return backend->set_interest(reinterpret_cast<NativeHandle>(handle), RawInterest::none,
                                 RawInterest::in, first);
  };
  const HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
  HANDLE reading = nullptr;
  HANDLE writing = nullptr;
  ASSERT_TRUE(::CreatePipe(&reading, &writing, nullptr, 0));
  for (const HANDLE handle : {event, reading, writing}) {
    EXPECT_EQ(refusal(handle), std::errc::operation_not_permitted);
    ::CloseHandle(handle);
    EXPECT_EQ(refusal(handle), std::errc::bad_file_descriptor);
  }
  EXPECT_EQ(refusal(INVALID_HANDLE_VALUE), std::errc::bad_file_descriptor);
}

TEST(ErrorsOnWindows, CompareEqualToWhatTheyMean) {
  const auto meaning_of = [](int number) {
    return std::error_code{number, native_category()}.default_error_condition();
  };
  EXPECT_EQ(meaning_of(WSAECONNRESET), std::errc::connection_reset);
  EXPECT_EQ(meaning_of(WSAECONNREFUSED), std::errc::connection_refused);
  EXPECT_EQ(meaning_of(WSAENOTSOCK), std::errc::not_a_socket);
  EXPECT_EQ(meaning_of(WSAESHUTDOWN), std::errc::broken_pipe);
  EXPECT_EQ(meaning_of(ERROR_INVALID_HANDLE), std::errc::bad_file_descriptor);
  EXPECT_EQ(meaning_of(ERROR_NOT_ENOUGH_MEMORY), std::errc::not_enough_memory);
  EXPECT_EQ(meaning_of(ERROR_CONNECTION_REFUSED), std::errc::connection_refused);
  EXPECT_EQ(meaning_of(12345).category(), native_category());
}

TEST(ErrorsOnWindows, AreMadeOfAnyCondition) {
  for (const std::errc condition :
       {std::errc::operation_not_permitted, std::errc::file_exists, std::errc::no_child_process,
        std::errc::bad_file_descriptor, std::errc::no_such_file_or_directory,
        std::errc::not_enough_memory, std::errc::operation_not_supported, std::errc::not_connected,
        std::errc::function_not_supported, std::errc::invalid_argument, std::errc::value_too_large,
        std::errc::no_space_on_device}) {
    const std::error_code error = system_error_code(condition);
    EXPECT_EQ(error, condition) << error;
    EXPECT_EQ(error.category(), native_category());
    EXPECT_FALSE(error.message().empty());
    EXPECT_EQ(error.message().find_first_of("\r\n"), std::string::npos);
  }
}

TEST(AStreamOnWindows, ThatIsBlockingDoesNotKeepTheLoopWaiting) {
  const Pair pair = make_pair(PairKind::tcp4);
  u_long off = 0;
  ASSERT_EQ(::ioctlsocket(pair.local.get(), static_cast<long>(FIONBIO), &off), 0);
  Reactor reactor{"afd"};
  std::string events;
  StreamWatch watch =
      reactor.watch_stream(pair.local.get(), Interest::readable, [&](const StreamEvent& event) {
        if (event.end_of_stream()) events += "end_of_stream ";
        if (event.hangup()) events += "hangup ";
      });
  watch.shutdown(Shutdown::write);  // the loop asks what is true, and nothing is unread
  reactor.run_for(20ms);
  EXPECT_EQ(events, "");
  watch.shutdown(Shutdown::read);
  reactor.run_for(20ms);
  EXPECT_EQ(events, "end_of_stream hangup ");
}

TEST(AStreamOnWindows, ThatWasNeverConnectedHasFailed) {
  const Handle socket = make_socket(PairKind::tcp4);
  Reactor reactor{"afd"};
  std::error_code error;
  StreamWatch watch =
      reactor.watch_stream(socket.get(), Interest::readable, [&](const StreamEvent& event) {
        error = event.error();
        reactor.stop();
      });
  reactor.run_for(5s);
  EXPECT_EQ(error, std::errc::not_connected);
}

TEST(ASignalOnWindows, IsDeliveredAndGivenBack) {
  const auto before = std::signal(SIGBREAK, SIG_IGN);
  {
    Reactor reactor{"afd"};
    int delivered = 0;
    SignalWatch watch = reactor.on_signal(SIGBREAK, [&](int signo) {
      delivered = signo;
      reactor.stop();
    });
    for (int i = 0; i < 2; ++i) {  // the C library forgets who was there with each
      delivered = 0;
      std::raise(SIGBREAK);
      reactor.run_for(5s);
      EXPECT_EQ(delivered, SIGBREAK);
    }
  }
  EXPECT_EQ(std::signal(SIGBREAK, before), SIG_IGN);
  Reactor reactor{"afd"};
  std::error_code error;
  SignalWatch none = reactor.on_signal(
      SIGSEGV, [](int) {}, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
}

/// A console that only this process is at, so that nobody else is interrupted.
class OwnConsole {
 public:
  OwnConsole() {
    ::FreeConsole();
    EXPECT_TRUE(::AllocConsole());
  }
  OwnConsole(const OwnConsole&) = delete;
  OwnConsole& operator=(const OwnConsole&) = delete;
  ~OwnConsole() {
    ::FreeConsole();
    ::AttachConsole(ATTACH_PARENT_PROCESS);
  }
};

TEST(ASignalOnWindows, OfAConsolesUserIsDelivered) {
  // Wine 8 has no Ctrl-Break for the process itself.
  const OwnConsole console;
  Reactor reactor{"afd"};
  int delivered = 0;
  SignalWatch watch = reactor.on_signal(SIGINT, [&](int signo) {
    delivered = signo;
    reactor.stop();
  });
  for (int i = 0; i < 2; ++i) {
    delivered = 0;
    ASSERT_TRUE(::GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
    reactor.run_for(5s);
    EXPECT_EQ(delivered, SIGINT);
  }
}

/// Of a reactor that watches it by `id`, a number or a handle.
std::error_code refusal(Reactor& reactor, auto id) {
  std::error_code error;
  const ChildWatch none = reactor.on_child_exit(
      id, [](const ChildExit&) {}, error);
  EXPECT_EQ(static_cast<bool>(none), !error);
  return error;
}

TEST(AChildOnWindows, KeepsItsNumberUntilItsEndIsDelivered) {
  Reactor reactor{"afd"};
  Gate gate;
  std::optional<ChildProcess> child{std::in_place, gate, 7};
  const int pid = child->pid();
  int code = -1;
  ChildWatch watch = reactor.on_child_exit(pid, [&](const ChildExit& exit) {
    EXPECT_EQ(exit.pid(), pid);
    code = exit.exited() ? exit.exit_code() : -2;
    reactor.stop();
  });
  gate.open();
  child->await_end();
  child.reset();  // only the reactor has a handle now
  const auto process_of = [](int number) {
    const HANDLE process = ::OpenProcess(SYNCHRONIZE, FALSE, static_cast<DWORD>(number));
    if (process != nullptr) ::CloseHandle(process);
    return process != nullptr;
  };
  EXPECT_TRUE(process_of(pid));
  reactor.run_for(20s);
  EXPECT_EQ(code, 7);
  const auto limit = Clock::now() + 5s;  // the system's own may live a little longer
  while (process_of(pid) && Clock::now() < limit) ::Sleep(1);
  EXPECT_FALSE(process_of(pid)) << "a handle is left";
}

TEST(AChildOnWindows, IsNotThisProcess) {
  Reactor reactor{"afd"};
  EXPECT_EQ(refusal(reactor, static_cast<int>(::GetCurrentProcessId())),
            std::errc::no_child_process);
  EXPECT_EQ(refusal(reactor, ::GetCurrentProcess()), std::errc::no_child_process);
}

TEST(AHandleOnWindows, OfNoProcessOrWithoutRightsIsRefused) {
  Reactor reactor{"afd"};
  const HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
  EXPECT_EQ(refusal(reactor, event), std::errc::bad_file_descriptor);
  ::CloseHandle(event);
  EXPECT_EQ(refusal(reactor, event), std::errc::bad_file_descriptor);
  EXPECT_EQ(refusal(reactor, HANDLE{}), std::errc::bad_file_descriptor);
  const ChildProcess child{0};
  const HANDLE self = ::GetCurrentProcess();
  HANDLE may_wait = nullptr;
  ASSERT_TRUE(::DuplicateHandle(self, child.handle(), self, &may_wait, SYNCHRONIZE, FALSE, 0));
  EXPECT_EQ(refusal(reactor, may_wait), std::errc::permission_denied);
  ::CloseHandle(may_wait);
}

TEST(AHandleOnWindows, OfAProcessIsItsOwners) {
  Reactor reactor{"afd"};
  Gate gate;
  const ChildProcess child{gate, 7};
  const HANDLE self = ::GetCurrentProcess();
  HANDLE own = nullptr;
  ASSERT_TRUE(::DuplicateHandle(self, child.handle(), self, &own, 0, FALSE, DUPLICATE_SAME_ACCESS));
  int code = -1;
  ChildWatch watch =
      reactor.on_child_exit(own, [&](const ChildExit& exit) { code = exit.exit_code(); });
  EXPECT_EQ(refusal(reactor, own), std::errc::file_exists);
  EXPECT_EQ(refusal(reactor, child.pid()), std::errc::file_exists);
  ::CloseHandle(own);  // pollux has one of its own
  gate.open();
  EXPECT_EQ(reactor.run_once(20s), 1u);
  EXPECT_EQ(code, 7);
  DWORD flags = 0;
  EXPECT_TRUE(::GetHandleInformation(child.handle(), &flags)) << "the caller's is left open";
}

TEST(AHandleOnWindows, MayBeOfAProcessThatIsNoChild) {
  Gate gate;
  const ChildProcess parent{gate, 0};
  SIZE_T size = 0;
  ::InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
  std::vector<std::byte> room(size);
  STARTUPINFOEXW start{};
  start.StartupInfo.cb = sizeof start;
  start.lpAttributeList = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(room.data());
  ASSERT_TRUE(::InitializeProcThreadAttributeList(start.lpAttributeList, 1, 0, &size));
  HANDLE of_parent = parent.handle();
  ASSERT_TRUE(::UpdateProcThreadAttribute(start.lpAttributeList, 0,
                                          PROC_THREAD_ATTRIBUTE_PARENT_PROCESS, &of_parent,
                                          sizeof of_parent, nullptr, nullptr));
  std::wstring command = L"cmd.exe /c exit 5";
  PROCESS_INFORMATION other{};
  ASSERT_TRUE(::CreateProcessW(nullptr, command.data(), nullptr, nullptr, FALSE,
                               EXTENDED_STARTUPINFO_PRESENT | DETACHED_PROCESS, nullptr, nullptr,
                               &start.StartupInfo, &other));
  ::DeleteProcThreadAttributeList(start.lpAttributeList);
  ::CloseHandle(other.hThread);
  Reactor reactor{"afd"};
  EXPECT_EQ(refusal(reactor, static_cast<int>(other.dwProcessId)), std::errc::no_child_process);
  int code = -1;
  ChildWatch watch = reactor.on_child_exit(other.hProcess,
                                           [&](const ChildExit& exit) { code = exit.exit_code(); });
  ::CloseHandle(other.hProcess);
  EXPECT_EQ(reactor.run_once(20s), 1u);
  EXPECT_EQ(code, 5);
}

}  // namespace
}  // namespace pollux

// SPDX-License-Identifier: MIT
#include "conformance/support/system.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include <io.h>

#include <pollux/error.hpp>

#include "conformance/support/limits.hpp"
#include "conformance/support/tcp_pair.hpp"
#include "conformance/support/unix_paths.hpp"
#include "native_sockets.hpp"

#include <windows.h>

namespace pollux::support {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error{native::last_error(), std::generic_category(), what};
}

/// What Wine calls itself; null on Windows.
const char* wine_version() noexcept {
  const auto found = ::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "wine_get_version");
  if (found == nullptr) return nullptr;
  return reinterpret_cast<const char* (*)()>(reinterpret_cast<void*>(found))();
}

bool is_socket(NativeHandle handle) noexcept {
  int type = 0;
  native::Length size = sizeof type;
  return native::get_option(handle, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

HANDLE as_handle(NativeHandle handle) noexcept {
  return reinterpret_cast<HANDLE>(handle);
}

long outcome_of(long count) {
  return count >= 0 ? count : -native::last_error();
}

}  // namespace

bool has_multipath() {
  return false;
}

const SystemFacts& system_facts() noexcept {
  static const SystemFacts facts = [] {
    const bool is_wine = wine_version() != nullptr;
    SystemFacts windows;
    windows.reset_discards_unread = !is_wine;  // Wine's sockets are the host's
    windows.reset_behind_fin_is_broken_pipe = false;
    windows.failure_is_taken = false;
    windows.own_shutdown_leaves_unread = false;
    windows.own_shutdown_is_reported = false;
    windows.unacknowledged_bytes_show = false;
    windows.calls_of_a_check = 4;
    windows.raw_flags_are_linux = false;
    windows.errors_name_the_peer = false;
    windows.receives_in_batches = false;
    windows.bytes_behind_both_shutdowns_reset = !is_wine;
    windows.bytes_behind_own_shutdown_reset = !is_wine;
    windows.read_without_urgent_byte = -EAGAIN;
    windows.read_after_refusal = is_wine ? 0 : -ENOTCONN;
    windows.write_after_refusal = is_wine ? -ECONNRESET : -ENOTCONN;
    windows.lost_datagram_is_an_error = false;
    windows.children_are_reaped = false;
    windows.has_process_handles = true;
    windows.signals_may_meet = false;
    windows.is_emulated = is_wine;
    windows.unread_bytes_hide_fin = is_wine;
    windows.reset_hides_fin = is_wine;
    windows.read_behind_failure_is_the_end = is_wine;
    return windows;
  }();
  return facts;
}

bool unix_has_urgent_bytes() {
  return false;
}

std::string left_out_here() {
  return "this system has no pipes or terminals that a loop can watch, and no AF_UNIX streams "
         "that pollux does\n"
         "this system has no fork, no signals for a single thread, and no limit of descriptors\n"
         "this system has no error queue, no peek offset, no eventfd, no MPTCP, and no filter that "
         "drops packets\n";
}

int Handle::close() noexcept {
  if (handle_ == no_handle) return 0;
  return ::closesocket(std::exchange(handle_, no_handle)) == 0 ? 0 : -native::last_error();
}

std::span<const PairKind> available_pair_kinds() noexcept {
  static constexpr PairKind all[] = {PairKind::tcp4, PairKind::tcp6};
  return all;
}

PairKind cheapest_pair_kind() noexcept {
  return PairKind::tcp4;
}

Pair make_pair(PairKind kind, Protocol protocol) {
  return make_tcp_pair(kind, protocol);
}

long write_bytes(const Handle& handle, std::string_view bytes) {
  return outcome_of(native::send(handle.get(), bytes.data(), bytes.size(), 0));
}

long read_bytes(const Handle& handle, std::size_t most) {
  std::array<char, 65536> buffer;
  const std::size_t size = std::min(most, buffer.size());
  const long count = native::receive(handle.get(), buffer.data(), size, 0);
  // Of a packet Winsock gives what there is room for as well, but says that there was more.
  if (count < 0 && ::WSAGetLastError() == WSAEMSGSIZE) return static_cast<long>(size);
  return outcome_of(count);
}

long read_onto(std::string& text, const Handle& handle) {
  std::array<char, 65536> buffer;
  const long count = native::receive(handle.get(), buffer.data(), buffer.size(), 0);
  if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
  return outcome_of(count);
}

Handle duplicate(const Handle& handle) {
  WSAPROTOCOL_INFOW info{};
  if (::WSADuplicateSocketW(handle.get(), ::GetCurrentProcessId(), &info) != 0) fail("dup");
  Handle copy{native::made_non_blocking(
      ::WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0,
                   WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT))};
  if (!copy) fail("dup");
  return copy;
}

namespace {

/// A low number that is ours, made before anything else.
HANDLE reserve = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);

}  // namespace

Handle duplicate_at(const Handle& handle, NativeHandle number) {
  // The system chooses among those that are free: they are taken until it is that one's turn.
  // WSADuplicateSocket() has a handle of its own meanwhile, for which there has to be another.
  std::vector<Handle> others;
  Handle found;
  for (int i = 0; i < 4096 && !found; ++i) {
    ::CloseHandle(reserve);
    Handle copy = duplicate(handle);
    reserve = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
    if (copy.get() == number) {
      found = std::move(copy);
    } else {
      others.push_back(std::move(copy));
    }
  }
  return found;
}

std::size_t open_descriptors() {
  // Of sockets: what else a process has open, Winsock and the C library open when they like.
  constexpr NativeHandle numbers = 1024;
  std::size_t count = 0;
  for (NativeHandle number = 1; number < numbers; ++number)
    count += is_socket(4 * number) ? 1u : 0u;
  return count;
}

bool is_open(NativeHandle handle) noexcept {
  DWORD flags = 0;
  return ::GetHandleInformation(as_handle(handle), &flags) != 0;
}

std::vector<NativeHandle> never_open() {
  return {no_handle, 0x7FFFFFFC};
}

std::optional<std::uint64_t> bytes_received(NativeHandle) {
  return std::nullopt;
}

bool set_peek_offset(const Handle&, int) {
  return false;
}

std::vector<Named> no_streams_of_this_system() {
  return {};
}
std::vector<Named> files_of_unclear_type() {
  return {};
}

RegularFile::RegularFile() {
  std::array<wchar_t, 32768> name{};
  ::GetModuleFileNameW(nullptr, name.data(), static_cast<DWORD>(name.size()));
  const HANDLE file =
      ::CreateFileW(name.data(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr);
  file_ = reinterpret_cast<NativeHandle>(file);
  if (file_ == no_handle)
    throw std::system_error{std::make_error_code(std::errc::no_such_file_or_directory), "open"};
}
RegularFile::~RegularFile() {
  ::CloseHandle(as_handle(file_));
}

void set_blocking(const Handle& handle, bool blocking) {
  u_long on = blocking ? 0 : 1;
  if (::ioctlsocket(handle.get(), static_cast<long>(FIONBIO), &on) != 0) fail("FIONBIO");
}

int settings_of(const Handle& handle) {
  // Nobody can ask: whether a read waits, for a limited time, is all there is to see.
  DWORD before = 0;
  native::Length size = sizeof before;
  native::get_option(handle.get(), SOL_SOCKET, SO_RCVTIMEO, &before, &size);
  const DWORD limit_ms = 1;
  native::set_option(handle.get(), SOL_SOCKET, SO_RCVTIMEO, &limit_ms, sizeof limit_ms);
  const long result = peek(handle);
  native::set_option(handle.get(), SOL_SOCKET, SO_RCVTIMEO, &before, sizeof before);
  return static_cast<int>(result);
}

bool await(NativeHandle handle, Await what, std::chrono::milliseconds limit) {
  const short events = what == Await::readable   ? short{POLLRDNORM}
                       : what == Await::writable ? short{POLLWRNORM}
                                                 : short{0};
  native::Polled asked{handle, events, 0};
  if (handle != no_handle) return native::poll(&asked, static_cast<int>(limit.count())) == 1;
  ::Sleep(static_cast<DWORD>(limit.count()));
  return false;
}

OtherEnd look_at_other_end(const Handle& handle, std::chrono::milliseconds limit) {
  native::Polled asked{handle.get(), 0, 0};
  native::poll(&asked, static_cast<int>(limit.count()));
  if ((asked.revents & POLLERR) != 0) return OtherEnd::failed;
  return (asked.revents & POLLHUP) != 0 ? OtherEnd::closed : OtherEnd::open;
}

bool await_close(PairKind, const Handle& handle, std::chrono::milliseconds limit) {
  return await(handle, Await::readable, limit);
}

std::string fresh_unix_path() {
  return {};
}
void release_unix_path(const sockaddr*, int) {}

Handle open_master() {
  throw std::system_error{std::make_error_code(std::errc::function_not_supported),
                          "this system has no pseudo-terminals"};
}

std::optional<Pair> make_packet_pair() {
  return std::nullopt;
}

void set_environment(const char* name, const char* value) {
  ::_putenv_s(name, value != nullptr ? value : "");
}

bool can_fork() noexcept {
  return false;
}

bool run_forked(const std::function<bool()>&) {
  return false;
}

void end_process(bool) {
  ::TerminateProcess(::GetCurrentProcess(), 0);
  std::abort();  // never
}

/// Processes that have not begun, and what they are to exit with: ended from here, which shows as
/// the same.
struct Gate::State {
  std::vector<std::pair<HANDLE, int>> held;
};

Gate::Gate() : state_{std::make_unique<State>()} {}
Gate::~Gate() {
  open();
}
void Gate::open() {
  for (const auto& [process, code] : std::exchange(state_->held, {})) {
    ::TerminateProcess(process, static_cast<UINT>(code));
    ::CloseHandle(process);
  }
}
void Gate::pass() {}

namespace {

PROCESS_INFORMATION begin_child(int code, DWORD flags) {
  std::wstring command = L"cmd.exe /c exit " + std::to_wstring(code);
  STARTUPINFOW start{};
  start.cb = sizeof start;
  PROCESS_INFORMATION made{};
  if (::CreateProcessW(nullptr, command.data(), nullptr, nullptr, FALSE, DETACHED_PROCESS | flags,
                       nullptr, nullptr, &start, &made) == 0)
    throw std::system_error{static_cast<int>(::GetLastError()), native_category(), "CreateProcess"};
  ::CloseHandle(made.hThread);
  return made;
}

}  // namespace

ChildProcess::ChildProcess(int code) {
  const PROCESS_INFORMATION made = begin_child(code, 0);
  pid_ = static_cast<int>(made.dwProcessId);
  handle_ = made.hProcess;
}
ChildProcess::ChildProcess(Gate& gate, int code) {
  const PROCESS_INFORMATION made = begin_child(code, CREATE_SUSPENDED);
  const HANDLE self = ::GetCurrentProcess();
  HANDLE own = nullptr;
  ::DuplicateHandle(self, made.hProcess, self, &own, 0, FALSE, DUPLICATE_SAME_ACCESS);
  gate.state_->held.emplace_back(own, code);
  pid_ = static_cast<int>(made.dwProcessId);
  handle_ = made.hProcess;
}
ChildProcess::ChildProcess(const std::function<int()>&) {
  throw std::system_error{std::make_error_code(std::errc::function_not_supported), "fork"};
}
ChildProcess::~ChildProcess() {
  if (handle_ == nullptr) return;
  ::TerminateProcess(handle_, 0);
  ::WaitForSingleObject(handle_, INFINITE);
  ::CloseHandle(handle_);
}
void ChildProcess::await_end() const {
  ::WaitForSingleObject(handle_, INFINITE);
}
bool ChildProcess::is_there() const {
  return true;
}

std::vector<int> never_children() {
  return {-1, 0, static_cast<int>(::GetCurrentProcessId()), 0x7FFFFFFC};
}

int signal_of_ours(std::size_t which) noexcept {
  return which == 0 ? SIGBREAK : SIGTERM;
}

void raise_signal(int signal) {
  std::raise(signal);
}

void (*handler_of(int signal))(int) {
  const auto now = std::signal(signal, SIG_IGN);
  std::signal(signal, now);
  return now;
}

std::vector<int> never_signals() {
  return {-1, 0, 17, 128, 4096, SIGSEGV, SIGFPE, SIGILL};
}

bool handlers_may_change_while_signals_come() {
  // Wine's raise() reads the handler and sets the default afterwards, without a lock: what another
  // thread has set between the two is gone, and the next signal ends the process.
  return !system_facts().is_emulated;
}

bool can_limit_descriptors() noexcept {
  return false;
}

DescriptorLimit::DescriptorLimit(std::size_t) {}
DescriptorLimit::~DescriptorLimit() = default;
std::size_t NoDescriptorLeft::lowest_free() {
  return 0;
}

void ignore_broken_pipes() {}  // a write says so, and raises nothing

std::string system_name() {
  // GetVersion() answers what a program's manifest asks for; this one does not.
  OSVERSIONINFOW version{};
  version.dwOSVersionInfoSize = sizeof version;
  using Get = LONG(WINAPI*)(OSVERSIONINFOW*);
  const auto found = ::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "RtlGetVersion");
  if (found != nullptr) reinterpret_cast<Get>(reinterpret_cast<void*>(found))(&version);
  std::string name = "Windows " + std::to_string(version.dwMajorVersion) + '.' +
                     std::to_string(version.dwMinorVersion) + '.' +
                     std::to_string(version.dwBuildNumber) + " x86_64";
  if (const char* const wine = wine_version(); wine != nullptr)
    name += std::string{" (Wine "} + wine + ')';
  return name;
}

bool is_terminal_output() noexcept {
  return ::_isatty(::_fileno(stdout)) != 0;
}
bool is_terminal_errors() noexcept {
  return ::_isatty(::_fileno(stderr)) != 0;
}

}  // namespace pollux::support

// SPDX-License-Identifier: MIT
// Child processes as Windows has them. The handle of a process stands for it as long as it is open:
// the number is nobody else's meanwhile, also when the child has ended.
#include "platform/children.hpp"

#include <memory>
#include <new>

#include <windows.h>
// In this order.
#include <winternl.h>

#include <pollux/backend_support.hpp>

#include "platform/platform.hpp"
#include "platform/signals.hpp"
#include "platform/windows/console_signals.hpp"

namespace pollux::detail::platform {

const bool child_handles_are_readable = false;

namespace {

constexpr DWORD rights = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION;

std::error_code last_error() noexcept {
  return error_code(static_cast<int>(::GetLastError()));
}

/// A handle of our own.
class Process {
 public:
  explicit Process(int pid) noexcept
      : handle_{pid > 0 ? ::OpenProcess(rights, FALSE, static_cast<DWORD>(pid)) : nullptr} {}
  /// Null, and GetLastError(), if `process` is none or has not the rights.
  explicit Process(HANDLE process) noexcept {
    const HANDLE self = ::GetCurrentProcess();
    ::DuplicateHandle(self, process, self, &handle_, rights, FALSE, 0);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (handle_ != nullptr) ::CloseHandle(handle_);
  }
  HANDLE get() const noexcept { return handle_; }

  bool is_child() const noexcept {
    // winternl.h hides the parent's number in a field without a name.
    struct {
      PVOID status;
      PVOID peb;
      PVOID rest[2];
      ULONG_PTR pid;
      ULONG_PTR parent;
    } info{};
    static_assert(sizeof info == sizeof(PROCESS_BASIC_INFORMATION));
    return handle_ != nullptr &&
           ::NtQueryInformationProcess(handle_, ProcessBasicInformation, &info, sizeof info,
                                       nullptr) >= 0 &&
           info.parent == ::GetCurrentProcessId();
  }

 private:
  HANDLE handle_;
};

/// What a child's NativeHandle points to.
struct OpenChild {
  explicit OpenChild(const ChildId& id) noexcept
      : process{id.handle ? Process{*id.handle} : Process{id.pid}} {}
  Process process;
  HANDLE wait = nullptr;  ///< of a thread of the system's, for the end of the process
};

OpenChild* child_of(NativeHandle handle) noexcept {
  return reinterpret_cast<OpenChild*>(handle);
}

void CALLBACK on_end(void*, BOOLEAN) {
  raise_for_all(child_signal);  // touches nothing that could be gone
}

}  // namespace

std::error_code Children::check(ChildId& id) noexcept {
  calls_ += 3;
  if (!id.handle) {
    const Process process{id.pid};
    return process.is_child() ? std::error_code{} : system_error_code(std::errc::no_child_process);
  }
  const DWORD pid = ::GetProcessId(*id.handle);
  if (pid == 0) return last_error();
  if (pid == ::GetCurrentProcessId()) return system_error_code(std::errc::no_child_process);
  id.pid = static_cast<int>(pid);
  return {};
}

std::error_code Children::open(const ChildId& id, NativeHandle& handle) noexcept {
  handle = no_handle;
  calls_ += 3;
  std::unique_ptr<OpenChild> child{new (std::nothrow) OpenChild{id}};
  if (child == nullptr) return system_error_code(std::errc::not_enough_memory);
  if (child->process.get() == nullptr) return last_error();
  // The number may be another's since check().
  if (!id.handle && !child->process.is_child())
    return system_error_code(std::errc::no_child_process);
  if (::RegisterWaitForSingleObject(&child->wait, child->process.get(), &on_end, nullptr, INFINITE,
                                    WT_EXECUTEONLYONCE) == 0)
    return last_error();
  handle = reinterpret_cast<NativeHandle>(child.release());
  return {};
}

void Children::close(NativeHandle handle) noexcept {
  const std::unique_ptr<OpenChild> child{child_of(handle)};
  calls_ += 2;
  ::UnregisterWaitEx(child->wait, nullptr);  // one that runs just now needs nothing of this
}

std::optional<ChildExit> Children::reap(int pid, NativeHandle handle) noexcept {
  const HANDLE process = child_of(handle)->process.get();
  ++calls_;
  if (::WaitForSingleObject(process, 0) != WAIT_OBJECT_0) return std::nullopt;
  DWORD code = 0;
  ++calls_;
  if (::GetExitCodeProcess(process, &code) == 0) return ChildExit{pid, last_error()};
  return ChildExit{pid, ChildExit::How::exited, static_cast<int>(code)};
}

}  // namespace pollux::detail::platform

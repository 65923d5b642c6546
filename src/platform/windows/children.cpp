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

class ProcessHandle {
 public:
  explicit ProcessHandle(int pid) noexcept
      : handle_{pid > 0 ? ::OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE,
                                        static_cast<DWORD>(pid))
                        : nullptr} {}
  ProcessHandle(const ProcessHandle&) = delete;
  ProcessHandle& operator=(const ProcessHandle&) = delete;
  ~ProcessHandle() {
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
  explicit OpenChild(int pid) noexcept : process{pid} {}
  ProcessHandle process;
  HANDLE wait = nullptr;  ///< of a thread of the system's, for the end of the process
};

OpenChild* child_of(NativeHandle handle) noexcept {
  return reinterpret_cast<OpenChild*>(handle);
}

void CALLBACK on_end(void*, BOOLEAN) {
  raise_for_all(child_signal);  // touches nothing that could be gone
}

}  // namespace

std::error_code Children::check(int pid) noexcept {
  calls_ += 3;
  const ProcessHandle process{pid};
  return process.is_child() ? std::error_code{} : system_error_code(std::errc::no_child_process);
}

NativeHandle Children::open(int pid) noexcept {
  calls_ += 3;
  std::unique_ptr<OpenChild> child{new (std::nothrow) OpenChild{pid}};
  if (child == nullptr || !child->process.is_child() ||
      ::RegisterWaitForSingleObject(&child->wait, child->process.get(), &on_end, nullptr, INFINITE,
                                    WT_EXECUTEONLYONCE) == 0)
    return no_handle;
  return reinterpret_cast<NativeHandle>(child.release());
}

void Children::close(NativeHandle handle) noexcept {
  const std::unique_ptr<OpenChild> child{child_of(handle)};
  calls_ += 2;
  ::UnregisterWaitEx(child->wait, nullptr);  // one that runs just now needs nothing of this
}

std::optional<ChildExit> Children::reap(int pid, NativeHandle handle) noexcept {
  if (handle == no_handle) return ChildExit{pid, system_error_code(std::errc::no_child_process)};
  const HANDLE process = child_of(handle)->process.get();
  ++calls_;
  if (::WaitForSingleObject(process, 0) != WAIT_OBJECT_0) return std::nullopt;
  DWORD code = 0;
  ++calls_;
  if (::GetExitCodeProcess(process, &code) == 0)
    return ChildExit{pid, error_code(static_cast<int>(::GetLastError()))};
  return ChildExit{pid, ChildExit::How::exited, static_cast<int>(code)};
}

}  // namespace pollux::detail::platform

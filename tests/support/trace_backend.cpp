// SPDX-License-Identifier: MIT
#include "support/trace_backend.hpp"

#include <utility>

#include "support/forwarding_backend.hpp"

namespace pollux::support {

namespace {

class TraceBackend final : public ForwardingBackend {
 public:
  TraceBackend(std::unique_ptr<Backend> inner, BackendLog& log)
      : ForwardingBackend{std::move(inner)}, log_{log} {}

  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    if (from == RawInterest::none) log_.last_added = token;
    return ForwardingBackend::set_interest(handle, from, to, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = ForwardingBackend::wait(out, timeout);
    ++log_.waits;
    log_.reports.insert(log_.reports.end(), out.begin(), out.begin() + result.count);
    return result;
  }

 private:
  BackendLog& log_;
};

}  // namespace

std::unique_ptr<Backend> trace_backend(std::unique_ptr<Backend> inner, BackendLog& log) {
  return std::make_unique<TraceBackend>(std::move(inner), log);
}

}  // namespace pollux::support

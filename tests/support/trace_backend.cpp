// SPDX-License-Identifier: MIT
#include "support/trace_backend.hpp"

#include <utility>

namespace pollux::support {

namespace {

class TraceBackend final : public Backend {
 public:
  TraceBackend(std::unique_ptr<Backend> inner, BackendLog& log)
      : inner_{std::move(inner)}, log_{log} {}

  std::string_view name() const noexcept override { return inner_->name(); }
  RawReady reports() const noexcept override { return inner_->reports(); }
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    return inner_->set_interest(handle, from, to, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    const WaitResult result = inner_->wait(out, timeout);
    ++log_.waits;
    log_.reports.insert(log_.reports.end(), out.begin(), out.begin() + result.count);
    return result;
  }
  void wake() noexcept override { inner_->wake(); }
  std::error_code reset() override { return inner_->reset(); }

 private:
  std::unique_ptr<Backend> inner_;
  BackendLog& log_;
};

}  // namespace

std::unique_ptr<Backend> trace_backend(std::unique_ptr<Backend> inner, BackendLog& log) {
  return std::make_unique<TraceBackend>(std::move(inner), log);
}

}  // namespace pollux::support

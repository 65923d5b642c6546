// SPDX-License-Identifier: MIT
// A backend that passes everything on to another, for those who watch or spoil what passes.
#pragma once

#include <memory>
#include <utility>

#include <pollux/backend.hpp>

namespace pollux::support {

class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> inner) : inner_{std::move(inner)} {}

  std::string_view name() const noexcept override { return inner_->name(); }
  RawReady reports() const noexcept override { return inner_->reports(); }
  std::error_code set_interest(NativeHandle handle, RawInterest from, RawInterest to,
                               Token token) override {
    return inner_->set_interest(handle, from, to, token);
  }
  WaitResult wait(std::span<RawEvent> out, Timeout timeout) override {
    return inner_->wait(out, timeout);
  }
  void wake() noexcept override { inner_->wake(); }
  std::error_code reset() override { return inner_->reset(); }
  std::error_code remove_closing(NativeHandle handle, RawInterest from, Token token) override {
    return inner_->remove_closing(handle, from, token);
  }
  NativeHandle native_handle() noexcept override { return inner_->native_handle(); }
  std::uint64_t system_calls() const noexcept override { return inner_->system_calls(); }

 private:
  std::unique_ptr<Backend> inner_;
};

}  // namespace pollux::support

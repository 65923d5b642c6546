// SPDX-License-Identifier: MIT
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <pollux/embed/asio.hpp>

#include "embed/host.hpp"

namespace pollux::embed {

namespace {

class AsioHost final : public Host {
 public:
  void embed(Reactor& reactor) override {
    source_ = std::make_unique<AsioSource>(reactor, context_);
  }
  void release() override { source_.reset(); }

  void pass(std::chrono::milliseconds at_most) override {
    if (context_.stopped()) context_.restart();
    try {
      context_.run_one_for(at_most);
    } catch (...) {
      if (!on_exception_) throw;
      on_exception_(std::current_exception());
    }
  }

  void call_after(std::chrono::milliseconds delay, std::function<void()> f) override {
    auto timer = std::make_shared<asio::steady_timer>(context_, delay);
    timer->async_wait([timer, f = std::move(f)](const std::error_code&) { f(); });
  }
  void call_always(std::function<bool()> f) override {
    asio::post(context_, [this, f = std::move(f)] {
      if (f()) call_always(f);
    });
  }

  void on_exception(std::function<void(std::exception_ptr)> handler) override {
    on_exception_ = std::move(handler);
  }
  void after_fork() override { context_.notify_fork(asio::io_context::fork_child); }
  bool can_nest() const override { return true; }

 private:
  asio::io_context context_;
  std::unique_ptr<AsioSource> source_;
  std::function<void(std::exception_ptr)> on_exception_;
};

}  // namespace

std::string_view host_name() {
  return "asio";
}
std::unique_ptr<Host> make_host() {
  return std::make_unique<AsioHost>();
}

}  // namespace pollux::embed

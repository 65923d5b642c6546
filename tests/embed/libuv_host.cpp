// SPDX-License-Identifier: MIT
#include <cassert>
#include <utility>

#include <pollux/embed/libuv.hpp>

#include "embed/host.hpp"

namespace pollux::embed {

namespace {

class LibuvHost final : public Host {
 public:
  LibuvHost() {
    uv_loop_init(&loop_);
    uv_timer_init(&loop_, &guard_);
  }
  ~LibuvHost() override {
    source_.reset();
    uv_walk(
        &loop_,
        [](uv_handle_t* handle, void*) {
          if (!uv_is_closing(handle)) uv_close(handle, nullptr);
        },
        nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    [[maybe_unused]] const int left = uv_loop_close(&loop_);
    assert(left == 0);
  }

  void embed(Reactor& reactor) override {
    source_ = std::make_unique<LibuvSource>(reactor, &loop_);
  }
  void release() override { source_.reset(); }

  void pass(std::chrono::milliseconds at_most) override {
    uv_update_time(&loop_);
    uv_timer_start(
        &guard_, [](uv_timer_t*) {}, static_cast<std::uint64_t>(at_most.count()), 0);
    uv_run(&loop_, UV_RUN_ONCE);
    uv_timer_stop(&guard_);
    if (source_) source_->rethrow();
  }

  void call_after(std::chrono::milliseconds delay, std::function<void()> f) override {
    auto* timer = new Callback<uv_timer_t>{{}, [f = std::move(f)] {
                                             f();
                                             return false;
                                           }};
    uv_timer_init(&loop_, &timer->handle);
    uv_update_time(&loop_);
    uv_timer_start(&timer->handle, &Callback<uv_timer_t>::call,
                   static_cast<std::uint64_t>(delay.count()), 0);
  }
  void call_always(std::function<bool()> f) override {
    auto* idle = new Callback<uv_idle_t>{{}, std::move(f)};
    uv_idle_init(&loop_, &idle->handle);
    uv_idle_start(&idle->handle, &Callback<uv_idle_t>::call);
  }

  void on_exception(std::function<void(std::exception_ptr)> handler) override {
    source_->on_exception(std::move(handler));
  }
  void after_fork() override { uv_loop_fork(&loop_); }
  bool can_nest() const override { return false; }

 private:
  template <class Handle>
  struct Callback {
    Handle handle;
    std::function<bool()> f;

    static void call(Handle* handle) {
      if (reinterpret_cast<Callback*>(handle)->f()) return;
      uv_close(reinterpret_cast<uv_handle_t*>(handle),
               [](uv_handle_t* closed) { delete reinterpret_cast<Callback*>(closed); });
    }
  };

  uv_loop_t loop_;
  uv_timer_t guard_;
  std::unique_ptr<LibuvSource> source_;
};

}  // namespace

std::string_view host_name() {
  return "libuv";
}
std::unique_ptr<Host> make_host() {
  return std::make_unique<LibuvHost>();
}

}  // namespace pollux::embed

// SPDX-License-Identifier: MIT
#include <utility>

#include <pollux/embed/glib.hpp>

#include "embed/host.hpp"

namespace pollux::embed {

namespace {

class GlibHost final : public Host {
 public:
  GlibHost() : context_{g_main_context_new()} {}
  ~GlibHost() override {
    source_.reset();
    g_main_context_unref(context_);
  }

  void embed(Reactor& reactor) override {
    source_ = std::make_unique<GlibSource>(reactor, context_);
  }
  void release() override { source_.reset(); }

  void pass(std::chrono::milliseconds at_most) override {
    GSource* guard =
        attach(g_timeout_source_new(static_cast<guint>(at_most.count())), [] { return true; });
    g_main_context_iteration(context_, TRUE);
    g_source_destroy(guard);
    if (source_) source_->rethrow();
  }

  void call_after(std::chrono::milliseconds delay, std::function<void()> f) override {
    attach(g_timeout_source_new(static_cast<guint>(delay.count())), [f = std::move(f)] {
      f();
      return false;
    });
  }
  void call_always(std::function<bool()> f) override {
    GSource* idle = attach(g_idle_source_new(), std::move(f));
    g_source_set_priority(idle, G_PRIORITY_DEFAULT);  // or it would run only when nothing else does
  }

  void on_exception(std::function<void(std::exception_ptr)> handler) override {
    source_->on_exception(std::move(handler));
  }
  void after_fork() override {}
  bool can_nest() const override { return true; }

 private:
  using Call = std::function<bool()>;

  GSource* attach(GSource* source, Call call) {
    g_source_set_callback(
        source, [](gpointer data) { return (*static_cast<Call*>(data))() ? TRUE : FALSE; },
        new Call{std::move(call)}, [](gpointer data) { delete static_cast<Call*>(data); });
    g_source_attach(source, context_);
    g_source_unref(source);
    return source;
  }

  GMainContext* context_;
  std::unique_ptr<GlibSource> source_;
};

}  // namespace

std::string_view host_name() {
  return "glib";
}
std::unique_ptr<Host> make_host() {
  return std::make_unique<GlibHost>();
}

}  // namespace pollux::embed

// SPDX-License-Identifier: MIT
#include <utility>

#include <QCoreApplication>
#include <QEventLoop>
#include <QTimer>

#include <pollux/embed/qt.hpp>

#include "embed/host.hpp"

namespace pollux::embed {

namespace {

class QtHost final : public Host {
 public:
  void embed(Reactor& reactor) override { source_ = std::make_unique<QtSource>(reactor); }
  void release() override { source_.reset(); }

  void pass(std::chrono::milliseconds at_most) override {
    QTimer guard;
    guard.start(at_most);
    QCoreApplication::processEvents(QEventLoop::AllEvents | QEventLoop::WaitForMoreEvents);
    if (source_) source_->rethrow();
  }

  void call_after(std::chrono::milliseconds delay, std::function<void()> f) override {
    QTimer::singleShot(delay, Qt::PreciseTimer, &context_, std::move(f));
  }
  void call_always(std::function<bool()> f) override {
    auto* idle = new QTimer{&context_};
    QObject::connect(idle, &QTimer::timeout, idle, [idle, f = std::move(f)] {
      if (!f()) idle->deleteLater();
    });
    idle->start(0);
  }

  void on_exception(std::function<void(std::exception_ptr)> handler) override {
    source_->on_exception(std::move(handler));
  }
  void after_fork() override {}
  bool can_nest() const override { return true; }

 private:
  QObject context_;
  std::unique_ptr<QtSource> source_;
};

}  // namespace

std::string_view host_name() {
  return "qt";
}

std::unique_ptr<Host> make_host() {
  static char name[] = "embed_test";
  static char* arguments[] = {name, nullptr};
  static int count = 1;
  static QCoreApplication application{count, arguments};  // the loop itself is the thread's
  return std::make_unique<QtHost>();
}

}  // namespace pollux::embed

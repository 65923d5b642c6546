// SPDX-License-Identifier: MIT
// A reactor inside Qt 6: a QSocketNotifier and a QTimer. Qt Core is all it needs.
#pragma once

#include <exception>
#include <memory>
#include <utility>

#include <QObject>
#include <QSocketNotifier>
#include <QTimer>

#include <pollux/embed/embedded_reactor.hpp>

namespace pollux::embed {

/// As long as it lives, the event loop of the thread that made it runs the handlers of a reactor:
/// QCoreApplication's, QThread's or QEventLoop's. That thread is the loop thread, of this class as
/// well. The reactor outlives it; a handler may destroy it. A handler that runs an event loop of
/// its own (a dialog) is the only one of the reactor's that runs meanwhile.
///
/// Deadlines are rounded up to milliseconds, as Qt's are. Reactor::stop() ends a turn, not a
/// QEventLoop.
class QtSource {
 public:
  /// std::system_error: `operation_not_supported` on a backend without native handle (see
  /// docs/embedding.md for what to do), or what the system says when it is out of descriptors.
  explicit QtSource(Reactor& reactor) : state_{std::make_shared<State>(reactor)} { state_->arm(); }
  QtSource(const QtSource&) = delete;
  QtSource& operator=(const QtSource&) = delete;
  ~QtSource() { state_->leave(); }

  /// What a handler throws must not pass through Qt. `handler` is called with it, from inside the
  /// loop; without one, or if it throws in turn, the first exception is kept for rethrow(). Errors
  /// of the reactor itself come the same way, as std::system_error.
  void on_exception(Handler<std::exception_ptr> handler) {
    state_->exceptions.on_exception(std::move(handler));
  }
  /// Throws what was kept, once; for after the loop has ended.
  void rethrow() { state_->exceptions.rethrow(); }

 private:
  /// A slot that is running holds a share: a handler may destroy the adapter.
  struct State : std::enable_shared_from_this<State> {
    explicit State(Reactor& reactor) : embedded{reactor}, timer{std::make_unique<QTimer>()} {
      timer->setTimerType(Qt::PreciseTimer);
      timer->setSingleShot(true);
      QObject::connect(timer.get(), &QTimer::timeout, timer.get(), [this] {
        host_timer.has_expired();
        turn();
      });
      // Qt has no step before its wait that can be relied on: a timer of nothing comes before.
      embedded.on_reschedule([this] { set_timer(Timeout::zero()); });
      listen();
    }

    void leave() {
      notifier->setEnabled(false);
      timer->stop();
      discard(std::move(notifier));
      discard(std::move(timer));
      embedded.leave();
    }

    void turn() {
      const auto self = shared_from_this();
      // Run from inside a handler: what is reported then is delivered after that has returned.
      if (embedded.is_turning()) return notifier->setEnabled(false);
      in_slot = true;
      exceptions.guard([this] { embedded.turn(); });
      if (!embedded.has_left()) arm();
      in_slot = false;
    }

    void arm() {
      exceptions.guard([this] {
        set_timer(embedded.prepare());
        if (embedded.is_outdated()) {
          const detail::OwnedHandle old = embedded.renew();
          notifier->setEnabled(false);
          discard(std::move(notifier));
          listen();
        }
        notifier->setEnabled(true);
      });
    }

    void listen() {
      notifier = std::make_unique<QSocketNotifier>(embedded.handle(), QSocketNotifier::Read);
      QObject::connect(notifier.get(), &QSocketNotifier::activated, notifier.get(),
                       [this] { turn(); });
    }

    void set_timer(Timeout timeout) {
      if (host_timer.is_to_be_set(timeout)) timer->start(timeout.poll_ms());
    }

    /// Not while the signal of one of them is being delivered.
    void discard(std::unique_ptr<QObject> object) const {
      object->disconnect();
      if (in_slot) object.release()->deleteLater();
    }

    detail::EmbeddedReactor embedded;
    detail::HostTimer host_timer;
    detail::Exceptions exceptions;
    std::unique_ptr<QSocketNotifier> notifier;
    std::unique_ptr<QTimer> timer;
    bool in_slot = false;
  };

  std::shared_ptr<State> state_;
};

}  // namespace pollux::embed

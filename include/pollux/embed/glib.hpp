// SPDX-License-Identifier: MIT
// A reactor inside GLib: a GSource.
#pragma once

#include <exception>
#include <memory>
#include <utility>

#include <glib-unix.h>
#include <glib.h>

#include <pollux/embed/embedded_reactor.hpp>

namespace pollux::embed {

/// As long as it lives, a GMainContext runs the handlers of a reactor, in the thread that iterates
/// the context: the loop thread, of this class as well. The reactor outlives it; a handler may
/// destroy it. A handler that iterates the context itself is the only one of the reactor's that
/// runs meanwhile.
///
/// Deadlines are rounded up to milliseconds, as GLib's are. Reactor::stop() ends a turn, not a
/// GMainLoop.
class GlibSource {
 public:
  /// In `context`, or in the default one. std::system_error: `operation_not_supported` on a backend
  /// without native handle (see docs/embedding.md for what to do), or what the system says when it
  /// is out of descriptors.
  explicit GlibSource(Reactor& reactor, GMainContext* context = nullptr)
      : source_{g_source_new(&functions, sizeof(Hosted))} {
    const std::unique_ptr<GSource, void (*)(GSource*)> unless_complete{source_, &g_source_unref};
    hosted(source_)->state = new State{reactor, source_};
    g_source_attach(source_, context);
    g_source_ref(source_);
  }
  GlibSource(const GlibSource&) = delete;
  GlibSource& operator=(const GlibSource&) = delete;
  ~GlibSource() {
    g_source_destroy(source_);
    state().embedded.leave();
    g_source_unref(source_);
  }

  /// What a handler throws cannot pass through GLib, which is C. `handler` is called with it, from
  /// inside the loop; without one, or if it throws in turn, the first exception is kept for
  /// rethrow(). Errors of the reactor itself come the same way, as std::system_error.
  void on_exception(Handler<std::exception_ptr> handler) {
    state().exceptions.on_exception(std::move(handler));
  }
  /// Throws what was kept, once; for after the loop has ended.
  void rethrow() { state().exceptions.rethrow(); }

  /// For g_source_set_priority() and the like. Not owned.
  GSource* get() const noexcept { return source_; }

 private:
  /// Lives as long as the GSource, which GLib keeps until the call that is running returns.
  struct State {
    State(Reactor& reactor, GSource* source) : embedded{reactor} {
      tag = g_source_add_unix_fd(source, embedded.handle(), G_IO_IN);
      embedded.on_reschedule([this, source] {
        if (asleep) g_main_context_wakeup(g_source_get_context(source));
      });
    }

    detail::EmbeddedReactor embedded;
    detail::Exceptions exceptions;
    gpointer tag = nullptr;
    bool asleep = false;  ///< or about to be: prepared, and not yet checked
  };

  struct Hosted {
    GSource source;
    State* state;
  };
  static Hosted* hosted(GSource* source) noexcept { return reinterpret_cast<Hosted*>(source); }
  State& state() const noexcept { return *hosted(source_)->state; }

  static gboolean prepare(GSource* source, gint* timeout_ms) {
    State& state = *hosted(source)->state;
    state.exceptions.guard([&] {
      *timeout_ms = state.embedded.prepare().poll_ms();
      state.asleep = true;
      if (!state.embedded.is_outdated()) return;
      const detail::OwnedHandle old = state.embedded.renew();
      g_source_remove_unix_fd(source, state.tag);
      state.tag = g_source_add_unix_fd(source, state.embedded.handle(), G_IO_IN);
    });
    return FALSE;  // what is due makes the timeout zero: GLib polls the descriptors in any case
  }

  static gboolean check(GSource* source) {
    State& state = *hosted(source)->state;
    state.asleep = false;
    const bool readable = g_source_query_unix_fd(source, state.tag) != 0;
    return state.embedded.is_due(readable) ? TRUE : FALSE;
  }

  static gboolean dispatch(GSource* source, GSourceFunc, gpointer) {
    State& state = *hosted(source)->state;
    state.exceptions.guard([&] { state.embedded.turn(); });
    return G_SOURCE_CONTINUE;
  }

  static void finalize(GSource* source) { delete hosted(source)->state; }

  static inline GSourceFuncs functions{&prepare, &check, &dispatch, &finalize, nullptr, nullptr};

  GSource* source_;
};

}  // namespace pollux::embed

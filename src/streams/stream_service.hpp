// SPDX-License-Identifier: MIT
// What the streams of one reactor share: memory, and their part in its turns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <pollux/reactor.hpp>
#include <pollux/stream.hpp>

#include "base/turn_hook.hpp"
#include "loop/event_loop.hpp"
#include "streams/buffer_pool.hpp"
#include "streams/pipe_pool.hpp"

namespace pollux::detail {

class StreamCore;

/// One call of on_data().
struct StreamDelivery {
  Bytes bytes;
  std::size_t read = 0;   ///< how many of them count as read, from the first one on
  bool counts = false;    ///< the handler says so itself
  bool replaced = false;  ///< by another handler

  Bytes take(std::size_t most) noexcept {
    if (!std::exchange(counts, true)) read = 0;
    const Bytes taken = bytes.subspan(read, std::min(most, bytes.size() - read));
    read += taken.size();
    return taken;
  }
  void keep(std::size_t last) noexcept {
    counts = true;
    read = bytes.size() - std::min(last, bytes.size());
  }
};

/// Handlers that a running handler has set: they come into their place when it has returned.
struct StreamReplacements {
  std::optional<AnyHandler> data;
  std::optional<AnyHandler> event;
  std::optional<AnyHandler> drained;
};

/// A stream in the lists of its service.
struct StreamTurn {
  StreamTurn() noexcept {}  // NOLINT: what is derived from it may use its last bytes

  StreamCore* next = nullptr;
  bool listed = false;
  bool due = false;  ///< a handler may have to be called in the next turn
};

/// A stream asks for a turn (add()): before the wait it sends what was
/// gathered, and after it the handlers are called that could not be called at once. Loop thread.
class StreamService final : public TurnHook {
 public:
  explicit StreamService(Reactor& reactor, EventLoop& loop) noexcept
      : reactor_{&reactor}, loop_{loop} {}

  /// The service of that reactor, made when the first stream is. Null, and an error, without
  /// memory.
  static StreamService* of(Reactor& reactor, std::error_code& error) noexcept;

  /// Null when the reactor is gone.
  Reactor* reactor() const noexcept { return reactor_; }
  EventLoop& loop() const noexcept { return loop_; }
  SystemCalls& calls() const noexcept { return loop_.context().system_calls; }
  BufferPool& read_blocks() noexcept { return read_blocks_; }
  BufferPool& write_blocks() noexcept { return write_blocks_; }
  PipePool& pipes() noexcept { return pipes_; }

  /// The call of a stream's handler that is running; no handler runs inside of another.
  struct Call {
    const Stream* lent = nullptr;        ///< what the handler was given
    StreamCore* core = nullptr;          ///< null, if it has let go of it
    StreamDelivery* delivery = nullptr;  ///< of on_data()
    StreamReplacements* replaced = nullptr;
  };
  Call& call() noexcept { return call_; }

  /// `core` takes part in the next turn, once.
  void add(StreamCore& core) noexcept;

  /// Changes with each fork that the reactor goes on after: what was made before is the parent's
  /// too.
  unsigned generation() const noexcept { return generation_; }
  /// Whether what was made in that generation is this process's alone.
  bool owns(unsigned generation) const noexcept {
    return generation == generation_ && !loop_.context().forked();
  }

  void prepare() noexcept override;
  bool has_work() const noexcept override { return any_due_; }
  std::size_t deliver() override;
  void after_fork() noexcept override;
  void close() noexcept override;

 private:
  /// Streams in the order in which they were added; each is held.
  struct List {
    StreamCore* first = nullptr;
    StreamCore* last = nullptr;

    void push(StreamCore& core) noexcept;
    StreamCore* pop() noexcept;
    void append(List other) noexcept;
    bool has_due() const noexcept;
  };

  Reactor* reactor_;
  EventLoop& loop_;
  BufferPool read_blocks_{64 * 1024, 4};
  BufferPool write_blocks_{16 * 1024, 64};
  PipePool pipes_;
  List asked_;  ///< of prepare()
  List due_;    ///< of deliver(): what is due has gone through a wait first
  Call call_;
  unsigned generation_ = 0;
  bool any_due_ = false;  ///< in either
};

/// Holds the loop, which has the service.
class ServicePointer {
 public:
  explicit ServicePointer(StreamService& service) noexcept : service_{&service} {
    CorePointer{service.loop()}.let_go();  // counted from now on
  }
  ServicePointer(const ServicePointer&) = delete;
  ServicePointer& operator=(const ServicePointer&) = delete;
  ~ServicePointer() { const CorePointer counted = CorePointer::uncounted(service_->loop()); }

  StreamService& operator*() const noexcept { return *service_; }

 private:
  StreamService* service_;
};

}  // namespace pollux::detail

// SPDX-License-Identifier: MIT
#include "streams/stream_service.hpp"

#include <utility>

#include <pollux/error.hpp>

#include "streams/stream_core.hpp"

namespace pollux::detail {

StreamService* StreamService::of(Reactor& reactor, std::error_code& error) noexcept {
  EventLoop& loop = *reactor.core_;
  if (loop.backend() == nullptr) {
    error = Errc::reactor_closed;
    return nullptr;
  }
  if (loop.hook() == nullptr)
    report_memory(error, [&] {
      loop.set_hook(std::make_unique<StreamService>(reactor, loop));
      return true;
    });
  return static_cast<StreamService*>(loop.hook());
}

void StreamService::add(StreamCore& core) noexcept {
  if (!core.listed) asked_.push(core);
  any_due_ |= core.due;
  loop_.context().work_added();
}

void StreamService::prepare() noexcept {
  // A stop() has left some of these.
  List all = std::exchange(due_, List{});
  all.append(std::exchange(asked_, List{}));
  while (StreamCore* const core = all.pop()) {
    const StreamCore::Hold hold{StreamCore::Hold::taken_over, *core};
    core->prepare();
    if (core->due && !core->listed) due_.push(*core);
  }
  due_.append(std::exchange(asked_, List{}));
  any_due_ = due_.first != nullptr;
}

std::size_t StreamService::deliver() {
  std::size_t called = 0;
  while (!loop_.context().stopped()) {
    StreamCore* const core = due_.pop();
    if (core == nullptr) break;
    const StreamCore::Hold hold{StreamCore::Hold::taken_over, *core};
    if (core->deliver_due()) ++called;
  }
  any_due_ = due_.first != nullptr || asked_.has_due();
  return called;
}

void StreamService::after_fork() noexcept {
  ++generation_;
  pipes_.clear();  // the parent's too
}

void StreamService::close() noexcept {
  reactor_ = nullptr;
  List all = std::exchange(due_, List{});
  all.append(std::exchange(asked_, List{}));
  while (StreamCore* const core = all.pop())
    const StreamCore::Hold hold{StreamCore::Hold::taken_over, *core};
  any_due_ = false;
  read_blocks_.clear();
  write_blocks_.clear();
  pipes_.clear();
}

void StreamService::List::push(StreamCore& core) noexcept {
  StreamCore::Hold hold{core};
  hold.leave();
  core.listed = true;
  core.next = nullptr;
  (last != nullptr ? last->next : first) = &core;
  last = &core;
}

StreamCore* StreamService::List::pop() noexcept {
  StreamCore* const core = first;
  if (core == nullptr) return nullptr;
  first = core->next;
  if (first == nullptr) last = nullptr;
  core->listed = false;
  return core;
}

void StreamService::List::append(List other) noexcept {
  if (other.first == nullptr) return;
  (last != nullptr ? last->next : first) = other.first;
  last = other.last;
}

bool StreamService::List::has_due() const noexcept {
  const StreamCore* core = first;
  while (core != nullptr && !core->due) core = core->next;
  return core != nullptr;
}

}  // namespace pollux::detail

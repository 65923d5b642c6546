// SPDX-License-Identifier: MIT
// What a loop has to offer to be measured. Everything is decided when the workload is compiled: no
// row pays for being comparable.
#pragma once

#include <chrono>
#include <concepts>

#include "io.hpp"

namespace pollux::bench {

using Clock = std::chrono::steady_clock;

/// What a loop tells the owner of a watched descriptor.
struct Ready {
  bool readable = false;
  bool writable = false;
  bool ended = false;  ///< by loops that find the end of a stream themselves
};

/// Who uses a loop: its own thread alone, or others too, which post.
enum class Threads { one, many };

/// An owner that shows what a loop calls.
struct AnyOwner {
  void ready(Ready);
  void expired();
  void posted();
};

/// A loop. `Stream` watches a byte stream, `Watch` whatever can be waited for, and `Timer` is one
/// timer that exists whether armed or not: each what the user of that library would have inside an
/// object of his own, in one place for as long as it lives, and gone before the loop is. A Stream
/// or Watch may be used again after its end. Owners are called by their own type. A loop may have
/// `make_and_drop(owner, delay)` besides, a timer that is made, armed and gone, and
/// `put_off_from_turn(timer, delay)`, by a time that it keeps for the turn: then it has their rows.
template <class L>
concept Loop = requires(L& loop, typename L::Stream& stream, typename L::Watch& watch,
                        typename L::Timer& timer, Handle& handle, AnyOwner& owner,
                        Clock::time_point now, std::chrono::nanoseconds delay) {
  loop.watch_stream(stream, 0, owner);  // for reading, level-triggered
  loop.ask_writable(stream, true);      // besides; or no longer
  loop.unwatch(stream);
  loop.unwatch_and_close(stream, handle);  // the handle is left empty
  loop.watch(watch, 0, owner);             // for reading, likewise
  loop.unwatch(watch);
  loop.prepare(timer, owner);
  loop.arm(timer, now, delay);  // not armed before; `now` for those who take a point in time
  loop.put_off(timer, now, delay);
  loop.cancel(timer);
  loop.post(owner);  // any thread, if Threads::many
  loop.run();        // until stop()
  loop.turn();       // one that does not wait
  loop.stop();
};

}  // namespace pollux::bench

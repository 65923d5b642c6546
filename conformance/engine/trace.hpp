// SPDX-License-Identifier: MIT
// What was seen of a history: by a backend that played it, or by the model that predicts it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pollux::differential {

/// One thing seen, in order.
struct Item {
  enum class What : std::uint8_t {
    op,      ///< an operation; value: its position in the history
    result,  ///< what its system call said: bytes, 0, or minus the error number
    end_of_stream,
    error,  ///< value: the error number
    hangup,
    standing,            ///< what is told in every turn from here on; value: Event bits
    peer_closed,         ///< at the latest by the end of this run of the loop
    had_been_delivered,  ///< after a result: of the failure that it is, to a readiness watch
    refused,             ///< a watch, or a change of it; value: the error number
    peer_sees,           ///< after a close here; value: 0 nothing, 1 the end, 2 a failure
    left_behind,         ///< all is closed here, and the peer sees nothing of it
    false_readable,      ///< readable was delivered, and nothing is unread
    spin,                ///< a wake-up that told nothing, again and again
    // Of a pollux::Stream.
    data,      ///< delivered, and not kept; value: how many bytes
    drained,   ///< on_drained(), in this run of the loop
    enough,    ///< after the result of a write: false
    peer_has,  ///< after a run of the loop, if that is new: so many bytes that are unread
    garbled,   ///< a byte is not the next of those that were written, at either end
  };
  What what = What::op;
  int value = 0;
  int watch = 0;  ///< of two, which one was delivered

  friend bool operator==(const Item&, const Item&) = default;
};

using Trace = std::vector<Item>;

struct History;
/// One line an operation: "peer_write → readable".
std::string to_string(const Trace& trace, const History& history);
/// The same in one line, from one operation on: "peer_write: [readable]; read: 2 bytes".
std::string to_line(const Trace& trace, const History& history);

}  // namespace pollux::differential

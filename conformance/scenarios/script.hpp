// SPDX-License-Identifier: MIT
// The words that scripts are written in: each makes one step, with all that is expected of it.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <pollux/events.hpp>

#include "conformance/scenarios/scenarios.hpp"

namespace pollux::scenarios {

class Stage;

using Name = std::string_view;

// The descriptors of a scenario. Most have the first two only.
inline constexpr Name local = "local";  ///< the end that an application would watch
inline constexpr Name peer = "peer";
inline constexpr Name dup = "dup";              ///< a duplicate of local
inline constexpr Name fresh = "new";            ///< another stream, on the number that local had
inline constexpr Name fresh_peer = "new peer";  ///< its other end

/// What one watch must be told in one step. Whoever is not named must be told nothing.
struct Delivers {
  Name watch;
  std::string_view story;
  /// What a backend that reports rdhup must have seen, all reports together; none: whatever it
  /// sees.
  RawReady native = RawReady::none;
};

struct Step {
  std::string action;
  std::function<std::string(Stage&)> run;  ///< gives the result
  std::string result;
  std::vector<Delivers> delivers;
};

using Script = std::vector<Step>;

/// What a watch asks for unless a script says otherwise.
inline constexpr Interest usual = Interest::readable | Interest::peer_closed;

// Watches. Their handlers read whenever there is something to read, 4096 bytes at a time.
Step watch(std::initializer_list<Name> who, Interest interest = usual,
           std::vector<Delivers> delivers = {});
/// With handlers that read nothing.
Step look_at(std::initializer_list<Name> who, std::vector<Delivers> delivers = {});
/// Changes what is asked for. `writable` is asked for until it has been delivered once.
Step ask(Name who, Interest interest, std::vector<Delivers> delivers = {});
Step unwatch(Name who);
/// The right way to part from a descriptor: unwatch first, close then.
Step leave(Name who, std::vector<Delivers> delivers = {});

/// Makes `dup`.
Step duplicate_local();
/// Makes another stream of the same kind, `fresh` and `fresh_peer`, puts `fresh` on the number that
/// `local` had and watches it.
Step reuse_number();

// System calls, on descriptors.
Step write(Name who, std::size_t bytes, std::string result, std::vector<Delivers> delivers = {});
Step read(Name who, std::string result, std::vector<Delivers> delivers = {});
Step shutdown_read(Name who, std::vector<Delivers> delivers = {});
Step shutdown_write(Name who, std::vector<Delivers> delivers = {});
Step close(Name who, std::vector<Delivers> delivers = {});
/// Both before the loop runs again.
Step write_and_close(Name who, std::size_t bytes, std::vector<Delivers> delivers);
Step reset(Name who, std::vector<Delivers> delivers);
/// From now on everything that arrives for `peer` is lost, and `local` asks whether it is still
/// there.
Step fall_silent(std::vector<Delivers> delivers);

}  // namespace pollux::scenarios

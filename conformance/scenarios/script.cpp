// SPDX-License-Identifier: MIT
#include "conformance/scenarios/script.hpp"

#include <chrono>
#include <thread>
#include <utility>

#include "conformance/scenarios/stage.hpp"
#include "conformance/support/system.hpp"

namespace pollux::scenarios {

namespace {

std::string on(Name who, std::string_view what) {
  return std::string{who} + ": " + std::string{what};
}

/// A step whose result says nothing.
template <class Action>
Step step(std::string text, Action action, std::vector<Delivers> delivers = {}) {
  return {std::move(text),
          [action](Stage& stage) {
            action(stage);
            return std::string{};
          },
          {},
          std::move(delivers)};
}

Step start_watching(std::initializer_list<Name> who, Interest interest, bool reads,
                    std::vector<Delivers> delivers) {
  std::string text = "watch";
  for (const Name name : who) text.append(name == *who.begin() ? " " : ", ").append(name);
  if (interest != usual) text += " for " + to_string(interest);
  if (!reads) text += "; read none";
  return step(
      std::move(text),
      [names = std::vector<Name>{who}, interest, reads](Stage& stage) {
        for (const Name name : names) stage.watch(name, interest, reads);
      },
      std::move(delivers));
}

}  // namespace

Step watch(std::initializer_list<Name> who, Interest interest, std::vector<Delivers> delivers) {
  return start_watching(who, interest, true, std::move(delivers));
}

Step look_at(std::initializer_list<Name> who, std::vector<Delivers> delivers) {
  return start_watching(who, usual, false, std::move(delivers));
}

Step ask(Name who, Interest interest, std::vector<Delivers> delivers) {
  return step(
      on(who, "ask for " + to_string(interest)),
      [who, interest](Stage& stage) { stage.ask(who, interest); }, std::move(delivers));
}

Step unwatch(Name who) {
  return step(on(who, "unwatch"), [who](Stage& stage) { stage.unwatch(who); });
}

Step leave(Name who, std::vector<Delivers> delivers) {
  return {on(who, "unwatch, close()"),
          [who](Stage& stage) {
            stage.unwatch(who);
            return outcome(stage.handle(who).close());
          },
          "0", std::move(delivers)};
}

Step duplicate_local() {
  return step("dup = dup(local)",
              [](Stage& stage) { stage.handle(dup) = support::duplicate(stage.handle(local)); });
}

Step reuse_number() {
  return step("watch new on the same number", [](Stage& stage) {
    stage.reuse_number();
    stage.watch(fresh, usual, true);
  });
}

Step write(Name who, std::size_t bytes, std::string result, std::vector<Delivers> delivers) {
  return {on(who, "write(" + std::to_string(bytes) + ')'),
          [who, bytes](Stage& stage) {
            return outcome(support::write_bytes(stage.handle(who), std::string(bytes, 'x')));
          },
          std::move(result), std::move(delivers)};
}

Step read(Name who, std::string result, std::vector<Delivers> delivers) {
  return {on(who, "read()"),
          [who, result](Stage& stage) {
            // What was just written on the other end may still be on its way.
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5};
            std::string got = outcome(support::read_bytes(stage.handle(who)));
            while (got != result && std::chrono::steady_clock::now() < deadline) {
              std::this_thread::yield();
              got = outcome(support::read_bytes(stage.handle(who)));
            }
            return got;
          },
          result, std::move(delivers)};
}

Step shutdown_read(Name who, std::vector<Delivers> delivers) {
  return step(
      on(who, "shutdown(SHUT_RD)"), [who](Stage& stage) { stage.shut_down(who, Shutdown::read); },
      std::move(delivers));
}

Step shutdown_write(Name who, std::vector<Delivers> delivers) {
  return step(
      on(who, "shutdown(SHUT_WR)"), [who](Stage& stage) { stage.shut_down(who, Shutdown::write); },
      std::move(delivers));
}

Step close(Name who, std::vector<Delivers> delivers) {
  return step(
      on(who, "close()"), [who](Stage& stage) { stage.handle(who).close(); }, std::move(delivers));
}

Step write_and_close(Name who, std::size_t bytes, std::vector<Delivers> delivers) {
  Step both = write(who, bytes, std::to_string(bytes), std::move(delivers));
  both.action += " and close()";
  both.run = [who, write = std::move(both.run)](Stage& stage) {
    std::string result = write(stage);
    stage.handle(who).close();
    return result;
  };
  return both;
}

Step reset(Name who, std::vector<Delivers> delivers) {
  return step(
      on(who, "reset the connection"),
      [who](Stage& stage) { support::reset_connection(stage.handle(who)); }, std::move(delivers));
}

Step fall_silent(std::vector<Delivers> delivers) {
  return step(
      "peer: dead to the network; local: SO_KEEPALIVE",
      [](Stage& stage) {
        support::keep_alive(stage.handle(local));
        support::play_dead(stage.handle(peer));
      },
      std::move(delivers));
}

}  // namespace pollux::scenarios

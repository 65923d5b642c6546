// SPDX-License-Identifier: MIT
// Handlers: what they can be made of, when they are destroyed, and what they may do to watches
// meanwhile.
#include <pollux/handler.hpp>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>

#include "conformance/support/pairs.hpp"
#include "unit/fake_reactor.hpp"

namespace pollux::support {

namespace {

using IntHandler = Handler<int>;

void call(IntHandler& handler, int argument) {
  handler.call(&argument);
}

TEST(AHandler, MayOwnWhatCannotBeCopied) {
  int sum = 0;
  IntHandler handler{[&sum, owned = std::make_unique<int>(40)](int more) { sum = *owned + more; }};
  IntHandler moved{std::move(handler)};
  call(moved, 2);
  EXPECT_EQ(sum, 42);
}

TEST(AHandler, MayBeBiggerThanItsPlace) {
  int sum = 0;
  std::array<int, 100> big{};
  big.back() = 40;
  IntHandler handler{[&sum, big](int more) { sum = big.back() + more; }};
  IntHandler moved{std::move(handler)};
  call(moved, 2);
  EXPECT_EQ(sum, 42);
}

TEST(AHandler, OfAStreamTakesTheEventOrTheWatchAndTheEvent) {
  using Stream = Handler<StreamEvent>;
  static_assert(std::is_constructible_v<Stream, void (*)(const StreamEvent&)>);
  static_assert(std::is_constructible_v<Stream, void (*)(StreamEvent)>);
  static_assert(std::is_constructible_v<Stream, void (*)(StreamWatch&, const StreamEvent&)>);
  static_assert(!std::is_constructible_v<Stream, void (*)(StreamWatch, const StreamEvent&)>);
  static_assert(!std::is_constructible_v<Stream, void (*)(Watch&, const StreamEvent&)>);
  static_assert(!std::is_constructible_v<Stream, void (*)(StreamWatch&)>);
  static_assert(std::is_constructible_v<Handler<Readiness>, void (*)(Watch&, Readiness)>);
  static_assert(std::is_constructible_v<Handler<int>, void (*)(SignalWatch&, int)>);
  static_assert(std::is_constructible_v<Handler<ChildExit>, void (*)(ChildWatch&, ChildExit)>);
  static_assert(std::is_constructible_v<Handler<Timer>, void (*)(Timer&)>);
  static_assert(std::is_constructible_v<Handler<Timer>, Handler<void>>);
  static_assert(!std::is_constructible_v<Handler<void>, void (*)(Timer&)>);
}

TEST(AHandler, MayBeSmallerThanItsPlace) {
  static int sum = 0;
  IntHandler handler{[forty = std::uint8_t{40}](int more) { sum = forty + more; }};
  IntHandler moved{std::move(handler)};
  call(moved, 2);
  EXPECT_EQ(sum, 42);
}

TEST(AHandler, MayBeAlignedMoreThanItsPlace) {
  struct alignas(64) Aligned {
    std::uintptr_t* where;
    void operator()(int) const { *where = reinterpret_cast<std::uintptr_t>(this); }
  };
  std::uintptr_t where = 1;
  IntHandler handler{Aligned{&where}};
  IntHandler moved{std::move(handler)};
  call(moved, 0);
  EXPECT_EQ(where % 64, 0u);
}

TEST(AHandler, MayBeAnythingThatCanBeCalled) {
  static int last = 0;
  IntHandler function{+[](int argument) { last = argument; }};
  call(function, 1);
  EXPECT_EQ(last, 1);
  IntHandler wrapped{std::function<void(int)>{[](int argument) { last = argument; }}};
  call(wrapped, 2);
  EXPECT_EQ(last, 2);
  IntHandler changing{[calls = 0](const int&) mutable { last = 10 * ++calls; }};
  call(changing, 0);
  call(changing, 0);
  EXPECT_EQ(last, 20);
}

TEST(AHandler, KeepsItsCapturesThroughMovesAndDestroysThemOnce) {
  auto capture = std::make_shared<int>();
  {
    IntHandler first{[capture](int) {}};
    EXPECT_EQ(capture.use_count(), 2);
    IntHandler second{std::move(first)};
    EXPECT_EQ(capture.use_count(), 2);
    IntHandler third{[capture](int) {}};
    third = std::move(second);
    EXPECT_EQ(capture.use_count(), 2);
    detail::AnyHandler& itself = third;
    third = std::move(static_cast<IntHandler&>(itself));
    EXPECT_TRUE(third);
    third.clear();
    EXPECT_FALSE(third);
    EXPECT_EQ(capture.use_count(), 1);
    third.clear();
  }
  EXPECT_EQ(capture.use_count(), 1);
}

/// Throws when it is copied, and may throw when it is moved: it lives on the heap, and moves there.
struct Fragile {
  std::shared_ptr<int> capture;
  explicit Fragile(std::shared_ptr<int> owned) : capture{std::move(owned)} {}
  Fragile(const Fragile&) { throw std::runtime_error{"copy"}; }
  Fragile(Fragile&& other) noexcept(false) : capture{std::move(other.capture)} {}
  void operator()(int) const {}
};

TEST(AHandler, WhoseCopyThrowsIsNotMade) {
  auto capture = std::make_shared<int>();
  Fragile fragile{capture};
  EXPECT_THROW(IntHandler{fragile}, std::runtime_error);
  EXPECT_EQ(capture.use_count(), 2);
  IntHandler moved_in{std::move(fragile)};
  IntHandler moved{std::move(moved_in)};
  EXPECT_EQ(capture.use_count(), 2);
  call(moved, 0);
}

TEST(AHandler, IsEmptyToWhoeverLooksFromItsCapturesDestructor) {
  struct Looking {
    IntHandler* handler;
    bool* was_empty;
    Looking(IntHandler* h, bool* e) : handler{h}, was_empty{e} {}
    Looking(Looking&& other) noexcept
        : handler{std::exchange(other.handler, nullptr)}, was_empty{other.was_empty} {}
    ~Looking() {
      if (handler != nullptr) *was_empty = !*handler;
    }
    void operator()(int) const {}
  };
  bool was_empty = false;
  std::optional<IntHandler> handler;
  handler.emplace([](int) {});
  *handler = IntHandler{Looking{&*handler, &was_empty}};
  handler->clear();
  EXPECT_TRUE(was_empty);
}

// On a reactor: two readiness watches, both ready in every turn.

struct HandlersOfWatches : testing::Test {
  HandlersOfWatches() {
    on.fake.set_ready(5, RawReady::in);
    on.fake.set_ready(6, RawReady::in);
  }

  FakeReactor on;
  Log log;
  std::shared_ptr<int> capture = std::make_shared<int>();
  Watch first;
  Watch second;
};

TEST_F(HandlersOfWatches, AreDestroyedAtOnceWhenAnotherEndsTheWatch) {
  first = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    EXPECT_EQ(capture.use_count(), 2);
    second.reset();
    EXPECT_EQ(capture.use_count(), 1);
  });
  second = on.reactor.watch(6, Interest::readable,
                            [&, owned = capture](Readiness) { log.push_back("second"); });
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{});
}

TEST_F(HandlersOfWatches, LiveUntilTheyReturnWhenTheyEndTheirOwnWatch) {
  first = on.reactor.watch(5, Interest::readable, [&, owned = capture](Readiness) {
    first.reset();
    EXPECT_EQ(on.fake.interest(5), RawInterest::none);
    EXPECT_EQ(owned.use_count(), 2);
  });
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(capture.use_count(), 1);
}

TEST_F(HandlersOfWatches, MayOwnTheirOwnWatch) {
  auto owner = std::make_shared<Watch>();
  *owner = on.reactor.watch(5, Interest::readable, [owner, owned = capture](Readiness) {
    owner->reset();
    EXPECT_EQ(owned.use_count(), 2);
  });
  const std::weak_ptr<Watch> alive = owner;
  owner.reset();
  EXPECT_FALSE(alive.expired());
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(capture.use_count(), 1);
}

TEST_F(HandlersOfWatches, MayOwnTheirOwnWatchAndBeEndedFromOutside) {
  auto owner = std::make_shared<Watch>();
  *owner = on.reactor.watch(5, Interest::readable, [owner](Readiness) {});
  const std::weak_ptr<Watch> alive = owner;
  Watch* const watch = owner.get();
  owner.reset();
  watch->reset();
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(on.fake.interest(5), RawInterest::none);
}

TEST_F(HandlersOfWatches, ThatOwnTheirOwnWatchGoWithTheReactor) {
  std::weak_ptr<Watch> alive;
  {
    FakeReactor other;
    auto owner = std::make_shared<Watch>();
    *owner = other.reactor.watch(5, Interest::readable, [owner](Readiness) {});
    alive = owner;
  }
  EXPECT_TRUE(alive.expired());
}

TEST_F(HandlersOfWatches, MayEndOtherWatchesOnTheirWayOut) {
  auto owner = std::make_shared<Watch>();
  first = on.reactor.watch(5, Interest::readable, [&, owner](Readiness) { first.reset(); });
  *owner = on.watch(6, Interest::readable, log, "second");
  owner.reset();
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{});
  EXPECT_EQ(on.fake.interest(6), RawInterest::none);
}

/// Calls back when it is destroyed, wherever it was moved to.
class OnTheWayOut {
 public:
  explicit OnTheWayOut(std::function<void()> action) : action_{std::move(action)} {}
  OnTheWayOut(OnTheWayOut&& other) noexcept : action_{std::exchange(other.action_, nullptr)} {}
  ~OnTheWayOut() {
    if (action_) action_();
  }

 private:
  std::function<void()> action_;
};

TEST_F(HandlersOfWatches, MayWatchAnewOnTheirWayOut) {
  OnTheWayOut again{[&] { second = on.watch(5, Interest::readable, log, "again"); }};
  first = on.reactor.watch(5, Interest::readable,
                           [&, last = std::move(again)](Readiness) { first.reset(); });
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{"again"});
  second.reset();
  EXPECT_EQ(on.reactor.poll(), 0u);
}

TEST_F(HandlersOfWatches, MayAskTheReactorOnTheirWayOutWithIt) {
  std::error_code of_watch, of_interest, of_run;
  Watch other;
  {
    FakeReactor short_lived;
    OnTheWayOut ask{[&] {
      EXPECT_FALSE(short_lived.reactor.watch(
          7, Interest::readable, [](Readiness) {}, of_watch));
      other.set_interest(Interest::writable, of_interest);
      short_lived.reactor.run(of_run);
    }};
    Watch watch =
        short_lived.reactor.watch(5, Interest::readable, [last = std::move(ask)](Readiness) {});
    other = short_lived.reactor.watch(6, Interest::readable, [](Readiness) {});
    // The watch object must outlive the reactor, or it is the one that ends the registration.
    std::swap(first, watch);
  }
  EXPECT_EQ(of_watch, Errc::reactor_closed);
  EXPECT_EQ(of_interest, Errc::reactor_closed);
  EXPECT_EQ(of_run, Errc::reactor_closed);
}

TEST_F(HandlersOfWatches, MayReplaceTheirOwnWatch) {
  first = on.reactor.watch(5, Interest::readable, [&, owned = capture](Readiness) {
    first = on.watch(6, Interest::readable, log, "replaced");
    EXPECT_EQ(owned.use_count(), 2);
  });
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{"replaced"});
}

TEST_F(HandlersOfWatches, MayWatchTheSameHandleAnewInsideTheirTurn) {
  first = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    first.reset();
    first = on.watch(5, Interest::readable, log, "anew");
    EXPECT_EQ(log, Log{}) << "what was fetched for the old watch is not for the new one";
  });
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{});
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(log, Log{"anew"});
}

TEST_F(HandlersOfWatches, NeverReceiveWhatWasFetchedForAnOlderWatchInTheirSlot) {
  Watch third;
  first = on.reactor.watch(5, Interest::readable, [&](Readiness) {
    if (third) return;
    second.reset();
    third = on.watch(6, Interest::readable, log, "third");
  });
  second = on.watch(6, Interest::readable, log, "second");
  const Token old = on.fake.calls().back().token;
  EXPECT_EQ(on.reactor.poll(), 1u);
  const Token now = on.fake.calls().back().token;
  EXPECT_EQ(now.slot, old.slot);
  EXPECT_NE(now.generation, old.generation);
  EXPECT_EQ(log, Log{});
  EXPECT_EQ(on.reactor.poll(), 2u);
  EXPECT_EQ(log, Log{"third"});
}

TEST_F(HandlersOfWatches, StayWhereTheyAreHoweverManyWatchesTheyMake) {
  std::vector<Watch> many;
  first = on.reactor.watch(5, Interest::readable, [&, owned = capture](Readiness) {
    for (NativeHandle handle = 100; handle < 2100; ++handle)
      many.push_back(on.reactor.watch(handle, Interest::readable, [](Readiness) {}));
    EXPECT_EQ(owned.use_count(), 2);
    first.reset();
    EXPECT_EQ(owned.use_count(), 2);
  });
  EXPECT_EQ(on.reactor.poll(), 1u);
  EXPECT_EQ(on.fake.count(Operation::add), 2001);
}

TEST_F(HandlersOfWatches, OfAStreamMayEndItAtItsHangup) {
  Pair pair = make_pair(cheapest_pair_kind());
  const NativeHandle handle = pair.local.get();
  StreamWatch watch;
  watch =
      on.reactor.watch_stream(handle, Interest::readable, [&, owned = capture](const auto& event) {
        log.push_back(to_string(event));
        EXPECT_EQ(on.fake.interest(handle), RawInterest::none) << "it has left the set by itself";
        watch.reset();
        pair.local.close();
      });
  pair.peer.close();
  on.fake.set_ready(handle, RawReady::in | RawReady::rdhup | RawReady::hup);
  on.reactor.poll();
  EXPECT_EQ(log, Log{"end_of_stream hangup"});
  EXPECT_EQ(capture.use_count(), 1);
  EXPECT_EQ(on.fake.count(Operation::remove), 1);
}

}  // namespace

}  // namespace pollux::support

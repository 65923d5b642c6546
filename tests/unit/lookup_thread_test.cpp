// SPDX-License-Identifier: MIT
// The thread of SystemResolver, with a system that waits for the test. Goal: order, what is left
// out, and an end that waits for nobody.
#include "streams/lookup_thread.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>
#include <pollux/reactor.hpp>

#include "platform/resolving.hpp"
#include "platform/socket_headers.hpp"

namespace pollux::detail {
namespace {

/// A system that answers a name when the test lets it.
class SlowSystem {
 public:
  static SlowSystem& instance() {
    static SlowSystem system;
    return system;
  }
  static Resolved resolve(const char* host, std::uint16_t port) noexcept {
    return instance().answer(host, port);
  }

  void forget() {
    const std::lock_guard lock{mutex_};
    asked_.clear();
    allowed_ = answered_ = 0;
  }
  /// Lets that many names be answered, from the beginning.
  void allow(std::size_t names) {
    const std::lock_guard lock{mutex_};
    allowed_ = names;
    changed_.notify_all();
  }
  void await_asked(std::size_t names) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return asked_.size() >= names; });
  }
  void await_answered(std::size_t names) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return answered_ >= names; });
  }
  std::vector<std::string> asked() {
    const std::lock_guard lock{mutex_};
    return asked_;
  }
  std::thread::id thread() {
    const std::lock_guard lock{mutex_};
    return thread_;
  }

 private:
  Resolved answer(const char* host, std::uint16_t port) {
    std::unique_lock lock{mutex_};
    thread_ = std::this_thread::get_id();
    asked_.emplace_back(host);
    const std::size_t number = asked_.size();
    changed_.notify_all();
    changed_.wait(lock, [&] { return allowed_ >= number; });
    ++answered_;
    changed_.notify_all();
    return {{}, {Address{"127.0.0.1:" + std::to_string(port)}}};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> asked_;
  std::thread::id thread_;
  std::size_t allowed_ = 0;
  std::size_t answered_ = 0;
};

class SlowResolver final : public Resolver {
 protected:
  void start(Reactor&, PendingLookup lookup) override { thread_.add(std::move(lookup)); }

 private:
  LookupThread thread_{&SlowSystem::resolve};
};

class ALookupThread : public testing::Test {
 protected:
  void SetUp() override { system.forget(); }

  /// Its answer is added to the log.
  Lookup look_up(const std::string& name) {
    return resolver->resolve(reactor, name, 7, [this, name](const Resolved& resolved) {
      log.push_back(
          name + ": " +
          (resolved.error ? resolved.error.message() : resolved.addresses.at(0).to_string()));
      EXPECT_NE(std::this_thread::get_id(), system.thread());
    });
  }

  using Log = std::vector<std::string>;

  SlowSystem& system = SlowSystem::instance();
  Reactor reactor;
  std::unique_ptr<Resolver> resolver = std::make_unique<SlowResolver>();
  Log log;
};

TEST_F(ALookupThread, AnswersInOrder) {
  system.allow(100);
  const Lookup a = look_up("a"), b = look_up("b"), c = look_up("c");
  EXPECT_TRUE(a);
  EXPECT_EQ(log, Log{});
  reactor.run();
  EXPECT_EQ(log, (Log{"a: 127.0.0.1:7", "b: 127.0.0.1:7", "c: 127.0.0.1:7"}));
  EXPECT_FALSE(a);
  const Lookup d = look_up("d");  // it has been idle
  reactor.run();
  EXPECT_EQ(log.back(), "d: 127.0.0.1:7");
}

TEST_F(ALookupThread, LeavesOutWhatNobodyWaitsFor) {
  Lookup a = look_up("a"), b = look_up("b"), c = look_up("c");
  system.await_asked(1);
  a.reset();
  b = Lookup{};
  system.allow(100);
  reactor.run();
  EXPECT_EQ(log, Log{"c: 127.0.0.1:7"});
  EXPECT_EQ(system.asked(), (Log{"a", "c"}));
}

TEST_F(ALookupThread, LetsTheLoopEndBeforeTheSystemHasAnswered) {
  Lookup a = look_up("a");
  system.await_asked(1);
  a.reset();
  EXPECT_EQ(reactor.run(), 0U);
  system.allow(100);
}

TEST_F(ALookupThread, EndsWithoutWaitingForTheSystem) {
  const Lookup a = look_up("a"), b = look_up("b");
  system.await_asked(1);
  resolver.reset();
  reactor.run();
  const std::string canceled = system_error_code(std::errc::operation_canceled).message();
  EXPECT_EQ(log, (Log{"a: " + canceled, "b: " + canceled}));
  system.allow(100);
  system.await_answered(1);  // the thread that was left behind
  EXPECT_EQ(reactor.poll(), 0U);
  EXPECT_EQ(system.asked(), Log{"a"});
}

TEST_F(ALookupThread, EndsWhereNobodyWasAsked) {
  resolver.reset();
  system.allow(100);
  resolver = std::make_unique<SlowResolver>();
  const Lookup a = look_up("a");
  reactor.run();
  resolver.reset();
  EXPECT_EQ(log, Log{"a: 127.0.0.1:7"});
}

TEST(ResolverErrors, MeanWhatTheSystemsMean) {
  const auto error = [](int number) { return std::error_code{number, resolver_category()}; };
  EXPECT_STREQ(resolver_category().name(), "pollux.resolver");
  EXPECT_EQ(error(EAI_AGAIN), std::errc::resource_unavailable_try_again);
  EXPECT_EQ(error(EAI_MEMORY), std::errc::not_enough_memory);
  EXPECT_EQ(error(EAI_FAMILY), std::errc::address_family_not_supported);
  EXPECT_EQ(error(EAI_BADFLAGS), std::errc::invalid_argument);
  EXPECT_NE(error(EAI_FAIL), std::errc::not_enough_memory);
  EXPECT_FALSE(error(EAI_FAIL).message().empty());
  EXPECT_NE(error(EAI_FAIL).message(), error(EAI_AGAIN).message());
  EXPECT_EQ(make_error_code(Errc::host_not_found), std::errc::no_such_device_or_address);
}

TEST(TheSystemsResolver, FindsAddressesByThemselves) {
  using platform::Names;
  const Resolved v6 = platform::resolve("::1", 80, Names::numeric);
  ASSERT_EQ(v6.addresses.size(), 1U);
  EXPECT_EQ(v6.addresses[0].to_string(), "[::1]:80");
  const Resolved v4 = platform::resolve("127.0.0.1", 0, Names::all);
  ASSERT_EQ(v4.addresses.size(), 1U);
  EXPECT_EQ(v4.addresses[0].to_string(), "127.0.0.1:0");
  EXPECT_EQ(platform::resolve("localhost", 80, Names::numeric).error, Errc::host_not_found);
}

TEST(TheSystemsResolver, FindsEachAddressOnce) {
  const Resolved local = platform::resolve("localhost", 80, platform::Names::all);
  EXPECT_FALSE(local.error) << local.error.message();
  EXPECT_FALSE(local.addresses.empty());
  for (std::size_t i = 0; i < local.addresses.size(); ++i) {
    EXPECT_EQ(local.addresses[i].port(), 80);
    for (std::size_t k = 0; k < i; ++k) EXPECT_FALSE(local.addresses[i] == local.addresses[k]);
  }
}

}  // namespace
}  // namespace pollux::detail

// SPDX-License-Identifier: MIT
// pollux::Listener: who is accepted, who waits, and what becomes of the address. Goal: limits,
// pauses, listeners that end in their own handler, and names that were left behind.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <pollux/listener.hpp>

#include "conformance/kit/kit.hpp"
#include "conformance/support/limits.hpp"
#include "conformance/support/system.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

/// Of the file system; nobody has it.
std::string fresh_name() {
  std::random_device random;
  return (std::filesystem::temp_directory_path() / ("pollux-" + std::to_string(random()))).string();
}

class Listeners : public OnEachKind {
 protected:
  Address any_address() const {
    if (kind() == PairKind::tcp4) return Address{"127.0.0.1:0"};
    if (kind() == PairKind::tcp6) return Address{"[::1]:0"};
    return Address{"unix:" + fresh_name()};
  }
  /// One that keeps its streams.
  Listener make_listener(const ListenerOptions& options = {}) {
    return Listener{reactor(), any_address(), keep(), options};
  }
  AcceptHandler keep() {
    return [this](Stream stream) { streams.push_back(std::move(stream)); };
  }
  Handle connect(const Listener& listener) {
    Handle client = start_connect(listener.address());
    EXPECT_TRUE(await(client, Await::writable, 5s));
    return client;
  }
  testing::AssertionResult accepts(std::size_t count) {
    run_until(reactor(), [&] { return streams.size() >= count; });
    settle(reactor());
    if (streams.size() == count) return testing::AssertionSuccess();
    return testing::AssertionFailure() << streams.size() << " accepted, expected: " << count;
  }
  /// Whether the peer's end shows at the client.
  testing::AssertionResult is_ended(const Handle& client) {
    std::string text;
    long last = -EAGAIN;
    run_until(reactor(), client, [&] { return (last = read_onto(text, client)) != -EAGAIN; });
    if (last == 0 || last == -ECONNRESET) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "read: " << last << " '" << text << "'";
  }
  void TearDown() override {
    for (Stream& stream : streams) stream.abort();
    streams.clear();
    OnEachKind::TearDown();
  }

  std::vector<Stream> streams;
};

TEST_P(Listeners, GiveTheirHandlerWhoComesIn) {
  std::vector<Address> peers;
  Listener listener{reactor(), any_address(), [&](Stream stream, const Address& peer) {
                      streams.push_back(std::move(stream));
                      peers.push_back(peer);
                    }};
  EXPECT_TRUE(listener);
  const Handle client = connect(listener);
  ASSERT_TRUE(accepts(1));
  EXPECT_EQ(peers.front().family() == Address::Family::none, kind() == PairKind::unix_stream)
      << peers.front().to_string();
  EXPECT_EQ(listener.connections(), 1U);
  EXPECT_EQ(listener.stats().accepted, 1U);
  streams.front().on_data([](Stream& self, Bytes bytes) { self.write(bytes); });
  write_bytes(client, "abc");
  std::string answer;
  run_until(reactor(), client, [&] { return read_onto(answer, client) > 0; });
  EXPECT_EQ(answer, "abc");
  streams.front().abort();
  EXPECT_EQ(listener.connections(), 0U);
  EXPECT_TRUE(sleeps());
}

TEST_P(Listeners, SayWhereTheyListen) {
  const Address asked = any_address();
  Listener listener{reactor(), asked, keep()};
  EXPECT_EQ(listener.address().family(), asked.family());
  if (is_tcp(kind()))
    EXPECT_NE(listener.address().port(), 0);
  else
    EXPECT_EQ(listener.address(), asked);
  EXPECT_EQ(Address{listener.address().to_string()}, listener.address());
  listener.close();
  EXPECT_FALSE(listener);
  EXPECT_EQ(listener.address(), Address{});
  EXPECT_EQ(listener.native_handle(), no_handle);
}

TEST_P(Listeners, AcceptAllWhoWait) {
  Listener listener = make_listener();
  std::vector<Handle> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(connect(listener));
  EXPECT_TRUE(accepts(200));
}

TEST_P(Listeners, EndWhatTheirHandlerDoesNotKeep) {
  Listener listener{reactor(), any_address(), [](Stream) {}};
  const Handle client = connect(listener);
  EXPECT_TRUE(is_ended(client));
  Listener without{reactor(), any_address(), AcceptHandler{}};
  const Handle another = connect(without);
  EXPECT_TRUE(is_ended(another));
}

TEST_P(Listeners, HaveWhoComesWaitWhileTheyArePaused) {
  Listener listener = make_listener();
  listener.pause();
  const Handle client = connect(listener);
  EXPECT_TRUE(accepts(0));
  EXPECT_TRUE(sleeps());
  listener.resume();
  EXPECT_TRUE(accepts(1));
}

TEST_P(Listeners, HaveWhoComesWaitWhileTheyAreFull) {
  Listener listener = make_listener({.connection_limit = 2});
  std::vector<Handle> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(connect(listener));
  EXPECT_TRUE(accepts(2));
  EXPECT_TRUE(sleeps());
  streams.front().abort();
  EXPECT_TRUE(accepts(3));
  EXPECT_EQ(listener.connections(), 2U);
  streams.clear();  // those that close in peace count until they have
  EXPECT_EQ(listener.connections(), 2U);
  clients.erase(clients.begin(), clients.begin() + 3);
  EXPECT_TRUE(accepts(1));
  EXPECT_EQ(listener.connections(), 1U);
}

TEST_P(Listeners, MayBeDestroyedByTheirHandler) {
  std::optional<Listener> listener;
  auto capture = std::make_shared<int>(0);
  const std::weak_ptr<int> captured = capture;
  listener.emplace(reactor(), any_address(), [&, capture = std::move(capture)](Stream stream) {
    streams.push_back(std::move(stream));
    listener.reset();
    EXPECT_FALSE(captured.expired());
  });
  const Handle first = connect(*listener);
  const Handle second = connect(*listener);
  EXPECT_TRUE(accepts(1));
  EXPECT_TRUE(captured.expired());
  EXPECT_TRUE(streams.front());
}

TEST_P(Listeners, MayBeReplacedByTheirHandler) {
  std::optional<Listener> listener;
  const Address address = any_address();
  listener.emplace(reactor(), address, [&](Stream stream) {
    streams.push_back(std::move(stream));
    *listener = make_listener();
  });
  const Handle first = connect(*listener);
  EXPECT_TRUE(accepts(1));
  const Handle second = connect(*listener);
  EXPECT_TRUE(accepts(2));
}

TEST_P(Listeners, MayBeMoved) {
  Listener first = make_listener();
  Listener second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT: what is left of it
  EXPECT_EQ(first.connections(), 0U);
  const Handle client = connect(second);
  EXPECT_TRUE(accepts(1));
}

TEST_P(Listeners, TakeASocketThatListens) {
  Handle made = support::make_listener(kind());
  const Handle client = start_connect(kind(), made);
  Listener listener{reactor(), UniqueHandle{made.release()}, keep()};
  EXPECT_TRUE(accepts(1));
}

TEST_P(Listeners, GoWithTheirReactor) {
  Listener listener = make_listener();
  const Handle client = connect(listener);
  use({});
  EXPECT_FALSE(listener);
  listener.pause();
  listener.resume();
  EXPECT_EQ(listener.address(), Address{});
  EXPECT_TRUE(is_ended(client));
}

TEST_P(Listeners, RefuseOptionsThatMakeNoSense) {
  std::error_code error;
  ListenerOptions options;
  options.stream.write_low_water = options.stream.write_high_water + 1;
  const Listener listener{reactor(), any_address(), keep(), options, error};
  EXPECT_EQ(error, std::errc::invalid_argument);
  EXPECT_FALSE(listener);
  EXPECT_THROW((Listener{reactor(), Address{}, keep()}), std::system_error);
}

TEST_P(Listeners, RefuseAnAddressThatSomebodyHas) {
  const Listener first = make_listener();
  std::error_code error;
  const Listener second{reactor(), first.address(), keep(), error};
  EXPECT_EQ(error, std::errc::address_in_use);
  const Handle client = connect(first);
  EXPECT_TRUE(accepts(1));
}

POLLUX_ON_EACH_KIND(Listeners, sockets);

class TcpListeners : public Listeners {};

TEST_P(TcpListeners, ShareAnAddressWhereThatIsAskedFor) {
  std::error_code error;
  const Listener first{reactor(), any_address(), keep(), {.reuse_port = true}, error};
  if (error == std::errc::operation_not_supported)
    return RecordProperty("not_played", "no SO_REUSEPORT here");
  ASSERT_FALSE(error) << error.message();
  const Listener second{reactor(), first.address(), keep(), {.reuse_port = true}};
  const Listener third{reactor(), first.address(), keep(), error};
  EXPECT_EQ(error, std::errc::address_in_use);
  std::vector<Handle> clients;
  for (int i = 0; i < 64; ++i) clients.push_back(connect(first));
  EXPECT_TRUE(accepts(64));
  EXPECT_NE(first.connections(), 0U);
  EXPECT_NE(second.connections(), 0U);
}

TEST_P(TcpListeners, HaveTheirStreamsSendAtOnceUnlessToldOtherwise) {
  for (const bool no_delay : {true, false}) {
    Listener listener = make_listener({.no_delay = no_delay});
    const Handle client = connect(listener);
    run_until(reactor(), [&] { return !streams.empty(); });
    ASSERT_FALSE(streams.empty());
    EXPECT_EQ(sends_at_once(streams.front().native_handle()), no_delay);
    streams.front().abort();
    streams.clear();
  }
}

POLLUX_ON_EACH_KIND(TcpListeners, tcp);

class NamedListeners : public Listeners {};

TEST_P(NamedListeners, TakeOverANameThatWasLeftBehind) {
  const Address address = any_address();
  const std::string path = address.to_string().substr(std::string{"unix:"}.size());
  std::optional<Listener> first{std::in_place, reactor(), address, keep()};
  EXPECT_TRUE(std::filesystem::exists(path));
  first.reset();
  EXPECT_FALSE(std::filesystem::exists(path));

  // One that has ended without a word leaves the name.
  { const Listener owner{reactor(), UniqueHandle{bind_listener(address).release()}, keep()}; }
  EXPECT_TRUE(std::filesystem::exists(path));
  const Listener second{reactor(), address, keep()};
  const Handle client = connect(second);
  EXPECT_TRUE(accepts(1));
}

TEST_P(NamedListeners, LeaveTheNameToTheParentInTheChildOfAFork) {
  if (!can_fork()) return RecordProperty("not_played", "no fork here");
  const Address address = any_address();
  std::optional<Listener> listener{std::in_place, reactor(), address, keep()};
  for (const bool goes_on : {false, true}) {
    EXPECT_TRUE(run_forked([&] {
      if (goes_on) reactor().after_fork();
      listener.reset();
      return true;
    }));
  }
  const Handle client = connect(*listener);
  EXPECT_TRUE(accepts(1));
}

TEST_P(NamedListeners, LeaveAFileAloneThatIsNoSocket) {
  const std::string path = fresh_name();
  std::ofstream{path} << "text";
  std::error_code error;
  const Listener listener{reactor(), Address{"unix:" + path}, keep(), error};
  EXPECT_EQ(error, std::errc::address_in_use);
  EXPECT_TRUE(std::filesystem::exists(path));
  std::filesystem::remove(path);
}

TEST_P(NamedListeners, ListenAtNamesOutsideOfTheFileSystemWhereThereAreSome) {
  std::error_code error;
  const Address address{"unix:@" + std::filesystem::path{fresh_name()}.filename().string(), error};
  if (error == std::errc::invalid_argument)
    return RecordProperty("not_played", "no names outside of the file system here");
  ASSERT_FALSE(error) << error.message();
  const Listener listener{reactor(), address, keep()};
  EXPECT_EQ(listener.address(), address);
  const Handle client = connect(listener);
  EXPECT_TRUE(accepts(1));
}

POLLUX_ON_EACH_KIND(NamedListeners, unix_streams);

class ListenersWithoutDescriptors : public Listeners {
 protected:
  /// Connections that wait in the kernel's queue.
  std::vector<Handle> connect_some(Listener& listener) {
    std::vector<Handle> clients;
    settle(reactor());  // a backend takes what it needs with its first wait
    listener.pause();
    for (int i = 0; i < 3; ++i) clients.push_back(connect(listener));
    listener.resume();
    return clients;
  }
};

TEST_P(ListenersWithoutDescriptors, HaveWhoComesWait) {
  if (!can_limit_descriptors()) return RecordProperty("not_played", "no limit of descriptors here");
  Listener listener = make_listener({.retry_after = 1ms});
  const std::vector<Handle> clients = connect_some(listener);
  {
    const NoDescriptorLeft but_one{1};
    EXPECT_TRUE(accepts(1));
    EXPECT_NE(listener.stats().exhausted, 0U);
  }
  EXPECT_TRUE(accepts(3));
}

TEST_P(ListenersWithoutDescriptors, DoNotTurnMeanwhileAndGoOnWhenAStreamHasEnded) {
  if (!can_limit_descriptors()) return RecordProperty("not_played", "no limit of descriptors here");
  Listener listener = make_listener({.retry_after = 1h});
  const std::vector<Handle> clients = connect_some(listener);
  const NoDescriptorLeft but_one{1};
  EXPECT_TRUE(accepts(1));
  EXPECT_TRUE(sleeps());
  streams.front().abort();
  EXPECT_TRUE(accepts(2));
}

TEST_P(ListenersWithoutDescriptors, ShedWhoComesIfToldTo) {
  if (!can_limit_descriptors()) return RecordProperty("not_played", "no limit of descriptors here");
  Listener listener = make_listener({.when_exhausted = WhenExhausted::shed});
  const std::vector<Handle> clients = connect_some(listener);
  {
    const NoDescriptorLeft but_one{1};
    EXPECT_TRUE(accepts(1));
    EXPECT_TRUE(is_ended(clients[1]));
    EXPECT_TRUE(is_ended(clients[2]));
    EXPECT_EQ(listener.stats().shed, 2U);
    EXPECT_TRUE(sleeps());
  }
  const Handle later = connect(listener);
  EXPECT_TRUE(accepts(2));
}

POLLUX_ON_EACH_KIND(ListenersWithoutDescriptors, sockets);

}  // namespace
}  // namespace pollux::conformance

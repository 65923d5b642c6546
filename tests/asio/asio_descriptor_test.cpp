// SPDX-License-Identifier: MIT
// The numbers of an application's own descriptors, beside a reactor on its io_context: Asio knows
// its registrations by number.
#include <system_error>

#include <unistd.h>

#include <gtest/gtest.h>

#include <asio/posix/stream_descriptor.hpp>

#include "asio_context.hpp"

namespace {

using namespace pollux;
using namespace pollux::support;
using namespace std::chrono_literals;

struct AsioDescriptor : AsioContext {};

TEST_F(AsioDescriptor, ADescriptorClosedUnderItsWatchWithADuplicateAliveHarmsNobody) {
  auto watch = reactor.watch(pair.local.get(), Interest::readable, [](Readiness) { FAIL(); });
  reactor.poll();
  const Handle alive = duplicate(pair.local);
  const NativeHandle number = pair.local.get();
  pair.local.close();
  watch.reset();
  write_bytes(pair.peer, "for the duplicate");

  // The number is the application's own by now, watched by its own Asio object.
  Pair other = make_pair(PairKind::unix_stream);
  ASSERT_EQ(other.local.get(), number);
  bool readable = false;
  {
    asio::posix::stream_descriptor descriptor{context, other.local.get()};
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [&](const std::error_code& error) { readable = !error; });
    reactor.poll();
    EXPECT_FALSE(readable);
    write_bytes(other.peer, "x");
    while (!readable) reactor.poll();
    descriptor.release();
  }
}

TEST_F(AsioDescriptor, AFileThatComesBackToANumberItWasClosedUnderNeedsNoNewSet) {
  Watch watch = reactor.watch(pair.local.get(), Interest::readable, [](Readiness) {});
  const NativeHandle number = pair.local.get();
  const Handle copy = duplicate(pair.local);
  pair.local.close();
  watch.reset();
  ASSERT_EQ(::dup2(copy.get(), number), number);
  const Handle back{number};
  bool called = false;
  watch = reactor.watch(number, Interest::readable, [&](Readiness) { called = true; });
  EXPECT_EQ(reactor.stats().rebuilds, 0u);
  write_bytes(pair.peer, "x");
  reactor.run_once(5s);
  EXPECT_TRUE(called);
}

}  // namespace

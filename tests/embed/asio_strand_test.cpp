// SPDX-License-Identifier: MIT
// A reactor on a strand of an io_context that several threads run.
#include <atomic>
#include <string_view>

#include <gtest/gtest.h>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>

#include <pollux/embed/asio.hpp>

#include "conformance/support/contestants.hpp"
#include "conformance/support/pairs.hpp"
#include "conformance/support/thread.hpp"

namespace pollux::embed {
namespace {

using namespace support;

void serve_from_two_threads(std::string_view backend) {
  constexpr int rounds = 500;
  asio::io_context context;
  const auto strand = asio::make_strand(context);
  Reactor reactor{backend};
  const Pair pair = make_pair(PairKind::tcp4);
  std::atomic<int> inside{0};
  int received = 0;
  int posted = 0;
  int called = 0;
  {
    const AsioSource source{reactor, strand};
    const auto alone = [&](int& count) {
      EXPECT_EQ(++inside, 1) << "two at once";
      ++count;
      --inside;
      if (received >= rounds && posted == rounds && called == rounds) context.stop();
    };
    StreamWatch watch =
        reactor.watch_stream(pair.local.get(), Interest::readable, [&](const StreamEvent&) {
          drain(pair.local);
          write_bytes(pair.peer, "again");
          alone(received);
        });
    write_bytes(pair.peer, "first");
    for (int i = 0; i < rounds; ++i) {
      asio::post(context, [&] {
        reactor.post([&] { alone(posted); });
        asio::post(strand, [&] {
          watch.set_interest(Interest::readable);
          alone(called);
        });
      });
    }
    support::Thread other{[&] { context.run_for(std::chrono::seconds{5}); }};
    context.run_for(std::chrono::seconds{5});
  }
  EXPECT_GE(received, rounds);
  EXPECT_EQ(posted, rounds);
  EXPECT_EQ(called, rounds);
}

TEST(EmbeddedInAStrand, HandlersRunOneAtATimeOnAnyThread) {
  for (const Contestant& backend : contestants()) {
    std::error_code error;
    static_cast<void>(Reactor{backend.name}.native_handle(error));
    if (!error) serve_from_two_threads(backend.name);
  }
}

}  // namespace
}  // namespace pollux::embed

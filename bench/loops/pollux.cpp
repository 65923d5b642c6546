// SPDX-License-Identifier: MIT
// pollux, on each backend that is compiled in and on those that were added.
#include <pollux/backends.hpp>
#include <pollux/reactor.hpp>
#include <pollux/stream.hpp>
#include <pollux/testing/bench.hpp>

#include "../rows.hpp"
#include "loops.hpp"

namespace pollux::bench {

namespace {

class PolluxLoop {
 public:
  using Stream = pollux::StreamWatch;
  using Watch = pollux::Watch;
  using Timer = pollux::Timer;

  explicit PolluxLoop(std::unique_ptr<Backend> backend) : reactor_{std::move(backend)} {}

  template <class Owner>
  void watch_stream(StreamWatch& stream, int handle, Owner& owner) {
    stream = reactor_.watch_stream(handle, Interest::readable, [&owner](const StreamEvent& event) {
      owner.ready({event.readable(), event.writable(), event.end_of_stream() || event.hangup()});
    });
  }
  template <class Owner>
  void watch(Watch& watch, int handle, Owner& owner) {
    watch = reactor_.watch(handle, Interest::readable, [&owner](Readiness readiness) {
      owner.ready({readiness.readable(), readiness.writable()});
    });
  }
  template <class AnyWatch>
  void ask_writable(AnyWatch& watch, bool on) {
    watch.set_interest(on ? Interest::readable | Interest::writable : Interest::readable);
  }
  template <class AnyWatch>
  void unwatch(AnyWatch& watch) {
    watch.reset();
  }
  template <class AnyWatch>
  void unwatch_and_close(AnyWatch& watch, Handle& handle) {
    static_cast<void>(handle.release());
    watch.close();
  }

  template <class Owner>
  void prepare(Timer& timer, Owner& owner) {
    timer = reactor_.timer([&owner] { owner.expired(); });
  }
  void arm(Timer& timer, Clock::time_point now, std::chrono::nanoseconds delay) {
    timer.restart_at(now + delay);
  }
  void put_off(Timer& timer, Clock::time_point now, std::chrono::nanoseconds delay) {
    timer.restart_at(now + delay);
  }
  void put_off_from_turn(Timer& timer, std::chrono::nanoseconds delay) {
    timer.restart_at(reactor_.turn_time() + delay);
  }
  void cancel(Timer& timer) { timer.cancel(); }
  template <class Owner>
  void make_and_drop(Owner& owner, std::chrono::nanoseconds delay) {
    const Timer timer = reactor_.after(delay, [&owner] { owner.expired(); });
  }

  template <class Owner>
  void post(Owner& owner) {
    reactor_.post([&owner] { owner.posted(); });
  }
  void run() { reactor_.run_forever(); }
  void turn() { reactor_.poll(); }
  void stop() { reactor_.stop(); }

  std::uint64_t system_calls() const { return reactor_.stats().system_calls; }

 private:
  Reactor reactor_;
};

/// The same, with plain readiness watches where there could be streams.
class ReadinessLoop : public PolluxLoop {
 public:
  using Stream = pollux::Watch;
  using PolluxLoop::PolluxLoop;

  template <class Owner>
  void watch_stream(Stream& stream, int handle, Owner& owner) {
    watch(stream, handle, owner);
  }
};

class StreamEcho {
 public:
  StreamEcho(EchoCount& count, std::unique_ptr<Backend> backend)
      : count_{count}, reactor_{std::move(backend)} {}

  void serve(Handle handle) {
    pollux::Stream stream{reactor_, UniqueHandle{handle.release()}};
    stream.on_data([this](pollux::Stream& self, Bytes bytes) {
      if (!self.write(bytes)) self.pause();
      if (count_.received(bytes.size())) reactor_.stop();
    });
    stream.on_drained([](pollux::Stream& self) { self.resume(); });
    stream.on_event([this](pollux::Stream& self, const StreamEvent& event) {
      if (event.end_of_stream()) self.shutdown_write();
      if (event.hangup() && count_.ended()) reactor_.stop();
    });
    stream.detach();
  }
  void run() { reactor_.run_forever(); }

  std::uint64_t system_calls() const { return reactor_.stats().system_calls; }

 private:
  EchoCount& count_;
  Reactor reactor_;
};

struct Added {
  std::string name;
  Maker make;
};

std::vector<Added>& added() {
  static std::vector<Added> backends;
  return backends;
}

std::unique_ptr<Backend> made(const Maker& make) {
  std::error_code error;
  auto backend = make(error);
  if (!backend) throw std::system_error{error, "the backend could not be made"};
  return backend;
}

void gather_backend(Suite& suite, const std::string& name, const Maker& make) {
  if (std::error_code error; make(error) == nullptr) {
    suite.leave_out(name, error.message());
    return;
  }
  register_rows<PolluxLoop>(suite, name, [make](Threads) { return PolluxLoop{made(make)}; });
  const auto make_readiness = [make](Threads) { return ReadinessLoop{made(make)}; };
  register_ping_pong<ReadinessLoop>(suite, name + "/readiness", make_readiness);
  register_chain<ReadinessLoop>(suite, name + "/readiness", make_readiness);
  register_toggles<ReadinessLoop>(suite, name + "/readiness", make_readiness);
  register_echo<StreamEcho>(suite, name, [make](EchoCount& count) {
    return StreamEcho{count, made(make)};
  });
}

}  // namespace

void add_backend(std::string name, Maker make) {
  added().push_back({std::move(name), std::move(make)});
}

void gather_pollux(Suite& suite) {
  for (const BackendInfo& backend : backends())
    gather_backend(suite, std::string{backend.name}, backend.make);
  for (const Added& backend : added()) gather_backend(suite, backend.name, backend.make);
}

}  // namespace pollux::bench

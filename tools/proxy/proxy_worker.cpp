// SPDX-License-Identifier: MIT
#include "proxy_worker.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "proxy_protocol.hpp"

namespace pollux::tools {

namespace {

using namespace std::chrono_literals;

/// So little is kept for a peer that does not read: what one read has brought, and this.
constexpr std::uint32_t kept_for_a_slow_peer = 4096;
/// A client that announces itself does it at once.
constexpr auto time_for_a_header = 5s;

StreamOptions stream_options(const ProxyOptions& options) {
  StreamOptions stream;
  stream.write_high_water = kept_for_a_slow_peer;
  stream.write_low_water = 0;
  stream.idle_timeout = options.idle_timeout;
  stream.half_closed_timeout = options.half_closed_timeout;
  return stream;
}

ListenerOptions listener_options(const ProxyOptions& options) {
  ListenerOptions listener;
  listener.reuse_port = options.threads > 1;
  listener.stream = stream_options(options);
  if (options.limit != 0)
    listener.connection_limit = std::max<std::size_t>(1, options.limit / options.threads);
  return listener;
}

bool is_out_of_descriptors(const std::error_code& error) {
  return error == std::errc::too_many_files_open ||
         error == std::errc::too_many_files_open_in_system;
}

}  // namespace

// A session: the header, if there is to be one, a target, and then the relay.

ProxySession::ProxySession(ProxyWorker& worker, Stream client, const Address& peer)
    : worker_{worker},
      client_{std::move(client)},
      peer_{peer},
      server_{client_.local_address()},
      number_{worker.counts_.accepted} {}

void ProxySession::start() {
  trace("accepted");
  // It reads nothing yet: what comes is its failure.
  client_.on_event([this](const StreamEvent& event) {
    trace(event.error() ? event.error().message() : "gone");
    if (event.hangup()) worker_.remove(*this);
  });
  if (!worker_.options_.accept_header) return connect();
  client_.on_data([this](Stream& client, Bytes bytes) { read_header(client, bytes); });
  deadline_ = worker_.reactor_.after(time_for_a_header, [this] {
    trace("no PROXY header in time");
    abort();
  });
}

void ProxySession::read_header(Stream& client, Bytes bytes) {
  const ParsedHeader header = parse_header(as_text(bytes));
  if (header.is == ParsedHeader::Is::incomplete) return client.keep(bytes.size());
  if (header.is == ParsedHeader::Is::wrong) {
    trace("no PROXY header");
    return abort();
  }
  client.read(header.size);  // what comes behind it is the target's
  client.pause();
  deadline_.reset();
  if (header.client != Address{}) peer_ = header.client, server_ = header.server;
  connect();
}

void ProxySession::connect() {
  target_ = &worker_.next_target(targets_);
  ++tried_;
  const ConnectOptions options{.timeout = worker_.options_.connect_timeout,
                               .stream = stream_options(worker_.options_)};
  const auto handler = [this](std::error_code error, Stream target) {
    connected(error, std::move(target));
  };
  connector_ = target_->host.empty()
                   ? Connector{worker_.reactor_, target_->address, handler, options}
                   : Connector{worker_.reactor_, worker_.resolver_, target_->host,
                               target_->port,    handler,           options};
}

void ProxySession::connected(std::error_code error, Stream target) {
  if (!error) return join(std::move(target));
  trace(fmt::format("{}: {}", target_->text, error.message()));
  if (is_out_of_descriptors(error)) return worker_.wait_for_room(*this);
  if (tried_ < targets_->size()) return connect();
  ++worker_.counts_.not_connected;
  abort();
}

void ProxySession::join(Stream target) {
  trace(fmt::format("{}: connected", target_->text));
  if (worker_.options_.send_header != ProxyHeader::none)
    target.write(make_header(worker_.options_.send_header, peer_, server_));
  relay_ = Relay{std::move(client_), std::move(target)};
  relay_.on_end([this](const RelayEnd& how) { ended(how); });
}

void ProxySession::ended(const RelayEnd& how) {
  trace(fmt::format("{} from the client, {} from the target{}{}", how.stats.from_first,
                    how.stats.from_second, how.error ? ": " : "",
                    how.error ? how.error.message() : ""));
  if (how.error) ++worker_.counts_.cut_off;
  worker_.remove(*this);
}

void ProxySession::abort() noexcept {
  client_.abort();
  relay_.abort();
  worker_.remove(*this);
}

void ProxySession::trace(std::string_view what) const {
  if (!worker_.options_.trace) return;
  fmt::print(stderr, "{:%H:%M:%S} {} {}: {}\n", std::chrono::system_clock::now(), number_,
             peer_ == Address{} ? "unix" : peer_.to_string(), what);
}

// The worker.

ProxyWorker::ProxyWorker(const ProxyOptions& options, const Address& listen, Targets targets)
    : options_{options},
      reactor_{options.backend},
      poster_{reactor_.poster()},
      targets_{std::move(targets)},
      listener_{reactor_, listen,
                [this](Stream client, const Address& peer) {
                  ++counts_.accepted;
                  ++counts_.open;
                  ProxySession& session = sessions_.emplace_front(*this, std::move(client), peer);
                  session.place = sessions_.begin();
                  session.start();
                },
                listener_options(options)} {
  retry_ = reactor_.timer([this] { retry(); });
  if (options.stats || !options.metrics.empty())
    publishing_ = reactor_.every(1s, [this] { publish(); });
}

void ProxyWorker::run() {
  reactor_.run_forever();
  publish();
}

const Target& ProxyWorker::next_target(Targets& targets) {
  if (!targets) targets = targets_;  // a session keeps those that it began with
  return (*targets)[turn_++ % targets->size()];
}

void ProxyWorker::remove(ProxySession& session) {
  const RelayStats stats = session.stats();
  ended_.from_first += stats.from_first;
  ended_.from_second += stats.from_second;
  --counts_.open;
  waiting_.remove(&session);
  sessions_.erase(session.place);
  if (draining_ && sessions_.empty()) return reactor_.stop();
  if (retry_.armed()) retry_.restart(0s);
}

/// Nobody else is accepted until it goes on: when another has ended, and from time to time, since
/// other threads have descriptors too.
void ProxyWorker::wait_for_room(ProxySession& session) {
  waiting_.push_back(&session);
  listener_.pause();
  retry_.restart(100ms);
}

void ProxyWorker::retry() {
  listener_.resume();
  for (std::size_t left = waiting_.size(); left > 0 && !waiting_.empty(); --left) {
    ProxySession& next = *waiting_.front();
    waiting_.pop_front();
    next.connect();
  }
}

void ProxyWorker::publish() noexcept {
  RelayStats all = ended_;
  for (const ProxySession& session : sessions_) {
    all.from_first += session.stats().from_first;
    all.from_second += session.stats().from_second;
  }
  counts_.from_clients = all.from_first;
  counts_.from_targets = all.from_second;
}

void ProxyWorker::drain() {
  poster_.post([this] {
    draining_ = true;
    listener_.close();
    if (sessions_.empty()) reactor_.stop();
  });
}

void ProxyWorker::end() {
  poster_.post([this] {
    draining_ = true;
    listener_.close();
    while (!sessions_.empty()) sessions_.front().abort();
    reactor_.stop();
  });
}

void ProxyWorker::use(Targets targets) {
  poster_.post([this, targets = std::move(targets)]() mutable { targets_ = std::move(targets); });
}

}  // namespace pollux::tools

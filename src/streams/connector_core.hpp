// SPDX-License-Identifier: MIT
// What a Connector is inside.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <system_error>
#include <vector>

#include <pollux/connector.hpp>

#include "streams/stream_service.hpp"

namespace pollux::detail {

/// Held by its Connector, and by the handler of its timer, so that a detached one goes with the
/// reactor. Loop thread.
class ConnectorCore : public std::enable_shared_from_this<ConnectorCore> {
 public:
  ConnectorCore(StreamService& service, ConnectHandler&& handler, const ConnectOptions& options)
      : service_{service}, loop_{service.loop()}, options_{options}, handler_{std::move(handler)} {}
  ConnectorCore(const ConnectorCore&) = delete;
  ConnectorCore& operator=(const ConnectorCore&) = delete;

  /// What it takes to go on is made, and the deadline begins.
  std::error_code start();
  /// Begins with these, which are in the order in which they are tried.
  void connect(std::vector<Address> addresses);
  /// Asks for addresses first.
  void resolve(Resolver& resolver, std::string_view host, std::uint16_t port,
               std::error_code& error);

  bool is_open() const noexcept { return !done_; }
  void cancel() noexcept;

 private:
  /// A connection that is being made. Without a socket: it waits for room at the listener.
  struct Attempt {
    const Address* address = nullptr;
    UniqueHandle socket;
    Watch watch;
    bool is_crowded = false;
  };

  void resolved(const Resolved& found);
  void try_next();
  bool begin(Attempt& attempt);
  std::error_code watch(Attempt& attempt);
  void progress(Attempt& attempt, Readiness readiness);
  void retry_crowded();
  void end(Attempt& attempt, std::error_code why) noexcept;
  void step();
  void step_after(std::chrono::nanoseconds delay) noexcept;
  void fail(std::error_code why) { finish(why, {}); }
  void finish(std::error_code error, Stream stream);
  void release() noexcept;

  StreamService& service_;
  CorePointer loop_;  ///< which has the service
  const ConnectOptions options_;
  AnyHandler handler_;
  std::vector<Address> addresses_;
  std::vector<Attempt> attempts_;  ///< those begun, in order; there is room for all
  std::size_t running_ = 0;        ///< of them
  Lookup lookup_;
  Timer step_;      ///< the next attempt, or the end
  Timer crowded_;   ///< those that wait for room
  Timer deadline_;  ///< of all
  std::chrono::nanoseconds crowded_delay_{0};
  std::error_code failure_;  ///< the most telling one
  bool done_ = false;
};

}  // namespace pollux::detail

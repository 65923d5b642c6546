// SPDX-License-Identifier: MIT
// One thread of `pollux proxy`: a reactor, a listener, and the connections it has accepted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>

#include <pollux/pollux.hpp>

#include "proxy.hpp"

namespace pollux::tools {

/// What a worker has done. Any thread may read it.
struct ProxyCounts {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> open{0};
  std::atomic<std::uint64_t> not_connected{0};  ///< no target took them
  std::atomic<std::uint64_t> cut_off{0};        ///< ended by an error of either side
  std::atomic<std::uint64_t> from_clients{0};   ///< bytes
  std::atomic<std::uint64_t> from_targets{0};   ///< bytes
};

class ProxyWorker;

/// A client's connection, from its accept to its end.
class ProxySession {
 public:
  ProxySession(ProxyWorker& worker, Stream client, const Address& peer);

  void start();
  void connect();
  void abort() noexcept;
  RelayStats stats() const noexcept { return relay_.stats(); }

  std::list<ProxySession>::iterator place;  ///< among the worker's

 private:
  void read_header(Stream& client, Bytes bytes);
  void connected(std::error_code error, Stream target);
  void join(Stream target);
  void ended(const RelayEnd& how);
  void trace(std::string_view what) const;

  ProxyWorker& worker_;
  Stream client_;
  Address peer_;
  Address server_;  ///< where the client has connected to
  const std::uint64_t number_;
  Timer deadline_;  ///< of the header
  Connector connector_;
  Relay relay_;
  Targets targets_;
  const Target* target_ = nullptr;
  std::size_t tried_ = 0;
};

class ProxyWorker {
 public:
  /// Listens at once. Throws std::system_error.
  ProxyWorker(const ProxyOptions& options, const Address& listen, Targets targets);

  Address address() const noexcept { return listener_.address(); }
  const ProxyCounts& counts() const noexcept { return counts_; }
  /// Runs until all connections have ended after drain(), or until end().
  void run();

  // Any thread.
  void drain();
  void end();
  void use(Targets targets);

 private:
  friend class ProxySession;

  const Target& next_target(Targets& targets);
  void remove(ProxySession& session);
  void wait_for_room(ProxySession& session);
  void retry();
  void publish() noexcept;

  const ProxyOptions& options_;
  Reactor reactor_;
  const Poster poster_;
  SystemResolver resolver_;
  Targets targets_;
  std::size_t turn_ = 0;  ///< among the targets
  std::list<ProxySession> sessions_;
  std::list<ProxySession*> waiting_;  ///< for descriptors, with the listener paused
  RelayStats ended_;                  ///< what the sessions that are over have relayed
  ProxyCounts counts_;
  Timer publishing_;
  Timer retry_;  ///< of those who wait
  Listener listener_;
  bool draining_ = false;
};

}  // namespace pollux::tools

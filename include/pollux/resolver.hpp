// SPDX-License-Identifier: MIT
// Names of hosts to addresses.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <pollux/address.hpp>
#include <pollux/export.hpp>
#include <pollux/handler.hpp>

namespace pollux {

class Reactor;
class Resolver;

namespace detail {

class LookupState;
class LookupThread;

}  // namespace detail

/// The category of what the system's resolver says (EAI_AGAIN and its kin), named
/// "pollux.resolver". Where a std::errc means the same, the codes compare equal to it:
/// `resource_unavailable_try_again` for a name server that does not answer, `not_enough_memory`.
/// A name that is not known is Errc::host_not_found instead, by every resolver. Any thread.
POLLUX_EXPORT const std::error_category& resolver_category() noexcept;

/// What a resolver has found. A value.
struct Resolved {
  std::error_code error;           ///< none, if there are addresses
  std::vector<Address> addresses;  ///< in the order in which they are best tried
};

/// One name that is being resolved, made by Resolver::resolve(). It ends with the object, which may
/// be moved: then the handler is not called any more, and is destroyed, at the latest when the call
/// that is running returns. Loop thread, and harmless when the reactor is gone.
class POLLUX_EXPORT Lookup {
 public:
  /// Resolves nothing.
  Lookup() noexcept = default;
  Lookup(Lookup&& other) noexcept = default;
  Lookup& operator=(Lookup&& other) noexcept {
    if (this != &other) {
      reset();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~Lookup() { reset(); }

  /// Ends it, without a call of its handler. May be called by the handler itself.
  void reset() noexcept;
  /// Whether the handler is still to be called, as far as its reactor is there.
  explicit operator bool() const noexcept;

 private:
  friend class Resolver;
  explicit Lookup(std::shared_ptr<detail::LookupState> state) noexcept : state_{std::move(state)} {}

  std::shared_ptr<detail::LookupState> state_;
};

/// The same lookup on the resolver's side, which owes it one answer. It may be moved, also to other
/// threads; one thread at a time. One that is destroyed before it was answered is answered with
/// `operation_canceled`.
class POLLUX_EXPORT PendingLookup {
 public:
  /// `other` is empty then, and good for nothing but to be destroyed or assigned to.
  PendingLookup(PendingLookup&& other) noexcept = default;
  PendingLookup& operator=(PendingLookup&& other) noexcept {
    if (this != &other) {
      abandon();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~PendingLookup() { abandon(); }

  /// Not empty, and without zeros in it.
  const std::string& host() const noexcept;
  /// What the addresses are to have.
  std::uint16_t port() const noexcept;
  /// Whether the answer is still of use to anybody. Any thread.
  bool is_wanted() const noexcept;

  /// Has the handler called, in the loop's thread, in its next turn; an answer without an error and
  /// without an address is Errc::host_not_found. False, and nothing has changed but that
  /// `resolved` is kept: there is no memory for it, try again. (What is destroyed then is not
  /// answered; it ends with the deadline of whoever waits for it.) A second answer is ignored.
  bool answer(Resolved&& resolved) noexcept;

 private:
  friend class Resolver;
  explicit PendingLookup(std::shared_ptr<detail::LookupState> state) noexcept
      : state_{std::move(state)} {}
  void abandon() noexcept;

  std::shared_ptr<detail::LookupState> state_;
};

/// Finds the addresses of hosts, without making anybody wait. SystemResolver asks the system; a
/// class of one's own may ask whom it likes, and need not live as long as what it was asked.
class POLLUX_EXPORT Resolver {
 public:
  /// Any thread.
  Resolver() = default;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  virtual ~Resolver();

  /// Asks for the addresses of `host`, each with `port`. `handler` is called once with what has
  /// come of it, in the loop's thread of `reactor`, never from inside this call: until then
  /// Reactor::run() goes on. Keep the object: the lookup ends with it. Any number may be under way.
  /// When the reactor goes, the handler is not called any more. Refused: `invalid_argument` for a
  /// name that is empty or has a zero in it, Errc::reactor_closed, `not_enough_memory`. Loop
  /// thread.
  [[nodiscard]] Lookup resolve(Reactor& reactor, std::string_view host, std::uint16_t port,
                               Handler<Resolved> handler);
  [[nodiscard]] Lookup resolve(Reactor& reactor, std::string_view host, std::uint16_t port,
                               Handler<Resolved> handler, std::error_code& error);

 protected:
  /// Begins with `lookup`, and answers it when it can, by any thread, or at once. Called in the
  /// loop's thread of `reactor`, which is the one that has asked. May throw std::bad_alloc: then
  /// resolve() refuses.
  virtual void start(Reactor& reactor, PendingLookup lookup) = 0;
};

/// Asks the system, by getaddrinfo(3), in a thread of its own, which starts with the first name and
/// ends with the object. One name is resolved at a time, in the order in which they came; those
/// that nobody waits for any more are left out. An address in the place of a name takes no thread.
///
/// May be shared by the reactors of several threads. Destroying it does not wait for the system:
/// what is under way is answered with `operation_canceled`, and a thread that getaddrinfo(3) keeps
/// ends by itself when that returns. In the child of a fork it begins anew, with no name: the
/// lookups that were under way remain the parent's, and are not answered.
class POLLUX_EXPORT SystemResolver final : public Resolver {
 public:
  /// May throw std::bad_alloc.
  SystemResolver();
  ~SystemResolver() override;

 protected:
  /// Answers with `resource_unavailable_try_again`, or what the system says, if there is no thread
  /// to be had.
  void start(Reactor& reactor, PendingLookup lookup) override;

 private:
  std::unique_ptr<detail::LookupThread> thread_;
};

}  // namespace pollux

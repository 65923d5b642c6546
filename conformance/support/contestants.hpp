// SPDX-License-Identifier: MIT
// The backends under test: what every test asks that wants a row for each of them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <pollux/backends.hpp>

namespace pollux::support {

/// A backend under test. `make` may be called by several threads at a time, and throws what its
/// maker says if it cannot.
struct Contestant {
  using Make = std::function<std::unique_ptr<Backend>()>;
  using Maker = std::function<std::unique_ptr<Backend>(std::error_code& error)>;

  Contestant(std::string named, Make makes);
  Contestant(std::string named, Maker makes);
  Contestant(const BackendInfo& compiled_in);

  std::string name;
  Make make;
};

/// One that cannot be used on this machine.
struct Absentee {
  std::string name;
  std::error_code why;
};

/// Those that were added; if none was, all that are compiled in, best first. Without the absentees:
/// each is made once when this is first asked for.
std::span<const Contestant> contestants();

/// Whom this kernel does not offer what they need. A process that is merely short of descriptors or
/// memory makes nobody absent.
std::span<const Absentee> absentees();

/// A sentence for each of them.
std::string to_string(const Absentee& absentee);

/// Whether $POLLUX_REQUIRE_BACKENDS names it (`epoll;poll`): whoever runs the tests knows that it
/// can be used here, and does not want to do without.
bool is_required(std::string_view backend);

/// Before anybody asks for contestants().
void add_contestant(Contestant contestant);

/// The contestant of that name, made. Throws std::system_error if there is none or it cannot be.
std::unique_ptr<Backend> make_contestant(std::string_view name);

/// Whether a wait that may last so long comes back before: what wake() promises, and all that can
/// be seen of it.
bool comes_back_within(Backend& backend, std::chrono::milliseconds limit);

}  // namespace pollux::support

// SPDX-License-Identifier: MIT
#include "support/contestants.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <pollux/error.hpp>

namespace pollux::support {

namespace {

std::vector<Contestant>& added() {
  static std::vector<Contestant> all;
  return all;
}

}  // namespace

Contestant::Contestant(std::string named, Make makes)
    : name{std::move(named)}, make{std::move(makes)} {}

Contestant::Contestant(std::string named, Maker makes)
    : name{std::move(named)}, make{[called = name, maker = std::move(makes)] {
        std::error_code error;
        auto backend = maker(error);
        if (!backend) throw std::system_error{error, called};
        return backend;
      }} {}

Contestant::Contestant(const BackendInfo& compiled_in)
    : Contestant{std::string{compiled_in.name}, Maker{compiled_in.make}} {}

std::span<const Contestant> contestants() {
  static const std::vector<Contestant> compiled_in{backends().begin(), backends().end()};
  return added().empty() ? compiled_in : added();
}

void add_contestant(Contestant contestant) {
  added().push_back(std::move(contestant));
}

std::unique_ptr<Backend> make_contestant(std::string_view name) {
  const auto found = std::ranges::find(contestants(), name, &Contestant::name);
  if (found == contestants().end())
    throw std::system_error{Errc::unknown_backend, std::string{name}};
  return found->make();
}

}  // namespace pollux::support

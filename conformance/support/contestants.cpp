// SPDX-License-Identifier: MIT
#include "conformance/support/contestants.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include <pollux/error.hpp>

namespace pollux::support {

namespace {

std::vector<Contestant>& added() {
  static std::vector<Contestant> all;
  return all;
}

/// Whether more of something would help: then it is the process that is at fault, and a test that
/// cannot be made is one that has failed.
bool is_shortage(const std::error_code& error) {
  return error == std::errc::too_many_files_open ||
         error == std::errc::too_many_files_open_in_system ||
         error == std::errc::not_enough_memory || error == std::errc::no_buffer_space ||
         error == std::errc::resource_unavailable_try_again;
}

/// Who is here, and who is not.
struct Roll {
  std::vector<Contestant> present;
  std::vector<Absentee> absent;

  explicit Roll(std::span<const Contestant> all) {
    for (const Contestant& contestant : all) {
      try {
        static_cast<void>(contestant.make());
      } catch (const std::system_error& error) {
        if (!is_shortage(error.code())) {
          absent.push_back({contestant.name, error.code()});
          continue;
        }
      }
      present.push_back(contestant);
    }
  }
};

const Roll& roll() {
  static const Roll called{
      added().empty() ? std::vector<Contestant>{backends().begin(), backends().end()} : added()};
  return called;
}

/// Whether `list`, of words between semicolons or commas, has that one.
bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(";,"), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
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
  return roll().present;
}

std::span<const Absentee> absentees() {
  return roll().absent;
}

std::string to_string(const Absentee& absentee) {
  return absentee.name + " cannot be used here: " + absentee.why.message();
}

bool is_required(std::string_view backend) {
  const char* const required = std::getenv("POLLUX_REQUIRE_BACKENDS");
  return required != nullptr && has_word(required, backend);
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

bool comes_back_within(Backend& backend, std::chrono::milliseconds limit) {
  const auto start = std::chrono::steady_clock::now();
  std::array<RawEvent, 4> out;
  backend.wait(out, Timeout{limit});
  return std::chrono::steady_clock::now() - start < limit;
}

}  // namespace pollux::support

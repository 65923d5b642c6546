// SPDX-License-Identifier: MIT
// The kit on backends whose makers refuse: `absent_kit none|some|short [GoogleTest's flags]`.
// `some` has a sound one beside it; of `short` the process is said to be out of descriptors.
#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include <pollux/backends.hpp>
#include <pollux/testing/conformance.hpp>

namespace {

auto refuses_with(std::errc why) {
  return [why](std::error_code& error) -> std::unique_ptr<pollux::Backend> {
    error = std::make_error_code(why);
    return nullptr;
  };
}

}  // namespace

int main(int argc, char** argv) {
  using namespace pollux::conformance;
  if (argc < 2) return 2;
  const std::string_view how{argv[1]};
  const bool is_short = how == "short";
  add_backend("absent", refuses_with(is_short ? std::errc::too_many_files_open
                                              : std::errc::function_not_supported));
  if (how == "some") {
    const auto sound = pollux::backends().back();
    add_backend(std::string{sound.name}, sound.make);
  }
  return run(argc - 1, argv + 1);
}

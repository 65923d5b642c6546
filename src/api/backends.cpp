// SPDX-License-Identifier: MIT
#include <pollux/backends.hpp>

#include <cstdlib>

#include <pollux/backend_support.hpp>
#include <pollux/error.hpp>

namespace pollux {

namespace {

std::unique_ptr<Backend> make(const BackendInfo& backend, std::error_code& error) {
  return report_memory(error, [&] { return backend.make(error); });
}

}  // namespace

bool usable(const BackendInfo& backend, std::error_code& error) {
  return make(backend, error) != nullptr;
}

std::unique_ptr<Backend> make_backend(std::string_view name, std::error_code& error) {
  if (name.empty()) {
    if (const char* chosen = std::getenv("POLLUX_BACKEND")) name = chosen;
  }
  if (!name.empty()) {
    for (const BackendInfo& backend : backends()) {
      if (backend.name == name) return make(backend, error);
    }
    error = Errc::unknown_backend;
    return nullptr;
  }
  // The first error is the best backend's, and says most: too many open files, for instance.
  std::error_code first;
  for (const BackendInfo& backend : backends()) {
    if (auto made = make(backend, error)) return made;
    if (!first) first = error;
  }
  error = first ? first : make_error_code(Errc::no_usable_backend);
  return nullptr;
}

}  // namespace pollux

// SPDX-License-Identifier: MIT
#include "api/environment_tracer.hpp"

#include <cstdio>
#include <string_view>

#include <pollux/error.hpp>
#include <pollux/text_tracer.hpp>

#include "platform/environment.hpp"

namespace pollux::detail {

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

/// Closes its file, when it has written to it for the last time.
class FileTracer final : public TextTracer {
 public:
  FileTracer(File file, time_point start) : TextTracer{file.get(), start}, file_{std::move(file)} {}

 private:
  File file_;
};

}  // namespace

std::unique_ptr<Tracer> tracer_from_environment(Tracer::time_point start, std::error_code& error) {
  const char* const value = platform::trusted_variable("POLLUX_TRACE");
  const std::string_view target = value != nullptr ? value : "";
  if (target.empty() || target == "0") return nullptr;
  if (target == "1" || target == "stderr") return std::make_unique<TextTracer>(stderr, start);
  File file{platform::open_for_lines(value)};
  if (!file) {
    error = Errc::trace_unavailable;
    return nullptr;
  }
  return std::make_unique<FileTracer>(std::move(file), start);
}

}  // namespace pollux::detail

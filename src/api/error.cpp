// SPDX-License-Identifier: MIT
#include <pollux/error.hpp>

#include <string>

#include <pollux/version.hpp>

namespace pollux {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "pollux"; }

  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::unknown_backend:
        return "no backend of this name is compiled in";
      case Errc::no_usable_backend:
        return "none of the compiled-in backends is usable on this system";
      case Errc::not_a_stream:
        return "the descriptor is not a byte stream";
      case Errc::reactor_closed:
        return "the reactor is closed";
      case Errc::already_running:
        return "the reactor is running already";
      case Errc::watch_closed:
        return "the watch is empty, or its descriptor was closed";
      case Errc::timer_closed:
        return "the timer is empty";
      case Errc::forked:
        return "the process was forked, and after_fork() has not been called";
      case Errc::trace_unavailable:
        return "the file that $POLLUX_TRACE names cannot be opened";
      case Errc::stream_closed:
        return "the stream is closed";
      case Errc::host_not_found:
        return "no host of this name is known, or it has no address";
    }
    return "unknown error";
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<Errc>(value)) {
      case Errc::unknown_backend:
      case Errc::not_a_stream:
      case Errc::timer_closed:
        return std::errc::invalid_argument;
      case Errc::no_usable_backend:
        return std::errc::function_not_supported;
      case Errc::reactor_closed:
        return std::errc::operation_canceled;
      case Errc::already_running:
        return std::errc::resource_deadlock_would_occur;
      case Errc::watch_closed:
        return std::errc::bad_file_descriptor;
      case Errc::forked:
        return std::errc::operation_not_permitted;
      case Errc::trace_unavailable:
        return std::errc::io_error;
      case Errc::stream_closed:
        return std::errc::not_connected;
      case Errc::host_not_found:
        return std::errc::no_such_device_or_address;
    }
    return {value, *this};
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}

const char* version() noexcept {
  return POLLUX_VERSION_STRING;
}

}  // namespace pollux

// SPDX-License-Identifier: MIT
// What every system but Linux has in place of filters that drop packets, and of AF_VSOCK.
#include <system_error>

#include "conformance/support/pairs.hpp"
#include "conformance/support/system.hpp"

namespace pollux::support {

Handle make_vsock_socket() {
  return {};
}

bool start_fast_connect(const Handle&, const Handle&) {
  return false;
}

bool can_play_dead() noexcept {
  return false;
}

namespace {

[[noreturn]] void has_no_filter() {
  throw std::system_error{std::make_error_code(std::errc::function_not_supported),
                          "this system has no filter that drops packets"};
}

}  // namespace

void play_dead(const Handle&) {
  has_no_filter();
}
void come_alive(const Handle&) {
  has_no_filter();
}
void give_up_early(const Handle&) {
  has_no_filter();
}
void keep_alive(const Handle&, int) {
  has_no_filter();
}

}  // namespace pollux::support

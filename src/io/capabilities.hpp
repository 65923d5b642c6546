// SPDX-License-Identifier: MIT
// What a backend can be believed on; the rest is found by probes.
#pragma once

#include <pollux/backend.hpp>

namespace pollux::detail {

struct Capabilities {
  /// Those of `backend`, but for the bits that are `unreliable_bits`. Without a backend nothing is
  /// missing.
  static Capabilities of(const Backend* backend, RawReady unreliable_bits) noexcept {
    constexpr RawReady all = RawReady::rdhup | RawReady::hup | RawReady::err | RawReady::pri;
    return Capabilities{backend == nullptr ? all : without(backend->reports(), unreliable_bits)};
  }
  explicit Capabilities(RawReady reports) noexcept
      : knows_fin{any(reports, RawReady::rdhup)},
        knows_over{any(reports, RawReady::hup)},
        reports_failures_unasked{any(reports, RawReady::err)},
        knows_urgent{any(reports, RawReady::pri)} {}

  /// Whether something is missing that has to be found by probes.
  bool need_probes() const noexcept {
    return !knows_fin || !knows_over || !reports_failures_unasked;
  }

  const bool knows_fin;
  const bool knows_over;
  const bool reports_failures_unasked;
  const bool knows_urgent;
};

}  // namespace pollux::detail

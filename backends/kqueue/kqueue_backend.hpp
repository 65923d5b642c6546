// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <system_error>

#include <pollux/backend.hpp>

namespace pollux {

/// A backend on kqueue(2): macOS, FreeBSD and other BSDs. Null and an error if the process is out
/// of descriptors or the kernel out of memory.
std::unique_ptr<Backend> make_kqueue_backend(std::error_code& error);

}  // namespace pollux

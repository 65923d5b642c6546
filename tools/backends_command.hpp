// SPDX-License-Identifier: MIT
// `pollux backends`: what is compiled in, what each can tell by itself, and what runs here.
#pragma once

#include "options.hpp"

namespace pollux::tools {

/// Returns the exit status.
int list_backends(Format format);

}  // namespace pollux::tools

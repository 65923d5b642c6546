// SPDX-License-Identifier: MIT
// Where each loop's rows are gathered: one function a file of this folder.
#pragma once

#include "../suite.hpp"

namespace pollux::bench {

void gather_pollux(Suite& suite);
void gather_raw(Suite& suite);

}  // namespace pollux::bench

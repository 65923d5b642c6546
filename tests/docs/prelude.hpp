// SPDX-License-Identifier: MIT
// What the snippets of the documentation take for granted around them.
#pragma once

#include <span>
#include <string>

#include <pollux/backend_support.hpp>
#include <pollux/pollux.hpp>
#include <pollux/probe.hpp>

using pollux::Interest;

extern pollux::NativeHandle socket;
void cancel_work();
void read_some();
void finish_answer();
void log(const std::string& text);

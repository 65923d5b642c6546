// SPDX-License-Identifier: MIT
// What the snippets of the documentation take for granted around them.
#pragma once

#include <csignal>
#include <span>
#include <string>
#include <thread>

#include <pollux/backend_support.hpp>
#include <pollux/pollux.hpp>
#include <pollux/probe.hpp>

using pollux::Interest;
using namespace std::chrono_literals;

extern pollux::NativeHandle socket;
extern pollux::Reactor reactor;
extern pollux::StreamWatch stream;
extern int pid;
void cancel_work();
void read_some();
void finish_answer();
void log(const std::string& text);

// SPDX-License-Identifier: MIT
// Runs a program, and has all that it writes and how it ends. Usage: child_output <program>
// [<argument>...]
#include <cstdio>
#include <string>

#include <spawn.h>
#include <unistd.h>

#include <pollux/pollux.hpp>

#include "descriptors.hpp"

extern char** environ;

/// Starts `arguments`, which writes to `output`; 0 or why not.
int start(char** arguments, int output, pid_t& child) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  const int error = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

int main(int argc, char** argv) {
  int ends[2] = {-1, -1};
  pid_t child = 0;
  const bool piped = argc > 1 && ::pipe(ends) == 0;
  for (const int end : ends) close_on_exec(end);
  if (!piped || start(argv + 1, ends[1], child) != 0) {
    std::fputs("usage: child_output <program> [<argument>...]\n", stderr);
    return 2;
  }
  ::close(ends[1]);  // the child has it: when the child is gone, so is the last writer

  pollux::Reactor reactor;
  std::string output;
  int left = 2;  // the output's end and the child's come in either order
  const auto one_less = [&] {
    if (--left == 0) reactor.stop();
  };
  pollux::StreamWatch watch = reactor.watch_stream(
      ends[0], pollux::Interest::readable, [&](const pollux::StreamEvent& event) {
        char buffer[4096];
        if (event.readable())
          if (const auto n = ::read(ends[0], buffer, sizeof buffer); n > 0)
            output.append(buffer, static_cast<std::size_t>(n));
        if (event.hangup()) one_less();  // and every byte has been read
      });
  const pollux::ChildWatch ended = reactor.on_child_exit(child, [&](const pollux::ChildExit& exit) {
    if (exit.exited()) std::printf("exit code %d\n", exit.exit_code());
    if (exit.signaled()) std::printf("signal %d\n", exit.term_signal());
    one_less();
  });
  reactor.run();

  watch.close();
  std::printf("%zu bytes: %s", output.size(), output.c_str());
}

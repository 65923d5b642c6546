// SPDX-License-Identifier: MIT
// Counts the bytes of standard input, whatever that is. No kernel can wait for a file, so a stream
// of one is refused: then a thread reads it, and the stream is that of a pipe.
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>

#include <unistd.h>

#include <pollux/pollux.hpp>

/// The reading end of a pipe into which a thread copies `file`, until that has ended or nobody
/// reads. It waits for nobody: where the program ends first, the thread ends with it.
pollux::UniqueHandle read_in_a_thread(pollux::UniqueHandle file) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
  pollux::UniqueHandle to_loop{ends[0]};
  std::thread{[file = std::move(file), to = pollux::UniqueHandle{ends[1]}] {
    char bytes[65536];
    ssize_t count = 0;
    while ((count = ::read(file.get(), bytes, sizeof bytes)) > 0)
      for (ssize_t sent = 0, more = 0; sent < count; sent += more)
        if ((more = ::write(to.get(), bytes + sent, static_cast<std::size_t>(count - sent))) < 0)
          return;
  }}.detach();
  return to_loop;
}

int main() {
  std::signal(SIGPIPE, SIG_IGN);  // a write of the thread's that nobody reads fails instead
  pollux::Reactor reactor;
  std::error_code error;
  pollux::Stream input{reactor, pollux::UniqueHandle{::dup(STDIN_FILENO)}, error};
  const bool is_file = error == std::errc::operation_not_permitted;
  if (is_file) {
    pollux::UniqueHandle file{::dup(STDIN_FILENO)};
    input = pollux::Stream{reactor, read_in_a_thread(std::move(file)), error};
  }
  if (error) return std::fprintf(stderr, "standard input: %s\n", error.message().c_str()), 1;
  std::size_t size = 0;
  input.on_data([&](pollux::Bytes bytes) { size += bytes.size(); });
  reactor.run();  // until the stream has closed itself, at the end of the bytes
  std::printf("%zu bytes, %s\n", size, is_file ? "read in a thread" : "read by the loop");
}

// SPDX-License-Identifier: MIT
// A room to chat in: each line goes to all who are there, with its speaker's number. Nobody waits
// for who does not read: a client for whom a megabyte waits is cut off. Usage: stream_chat
// [address]; without one the system chooses a port. Prints where it listens.
#include <cstddef>
#include <iostream>
#include <list>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <pollux/pollux.hpp>

using pollux::Stream;

constexpr std::size_t longest_line = 4096;

struct Room {
  std::list<Stream> clients = {};
  int visitors = 0;

  void say(const std::string& line) {
    std::erase_if(clients, [](const Stream& client) { return !client; });  // who has gone
    for (Stream& client : clients) {
      std::error_code refused;
      client.write(line, refused);
      if (refused) client.abort();
    }
  }

  void enter(Stream client) {
    const std::string name = std::to_string(++visitors) + ": ";
    client.on_data([this, name](Stream& self, pollux::Bytes bytes) {
      std::string_view text = pollux::as_text(bytes);
      self.keep(text.size() - (text.rfind('\n') + 1));  // no line yet: it comes again, with more
      for (std::size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1))
        say(name + std::string{text.substr(0, end + 1)});
    });
    client.on_event([this, name](Stream& self, const pollux::StreamEvent&) {
      const std::string rest{pollux::as_text(self.read(longest_line))};  // its last words
      self.close();  // what was said before is still sent to it
      say(rest.empty() ? rest : name + rest + "\n");
    });
    clients.push_back(std::move(client));
  }
};

int main(int argc, char** argv) {
  pollux::Reactor reactor;
  Room room;
  const auto enter = [&](Stream client) { room.enter(std::move(client)); };
  const pollux::Address address{argc > 1 ? argv[1] : "127.0.0.1:0"};
  pollux::ListenerOptions options{.stream = {.write_limit = 1 << 20, .read_limit = longest_line}};
  const pollux::Listener listener{reactor, address, enter, options};
  std::cout << "listening on " << listener.address().to_string() << std::endl;
  reactor.run();
}

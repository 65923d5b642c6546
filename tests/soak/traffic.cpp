// SPDX-License-Identifier: MIT
// Bytes and shutdowns of a connection of the soak.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "soak/connection.hpp"

namespace pollux::soak {

namespace {

constexpr std::size_t most_at_once = 65536;
constexpr std::size_t period = 65521;  // a prime: no buffer's size divides it

/// Random bytes that repeat after `period`. A stream's byte is that of its place, shifted by the
/// stream's salt; so a byte lost, told twice, or of another stream differs.
const std::vector<char>& pattern() {
  static const std::vector<char> bytes = [] {
    Random random{42};
    std::vector<char> made(period + most_at_once);
    for (std::size_t i = 0; i < made.size(); ++i)
      made[i] = i < period ? static_cast<char>(random.next()) : made[i - period];
    return made;
  }();
  return bytes;
}

const char* pattern_at(std::uint64_t salt, std::uint64_t place) {
  return pattern().data() + (salt + place) % period;
}

/// Refused by the kernel where the connection has failed and nobody knows of it yet.
void shut_down(const support::Handle& end, int how) {
  static_cast<void>(::shutdown(end.get(), how));
}

}  // namespace

long Connection::transfer_out(const support::Handle& to, std::uint64_t salt, std::uint64_t& total,
                              std::size_t most) {
  const std::string_view bytes{pattern_at(salt, total), std::min(most, most_at_once)};
  const long count = support::write_bytes(to, bytes);
  if (count > 0) total += static_cast<std::uint64_t>(count);
  return count;
}

long Connection::transfer_in(const support::Handle& from, std::uint64_t salt, std::uint64_t& total,
                             std::size_t most) {
  std::array<char, most_at_once> buffer;
  const auto count = ::read(from.get(), buffer.data(), std::min(most, buffer.size()));
  if (count < 0) return -errno;
  const auto size = static_cast<std::size_t>(count);
  if (std::memcmp(buffer.data(), pattern_at(salt, total), size) != 0)
    wrong("bytes arrived that were not sent, or not in this order");
  total += size;
  common_.bytes += size;
  return static_cast<long>(count);
}

bool Connection::peer_may_write() const noexcept {
  return has_peer() && !facts_.peer_shut_wr && facts_.kind != Kind::pipe_out;
}

bool Connection::may_write() const noexcept {
  return ends_.local && !facts_.own_shut_wr && !facts_.is_over() && facts_.kind != Kind::pipe_in;
}

bool Connection::may_read() const noexcept {
  return ends_.local && facts_.kind != Kind::pipe_out;
}

void Connection::peer_write(std::size_t most) {
  note("peer_write", transfer_out(ends_.peer, to_local_, facts_.peer_wrote, most));
}

void Connection::peer_fill() {
  const std::uint64_t before = facts_.peer_wrote;
  while (transfer_out(ends_.peer, to_local_, facts_.peer_wrote, most_at_once) > 0) {
  }
  note("peer_fill", static_cast<long>(facts_.peer_wrote - before));
}

void Connection::peer_read(std::size_t most) {
  const long count = transfer_in(ends_.peer, to_peer_, facts_.peer_read, most);
  if (count == 0 || (count < 0 && count != -EAGAIN)) peer_saw_end_ = true;
  note("peer_read", count);
}

void Connection::peer_shut_down() {
  note("peer_shutdown_write");
  facts_.peer_shut_wr = true;
  shut_down(ends_.peer, SHUT_WR);
}

void Connection::peer_close() {
  note("peer_close");
  facts_.peer_closed = true;
  facts_.peer_left_bytes = facts_.wrote > facts_.peer_read;
  ends_.peer.close();
}

void Connection::peer_reset() {
  note("peer_reset");
  facts_.peer_reset = true;
  support::reset_connection(ends_.peer);
}

void Connection::write(std::size_t most) {
  const long count = transfer_out(ends_.local, to_peer_, facts_.wrote, most);
  if (facts_.peer_closed) facts_.peer_left_bytes = true;
  if (count < 0 && count != -EAGAIN && facts_.is_socket()) facts_.error_taken = true;
  if (common_.dispatching) facts_.written_in_turn = common_.turn;
  note("write", count);
}

void Connection::fill() {
  const std::uint64_t before = facts_.wrote;
  long count = 0;
  while ((count = transfer_out(ends_.local, to_peer_, facts_.wrote, most_at_once)) > 0) {
  }
  if (facts_.peer_closed) facts_.peer_left_bytes = true;
  if (count != -EAGAIN && facts_.is_socket()) facts_.error_taken = true;
  if (common_.dispatching) facts_.written_in_turn = common_.turn;
  note("fill", static_cast<long>(facts_.wrote - before));
}

void Connection::read(std::size_t most) {
  const long count = transfer_in(ends_.local, to_local_, facts_.was_read, most);
  if (count < 0 && count != -EAGAIN) facts_.error_taken = true;
  if (common_.dispatching) facts_.taken_in_turn = common_.turn;
  note("read", count);
}

void Connection::shut_down_read() {
  note("shutdown_read");
  facts_.own_shut_rd = true;
  shut_down(ends_.local, SHUT_RD);
}

void Connection::shut_down_write() {
  note("shutdown_write");
  facts_.own_shut_wr = true;
  shut_down(ends_.local, SHUT_WR);
}

}  // namespace pollux::soak

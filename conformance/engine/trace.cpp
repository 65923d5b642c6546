// SPDX-License-Identifier: MIT
#include "conformance/engine/trace.hpp"

#include <cerrno>
#include <system_error>

#include <pollux/events.hpp>

#include "conformance/engine/history.hpp"

namespace pollux::differential {

namespace {

/// As POSIX systems have it: not every C library has words for all of them.
std::string text_of(int error) {
  switch (error) {
    case ECONNRESET:
      return "Connection reset by peer";
    case ECONNREFUSED:
      return "Connection refused";
    case ECONNABORTED:
      return "Software caused connection abort";
    case ENOTCONN:
      return "Transport endpoint is not connected";
    default:
      return std::generic_category().message(error);
  }
}

std::string what_of(const Item& item) {
  switch (item.what) {
    case Item::What::op:
      return "";
    case Item::What::result:
      return item.value < 0 ? text_of(-item.value) : std::to_string(item.value) + " bytes";
    case Item::What::end_of_stream:
      return "end_of_stream";
    case Item::What::error:
      return "error(" + text_of(item.value) + ")";
    case Item::What::hangup:
      return "hangup";
    case Item::What::standing:
      return "[" + pollux::to_string(static_cast<Event>(item.value)) + "]";
    case Item::What::peer_closed:
      return "peer_closed";
    case Item::What::had_been_delivered:
      return "(had been delivered)";
    case Item::What::refused:
      return "REFUSED(" + std::to_string(item.value) + ")";
    case Item::What::peer_sees:
      return item.value == 0   ? "(peer: nothing)"
             : item.value == 1 ? "(peer: end)"
                               : "(peer: failure)";
    case Item::What::left_behind:
      return "LEFT BEHIND";
    case Item::What::false_readable:
      return "FALSE READABLE";
    case Item::What::spin:
      return "SPIN";
    case Item::What::data:
      return "data(" + std::to_string(item.value) + ")";
    case Item::What::drained:
      return "drained";
    case Item::What::enough:
      return "(enough)";
    case Item::What::peer_has:
      return "(peer: " + std::to_string(item.value) + " bytes)";
    case Item::What::garbled:
      return "GARBLED";
  }
  return "";
}

std::string to_string(const Item& item) {
  return (item.watch == 0 ? "" : "2nd:") + what_of(item);
}

}  // namespace

std::string to_line(const Trace& trace, const History& history) {
  std::string text;
  for (const Item& item : trace) {
    if (item.what == Item::What::op) {
      if (!text.empty()) text += "; ";
      text += to_string(history.ops[static_cast<std::size_t>(item.value)]);
      text += ':';
    } else {
      text += ' ' + to_string(item);
    }
  }
  return text;
}

std::string to_string(const Trace& trace, const History& history) {
  std::string text = "(start)";
  for (const Item& item : trace) {
    if (item.what == Item::What::op) {
      text += '\n';
      text += to_string(history.ops[static_cast<std::size_t>(item.value)]);
    } else {
      text += ' ' + to_string(item);
    }
  }
  return text + '\n';
}

}  // namespace pollux::differential

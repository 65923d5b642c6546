// SPDX-License-Identifier: MIT
#include "backends_command.hpp"

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <pollux/pollux.hpp>

#include "conformance/support/pairs.hpp"
#include "terminal.hpp"

namespace pollux::tools {

namespace {

using support::PairKind;

constexpr std::array<std::pair<RawReady, std::string_view>, 5> raw_bits = {
    {{RawReady::in, "in"},
     {RawReady::out, "out"},
     {RawReady::rdhup, "rdhup"},
     {RawReady::hup, "hup"},
     {RawReady::err, "err"}}};

/// One backend, as it answers for itself.
struct Row {
  std::string name;
  std::string error;  ///< why it can't be used here; empty if it can
  RawReady reports = RawReady::none;
  std::string on_tcp;  ///< how soon peer_closed comes
  std::string on_unix;
};

std::string latency(const BackendInfo& backend, PairKind kind) {
  if (!support::is_available(kind)) return "none here";
  Reactor reactor{backend.name};
  const support::Pair pair = support::make_pair(kind);
  const StreamWatch watch =
      reactor.watch_stream(pair.local.get(), Interest::peer_closed, [](const StreamEvent&) {});
  return std::string{to_string(watch.peer_closed_latency())};
}

Row look_at(const BackendInfo& backend) {
  Row row;
  row.name = backend.name;
  std::error_code error;
  if (const auto made = backend.make(error)) row.reports = made->reports();
  try {
    if (!error) {
      row.on_tcp = latency(backend, PairKind::tcp4);
      row.on_unix = latency(backend, PairKind::unix_stream);
    }
  } catch (const std::system_error& failure) {
    error = failure.code();
  }
  if (error) row.error = error.message();
  return row;
}

/// Which backend a reactor takes by itself.
struct Default {
  std::string name;  ///< empty if it can't be made
  std::string error;
  std::string variable;  ///< $POLLUX_BACKEND
};

Default find_default() {
  Default found;
  if (const char* value = std::getenv("POLLUX_BACKEND")) found.variable = value;
  std::error_code error;
  if (const auto backend = make_backend({}, error)) {
    found.name = backend->name();
  } else {
    found.error = error.message();
  }
  return found;
}

std::string sentence(const Default& found) {
  if (found.variable.empty())
    return found.name.empty() ? fmt::format("No reactor can be made here: {}.", found.error)
                              : fmt::format("A reactor takes {} by itself.", found.name);
  return found.name.empty()
             ? fmt::format("$POLLUX_BACKEND says \"{}\", so no reactor can be made by default: {}.",
                           found.variable, found.error)
             : fmt::format("A reactor takes {} by itself: $POLLUX_BACKEND says so.", found.name);
}

std::vector<std::string> cells(const Row& row, const Default& chosen) {
  std::vector<std::string> cells{row.name};
  for (const auto& [bit, name] : raw_bits) cells.emplace_back(any(row.reports, bit) ? "yes" : "-");
  cells.push_back(row.on_tcp.empty() ? "-" : row.on_tcp);
  cells.push_back(row.on_unix.empty() ? "-" : row.on_unix);
  cells.push_back(!row.error.empty()        ? row.error
                  : row.name == chosen.name ? "usable, the default"
                                            : "usable");
  return cells;
}

constexpr std::string_view legend =
    "in, out, rdhup, hup, err: \"yes\" where the backend can be believed on that flag. Whatever it "
    "cannot "
    "tell, pollux finds out by probing, so that the events are the same on all of them.";
constexpr std::string_view peer_closed_legend =
    "peer_closed: how soon one hears that the peer has closed while bytes are unread. "
    "\"immediate\": the "
    "kernel says it; \"probed\": found by looking at TCP's state; \"after drain\": with the last "
    "byte read.";

std::vector<std::string> heads() {
  std::vector<std::string> heads{"backend"};
  for (const auto& [bit, name] : raw_bits) heads.emplace_back(name);
  heads.insert(heads.end(), {"peer_closed: TCP", "AF_UNIX", "here"});
  return heads;
}

void print_table(const std::vector<Row>& rows, const Default& chosen) {
  const Paint paint;
  const std::vector<std::size_t> widths{10, 4, 4, 5, 4, 4, 16, 11, 22};
  std::vector<Cell> head;
  for (std::string& name : heads()) head.push_back({std::move(name), Style::bold});
  fmt::print("{}", table_row(widths, head, paint, 0));
  for (const Row& row : rows) {
    std::vector<Cell> line;
    for (std::string& text : cells(row, chosen)) line.push_back({std::move(text), Style::plain});
    line.front().style = Style::bold;
    line.back().style = row.error.empty() ? Style::good : Style::bad;
    fmt::print("{}", table_row(widths, line, paint, 0));
  }
  fmt::print("\n{}\n{}{}", paragraph(sentence(chosen), paint),
             paragraph(legend, paint, Style::faint),
             paragraph(peer_closed_legend, paint, Style::faint));
}

void print_markdown(const std::vector<Row>& rows, const Default& chosen) {
  fmt::print("{}", markdown_head(heads()));
  for (const Row& row : rows) fmt::print("{}", markdown_row(cells(row, chosen)));
  fmt::print("\n{}\n\n{} {}\n", sentence(chosen), legend, peer_closed_legend);
}

void print_json(const std::vector<Row>& rows, const Default& chosen) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](const std::string& text) { return text.empty() ? Json{} : Json(text); };
  Json list = Json::array();
  for (const Row& row : rows) {
    Json native = Json::array();
    for (const auto& [bit, name] : raw_bits) {
      if (any(row.reports, bit)) native.push_back(name);
    }
    list.push_back(
        {{"name", row.name},
         {"usable", row.error.empty()},
         {"error", or_null(row.error)},
         {"native", native},
         {"peer_closed", {{"tcp", or_null(row.on_tcp)}, {"unix", or_null(row.on_unix)}}}});
  }
  const Json all{{"version", POLLUX_VERSION_STRING},
                 {"backends", list},
                 {"default", or_null(chosen.name)},
                 {"POLLUX_BACKEND", or_null(chosen.variable)}};
  fmt::print("{}\n", all.dump(2));
}

}  // namespace

int list_backends(Format format) {
  std::vector<Row> rows;
  for (const BackendInfo& backend : backends()) rows.push_back(look_at(backend));
  const Default chosen = find_default();
  switch (format) {
    case Format::table:
      print_table(rows, chosen);
      break;
    case Format::markdown:
      print_markdown(rows, chosen);
      break;
    case Format::json:
      print_json(rows, chosen);
      break;
  }
  return 0;
}

}  // namespace pollux::tools

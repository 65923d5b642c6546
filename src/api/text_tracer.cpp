// SPDX-License-Identifier: MIT
#include <pollux/text_tracer.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <concepts>
#include <new>
#include <utility>

#include "base/text.hpp"

namespace pollux {

/// One line, in memory of its own. What does not fit is left out.
class TextTracer::Line {
 public:
  Line& operator<<(std::string_view text) noexcept {
    const std::size_t length = std::min(text.size(), room_);
    std::copy_n(text.data(), length, text_.data() + size_);
    size_ += length;
    room_ -= length;
    return *this;
  }
  template <std::integral Number>
  Line& operator<<(Number number) noexcept {
    char digits[24];
    const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), number);
    return *this << std::string_view{digits, static_cast<std::size_t>(end - digits)};
  }
  /// As seconds.
  Line& operator<<(std::chrono::nanoseconds time) noexcept {
    detail::put_seconds(time, [this](std::string_view text) { *this << text; });
    return *this;
  }
  /// The names of bits, as detail::put_names() has them.
  template <class Bits, class Names>
  Line& put(Bits bits, const Names& names, std::string_view separator) noexcept {
    detail::put_names(bits, names, separator, [this](std::string_view text) { *this << text; });
    return *this;
  }
  Line& operator<<(Interest interest) noexcept {
    return put(interest, detail::interest_names, "|");
  }

  std::string_view text() const noexcept { return {text_.data(), size_}; }
  /// The text with an end of line.
  std::string_view ended() noexcept {
    text_[size_] = '\n';
    return {text_.data(), size_ + 1};
  }

 private:
  std::array<char, 256> text_;
  std::size_t size_ = 0;
  std::size_t room_ = 255;
};

TextTracer::TextTracer(std::FILE* stream, time_point start)
    : stream_{stream}, line_{[](std::string_view) {}}, start_{start} {
  assert(stream != nullptr);
}
TextTracer::TextTracer(Handler<std::string_view> line, time_point start)
    : line_{std::move(line)}, start_{start} {}

/// May throw std::bad_alloc, and then has changed nothing.
void TextTracer::remember(Token token, NativeHandle handle) {
  if (token.slot >= size_) {
    // Slots are dense: the next ones are watched next.
    const std::size_t size = std::size_t{token.slot} + token.slot / 2 + 64;
    auto known = std::make_unique<Known[]>(size);
    std::copy_n(known_.get(), size_, known.get());
    known_ = std::move(known);
    size_ = size;
  }
  known_[token.slot] = {handle, token.generation, false};
}

TextTracer::Known TextTracer::known(Token token) const noexcept {
  if (token.slot >= size_) return {};
  const Known& found = known_[token.slot];
  return found.generation == token.generation ? found : Known{};
}

TextTracer::Line TextTracer::begin(time_point when, Token token) const noexcept {
  const NativeHandle handle = known(token).handle;
  Line line;
  line << when - start_ << " fd ";
  if (handle == no_handle) {
    line << "?";
  } else {
    line << handle;
  }
  line << " ";
  return line;
}

void TextTracer::write(Line& line) noexcept {
  if (stream_ != nullptr) {
    const std::string_view text = line.ended();
    // A line that cannot be written is lost: there is nobody to say so to.
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stream_));
  } else {
    const std::string_view text = line.text();
    line_.call(&text);
  }
}

void TextTracer::watched(time_point when, NativeHandle handle, Token token, WatchKind kind,
                         Interest interest) noexcept {
  try {
    remember(token, handle);
  } catch (const std::bad_alloc&) {
    // This watch goes without its descriptor's number.
  }
  Line line = begin(when, token);
  line << "watched " << (kind == WatchKind::stream ? "stream" : "readiness") << ", interest "
       << interest;
  write(line);
}

void TextTracer::reported(time_point when, Token token, RawReady ready) noexcept {
  Line line = begin(when, token);
  line << "reported ";
  line.put(ready, detail::raw_ready_names, " ");
  const Known watch = known(token);
  if (watch.handle != no_handle && watch.ended) line << ", for a watch that has ended";
  write(line);
}

namespace {

/// The text of an error, or its number without the memory for the text.
template <class Line>
void put_error(Line& line, const std::error_code& error) noexcept {
  try {
    line << error.message();
  } catch (const std::bad_alloc&) {
    line << error.value();
  }
}

}  // namespace

void TextTracer::delivered(time_point when, Token token, const StreamEvent& event) noexcept {
  Line line = begin(when, token);
  line << "delivered";
  for (const auto& [bit, name] : detail::event_names) {
    if (!any(event.events(), bit)) continue;
    line << " " << name;
    if (bit != Event::error || !event.error()) continue;
    line << "(";
    put_error(line, event.error());
    line << ")";
  }
  write(line);
  called_at_ = when;
}

void TextTracer::delivered(time_point when, Token token, Readiness readiness) noexcept {
  Line line = begin(when, token);
  line << "delivered";
  if (readiness.readable()) line << " readable";
  if (readiness.writable()) line << " writable";
  if (readiness.priority()) line << " priority";
  if (readiness.error()) line << " error";
  if (readiness.hangup()) line << " hangup";
  write(line);
  called_at_ = when;
}

void TextTracer::handler_returned(time_point when, Token token) noexcept {
  const std::chrono::nanoseconds took = when - called_at_;
  if (took < long_call) return;
  Line line = begin(when, token);
  line << "handler returned after " << took << " s";
  write(line);
}

void TextTracer::interest_changed(time_point when, Token token, Interest before,
                                  Interest after) noexcept {
  Line line = begin(when, token);
  line << "interest " << before << " -> " << after;
  write(line);
}

void TextTracer::watch_changed(time_point when, Token token, WatchChange change) noexcept {
  Line line = begin(when, token);
  switch (change) {
    case WatchChange::masked:
      line << "masked until something new happens";
      break;
    case WatchChange::parked:
      line << "parked: over, with bytes unread, while paused";
      break;
    case WatchChange::closed:
      line << "closed under its watch";
      break;
    case WatchChange::ended:
      line << "unwatched";
      break;
  }
  write(line);
  // The number is kept: a report may still come for it, and then says whose it was.
  if (change == WatchChange::ended && known(token).handle != no_handle)
    known_[token.slot].ended = true;
}

}  // namespace pollux

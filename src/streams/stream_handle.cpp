// SPDX-License-Identifier: MIT
#include "streams/stream_handle.hpp"

namespace pollux::detail {

const StreamOptions StreamHandle::default_options{};

std::error_code StreamHandle::watch(Handler<StreamEvent>&& handler) noexcept {
  std::error_code error;
  interest_ =
      options().peer_closed ? Interest::readable | Interest::peer_closed : Interest::readable;
  watch_ = service().reactor()->watch_stream(get(), interest_, std::move(handler), error);
  if (error) return error;
  kind_ = service().loop().registrations().stream_kind(get());
  if (const int failed = platform::prepare_to_move(get(), kind_, calls()))
    return platform::error_code(failed);
  return {};
}

std::error_code StreamHandle::change_interest(Interest wanted) noexcept {
  std::error_code error;
  watch_.set_interest(wanted, error);
  if (!error) interest_ = wanted;
  return error;
}

std::error_code StreamHandle::shutdown_write() noexcept {
  std::error_code error;
  watch_.shutdown(Shutdown::write, error);
  return error;
}

void StreamHandle::close() noexcept {
  watch_.reset();
  if (!handle_) return;
  handle_.reset();
  leave_group();
}

UniqueHandle StreamHandle::give_back() noexcept {
  watch_.reset();
  leave_group();
  return std::move(handle_);
}

void StreamHandle::leave_group() noexcept {
  if (!group_) return;
  --group_->open;
  if (group_->owner != nullptr) group_->owner->stream_closed();
}

}  // namespace pollux::detail

// SPDX-License-Identifier: MIT
#include "streams/pipe_pool.hpp"

#include <new>

namespace pollux::detail {

PipePool::Pipe PipePool::take(SystemCalls& calls) noexcept {
  Pipe pipe;
  if (out_ == most_out) return pipe;
  if (unused_ != nullptr) {
    --kept_;
    pipe.reset(static_cast<PipePiece*>(std::exchange(unused_, unused_->next)));
    pipe->next = nullptr;
  } else {
    platform::PipeEnds ends = platform::open_pipe(calls);
    if (ends.reader) pipe.reset(new (std::nothrow) PipePiece{*this, std::move(ends)});
  }
  if (pipe) ++out_;
  return pipe;
}

void PipePool::give_back(Pipe pipe) noexcept {
  --out_;
  if (pipe->bytes != 0 || kept_ == most_kept) return;
  ++kept_;
  pipe->next = unused_;
  unused_ = pipe.release();
}

void PipePool::clear() noexcept {
  while (unused_ != nullptr) {
    const Pipe pipe{static_cast<PipePiece*>(std::exchange(unused_, unused_->next))};
  }
  kept_ = 0;
}

}  // namespace pollux::detail

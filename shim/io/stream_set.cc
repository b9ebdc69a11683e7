// SPDX-License-Identifier: Apache-2.0
#include "shim/io/stream_set.h"

#include <cerrno>
#include <string>
#include <utility>

#include "shim/io/stream_uri.h"

namespace gantry::shim {
namespace {

kernel::Result<Pipe> MakeNonBlockingPipe() {
  auto pipe = MakePipe();
  if (!pipe) return pipe;
  for (const int fd : {pipe->read.get(), pipe->write.get()}) {
    if (auto set = SetNonBlocking(fd); !set) return set.error();
  }
  return pipe;
}

}  // namespace

kernel::Result<void> StreamSet::Name(const StdioRequest& request) {
  auto in = StreamId(request.in);
  if (!in) return in.error();
  if (!in->empty()) {
    if (!in_) in_.emplace(context_);
    if (auto named = in_->Name(*in); !named) return named;
  }
  const std::array<const std::string*, 2> outs{&request.out, &request.err};
  for (size_t i = 0; i < outs.size(); ++i) {
    auto out = StreamId(*outs[i]);
    if (!out) return out.error();
    if (out->empty()) continue;
    if (auto named = outs_[i].emplace(context_).Name(*out); !named) return named;
  }
  return {};
}

Co<kernel::Result<void>> StreamSet::Meet(Time deadline) {
  for (std::optional<StreamOutput>& out : outs_) {
    if (!out) continue;
    const bool met = co_await out->met().Wait(deadline);
    if (!met) co_return kernel::Error{ETIMEDOUT, "wait for a client of stream " + out->id()};
  }
  co_return kernel::Result<void>();
}

void StreamSet::Begin(size_t stream, kernel::UniqueFd end) {
  if (stream == 0) return in_->Begin(std::move(end));
  outs_.at(stream - 1)->Begin(std::move(end));
}

kernel::Result<Endpoint> StreamSet::BeginTerminalInput() {
  auto pipe = MakeNonBlockingPipe();
  if (!pipe) return pipe.error();
  Begin(0, std::move(pipe->write));
  return MakeEndpoint(std::move(pipe->read), EndKind::kPipe);
}

kernel::Result<Endpoint> StreamSet::BeginTerminalOutput() {
  if (!outs_[0]) return Endpoint();
  auto pipe = MakeNonBlockingPipe();
  if (!pipe) return pipe.error();
  Begin(1, std::move(pipe->read));
  return MakeEndpoint(std::move(pipe->write), EndKind::kPipe);
}

void StreamSet::CloseStdin() {
  if (!in_) in_.emplace(context_);  // it may have no name yet
  in_->CloseStdin();
}

void StreamSet::Hurry() {
  for (std::optional<StreamOutput>& out : outs_) {
    if (out) out->Hurry();
  }
}

Co<bool> StreamSet::Drain(Time deadline) {
  for (std::optional<StreamOutput>& out : outs_) {
    if (!out) continue;
    const bool ended = co_await out->ended().Wait(deadline);
    if (!ended) co_return false;
  }
  co_return true;
}

void StreamSet::Close() {
  if (in_) in_->Close();
  for (std::optional<StreamOutput>& out : outs_) {
    if (out) out->Close();
  }
}

}  // namespace gantry::shim

// SPDX-License-Identifier: Apache-2.0
#include "shim/io/piped_streams.h"

#include <utility>

namespace gantry::shim {

kernel::Result<void> PipedStreams::Make(std::array<bool, 3> wanted, const StdioRequest& request) {
  for (size_t stream = 0; stream < wanted.size(); ++stream) {
    if (!wanted[stream]) continue;
    auto pipe = MakePipe();
    if (!pipe) return pipe.error();
    const bool input = stream == 0;
    container_ends_[stream] = std::move(input ? pipe->read : pipe->write);
    our_ends_[stream] = std::move(input ? pipe->write : pipe->read);
    auto given = GiveTo(container_ends_[stream].get(), request.io_uid, request.io_gid);
    if (!given) return given;
    if (auto set = SetNonBlocking(our_ends_[stream].get()); !set) return set;
  }
  return {};
}

std::array<kernel::Stdio, 3> PipedStreams::RuntimeStdio() const {
  std::array<kernel::Stdio, 3> stdio;
  for (size_t stream = 0; stream < stdio.size(); ++stream) {
    if (container_ends_[stream]) stdio[stream] = kernel::Stdio::Fd(container_ends_[stream].get());
  }
  return stdio;
}

void PipedStreams::CloseContainerEnds() {
  for (kernel::UniqueFd& fd : container_ends_) fd.Reset();
}

void PipedStreams::Copy(size_t stream, Endpoint client) {
  Endpoint ours = MakeEndpoint(std::move(our_ends_[stream]), EndKind::kPipe);
  Endpoint& source = stream == 0 ? client : ours;
  Endpoint& target = stream == 0 ? ours : client;
  copiers_[stream].emplace(context_, std::move(source), std::move(target),
                           [this] { StreamEnded(); });
  if (stream == 0 && stdin_closed_) copiers_[0]->CloseSourceKeeper();
  StreamEnded();  // without outputs there is nothing to drain
}

void PipedStreams::CloseStdin() {
  stdin_closed_ = true;
  if (copiers_[0]) copiers_[0]->CloseSourceKeeper();
}

void PipedStreams::StreamEnded() {
  for (const size_t stream : {1, 2}) {
    if (our_ends_[stream] || (copiers_[stream] && !copiers_[stream]->closed())) return;
  }
  drained_.Set();
}

void PipedStreams::Close() {
  CloseContainerEnds();
  for (kernel::UniqueFd& fd : our_ends_) fd.Reset();
  for (std::optional<Copier>& copier : copiers_) {
    if (copier) copier->Close();
  }
  StreamEnded();
}

}  // namespace gantry::shim

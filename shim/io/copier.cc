// SPDX-License-Identifier: Apache-2.0
#include "shim/io/copier.h"

#include <sys/epoll.h>

#include <utility>

namespace gantry::shim {

Copier::Copier(IoContext& context, Endpoint source, Endpoint target, std::function<void()> ended)
    : source_(std::move(source)),
      target_(std::move(target)),
      ended_(std::move(ended)),
      transfer_(context.buffer, source_, target_),
      source_ready_(context.loop, source_.get(), [this] { Move(); }),
      target_ready_(context.loop, target_.get(), [this] { Move(); }) {
  source_ready_.Await(EPOLLIN);
}

void Copier::Move() {
  switch (transfer_.Move()) {
    case Transfer::Next::kAgain:
    case Transfer::Next::kSource:
      target_ready_.Stop();
      return source_ready_.Await(EPOLLIN);
    case Transfer::Next::kTarget:
      source_ready_.Stop();
      return target_ready_.Await(EPOLLOUT);
    case Transfer::Next::kEnd:
    case Transfer::Next::kTargetGone:
      return Close();
  }
}

void Copier::Close() {
  if (closed()) return;
  source_ready_.Stop();
  target_ready_.Stop();
  source_.Close();
  if (target_.log) target_.log->Finish();
  target_.Close();
  ended_();
}

}  // namespace gantry::shim

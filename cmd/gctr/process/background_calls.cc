// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/background_calls.h"

namespace gantry::gctr {

BackgroundCalls::~BackgroundCalls() {
  base::MutexLock lock(mutex_);
  for (grpc::ClientContext* context : running_) context->TryCancel();
  while (!running_.empty()) ended_.Wait(mutex_);
}

void BackgroundCalls::Begin(grpc::ClientContext& context) {
  base::MutexLock lock(mutex_);
  running_.insert(&context);
}

void BackgroundCalls::End(grpc::ClientContext& context) {
  base::MutexLock lock(mutex_);
  running_.erase(&context);
  ended_.NotifyAll();  // while locked: afterwards this object may be gone
}

}  // namespace gantry::gctr

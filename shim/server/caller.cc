// SPDX-License-Identifier: Apache-2.0
#include "shim/server/caller.h"

namespace gantry::shim {

void Caller::Leave() {
  gone_ = true;
  while (!watches_.empty()) {
    CallerWatch* watch = watches_.front();
    watches_.pop_front();
    watch->waits_ = false;
    const std::function<void()> left = watch->left_;  // the watch may go meanwhile
    left();
  }
}

CallerWatch::CallerWatch(std::shared_ptr<Caller> caller, std::function<void()> left)
    : caller_(std::move(caller)), left_(std::move(left)) {
  if (caller_->gone()) {
    left_();
  } else {
    caller_->watches_.push_back(this);
    waits_ = true;
  }
}

CallerWatch::~CallerWatch() {
  if (waits_) caller_->watches_.remove(this);
}

}  // namespace gantry::shim

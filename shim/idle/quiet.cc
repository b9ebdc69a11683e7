// SPDX-License-Identifier: Apache-2.0
#include "shim/idle/quiet.h"

#include <utility>

namespace gantry::shim {

Quiet::Quiet(Loop& loop, Clock::duration pause, std::function<void()> quiet)
    : loop_(loop), pause_(pause), quiet_(std::move(quiet)), timer_(loop, [this] { OnPause(); }) {
  loop_.OnActivity([this] { OnActivity(); });
}

Quiet::~Quiet() { loop_.OnActivity(nullptr); }

void Quiet::OnActivity() {
  active_ = true;
  if (!timer_.armed()) OnPause();
}

void Quiet::OnPause() {
  if (!std::exchange(active_, false)) return quiet_();
  timer_.After(pause_);
}

}  // namespace gantry::shim

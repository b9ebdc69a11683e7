// SPDX-License-Identifier: Apache-2.0
#include "shim/io/readiness.h"

#include <cerrno>
#include <utility>

namespace gantry::shim {
namespace {

// When the kernel has no room for one more watch.
constexpr std::chrono::milliseconds kWithoutWatch{100};

}  // namespace

Readiness::Readiness(Loop& loop, int fd, std::function<void()> callback)
    : callback_(std::move(callback)),
      watch_(loop, fd, [this](uint32_t) { Call(); }),
      again_(loop, [this] { Call(); }) {}

void Readiness::Call() {
  const std::function<void()> callback = callback_;  // which may destroy this
  callback();
}

void Readiness::Await(uint32_t events) {
  const auto armed = watch_.Arm(events);
  if (armed) return again_.Cancel();
  if (armed.error().err == EPERM) return again_.At(Clock::now());
  again_.After(kWithoutWatch);
}

void Readiness::Stop() {
  watch_.Disarm();
  again_.Cancel();
}

}  // namespace gantry::shim

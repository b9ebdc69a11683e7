// SPDX-License-Identifier: Apache-2.0
#include "shim/io/log_followers.h"

#include <algorithm>

namespace gantry::shim {

void LogFollowers::Wrote(OutputStream stream, std::string_view data) {
  for (LogFollower* follower : followers_) {
    if (follower->Wants(stream)) follower->Add(stream, data);
  }
}

void LogFollowers::Ended(OutputStream stream) {
  ended_[Index(stream)] = true;
  for (LogFollower* follower : followers_) follower->Wake();
}

LogFollower::LogFollower(Loop& loop, std::shared_ptr<LogFollowers> log, bool out, bool err)
    : loop_(loop), log_(std::move(log)), wanted_{out, err} {
  log_->followers_.push_back(this);
}

LogFollower::~LogFollower() { log_->followers_.remove(this); }

void LogFollower::Add(OutputStream stream, std::string_view data) {
  if (too_slow_) return;
  bytes_ += data.size();
  if (bytes_ > kMaxBytes) {
    too_slow_ = true;
    pieces_.clear();
    return Wake();
  }
  while (!data.empty()) {
    if (pieces_.empty() || pieces_.back().stream != stream ||
        pieces_.back().data.size() == kMaxPieceBytes) {
      pieces_.push_back({.stream = stream, .data = {}});
    }
    std::string& last = pieces_.back().data;
    const size_t size = std::min(data.size(), kMaxPieceBytes - last.size());
    last += data.substr(0, size);
    data.remove_prefix(size);
  }
  Wake();
}

std::optional<LogFollower::Piece> LogFollower::Take() {
  if (pieces_.empty()) return std::nullopt;
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  bytes_ -= piece.data.size();
  return piece;
}

bool LogFollower::over() const {
  return (!wanted_[0] || log_->ended_[0]) && (!wanted_[1] || log_->ended_[1]);
}

Co<void> LogFollower::Ready() {
  if (!awake_) {
    const auto waking = waking_ = std::make_shared<Event>(loop_);
    co_await waking->Wait();
  }
  awake_ = false;
}

void LogFollower::Wake() {
  awake_ = true;
  if (waking_) waking_->Set();
  waking_.reset();
}

}  // namespace gantry::shim

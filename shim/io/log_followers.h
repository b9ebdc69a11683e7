// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

enum class OutputStream { kStdout, kStderr };

// Those who read along what goes into a log, as the process wrote it. Each has its own copy of what
// it has not taken yet, so that none waits for another and the process for none.
//
// Threads: one. Belongs to the log and to its followers.
class LogFollowers {
 public:
  LogFollowers() = default;
  LogFollowers(const LogFollowers&) = delete;

  // What the streams of the log bring. One that has not begun may still; one that never will has
  // ended.
  void Wrote(OutputStream stream, std::string_view data);
  void Ended(OutputStream stream);

  bool empty() const { return followers_.empty(); }

 private:
  friend class LogFollower;
  static size_t Index(OutputStream stream) { return stream == OutputStream::kStdout ? 0 : 1; }

  std::list<class LogFollower*> followers_;
  std::array<bool, 2> ended_ = {};
};

// One of them, from its construction on. It wants one of the streams or both.
class LogFollower {
 public:
  // With more than that untaken it is too slow, and cut off.
  static constexpr size_t kMaxBytes = 1UL << 20;
  static constexpr size_t kMaxPieceBytes = 64UL << 10;

  LogFollower(Loop& loop, std::shared_ptr<LogFollowers> log, bool out, bool err);
  LogFollower(const LogFollower&) = delete;
  ~LogFollower();

  struct Piece {
    OutputStream stream;
    std::string data;
  };
  // The oldest; nothing when there is none now.
  std::optional<Piece> Take();
  // Until there may be more to take, or it is over, or Wake() was called.
  Co<void> Ready();
  void Wake();

  // What it has not taken is dropped then.
  bool too_slow() const { return too_slow_; }
  // Nothing will come any more, beside what there is to take.
  bool over() const;

 private:
  friend class LogFollowers;
  bool Wants(OutputStream stream) const { return wanted_[LogFollowers::Index(stream)]; }
  void Add(OutputStream stream, std::string_view data);

  Loop& loop_;
  const std::shared_ptr<LogFollowers> log_;
  const std::array<bool, 2> wanted_;
  std::deque<Piece> pieces_;
  size_t bytes_ = 0;
  bool too_slow_ = false;
  bool awake_ = false;
  std::shared_ptr<Event> waking_;  // while somebody waits
};

}  // namespace gantry::shim

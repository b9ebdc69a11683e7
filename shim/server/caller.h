// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <utility>

namespace gantry::shim {

// Whoever makes calls: the other side of one connection.
//
// Threads: one.
class Caller {
 public:
  Caller() = default;
  Caller(const Caller&) = delete;

  // The connection has ended. Tells those who watch.
  void Leave();
  bool gone() const { return gone_; }

 private:
  friend class CallerWatch;
  std::list<class CallerWatch*> watches_;
  bool gone_ = false;
};

// Calls back once, when a caller leaves; at once if it has left.
class CallerWatch {
 public:
  CallerWatch(std::shared_ptr<Caller> caller, std::function<void()> left);
  CallerWatch(const CallerWatch&) = delete;
  ~CallerWatch();

 private:
  friend class Caller;
  const std::shared_ptr<Caller> caller_;
  const std::function<void()> left_;
  bool waits_ = false;
};

}  // namespace gantry::shim

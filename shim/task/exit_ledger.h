// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <map>
#include <utility>

#include "shim/process/children.h"

namespace gantry::shim {

// Whose exit it is. A process of a container becomes a child of the shim when the runtime command
// that made it ends, and its pid is known only when that command's pid file has been read; it may
// be dead before. The ledger keeps exits that nobody owns while such commands run.
//
// Threads: one.
class ExitLedger {
 public:
  using Owner = std::function<void(const Exit&)>;

  ExitLedger() = default;
  ExitLedger(const ExitLedger&) = delete;

  // A command that may make a process is under way as long as this lives. Begin it before the
  // command starts.
  class [[nodiscard]] Pending {
   public:
    explicit Pending(ExitLedger* ledger) : ledger_(ledger) { ++ledger_->pending_; }
    Pending(Pending&& other) noexcept : ledger_(std::exchange(other.ledger_, nullptr)) {}
    Pending& operator=(Pending&&) = delete;
    ~Pending() {
      if (ledger_ != nullptr) ledger_->End();
    }

   private:
    ExitLedger* ledger_;
  };
  Pending Begin() { return Pending(this); }

  // From now on the pid is `owner`'s, who is told of its exit once: before Own() returns, if the
  // process has ended already.
  void Own(pid_t pid, Owner owner);

  // A child that was no command has ended. Of an exit that nobody owns and nobody can come to own
  // nothing is kept: it was a descendant that lost its parent.
  void Ended(const Exit& exit);

  bool Owns(pid_t pid) const { return owners_.contains(pid); }
  // Commands under way that may make a process.
  size_t pending() const { return pending_; }
  size_t owned() const { return owners_.size(); }
  size_t orphans() const { return orphans_.size(); }

 private:
  void End() {
    if (--pending_ == 0) orphans_.clear();
  }

  std::map<pid_t, Owner> owners_;
  std::map<pid_t, Exit> orphans_;
  size_t pending_ = 0;
};

}  // namespace gantry::shim

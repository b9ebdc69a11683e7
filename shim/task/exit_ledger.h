// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/kernel/result.h"
#include "shim/process/children.h"

namespace gantry::shim {

// Whose exit it is. A process of a container becomes a child of the shim when the runtime command
// that made it ends, and its pid is known only when that command's pid file has been read; it may
// be dead before. So what ends while such commands run, and is young enough to be of one of them,
// is not reaped as long as nobody owns it: its pid can mean no other process.
//
// Threads: one.
class ExitLedger {
 public:
  using Owner = std::function<void(const Exit&)>;

  // What it needs to know of processes.
  struct Host {
    // Children::Take().
    std::function<kernel::Result<std::optional<Exit>>(pid_t)> take;
    // When a process began and what time it is now, on one clock; a process that is gone began
    // never.
    std::function<uint64_t(pid_t)> began;
    std::function<uint64_t()> now;
    // Has the children reaped soon.
    std::function<void()> reap_soon;
  };
  // The machine's.
  static Host HostOf(Loop& loop, Children& children);

  explicit ExitLedger(Host host) : host_(std::move(host)) {}
  ExitLedger(const ExitLedger&) = delete;

  // A command that may make a process is under way as long as this lives. Begin it before the
  // command starts.
  class [[nodiscard]] Pending {
   public:
    explicit Pending(ExitLedger* ledger)
        : ledger_(ledger), began_(ledger->pending_.insert(ledger->host_.now())) {}
    Pending(Pending&& other) noexcept
        : ledger_(std::exchange(other.ledger_, nullptr)), began_(other.began_) {}
    Pending& operator=(Pending&&) = delete;
    ~Pending() {
      if (ledger_ != nullptr) ledger_->End(began_);
    }

   private:
    ExitLedger* ledger_;
    std::multiset<uint64_t>::iterator began_;
  };
  Pending Begin() { return Pending(this); }

  // From now on the pid is `owner`'s, who is told of its exit once: before Own() returns, if the
  // process has ended already. Whoever owned it before is told nothing. False: it is no child, or
  // was reaped, and nobody will be told of its end.
  bool Own(pid_t pid, Owner owner);

  // For the children. What nobody owns and no command may have made is reaped, and forgotten: it
  // was a descendant that lost its parent.
  bool Keeps(pid_t pid) const;
  std::vector<pid_t> owned_pids() const;
  void Ended(const Exit& exit);

  bool Owns(pid_t pid) const { return owners_.contains(pid); }
  // Commands under way that may make a process.
  size_t pending() const { return pending_.size(); }
  size_t owned() const { return owners_.size(); }

 private:
  void End(std::multiset<uint64_t>::iterator began);

  const Host host_;
  std::map<pid_t, Owner> owners_;
  std::multiset<uint64_t> pending_;  // when each began
};

// The two know each other.
inline OtherChildren ChildrenOf(ExitLedger& ledger) {
  return {.ended = [&ledger](const Exit& exit) { ledger.Ended(exit); },
          .keep = [&ledger](pid_t pid) { return ledger.Keeps(pid); },
          .awaited = [&ledger] { return ledger.owned_pids(); }};
}

}  // namespace gantry::shim

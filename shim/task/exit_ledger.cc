// SPDX-License-Identifier: Apache-2.0
#include "shim/task/exit_ledger.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "core/kernel/file.h"

namespace gantry::shim {
namespace {

// proc(5): what stands behind the name of the program, which may hold anything, but no later
// parenthesis, is separated by blanks. The time is the 22nd of all, the 20th of these.
constexpr int kStartTimeBehindName = 20;
constexpr size_t kMaxStat = 4096;

uint64_t BeganTicks(pid_t pid) {
  const auto text = kernel::ReadFile("/proc/" + std::to_string(pid) + "/stat", kMaxStat);
  if (!text) return 0;
  std::string_view rest = *text;
  rest.remove_prefix(std::min(rest.rfind(')') + 1, rest.size()));
  for (int field = 0; field < kStartTimeBehindName; ++field) {
    rest.remove_prefix(std::min(rest.find(' ') + 1, rest.size()));
  }
  uint64_t ticks = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
  return ticks;
}

uint64_t NowTicks() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto per_second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return static_cast<uint64_t>(now.tv_sec) * per_second +
         static_cast<uint64_t>(now.tv_nsec) * per_second / 1'000'000'000;
}

}  // namespace

ExitLedger::Host ExitLedger::HostOf(Loop& loop, Children& children) {
  return {.take = Children::Take,
          .began = BeganTicks,
          .now = NowTicks,
          .reap_soon = [&loop, &children] { loop.Post([&children] { children.Reap(); }); }};
}

bool ExitLedger::Own(pid_t pid, Owner owner) {
  const auto taken = host_.take(pid);
  if (taken && !*taken) {
    owners_[pid] = std::move(owner);
    return true;
  }
  owners_.erase(pid);
  if (taken) owner(**taken);
  return taken.ok();
}

// A tick more or less: the two clocks may be rounded apart.
bool ExitLedger::Keeps(pid_t pid) const {
  return !pending_.empty() && !owners_.contains(pid) && host_.began(pid) + 1 >= *pending_.begin();
}

std::vector<pid_t> ExitLedger::owned_pids() const {
  std::vector<pid_t> pids;
  for (const auto& [pid, owner] : owners_) pids.push_back(pid);
  return pids;
}

void ExitLedger::Ended(const Exit& exit) {
  const auto found = owners_.find(exit.pid);
  if (found == owners_.end()) return;
  // The owner may own another process at once.
  const Owner owner = std::move(found->second);
  owners_.erase(found);
  owner(exit);
}

void ExitLedger::End(std::multiset<uint64_t>::iterator began) {
  const bool oldest = began == pending_.begin();
  pending_.erase(began);
  if (oldest) host_.reap_soon();
}

}  // namespace gantry::shim

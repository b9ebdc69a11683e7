// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/state_report.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "core/base/kernel_status.h"
#include "core/base/version.h"
#include "core/kernel/file.h"
#include "services/server/plugins.h"

namespace gantry {
namespace {

constexpr size_t kMaxStatusBytes = size_t{64} << 10;
constexpr mode_t kFileMode = 0600;

// The value of a line "Key:   123 kB" of /proc/self/status.
std::string StatusLine(std::string_view status, std::string_view key) {
  const size_t at = status.find(key);
  if (at == std::string_view::npos) return "unknown";
  const size_t begin = status.find_first_not_of(" \t", at + key.size());
  return std::string(status.substr(begin, status.find('\n', begin) - begin));
}

std::string ProcStatus() {
  const auto status = kernel::ReadFile("/proc/self/status", kMaxStatusBytes);
  return status.ok() ? *status : std::string();
}

}  // namespace

std::string StateReport::Vars() {
  const std::string status = ProcStatus();
  nlohmann::json vars = {{"version", kVersion},
                         {"api_version", kApiVersion},
                         {"pid", ::getpid()},
                         {"uptime_seconds", absl::ToDoubleSeconds(absl::Now() - start_)},
                         {"threads", StatusLine(status, "Threads:")},
                         {"memory",
                          {{"resident", StatusLine(status, "VmRSS:")},
                           {"anonymous", StatusLine(status, "RssAnon:")},
                           {"peak", StatusLine(status, "VmHWM:")}}}};
  for (const auto& entry : graph_.entries()) {
    vars["plugins"][entry->type + "." + entry->id] = entry->status.ok() ? "started"
                                                     : entry->skipped() ? "skipped"
                                                                        : "failed";
  }
  return vars.dump(2) + "\n";
}

std::string StateReport::State() {
  const absl::Time now = absl::Now();
  std::string text =
      fmt::format("gantryd {} pid {} at {}, running for {}\n\n", kVersion, ::getpid(),
                  absl::FormatTime(absl::RFC3339_full, now, absl::UTCTimeZone()),
                  absl::FormatDuration(now - start_));
  for (const auto& entry : graph_.entries()) {
    if (entry->status.ok()) continue;
    text += fmt::format("plugin {}.{} did not start: {}\n", entry->type, entry->id,
                        entry->status.ToString());
  }
  const absl::StatusOr<server::CallTable*> calls = graph_.Get(server::kCallTable);
  if (calls.ok()) {
    const auto open = (*calls)->Open();
    text += fmt::format("\n{} calls under way\n", open.size());
    for (const server::OpenCall& call : open) {
      text +=
          fmt::format("  {} for {}\n", call.method,
                      absl::FormatDuration(absl::Trunc(now - call.since, absl::Milliseconds(1))));
    }
  }
  return text + "\n";
}

std::string StateReport::Stacks() {
  base::MutexLock lock(capturing_);
  return debug::Render(capture_.Capture());
}

absl::StatusOr<std::filesystem::path> StateReport::WriteTo(const std::filesystem::path& folder) {
  std::filesystem::path file = folder / fmt::format("gantryd.{}.stacks.log", ::getpid());
  RETURN_IF_ERROR(ToStatus(
      kernel::WriteFileAtomic(file, State() + Stacks(), kFileMode, kernel::Durability::kNone)));
  return file;
}

}  // namespace gantry

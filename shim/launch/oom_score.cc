// SPDX-License-Identifier: Apache-2.0
#include "shim/launch/oom_score.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>

#include "core/kernel/file.h"

namespace gantry::shim {
namespace {

constexpr int kMaxScore = 1000;
constexpr size_t kMaxFileBytes = 256;

std::string ScoreFile(pid_t pid) { return "/proc/" + std::to_string(pid) + "/oom_score_adj"; }

// Root of the machine, not of a user namespace.
bool IsPrivileged() {
  constexpr std::string_view kWholeRange = "4294967295\n";
  const auto map = kernel::ReadFile("/proc/self/uid_map", kMaxFileBytes);
  return ::geteuid() == 0 && (!map || map->ends_with(kWholeRange));
}

}  // namespace

kernel::Result<void> SetOomScoreAbove(pid_t pid, pid_t other) {
  const auto text = kernel::ReadFile(ScoreFile(other), kMaxFileBytes);
  if (!text) {
    if (text.error().err == ENOENT || text.error().err == ESRCH) return {};
    return text.error();
  }
  int score = 0;
  if (std::from_chars(text->data(), text->data() + text->size(), score).ec != std::errc()) {
    return kernel::Error{EINVAL, "parse " + ScoreFile(other)};
  }
  auto written =
      kernel::WriteControlFile(ScoreFile(pid), std::to_string(std::min(score + 1, kMaxScore)));
  if (written) return written;
  const int err = written.error().err;
  if ((err == EPERM || err == EACCES) && !IsPrivileged()) return {};
  return written;
}

}  // namespace gantry::shim

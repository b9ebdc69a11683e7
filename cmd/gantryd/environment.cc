// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/environment.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "core/base/status.h"
#include "core/log/log.h"
#include "core/process/limits.h"
#include "core/process/opt.h"

namespace gantry {
namespace {

absl::Status EnsureFolder(const std::filesystem::path& folder, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FromErrno(error.value(), fmt::format("create {}", folder.string()));
  if (::chmod(folder.c_str(), mode) != 0) {
    return FromErrno(errno, fmt::format("chmod {}", folder.string()));
  }
  return absl::OkStatus();
}

absl::Status UseOpt(config::Config& config) {
  if (std::ranges::find(config.disabled_plugins, process::kOptUri) !=
      config.disabled_plugins.end()) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string path, process::DecodeOpt(config.Plugin(process::kOptUri)));
  if (!path.empty()) process::AddOptToEnvironment(path);
  return absl::OkStatus();
}

}  // namespace

absl::Status PrepareEnvironment(config::Config& config) {
  constexpr mode_t kRootMode = 0700;
  constexpr mode_t kStateMode = 0711;  // user namespaces of containers reach their files below it
  constexpr mode_t kTempMode = 0700;
  RETURN_IF_ERROR(EnsureFolder(config.root, kRootMode));
  RETURN_IF_ERROR(EnsureFolder(config.state, kStateMode));
  if (!config.temp.empty()) {
    RETURN_IF_ERROR(EnsureFolder(config.temp, kTempMode));
    ::setenv("TMPDIR", config.temp.c_str(), 1);
  }
  RETURN_IF_ERROR(UseOpt(config));
  if (config.oom_score != 0) {
    // A daemon that may be killed is better than none.
    if (const absl::Status status = process::SetOomScore(config.oom_score); !status.ok()) {
      log::Warn("cannot set the OOM score", {{"score", config.oom_score}, {"error", status}});
    }
  }
  if (!config.cgroup_path.empty()) RETURN_IF_ERROR(process::JoinCgroup(config.cgroup_path));
  return absl::OkStatus();
}

}  // namespace gantry

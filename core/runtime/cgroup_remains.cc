// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/cgroup_remains.h"

#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kPause = absl::Milliseconds(20);

absl::Status RemoveOne(const fs::path& cgroup, absl::Time end) {
  while (::rmdir(cgroup.c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    if (errno != EBUSY || absl::Now() >= end)
      return FromErrno(errno, fmt::format("remove {}", cgroup.string()));
    absl::SleepFor(kPause);
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<fs::path> CgroupsPathOf(std::string_view spec) {
  const auto json = nlohmann::json::parse(spec, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto linux_part = json.find("linux");
  if (linux_part == json.end() || !linux_part->is_object()) return std::nullopt;
  const auto text = linux_part->find("cgroupsPath");
  if (text == linux_part->end() || !text->is_string()) return std::nullopt;
  const fs::path path = fs::path(text->get<std::string>()).lexically_normal();
  if (!path.is_absolute() || !path.has_filename()) return std::nullopt;
  return path.relative_path();
}

absl::Status RemoveCgroups(const fs::path& path, absl::Duration patience, const std::string& root) {
  const absl::Time end = absl::Now() + patience;
  absl::Status first;
  for (const std::string& tree : kernel::CgroupTrees(root))
    first.Update(RemoveOne(tree / path, end));
  return first;
}

}  // namespace gantry::runtime

// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_binary.h"

#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <system_error>
#include <vector>

#include "core/log/log.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

bool IsProgram(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

constexpr std::string_view kOwnName = "containerd-shim-gantry-v2";

std::vector<fs::path> SearchedFolders(bool own_first) {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<fs::path> folders;
  if (own_first) folders.push_back(beside);
  folders.push_back(fs::current_path(error));
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    // An empty entry would mean the working directory, which came first.
    if (colon != 0) folders.emplace_back(rest.substr(0, colon));
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  folders.push_back(beside);
  return folders;
}

std::optional<fs::path> Search(const std::string& name) {
  for (const fs::path& folder : SearchedFolders(/*own_first=*/name == kOwnName)) {
    if (folder.empty() || !IsProgram(folder / name)) continue;
    std::error_code error;
    const fs::path absolute = fs::absolute(folder / name, error);
    if (!error) return absolute.lexically_normal();
  }
  return std::nullopt;
}

}  // namespace

std::string ShimBinaryName(std::string_view runtime) {
  const size_t last = runtime.rfind('.');
  if (last == std::string_view::npos || last == 0 || runtime.front() == '.') return {};
  const size_t before = runtime.rfind('.', last - 1);
  const size_t start = before == std::string_view::npos ? 0 : before + 1;
  return fmt::format("containerd-shim-{}-{}", runtime.substr(start, last - start),
                     runtime.substr(last + 1));
}

absl::StatusOr<fs::path> ShimBinaries::Resolve(std::string_view runtime) {
  if (const auto renamed = renames_.find(runtime); renamed != renames_.end()) {
    absl::StatusOr<fs::path> found = Find(renamed->second, runtime);
    if (!absl::IsNotFound(found.status())) return found;
  }
  return Find(runtime, runtime);
}

absl::StatusOr<fs::path> ShimBinaries::Find(std::string_view runtime, std::string_view asked) {
  if (runtime.empty()) return InvalidArgument("no runtime name");
  if (runtime.front() == '/') {
    std::error_code error;
    if (!fs::exists(runtime, error)) return NotFound("shim binary {} not installed", runtime);
    return fs::path(runtime);
  }
  const std::string name = ShimBinaryName(runtime);
  if (name.empty() || runtime.find('/') != std::string_view::npos) {
    return InvalidArgument(
        "invalid runtime name {:?}: neither of the form io.containerd.runc.v2 nor an absolute path",
        runtime);
  }
  {
    base::MutexLock lock(mutex_);
    if (const auto known = found_.find(name); known != found_.end()) return known->second;
  }
  const std::optional<fs::path> path = Search(name);
  if (!path) return NotFound("runtime {:?} binary not installed {:?}", runtime, name);
  log::Info("shim chosen", {{"runtime", asked}, {"program", path->string()}});
  base::MutexLock lock(mutex_);
  return found_.emplace(name, *path).first->second;
}

}  // namespace gantry::runtime

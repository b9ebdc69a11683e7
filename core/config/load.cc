// SPDX-License-Identifier: Apache-2.0
#include <glob.h>

#include <deque>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "core/base/status.h"
#include "core/config/config.h"
#include "core/config/defaults.h"
#include "core/config/merge.h"
#include "core/config/toml.h"

namespace gantry::config {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxFileBytes = uintmax_t{16} << 20;
constexpr size_t kMaxFiles = 1000;

absl::StatusOr<std::string> ReadFile(const fs::path& file) {
  std::error_code error;
  const uintmax_t bytes = fs::file_size(file, error);
  if (error) return FromErrno(error.value(), fmt::format("read {}", file.string()));
  if (bytes > kMaxFileBytes)
    return InvalidArgument("{} is too large: {} bytes", file.string(), bytes);
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream) return FromErrno(errno, fmt::format("read {}", file.string()));
  return text;
}

// Names that match, in byte order within each folder; none is fine.
std::vector<fs::path> Glob(const std::string& pattern) {
  glob_t found{};
  const absl::Cleanup release = [&] { ::globfree(&found); };
  std::vector<fs::path> paths;
  if (::glob(pattern.c_str(), GLOB_PERIOD, nullptr, &found) != 0) return paths;
  for (size_t i = 0; i < found.gl_pathc; ++i) {
    std::error_code ignored;
    if (!fs::is_directory(found.gl_pathv[i], ignored)) paths.emplace_back(found.gl_pathv[i]);
  }
  return paths;
}

class Loader {
 public:
  absl::StatusOr<Config> Run(const fs::path& main) {
    RETURN_IF_ERROR(LoadOne(main.lexically_normal()));
    while (!pending_.empty()) {
      const fs::path next = std::move(pending_.front());
      pending_.pop_front();
      // A missing import is an error of the main file, unlike a missing main file.
      if (absl::Status status = LoadOne(next); absl::IsNotFound(status)) {
        return FailedPrecondition("imports of {}: {}", main.string(), status.ToString());
      } else if (!status.ok()) {
        return status;
      }
    }
    return Config::FromTable(std::move(effective_), std::move(warnings_));
  }

 private:
  absl::Status LoadOne(const fs::path& file) {
    if (!loaded_.insert(file).second) return absl::OkStatus();
    if (loaded_.size() > kMaxFiles)
      return ResourceExhausted("more than {} files imported", kMaxFiles);
    ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
    ASSIGN_OR_RETURN(Table tree, ParseToml(text, file.string()));
    CheckVersion(tree);
    RETURN_IF_ERROR(ConvertToCurrent(tree, file.string(), warnings_));
    RETURN_IF_ERROR(QueueImports(file, tree));
    Merge(effective_, std::move(tree));
    return absl::OkStatus();
  }

  void CheckVersion(const Table& tree) {
    const auto found = tree.find("version");
    const auto* version = found == tree.end() ? nullptr : std::get_if<int64_t>(&found->second.data);
    if (version == nullptr) return;
    if (main_version_ == 0) main_version_ = *version;
    if (*version > main_version_) {
      warnings_.push_back(
          {fmt::format("an imported file of version {}, the main file has version {}", *version,
                       main_version_),
           "version", found->second.position});
    }
  }

  absl::Status QueueImports(const fs::path& file, const Table& tree) {
    Section top("", tree);
    ASSIGN_OR_RETURN(const auto imports, top.Get<std::vector<std::string>>("imports", {}));
    for (const std::string& name : imports) {
      // An absolute name replaces what it is appended to.
      const fs::path path = (file.parent_path() / name).lexically_normal();
      if (name.find('*') == std::string::npos) {
        pending_.push_back(path);
      } else {
        for (fs::path& match : Glob(path.string())) pending_.push_back(std::move(match));
      }
    }
    return absl::OkStatus();
  }

  Table effective_ = DefaultTable();
  std::vector<Warning> warnings_;
  std::set<fs::path> loaded_;
  std::deque<fs::path> pending_;
  int64_t main_version_ = 0;
};

}  // namespace

absl::StatusOr<Config> Config::Load(const fs::path& file) { return Loader().Run(file); }

}  // namespace gantry::config

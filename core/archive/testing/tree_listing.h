// SPDX-License-Identifier: Apache-2.0
// A directory tree as text, for comparing trees entry by entry, and files made in one line.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace gantry::archive {

using Path = std::filesystem::path;
using TreeListing = std::map<std::string, std::string>;

inline std::string ReadText(const Path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void WriteText(const Path& path, std::string_view text, mode_t mode = 0644) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  EXPECT_EQ(::chmod(path.c_str(), mode), 0) << path;
}

inline struct stat StatOf(const Path& path) {
  struct stat info = {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

inline bool Exists(const Path& path) {
  struct stat info = {};
  return ::lstat(path.c_str(), &info) == 0;
}

inline void SetMtime(const Path& path, int64_t seconds, int64_t nanos = 0) {
  const std::array<timespec, 2> times = {timespec{seconds, nanos}, timespec{seconds, nanos}};
  EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW), 0) << path;
}

inline std::string XattrOf(const Path& path, const std::string& name) {
  std::string value(size_t{1} << 16, '\0');
  const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  return size < 0 ? "<none>" : value.substr(0, static_cast<size_t>(size));
}

inline std::string XattrsText(const Path& path) {
  std::string names(size_t{1} << 16, '\0');
  const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
  std::vector<std::string> sorted;
  for (std::string_view rest(names.data(), size < 0 ? 0 : static_cast<size_t>(size));
       !rest.empty();) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(name.size() + 1);
    // The kernel's notes in an upper directory, which are no part of a layer.
    if (name.ends_with("overlay.origin") || name.ends_with("overlay.impure") ||
        name.ends_with("overlay.uuid")) {
      continue;
    }
    sorted.push_back(fmt::format("{}={:?}", name, XattrOf(path, name)));
  }
  std::sort(sorted.begin(), sorted.end());
  return fmt::format("{}", fmt::join(sorted, ","));
}

struct ListingOptions {
  bool mtime = true;
  bool content = true;
};

inline std::string Describe(const Path& path, const ListingOptions& options) {
  const struct stat info = StatOf(path);
  std::string text = fmt::format("{:o} {}:{}", info.st_mode, info.st_uid, info.st_gid);
  if (options.mtime) {
    text += fmt::format(" @{}.{:09}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  if (S_ISREG(info.st_mode)) {
    text += fmt::format(" size={} nlink={}", info.st_size, info.st_nlink);
    if (options.content) {
      text += fmt::format(" #{:x}", std::hash<std::string>()(ReadText(path)));
    }
  }
  if (S_ISLNK(info.st_mode)) text += " -> " + std::filesystem::read_symlink(path).string();
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
    text += fmt::format(" {}:{}", major(info.st_rdev), minor(info.st_rdev));
  }
  const std::string xattrs = XattrsText(path);
  if (!xattrs.empty()) text += " " + xattrs;
  return text;
}

// Everything below `root`, by path.
inline TreeListing ListTree(const Path& root, const ListingOptions& options = {}) {
  TreeListing listing;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    listing[entry.path().lexically_relative(root).string()] = Describe(entry.path(), options);
  }
  return listing;
}

// The paths alone.
inline std::vector<std::string> PathsIn(const Path& root) {
  std::vector<std::string> paths;
  for (const auto& [path, text] : ListTree(root, {.mtime = false, .content = false})) {
    paths.push_back(path);
  }
  return paths;
}

}  // namespace gantry::archive

// SPDX-License-Identifier: Apache-2.0
// Building file trees and telling them apart, for tests of what keeps trees.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gantry::testing {

// Changes below a directory; each failure fails the test.
class Tree {
 public:
  explicit Tree(std::filesystem::path root) : root_(std::move(root)) {}

  // Replaces the content of a file that is there.
  void File(const std::string& path, const std::string& content, mode_t mode = 0644) const {
    std::ofstream(At(path), std::ios::trunc) << content;
    Check(::chmod(At(path).c_str(), mode), path);
  }
  void Dir(const std::string& path, mode_t mode = 0755) const {
    if (::mkdir(At(path).c_str(), mode) != 0 && errno != EEXIST) Check(-1, path);
    Check(::chmod(At(path).c_str(), mode), path);
  }
  void Remove(const std::string& path) const {
    EXPECT_GT(std::filesystem::remove_all(At(path)), 0U) << path;
  }
  void Rename(const std::string& from, const std::string& to) const {
    Check(::rename(At(from).c_str(), At(to).c_str()), from);
  }
  void Link(const std::string& from, const std::string& to) const {
    Check(::link(At(from).c_str(), At(to).c_str()), to);
  }
  void Symlink(const std::string& target, const std::string& path) const {
    Check(::symlink(target.c_str(), At(path).c_str()), path);
  }
  void Device(const std::string& path, mode_t type, dev_t number) const {
    Check(::mknod(At(path).c_str(), type | 0600, number), path);
  }
  void Chown(const std::string& path, uid_t uid, gid_t gid) const {
    Check(::lchown(At(path).c_str(), uid, gid), path);
  }
  void Chmod(const std::string& path, mode_t mode) const {
    Check(::chmod(At(path).c_str(), mode), path);
  }
  void Touch(const std::string& path, time_t seconds) const {
    const std::array<timespec, 2> times = {timespec{seconds, 123}, timespec{seconds, 456}};
    Check(::utimensat(AT_FDCWD, At(path).c_str(), times.data(), AT_SYMLINK_NOFOLLOW), path);
  }
  void Xattr(const std::string& path, const std::string& name, const std::string& value) const {
    Check(::lsetxattr(At(path).c_str(), name.c_str(), value.data(), value.size(), 0), path);
  }

 private:
  std::filesystem::path At(const std::string& path) const { return root_ / path; }
  static void Check(int result, const std::string& path) {
    EXPECT_EQ(result, 0) << path << ": " << std::strerror(errno);
  }

  std::filesystem::path root_;
};

inline std::string ReadXattrs(const std::filesystem::path& path) {
  std::array<char, 4096> names{};
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  std::map<std::string, std::string> xattrs;
  for (ssize_t at = 0; at < length;) {
    const std::string name = names.data() + at;
    at += static_cast<ssize_t>(name.size()) + 1;
    if (name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")) continue;
    std::array<char, 4096> value{};
    const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    xattrs[name] = std::string(value.data(), size > 0 ? static_cast<size_t>(size) : 0);
  }
  std::string text;
  for (const auto& [name, value] : xattrs) text += fmt::format(" {}={:?}", name, value);
  return text;
}

inline std::string DescribeEntry(const std::filesystem::path& path, bool with_times) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return "absent";
  std::string text = fmt::format("{:o} {}:{}", info.st_mode, info.st_uid, info.st_gid);
  if (with_times) text += fmt::format(" {}.{:09}", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  if (S_ISREG(info.st_mode)) {
    std::ifstream file(path);
    text += fmt::format(" {:?}", std::string(std::istreambuf_iterator<char>(file), {}));
  } else if (S_ISLNK(info.st_mode)) {
    text += " -> " + std::filesystem::read_symlink(path).string();
  } else if (!S_ISDIR(info.st_mode)) {
    text += fmt::format(" {:x}", info.st_rdev);
  }
  return text + ReadXattrs(path);
}

// One line an entry, the root included, in order of paths: what it is, and which earlier path it is
// a hard link of.
inline std::vector<std::string> ReadTree(const std::filesystem::path& root,
                                         bool with_times = false) {
  std::vector<std::string> paths = {""};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
    paths.push_back(entry.path().lexically_relative(root));
  std::ranges::sort(paths);
  std::map<ino_t, std::string> first;
  std::vector<std::string> lines;
  for (const std::string& path : paths) {
    std::string line = "/" + path + " " + DescribeEntry(root / path, with_times);
    struct stat info {};
    if (::lstat((root / path).c_str(), &info) == 0 && !S_ISDIR(info.st_mode) && info.st_nlink > 1) {
      const auto [original, added] = first.try_emplace(info.st_ino, path);
      if (!added) line += " = " + original->second;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace gantry::testing

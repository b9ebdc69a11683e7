// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/archive/apply.h"
#include "core/archive/compare.h"
#include "core/archive/testing/overlay_mount.h"
#include "core/archive/testing/tar_builder.h"
#include "core/archive/testing/tree_listing.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/testing/require.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {

inline kernel::UniqueFd OpenRoot(const Path& path) {
  kernel::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(fd) << path;
  return fd;
}

inline absl::StatusOr<std::string> DiffOf(const Path& left, const Path& right,
                                          const CompareOptions& options = {}) {
  StringWriter sink;
  RETURN_IF_ERROR(WriteDiff(Context{}, OpenRoot(left).get(), OpenRoot(right).get(), sink, options));
  return sink.text();
}

inline absl::StatusOr<std::string> UpperDiffOf(const Path& left, const Path& upper,
                                               const CompareOptions& options = {}) {
  StringWriter sink;
  RETURN_IF_ERROR(WriteUpperDiff(Context{}, OpenRoot(left).get(), OpenRoot(upper).get(),
                                 "trusted.overlay.", sink, options));
  return sink.text();
}

// One line per entry: name, mode, link and content.
inline std::vector<std::string> EntriesOf(const absl::StatusOr<std::string>& tar) {
  EXPECT_THAT(tar, gantry::testing::IsOk());
  if (!tar.ok()) return {};
  const auto entries = ReadArchive(*tar);
  EXPECT_THAT(entries, gantry::testing::IsOk());
  std::vector<std::string> lines;
  if (!entries.ok()) return lines;
  for (const ReadEntry& each : *entries) {
    std::string line = fmt::format("{} {:o}", each.entry.name, each.entry.mode);
    if (each.entry.type == EntryType::kHardLink) line += " = " + each.entry.link;
    if (each.entry.type == EntryType::kSymlink) line += " -> " + each.entry.link;
    if (!each.content.empty()) line += " : " + each.content;
    lines.push_back(line);
  }
  return lines;
}

// A tree copied entry by entry, with hard links, times and attributes.
inline void CopyTree(const Path& from, const Path& to) {
  const auto tar = [&] {
    StringWriter sink;
    EXPECT_THAT(WriteDiff(Context{}, -1, OpenRoot(from).get(), sink), gantry::testing::IsOk());
    return sink.text();
  }();
  std::filesystem::create_directories(to);
  const kernel::UniqueFd fd = OpenRoot(to);
  CutBlockReader blocks(tar, 1 << 16);
  EXPECT_THAT(Apply(Context{}, blocks, fd.get(), {}), gantry::testing::IsOk());
}

}  // namespace gantry::archive

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "core/archive/apply.h"
#include "core/archive/testing/tar_builder.h"
#include "core/archive/testing/tree_listing.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/testing/require.h"
#include "core/kernel/unique_fd.h"

namespace gantry::archive {

inline absl::StatusOr<ApplyResult> ApplyTo(const Path& root, std::string_view tar,
                                           const ApplyOptions& options = {}) {
  const kernel::UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(fd) << root;
  CutBlockReader blocks(std::string(tar), 1 << 16);
  return Apply(Context{}, blocks, fd.get(), options);
}

inline ApplyOptions OverlayOptions(std::vector<std::string> lower = {}) {
  return {.whiteouts = WhiteoutMode::kOverlay, .lower_dirs = std::move(lower)};
}

// A root to unpack into, with a world around it that must not change.
class ApplyFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequireRoot();
    root_ = temp_.path() / "root";
    outside_ = temp_.path() / "outside";
    std::filesystem::create_directory(root_);
    std::filesystem::create_directory(outside_);
    WriteText(outside_ / "file", "untouched");
    std::filesystem::create_directory(outside_ / "dir");
    WriteText(outside_ / "dir/inner", "untouched");
    outside_before_ = ListTree(outside_);
    around_before_ = PathsIn(temp_.path()).size() - PathsIn(root_).size();
  }

  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(ListTree(outside_), outside_before_);
    EXPECT_EQ(PathsIn(temp_.path()).size() - PathsIn(root_).size(), around_before_);
  }

  absl::StatusOr<ApplyResult> Unpack(const TarBuilder& tar, const ApplyOptions& options = {}) {
    return ApplyTo(root_, tar.Done(), options);
  }

  gantry::testing::TempDir temp_;
  Path root_;
  Path outside_;
  TreeListing outside_before_;
  size_t around_before_ = 0;
};

}  // namespace gantry::archive

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/archive/testing/tree_listing.h"
#include "core/kernel/mount.h"
#include "core/kernel/testing/require.h"

namespace gantry::archive {

// An overlay over directories of a test's own folder. Needs RequirePrivateMounts().
class OverlayDirs {
 public:
  // `lower` nearest first.
  OverlayDirs(const Path& base, std::vector<Path> lower) : lower_(std::move(lower)) {
    upper = base / "upper";
    merged = base / "merged";
    work_ = base / "work";
    for (const Path& path : {upper, merged, work_}) std::filesystem::create_directories(path);
  }
  ~OverlayDirs() {
    if (!mounted_) return;
    EXPECT_EQ(::umount2(merged.c_str(), MNT_DETACH), 0);
  }
  OverlayDirs(const OverlayDirs&) = delete;
  OverlayDirs& operator=(const OverlayDirs&) = delete;

  void Mount(const std::string& more = "redirect_dir=off,metacopy=off") {
    std::string options = "index=off," + more + ",upperdir=" + upper.string() +
                          ",workdir=" + work_.string() + ",lowerdir=";
    for (size_t i = 0; i < lower_.size(); ++i) options += (i > 0 ? ":" : "") + lower_[i].string();
    mounted_ = ::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) == 0;
    ASSERT_TRUE(mounted_) << "mount overlay: " << errno;
  }

  std::vector<std::string> LowerNames() const {
    std::vector<std::string> names;
    for (const Path& path : lower_) names.push_back(path);
    return names;
  }

  Path upper;
  Path merged;

 private:
  std::vector<Path> lower_;
  Path work_;
  bool mounted_ = false;
};

}  // namespace gantry::archive

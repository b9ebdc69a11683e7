// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace gantry::testing {

// A folder of a test's own, removed with its content at the end. GANTRY_TEST_DIR names a parent on
// a fast file system; otherwise GoogleTest's temp folder serves.
class TempDir {
 public:
  TempDir() {
    const char* parent = std::getenv("GANTRY_TEST_DIR");
    std::string pattern =
        (parent != nullptr ? std::string(parent) + "/" : ::testing::TempDir()) + "gantry-XXXXXX";
    path_ = ::mkdtemp(pattern.data()) != nullptr ? pattern : "";
    if (path_.empty()) ADD_FAILURE() << "mkdtemp " << pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace gantry::testing

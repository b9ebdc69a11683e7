// SPDX-License-Identifier: Apache-2.0
#include "shim/runtime/runtime_image.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/testing/matchers.h"

namespace gantry::shim {
namespace {

using gantry::testing::Succeeds;
using ::testing::StartsWith;

constexpr char kMarker[] = "_LIBCONTAINER_CLONED_BINARY";

class RuntimeImageTest : public ::testing::Test {
 protected:
  // /bin/true, or the text alone, with the marker behind it.
  std::string Write(const std::string& name, bool program, const std::string& rest = kMarker) {
    const std::string path = dir_.path() / name;
    const std::string content = program ? Content("/bin/true") : "text";
    EXPECT_THAT(kernel::WriteFileAtomic(path, content + rest, 0755, kernel::Durability::kNone),
                Succeeds());
    return path;
  }
  static std::string Content(const std::string& path) {
    const auto content = kernel::ReadFile(path, 10UL << 20);
    EXPECT_THAT(content, Succeeds());
    return content ? *content : "";
  }
  static int Seals(const std::string& path) {
    const kernel::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return ::fcntl(fd.get(), F_GET_SEALS);
  }
  static int Execute(const std::string& path) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::execl(path.c_str(), "program", nullptr);
      ::_exit(99);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  gantry::testing::TempDir dir_;
  RuntimeImage image_;
};

TEST_F(RuntimeImageTest, ACopyRunsAndNobodyCanWriteIt) {
  const std::string binary = Write("crun", true);
  const std::string path = image_.PathOf(binary);
  ASSERT_THAT(path, StartsWith("/proc/"));
  EXPECT_EQ(Execute(path), 0);
  EXPECT_EQ(Seals(path), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  EXPECT_EQ(Content(path), Content(binary));
  const kernel::UniqueFd writer(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_LT(::write(writer.get(), "x", 1), 0);
  EXPECT_EQ(image_.PathOf(binary), path);
}

TEST_F(RuntimeImageTest, AProgramThatWasReplacedIsCopiedAnew) {
  const std::string binary = Write("crun", true);
  const std::string first = image_.PathOf(binary);
  Write("crun", true, std::string("other ") + kMarker);
  const std::string second = image_.PathOf(binary);
  ASSERT_THAT(second, StartsWith("/proc/"));
  EXPECT_EQ(Content(second), Content(binary));
  Write("crun", true, "no marker");
  EXPECT_EQ(image_.PathOf(binary), binary);
}

TEST_F(RuntimeImageTest, WhatHasNoUseForACopyRunsAsItIs) {
  for (const std::string& binary :
       {Write("unprotected", true, ""), Write("script", false),
        Write("large", true, kMarker + std::string(RuntimeImage::kMaxBytes, ' ')),
        std::string(dir_.path() / "absent"), dir_.path().string()}) {
    EXPECT_EQ(image_.PathOf(binary), binary);
  }
}

TEST_F(RuntimeImageTest, WhatCannotBeExecutedIsNotTriedAgain) {
  const std::string binary = Write("crun", true);
  EXPECT_NE(image_.PathOf(binary), binary);
  image_.Refuse();
  EXPECT_EQ(image_.PathOf(binary), binary);
  image_.Drop();
  EXPECT_EQ(image_.PathOf(binary), binary);
}

TEST_F(RuntimeImageTest, WhatIsDroppedIsMadeAgain) {
  const std::string binary = Write("crun", true);
  const std::string path = image_.PathOf(binary);
  image_.Drop();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(Execute(image_.PathOf(binary)), 0);
}

}  // namespace
}  // namespace gantry::shim

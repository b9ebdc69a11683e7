// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/own_shims.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "core/base/testing/temp_dir.h"
#include "gtest/gtest.h"

namespace gantry::runtime {
namespace {

namespace fs = std::filesystem;

constexpr char kOurs[] = "printf '%s\\n' 'containerd-shim-gantry-v2:' '  Start:    connected'";

class OwnShimsTest : public ::testing::Test {
 protected:
  fs::path Install(const std::string& name, const std::string& script) {
    const fs::path program = dir_.path() / name;
    fs::remove(program);
    std::ofstream(program) << "#!/bin/sh\necho run >> " << (dir_.path() / "runs").string() << "\n"
                           << script << "\n";
    fs::permissions(program, fs::perms::owner_all);
    return program;
  }

  int Runs() const {
    std::ifstream log(dir_.path() / "runs");
    int runs = 0;
    for (std::string line; std::getline(log, line);) ++runs;
    return runs;
  }

  bool Ask(const fs::path& program) {
    std::promise<bool> answer;
    shims_.Ask(program, [&](bool connectable) { answer.set_value(connectable); });
    return answer.get_future().get();
  }

  gantry::testing::TempDir dir_;
  std::unique_ptr<Loop> loop_ = *Loop::Start("test");
  OwnShims shims_{*loop_};
};

TEST_F(OwnShimsTest, ForeignProgramsAreKnownWithoutBeingRun) {
  EXPECT_EQ(shims_.Known(Install("containerd-shim-runc-v2", kOurs)), false);
  EXPECT_EQ(shims_.Known("/nonexistent/shim"), false);
  EXPECT_EQ(Runs(), 0);
}

TEST_F(OwnShimsTest, OursIsAskedOnceForAsLongAsItIsTheSameFile) {
  const fs::path program = Install("containerd-shim-gantry-v2", kOurs);
  EXPECT_EQ(shims_.Known(program), std::nullopt);
  EXPECT_TRUE(Ask(program));
  EXPECT_EQ(shims_.Known(program), true);
  // By whatever name it is called.
  fs::create_symlink(program, dir_.path() / "containerd-shim-runc-v2");
  EXPECT_EQ(shims_.Known(dir_.path() / "containerd-shim-runc-v2"), true);
  EXPECT_EQ(Runs(), 1);

  Install("containerd-shim-gantry-v2", "echo '  Version:  0.0.9'");
  EXPECT_EQ(shims_.Known(program), std::nullopt);
  EXPECT_FALSE(Ask(program));
  EXPECT_EQ(shims_.Known(program), false);
}

TEST_F(OwnShimsTest, WhereNoAnswerComesNothingIsRemembered) {
  const fs::path program = Install("containerd-shim-gantry-v2", "echo later >&2; exit 1");
  EXPECT_FALSE(Ask(program));
  EXPECT_EQ(shims_.Known(program), std::nullopt);
  EXPECT_FALSE(Ask(dir_.path() / "absent" / "containerd-shim-gantry-v2"));
}

}  // namespace
}  // namespace gantry::runtime

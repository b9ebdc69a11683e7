// SPDX-License-Identifier: Apache-2.0
#include "core/base/kernel_status.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <sys/stat.h>

#include <memory>

#include "core/base/netns.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/netns.h"
#include "core/kernel/testing/matchers.h"
#include "core/kernel/testing/require.h"

namespace gantry {
namespace {

using gantry::testing::IsOk;
using gantry::testing::StatusIs;

TEST(KernelStatusTest, ErrorsKeepTextAndMapCodes) {
  const absl::Status status = ToStatus(kernel::Error{ENOENT, "open /x"});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound, "open /x: No such file or directory"));
  EXPECT_THAT(ToStatus(kernel::Result<void>()), IsOk());
  EXPECT_THAT(ToStatus(kernel::Result<void>(kernel::Error{EEXIST, "mkdir"})),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST(KernelStatusTest, ValuesAreMovedAlong) {
  auto held = ToStatusOr(kernel::Result<std::unique_ptr<int>>(std::make_unique<int>(7)));
  ASSERT_THAT(held, IsOk());
  EXPECT_EQ(**held, 7);
  EXPECT_THAT(ToStatusOr(kernel::Result<int>(kernel::Error{EPERM, "x"})),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

class RunInNetnsTest : public ::testing::Test {
 protected:
  void SetUp() override { gantry::testing::RequirePrivateMounts(); }
  static ino_t Here() {
    struct stat info {};
    EXPECT_EQ(::stat("/proc/thread-self/ns/net", &info), 0);
    return info.st_ino;
  }
};

TEST_F(RunInNetnsTest, TheBodyRunsThereAndThisThreadStays) {
  const gantry::testing::TempDir dir;
  auto netns = kernel::ScopedNetns::Create((dir.path() / "ns").string());
  ASSERT_THAT(netns, gantry::testing::Succeeds());
  auto fd = netns->Open();
  ASSERT_THAT(fd, gantry::testing::Succeeds());
  struct stat expected {};
  ASSERT_EQ(::fstat(fd->get(), &expected), 0);
  const ino_t before = Here();
  ino_t inside = 0;
  EXPECT_THAT(base::RunInNetns(fd->get(),
                               [&] {
                                 inside = Here();
                                 return absl::OkStatus();
                               }),
              IsOk());
  EXPECT_EQ(inside, expected.st_ino);
  EXPECT_EQ(Here(), before);
  EXPECT_THAT(base::RunInNetns(fd->get(), [] { return absl::AbortedError("no"); }),
              StatusIs(absl::StatusCode::kAborted));
}

TEST_F(RunInNetnsTest, WhatIsNoNamespaceIsRefused) {
  auto null = kernel::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_THAT(base::RunInNetns(null.get(), [] { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry

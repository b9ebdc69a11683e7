// SPDX-License-Identifier: Apache-2.0
#include "shim/options/bundle_options.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/testing/matchers.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::HasSubstr;

class BundleOptionsTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return bundle_ + "/" + name; }
  std::string Content(const std::string& name) const {
    auto text = kernel::ReadFile(Path(name), 1 << 20);
    EXPECT_THAT(text, Succeeds());
    return text ? *text : "";
  }
  mode_t Mode(const std::string& name) const {
    struct stat status {};
    EXPECT_EQ(::stat(Path(name).c_str(), &status), 0);
    return status.st_mode & 07777;
  }

  gantry::testing::TempDir dir_;
  std::string bundle_ = dir_.path();
};

TEST_F(BundleOptionsTest, OptionsComeBack) {
  ASSERT_THAT(WriteBundleOptions(bundle_, {.root = "/run/x", .systemd_cgroup = true}), Succeeds());
  EXPECT_EQ(Content("options.json"), R"({"root":"/run/x","systemd_cgroup":true})");
  EXPECT_EQ(Mode("options.json"), 0600U);
  const auto options = ReadBundleOptions(bundle_);
  ASSERT_THAT(options, Succeeds());
  EXPECT_EQ(options->root, "/run/x");
  EXPECT_TRUE(options->systemd_cgroup);
}

TEST_F(BundleOptionsTest, TheRuntimeComesBackAsConfigured) {
  for (const char* binary : {"crun", "/opt/my runc", ""}) {
    ASSERT_THAT(WriteBundleRuntime(bundle_, binary), Succeeds());
    EXPECT_EQ(Content("runtime"), binary);
    EXPECT_EQ(Mode("runtime"), 0600U);
    const auto read = ReadBundleRuntime(bundle_);
    ASSERT_THAT(read, Succeeds());
    EXPECT_EQ(*read, binary);
  }
}

TEST_F(BundleOptionsTest, MissingFilesAreTheDefaults) {
  const auto options = ReadBundleOptions(bundle_);
  ASSERT_THAT(options, Succeeds());
  EXPECT_EQ(options->binary_name, "");
  const auto binary = ReadBundleRuntime(bundle_);
  ASSERT_THAT(binary, Succeeds());
  EXPECT_EQ(*binary, "");
}

TEST_F(BundleOptionsTest, AnotherShimsFilesAreUnderstood) {
  const std::string text =
      R"({"binary_name":"runc","systemd_cgroup":true,"task_api_address":"a","task_api_version":2})";
  ASSERT_THAT(kernel::WriteFileAtomic(Path("options.json"), text, 0600, kernel::Durability::kNone),
              Succeeds());
  const auto options = ReadBundleOptions(bundle_);
  ASSERT_THAT(options, Succeeds());
  EXPECT_EQ(options->binary_name, "runc");
}

TEST_F(BundleOptionsTest, ADamagedFileIsNamed) {
  ASSERT_THAT(
      kernel::WriteFileAtomic(Path("options.json"), "{\"root\":", 0600, kernel::Durability::kNone),
      Succeeds());
  const auto options = ReadBundleOptions(bundle_);
  ASSERT_THAT(options, FailsWith(EINVAL));
  EXPECT_THAT(options.error().Text(), HasSubstr(Path("options.json")));
}

TEST_F(BundleOptionsTest, ABundleThatIsGoneIsAnErrorForWritersAlone) {
  EXPECT_THAT(WriteBundleOptions(Path("gone"), {}), FailsWith(ENOENT));
  EXPECT_THAT(WriteBundleRuntime(Path("gone"), "runc"), FailsWith(ENOENT));
  EXPECT_THAT(ReadBundleOptions(Path("gone")), Succeeds());
}

}  // namespace
}  // namespace gantry::shim

// SPDX-License-Identifier: Apache-2.0
#include "core/oci/user.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/unique_fd.h"

namespace gantry::oci {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class UserTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(etc());
    Write("passwd",
          "root:x:0:0:root:/root:/bin/sh\n"
          "# a comment\n"
          "user:x:1000:1000::/home:/bin/sh\n"
          "bad:x:4294967296:0::/:\n"
          "worse:x:zero:0::/:\n"
          "2147483648:x:0:0::/:\n"
          "+x:x:0:0::/:");
    Write("group", "root:x:0:\nextra:x:2000:user,other\nuser:x:1000:user\nmore:x:3000:user\n");
    root_.Reset(::open(dir_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    database_.emplace(root_.get());
  }

  fs::path etc() const { return dir_.path() / "etc"; }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(etc() / name) << text;
  }
  std::string Resolve(std::string_view user) {
    const absl::StatusOr<UserIds> ids = ResolveUser(user, *database_);
    if (!ids.ok()) return absl::StatusCodeToString(ids.status().code());
    return std::to_string(ids->uid) + ":" + std::to_string(ids->gid);
  }

  testing::TempDir dir_;
  kernel::UniqueFd root_;
  std::optional<UserDatabase> database_;
};

TEST_F(UserTest, NamesAndNumbersResolve) {
  EXPECT_EQ(Resolve("root"), "0:0");
  EXPECT_EQ(Resolve("user"), "1000:1000");
  EXPECT_EQ(Resolve("1000"), "1000:1000");
  EXPECT_EQ(Resolve("4242"), "4242:0");
  EXPECT_EQ(Resolve("user:extra"), "1000:2000");
  EXPECT_EQ(Resolve("7:extra"), "7:2000");
  EXPECT_EQ(Resolve("user:9"), "1000:9");
  EXPECT_EQ(Resolve("7:9"), "7:9");
  EXPECT_EQ(Resolve("absent"), "NOT_FOUND");
  EXPECT_EQ(Resolve("user:absent"), "NOT_FOUND");
  EXPECT_EQ(Resolve("a:b:c"), "INVALID_ARGUMENT");
}

// CVE-2024-40635: ids that a runtime would wrap.
TEST_F(UserTest, Cve202440635IdsAbove31BitsAreRefused) {
  EXPECT_EQ(Resolve("2147483647"), "2147483647:0");
  EXPECT_EQ(Resolve("2147483648"), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve("4294967296"), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve("0:2147483648"), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve("-1"), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve("7:-1"), "INVALID_ARGUMENT");
}

// CVE-2026-46680: a number too long to parse is no name, whatever passwd says.
TEST_F(UserTest, Cve202646680NumbersAreNeverNames) {
  const std::string huge(40, '9');
  Write("passwd", huge + ":x:0:0::/:\n-" + huge + ":x:0:0::/:\n+" + huge + ":x:0:0::/:\n");
  Write("group", huge + ":x:0:\n");
  EXPECT_EQ(Resolve(huge), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve("-" + huge), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve("+" + huge), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve(huge + ":0"), "INVALID_ARGUMENT");
  EXPECT_EQ(Resolve("5:" + huge), "INVALID_ARGUMENT");
}

// CVE-2026-47262: files without end, and what is no file.
TEST_F(UserTest, Cve202647262UserFilesAreBoundedAndRegular) {
  fs::resize_file(etc() / "passwd", kMaxUserFileBytes + 1);
  EXPECT_THAT(ResolveUser("user", *database_), StatusIs(absl::StatusCode::kResourceExhausted));

  fs::remove(etc() / "passwd");
  ASSERT_EQ(::mkfifo((etc() / "passwd").c_str(), 0600), 0);
  EXPECT_THAT(ResolveUser("user", *database_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("regular")));

  fs::remove(etc() / "passwd");
  fs::create_symlink("/dev/zero", etc() / "passwd");  // the root has no such device
  EXPECT_EQ(Resolve("user"), "NOT_FOUND");

  fs::resize_file(etc() / "group", kMaxUserFileBytes + 1);
  EXPECT_THAT(ResolveUser("5:extra", *database_), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(UserTest, SymlinksStayInsideTheRoot) {
  testing::TempDir outside;
  std::ofstream(outside.path() / "passwd") << "user:x:0:0::/:\n";
  fs::remove(etc() / "passwd");
  fs::create_symlink(outside.path() / "passwd", etc() / "passwd");
  EXPECT_EQ(Resolve("user"), "NOT_FOUND");
  fs::create_directory(dir_.path() / "store");
  std::ofstream(dir_.path() / "store" / "passwd") << "user:x:5:6::/:\n";
  fs::remove(etc() / "passwd");
  fs::create_symlink("/../../store/passwd", etc() / "passwd");
  EXPECT_EQ(Resolve("user"), "5:6");
}

TEST_F(UserTest, LinesWithoutUsableIdsNameNobody) {
  EXPECT_EQ(Resolve("bad"), "NOT_FOUND");
  EXPECT_EQ(Resolve("worse"), "NOT_FOUND");
  EXPECT_EQ(Resolve("0"), "0:0");
}

TEST_F(UserTest, WithoutFilesNumbersStillWork) {
  fs::remove_all(etc());
  EXPECT_EQ(Resolve("12"), "12:0");
  EXPECT_EQ(Resolve("12:13"), "12:13");
  EXPECT_EQ(Resolve("user"), "NOT_FOUND");
  Json spec;
  EXPECT_THAT(SetImageUser(spec, "", *database_), IsOk());
  EXPECT_EQ(spec["process"]["user"]["additionalGids"], Json::array({0}));
}

TEST_F(UserTest, GroupsOfTheNameComeAlongUnlessAGroupIsGiven) {
  Json spec;
  ASSERT_THAT(SetUser(spec, "user", *database_), IsOk());
  EXPECT_EQ(spec["process"]["user"]["additionalGids"], Json::array({1000, 2000, 3000}));
  ASSERT_THAT(SetUser(spec, "1000", *database_), IsOk());
  EXPECT_EQ(spec["process"]["user"]["additionalGids"], Json::array({1000, 2000, 3000}));
  ASSERT_THAT(SetUser(spec, "1000:0", *database_), IsOk());
  EXPECT_EQ(spec["process"]["user"]["additionalGids"], Json::array({0}));
  ASSERT_THAT(SetUserOnly(spec, "user", *database_), IsOk());
  EXPECT_EQ(spec["process"]["user"]["additionalGids"], Json::array({1000}));
}

// CVE-2023-25173: the image's user has groups, too.
TEST_F(UserTest, Cve202325173ImageUserHasItsGroups) {
  Json spec;
  ASSERT_THAT(SetImageUser(spec, "user:0", *database_), IsOk());
  EXPECT_EQ(spec["process"]["user"]["gid"], 0);
  EXPECT_EQ(spec["process"]["user"]["additionalGids"], Json::array({0, 2000, 3000}));
}

TEST_F(UserTest, FilesAreNeededForNamesAndBareNumbers) {
  EXPECT_TRUE(NeedsUserDatabase("user"));
  EXPECT_TRUE(NeedsUserDatabase("5"));
  EXPECT_TRUE(NeedsUserDatabase("5:extra"));
  EXPECT_TRUE(NeedsUserDatabase("user:5"));
  EXPECT_FALSE(NeedsUserDatabase("5:6"));
}

}  // namespace
}  // namespace gantry::oci

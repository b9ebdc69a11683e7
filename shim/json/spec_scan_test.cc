// SPDX-License-Identifier: Apache-2.0
#include "shim/json/spec_scan.h"

#include <gmock/gmock.h>

#include <array>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/testing/matchers.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr std::array<std::string_view, 2> kWanted = {"io.containerd.runc.v2.group",
                                                     "io.kubernetes.cri.sandbox-id"};

SpecSummary Scan(std::string_view text) {
  auto summary = ScanSpec(text, kWanted);
  EXPECT_THAT(summary, Succeeds());
  return summary ? *summary : SpecSummary();
}

TEST(SpecScanTest, WhatIsWantedIsFound) {
  const SpecSummary summary = Scan(R"({
    "ociVersion": "1.2.0",
    "process": {"user": {"uid": 0}, "terminal": true, "args": ["sh"]},
    "annotations": {"other": "x", "io.kubernetes.cri.sandbox-id": "pod-1", "more": "y"},
    "linux": {
      "resources": {"devices": [{"allow": false, "path": "/x"}]},
      "cgroupsPath": "/kubepods/x",
      "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": "/run/netns/a"}]
    }})");
  EXPECT_THAT(summary.annotations, ElementsAre(Pair("io.kubernetes.cri.sandbox-id", "pod-1")));
  EXPECT_TRUE(summary.private_pid_namespace);
  EXPECT_EQ(summary.cgroups_path, "/kubepods/x");
  EXPECT_TRUE(summary.terminal);
}

TEST(SpecScanTest, AnEmptySpecHasNothing) {
  const SpecSummary summary = Scan("{}");
  EXPECT_THAT(summary.annotations, IsEmpty());
  EXPECT_FALSE(summary.private_pid_namespace);
  EXPECT_EQ(summary.cgroups_path, "");
  EXPECT_FALSE(summary.terminal);
}

TEST(SpecScanTest, HooksAreThereOrNot) {
  EXPECT_FALSE(Scan(R"({"hooks":{}})").hooks);
  EXPECT_FALSE(Scan(R"({"hooks":{"prestart":[],"poststop":null},"linux":{}})").hooks);
  EXPECT_TRUE(Scan(R"({"hooks":{"prestart":[],"poststop":[{"path":"/bin/a"}]}})").hooks);
}

TEST(SpecScanTest, APidNamespaceIsPrivateUnlessItIsJoined) {
  const auto is_private = [](const std::string& namespaces) {
    return Scan(R"({"linux":{"namespaces":)" + namespaces + "}}").private_pid_namespace;
  };
  EXPECT_TRUE(is_private(R"([{"type":"pid"}])"));
  EXPECT_TRUE(is_private(R"([{"path":"","type":"pid"}])"));
  EXPECT_FALSE(is_private(R"([{"type":"pid","path":"/proc/1/ns/pid"}])"));
  EXPECT_FALSE(is_private(R"([{"path":"/proc/1/ns/pid","type":"pid"}])"));
  EXPECT_FALSE(is_private(R"([{"type":"mount"},{"type":"ipc"}])"));
  EXPECT_FALSE(is_private("[]"));
  EXPECT_FALSE(is_private("null"));
  EXPECT_FALSE(is_private(R"(["pid"])"));
}

TEST(SpecScanTest, PartsOfAnotherTypeCountAsAbsent) {
  const SpecSummary summary = Scan(
      R"({"annotations":["io.containerd.runc.v2.group"],"linux":7,"process":{"terminal":"true"}})");
  EXPECT_THAT(summary.annotations, IsEmpty());
  EXPECT_FALSE(summary.terminal);
  EXPECT_THAT(Scan(R"({"annotations":{"io.containerd.runc.v2.group":3}})").annotations, IsEmpty());
  EXPECT_EQ(Scan(R"({"linux":{"cgroupsPath":null}})").cgroups_path, "");
}

TEST(SpecScanTest, WhatIsNoJsonObjectIsRefused) {
  for (const char* text : {"", "null", "[]", "{", R"({"linux":{"namespaces":[{"type":"pid"}]})",
                           "{}{}", R"({"annotations":{"a":"b})"}) {
    EXPECT_THAT(ScanSpec(text, kWanted), FailsWith(EINVAL)) << text;
  }
}

TEST(SpecScanTest, FilesAreReadAndNamedInErrors) {
  const gantry::testing::TempDir dir;
  const std::string path = dir.path() / "config.json";
  EXPECT_THAT(ScanSpecFile(path, kWanted), FailsWith(ENOENT));

  ASSERT_THAT(kernel::WriteFileAtomic(path, "", 0600, kernel::Durability::kNone), Succeeds());
  const auto empty = ScanSpecFile(path, kWanted);
  ASSERT_THAT(empty, FailsWith(EINVAL));
  EXPECT_THAT(empty.error().Text(), HasSubstr(path));

  // A spec of the size that hundreds of mounts and environment entries give.
  std::string text = R"({"process":{"terminal":true,"env":[)";
  for (int i = 0; i < 20'000; ++i) text += "\"VARIABLE_" + std::to_string(i) + "=some value\",";
  text += R"("A=b"]},"annotations":{"io.containerd.runc.v2.group":"g"}})";
  ASSERT_THAT(kernel::WriteFileAtomic(path, text, 0600, kernel::Durability::kNone), Succeeds());
  const auto summary = ScanSpecFile(path, kWanted);
  ASSERT_THAT(summary, Succeeds());
  EXPECT_TRUE(summary->terminal);
  EXPECT_EQ(summary->annotations.at("io.containerd.runc.v2.group"), "g");
}

TEST(SpecScanTest, AFileBeyondTheLimitIsRefused) {
  const gantry::testing::TempDir dir;
  const std::string path = dir.path() / "config.json";
  ASSERT_THAT(kernel::WriteFileAtomic(path, "{}", 0600, kernel::Durability::kNone), Succeeds());
  ASSERT_EQ(::truncate(path.c_str(), kMaxSpecBytes + 1), 0);
  EXPECT_THAT(ScanSpecFile(path, kWanted), FailsWith(EFBIG));
  EXPECT_THAT(ScanSpecFile(dir.path(), kWanted), ::testing::Not(Succeeds()));
}

}  // namespace
}  // namespace gantry::shim

// SPDX-License-Identifier: Apache-2.0
#include "shim/options/resolve_options.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"
#include "core/kernel/testing/matchers.h"
#include "shim/messages/codec.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;
using messages::Any;
using messages::Encode;
using messages::Pack;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using GenericOptions = messages::runtimeoptions_v1::Options;

ResolvedOptions Resolve(const Any& sent) {
  auto resolved = ResolveOptions(sent);
  EXPECT_THAT(resolved, Succeeds());
  return resolved ? *resolved : ResolvedOptions();
}

ResolvedOptions ResolveToml(const std::string& text) {
  return Resolve(Pack(GenericOptions{.config_body = text}));
}

TEST(ResolveOptionsTest, WithoutOptionsTheDefaultsHold) {
  for (const std::optional<Any>& sent : {std::optional<Any>(), std::optional<Any>(Any())}) {
    const auto resolved = ResolveOptions(sent);
    ASSERT_THAT(resolved, Succeeds());
    EXPECT_EQ(Encode(resolved->options), "");
    EXPECT_EQ(resolved->warning, "");
  }
}

TEST(ResolveOptionsTest, RuncsOptionsAreTakenAsTheyAre) {
  const RuncOptions options{.io_uid = 7, .binary_name = "crun", .systemd_cgroup = true};
  Any sent = Pack(options);
  EXPECT_EQ(Encode(Resolve(sent).options), Encode(options));
  sent.type_url = "types.containerd.io/" + sent.type_url;
  EXPECT_EQ(Encode(Resolve(sent).options), Encode(options));
}

TEST(ResolveOptionsTest, TomlKeysAreTakenInEverySpelling) {
  const ResolvedOptions resolved = ResolveToml(
      "SystemdCgroup = true\n"
      "BinaryName = \"crun\"\n"
      "root = \"/run/x\"\n"
      "NO_PIVOT_ROOT = true\n"
      "NoNewKeyring = true\n"
      "shim_cgroup = '/shims'\n"
      "IoUid = 1000\n"
      "IOGID = 4294967295\n"
      "CriuWorkPath = \"/work\"\n"
      "CriuImagePath = \"/image\"\n");
  EXPECT_EQ(resolved.warning, "");
  EXPECT_EQ(Encode(resolved.options), Encode(RuncOptions{.no_pivot_root = true,
                                                         .no_new_keyring = true,
                                                         .shim_cgroup = "/shims",
                                                         .io_uid = 1000,
                                                         .io_gid = 4294967295,
                                                         .binary_name = "crun",
                                                         .root = "/run/x",
                                                         .systemd_cgroup = true,
                                                         .criu_image_path = "/image",
                                                         .criu_work_path = "/work"}));
}

TEST(ResolveOptionsTest, TheBodyIsTomlWhateverTypeIsNamed) {
  const GenericOptions generic{.type_url = "containerd.runc.v1.Options",
                               .config_body = "BinaryName = \"crun\""};
  EXPECT_EQ(Resolve(Pack(generic)).options.binary_name, "crun");
}

TEST(ResolveOptionsTest, WhatIsNotUnderstoodGivesAWarning) {
  const ResolvedOptions resolved =
      ResolveToml("Root = \"/x\"\nFuture = [1]\nword\nSystemdCgroups = true\n[table]\nroot = 1\n");
  EXPECT_EQ(resolved.options.root, "/x");
  EXPECT_FALSE(resolved.options.systemd_cgroup);
  EXPECT_THAT(resolved.warning, AllOf(HasSubstr("line 2, Future"), HasSubstr("line 3"),
                                      HasSubstr("line 4, SystemdCgroups"), HasSubstr("line 5"),
                                      Not(HasSubstr("line 6"))));
}

TEST(ResolveOptionsTest, AWarningStaysShort) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += std::string(500, 'k') + " = 1\n";
  const std::string warning = ResolveToml(text).warning;
  EXPECT_LT(warning.size(), 1000U);
  EXPECT_THAT(warning, HasSubstr("992 more"));
}

TEST(ResolveOptionsTest, AKnownKeyWithAnotherKindOfValueIsRefused) {
  for (const char* text :
       {"SystemdCgroup = \"true\"", "Root = 1", "IoUid = -1", "IoGid = 4294967296",
        "Root = [\"x\"]", "Root = \"x", "SystemdCgroup = yes", "Root = '''"}) {
    const auto resolved = ResolveOptions(Pack(GenericOptions{.config_body = text}));
    ASSERT_THAT(resolved, FailsWith(EINVAL)) << text;
    EXPECT_THAT(resolved.error().Text(), HasSubstr("line 1"));
  }
}

TEST(ResolveOptionsTest, AFileIsReadWhenThereIsNoBody) {
  const gantry::testing::TempDir dir;
  const std::string path = dir.path() / "runtime.toml";
  ASSERT_THAT(kernel::WriteFileAtomic(path, "Root = \"/file\"\n", 0600, kernel::Durability::kNone),
              Succeeds());
  GenericOptions generic{.config_path = path};
  EXPECT_EQ(Resolve(Pack(generic)).options.root, "/file");
  generic.config_body = "BinaryName = \"crun\"";
  EXPECT_EQ(Resolve(Pack(generic)).options.root, "");
}

TEST(ResolveOptionsTest, AFileThatCannotServeIsNamed) {
  const gantry::testing::TempDir dir;
  const std::string path = dir.path() / "runtime.toml";
  const Any sent = Pack(GenericOptions{.config_path = path});
  EXPECT_THAT(ResolveOptions(sent), FailsWith(ENOENT));

  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(ResolveOptions(sent), FailsWith(EINVAL)) << "nobody waits for a writer";

  ASSERT_THAT(kernel::WriteFileAtomic(path, "Root = 1\n", 0600, kernel::Durability::kNone),
              Succeeds());
  const auto resolved = ResolveOptions(sent);
  ASSERT_THAT(resolved, FailsWith(EINVAL));
  EXPECT_THAT(resolved.error().Text(), HasSubstr(path));

  ASSERT_EQ(::truncate(path.c_str(), kMaxOptionsFileBytes + 1), 0);
  EXPECT_THAT(ResolveOptions(sent), FailsWith(EFBIG));
}

TEST(ResolveOptionsTest, OptionsOfTheFirstGenerationAreTakenOver) {
  const messages::linux_runc::CreateOptions create{.no_pivot_root = true,
                                                   .open_tcp = true,
                                                   .no_new_keyring = true,
                                                   .shim_cgroup = "/shims",
                                                   .io_uid = 1,
                                                   .io_gid = 2,
                                                   .criu_work_path = "/work",
                                                   .criu_image_path = "/image"};
  EXPECT_EQ(Encode(Resolve(Pack(create)).options), Encode(RuncOptions{.no_pivot_root = true,
                                                                      .no_new_keyring = true,
                                                                      .shim_cgroup = "/shims",
                                                                      .io_uid = 1,
                                                                      .io_gid = 2,
                                                                      .criu_image_path = "/image",
                                                                      .criu_work_path = "/work"}));
}

TEST(ResolveOptionsTest, AnUnknownTypeGivesTheDefaultsAndAWarning) {
  const ResolvedOptions resolved =
      Resolve({.type_url = "example.com/some.Options", .value = "\xff\xff"});
  EXPECT_EQ(Encode(resolved.options), "");
  EXPECT_THAT(resolved.warning, HasSubstr("some.Options"));
}

TEST(ResolveOptionsTest, AMalformedMessageOfAKnownTypeIsRefused) {
  for (const std::string_view type : {RuncOptions::kTypeName, GenericOptions::kTypeName,
                                      messages::linux_runc::CreateOptions::kTypeName}) {
    const auto resolved = ResolveOptions(Any{.type_url = std::string(type), .value = "\x0a\x7f"});
    ASSERT_THAT(resolved, FailsWith(EINVAL));
    EXPECT_THAT(resolved.error().Text(), HasSubstr(type));
  }
}

TEST(ResolveOptionsTest, CheckpointOptionsAreOfOneType) {
  EXPECT_THAT(ResolveCheckpointOptions({}), Succeeds());
  const auto resolved = ResolveCheckpointOptions(
      Pack(CheckpointOptions{.exit = true, .empty_namespaces = {"network"}}));
  ASSERT_THAT(resolved, Succeeds());
  EXPECT_TRUE(resolved->exit);
  EXPECT_THAT(resolved->empty_namespaces, ::testing::ElementsAre("network"));
  EXPECT_THAT(ResolveCheckpointOptions(Pack(RuncOptions{})), FailsWith(EINVAL));
  EXPECT_THAT(ResolveCheckpointOptions(
                  Any{.type_url = std::string(CheckpointOptions::kTypeName), .value = "\x0a\x7f"}),
              FailsWith(EINVAL));
}

}  // namespace
}  // namespace gantry::shim

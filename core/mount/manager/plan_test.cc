// SPDX-License-Identifier: Apache-2.0
// What needs no mount: templates, sizes, the split of work.
#include "core/mount/manager/plan.h"

#include <gmock/gmock.h>

#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "core/mount/manager/byte_size.h"
#include "core/mount/manager/template.h"

namespace gantry::mount {
namespace {

using gantry::testing::IsOkAndHolds;
using gantry::testing::StatusIs;
using ::testing::HasSubstr;

std::vector<ActiveMount> ThreeMounts() {
  std::vector<ActiveMount> mounts;
  for (const char* name : {"a", "b", "c"}) {
    ActiveMount active;
    active.mount.source = std::string("/source/") + name;
    active.mount.target = std::string("target-") + name;
    active.mount_point = std::string("/t/") + name;
    mounts.push_back(active);
  }
  return mounts;
}

TEST(TemplateTest, FunctionsNameEarlierMounts) {
  const auto mounts = ThreeMounts();
  EXPECT_THAT(ExpandTemplate("plain", mounts), IsOkAndHolds("plain"));
  EXPECT_THAT(ExpandTemplate("}} {plain}", mounts), IsOkAndHolds("}} {plain}"));
  EXPECT_THAT(ExpandTemplate("{{ source 1 }}", mounts), IsOkAndHolds("/source/b"));
  EXPECT_THAT(ExpandTemplate("{{target 2}}/x", mounts), IsOkAndHolds("target-c/x"));
  EXPECT_THAT(ExpandTemplate("upperdir={{ mount 0 }}/u,{{mount 1}}", mounts),
              IsOkAndHolds("upperdir=/t/a/u,/t/b"));
}

TEST(TemplateTest, OverlayJoinsARangeEitherWay) {
  const auto mounts = ThreeMounts();
  EXPECT_THAT(ExpandTemplate("{{ overlay 0 2 }}", mounts), IsOkAndHolds("/t/a:/t/b:/t/c"));
  EXPECT_THAT(ExpandTemplate("{{ overlay 2 0 }}", mounts), IsOkAndHolds("/t/c:/t/b:/t/a"));
  EXPECT_THAT(ExpandTemplate("{{ overlay 1 1 }}", mounts), IsOkAndHolds("/t/b"));
}

TEST(TemplateTest, EverythingElseIsRefused) {
  const auto mounts = ThreeMounts();
  for (const char* text :
       {"{{ mount 3 }}", "{{ mount -1 }}", "{{ overlay 0 5 }}", "{{ overlay 5 0 }}",
        "{{ nonsense 0 }}", "{{ mount", "{{ mount }}", "{{}}", "{{ mount x }}", "{{ mount 0 1 }}",
        "{{ overlay 1 }}", "{{ mount 0x }}", "{{ mount 99999999999999999999 }}"}) {
    EXPECT_THAT(ExpandTemplate(text, mounts), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(ExpandTemplate("{{ mount 0 }}", {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("out of bounds")));
}

TEST(ByteSizeTest, SuffixesArePowersOf1024) {
  EXPECT_EQ(ParseByteSize("65536"), 65536);
  EXPECT_EQ(ParseByteSize("64MB"), 64 << 20);
  EXPECT_EQ(ParseByteSize("64m"), 64 << 20);
  EXPECT_EQ(ParseByteSize("1.5 GiB"), 3LL << 29);
  EXPECT_EQ(ParseByteSize("2kb"), 2048);
  EXPECT_EQ(ParseByteSize("7b"), 7);
  for (const char* text : {"", "MB", "1x", "-1", "1..5", "1 0", "1mbx", "1bb", "99999999p", "."}) {
    EXPECT_EQ(ParseByteSize(text), std::nullopt) << text;
  }
}

class NoHandler final : public MountHandler {
 public:
  absl::StatusOr<ActiveMount> MountAt(const Context&, const Mount&, const std::string&,
                                      std::span<const ActiveMount>) override {
    return Unimplemented("mount");
  }
  absl::Status UnmountAt(const Context&, const std::string&) override { return absl::OkStatus(); }
};

class PlanTest : public ::testing::Test {
 protected:
  Plan Make(const std::vector<std::string>& types, ActivateOptions options = {}) {
    Mounts mounts;
    for (const std::string& type : types) mounts.push_back({type, "", "", {}});
    return MakePlan(mounts, options, transformers_, handlers_);
  }

  AllowedRoots roots_;
  Transformers transformers_ = MakeTransformers(roots_);
  NoHandler handler_;
  Handlers handlers_{{"erofs", &handler_}};
};

TEST_F(PlanTest, APlainListNeedsNoManager) {
  EXPECT_FALSE(Make({}).needed);
  EXPECT_FALSE(Make({"bind", "overlay", "unknown/prefix"}).needed);
  EXPECT_FALSE(Make({}, {.temporary = true}).needed);
}

TEST_F(PlanTest, HandledTypesAreTheManagersAndTheTailIsTheCallers) {
  const Plan plan = Make({"erofs", "bind", "erofs", "overlay"});
  EXPECT_TRUE(plan.needed);
  EXPECT_EQ(plan.managed, 3U);
  EXPECT_EQ(plan.steps[0].handler, &handler_);
  EXPECT_EQ(plan.steps[1].handler, nullptr);
}

TEST_F(PlanTest, WhatPrecedesATransformedMountIsTheManagers) {
  const Plan plan = Make({"erofs", "bind", "format/mkdir/overlay"});
  EXPECT_EQ(plan.managed, 2U);
  ASSERT_EQ(plan.steps[2].transformations.size(), 2U);
  EXPECT_EQ(plan.steps[2].transformations[0].type, "mkdir/overlay");
  EXPECT_EQ(plan.steps[2].transformations[1].type, "overlay");
  EXPECT_EQ(plan.steps[2].to_apply, 2U);
  EXPECT_EQ(Make({"mkfs/ext4"}).managed, 0U);
  EXPECT_TRUE(Make({"mkfs/ext4"}).needed);
  EXPECT_EQ(Make({"mkfs/erofs"}).managed, 1U) << "a handler under the prefix";
}

TEST_F(PlanTest, TemporaryMeansEverything) {
  EXPECT_EQ(Make({"bind", "bind"}, {.temporary = true}).managed, 2U);
  EXPECT_EQ(Make({"erofs", "format/overlay"}, {.temporary = true}).managed, 2U);
}

TEST_F(PlanTest, TheCallersOwnTypesAreLeftToItAtTheEnd) {
  EXPECT_FALSE(Make({"erofs"}, {.own_types = {"erofs"}}).needed);
  EXPECT_EQ(Make({"erofs", "format/overlay"}, {.own_types = {"erofs"}}).managed, 1U);
  EXPECT_FALSE(Make({"format/overlay"}, {.own_types = {"format/overlay"}}).needed);
}

TEST_F(PlanTest, TheCallersOwnTransformationsCountAtTheEndOfTheChainAlone) {
  const Plan mkdir = Make({"bind", "format/mkdir/overlay"}, {.own_transforms = {"mkdir"}});
  EXPECT_TRUE(mkdir.needed);
  EXPECT_EQ(mkdir.steps[1].to_apply, 1U);
  EXPECT_EQ(Make({"format/mkdir/overlay"}, {.own_transforms = {"format"}}).steps[0].to_apply, 2U);
  EXPECT_FALSE(Make({"format/mkdir/overlay"}, {.own_transforms = {"format", "mkdir"}}).needed);
}

}  // namespace
}  // namespace gantry::mount

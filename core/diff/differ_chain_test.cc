// SPDX-License-Identifier: Apache-2.0
#include "core/diff/differ_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/status.h"
#include "core/base/testing/matchers.h"

namespace gantry::diff {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::testing::HasSubstr;

// Answers everything with one status and counts what it was asked.
class OneAnswer final : public Differ {
 public:
  explicit OneAnswer(absl::StatusOr<Descriptor> answer) : answer_(std::move(answer)) {}

  absl::StatusOr<Descriptor> Apply(const Context&, const Descriptor&, const mount::Mounts&,
                                   const ApplyOptions& options) override {
    ++asked;
    sync_fs = options.sync_fs;
    return answer_;
  }
  absl::StatusOr<Descriptor> Compare(const Context&, const mount::Mounts&, const mount::Mounts&,
                                     const CompareOptions&) override {
    ++asked;
    return answer_;
  }

  int asked = 0;
  bool sync_fs = false;

 private:
  absl::StatusOr<Descriptor> answer_;
};

TEST(DifferChainTest, UnimplementedMeansTheNextOne) {
  OneAnswer declines(Unimplemented("not mine"));
  OneAnswer answers(Descriptor{.digest = "d"});
  OneAnswer never(Internal("asked"));
  DifferChain chain({&declines, &answers, &never}, /*sync_fs=*/false);
  EXPECT_EQ(chain.Apply({}, {}, {}, {})->digest, "d");
  EXPECT_EQ(chain.Compare({}, {}, {}, {})->digest, "d");
  EXPECT_EQ(declines.asked, 2);
  EXPECT_EQ(never.asked, 0);
}

TEST(DifferChainTest, OtherErrorsEndTheSearch) {
  OneAnswer fails(InvalidArgument("bad"));
  OneAnswer never(Descriptor{});
  DifferChain chain({&fails, &never}, /*sync_fs=*/false);
  EXPECT_THAT(chain.Apply({}, {}, {}, {}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(never.asked, 0);
}

TEST(DifferChainTest, UnimplementedWhenAllDecline) {
  OneAnswer declines(Unimplemented("not mine"));
  DifferChain chain({&declines, &declines}, /*sync_fs=*/false);
  EXPECT_THAT(chain.Apply({}, {}, {}, {}), StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(DifferChain({}, false).Compare({}, {}, {}, {}),
              StatusIs(absl::StatusCode::kUnimplemented));
}

TEST(DifferChainTest, AMediaTypeThatNobodyKnowsIsTheCallersMistake) {
  OneAnswer declines(Unimplemented("not mine"));
  OneAnswer unknown(UnknownMediaType("application/x"));
  OneAnswer answers(Descriptor{.digest = "d"});
  EXPECT_THAT(DifferChain({&unknown, &declines}, false).Apply({}, {}, {}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("application/x")));
  EXPECT_THAT(DifferChain({&unknown, &answers}, false).Apply({}, {}, {}, {}), IsOk());
}

TEST(DifferChainTest, SyncIsAskedForByRequestOrConfiguration) {
  OneAnswer differ(Descriptor{});
  EXPECT_THAT(DifferChain({&differ}, false).Apply({}, {}, {}, {}), IsOk());
  EXPECT_FALSE(differ.sync_fs);
  EXPECT_THAT(DifferChain({&differ}, false).Apply({}, {}, {}, {.sync_fs = true}), IsOk());
  EXPECT_TRUE(differ.sync_fs);
  differ.sync_fs = false;
  EXPECT_THAT(DifferChain({&differ}, true).Apply({}, {}, {}, {}), IsOk());
  EXPECT_TRUE(differ.sync_fs);
}

}  // namespace
}  // namespace gantry::diff

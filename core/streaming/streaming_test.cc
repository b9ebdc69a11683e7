// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/gc/collector.h"
#include "core/leases/lease_resource.h"
#include "core/leases/lease_store.h"
#include "core/streaming/pipe.h"
#include "core/streaming/stream_registry.h"
#include "core/streaming/stream_resource.h"
#include "gtest/gtest.h"

namespace gantry::streaming {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::IsOkAndHolds;
using ::gantry::testing::StatusIs;

Pipe::Message Text(std::string text) {
  Pipe::Message message;
  message.set_value(std::move(text));
  return message;
}

// The next message's text, "-" if there is none yet, or the code of the end.
std::string Next(Pipe& pipe) {
  auto next = pipe.Poll([] {});
  if (!next) return "-";
  return next->ok() ? (*next)->value() : absl::StatusCodeToString(next->status().code());
}

absl::StatusOr<bool> Write(Pipe& pipe, std::string text) {
  Pipe::Message message = Text(std::move(text));
  return pipe.TryWrite(message, [] {});
}

TEST(PipeTest, KeepsOrderAndEndsAfterTheLastMessage) {
  Pipe pipe;
  EXPECT_EQ(Next(pipe), "-");
  EXPECT_THAT(Write(pipe, "a"), IsOkAndHolds(true));
  EXPECT_THAT(Write(pipe, "b"), IsOkAndHolds(true));
  pipe.Close();
  EXPECT_THAT(Write(pipe, "c"), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_EQ(Next(pipe), "a");
  EXPECT_EQ(Next(pipe), "b");
  EXPECT_EQ(Next(pipe), "OUT_OF_RANGE");
}

TEST(PipeTest, AbortDropsWhatWaitsAndKeepsTheFirstReason) {
  Pipe pipe;
  ASSERT_THAT(Write(pipe, "a"), IsOk());
  pipe.Abort(absl::UnavailableError("gone"));
  pipe.Abort(absl::InternalError("later"));
  EXPECT_EQ(Next(pipe), "UNAVAILABLE");
  EXPECT_THAT(Write(pipe, "b"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(PipeTest, AFullPipeLeavesTheMessageAndCallsBackOnce) {
  Pipe pipe;
  for (size_t i = 0; i < Pipe::kMaxMessages; ++i) {
    ASSERT_THAT(Write(pipe, std::to_string(i)), IsOkAndHolds(true));
  }
  int writable = 0;
  Pipe::Message message = Text("kept");
  EXPECT_THAT(pipe.TryWrite(message, [&] { ++writable; }), IsOkAndHolds(false));
  EXPECT_EQ(message.value(), "kept");
  EXPECT_EQ(Next(pipe), "0");
  EXPECT_EQ(Next(pipe), "1");
  EXPECT_EQ(writable, 1);
  EXPECT_THAT(pipe.TryWrite(message, [] {}), IsOkAndHolds(true));
}

TEST(PipeTest, BytesAreBoundedButOneMessageAlwaysPasses) {
  Pipe pipe;
  EXPECT_THAT(Write(pipe, std::string(2 * Pipe::kMaxBytes, 'x')), IsOkAndHolds(true));
  EXPECT_THAT(Write(pipe, "x"), IsOkAndHolds(false));
  EXPECT_EQ(Next(pipe).size(), 2 * Pipe::kMaxBytes);
  EXPECT_THAT(Write(pipe, "x"), IsOkAndHolds(true));
}

TEST(PipeTest, ReadersAreCalledWithoutLocks) {
  Pipe pipe;
  std::string seen;
  ASSERT_FALSE(pipe.Poll([&] { seen = Next(pipe); }));
  ASSERT_THAT(Write(pipe, "a"), IsOk());
  EXPECT_EQ(seen, "a");
  bool ended = false;
  ASSERT_FALSE(pipe.Poll([&] { ended = Next(pipe) == "OUT_OF_RANGE"; }));
  pipe.Close();
  EXPECT_TRUE(ended);
}

class RegistryTest : public ::testing::Test {
 protected:
  StreamRegistry registry_;
  const Context ctx_{.ns = "ns"};
};

TEST_F(RegistryTest, AStreamIsFoundByNamespaceAndIdWhileItsRegistrationLives) {
  auto stream = std::make_shared<Stream>();
  {
    const auto registration = registry_.Register(ctx_, "one", stream);
    ASSERT_THAT(registration, IsOk());
    EXPECT_THAT(registry_.Get(ctx_, "one"), IsOkAndHolds(stream));
    EXPECT_THAT(registry_.Get({.ns = "other"}, "one"), StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(registry_.Register(ctx_, "one", stream).status(),
                StatusIs(absl::StatusCode::kAlreadyExists));
    EXPECT_THAT(registry_.Get(ctx_, "one"), IsOk());
    EXPECT_THAT(registry_.Register({.ns = "other"}, "one", stream).status(), IsOk());
  }
  EXPECT_THAT(registry_.Get(ctx_, "one"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(registry_.Register(ctx_, "one", stream).status(), IsOk());
}

TEST_F(RegistryTest, IdsAreBounded) {
  auto stream = std::make_shared<Stream>();
  EXPECT_THAT(registry_.Register(ctx_, "", stream).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(registry_.Register(ctx_, std::string(1025, 'x'), stream).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

class CollectedStreamsTest : public RegistryTest {
 protected:
  void SetUp() override {
    auto metadata = metadata::Metadata::Open(
        {.db = {.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 28}}, clock_);
    ASSERT_THAT(metadata, IsOk());
    metadata_ = *std::move(metadata);
  }

  void Collect() {
    gc::Collector collector(*metadata_, {&leases_, &resource_}, {});
    EXPECT_THAT(collector.Collect({}), IsOk());
  }

  testing::TempDir dir_;
  base::FakeClock clock_;
  std::unique_ptr<metadata::Metadata> metadata_;
  leases::LeaseResource leases_;
  StreamResource resource_{registry_};
};

TEST_F(CollectedStreamsTest, AStreamEndsWithItsLeaseAndOnlyThen) {
  leases::LeaseStore store(*metadata_);
  ASSERT_THAT(store.Create(ctx_, {.id = "l"}), IsOk());
  auto leased = std::make_shared<Stream>();
  auto free = std::make_shared<Stream>();
  const Context under{.ns = "ns", .lease = "l"};
  const auto first = registry_.Register(under, "leased", leased);
  const auto second = registry_.Register(ctx_, "free", free);
  Collect();
  EXPECT_EQ(Next(leased->to_client), "-");
  ASSERT_THAT(store.Delete(ctx_, "l"), IsOk());
  Collect();
  EXPECT_EQ(Next(leased->to_client), "CANCELLED");
  EXPECT_EQ(Next(free->to_client), "-");
}

TEST_F(CollectedStreamsTest, ANewStreamUnderTheNameOfACollectedOneStays) {
  const auto scanned = std::make_shared<Stream>();
  auto old_one = std::make_unique<absl::StatusOr<StreamRegistry::Registration>>(
      registry_.Register({.ns = "ns", .lease = "gone"}, "s", scanned));
  ASSERT_THAT(resource_.Scan(metadata_->Read()->view(), clock_.Now(),
                             [](gc::Object) { return absl::OkStatus(); }),
              IsOk());
  old_one.reset();
  auto fresh = std::make_shared<Stream>();
  const auto registration = registry_.Register(ctx_, "s", fresh);
  resource_.Swept({{metadata::NodeType::kStream, "ns", "s"}});
  EXPECT_EQ(Next(fresh->to_client), "-");
}

}  // namespace
}  // namespace gantry::streaming

// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/rpc_status.h"

#include <gmock/gmock.h>

#include "core/base/status.h"
#include "core/base/testing/matchers.h"

namespace gantry::ttrpc {
namespace {

using gantry::testing::StatusIs;

TEST(RpcStatusTest, CodesAndMessagesAreKept) {
  EXPECT_THAT(FromWire(wire::MakeStatus(wire::RpcCode::kNotFound, "task x")),
              StatusIs(absl::StatusCode::kNotFound, "task x: not found"));
  EXPECT_TRUE(FromWire({}).ok());
  EXPECT_THAT(FromWire({.code = static_cast<wire::RpcCode>(99), .message = "m", .details = {}}),
              StatusIs(absl::StatusCode::kUnknown, "m"));
}

TEST(RpcStatusTest, MessagesGoOutWithTheirClassText) {
  const wire::RpcStatus status = ToWire(NotFound("task x"));
  EXPECT_EQ(status.code, wire::RpcCode::kNotFound);
  EXPECT_EQ(status.message, "task x: not found");
  EXPECT_EQ(ToWire(Conflict("record x")).message, "record x: conflict");
  EXPECT_TRUE(ToWire(absl::OkStatus()).ok());
}

TEST(RpcStatusTest, DetailsComeThroughUnchanged) {
  const wire::RpcStatus status{.code = wire::RpcCode::kAborted,
                               .message = "x: aborted",
                               .details = {"\x0a\x03"
                                           "a/b",
                                           "\x0a\x01"
                                           "c"}};
  EXPECT_EQ(ToWire(FromWire(status)), status);
}

TEST(RpcStatusTest, OnlyOurOwnLostConnectionIsClosed) {
  EXPECT_THAT(ClosedError(), StatusIs(absl::StatusCode::kUnknown, "ttrpc: closed"));
  EXPECT_TRUE(IsClosed(Annotate(ClosedError(), "shim x")));
  EXPECT_FALSE(IsClosed(absl::UnknownError("other")));
  // As a shim reports a connection of its own.
  EXPECT_FALSE(
      IsClosed(FromWire({.code = wire::RpcCode::kUnknown, .message = "agent: ttrpc: closed"})));
}

}  // namespace
}  // namespace gantry::ttrpc

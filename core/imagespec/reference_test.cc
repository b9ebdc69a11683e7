// SPDX-License-Identifier: Apache-2.0
#include "core/imagespec/reference.h"

#include <gmock/gmock.h>

#include <string>

#include "core/base/testing/matchers.h"

namespace gantry::imagespec {
namespace {

using testing::IsOkAndHolds;
using testing::StatusIs;

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(ReferenceTest, ShortNamesBelongToDockerHub) {
  EXPECT_THAT(DockerReference("busybox"), IsOkAndHolds("docker.io/library/busybox:latest"));
  EXPECT_THAT(DockerReference("user/app:1"), IsOkAndHolds("docker.io/user/app:1"));
  EXPECT_THAT(DockerReference("index.docker.io/busybox:1"),
              IsOkAndHolds("docker.io/library/busybox:1"));
}

TEST(ReferenceTest, FirstComponentIsADomainWhenItLooksLikeOne) {
  EXPECT_THAT(DockerReference("localhost/app"), IsOkAndHolds("localhost/app:latest"));
  EXPECT_THAT(DockerReference("127.0.0.1:5000/app:2"), IsOkAndHolds("127.0.0.1:5000/app:2"));
  EXPECT_THAT(DockerReference("[::1]:5000/app:2"), IsOkAndHolds("[::1]:5000/app:2"));
  EXPECT_THAT(DockerReference("Host/app:2"), IsOkAndHolds("Host/app:2"));
}

TEST(ReferenceTest, DigestWinsOverTag) {
  EXPECT_THAT(DockerReference("a.b/c:1@" + kDigest), IsOkAndHolds("a.b/c@" + kDigest));
}

TEST(ReferenceTest, WhatIsNoReferenceIsRefused) {
  for (const char* text : {"", "UPPER", "a//b", "a:", "a@sha256:12", "-a", "a b", "http://a/b"}) {
    EXPECT_THAT(ParseReference(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(ParseReference(std::string(300, 'a')), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseReference(std::string(100'000, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gantry::imagespec

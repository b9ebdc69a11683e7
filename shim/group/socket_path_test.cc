// SPDX-License-Identifier: Apache-2.0
#include "shim/group/socket_path.h"

#include <gtest/gtest.h>

#include <string>

#include "shim/group/sha256.h"

namespace gantry::shim {
namespace {

TEST(Sha256Test, VectorsOfTheStandard) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256Hex("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklm"
                      "nopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  EXPECT_EQ(Sha256Hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(CleanPathTest, LikeGo) {
  EXPECT_EQ(CleanPath("/a//b/./c/"), "/a/b/c");
  EXPECT_EQ(CleanPath("/a/b/../../../c"), "/c");
  EXPECT_EQ(CleanPath("a/../.."), "..");
  EXPECT_EQ(CleanPath("../a/.."), "..");
  EXPECT_EQ(CleanPath("/"), "/");
  EXPECT_EQ(CleanPath("/.."), "/");
  EXPECT_EQ(CleanPath(""), ".");
  EXPECT_EQ(CleanPath("a/.."), ".");
}

TEST(SocketPathTest, IsTheHashOfAddressNamespaceAndGroup) {
  // SHA-256 of "/run/containerd/containerd.sock/k8s.io/abc".
  const std::string expected =
      "/run/containerd/s/a99a1752d3a0fadfb1f869026f16760475df03a572e20f4ccea9e6c1e5470b72";
  EXPECT_EQ(SocketPath("/run/containerd/s", "/run/containerd/containerd.sock", "k8s.io", "abc"),
            expected);
  EXPECT_EQ(
      SocketPath("/run/containerd//s/", "/run//containerd/x/../containerd.sock/", "k8s.io", "abc"),
      expected);
}

}  // namespace
}  // namespace gantry::shim

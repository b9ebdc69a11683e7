// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox/namespaces.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "core/kernel/file.h"
#include "gtest/gtest.h"
#include "shim/messages/codec.h"
#include "shim/messages/pod_sandbox_config.h"

namespace gantry::shim {
namespace {

using messages::NamespaceMode;

class NamespacesTest : public ::testing::Test {
 protected:
  NamespacesTest() {
    request_.sandbox_id = "s";
    request_.bundle_path = ::mkdtemp(directory_);
    request_.netns_path = "/run/netns/x";
  }
  ~NamespacesTest() override {
    ::unlink((request_.bundle_path + "/config.json").c_str());
    ::rmdir(request_.bundle_path.c_str());
  }

  void GiveSpec(const std::string& text) {
    ASSERT_TRUE(kernel::WriteFileAtomic(request_.bundle_path + "/config.json", text, 0600,
                                        kernel::Durability::kNone)
                    .ok());
  }
  void GivePod(NamespaceMode network, NamespaceMode pid, NamespaceMode ipc) {
    messages::PodSandboxConfig pod;
    pod.hostname = "pod-1";
    auto& linux_config = pod.linux_config.emplace();
    auto& options = linux_config.security_context.emplace().namespace_options.emplace();
    options.network = network;
    options.pid = pid;
    options.ipc = ipc;
    request_.options = messages::Pack(pod);
  }

  char directory_[32] = "/tmp/gantry-sandbox.XXXXXX";
  messages::CreateSandboxRequest request_;
};

TEST_F(NamespacesTest, WithoutAnySayItIsIpcAndUts) {
  const auto namespaces = NamespacesOf(request_);
  ASSERT_TRUE(namespaces.ok()) << namespaces.error().Text();
  EXPECT_TRUE(namespaces->ipc);
  EXPECT_TRUE(namespaces->uts);
  EXPECT_FALSE(namespaces->pid);
  EXPECT_EQ(namespaces->netns_path, "/run/netns/x");
  EXPECT_EQ(namespaces->hostname, "");
}

TEST_F(NamespacesTest, APodSaysWhereItsContainersAre) {
  GivePod(NamespaceMode::kPod, NamespaceMode::kPod, NamespaceMode::kPod);
  auto namespaces = NamespacesOf(request_);
  ASSERT_TRUE(namespaces.ok()) << namespaces.error().Text();
  EXPECT_TRUE(namespaces->pid);
  EXPECT_EQ(namespaces->hostname, "pod-1");

  GivePod(NamespaceMode::kNode, NamespaceMode::kContainer, NamespaceMode::kNode);
  namespaces = NamespacesOf(request_);
  ASSERT_TRUE(namespaces.ok()) << namespaces.error().Text();
  EXPECT_FALSE(namespaces->pid);
  EXPECT_FALSE(namespaces->ipc);
  EXPECT_FALSE(namespaces->uts);
  EXPECT_EQ(namespaces->hostname, "");
}

TEST_F(NamespacesTest, AnotherPidNamespaceInTheSpecIsTheSandboxs) {
  GiveSpec(R"({"linux": {"namespaces": [{"type": "pid"}]}})");
  auto namespaces = NamespacesOf(request_);
  ASSERT_TRUE(namespaces.ok()) << namespaces.error().Text();
  EXPECT_TRUE(namespaces->pid);

  GiveSpec(R"({"linux": {"namespaces": [{"type": "uts"}]}})");
  namespaces = NamespacesOf(request_);
  ASSERT_TRUE(namespaces.ok()) << namespaces.error().Text();
  EXPECT_FALSE(namespaces->pid);
}

TEST_F(NamespacesTest, WhatDoesNotDecodeIsRefused) {
  request_.options =
      messages::Any{.type_url = messages::PodSandboxConfig::kTypeName, .value = "\x0a\xff"};
  auto namespaces = NamespacesOf(request_);
  ASSERT_FALSE(namespaces.ok());
  EXPECT_EQ(namespaces.error().err, EBADMSG);

  request_.options.reset();
  GiveSpec("[]");
  namespaces = NamespacesOf(request_);
  ASSERT_FALSE(namespaces.ok());
  EXPECT_EQ(namespaces.error().err, EINVAL);
}

}  // namespace
}  // namespace gantry::shim

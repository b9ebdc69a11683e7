// SPDX-License-Identifier: Apache-2.0
#include "shim/group/group_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "core/kernel/testing/matchers.h"
#include "core/kernel/tree.h"
#include "shim/group/container_group.h"
#include "shim/group/socket_path.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;

class GroupSocketTest : public ::testing::Test {
 protected:
  ~GroupSocketTest() override { EXPECT_THAT(kernel::RemoveTree(directory_), Succeeds()); }

  static bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
  ListeningSocket Bind(const std::string& path) {
    auto socket = ListeningSocket::Bind(path);
    EXPECT_THAT(socket, Succeeds());
    return *std::move(socket);
  }
  // As a killed server leaves it.
  void LeaveDead(const std::string& path) { Bind(path).Keep(); }

  std::string directory_ = [] {
    std::string name = "/tmp/group_socket.XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    return name;
  }();
  const std::string path_ = SocketPath(directory_, "/run/d.sock", "ns", "c1");
};

TEST_F(GroupSocketTest, ANameBesideIsAsLongAtMostAndItsOwnForEachContainer) {
  const std::string beside = NameBeside(path_, DaemonTag("c1"));
  EXPECT_LE(beside.size(), path_.size());
  EXPECT_NE(beside, path_);
  EXPECT_EQ(beside, NameBeside(path_, DaemonTag("c1")));
  EXPECT_NE(beside, NameBeside(path_, DaemonTag("c2")));
  EXPECT_EQ(beside.rfind('/'), path_.rfind('/'));
}

TEST_F(GroupSocketTest, IsServedWhereSomebodyListens) {
  EXPECT_FALSE(IsServed(path_));
  {
    const ListeningSocket socket = Bind(path_);
    EXPECT_TRUE(IsServed(path_));
  }
  LeaveDead(path_);
  EXPECT_TRUE(Exists(path_));
  EXPECT_FALSE(IsServed(path_));
}

TEST_F(GroupSocketTest, TheNameIsTakenFromTheDeadAndNotFromTheLiving) {
  LeaveDead(path_);
  ListeningSocket first = Bind(NameBeside(path_, "1"));
  auto taken = TakeName(first, path_);
  ASSERT_THAT(taken, Succeeds());
  EXPECT_TRUE(*taken);
  EXPECT_TRUE(IsServed(path_));
  ListeningSocket second = Bind(NameBeside(path_, "2"));
  taken = TakeName(second, path_);
  ASSERT_THAT(taken, Succeeds());
  EXPECT_FALSE(*taken);
  second.Close();
  EXPECT_TRUE(IsServed(path_));
  EXPECT_FALSE(Exists(NameBeside(path_, "1")));
  EXPECT_FALSE(Exists(NameBeside(path_, "2")));
}

TEST_F(GroupSocketTest, WhatIsLeftOfTheDeadIsRemovedAndTheLivingStay) {
  const std::string beside = NameBeside(path_, DaemonTag("c1"));
  LeaveDead(path_);
  LeaveDead(beside);
  RemoveDeadSocket(path_, "c1");
  EXPECT_FALSE(Exists(path_));
  EXPECT_FALSE(Exists(beside));
  RemoveDeadSocket(path_, "c1");

  const ListeningSocket living = Bind(path_);
  RemoveDeadSocket(path_, "c1");
  EXPECT_TRUE(IsServed(path_));
}

TEST_F(GroupSocketTest, AFileThatIsNoSocketStays) {
  const kernel::UniqueFd file(::open(path_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  RemoveDeadSocket(path_, "c1");
  EXPECT_TRUE(Exists(path_));
}

TEST_F(GroupSocketTest, WithoutASpecItIsAlone) {
  const auto group = GroupOf(directory_ + "/config.json", "c1");
  ASSERT_TRUE(group);
  EXPECT_EQ(*group, "c1");
}

}  // namespace
}  // namespace gantry::shim

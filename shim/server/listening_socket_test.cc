// SPDX-License-Identifier: Apache-2.0
#include "shim/server/listening_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <optional>

#include "core/kernel/testing/matchers.h"
#include "shim/server/testing/peer.h"

namespace gantry::shim {
namespace {

using gantry::testing::FailsWith;
using gantry::testing::Succeeds;

class ListeningSocketTest : public testing::LoopFixture {
 protected:
  bool Answers(const std::string& path) { return static_cast<bool>(testing::ConnectTo(path)); }
  bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
};

TEST_F(ListeningSocketTest, CanBeConnectedToAndIsTheOwnersAlone) {
  const auto socket = ListeningSocket::Bind(Path());
  ASSERT_THAT(socket, Succeeds());
  struct stat found {};
  ASSERT_EQ(::lstat(Path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode, S_IFSOCK | 0600U);
  EXPECT_TRUE(Answers(Path()));
}

TEST_F(ListeningSocketTest, TakesNoNameThatIsThere) {
  const auto first = ListeningSocket::Bind(Path());
  ASSERT_THAT(first, Succeeds());
  EXPECT_THAT(ListeningSocket::Bind(Path()), FailsWith(EADDRINUSE));
  EXPECT_TRUE(Answers(Path()));
}

TEST_F(ListeningSocketTest, ItsNameGoesWithIt) {
  {
    const auto socket = ListeningSocket::Bind(Path());
    ASSERT_THAT(socket, Succeeds());
    EXPECT_TRUE(Exists(Path()));
  }
  EXPECT_FALSE(Exists(Path()));
}

TEST_F(ListeningSocketTest, ASuccessorsNameStays) {
  auto old = ListeningSocket::Bind(Path());
  ASSERT_THAT(old, Succeeds());
  ASSERT_EQ(::unlink(Path().c_str()), 0);
  const auto successor = ListeningSocket::Bind(Path());
  ASSERT_THAT(successor, Succeeds());
  old->Close();
  EXPECT_TRUE(Answers(Path()));
}

TEST_F(ListeningSocketTest, MovesToANameThatIsFree) {
  const std::string first = Path() + ".1";
  auto socket = ListeningSocket::Bind(first);
  ASSERT_THAT(socket, Succeeds());
  ASSERT_THAT(socket->MoveTo(Path()), Succeeds());
  EXPECT_FALSE(Exists(first));
  EXPECT_TRUE(Answers(Path()));

  auto other = ListeningSocket::Bind(first);
  ASSERT_THAT(other, Succeeds());
  EXPECT_THAT(other->MoveTo(Path()), FailsWith(EEXIST));
  other->Close();
  EXPECT_FALSE(Exists(first));
  EXPECT_TRUE(Answers(Path()));
}

TEST_F(ListeningSocketTest, APathTooLongForClientsCanBeBound) {
  const std::string directory = directory_ + "/" + std::string(150, 'x');
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  auto socket = ListeningSocket::Bind(directory + "/socket");
  ASSERT_THAT(socket, Succeeds());
  ASSERT_THAT(socket->MoveTo(Path()), Succeeds());
  EXPECT_TRUE(Answers(Path()));
  EXPECT_EQ(::rmdir(directory.c_str()), 0);
}

TEST_F(ListeningSocketTest, AnInheritedOneIsTakenOver) {
  auto made = ListeningSocket::Bind(Path());
  ASSERT_THAT(made, Succeeds());
  kernel::UniqueFd inherited(::fcntl(made->fd(), F_DUPFD, 0));
  std::move(*made).Keep();
  {
    const auto adopted = ListeningSocket::Adopt(std::move(inherited));
    ASSERT_THAT(adopted, Succeeds());
    EXPECT_EQ(adopted->path(), Path());
    EXPECT_EQ(::fcntl(adopted->fd(), F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(Answers(Path()));
  }
  EXPECT_FALSE(Exists(Path()));
}

TEST_F(ListeningSocketTest, AnInheritedOneThatWasMovedHasItsNewName) {
  auto made = ListeningSocket::Bind(Path() + ".1");
  ASSERT_THAT(made, Succeeds());
  ASSERT_THAT(made->MoveTo(Path()), Succeeds());
  kernel::UniqueFd inherited(::fcntl(made->fd(), F_DUPFD, 0));
  std::move(*made).Keep();
  {
    const auto adopted = ListeningSocket::Adopt(std::move(inherited), Path());
    ASSERT_THAT(adopted, Succeeds());
    EXPECT_EQ(adopted->path(), Path());
    EXPECT_TRUE(Answers(Path()));
  }
  EXPECT_FALSE(Exists(Path()));
}

TEST_F(ListeningSocketTest, WhatDoesNotListenIsRefused) {
  EXPECT_THAT(ListeningSocket::Adopt(kernel::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))),
              FailsWith(ENOTSOCK));
  kernel::UniqueFd plain(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_THAT(ListeningSocket::Adopt(std::move(plain)), FailsWith(EINVAL));
  EXPECT_THAT(ListeningSocket::Adopt(kernel::UniqueFd(999)), FailsWith(EBADF));
}

}  // namespace
}  // namespace gantry::shim

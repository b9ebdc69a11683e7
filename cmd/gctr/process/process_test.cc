// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "cmd/gctr/process/fifo_set.h"
#include "cmd/gctr/process/process_io.h"
#include "cmd/gctr/process/signal_source.h"
#include "cmd/gctr/process/stream_copier.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/kernel/file.h"

namespace gantry::gctr {
namespace {

using testing::IsOk;
using testing::StatusIs;

struct Pipe {
  kernel::UniqueFd read;
  kernel::UniqueFd write;
};

Pipe MakePipe() {
  std::array<int, 2> ends = {};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {kernel::UniqueFd(ends[0]), kernel::UniqueFd(ends[1])};
}

bool IsEmpty(const std::filesystem::path& path) { return std::filesystem::is_empty(path); }

TEST(FifoSetTest, PipesAndFolderGoAtTheEnd) {
  const testing::TempDir root;
  {
    const absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", false);
    ASSERT_THAT(fifos, IsOk());
    struct stat status = {};
    ASSERT_EQ(::stat(fifos->err().c_str(), &status), 0);
    EXPECT_TRUE(S_ISFIFO(status.st_mode));
    EXPECT_TRUE(fifos->in().ends_with("/id-stdin"));
  }
  EXPECT_TRUE(IsEmpty(root.path()));
}

TEST(FifoSetTest, KeptPipesAreRemovedByName) {
  const testing::TempDir root;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", true);
  ASSERT_THAT(fifos, IsOk());
  EXPECT_EQ(fifos->err(), "");
  fifos->Keep();
  const std::string in = fifos->in();
  const std::string out = fifos->out();
  fifos = absl::UnknownError("gone");
  EXPECT_FALSE(IsEmpty(root.path()));
  RemoveFifos(in, out, "");
  EXPECT_TRUE(IsEmpty(root.path()));
}

TEST(FifoSetTest, InputWaitsForAReaderAndEndsWithIt) {
  const testing::TempDir root;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", true);
  ASSERT_THAT(fifos, IsOk());
  const auto reader = kernel::Open(fifos->in(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_TRUE(reader.ok());
  char byte = 0;
  EXPECT_EQ(::read(reader->get(), &byte, 1), -1);  // held open: no end of input
  kernel::UniqueFd in = fifos->OpenIn();
  ASSERT_TRUE(in);
  ASSERT_EQ(::write(in.get(), "x", 1), 1);
  in.Reset();
  EXPECT_EQ(::read(reader->get(), &byte, 1), 1);
  EXPECT_EQ(::read(reader->get(), &byte, 1), 0);
}

TEST(FifoSetTest, RemovalTouchesPipesAlone) {
  const testing::TempDir root;
  const std::string file = root.path() / "file";
  ASSERT_TRUE(kernel::WriteFileAtomic(file, "x", 0600, kernel::Durability::kNone).ok());
  RemoveFifos(file, "/dev/null", "file:///log");
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST(StreamCopierTest, CopiesUntilTheEndAndTellsIt) {
  Pipe from = MakePipe();
  Pipe to = MakePipe();
  bool ended = false;
  StreamCopier::Ends ends;
  ends.from = from.read.get();
  ends.to = to.write.get();
  ends.owned_to = std::move(to.write);
  ends.at_end = [&] { ended = true; };
  absl::StatusOr<StreamCopier> copier = StreamCopier::Start(std::move(ends));
  ASSERT_THAT(copier, IsOk());
  ASSERT_EQ(::write(from.write.get(), "hello", 5), 5);
  from.write.Reset();
  const auto copied = kernel::ReadAll(to.read.get(), 100, "pipe");
  ASSERT_TRUE(copied.ok());
  EXPECT_EQ(*copied, "hello");
  copier->Join();
  EXPECT_TRUE(ended);
}

TEST(StreamCopierTest, CancelEndsAWaitingCopier) {
  Pipe from = MakePipe();
  Pipe to = MakePipe();
  bool ended = false;
  StreamCopier::Ends ends;
  ends.from = from.read.get();
  ends.to = to.write.get();
  ends.at_end = [&] { ended = true; };
  absl::StatusOr<StreamCopier> copier = StreamCopier::Start(std::move(ends));
  ASSERT_THAT(copier, IsOk());
  *copier = StreamCopier();
  EXPECT_FALSE(ended);
}

// A copier of what is in `from` to the pipe `fifos` has for input.
absl::StatusOr<StreamCopier> CopyIn(FifoSet& fifos, int from, bool& ended) {
  StreamCopier::Ends ends;
  ends.from = from;
  ends.owned_to = fifos.OpenIn();
  ends.to = ends.owned_to.get();
  ends.awaits_reader = true;
  ends.at_end = [&ended] { ended = true; };
  return StreamCopier::Start(std::move(ends));
}

bool EndsWithin(const StreamCopier& copier, int milliseconds) {
  pollfd ended{.fd = copier.ended_fd(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, milliseconds) > 0;
}

TEST(StreamCopierTest, NothingIsLostToAReaderThatComesLate) {
  const testing::TempDir root;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", true);
  ASSERT_THAT(fifos, IsOk());
  Pipe from = MakePipe();
  ASSERT_EQ(::write(from.write.get(), "hello", 5), 5);
  from.write.Reset();
  bool ended = false;
  absl::StatusOr<StreamCopier> copier = CopyIn(*fifos, from.read.get(), ended);
  ASSERT_THAT(copier, IsOk());
  EXPECT_FALSE(EndsWithin(*copier, 50));
  const auto reader = kernel::Open(fifos->in(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_TRUE(reader.ok());
  copier->Join();
  EXPECT_TRUE(ended);
  const auto copied = kernel::ReadAll(reader->get(), 100, "pipe");
  ASSERT_TRUE(copied.ok());
  EXPECT_EQ(*copied, "hello");
}

TEST(StreamCopierTest, CancelEndsTheWaitForAReader) {
  const testing::TempDir root;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", true);
  ASSERT_THAT(fifos, IsOk());
  Pipe from = MakePipe();
  from.write.Reset();  // at its end: nothing else to wait for
  bool ended = false;
  absl::StatusOr<StreamCopier> copier = CopyIn(*fifos, from.read.get(), ended);
  ASSERT_THAT(copier, IsOk());
  EXPECT_FALSE(EndsWithin(*copier, 50));
  *copier = StreamCopier();
  EXPECT_FALSE(ended);
}

TEST(StreamCopierTest, AReaderThatLeavesEndsTheCopyingAlone) {
  const testing::TempDir root;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", true);
  ASSERT_THAT(fifos, IsOk());
  auto reader = kernel::Open(fifos->in(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_TRUE(reader.ok());
  Pipe from = MakePipe();
  bool ended = false;
  absl::StatusOr<StreamCopier> copier = CopyIn(*fifos, from.read.get(), ended);
  ASSERT_THAT(copier, IsOk());
  ASSERT_EQ(::write(from.write.get(), "x", 1), 1);
  pollfd arrived{.fd = reader->get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&arrived, 1, 10'000), 1);
  reader->Reset();
  ASSERT_EQ(::write(from.write.get(), "y", 1), 1);
  copier->Join();
  EXPECT_FALSE(ended);
}

TEST(StreamCopierTest, CancelEndsACopierWhoseReaderIsStuck) {
  const std::string much(size_t{256} << 10, 'x');
  Pipe from = MakePipe();
  ASSERT_GE(::fcntl(from.write.get(), F_SETPIPE_SZ, static_cast<int>(much.size())), 0);
  ASSERT_EQ(::write(from.write.get(), much.data(), much.size()), static_cast<ssize_t>(much.size()));
  Pipe to = MakePipe();  // blocking, and nobody reads
  StreamCopier::Ends ends;
  ends.from = from.read.get();
  ends.to = to.write.get();
  absl::StatusOr<StreamCopier> copier = StreamCopier::Start(std::move(ends));
  ASSERT_THAT(copier, IsOk());
  EXPECT_FALSE(EndsWithin(*copier, 50));
  *copier = StreamCopier();
  int rest = 0;
  ASSERT_EQ(::ioctl(from.read.get(), FIONREAD, &rest), 0);
  EXPECT_GT(rest, 0);
}

TEST(ProcessIoTest, OnlySignalsToEndCutOffTheOutput) {
  absl::StatusOr<SignalSource> signals = SignalSource::Make();
  ASSERT_THAT(signals, IsOk());
  signals->Take();
  const testing::TempDir root;
  absl::StatusOr<ProcessIo> io =
      ProcessIo::Make({.terminal = true, .fifo_dir = root.path().string()}, "id");
  ASSERT_THAT(io, IsOk());
  auto writer = kernel::Open(io->out(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_TRUE(writer.ok());
  ASSERT_THAT(io->StartOutput(), IsOk());
  ASSERT_EQ(::kill(::getpid(), SIGWINCH), 0);
  std::atomic<bool> finished = false;
  std::thread finishing([&] {
    io->FinishOutput(*signals);
    finished = true;
  });
  ::poll(nullptr, 0, 50);
  EXPECT_FALSE(finished);
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  finishing.join();
}

TEST(SignalSourceTest, TakenSignalsWaitToBeRead) {
  absl::StatusOr<SignalSource> source = SignalSource::Make();
  ASSERT_THAT(source, IsOk());
  source->Take();
  ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
  EXPECT_EQ(source->Next(), SIGUSR1);
  EXPECT_EQ(source->Next(), std::nullopt);
}

TEST(IoSettingsTest, ContradictionsAreRefused) {
  EXPECT_THAT(CheckIoSettings({.terminal = true, .null = true}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckIoSettings({.terminal = true, .log_uri = "file:///x"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckIoSettings({.log_uri = "/x"}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CheckIoSettings({.log_uri = "binary:///x?a=b"}), IsOk());
}

}  // namespace
}  // namespace gantry::gctr

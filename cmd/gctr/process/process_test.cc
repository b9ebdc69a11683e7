// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <string>
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

TEST(StreamCopierTest, NothingIsLostToAReaderThatComesLate) {
  const testing::TempDir root;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", true);
  ASSERT_THAT(fifos, IsOk());
  Pipe from = MakePipe();
  ASSERT_EQ(::write(from.write.get(), "hello", 5), 5);
  from.write.Reset();
  bool ended = false;
  StreamCopier::Ends ends;
  ends.from = from.read.get();
  ends.owned_to = fifos->OpenIn();
  ends.to = ends.owned_to.get();
  ends.awaits_reader = true;
  ends.at_end = [&] { ended = true; };
  absl::StatusOr<StreamCopier> copier = StreamCopier::Start(std::move(ends));
  ASSERT_THAT(copier, IsOk());
  ::usleep(50'000);  // a copier that does not wait has written and ended by then
  const auto reader = kernel::Open(fifos->in(), O_RDONLY | O_CLOEXEC);
  ASSERT_TRUE(reader.ok());
  const auto copied = kernel::ReadAll(reader->get(), 100, "pipe");
  ASSERT_TRUE(copied.ok());
  EXPECT_EQ(*copied, "hello");
  copier->Join();
  EXPECT_TRUE(ended);
}

TEST(StreamCopierTest, CancelEndsTheWaitForAReader) {
  const testing::TempDir root;
  absl::StatusOr<FifoSet> fifos = FifoSet::Make(root.path(), "id", true);
  ASSERT_THAT(fifos, IsOk());
  Pipe from = MakePipe();
  bool ended = false;
  StreamCopier::Ends ends;
  ends.from = from.read.get();
  ends.owned_to = fifos->OpenIn();
  ends.to = ends.owned_to.get();
  ends.awaits_reader = true;
  ends.at_end = [&] { ended = true; };
  absl::StatusOr<StreamCopier> copier = StreamCopier::Start(std::move(ends));
  ASSERT_THAT(copier, IsOk());
  *copier = StreamCopier();
  EXPECT_FALSE(ended);
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

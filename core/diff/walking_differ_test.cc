// SPDX-License-Identifier: Apache-2.0
#include "core/diff/walking_differ.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "core/archive/testing/compare_fixture.h"
#include "core/archive/testing/overlay_mount.h"
#include "core/archive/testing/tar_builder.h"
#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/compression/layer_media_type.h"
#include "core/compression/testing/streams.h"
#include "core/content/ingest_writer.h"
#include "core/content/local_backend.h"
#include "core/events/testing/recording_publisher.h"
#include "core/kernel/testing/require.h"

namespace {

// Files of ingests that were forced to disk. This binary's fsync() comes before the C library's.
std::atomic<int> ingest_flushes = 0;

}  // namespace

extern "C" int fsync(int fd) {
  std::error_code unknown;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), unknown);
  if (path.native().find("/content/ingest/") != std::string::npos) ++ingest_flushes;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace gantry::diff {
namespace {

using archive::Exists;
using archive::Path;
using archive::ReadText;
using archive::StatOf;
using archive::TarBuilder;
using archive::WriteText;
using compression::Algorithm;
using ::gantry::testing::Compressed;
using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using std::filesystem::create_directories;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kUncompressed[] = "containerd.io/uncompressed";

class WalkingDifferTest : public ::testing::Test {
 protected:
  void SetUp() override {
    gantry::testing::RequirePrivateMounts();
    if (IsSkipped()) return;
    auto metadata = metadata::Metadata::Open(
        {.db = {.path = temp_.path() / "db", .map_size_bytes = uint64_t{1} << 28}}, clock_);
    ASSERT_THAT(metadata, IsOk());
    metadata_ = *std::move(metadata);
    auto backend = content::LocalBackend::Open(temp_.path() / "content", clock_);
    ASSERT_THAT(backend, IsOk());
    backend_ = *std::move(backend);
    store_ = std::make_unique<content::ContentStore>(*metadata_, *backend_, events_);
    auto temp_mounts = mount::TempMounts::Open(temp_.path() / "tmpmounts");
    ASSERT_THAT(temp_mounts, IsOk());
    temp_mounts_.emplace(*std::move(temp_mounts));
    MakeDiffer({});
    for (const char* name : {"lower", "lower2", "upper", "work", "bind"}) {
      create_directories(temp_.path() / name);
    }
  }

  void TearDown() override {
    if (IsSkipped()) return;
    // Nothing stays mounted.
    EXPECT_TRUE(std::filesystem::is_empty(temp_mounts_->directory()));
  }

  void MakeDiffer(WalkingDiffer::Options options) {
    differ_ = std::make_unique<WalkingDiffer>(*store_, *temp_mounts_, std::move(options));
  }

  Descriptor Add(const std::string& bytes, std::string media_type) {
    auto writer = store_->OpenWriter(ctx_, {.ref = "add"});
    EXPECT_THAT(writer, IsOk());
    EXPECT_THAT((*writer)->Write(bytes), IsOk());
    const auto digest = (*writer)->Commit(ctx_, 0, {}, {});
    EXPECT_TRUE(digest.ok() || absl::IsAlreadyExists(digest.status()));
    return {.media_type = std::move(media_type),
            .digest = Digest::Of(bytes).str(),
            .size = static_cast<int64_t>(bytes.size())};
  }
  Descriptor AddTar(const TarBuilder& tar) {
    return Add(tar.Done(), std::string(compression::kOciLayer));
  }

  Path Dir(const std::string& name) { return temp_.path() / name; }
  mount::Mounts Bind(const std::string& name, const std::string& mode = "rw") {
    return {{.type = "bind", .source = Dir(name), .target = "", .options = {mode, "rbind"}}};
  }
  // The layers over which an active snapshot stands, and it itself.
  std::string Lower() { return Dir("lower2").string() + ":" + Dir("lower").string(); }
  mount::Mounts View() {
    return {{.type = "overlay",
             .source = "overlay",
             .target = "",
             .options = {"index=off", "lowerdir=" + Lower()}}};
  }
  mount::Mounts Active(const std::string& index = "index=off") {
    return {{.type = "overlay",
             .source = "overlay",
             .target = "",
             .options = {index, "workdir=" + Dir("work").string(),
                         "upperdir=" + Dir("upper").string(), "lowerdir=" + Lower()}}};
  }

  absl::StatusOr<Descriptor> Compare(const mount::Mounts& left, const mount::Mounts& right,
                                     const CompareOptions& options = {}) {
    return differ_->Compare(ctx_, left, right, options);
  }
  std::string Blob(const Descriptor& descriptor) {
    auto reader = store_->Open(ctx_, descriptor.digest);
    EXPECT_THAT(reader, IsOk());
    std::string bytes(static_cast<size_t>((*reader)->size()), '\0');
    EXPECT_THAT((*reader)->ReadAt(0, bytes), IsOk());
    return bytes;
  }
  std::vector<std::string> EntriesIn(const absl::StatusOr<Descriptor>& layer) {
    EXPECT_THAT(layer, IsOk());
    return layer.ok() ? archive::EntriesOf(gantry::testing::Decompressed(Blob(*layer)))
                      : std::vector<std::string>();
  }
  Labels LabelsOf(const Descriptor& descriptor) {
    const auto info = store_->Get(ctx_, descriptor.digest);
    EXPECT_THAT(info, IsOk());
    return info.ok() ? info->labels : Labels();
  }

  gantry::testing::TempDir temp_;
  base::FakeClock clock_;
  events::RecordingPublisher events_;
  std::unique_ptr<metadata::Metadata> metadata_;
  std::unique_ptr<content::LocalBackend> backend_;
  std::unique_ptr<content::ContentStore> store_;
  std::optional<mount::TempMounts> temp_mounts_;
  std::unique_ptr<WalkingDiffer> differ_;
  const Context ctx_{.ns = "test"};
};

TEST_F(WalkingDifferTest, ApplyTellsTheDiffIdOfPlainGzipAndZstdLayers) {
  const std::string tar = TarBuilder().File("f", std::string(600'000, 'x')).Done();
  for (const auto& [algorithm, type] : {std::pair{Algorithm::kNone, compression::kOciLayer},
                                        std::pair{Algorithm::kGzip, compression::kOciLayerGzip},
                                        std::pair{Algorithm::kZstd, compression::kOciLayerZstd}}) {
    const Descriptor layer = Add(Compressed(algorithm, tar).value_or(""), std::string(type));
    const auto applied = differ_->Apply(ctx_, layer, Bind("bind"), {});
    ASSERT_THAT(applied, IsOk());
    EXPECT_EQ(applied->media_type, compression::kOciLayer);
    EXPECT_EQ(applied->digest, Digest::Of(tar).str());
    EXPECT_EQ(applied->size, static_cast<int64_t>(tar.size()));
    EXPECT_EQ(StatOf(Dir("bind") / "f").st_size, 600'000);
  }
}

TEST_F(WalkingDifferTest, TheDiffIdCoversWhatFollowsTheEndMarker) {
  for (const std::string& tar :
       {TarBuilder().File("f").bytes() + std::string(512, '\0'), TarBuilder().File("f").bytes(),
        TarBuilder().File("f").Done() + std::string(3'000'000, '\0') + "garbage",
        std::string(1024, '\0')}) {
    const auto applied =
        differ_->Apply(ctx_, Add(tar, std::string(compression::kOciLayer)), Bind("bind"), {});
    ASSERT_THAT(applied, IsOk());
    EXPECT_EQ(applied->digest, Digest::Of(tar).str());
  }
}

TEST_F(WalkingDifferTest, ApplyErrors) {
  EXPECT_THAT(differ_->Apply(ctx_,
                             {.media_type = std::string(compression::kOciLayer),
                              .digest = Digest::Of("absent").str()},
                             Bind("bind"), {}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(differ_->Apply(ctx_, Add("{}", "application/json"), Bind("bind"), {}),
              StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(
      differ_->Apply(ctx_, Add("not a tar", std::string(compression::kOciLayer)), Bind("bind"), {}),
      StatusIs(absl::StatusCode::kDataLoss));
  const std::string gzip =
      Compressed(Algorithm::kGzip, TarBuilder().File("f", std::string(100'000, 'x')).Done())
          .value_or("");
  EXPECT_THAT(
      differ_->Apply(
          ctx_, Add(gzip.substr(0, gzip.size() - 4), "application/vnd.oci.image.layer.v1.tar+gzip"),
          Bind("bind"), {}),
      StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(differ_->Apply(ctx_, AddTar(TarBuilder().File("f")), {}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_FALSE(differ_->Apply(ctx_, AddTar(TarBuilder().File("f")), Bind("bind", "ro"), {}).ok());
}

TEST_F(WalkingDifferTest, AnOverlayGetsNativeMarksAndABindDeletions) {
  WriteText(Dir("lower") / "gone", "x");
  WriteText(Dir("bind") / "gone", "x");
  create_directories(Dir("lower") / "like");
  ASSERT_EQ(::chmod((Dir("lower") / "like").c_str(), 01777), 0);
  const Descriptor layer =
      AddTar(TarBuilder().File(".wh.gone").File("o/.wh..wh..opq").File("like/new"));
  ASSERT_THAT(differ_->Apply(ctx_, layer, Active(), {}), IsOk());
  EXPECT_TRUE(S_ISCHR(StatOf(Dir("upper") / "gone").st_mode));
  EXPECT_EQ(archive::XattrOf(Dir("upper") / "o", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(StatOf(Dir("upper") / "like").st_mode & 07777, 01777u);
  ASSERT_THAT(differ_->Apply(ctx_, layer, Bind("bind"), {}), IsOk());
  EXPECT_FALSE(Exists(Dir("bind") / "gone"));
}

TEST_F(WalkingDifferTest, OtherMountsAreMadeForTheTime) {
  // Two mounts: a bind, and another one on a directory in it.
  create_directories(Dir("bind") / "sub");
  mount::Mounts mounts = Bind("bind");
  mounts.push_back(
      {.type = "bind", .source = Dir("upper"), .target = "sub", .options = {"rw", "rbind"}});
  ASSERT_THAT(
      differ_->Apply(ctx_, AddTar(TarBuilder().File("a").File("sub/b")), mounts, {.sync_fs = true}),
      IsOk());
  EXPECT_TRUE(Exists(Dir("bind") / "a"));
  EXPECT_TRUE(Exists(Dir("upper") / "b"));
}

TEST_F(WalkingDifferTest, MountsAreActivatedFirst) {
  const mount::Mounts two = {{.type = "format/x"}, {.type = "mkdir/y"}};
  std::vector<size_t> asked;
  MakeDiffer(
      {.activate = [&](const Context&,
                       const mount::Mounts& mounts) -> absl::StatusOr<mount::ScopedActivation> {
        asked.push_back(mounts.size());
        if (!mounts.empty() && mounts.front().type == "broken") return Internal("no loop device");
        return mount::ScopedActivation(mounts.size() == 2 ? Bind("bind") : mounts);
      }});
  ASSERT_THAT(differ_->Apply(ctx_, AddTar(TarBuilder().File("a")), two, {}), IsOk());
  EXPECT_TRUE(Exists(Dir("bind") / "a"));
  ASSERT_THAT(differ_->Compare(ctx_, {}, two, {}), IsOk());
  EXPECT_THAT(asked, ElementsAre(2, 0, 2));
  EXPECT_THAT(differ_->Apply(ctx_, AddTar(TarBuilder().File("b")), {{.type = "broken"}}, {}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("no loop device")));
}

TEST_F(WalkingDifferTest, AStreamProcessorsFailureReachesTheCaller) {
  const std::string type = "application/vnd.oci.image.layer.v1.tar+encrypted";
  MakeDiffer({.processors = {{"decrypt",
                              {.accepts = {type},
                               .returns = std::string(compression::kOciLayer),
                               .path = "/bin/sh",
                               .args = {"-c",
                                        "cat; [ \"$(cat <&3)\" = key ] || { echo no key >&2; "
                                        "exit 1; }"},
                               .env = {}}}}});
  const std::string tar = TarBuilder().File("f", "x").Done();
  const Descriptor layer = Add(tar, type);
  const auto applied =
      differ_->Apply(ctx_, layer, Bind("bind"), {.payloads = {{"decrypt", "key"}}});
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(applied->digest, Digest::Of(tar).str());
  EXPECT_THAT(differ_->Apply(ctx_, layer, Bind("bind"), {.payloads = {{"decrypt", "wrong"}}}),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("no key")));
}

TEST_F(WalkingDifferTest, BombsAreStopped) {
  const std::string tar = TarBuilder().File("zeros", std::string(8 << 20, '\0')).Done();
  const Descriptor layer =
      Add(Compressed(Algorithm::kGzip, tar).value_or(""), std::string(compression::kOciLayerGzip));
  MakeDiffer({.limits = {.max_bytes = 4 << 20}});
  EXPECT_THAT(differ_->Apply(ctx_, layer, Bind("bind"), {}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  MakeDiffer({.limits = {.max_ratio = 100}});
  EXPECT_THAT(differ_->Apply(ctx_, layer, Bind("bind"), {}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  MakeDiffer({.limits = {.max_inodes = 2}});
  EXPECT_THAT(
      differ_->Apply(ctx_, AddTar(TarBuilder().File("a").File("b").File("c")), Bind("bind"), {}),
      StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(WalkingDifferTest, ProgressEndsAtTheBlobsSize) {
  const Descriptor layer = AddTar(TarBuilder().File("f", std::string(2 << 20, 'x')));
  std::vector<int64_t> seen;
  ASSERT_THAT(differ_->Apply(ctx_, layer, Bind("bind"),
                             {.progress = [&](int64_t bytes) { seen.push_back(bytes); }}),
              IsOk());
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), layer.size);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST_F(WalkingDifferTest, CancellationStopsAnApply) {
  std::stop_source stop;
  stop.request_stop();
  Context ctx = ctx_;
  ctx.stop = stop.get_token();
  EXPECT_THAT(differ_->Apply(ctx, AddTar(TarBuilder().File("f")), Bind("bind"), {}),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(WalkingDifferTest, CompareKnowsThreeMediaTypes) {
  WriteText(Dir("upper") / "f", "x");
  const auto left = View();
  for (const auto& [asked, given] :
       {std::pair{std::string_view(), compression::kOciLayerGzip},
        std::pair{compression::kOciLayerGzip, compression::kOciLayerGzip},
        std::pair{compression::kOciLayerZstd, compression::kOciLayerZstd},
        std::pair{compression::kOciLayer, compression::kOciLayer}}) {
    const auto diff = Compare(left, Active(), {.media_type = std::string(asked)});
    ASSERT_THAT(diff, IsOk());
    EXPECT_EQ(diff->media_type, given);
    const std::string blob = Blob(*diff);
    EXPECT_EQ(diff->size, static_cast<int64_t>(blob.size()));
    const auto tar = gantry::testing::Decompressed(blob);
    EXPECT_THAT(archive::EntriesOf(tar), ElementsAre("f 644 : x"));
    const Labels labels = LabelsOf(*diff);
    if (given == compression::kOciLayer) {
      EXPECT_FALSE(labels.contains(kUncompressed));
    } else {
      EXPECT_EQ(labels.at(kUncompressed), Digest::Of(*tar).str());
    }
  }
  EXPECT_THAT(Compare(left, Active(), {.media_type = "application/json"}),
              StatusIs(absl::StatusCode::kUnimplemented));
}

TEST_F(WalkingDifferTest, BothWaysOfComparingGiveOneLayer) {
  create_directories(Dir("lower") / "d");
  WriteText(Dir("lower") / "d/gone", "x");
  WriteText(Dir("lower2") / "kept", "x");
  ASSERT_THAT(differ_->Apply(ctx_, AddTar(TarBuilder().File("d/.wh.gone").File("d/new", "n")),
                             Active(), {}),
              IsOk());
  const auto fast = Compare(View(), Active());
  // Without the promise that there is no index, the mounts are compared.
  const auto slow = Compare(View(), Active("xino=off"));
  EXPECT_THAT(EntriesIn(fast), ElementsAre("d/ 755", "d/.wh.gone 0", "d/new 644 : n"));
  ASSERT_THAT(slow, IsOk());
  EXPECT_EQ(fast->digest, slow->digest);
}

TEST_F(WalkingDifferTest, MarksThatOnlyTheKernelKnowsAreLeftToIt) {
  create_directories(Dir("lower") / "d");
  WriteText(Dir("lower") / "d/f", "x");
  {
    const Path merged = Dir("merged");
    create_directories(merged);
    const std::string options = "index=off,redirect_dir=on,upperdir=" + Dir("upper").string() +
                                ",workdir=" + Dir("work").string() + ",lowerdir=" + Lower();
    ASSERT_EQ(::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()), 0);
    ASSERT_EQ(::rename((merged / "d").c_str(), (merged / "e").c_str()), 0);
    ASSERT_EQ(::umount2(merged.c_str(), 0), 0);
  }
  mount::Mounts right = Active();
  right.front().options.push_back("redirect_dir=on");
  EXPECT_THAT(EntriesIn(Compare(View(), right)), ElementsAre(".wh.d 0", "e/ 755", "e/f 644 : x"));
}

TEST_F(WalkingDifferTest, BindsAndEmptyListsCompareToo) {
  WriteText(Dir("bind") / "f", "x");
  EXPECT_THAT(EntriesIn(Compare(Bind("upper"), Bind("bind"))), ElementsAre("f 644 : x"));
  EXPECT_THAT(EntriesIn(Compare({}, Bind("bind"))), ElementsAre("f 644 : x"));
  EXPECT_THAT(Compare(Bind("bind"), {}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(WalkingDifferTest, SourceDateEpochMakesDiffsEqual) {
  WriteText(Dir("upper") / "f", "x");
  CompareOptions options = {.source_date_epoch = absl::FromUnixSeconds(1000)};
  const auto one = Compare(View(), Active(), options);
  archive::SetMtime(Dir("upper") / "f", 2'000'000'000);
  const auto other = Compare(View(), Active(), options);
  ASSERT_THAT(one, IsOk());
  ASSERT_THAT(other, IsOk());
  EXPECT_EQ(one->digest, other->digest);
}

TEST_F(WalkingDifferTest, LabelsAreStoredAndTheMissingOneIsAddedToABlobThatIsThere) {
  WriteText(Dir("upper") / "f", "x");
  const auto diff = Compare(View(), Active(), {.labels = {{"k", "v"}}});
  ASSERT_THAT(diff, IsOk());
  EXPECT_EQ(LabelsOf(*diff).at("k"), "v");
  ASSERT_THAT(store_->Update(ctx_, diff->digest, {}, {}), IsOk());
  ASSERT_FALSE(LabelsOf(*diff).contains(kUncompressed));
  const auto again = Compare(View(), Active());
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->digest, diff->digest);
  EXPECT_TRUE(LabelsOf(*diff).contains(kUncompressed));
}

TEST_F(WalkingDifferTest, ACallersIngestStartsFromEmptyAndIsKeptOnFailure) {
  WriteText(Dir("upper") / "f", "x");
  {
    auto writer = store_->OpenWriter(ctx_, {.ref = "mine"});
    ASSERT_THAT(writer, IsOk());
    ASSERT_THAT((*writer)->Write("leftover"), IsOk());
    EXPECT_THAT(Compare(View(), Active(), {.ref = "mine"}),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_FALSE(Compare(View(), {}, {.ref = "mine"}).ok());
  EXPECT_THAT(store_->Status(ctx_, "mine"), IsOk());
  EXPECT_THAT(EntriesIn(Compare(View(), Active(), {.ref = "mine"})), ElementsAre("f 644 : x"));
}

TEST_F(WalkingDifferTest, AnIngestOfOurOwnIsAbortedOnFailure) {
  const int before = ingest_flushes;
  EXPECT_FALSE(Compare(View(), {}).ok());
  const auto left = store_->ListStatuses(ctx_);
  ASSERT_THAT(left, IsOk());
  EXPECT_TRUE(left->empty());
  EXPECT_EQ(ingest_flushes, before) << "it was flushed only to be removed";
}

TEST_F(WalkingDifferTest, WhatCompareWritesAppliesBack) {
  create_directories(Dir("upper") / "d");
  WriteText(Dir("upper") / "d/f", gantry::testing::SampleText(3'000'000));
  archive::SetMtime(Dir("upper") / "d/f", 1000);
  archive::SetMtime(Dir("upper") / "d", 1000);
  for (const std::string_view type :
       {compression::kOciLayer, compression::kOciLayerGzip, compression::kOciLayerZstd}) {
    const auto diff = Compare(View(), Active(), {.media_type = std::string(type)});
    ASSERT_THAT(diff, IsOk());
    const auto applied = differ_->Apply(ctx_, *diff, Bind("bind"), {});
    ASSERT_THAT(applied, IsOk());
    EXPECT_EQ(archive::ListTree(Dir("bind")), archive::ListTree(Dir("upper")));
  }
}

}  // namespace
}  // namespace gantry::diff

// SPDX-License-Identifier: Apache-2.0
// A content store over a database and a folder of its own.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "core/base/testing/fake_clock.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/content/content_store.h"
#include "core/content/ingest_writer.h"
#include "core/content/local_backend.h"
#include "core/events/testing/recording_publisher.h"
#include "gtest/gtest.h"

namespace gantry::content {

class StoreFixture : public ::testing::Test {
 protected:
  // `content` is the name of its folder.
  explicit StoreFixture(const std::string& content = "content")
      : content_(std::filesystem::canonical(dir_.path()) / content) {}

  void SetUp() override { Open(true); }

  // As a daemon's start, on what the last one left.
  void Open(bool shared) {
    store_.reset();
    backend_.reset();
    metadata_.reset();
    auto metadata = metadata::Metadata::Open(
        {.db = {.path = dir_.path() / "db", .map_size_bytes = uint64_t{1} << 28},
         .content_shared = shared},
        clock_);
    ASSERT_THAT(metadata, testing::IsOk());
    metadata_ = *std::move(metadata);
    auto backend = LocalBackend::Open(content_, clock_);
    ASSERT_THAT(backend, testing::IsOk());
    backend_ = *std::move(backend);
    store_ = std::make_unique<ContentStore>(*metadata_, *backend_, events_);
  }

  std::unique_ptr<IngestWriter> MustOpen(const Context& ctx, const WriteOptions& options) {
    auto writer = store_->OpenWriter(ctx, options);
    EXPECT_THAT(writer, testing::IsOk());
    return writer.ok() ? *std::move(writer) : nullptr;
  }

  Digest Add(const Context& ctx, const std::string& bytes) {
    const auto writer = MustOpen(ctx, {.ref = "add-" + bytes});
    EXPECT_THAT(writer->Write(bytes), testing::IsOk());
    const auto digest = writer->Commit(ctx, 0, {}, {});
    EXPECT_THAT(digest, testing::IsOk());
    return digest.ok() ? *digest : Digest();
  }

  std::filesystem::path BlobFile(const Digest& digest) const {
    return content_ / "blobs/sha256" / digest.hex();
  }

  testing::TempDir dir_;
  const std::filesystem::path content_;
  base::FakeClock clock_;
  events::RecordingPublisher events_;
  std::unique_ptr<metadata::Metadata> metadata_;
  std::unique_ptr<LocalBackend> backend_;
  std::unique_ptr<ContentStore> store_;
  const Context a_{.ns = "a"};
  const Context b_{.ns = "b"};
};

}  // namespace gantry::content

// SPDX-License-Identifier: Apache-2.0
#include "core/images/import/archive_import.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/archive/tar_writer.h"
#include "core/base/status.h"
#include "core/base/testing/matchers.h"
#include "core/base/testing/temp_dir.h"
#include "core/compression/compression.h"
#include "core/images/import/folder_archive.h"
#include "core/images/import/import_names.h"
#include "core/imagespec/documents.h"
#include "core/imagespec/media_types.h"

namespace gantry::images {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class MemorySink final : public BlobSink {
 public:
  absl::StatusOr<Descriptor> Store(const std::string&, std::optional<uint64_t> size,
                                   const Labels& labels, Reader& content) override {
    std::string blob;
    std::string piece(100, '\0');
    for (size_t count = 1; count > 0;) {
      ASSIGN_OR_RETURN(count, content.Read(piece));
      blob.append(piece, 0, count);
    }
    EXPECT_TRUE(!size || *size == blob.size());
    const std::string digest = Digest::Of(blob).str();
    if (const auto diff_id = labels.find("containerd.io/uncompressed"); diff_id != labels.end()) {
      compressed[diff_id->second] = digest;
    }
    blobs[digest] = {blob, labels};
    return Descriptor{
        .media_type = "", .digest = digest, .size = static_cast<int64_t>(blob.size())};
  }

  absl::StatusOr<std::unique_ptr<Reader>> Open(const Descriptor& blob) override {
    return std::make_unique<ViewReader>(blobs.at(blob.digest).first);
  }

  absl::StatusOr<std::optional<Descriptor>> FindCompressed(const std::string& diff_id) override {
    const auto found = compressed.find(diff_id);
    if (found == compressed.end()) return std::nullopt;
    return Descriptor{.media_type = "", .digest = found->second, .size = 1};
  }

  std::vector<imagespec::Child> Children(const Descriptor& document) const {
    return imagespec::ParseChildren(document.media_type, blobs.at(document.digest).first).value();
  }

  std::map<std::string, std::pair<std::string, Labels>> blobs;
  std::map<std::string, std::string> compressed;
};

using Files = std::vector<std::pair<std::string, std::string>>;

std::string Tar(const Files& files, const Files& links = {}) {
  StringWriter out;
  archive::TarWriter tar(out);
  for (const auto& [name, content] : files) {
    EXPECT_THAT(tar.WriteHeader({.name = name, .mode = 0644, .size = content.size()}), IsOk());
    EXPECT_THAT(tar.WriteContent(content), IsOk());
  }
  for (const auto& [name, target] : links) {
    EXPECT_THAT(
        tar.WriteHeader({.type = archive::EntryType::kSymlink, .name = name, .link = target}),
        IsOk());
  }
  EXPECT_THAT(tar.Finish(), IsOk());
  return out.text();
}

absl::StatusOr<Descriptor> Import(const std::string& tar, MemorySink& sink,
                                  const ArchiveImportOptions& options = {}) {
  ViewReader reader(tar);
  BufferedBlockReader blocks(reader, 1000);
  return ImportArchive(blocks, sink, options);
}

const char* const kConfig = R"({"os":"linux","architecture":"arm64","rootfs":{"type":"layers"}})";

std::string ManifestJson(const std::string& tags, const std::string& layers) {
  return R"([{"Config":"c.json","RepoTags":[)" + tags + R"(],"Layers":[)" + layers + "]}]";
}

TEST(ArchiveImportTest, OciLayoutYieldsItsIndex) {
  MemorySink sink;
  const std::string index = R"({"schemaVersion":2,"manifests":[]})";
  const absl::StatusOr<Descriptor> root =
      Import(Tar({{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
                  {"./index.json", index},
                  {"manifest.json", "[]"},
                  {"blobs/sha256/wrong-name", "content"}}),
             sink);
  ASSERT_THAT(root, IsOk());
  EXPECT_EQ(root->media_type, imagespec::kOciIndex);
  EXPECT_EQ(root->digest, Digest::Of(index).str());
  EXPECT_TRUE(sink.blobs.contains(Digest::Of("content").str()));
}

TEST(FolderArchiveTest, LayoutInAFolderIsReadAsAnArchive) {
  const testing::TempDir folder;
  const std::string index = R"({"schemaVersion":2,"manifests":[]})";
  const std::string large(1'000'000, 'x');
  std::filesystem::create_directories(folder.path() / "blobs/sha256");
  std::filesystem::create_symlink("/etc/passwd", folder.path() / "blobs/sha256/link");
  for (const auto& [name, content] : Files{{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
                                           {"index.json", index},
                                           {"blobs/sha256/large", large},
                                           {"blobs/sha256/empty", ""}}) {
    std::ofstream(folder.path() / name) << content;
  }
  MemorySink sink;
  absl::StatusOr<std::unique_ptr<Reader>> archive = OpenFolderArchive(folder.path().string());
  ASSERT_THAT(archive, IsOk());
  BufferedBlockReader blocks(**archive, 1000);
  const absl::StatusOr<Descriptor> root = ImportArchive(blocks, sink);
  ASSERT_THAT(root, IsOk());
  EXPECT_EQ(root->digest, Digest::Of(index).str());
  EXPECT_TRUE(sink.blobs.contains(Digest::Of(large).str()));
  EXPECT_EQ(sink.blobs.size(), 3U);  // with the empty file, without what the link leads to
}

TEST(FolderArchiveTest, FileThatShrinksIsTold) {
  const testing::TempDir folder;
  const std::filesystem::path file = folder.path() / "shrinks";
  std::ofstream(file) << std::string(600'000, 'x');
  absl::StatusOr<std::unique_ptr<Reader>> archive = OpenFolderArchive(folder.path().string());
  ASSERT_THAT(archive, IsOk());
  std::string piece(1000, '\0');
  ASSERT_THAT((*archive)->Read(piece), IsOk());
  std::filesystem::resize_file(file, 300'000);
  absl::StatusOr<size_t> count = 1;
  while (count.ok() && *count > 0) count = (*archive)->Read(piece);
  EXPECT_THAT(count, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("early")));
  EXPECT_THAT(OpenFolderArchive("/nowhere"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ArchiveImportTest, DockerArchiveBecomesManifestsWithNames) {
  MemorySink sink;
  const absl::StatusOr<Descriptor> root =
      Import(Tar({{"manifest.json",
                   ManifestJson(R"("app","a.b/c:2")", R"("l1/layer.tar","l2/layer.tar")")},
                  {"c.json", kConfig},
                  {"l1/layer.tar", "first layer"},
                  {"l1/json", "{}"}},
                 {{"l2/layer.tar", "../l1/layer.tar"}}),
             sink);
  ASSERT_THAT(root, IsOk());
  const std::vector<imagespec::Child> images = sink.Children(*root);
  ASSERT_EQ(images.size(), 2U);
  EXPECT_EQ(FormatPlatform(images[0].platform.value_or(Platform{})), "linux/arm64");
  EXPECT_EQ(images[0].descriptor.annotations.at("io.containerd.image.name"),
            "docker.io/library/app:latest");
  EXPECT_EQ(images[1].descriptor.annotations.at("org.opencontainers.image.ref.name"), "2");
  const std::vector<imagespec::Child> parts = sink.Children(images[0].descriptor);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].descriptor.digest, Digest::Of(kConfig).str());
  EXPECT_EQ(parts[2].descriptor.digest, Digest::Of("first layer").str());
  EXPECT_EQ(parts[2].descriptor.media_type, imagespec::kDockerLayer);
  EXPECT_EQ(
      sink.blobs.at(images[0].descriptor.digest).second.at("containerd.io/gc.ref.content.l.1"),
      Digest::Of("first layer").str());
}

TEST(ArchiveImportTest, PlainLayersAreCompressedOnRequest) {
  MemorySink sink;
  const absl::StatusOr<Descriptor> root =
      Import(Tar({{"manifest.json", ManifestJson("", R"("layer.tar")")},
                  {"c.json", kConfig},
                  {"layer.tar", std::string(300'000, 'x')}}),
             sink, {.compress = true});
  ASSERT_THAT(root, IsOk());
  const std::vector<imagespec::Child> images = sink.Children(*root);
  ASSERT_EQ(images.size(), 1U);
  const Descriptor layer = sink.Children(images[0].descriptor).back().descriptor;
  EXPECT_EQ(layer.media_type, imagespec::kDockerLayerGzip);
  EXPECT_LT(layer.size, 10'000);
  EXPECT_EQ(compression::Detect(sink.blobs.at(layer.digest).first), compression::Algorithm::kGzip);
}

TEST(ArchiveImportTest, MissingPartsAreNamed) {
  MemorySink sink;
  EXPECT_THAT(Import(Tar({{"x", "y"}}), sink),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unrecognized image format")));
  EXPECT_THAT(Import(Tar({{"manifest.json", ManifestJson("", "")}}), sink),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("c.json")));
  EXPECT_THAT(
      Import(Tar({{"manifest.json", ManifestJson("", R"("gone.tar")")}, {"c.json", kConfig}},
                 {{"gone.tar", "nowhere"}}),
             sink),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("gone.tar"), HasSubstr("nowhere"))));
  EXPECT_THAT(Import(Tar({{"oci-layout", R"({"imageLayoutVersion":"2"})"}}), sink),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("version")));
}

TEST(ArchiveImportTest, LinksInACircleEnd) {
  MemorySink sink;
  EXPECT_THAT(Import(Tar({{"manifest.json", ManifestJson("", R"("a")")}, {"c.json", kConfig}},
                         {{"a", "b"}, {"b", "a"}}),
                     sink),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// CVE-2023-25153: documents are read into memory, so they are bounded.
TEST(ArchiveImportTest, HugeDocumentsAreRefused) {
  MemorySink sink;
  EXPECT_THAT(
      Import(Tar({{"manifest.json", std::string(kMaxArchiveDocumentBytes + 1, ' ')}}), sink),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exceeds")));
}

imagespec::Child Entry(const std::string& key, const std::string& value) {
  return {.descriptor = {.media_type = "", .digest = "sha256:d", .annotations = {{key, value}}}};
}

const imagespec::Child kFull = Entry("io.containerd.image.name", "docker.io/library/app:1");
const imagespec::Child kTag = Entry("org.opencontainers.image.ref.name", "1.0");
const imagespec::Child kNameless = Entry("other", "x");

auto Named(const char* name) { return Field(&NamedImage::name, name); }

TEST(ImportNamesTest, TagsGetThePrefixAndFullNamesStay) {
  EXPECT_THAT(NameImages({kFull, kTag, kNameless}, {.prefix = "import-1"}),
              ElementsAre(Named("docker.io/library/app:1"), Named("import-1:1.0")));
}

TEST(ImportNamesTest, OtherNamesAreDroppedWhenAPrefixIsAskedFor) {
  EXPECT_THAT(NameImages({kFull, kTag}, {.prefix = "a/b", .allow_other = false}),
              ElementsAre(Named("a/b:1.0")));
  EXPECT_THAT(NameImages({kFull}, {.prefix = "docker.io/library/app", .allow_other = false}),
              ElementsAre(Named("docker.io/library/app:1")));
  EXPECT_THAT(NameImages({kFull}, {.prefix = "docker.io/library/ap", .allow_other = false}),
              ElementsAre());
}

TEST(ImportNamesTest, DigestNamesAreAddedOnRequest) {
  EXPECT_THAT(NameImages({kTag, kNameless}, {.prefix = "p", .digests = true}),
              ElementsAre(Named("p:1.0"), Named("p@sha256:d"), Named("p@sha256:d")));
  EXPECT_THAT(NameImages({kTag, kNameless},
                         {.prefix = "p", .digests = true, .skip_digest_for_named = true}),
              ElementsAre(Named("p:1.0"), Named("p@sha256:d")));
}

}  // namespace
}  // namespace gantry::images

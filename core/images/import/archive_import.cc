// SPDX-License-Identifier: Apache-2.0
#include "core/images/import/archive_import.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/tar_reader.h"
#include "core/base/status.h"
#include "core/compression/compression.h"
#include "core/compression/layer_media_type.h"
#include "core/imagespec/documents.h"
#include "core/imagespec/gc_labels.h"
#include "core/imagespec/image_config.h"
#include "core/imagespec/media_types.h"
#include "core/imagespec/reference.h"
#include "core/json/json.h"

namespace gantry::images {
namespace {

constexpr int kMaxLinks = 16;

std::string CleanName(std::string_view name) {
  std::string clean = (std::filesystem::path("/") / name).lexically_normal().string();
  return clean.substr(1);
}

// The content of the current entry, and the first bytes of it kept.
class EntryReader final : public Reader {
 public:
  explicit EntryReader(archive::TarReader& tar) : tar_(tar) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    if (piece_.empty()) {
      ASSIGN_OR_RETURN(piece_, tar_.ReadContent());
    }
    const size_t count = std::min(piece_.size(), buffer.size());
    std::copy_n(piece_.begin(), count, buffer.begin());
    if (head_.size() < compression::kSniffBytes) {
      head_.append(piece_.substr(0, std::min(count, compression::kSniffBytes - head_.size())));
    }
    piece_.remove_prefix(count);
    return count;
  }

  const std::string& head() const { return head_; }

 private:
  archive::TarReader& tar_;
  std::string_view piece_;
  std::string head_;
};

// Cuts what another stage writes into what a reader is asked for: plain bytes in, gzip out.
class CompressingReader final : public Reader {
 public:
  explicit CompressingReader(Reader& plain)
      : plain_(plain),
        compressor_(compression::NewCompressor(compression::Algorithm::kGzip, packed_)) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    while (at_ == packed_.bytes.size() && !ended_) RETURN_IF_ERROR(Fill());
    const size_t count = std::min(buffer.size(), packed_.bytes.size() - at_);
    std::copy_n(packed_.bytes.begin() + static_cast<std::ptrdiff_t>(at_), count, buffer.begin());
    at_ += count;
    return count;
  }

  Digest diff_id() const { return hasher_.Current(); }

 private:
  struct Buffer final : public Writer {
    absl::Status Write(std::string_view text) override {
      bytes.append(text);
      return absl::OkStatus();
    }
    std::string bytes;
  };

  absl::Status Fill() {
    packed_.bytes.clear();
    at_ = 0;
    ASSIGN_OR_RETURN(const size_t count, plain_.Read(input_));
    ended_ = count == 0;
    if (ended_) return compressor_->Finish();
    hasher_.Update(std::string_view(input_).substr(0, count));
    return compressor_->Write(std::string_view(input_).substr(0, count));
  }

  Reader& plain_;
  Buffer packed_;
  size_t at_ = 0;
  bool ended_ = false;
  Hasher hasher_;
  std::string input_ = std::string(size_t{1} << 18, '\0');
  std::unique_ptr<compression::Compressor> compressor_;
};

// A file of the archive in the store.
struct StoredFile {
  Descriptor blob;
  std::string head;
};

class Importer {
 public:
  Importer(BlobSink& sink, const ArchiveImportOptions& options) : sink_(sink), options_(options) {}

  absl::Status ReadAll(BlockReader& source);
  absl::StatusOr<Descriptor> Finish();

 private:
  absl::Status TakeFile(const std::string& name, uint64_t size, archive::TarReader& tar);
  absl::StatusOr<std::string> ReadDocument(const std::string& name, uint64_t size,
                                           archive::TarReader& tar);
  absl::StatusOr<Descriptor> StoreText(const std::string& ref, std::string_view media_type,
                                       std::string_view text);
  absl::StatusOr<const StoredFile*> Find(std::string_view what, const std::string& name) const;
  absl::StatusOr<Descriptor> LayerOf(const StoredFile& file);
  absl::StatusOr<Descriptor> Compress(const StoredFile& file);
  absl::StatusOr<imagespec::Child> MakeManifest(const Json& entry);
  absl::Status AddNamed(const Json& entry, const imagespec::Child& manifest, Json& manifests) const;
  absl::StatusOr<Descriptor> FinishDocker();

  BlobSink& sink_;
  const ArchiveImportOptions options_;
  std::map<std::string, StoredFile, std::less<>> files_;
  std::map<std::string, std::string, std::less<>> links_;
  std::string layout_;    // oci-layout
  std::string manifest_;  // manifest.json
};

absl::Status Importer::ReadAll(BlockReader& source) {
  archive::TarReader tar(source);
  archive::Entry entry;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, tar.Next(entry));
    if (!more) return absl::OkStatus();
    if (files_.size() + links_.size() > kMaxArchiveFiles) {
      return ResourceExhausted("image archive: more than {} files", kMaxArchiveFiles);
    }
    const std::string name = CleanName(entry.name);
    if (entry.type == archive::EntryType::kSymlink) {
      const std::filesystem::path folder = std::filesystem::path(name).parent_path();
      links_[name] = CleanName((folder / entry.link).string());
    } else if (entry.type == archive::EntryType::kRegular && !entry.sparse) {
      RETURN_IF_ERROR(TakeFile(name, entry.size, tar));
    }
  }
}

absl::StatusOr<std::string> Importer::ReadDocument(const std::string& name, uint64_t size,
                                                   archive::TarReader& tar) {
  if (size > kMaxArchiveDocumentBytes) {
    return InvalidArgument("image archive: {} exceeds {} bytes", name, kMaxArchiveDocumentBytes);
  }
  std::string text;
  while (true) {
    ASSIGN_OR_RETURN(const std::string_view piece, tar.ReadContent());
    if (piece.empty()) return text;
    text.append(piece);
  }
}

absl::Status Importer::TakeFile(const std::string& name, uint64_t size, archive::TarReader& tar) {
  if (name == "oci-layout" || name == "manifest.json") {
    ASSIGN_OR_RETURN((name == "oci-layout" ? layout_ : manifest_), ReadDocument(name, size, tar));
    return absl::OkStatus();
  }
  if (name == "repositories" || name.ends_with("/VERSION") || name.ends_with("/json")) {
    return absl::OkStatus();  // of Docker's first format
  }
  EntryReader content(tar);
  ASSIGN_OR_RETURN(Descriptor blob, sink_.Store("tar-" + name, size, {}, content));
  files_[name] = {.blob = std::move(blob), .head = content.head()};
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> Importer::StoreText(const std::string& ref, std::string_view media_type,
                                               std::string_view text) {
  ViewReader content(text);
  Labels labels;
  ASSIGN_OR_RETURN(const std::vector<imagespec::Child> children,
                   imagespec::ParseChildren(media_type, text));
  for (auto& [key, digest] : imagespec::ChildLabels(children)) labels[key] = digest;
  ASSIGN_OR_RETURN(Descriptor blob, sink_.Store(ref, text.size(), labels, content));
  blob.media_type = media_type;
  return blob;
}

absl::StatusOr<const StoredFile*> Importer::Find(std::string_view what,
                                                 const std::string& name) const {
  std::string target = CleanName(name);
  for (int hops = 0; hops < kMaxLinks; ++hops) {
    if (const auto file = files_.find(target); file != files_.end()) return &file->second;
    const auto link = links_.find(target);
    if (link == links_.end()) break;
    target = link->second;
  }
  if (target == CleanName(name))
    return InvalidArgument("image archive: {} {:?} not found", what, name);
  return InvalidArgument("image archive: {} {:?} links to {:?}, which is not found", what, name,
                         target);
}

absl::StatusOr<Descriptor> Importer::Compress(const StoredFile& file) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Reader> plain, sink_.Open(file.blob));
  CompressingReader packed(*plain);
  const std::string hex = file.blob.digest.substr(file.blob.digest.find(':') + 1);
  ASSIGN_OR_RETURN(
      Descriptor blob,
      sink_.Store("compress-blob-sha256-" + hex, std::nullopt,
                  {{std::string(imagespec::kUncompressedLabel), file.blob.digest}}, packed));
  blob.media_type = imagespec::kDockerLayerGzip;
  return blob;
}

absl::StatusOr<Descriptor> Importer::LayerOf(const StoredFile& file) {
  const compression::Algorithm algorithm = compression::Detect(file.head);
  if (algorithm == compression::Algorithm::kNone) {
    ASSIGN_OR_RETURN(const std::optional<Descriptor> packed,
                     sink_.FindCompressed(file.blob.digest));
    if (packed) {
      // What it is compressed with is in its bytes.
      Descriptor layer = *packed;
      ASSIGN_OR_RETURN(const std::unique_ptr<Reader> content, sink_.Open(layer));
      std::string head(compression::kSniffBytes, '\0');
      ASSIGN_OR_RETURN(const size_t count, content->Read(head));
      const bool zstd = compression::Detect(std::string_view(head).substr(0, count)) ==
                        compression::Algorithm::kZstd;
      layer.media_type = zstd ? imagespec::kDockerLayerZstd : imagespec::kDockerLayerGzip;
      return layer;
    }
    if (options_.compress) return Compress(file);
  }
  Descriptor layer = file.blob;
  switch (algorithm) {
    case compression::Algorithm::kNone:
      layer.media_type = imagespec::kDockerLayer;
      break;
    case compression::Algorithm::kGzip:
      layer.media_type = imagespec::kDockerLayerGzip;
      break;
    case compression::Algorithm::kZstd:
      layer.media_type = imagespec::kDockerLayerZstd;
      break;
  }
  return layer;
}

absl::StatusOr<imagespec::Child> Importer::MakeManifest(const Json& entry) {
  ASSIGN_OR_RETURN(const StoredFile* config, Find("image config", StringMember(entry, "Config")));
  Json manifest = {{"schemaVersion", 2}, {"mediaType", imagespec::kDockerManifest}};
  Descriptor config_blob = config->blob;
  config_blob.media_type = imagespec::kDockerConfig;
  manifest["config"] = imagespec::ToJson({.descriptor = config_blob});
  manifest["layers"] = Json::array();
  for (const std::string& name : StringsMember(entry, "Layers")) {
    ASSIGN_OR_RETURN(const StoredFile* file, Find("layer", name));
    ASSIGN_OR_RETURN(Descriptor layer, LayerOf(*file));
    manifest["layers"].push_back(imagespec::ToJson({.descriptor = std::move(layer)}));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Reader> content, sink_.Open(config_blob));
  std::string text;
  std::string piece(size_t{1} << 16, '\0');
  for (size_t count = 1; count > 0;) {
    ASSIGN_OR_RETURN(count, content->Read(piece));
    text.append(piece, 0, count);
    if (text.size() > imagespec::kMaxDocumentBytes)
      return imagespec::ParseImageConfig(text).status();
  }
  ASSIGN_OR_RETURN(const imagespec::ImageConfig image, imagespec::ParseImageConfig(text));
  const std::string document = DumpJson(manifest);
  imagespec::Child child;
  ASSIGN_OR_RETURN(child.descriptor, StoreText("manifest-" + Digest::Of(document).str(),
                                               imagespec::kDockerManifest, document));
  child.platform = Normalize(image.platform);
  return child;
}

// An index entry for each name of the image, or one without a name.
absl::Status Importer::AddNamed(const Json& entry, const imagespec::Child& manifest,
                                Json& manifests) const {
  const std::vector<std::string> tags = StringsMember(entry, "RepoTags");
  if (tags.empty()) manifests.push_back(imagespec::ToJson(manifest));
  for (const std::string& tag : tags) {
    ASSIGN_OR_RETURN(const std::string name, imagespec::DockerReference(tag));
    ASSIGN_OR_RETURN(const imagespec::Reference reference, imagespec::ParseReference(name));
    imagespec::Child named = manifest;
    named.descriptor.annotations = {
        {"io.containerd.image.name", name},
        {"org.opencontainers.image.ref.name", reference.tag.empty() ? name : reference.tag}};
    manifests.push_back(imagespec::ToJson(named));
  }
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> Importer::FinishDocker() {
  ASSIGN_OR_RETURN(const Json images, ParseJson(manifest_, "manifest.json"));
  if (!images.is_array()) return InvalidArgument("manifest.json: not a list");
  Json index = {{"schemaVersion", 2}, {"manifests", Json::array()}};
  for (const Json& entry : images) {
    ASSIGN_OR_RETURN(const imagespec::Child manifest, MakeManifest(entry));
    RETURN_IF_ERROR(AddNamed(entry, manifest, index["manifests"]));
  }
  const std::string document = DumpJson(index);
  return StoreText("index-" + Digest::Of(document).str(), imagespec::kOciIndex, document);
}

absl::StatusOr<Descriptor> Importer::Finish() {
  if (!layout_.empty()) {
    ASSIGN_OR_RETURN(const Json layout, ParseJson(layout_, "oci-layout"));
    const std::string version = StringMember(layout, "imageLayoutVersion");
    if (version != "1.0.0")
      return InvalidArgument("oci-layout: version {:?} not supported", version);
    ASSIGN_OR_RETURN(const StoredFile* index, Find("index", "index.json"));
    Descriptor root = index->blob;
    root.media_type = imagespec::kOciIndex;
    return root;
  }
  if (manifest_.empty()) return InvalidArgument("unrecognized image format");
  return FinishDocker();
}

}  // namespace

absl::StatusOr<Descriptor> ImportArchive(BlockReader& archive, BlobSink& sink,
                                         const ArchiveImportOptions& options) {
  Importer importer(sink, options);
  RETURN_IF_ERROR(importer.ReadAll(archive));
  return importer.Finish();
}

}  // namespace gantry::images

// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/image_import.h"

#include <memory>
#include <optional>
#include <utility>

#include "cmd/gctr/client/content.h"
#include "cmd/gctr/client/image.h"
#include "core/base/status.h"
#include "core/compression/compression.h"
#include "core/images/import/archive_import.h"
#include "core/imagespec/media_types.h"

namespace gantry::gctr {
namespace {

namespace content = containerd::services::content::v1;
namespace records = containerd::services::images::v1;

constexpr int kMaxDepth = 8;

class ContentSink final : public images::BlobSink {
 public:
  explicit ContentSink(const Client& client) : client_(client) {}

  absl::StatusOr<Descriptor> Store(const std::string& ref, std::optional<uint64_t> size,
                                   const Labels& labels, Reader& source) override {
    const BlobWrite write{.ref = ref,
                          .expected = "",
                          .size = static_cast<int64_t>(size.value_or(0)),
                          .labels = labels};
    ASSIGN_OR_RETURN(const auto stored, StoreBlob(client_, write, source));
    return Descriptor{.media_type = "", .digest = stored.first.str(), .size = stored.second};
  }

  absl::StatusOr<std::unique_ptr<Reader>> Open(const Descriptor& blob) override {
    return OpenBlob(client_, blob.digest);
  }

  absl::StatusOr<std::optional<Descriptor>> FindCompressed(const std::string& diff_id) override {
    content::ListContentRequest request;
    request.add_filters("labels.\"" + std::string(imagespec::kUncompressedLabel) +
                        "\"==" + diff_id);
    std::optional<Descriptor> found;
    RETURN_IF_ERROR(Service<content::Content>(client_).ForEach(
        &content::Content::Stub::List, request, [&](const content::ListContentResponse& response) {
          for (const content::Info& info : response.info()) {
            if (info.digest() == diff_id) continue;
            found = Descriptor{.media_type = "", .digest = info.digest(), .size = info.size()};
          }
          return absl::OkStatus();
        }));
    return found;
  }

 private:
  const Client& client_;
};

// Labels every document of the tree with what it refers to. False where all of an index was for
// other platforms.
absl::StatusOr<bool> KeepTree(const Client& client, const Descriptor& document,
                              const ImportSettings& settings, int depth) {
  if (depth > kMaxDepth) return InvalidArgument("index {}: nested too deep", document.digest);
  ASSIGN_OR_RETURN(const std::vector<imagespec::Child> children, ChildrenOf(client, document));
  const auto labels = imagespec::ChildLabels(children, settings.layers);
  if (!labels.empty()) RETURN_IF_ERROR(SetBlobLabels(client, document.digest, labels).status());
  bool kept = false;
  for (const imagespec::Child& child : children) {
    if (child.platform && !settings.platform.Matches(*child.platform)) continue;
    kept = true;
    const std::string& type = child.descriptor.media_type;
    if (imagespec::IsIndex(type) || imagespec::IsManifest(type)) {
      RETURN_IF_ERROR(KeepTree(client, child.descriptor, settings, depth + 1).status());
    }
  }
  return kept;
}

absl::StatusOr<records::Image> Record(const Client& client, const images::NamedImage& named,
                                      const ImportSettings& settings) {
  ASSIGN_OR_RETURN(const bool kept, KeepTree(client, named.target, settings, 0));
  if (!kept) {
    return NotFound("image {}: nothing in it for this platform, image might be filtered out",
                    named.name);
  }
  records::Image image;
  image.set_name(named.name);
  image.mutable_labels()->insert(settings.labels.begin(), settings.labels.end());
  ToProto(named.target, *image.mutable_target());
  RETURN_IF_ERROR(PutImage(client, image));
  return image;
}

}  // namespace

absl::StatusOr<std::vector<records::Image>> ImportImages(const Client& client,
                                                         std::unique_ptr<Reader> archive,
                                                         const ImportSettings& settings) {
  ASSIGN_OR_RETURN(const compression::Decompressed plain,
                   compression::Decompress(std::move(archive)));
  BufferedBlockReader blocks(*plain.reader);
  ContentSink sink(client);
  ASSIGN_OR_RETURN(const Descriptor root,
                   images::ImportArchive(blocks, sink, {.compress = settings.compress}));
  ASSIGN_OR_RETURN(const std::vector<imagespec::Child> index, ChildrenOf(client, root));
  std::vector<images::NamedImage> named;
  if (!settings.index_name.empty()) named.push_back({.name = settings.index_name, .target = root});
  std::vector<imagespec::Child> wanted;
  for (const imagespec::Child& child : index) {
    if (!child.platform || settings.platform.Matches(*child.platform)) wanted.push_back(child);
  }
  const std::vector<images::NamedImage> children = images::NameImages(wanted, settings.naming);
  named.insert(named.end(), children.begin(), children.end());
  if (named.empty()) return NotFound("image archive: no image with a name for this platform");
  std::vector<records::Image> imported;
  for (const images::NamedImage& image : named) {
    ASSIGN_OR_RETURN(records::Image record, Record(client, image, settings));
    imported.push_back(std::move(record));
  }
  return imported;
}

}  // namespace gantry::gctr

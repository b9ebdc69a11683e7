// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/unpack.h"

#include <algorithm>
#include <vector>

#include "cmd/gctr/client/content.h"
#include "cmd/gctr/client/snapshots.h"
#include "core/base/status.h"
#include "core/imagespec/gc_labels.h"
#include "core/kernel/file.h"
#include "proto/services/diff/v1/diff.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace diff = containerd::services::diff::v1;

constexpr int kPrepareTries = 3;

struct Layer {
  Descriptor blob;
  Digest diff_id;
  std::string chain_id;
  std::string parent;  // chain id; empty for the lowest
};

absl::StatusOr<std::vector<Layer>> LayersOf(const Client& client, const ImageManifest& image) {
  ASSIGN_OR_RETURN(const imagespec::ImageConfig config, LoadConfig(client, image.document.config));
  const std::vector<Descriptor>& blobs = image.document.layers;
  if (blobs.size() != config.diff_ids.size()) {
    return InvalidArgument("image {}: {} layers but {} diff ids", image.manifest.digest,
                           blobs.size(), config.diff_ids.size());
  }
  const std::vector<Digest> chain = imagespec::ChainIds(config.diff_ids);
  std::vector<Layer> layers;
  for (size_t i = 0; i < blobs.size(); ++i) {
    layers.push_back({.blob = blobs[i],
                      .diff_id = config.diff_ids[i],
                      .chain_id = chain[i].str(),
                      .parent = i == 0 ? "" : chain[i - 1].str()});
  }
  return layers;
}

Labels SnapshotLabels(const Layer& layer) {
  Labels labels;
  for (const auto& [key, value] : layer.blob.annotations) {
    if (key.starts_with("containerd.io/snapshot/")) labels[key] = value;
  }
  labels["containerd.io/snapshot.ref"] = layer.chain_id;
  labels["containerd.io/snapshot/diff-id"] = layer.diff_id.str();
  if (!layer.parent.empty()) labels["containerd.io/snapshot/parent-chain-id"] = layer.parent;
  return labels;
}

// A snapshot on the way to be a layer; removed unless it was committed.
class Extraction {
 public:
  Extraction(Snapshotter& snapshotter, std::string key)
      : snapshotter_(snapshotter), key_(std::move(key)) {}
  Extraction(const Extraction&) = delete;
  Extraction& operator=(const Extraction&) = delete;
  ~Extraction() {
    if (!key_.empty()) snapshotter_.RemoveIfThere(key_).IgnoreError();  // collected otherwise
  }

  absl::Status Commit(const Layer& layer, const Labels& labels) {
    absl::Status status = snapshotter_.Commit(layer.chain_id, key_, labels);
    if (absl::IsAlreadyExists(status)) return absl::OkStatus();  // somebody else was faster
    if (status.ok()) key_.clear();
    return status;
  }

 private:
  Snapshotter& snapshotter_;
  std::string key_;
};

// A snapshotter that already has the content hands out nothing to write to.
bool IsStaged(const ProtoMounts& mounts) {
  if (mounts.empty()) return false;
  const auto& options = mounts[mounts.size() - 1].options();
  return std::ranges::find(options, "ro") != options.end();
}

absl::Status Apply(const Client& client, const Layer& layer, const ProtoMounts& mounts,
                   bool sync_fs) {
  diff::ApplyRequest request;
  ToProto(layer.blob, *request.mutable_diff());
  *request.mutable_mounts() = mounts;
  request.set_sync_fs(sync_fs);
  ASSIGN_OR_RETURN(const diff::ApplyResponse response,
                   Service<diff::Diff>(client).Call(&diff::Diff::Stub::Apply, request));
  if (response.applied().digest() != layer.diff_id.str()) {
    return FailedPrecondition("layer {}: wrong diff id {}, the image says {}", layer.blob.digest,
                              response.applied().digest(), layer.diff_id.str());
  }
  return absl::OkStatus();
}

absl::Status Extract(const Client& client, Snapshotter& snapshotter, const Layer& layer,
                     bool sync_fs) {
  const Labels labels = SnapshotLabels(layer);
  for (int tries = 1;; ++tries) {
    const std::string key = "extract-" + kernel::RandomHex(6) + " " + layer.chain_id;
    absl::StatusOr<ProtoMounts> mounts = snapshotter.Prepare(key, layer.parent, labels);
    if (absl::IsAlreadyExists(mounts.status()) && tries < kPrepareTries) {
      ASSIGN_OR_RETURN(const bool there, snapshotter.Exists(layer.chain_id));
      if (there) return absl::OkStatus();
      continue;
    }
    if (!mounts.ok()) return mounts.status();
    Extraction extraction(snapshotter, key);
    const bool staged = IsStaged(*mounts);
    if (!staged) RETURN_IF_ERROR(Apply(client, layer, *mounts, sync_fs));
    RETURN_IF_ERROR(extraction.Commit(layer, labels));
    if (staged) return absl::OkStatus();
    return SetBlobLabels(client, layer.blob.digest,
                         {{std::string(imagespec::kUncompressedLabel), layer.diff_id.str()}})
        .status();
  }
}

}  // namespace

absl::StatusOr<std::string> TopSnapshot(const Client& client, const ImageManifest& image) {
  ASSIGN_OR_RETURN(const imagespec::ImageConfig config, LoadConfig(client, image.document.config));
  const std::vector<Digest> chain = imagespec::ChainIds(config.diff_ids);
  return chain.empty() ? "" : chain.back().str();
}

absl::StatusOr<bool> IsUnpacked(const Client& client, const ImageManifest& image,
                                const std::string& snapshotter) {
  ASSIGN_OR_RETURN(const std::string top, TopSnapshot(client, image));
  if (top.empty()) return true;
  return Snapshotter(client, snapshotter).Exists(top);
}

absl::Status Unpack(const Client& client, const ImageManifest& image,
                    const UnpackOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<Layer> layers, LayersOf(client, image));
  Snapshotter snapshotter(client, options.snapshotter);
  for (const Layer& layer : layers) {
    ASSIGN_OR_RETURN(const bool there, snapshotter.Exists(layer.chain_id));
    if (!there) RETURN_IF_ERROR(Extract(client, snapshotter, layer, options.sync_fs));
  }
  if (layers.empty()) return absl::OkStatus();
  return SetBlobLabels(client, image.document.config.digest,
                       {{std::string(imagespec::kSnapshotRefPrefix) + options.snapshotter,
                         layers.back().chain_id}})
      .status();
}

}  // namespace gantry::gctr

// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/snapshot_diff.h"

#include <charconv>
#include <utility>

#include "cmd/gctr/client/image.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "proto/services/diff/v1/diff.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace diff = containerd::services::diff::v1;
namespace snapshots = containerd::services::snapshots::v1;

// Mounts of a snapshot to look at: its own while it is being written, else those of a view that is
// removed at the end.
class SnapshotMounts {
 public:
  explicit SnapshotMounts(Snapshotter& snapshotter) : snapshotter_(snapshotter) {}
  SnapshotMounts(const SnapshotMounts&) = delete;
  SnapshotMounts& operator=(const SnapshotMounts&) = delete;
  ~SnapshotMounts() {
    if (!view_.empty()) snapshotter_.RemoveIfThere(view_).IgnoreError();  // collected otherwise
  }

  absl::Status Open(const snapshots::Info& info) {
    if (info.kind() == snapshots::ACTIVE) {
      ASSIGN_OR_RETURN(mounts, snapshotter_.Mounts(info.name()));
      return absl::OkStatus();
    }
    return OpenView(info.name());
  }

  absl::Status OpenView(const std::string& parent) {
    const std::string key = parent + "-view-" + kernel::RandomHex(6);
    ASSIGN_OR_RETURN(mounts, snapshotter_.View(key, parent));
    view_ = key;
    return absl::OkStatus();
  }

  ProtoMounts mounts;

 private:
  Snapshotter& snapshotter_;
  std::string view_;
};

absl::Status SetEpoch(const std::string& text, diff::DiffRequest& request) {
  if (text.empty()) return absl::OkStatus();
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("SOURCE_DATE_EPOCH {:?}: not a number", text);
  }
  request.mutable_source_date_epoch()->set_seconds(seconds);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Descriptor> DiffSnapshots(const Client& client, Snapshotter& snapshotter,
                                         const std::string& first, const std::string& second,
                                         const DiffSettings& settings) {
  ASSIGN_OR_RETURN(const snapshots::Info info, snapshotter.Stat(first));
  SnapshotMounts above(snapshotter);
  SnapshotMounts below(snapshotter);
  if (second.empty()) {
    RETURN_IF_ERROR(below.OpenView(info.parent()));
    RETURN_IF_ERROR(above.Open(info));
  } else {
    ASSIGN_OR_RETURN(const snapshots::Info other, snapshotter.Stat(second));
    RETURN_IF_ERROR(below.Open(info));
    RETURN_IF_ERROR(above.Open(other));
  }
  diff::DiffRequest request;
  *request.mutable_left() = below.mounts;
  *request.mutable_right() = above.mounts;
  request.set_media_type(settings.media_type);
  request.set_ref(settings.ref);
  request.mutable_labels()->insert(settings.labels.begin(), settings.labels.end());
  RETURN_IF_ERROR(SetEpoch(settings.source_date_epoch, request));
  ASSIGN_OR_RETURN(const diff::DiffResponse response,
                   Service<diff::Diff>(client).Call(&diff::Diff::Stub::Diff, request));
  return FromProto(response.diff());
}

}  // namespace gantry::gctr

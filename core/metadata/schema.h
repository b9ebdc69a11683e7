// SPDX-License-Identifier: Apache-2.0
// Every table of the database and the shape of its keys ("/" here stands for the NUL between
// components). Values are records of gantry.metadata.v1 unless said otherwise.
//
// clang-format off
//   meta              name                              text: schema version, marker of a gantry root; "snapshots-on-disk/…": boot/number
//   namespaces        ns                                NamespaceRecord
//   containers        ns/id                             ContainerRecord
//   images            ns/name                           ImageRecord
//   blobs             ns/digest                         BlobRecord
//   blob_owners       digest/ns                         empty; with ns "": time in ns, the file may be there without an owner
//   ingests           ns/ref                            IngestRecord
//   snapshots         ns/snapshotter/key                SnapshotRecord
//   snapshot_children ns/snapshotter/parent/key         empty
//   snapshot_backends snapshotter/backend key/ns/key    empty; who owns what a driver keeps
//   snapshot_intents  snapshotter/backend key           SnapshotIntentRecord; key of what the step makes
//   snapshot_trash    snapshotter/local id              empty; still to be removed. Of a proxy: the backend key
//   leases            ns/id                             LeaseRecord
//   lease_members     ns/lease/type/key                 empty; type as in the Leases service ("content", "snapshots/overlayfs", …)
//   sandboxes         ns/id                             SandboxRecord
//   activations       ns/name                           ActivationRecord
//   sequences         name                              decimal text, last number given out
// clang-format on
#pragma once

#include <array>
#include <cstddef>

namespace gantry::metadata {

inline constexpr int kSchemaVersion = 1;

enum class TableId : size_t {
  kMeta,
  kNamespaces,
  kContainers,
  kImages,
  kBlobs,
  kBlobOwners,
  kIngests,
  kSnapshots,
  kSnapshotChildren,
  kSnapshotBackends,
  kSnapshotIntents,
  kSnapshotTrash,
  kLeases,
  kLeaseMembers,
  kSandboxes,
  kActivations,
  kSequences,
  kCount,
};

inline constexpr std::array<const char*, static_cast<size_t>(TableId::kCount)> kTableNames = {
    "meta",
    "namespaces",
    "containers",
    "images",
    "blobs",
    "blob_owners",
    "ingests",
    "snapshots",
    "snapshot_children",
    "snapshot_backends",
    "snapshot_intents",
    "snapshot_trash",
    "leases",
    "lease_members",
    "sandboxes",
    "activations",
    "sequences",
};

}  // namespace gantry::metadata

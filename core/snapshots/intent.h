// SPDX-License-Identifier: Apache-2.0
// Steps at a snapshotter in another process that were begun and whose outcome is not recorded yet.
#pragma once

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "core/base/status.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/snapshotter.h"

namespace gantry::snapshots {

struct Intent {
  enum class Action { kCreate, kCommit };
  Action action = Action::kCreate;
  std::string ns;
  std::string key;                // of the snapshot to create, or the active one to commit
  std::string name = {};          // of the snapshot to commit to
  std::string backend_key;        // of `key`
  std::string backend_name = {};  // of `name`
  std::string parent = {};        // the client's key; of a commit: the parent after it
  Labels labels = {};
  std::string lease = {};
  absl::Time created_at;

  // Under which it is stored: the backend key that the step would make.
  const std::string& id() const { return action == Action::kCreate ? backend_key : backend_name; }
};

// Records the intent and keeps what it names from being collected meanwhile.
absl::Status PutIntent(metadata::WriteTxn& txn, std::string_view snapshotter, const Intent& intent);
absl::Status DeleteIntent(metadata::WriteTxn& txn, std::string_view snapshotter,
                          const Intent& intent);
absl::StatusOr<bool> HasIntent(const metadata::View& view, std::string_view snapshotter,
                               const Intent& intent);

// The intents of one snapshotter, or of all with an empty name.
absl::Status ForEachIntent(
    const metadata::View& view, std::string_view snapshotter,
    absl::FunctionRef<absl::Status(std::string_view snapshotter, const Intent& intent)> visit);

}  // namespace gantry::snapshots

// SPDX-License-Identifier: Apache-2.0
// Labels on a document's blob that keep the blobs it refers to from being collected.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/imagespec/documents.h"

namespace gantry::imagespec {

inline constexpr std::string_view kUncompressedLabel = "containerd.io/uncompressed";
inline constexpr std::string_view kSnapshotRefPrefix = "containerd.io/gc.ref.snapshot.";
inline constexpr std::string_view kContentRefPrefix = "containerd.io/gc.ref.content";

enum class LayerRefs { kKeep, kDrop };  // kDrop: layers may go once they are unpacked

// Key and digest for each child in order, the keys that containerd's clients use.
std::vector<std::pair<std::string, std::string>> ChildLabels(const std::vector<Child>& children,
                                                             LayerRefs layers = LayerRefs::kKeep);

}  // namespace gantry::imagespec

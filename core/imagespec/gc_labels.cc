// SPDX-License-Identifier: Apache-2.0
#include "core/imagespec/gc_labels.h"

#include <map>

#include "core/imagespec/media_types.h"

namespace gantry::imagespec {
namespace {

constexpr std::string_view kSubjectAnnotation = "io.containerd.manifest.subject";

std::string Stem(const Descriptor& child) {
  const std::string prefix(kContentRefPrefix);
  if (child.annotations.contains(kSubjectAnnotation)) return prefix + ".referrer.sha256.";
  if (IsConfig(child.media_type)) return prefix + ".config";
  if (IsManifest(child.media_type)) return prefix + ".m.";
  if (IsLayer(child.media_type)) return prefix + ".l.";
  return prefix + ".";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ChildLabels(const std::vector<Child>& children,
                                                             LayerRefs layers) {
  std::vector<std::pair<std::string, std::string>> labels;
  std::map<std::string, int, std::less<>> counts;
  for (const Child& child : children) {
    const Descriptor& descriptor = child.descriptor;
    if (layers == LayerRefs::kDrop && IsLayer(descriptor.media_type)) continue;
    std::string key = Stem(descriptor);
    const int count = counts[key]++;
    if (key.ends_with(".sha256.")) {
      const size_t colon = descriptor.digest.find(':');
      key += descriptor.digest.substr(colon + 1, 12);
    } else if (key.ends_with('.') || count > 0) {
      key += std::to_string(count);
    }
    labels.emplace_back(std::move(key), descriptor.digest);
  }
  return labels;
}

}  // namespace gantry::imagespec

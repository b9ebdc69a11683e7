// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "core/config/convert.h"

namespace gantry::config {
namespace {

constexpr std::string_view kOldCri = "io.containerd.grpc.v1.cri";  // keeps the streaming server
constexpr std::string_view kImages = "io.containerd.cri.v1.images";
constexpr std::string_view kRuntime = "io.containerd.cri.v1.runtime";

constexpr std::array<std::string_view, 6> kServerKeys = {
    "disable_tcp_service", "stream_server_address", "stream_server_port",
    "stream_idle_timeout", "enable_tls_streaming",  "x509_key_pair_streaming"};
constexpr std::array<std::string_view, 6> kImageKeys = {"registry",
                                                        "image_decryption",
                                                        "max_concurrent_downloads",
                                                        "image_pull_progress_timeout",
                                                        "image_pull_with_sync_fs",
                                                        "stats_collect_period"};
constexpr std::array<std::string_view, 3> kContainerdImageKeys = {
    "snapshotter", "disable_snapshot_annotations", "discard_unpacked_layers"};

bool Contains(const auto& keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

// Moves `key` unless its new place is taken.
void Move(Table& from, std::string_view key, Table& to, std::string_view new_key) {
  Value value;
  if (Take(from, key, value)) to.emplace(new_key, std::move(value));
}

void MoveImageKeys(Table& cri, Table& images) {
  for (const std::string_view key : kImageKeys) Move(cri, key, images, key);
  if (cri.contains("sandbox_image")) {
    if (Table* pinned = EnsureTable(images, "pinned_images")) {
      Move(cri, "sandbox_image", *pinned, "sandbox");
    }
  }
  Table* containerd = FindTable(cri, "containerd");
  if (containerd == nullptr) return;
  for (const std::string_view key : kContainerdImageKeys) Move(*containerd, key, images, key);
}

void RenameSandboxModes(Table& containerd) {
  Table* runtimes = FindTable(containerd, "runtimes");
  if (runtimes == nullptr) return;
  for (auto& [name, runtime] : *runtimes) {
    Table* table = runtime.table();
    if (table != nullptr && !table->contains("sandboxer")) {
      Move(*table, "sandbox_mode", *table, "sandboxer");
    }
  }
}

void MoveCni(Table& cri, Table& runtime) {
  Table* old_cni = FindTable(cri, "cni");
  Table* cni = EnsureTable(runtime, "cni");
  if (old_cni == nullptr || cni == nullptr) return;
  Value dir;
  if (Take(*old_cni, "bin_dir", dir)) {
    const Position position = dir.position;
    cni->emplace("bin_dirs", Value(List{std::move(dir)}, position));
  }
  for (auto& [key, value] : *old_cni) cni->emplace(key, std::move(value));
  cri.erase("cni");
}

void MoveContainerd(Table& cri, Table& runtime) {
  Table* old_place = FindTable(cri, "containerd");
  Table* containerd = EnsureTable(runtime, "containerd");
  if (old_place == nullptr || containerd == nullptr) return;
  for (auto& [key, value] : *old_place) containerd->emplace(key, std::move(value));
  RenameSandboxModes(*containerd);
  cri.erase("containerd");
}

void MoveRuntimeKeys(Table& cri, Table& runtime) {
  if (cri.contains("cni")) MoveCni(cri, runtime);
  if (cri.contains("containerd")) MoveContainerd(cri, runtime);
  for (auto it = cri.begin(); it != cri.end();) {
    if (Contains(kServerKeys, it->first)) {
      ++it;
      continue;
    }
    // CDI cannot be switched off any more.
    if (it->first != "enable_cdi") runtime.emplace(it->first, std::move(it->second));
    it = cri.erase(it);
  }
}

}  // namespace

void SplitCri(Table& plugins) {
  Table* cri = FindTable(plugins, kOldCri);
  if (cri == nullptr) return;
  Table* images = EnsureTable(plugins, kImages);
  Table* runtime = EnsureTable(plugins, kRuntime);
  if (images == nullptr || runtime == nullptr) return;
  MoveImageKeys(*cri, *images);
  MoveRuntimeKeys(*cri, *runtime);
  for (const std::string_view uri : {kOldCri, kImages, kRuntime}) {
    if (FindTable(plugins, uri)->empty()) plugins.erase(plugins.find(uri));
  }
}

}  // namespace gantry::config

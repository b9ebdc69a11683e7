// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin/plugin.h"

namespace gantry::plugin {

// What became of one registration.
struct Entry {
  std::string type;
  std::string id;
  std::vector<std::string> needs;
  Meta meta;
  absl::Status status;  // why it did not start; OK for one that runs
  Instance instance;

  bool skipped() const { return IsSkip(status); }
};

struct GraphOptions {
  std::filesystem::path root;
  std::filesystem::path state;
  std::set<std::string, std::less<>> disabled;  // "<type>.<id>"
  std::set<std::string, std::less<>> required;
};

// Finds the configuration of one plugin; the section lives as long as the daemon's configuration.
using SectionOf = std::function<config::Section&(std::string_view type, std::string_view id)>;

// The started plugins, in the order in which they were started.
//
// Ownership: owns every instance; destroys them in reverse order of their start.
// Threads:   Start() once, before any other thread looks; then read-only.
class Graph {
 public:
  explicit Graph(GraphOptions options) : options_(std::move(options)) {}
  ~Graph() { Close(); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Starts every registration that is not disabled, those that others need first. A plugin that
  // fails is logged and listed, and what needs its kind sees it missing. Fails only for a cycle, a
  // name given twice, or a required plugin that is absent or failed.
  absl::Status Start(std::span<const Registration> registrations, const SectionOf& section_of);

  // Destroys the instances, last started first. Idempotent.
  void Close();

  const std::vector<std::unique_ptr<Entry>>& entries() const { return entries_; }

  // A started plugin; NotFound, or the reason why the only candidate did not start.
  absl::StatusOr<Instance> Find(std::string_view type, std::string_view id) const;
  std::map<std::string, Instance> Started(std::string_view type) const;

  template <typename T>
  absl::StatusOr<T*> Get(const Kind<T>& kind, std::string_view id = {}) const {
    ASSIGN_OR_RETURN(const Instance instance, Find(kind.uri, id));
    return Cast<T>(instance, kind.uri);
  }

  // All started plugins of the kind, by id.
  template <typename T>
  std::map<std::string, T*> All(const Kind<T>& kind) const {
    std::map<std::string, T*> all;
    for (const auto& [id, instance] : Started(kind.uri)) {
      if (auto object = Cast<T>(instance, kind.uri); object.ok()) all.emplace(id, *object);
    }
    return all;
  }

 private:
  void StartOne(const Registration& registration, const SectionOf& section_of);
  absl::Status CheckRequired() const;

  const GraphOptions options_;
  std::vector<std::unique_ptr<Entry>> entries_;
};

// The order in which to start: needs first, otherwise as given. FailedPrecondition for a cycle,
// AlreadyExists for a name given twice.
absl::StatusOr<std::vector<const Registration*>> StartOrder(
    std::span<const Registration> registrations);

}  // namespace gantry::plugin

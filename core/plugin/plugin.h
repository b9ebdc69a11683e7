// SPDX-License-Identifier: Apache-2.0
// Plugins: what the daemon is made of, as containerd names it.
//
// A room offers a function that returns a Registration; the binary lists them; Graph orders them by
// need and starts them. No static initialisers, no registry that links by luck.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "core/base/context.h"
#include "core/base/status.h"

namespace gantry::config {
class Section;
}

namespace gantry::plugin {

// A plugin type: containerd's URI and the C++ interface that its plugins implement, so that lookups
// are typed.
template <typename T>
struct Kind {
  std::string_view uri;  // "io.containerd.snapshotter.v1"
};

// A message of whatever type, packed.
struct Packed {
  std::string type_url;
  std::string value;
};

// What a plugin tells Introspection about itself besides its name.
struct Meta {
  std::map<std::string, std::string> exports;
  std::vector<std::string> capabilities;
  bool has_platform = false;  // lists `platform`
  std::string platform;       // "os/architecture[/variant]"; empty: the host's
  // Answers, once and from any thread, who asks for more with options of the plugin's own. Empty:
  // there is no more.
  using Answer = absl::AnyInvocable<void(absl::StatusOr<Packed>)>;
  std::function<void(const Context& ctx, const Packed& options, Answer answer)> info;
};

// An instance without its type; Kind<T> brings it back.
struct Instance {
  std::shared_ptr<void> object;
  std::type_index type = typeid(void);
};

template <typename T>
absl::StatusOr<T*> Cast(const Instance& instance, std::string_view uri) {
  if (instance.type != typeid(T)) return Internal("plugin {} implements another type", uri);
  return static_cast<T*>(instance.object.get());
}

class Graph;

// Handed to a plugin's init function.
class InitContext {
 public:
  InitContext(const Graph& graph, std::string type, std::string id, std::filesystem::path root,
              std::filesystem::path state, config::Section& config)
      : graph_(graph),
        type_(std::move(type)),
        id_(std::move(id)),
        root_(std::move(root)),
        state_(std::move(state)),
        config_(config) {}

  // `<daemon root>/<type>.<id>` and the same below the state folder, made 0700 when first asked
  // for.
  absl::StatusOr<std::filesystem::path> root();
  absl::StatusOr<std::filesystem::path> state();

  config::Section& config() { return config_; }
  Meta& meta() { return meta_; }

  // The plugin of this kind with this id, or any one of the kind. NotFound when there is none that
  // started. The plugin lives as long as the graph, and longer than the plugin that is being
  // started.
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
  absl::StatusOr<Instance> Find(std::string_view type, std::string_view id) const;
  std::map<std::string, Instance> Started(std::string_view type) const;

  const Graph& graph_;
  const std::string type_;
  const std::string id_;
  const std::filesystem::path root_;
  const std::filesystem::path state_;
  config::Section& config_;
  Meta meta_;
};

struct Registration {
  std::string type;  // URI
  std::string id;
  // URIs of kinds, whose plugins all start first, or of single plugins ("<type>.<id>"); "*" means
  // all other kinds.
  std::vector<std::string> needs;
  // Reads every key of the plugin's section with its default, and does nothing else: unknown keys
  // and the effective configuration are found so without a start. Empty: the section has no keys.
  std::function<absl::Status(config::Section&)> configure;
  std::function<absl::StatusOr<Instance>(InitContext&)> init;

  std::string uri() const { return type + "." + id; }
};

template <typename T>
struct Spec {
  std::string id;
  std::vector<std::string_view> needs = {};
  std::function<absl::Status(config::Section&)> configure = {};
  std::function<absl::StatusOr<std::unique_ptr<T>>(InitContext&)> init;
};

template <typename T>
Registration Provide(const Kind<T>& kind, Spec<T> spec) {
  Registration registration{.type = std::string(kind.uri), .id = std::move(spec.id)};
  for (const std::string_view need : spec.needs) registration.needs.emplace_back(need);
  registration.configure = std::move(spec.configure);
  registration.init = [init =
                           std::move(spec.init)](InitContext& context) -> absl::StatusOr<Instance> {
    ASSIGN_OR_RETURN(std::unique_ptr<T> object, init(context));
    return Instance{std::shared_ptr<T>(std::move(object)), typeid(T)};
  };
  return registration;
}

// The status by which a plugin says that this host or configuration has no use for it. Listed by
// Introspection as skipped.
absl::Status Skip(std::string_view reason);
bool IsSkip(const absl::Status& status);

// The type of kinds whose plugins exist only to be listed.
struct Marker {};

}  // namespace gantry::plugin

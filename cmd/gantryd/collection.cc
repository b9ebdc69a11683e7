// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/collection.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "core/config/section.h"
#include "core/containers/container_resource.h"
#include "core/content/content_resource.h"
#include "core/content/plugin.h"
#include "core/events/exchange.h"
#include "core/gc/collector.h"
#include "core/gc/scheduler.h"
#include "core/images/image_resource.h"
#include "core/leases/lease_resource.h"
#include "core/log/log.h"
#include "core/metadata/lease_link.h"
#include "core/metrics/histogram.h"
#include "core/mount/manager/activation_resource.h"
#include "core/mount/manager/plugin.h"
#include "core/sandbox/sandbox_resource.h"
#include "core/snapshots/gc.h"
#include "core/snapshots/snapshotter.h"
#include "core/streaming/stream_registry.h"
#include "core/streaming/stream_resource.h"
#include "proto/events/image.pb.h"

namespace gantry {
namespace {

// Announces images that expired.
void PublishImageDeletes(events::Exchange& exchange, const std::vector<metadata::Node>& removed) {
  for (const metadata::Node& node : removed) {
    containerd::services::images::v1::ImageDelete event;
    event.set_name(node.key);
    if (const absl::Status sent = exchange.Publish({.ns = node.ns}, "/images/delete", event);
        !sent.ok()) {
      log::Warn("cannot announce a collected image",
                {{"ns", node.ns}, {"image", node.key}, {"error", sent}});
    }
  }
}

// Everything that takes part in collections, owned together.
class Collection {
 public:
  Collection(metadata::Metadata& metadata, content::ContentStore& content,
             const std::map<std::string, snapshots::Snapshotter*>& snapshotters,
             streaming::StreamRegistry& streams, events::Exchange& exchange,
             mount::MountManager* mounts)
      : mounts_(mounts),
        activations_([this] { CleanUpMounts({}); }),
        images_([&exchange](const std::vector<metadata::Node>& removed) {
          PublishImageDeletes(exchange, removed);
        }),
        snapshots_(exchange),
        streams_(streams),
        content_(content),
        backends_(Backends(snapshotters)),
        collector_(metadata,
                   {&blobs_, &ingests_, &images_, &containers_, &leases_, &sandboxes_, &snapshots_,
                    &streams_, &activations_},
                   All()) {}

  gc::Collector& collector() { return collector_; }

  absl::StatusOr<gc::Collector::Result> Run(const Context& ctx) {
    const absl::Time start = absl::Now();
    absl::StatusOr<gc::Collector::Result> result = collector_.Collect(ctx);
    if (result.ok()) duration_.Observe(absl::Now() - start);
    // Also what an unmount that failed has left.
    CleanUpMounts(ctx);
    return result;
  }
  const metrics::DurationHistogram& duration() const { return duration_; }

 private:
  using SnapshotBackends = std::map<std::string, std::unique_ptr<snapshots::SnapshotBackend>>;

  static SnapshotBackends Backends(
      const std::map<std::string, snapshots::Snapshotter*>& snapshotters) {
    SnapshotBackends backends;
    for (const auto& [name, snapshotter] : snapshotters) {
      backends.emplace(name, std::make_unique<snapshots::SnapshotBackend>(*snapshotter));
    }
    return backends;
  }

  std::map<std::string, gc::Backend*> All() {
    std::map<std::string, gc::Backend*> all = {
        {std::string(metadata::kContentResource), &content_}};
    for (const auto& [name, backend] : backends_)
      all.emplace(metadata::SnapshotResource(name), backend.get());
    return all;
  }

  void CleanUpMounts(const Context& ctx) {
    if (mounts_ == nullptr) return;
    if (const absl::Status cleaned = mounts_->CleanUp(ctx); !cleaned.ok()) {
      log::Warn("cannot clean up mounts", {{"error", cleaned}});
    }
  }

  mount::MountManager* const mounts_;  // null: none has started
  mount::ActivationResource activations_;
  sandbox::SandboxResource sandboxes_;
  content::BlobResource blobs_;
  content::IngestResource ingests_;
  images::ImageResource images_;
  containers::ContainerResource containers_;
  leases::LeaseResource leases_;
  snapshots::SnapshotResource snapshots_;
  streaming::StreamResource streams_;
  content::ContentBackend content_;
  SnapshotBackends backends_;
  gc::Collector collector_;
  metrics::DurationHistogram duration_;
};

absl::StatusOr<gc::SchedulerConfig> Decode(config::Section& section) {
  gc::SchedulerConfig config;
  ASSIGN_OR_RETURN(config.pause_threshold, section.Get("pause_threshold", config.pause_threshold));
  ASSIGN_OR_RETURN(config.deletion_threshold,
                   section.Get("deletion_threshold", config.deletion_threshold));
  ASSIGN_OR_RETURN(config.mutation_threshold,
                   section.Get("mutation_threshold", config.mutation_threshold));
  ASSIGN_OR_RETURN(config.schedule_delay, section.Get("schedule_delay", config.schedule_delay));
  ASSIGN_OR_RETURN(config.startup_delay, section.Get("startup_delay", config.startup_delay));
  return config;
}

void Export(const gc::SchedulerConfig& config, plugin::Meta& meta) {
  meta.exports["PauseThreshold"] = fmt::format("{}", config.pause_threshold);
  meta.exports["DeletionThreshold"] = fmt::format("{}", config.deletion_threshold);
  meta.exports["MutationThreshold"] = fmt::format("{}", config.mutation_threshold);
  meta.exports["ScheduleDelay"] = absl::FormatDuration(config.schedule_delay);
}

void AddMetrics(const gc::Scheduler& scheduler, const Collection& collection,
                std::vector<metrics::Family>& families) {
  const gc::SchedulerStats stats = scheduler.stats();
  families.push_back({.name = "containerd_gc_collections_total",
                      .help = "Garbage collections, by outcome.",
                      .type = metrics::Type::kCounter,
                      .samples = {{{{"status", "success"}}, static_cast<double>(stats.succeeded)},
                                  {{{"status", "fail"}}, static_cast<double>(stats.failed)}}});
  metrics::Family duration{"containerd_gc_gc_seconds", "How long garbage collections took.",
                           metrics::Type::kHistogram};
  collection.duration().AddTo(duration, {});
  families.push_back(std::move(duration));
}

// The scheduler of a collection, which hears of writes until it goes.
class CollectionScheduler final : public gc::Scheduler {
 public:
  CollectionScheduler(const gc::SchedulerConfig& config, metadata::Metadata& metadata,
                      const std::shared_ptr<Collection>& collection, metrics::Registry& registry)
      : Scheduler(config, [collection](const Context& ctx) { return collection->Run(ctx); }),
        metadata_(metadata),
        metrics_(registry.Add([this, collection](std::vector<metrics::Family>& families) {
          AddMetrics(*this, *collection, families);
        })) {
    metadata_.OnMutation([this, collection](const metadata::Mutation& mutation) {
      collection->collector().NoteMutation(mutation);
      NoteMutation(mutation);
    });
  }
  ~CollectionScheduler() override { metadata_.OnMutation({}); }

 private:
  metadata::Metadata& metadata_;
  const metrics::Registry::Registration metrics_;
};

absl::StatusOr<std::unique_ptr<gc::Scheduler>> Start(plugin::InitContext& init,
                                                     metrics::Registry& registry) {
  ASSIGN_OR_RETURN(const gc::SchedulerConfig config, Decode(init.config()));
  Export(config, init.meta());
  ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
  ASSIGN_OR_RETURN(content::ContentStore * content,
                   init.Get(content::kContentService, "content-service"));
  ASSIGN_OR_RETURN(streaming::StreamRegistry * streams, init.Get(streaming::kStreams));
  ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
  const auto managers = init.All(mount::kMountManager);
  return std::make_unique<CollectionScheduler>(
      config, *metadata,
      std::make_shared<Collection>(*metadata, *content, init.All(snapshots::kSnapshotter), *streams,
                                   *exchange,
                                   managers.empty() ? nullptr : managers.begin()->second),
      registry);
}

}  // namespace

plugin::Registration CollectionPlugin(metrics::Registry& metrics) {
  return plugin::Provide(
      gc::kScheduler,
      plugin::Spec<gc::Scheduler>{
          .id = "scheduler",
          .needs = {metadata::kMetadata.uri, content::kContentService.uri, events::kExchange.uri,
                    snapshots::kSnapshotter.uri, mount::kMountManager.uri, streaming::kStreams.uri},
          .configure = [](config::Section& section) { return Decode(section).status(); },
          .init = [&metrics](plugin::InitContext& init) { return Start(init, metrics); }});
}

}  // namespace gantry

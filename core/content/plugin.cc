// SPDX-License-Identifier: Apache-2.0
#include "core/content/plugin.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/content/local_backend.h"
#include "core/events/exchange.h"
#include "core/log/log.h"

namespace gantry::content {
namespace {

std::string NamesOf(const std::map<std::string, Backend*>& backends) {
  std::string names;
  for (const auto& [id, backend] : backends) {
    if (!names.empty()) names += ", ";
    names += fmt::format("{}.{}", kBackend.uri, id);
  }
  return names;
}

// How many blobs are lost. The rest of the store is of use whatever comes out here.
size_t ReportLost(const ContentStore& store) {
  const absl::StatusOr<std::vector<std::string>> lost = store.FindLost({});
  if (!lost.ok()) {
    log::Error("cannot compare content with its records", {{"error", lost.status()}});
    return 0;
  }
  for (const std::string& blob : *lost)
    log::Error("content has lost its bytes", {{"digest", blob}});
  return lost->size();
}

}  // namespace

plugin::Registration LocalPlugin(const base::Clock& clock) {
  return plugin::Provide(
      kBackend,
      plugin::Spec<Backend>{
          .id = "content",
          .init = [&clock](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<Backend>> {
            ASSIGN_OR_RETURN(const std::filesystem::path root, init.root());
            init.meta().exports["root"] = root.string();
            return LocalBackend::Open(root, clock);
          }});
}

plugin::Registration StorePlugin() {
  return plugin::Provide(
      kContentService,
      plugin::Spec<ContentStore>{
          .id = "content-service",
          .needs = {kBackend.uri, metadata::kMetadata.uri, events::kExchange.uri},
          .init = [](plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<ContentStore>> {
            const auto backends = init.All(kBackend);
            if (backends.size() > 1) {
              return InvalidArgument(
                  "only one {} may be loaded: list all but one of {} in disabled_plugins",
                  kBackend.uri, NamesOf(backends));
            }
            ASSIGN_OR_RETURN(Backend * backend, init.Get(kBackend));
            ASSIGN_OR_RETURN(metadata::Metadata * metadata, init.Get(metadata::kMetadata));
            ASSIGN_OR_RETURN(events::Exchange * exchange, init.Get(events::kExchange));
            auto store = std::make_unique<ContentStore>(*metadata, *backend, *exchange);
            if (const size_t lost = ReportLost(*store); lost > 0)
              init.meta().exports["lost"] = std::to_string(lost);
            return store;
          }});
}

}  // namespace gantry::content

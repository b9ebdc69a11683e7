// SPDX-License-Identifier: Apache-2.0
#include "core/plugin/graph.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "core/log/log.h"

namespace gantry::plugin {
namespace {

constexpr std::string_view kSkipText = "skip plugin";
constexpr std::string_view kAllKinds = "*";

absl::StatusOr<std::filesystem::path> EnsureFolder(const std::filesystem::path& parent,
                                                   std::string_view name) {
  std::filesystem::path folder = parent / name;
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return FromErrno(errno, fmt::format("create {}", folder.string()));
  }
  return folder;
}

// Depth first over the kinds that a registration needs.
class Sorter {
 public:
  explicit Sorter(std::span<const Registration> all) : all_(all), state_(all.size(), State::kNew) {}

  absl::StatusOr<std::vector<const Registration*>> Run() {
    for (size_t i = 0; i < all_.size(); ++i) RETURN_IF_ERROR(Visit(i));
    return std::move(order_);
  }

 private:
  enum class State { kNew, kVisiting, kDone };

  static bool Needs(const Registration& registration, const Registration& other) {
    return std::ranges::any_of(registration.needs, [&](const std::string& need) {
      return need == other.type || need == other.uri() ||
             (need == kAllKinds && registration.type != other.type);
    });
  }

  absl::Status Visit(size_t index) {
    const Registration& registration = all_[index];
    if (state_[index] == State::kDone) return absl::OkStatus();
    if (state_[index] == State::kVisiting)
      return FailedPrecondition("plugin {} needs itself", registration.uri());
    state_[index] = State::kVisiting;
    for (size_t i = 0; i < all_.size(); ++i) {
      if (i != index && Needs(registration, all_[i])) RETURN_IF_ERROR(Visit(i));
    }
    state_[index] = State::kDone;
    order_.push_back(&registration);
    return absl::OkStatus();
  }

  std::span<const Registration> all_;
  std::vector<State> state_;
  std::vector<const Registration*> order_;
};

}  // namespace

absl::Status Skip(std::string_view reason) {
  return FailedPrecondition("{}: {}", reason, kSkipText);
}

bool IsSkip(const absl::Status& status) {
  const auto message = status.message();
  return std::string_view(message.data(), message.size()).find(kSkipText) != std::string_view::npos;
}

absl::StatusOr<std::filesystem::path> InitContext::root() {
  return EnsureFolder(root_, type_ + "." + id_);
}
absl::StatusOr<std::filesystem::path> InitContext::state() {
  return EnsureFolder(state_, type_ + "." + id_);
}

absl::StatusOr<std::vector<const Registration*>> StartOrder(
    std::span<const Registration> registrations) {
  std::set<std::string> names;
  for (const Registration& registration : registrations) {
    if (!names.insert(registration.uri()).second)
      return AlreadyExists("plugin {}", registration.uri());
  }
  return Sorter(registrations).Run();
}

absl::Status Graph::Start(std::span<const Registration> registrations,
                          const SectionOf& section_of) {
  std::vector<Registration> enabled;
  for (const Registration& registration : registrations) {
    if (!options_.disabled.contains(registration.uri())) enabled.push_back(registration);
  }
  ASSIGN_OR_RETURN(const auto order, StartOrder(enabled));
  for (const Registration* registration : order) StartOne(*registration, section_of);
  return CheckRequired();
}

void Graph::StartOne(const Registration& registration, const SectionOf& section_of) {
  auto entry = std::make_unique<Entry>(
      Entry{.type = registration.type, .id = registration.id, .needs = registration.needs});
  InitContext context(*this, registration.type, registration.id, options_.root, options_.state,
                      section_of(registration.type, registration.id));
  absl::StatusOr<Instance> instance = registration.init(context);
  entry->meta = std::move(context.meta());
  if (instance.ok()) {
    entry->instance = *std::move(instance);
    log::Debug("plugin started", {{"type", registration.type}, {"id", registration.id}});
  } else {
    entry->status = instance.status();
    const auto level = entry->skipped() ? log::Level::kInfo : log::Level::kWarn;
    log::Write(level, entry->skipped() ? "plugin skipped" : "plugin failed",
               {{"type", registration.type}, {"id", registration.id}, {"error", entry->status}});
  }
  entries_.push_back(std::move(entry));
}

absl::Status Graph::CheckRequired() const {
  for (const std::string& uri : options_.required) {
    const auto found = std::ranges::find_if(
        entries_, [&](const auto& entry) { return entry->type + "." + entry->id == uri; });
    if (found == entries_.end()) return NotFound("required plugin {} is not loaded", uri);
    if (!(*found)->status.ok())
      return Annotate((*found)->status, fmt::format("required plugin {}", uri));
  }
  return absl::OkStatus();
}

absl::StatusOr<Instance> Graph::Find(std::string_view type, std::string_view id) const {
  absl::Status failure = absl::OkStatus();
  for (const auto& entry : entries_) {
    if (entry->type != type || (!id.empty() && entry->id != id)) continue;
    if (entry->status.ok()) return entry->instance;
    failure = entry->status;
  }
  if (!failure.ok()) return Annotate(failure, fmt::format("plugin {}", type));
  return NotFound("plugin {}{}{}", type, id.empty() ? "" : ".", id);
}

std::map<std::string, Instance> Graph::Started(std::string_view type) const {
  std::map<std::string, Instance> started;
  for (const auto& entry : entries_) {
    if (entry->type == type && entry->status.ok()) started.emplace(entry->id, entry->instance);
  }
  return started;
}

absl::StatusOr<Instance> InitContext::Find(std::string_view type, std::string_view id) const {
  return graph_.Find(type, id);
}

std::map<std::string, Instance> InitContext::Started(std::string_view type) const {
  return graph_.Started(type);
}

void Graph::Close() {
  while (!entries_.empty()) entries_.pop_back();
}

}  // namespace gantry::plugin

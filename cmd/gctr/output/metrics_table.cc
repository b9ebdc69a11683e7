// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/output/metrics_table.h"

#include "cmd/gctr/output/message_json.h"
#include "core/base/status.h"
#include "proto/cgroups/v1/metrics.pb.h"
#include "proto/cgroups/v2/metrics.pb.h"

namespace gantry::gctr {
namespace {

namespace v1 = io::containerd::cgroups::v1;
namespace v2 = io::containerd::cgroups::v2;

template <typename Numbers>
std::string Bracketed(const Numbers& numbers) {
  std::string text = "[";
  for (const uint64_t number : numbers) {
    if (text.size() > 1) text += ' ';
    text += std::to_string(number);
  }
  return text + "]";
}

Table TableOf(const v1::Metrics& metrics) {
  Table table({"METRIC", "VALUE"}, 4);
  const auto add = [&](const char* name, uint64_t value) {
    table.Add({name, std::to_string(value)});
  };
  if (metrics.has_memory()) {
    add("memory.usage_in_bytes", metrics.memory().usage().usage());
    add("memory.limit_in_bytes", metrics.memory().usage().limit());
    add("memory.stat.cache", metrics.memory().total_cache());
  }
  if (metrics.has_cpu()) {
    add("cpuacct.usage", metrics.cpu().usage().total());
    table.Add({"cpuacct.usage_percpu", Bracketed(metrics.cpu().usage().per_cpu())});
  }
  if (metrics.has_pids()) {
    add("pids.current", metrics.pids().current());
    add("pids.limit", metrics.pids().limit());
  }
  return table;
}

Table TableOf(const v2::Metrics& metrics) {
  Table table({"METRIC", "VALUE"}, 4);
  const auto add = [&](const char* name, uint64_t value) {
    table.Add({name, std::to_string(value)});
  };
  if (metrics.has_pids()) {
    add("pids.current", metrics.pids().current());
    add("pids.limit", metrics.pids().limit());
  }
  if (metrics.has_cpu()) {
    add("cpu.usage_usec", metrics.cpu().usage_usec());
    add("cpu.user_usec", metrics.cpu().user_usec());
    add("cpu.system_usec", metrics.cpu().system_usec());
    add("cpu.nr_periods", metrics.cpu().nr_periods());
    add("cpu.nr_throttled", metrics.cpu().nr_throttled());
    add("cpu.throttled_usec", metrics.cpu().throttled_usec());
  }
  if (metrics.has_memory()) {
    add("memory.usage", metrics.memory().usage());
    add("memory.usage_limit", metrics.memory().usage_limit());
    add("memory.swap_usage", metrics.memory().swap_usage());
    add("memory.swap_limit", metrics.memory().swap_limit());
  }
  return table;
}

template <typename Metrics>
absl::StatusOr<MetricsView> View(const std::string& value) {
  Metrics metrics;
  if (!metrics.ParseFromString(value)) {
    return DataLoss("metrics: not a {}", metrics.GetTypeName());
  }
  return MetricsView{.json = MessageJson(metrics), .table = TableOf(metrics)};
}

}  // namespace

absl::StatusOr<MetricsView> MetricsView::Make(const std::string& type_url,
                                              const std::string& value) {
  if (type_url.ends_with("io.containerd.cgroups.v1.Metrics")) return View<v1::Metrics>(value);
  if (type_url.ends_with("io.containerd.cgroups.v2.Metrics")) return View<v2::Metrics>(value);
  return InvalidArgument("metrics of an unknown type: {}", type_url);
}

}  // namespace gantry::gctr

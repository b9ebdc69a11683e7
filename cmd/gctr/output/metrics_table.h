// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cmd/gctr/output/table.h"
#include "core/json/json.h"

namespace gantry::gctr {

// Metrics of a task's cgroup, version 1 or 2, to be printed.
struct MetricsView {
  Json json;
  Table table;

  // InvalidArgument for metrics of another kind.
  static absl::StatusOr<MetricsView> Make(const std::string& type_url, const std::string& value);
};

}  // namespace gantry::gctr

// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/convert.h"

#include "core/metadata/record.h"

namespace gantry::runtime {
namespace {

constexpr int64_t kGoZeroSeconds = -62135596800;  // 0001-01-01T00:00:00Z

// Later shims may know more than we do.
Status StatusFromProto(::containerd::v1::types::Status status) {
  const int number = status;
  const bool known =
      number >= static_cast<int>(Status::kUnknown) && number <= static_cast<int>(Status::kPausing);
  return known ? static_cast<Status>(number) : Status::kUnknown;
}

}  // namespace

absl::Time TimeFromProto(const google::protobuf::Timestamp& time) {
  if (time.seconds() <= kGoZeroSeconds || (time.seconds() == 0 && time.nanos() == 0)) {
    return absl::InfinitePast();
  }
  return metadata::FromProto(time);
}

google::protobuf::Timestamp TimeToProto(absl::Time time) {
  if (time != absl::InfinitePast()) return metadata::ToProto(time);
  google::protobuf::Timestamp zero;
  zero.set_seconds(kGoZeroSeconds);
  return zero;
}

Exit FromProto(const ::containerd::task::v3::DeleteResponse& response) {
  return {.pid = response.pid(),
          .status = response.exit_status(),
          .exited_at = TimeFromProto(response.exited_at())};
}

ProcessState FromProto(const std::string& container,
                       const ::containerd::task::v3::StateResponse& state) {
  return {.container_id = container,
          .id = state.id().empty() ? container : state.id(),
          .pid = state.pid(),
          .status = StatusFromProto(state.status()),
          .stdio = {.in = state.stdin(),
                    .out = state.stdout(),
                    .err = state.stderr(),
                    .terminal = state.terminal()},
          .exit_status = state.exit_status(),
          .exited_at = TimeFromProto(state.exited_at())};
}

Exit FromProto(const ::containerd::task::v3::WaitResponse& response) {
  return {.status = response.exit_status(), .exited_at = TimeFromProto(response.exited_at())};
}

}  // namespace gantry::runtime

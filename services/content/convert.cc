// SPDX-License-Identifier: Apache-2.0
#include "services/content/convert.h"

#include <optional>
#include <string>

#include "services/rpc/convert.h"

namespace gantry::content {

namespace pb = ::containerd::services::content::v1;

void ToProto(const Info& info, pb::Info* out) {
  out->set_digest(info.digest.str());
  out->set_size(info.size);
  *out->mutable_created_at() = rpc::ToProto(info.created_at);
  *out->mutable_updated_at() = rpc::ToProto(info.updated_at);
  rpc::ToProto(info.labels, out->mutable_labels());
}

void ToProto(const IngestStatus& status, pb::Status* out) {
  out->set_ref(status.ref);
  out->set_offset(status.offset);
  out->set_total(status.total);
  out->set_expected(status.expected);
  *out->mutable_started_at() = rpc::ToProto(status.started_at);
  *out->mutable_updated_at() = rpc::ToProto(status.updated_at);
}

bool Matches(const filters::Filter& filter, const Info& info) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "digest") return info.digest.str();
    if (path[0] == "labels") return filters::Lookup(info.labels, path);
    return std::nullopt;
  });
}

bool Matches(const filters::Filter& filter, const IngestStatus& status) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "ref") return status.ref;
    return std::nullopt;
  });
}

}  // namespace gantry::content

// SPDX-License-Identifier: Apache-2.0
#include "core/content/content_resource.h"

#include "core/content/content_record.h"
#include "core/gc/scan.h"
#include "core/metadata/record.h"

namespace gantry::content {
namespace {

using metadata::Node;
using metadata::NodeType;
using metadata::TableId;

absl::StatusOr<gc::Object> DescribeBlob(Node node, std::string_view bytes) {
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(node.key));
  ASSIGN_OR_RETURN(Info info, DecodeBlob(digest, bytes));
  gc::Object object{.labels = std::move(info.labels)};
  object.root = metadata::ParseLabels(node.ns, object.labels).root;
  object.node = std::move(node);
  return object;
}

auto DescribeIngest(absl::Time now) {
  return [now](Node node, std::string_view bytes) -> absl::StatusOr<gc::Object> {
    ASSIGN_OR_RETURN(const IngestRecord record, metadata::Decode<IngestRecord>(bytes));
    gc::Object object;
    if (record.has_expires_at()) {
      object.root_until = metadata::FromProto(record.expires_at());
      object.root = object.root_until > now;
    }
    if (!record.expected().empty())
      object.keeps = {{NodeType::kContent, node.ns, record.expected()}};
    object.node = std::move(node);
    return object;
  };
}

}  // namespace

absl::Status BlobResource::Scan(const metadata::View& view, absl::Time,
                                absl::FunctionRef<absl::Status(gc::Object)> visit) {
  return gc::ScanTable(view, TableId::kBlobs, type(), DescribeBlob, visit);
}

absl::StatusOr<std::optional<gc::Object>> BlobResource::Load(const metadata::View& view, absl::Time,
                                                             const Node& node) {
  return gc::LoadRow(view, TableId::kBlobs, node, DescribeBlob);
}

absl::Status BlobResource::Sweep(metadata::WriteTxn& txn, const Node& node) {
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(node.key));
  return DeleteBlob(txn, node.ns, digest).status();
}

absl::Status IngestResource::Scan(const metadata::View& view, absl::Time now,
                                  absl::FunctionRef<absl::Status(gc::Object)> visit) {
  return gc::ScanTable(view, TableId::kIngests, type(), DescribeIngest(now), visit);
}

absl::StatusOr<std::optional<gc::Object>> IngestResource::Load(const metadata::View& view,
                                                               absl::Time now, const Node& node) {
  return gc::LoadRow(view, TableId::kIngests, node, DescribeIngest(now));
}

absl::Status IngestResource::Sweep(metadata::WriteTxn& txn, const Node& node) {
  return DeleteIngest(txn, node.ns, node.key).status();
}

}  // namespace gantry::content

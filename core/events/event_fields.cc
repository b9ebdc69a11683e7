// SPDX-License-Identifier: Apache-2.0
#include "core/events/event_fields.h"

#include <google/protobuf/descriptor.h>

#include <array>
#include <string_view>

#include "proto/events/container.pb.h"
#include "proto/events/content.pb.h"
#include "proto/events/image.pb.h"
#include "proto/events/namespace.pb.h"
#include "proto/events/sandbox.pb.h"
#include "proto/events/snapshot.pb.h"
#include "proto/events/task.pb.h"

namespace gantry::events {
namespace {

namespace pb = ::google::protobuf;
namespace ev = ::containerd::events;
namespace images = ::containerd::services::images::v1;

template <typename T>
const pb::Message& Prototype() {
  return T::default_instance();
}

// Named one by one: a lookup in protobuf's pool would only find what the linker happened to keep.
constexpr std::array kPrototypes = {
    &Prototype<ev::ContainerCreate>, &Prototype<ev::ContainerUpdate>,
    &Prototype<ev::ContainerDelete>, &Prototype<ev::ContentCreate>,
    &Prototype<ev::ContentDelete>,   &Prototype<images::ImageCreate>,
    &Prototype<images::ImageUpdate>, &Prototype<images::ImageDelete>,
    &Prototype<ev::NamespaceCreate>, &Prototype<ev::NamespaceUpdate>,
    &Prototype<ev::NamespaceDelete>, &Prototype<ev::SandboxCreate>,
    &Prototype<ev::SandboxStart>,    &Prototype<ev::SandboxExit>,
    &Prototype<ev::SnapshotPrepare>, &Prototype<ev::SnapshotCommit>,
    &Prototype<ev::SnapshotRemove>,  &Prototype<ev::TaskCreate>,
    &Prototype<ev::TaskStart>,       &Prototype<ev::TaskDelete>,
    &Prototype<ev::TaskExit>,        &Prototype<ev::TaskOOM>,
    &Prototype<ev::TaskExecAdded>,   &Prototype<ev::TaskExecStarted>,
    &Prototype<ev::TaskPaused>,      &Prototype<ev::TaskResumed>,
    &Prototype<ev::TaskCheckpointed>};

std::string_view BareName(std::string_view type_url) {
  return type_url.substr(type_url.rfind('/') + 1);  // npos + 1 is 0
}

// The entry of a map<string, string>; `path` starts with the map's name.
std::optional<std::string> FindEntry(const pb::Message& message, const pb::FieldDescriptor& field,
                                     filters::FieldPath path) {
  const pb::FieldDescriptor* key = field.message_type()->map_key();
  const pb::FieldDescriptor* value = field.message_type()->map_value();
  if (key->type() != pb::FieldDescriptor::TYPE_STRING ||
      value->type() != pb::FieldDescriptor::TYPE_STRING) {
    return std::nullopt;
  }
  const std::string wanted = filters::MapKey(path);
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const pb::Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    if (entry.GetReflection()->GetString(entry, key) == wanted) {
      return entry.GetReflection()->GetString(entry, value);
    }
  }
  return std::nullopt;
}

std::optional<std::string> FindField(const pb::Message& message, filters::FieldPath path) {
  if (path.empty()) return std::nullopt;
  const pb::FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(path[0]);
  if (field == nullptr) return std::nullopt;
  if (field->is_map()) return FindEntry(message, *field, path);
  if (field->is_repeated()) return std::nullopt;
  const pb::Reflection& reflection = *message.GetReflection();
  switch (field->type()) {
    case pb::FieldDescriptor::TYPE_STRING:
      return filters::NonEmpty(reflection.GetString(message, field));
    case pb::FieldDescriptor::TYPE_BOOL:
      return reflection.GetBool(message, field) ? "true" : "false";
    case pb::FieldDescriptor::TYPE_MESSAGE:
      if (!reflection.HasField(message, field)) return std::nullopt;
      return FindField(reflection.GetMessage(message, field), path.subspan(1));
    default:
      return std::nullopt;  // numbers cannot be filtered by
  }
}

}  // namespace

void EventFields::Decode() {
  decoded_ = true;
  const std::string_view name = BareName(event_.type_url());
  for (const auto prototype : kPrototypes) {
    if (prototype().GetDescriptor()->full_name() != name) continue;
    std::unique_ptr<pb::Message> message(prototype().New());
    if (message->ParseFromString(event_.value())) message_ = std::move(message);
    return;
  }
}

std::optional<std::string> EventFields::Find(filters::FieldPath path) {
  if (!decoded_) Decode();
  return message_ == nullptr ? std::nullopt : FindField(*message_, path);
}

}  // namespace gantry::events

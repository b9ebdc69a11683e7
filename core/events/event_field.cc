// SPDX-License-Identifier: Apache-2.0
// Filter fields of events, found by decoding the message: every event type that the daemon or its
// shims send.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>

#include "core/events/exchange.h"
#include "proto/events/container.pb.h"
#include "proto/events/content.pb.h"
#include "proto/events/image.pb.h"
#include "proto/events/namespace.pb.h"
#include "proto/events/sandbox.pb.h"
#include "proto/events/snapshot.pb.h"
#include "proto/events/task.pb.h"

namespace gantry::events {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Naming one message of each file keeps its descriptors linked in.
const google::protobuf::DescriptorPool& Pool() {
  google::protobuf::LinkMessageReflection<containerd::events::ContainerCreate>();
  google::protobuf::LinkMessageReflection<containerd::events::ContentCreate>();
  google::protobuf::LinkMessageReflection<containerd::services::images::v1::ImageCreate>();
  google::protobuf::LinkMessageReflection<containerd::events::NamespaceCreate>();
  google::protobuf::LinkMessageReflection<containerd::events::SandboxCreate>();
  google::protobuf::LinkMessageReflection<containerd::events::SnapshotPrepare>();
  google::protobuf::LinkMessageReflection<containerd::events::TaskCreate>();
  return *google::protobuf::DescriptorPool::generated_pool();
}

std::unique_ptr<Message> Decode(const google::protobuf::Any& any) {
  const size_t slash = any.type_url().rfind('/');
  const std::string name =
      slash == std::string::npos ? any.type_url() : any.type_url().substr(slash + 1);
  const google::protobuf::Descriptor* type = Pool().FindMessageTypeByName(name);
  if (type == nullptr) return nullptr;
  const Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  std::unique_ptr<Message> message(prototype->New());
  return message->ParseFromString(any.value()) ? std::move(message) : nullptr;
}

// The entry of a map<string, string> field.
std::optional<std::string> MapEntry(const Message& message, const FieldDescriptor* field,
                                    const std::string& key) {
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    const auto* type = entry.GetDescriptor();
    if (type->map_value()->type() != FieldDescriptor::TYPE_STRING) return std::nullopt;
    if (entry.GetReflection()->GetString(entry, type->map_key()) == key) {
      return entry.GetReflection()->GetString(entry, type->map_value());
    }
  }
  return std::nullopt;
}

// Clients spell fields as the message does.
const FieldDescriptor* FindField(const Message& message, const std::string& name) {
  return message.GetDescriptor()->FindFieldByName(name);
}

std::optional<std::string> FieldOf(const Message& message, filters::FieldPath path) {
  const FieldDescriptor* field = FindField(message, path[0]);
  if (field == nullptr) return std::nullopt;
  const auto* reflection = message.GetReflection();
  if (field->is_map()) return MapEntry(message, field, filters::MapKey(path));
  if (field->is_repeated()) return std::nullopt;
  if (field->type() == FieldDescriptor::TYPE_STRING)
    return filters::NonEmpty(reflection->GetString(message, field));
  if (field->type() == FieldDescriptor::TYPE_BOOL)
    return reflection->GetBool(message, field) ? "true" : "false";
  if (field->type() == FieldDescriptor::TYPE_MESSAGE && path.size() > 1) {
    return FieldOf(reflection->GetMessage(message, field), path.subspan(1));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> EventField(const Envelope& envelope, filters::FieldPath path) {
  if (path[0] == "namespace") return filters::NonEmpty(envelope.namespace_());
  if (path[0] == "topic") return filters::NonEmpty(envelope.topic());
  if (path[0] != "event" || path.size() < 2) return std::nullopt;
  const std::unique_ptr<Message> message = Decode(envelope.event());
  return message == nullptr ? std::nullopt : FieldOf(*message, path.subspan(1));
}

}  // namespace gantry::events

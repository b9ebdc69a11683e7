// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/output/message_json.h"

#include <google/protobuf/descriptor.h>
#include <openssl/evp.h>

#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

namespace gantry::gctr {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Json TextOf(const FieldDescriptor& field, const std::string& text) {
  return field.type() == FieldDescriptor::TYPE_BYTES ? Json(Base64(text)) : Json(text);
}

Json SingleJson(const Message& message, const FieldDescriptor& field) {
  const Reflection& get = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return get.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return get.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return get.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return get.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return get.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return get.GetFloat(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return get.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return get.GetEnumValue(message, &field);
    case FieldDescriptor::CPPTYPE_STRING:
      return TextOf(field, get.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(get.GetMessage(message, &field));
  }
  return nullptr;
}

Json RepeatedJson(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& get = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return get.GetRepeatedInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return get.GetRepeatedInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return get.GetRepeatedUInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return get.GetRepeatedUInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return get.GetRepeatedDouble(message, &field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return get.GetRepeatedFloat(message, &field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return get.GetRepeatedBool(message, &field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return get.GetRepeatedEnumValue(message, &field, index);
    case FieldDescriptor::CPPTYPE_STRING:
      return TextOf(field, get.GetRepeatedString(message, &field, index));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(get.GetRepeatedMessage(message, &field, index));
  }
  return nullptr;
}

// A key as JSON has it: text.
std::string KeyText(const Json& key) {
  return key.is_string() ? *key.get_ptr<const std::string*>() : DumpJson(key);
}

Json MapJson(const Message& message, const FieldDescriptor& field) {
  Json object = Json::object();
  const Descriptor& entry_type = *field.message_type();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    const Message& entry = message.GetReflection()->GetRepeatedMessage(message, &field, i);
    object[KeyText(SingleJson(entry, *entry_type.map_key()))] =
        SingleJson(entry, *entry_type.map_value());
  }
  return object;
}

}  // namespace

Json MessageJson(const Message& message) {
  Json object = Json::object();
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_map()) {
      object[field->name()] = MapJson(message, *field);
    } else if (field->is_repeated()) {
      Json list = Json::array();
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        list.push_back(RepeatedJson(message, *field, i));
      }
      object[field->name()] = std::move(list);
    } else {
      object[field->name()] = SingleJson(message, *field);
    }
  }
  return object;
}

Json AnyJson(const std::string& type_url, const std::string& value) {
  std::string_view name = type_url;
  if (name.starts_with("type.googleapis.com/")) name.remove_prefix(20);
  if (name.starts_with("types.containerd.io/")) {
    const absl::StatusOr<Json> body = ParseJson(value, type_url);
    return body.ok() ? *body : Json();
  }
  const Descriptor* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(std::string(name));
  if (type == nullptr) return nullptr;
  const Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  if (prototype == nullptr) return nullptr;
  const std::unique_ptr<Message> message(prototype->New());
  if (!message->ParseFromString(value)) return nullptr;
  return MessageJson(*message);
}

std::string Base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

void PrintJson(const Json& value) { std::fputs((DumpJson(value, 4) + "\n").c_str(), stdout); }

}  // namespace gantry::gctr

// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/descriptor_facts.h"

#include <fmt/format.h>

#include <string>

#include "core/base/status.h"
#include "google/protobuf/descriptor.h"

namespace gantry::contract {
namespace {

namespace pb = ::google::protobuf;

std::string TypeName(const pb::FieldDescriptor& field) {
  if (field.message_type() != nullptr) return field.message_type()->full_name();
  if (field.enum_type() != nullptr) return field.enum_type()->full_name();
  return field.type_name();
}

std::string TypeText(const pb::FieldDescriptor& field) {
  if (!field.is_map()) return TypeName(field);
  const pb::Descriptor& entry = *field.message_type();
  return fmt::format("map<{},{}>", TypeName(*entry.map_key()), TypeName(*entry.map_value()));
}

std::string Label(const pb::FieldDescriptor& field) {
  if (field.is_map()) return "";
  if (field.is_repeated()) return "repeated ";
  if (field.real_containing_oneof() != nullptr) {
    return "oneof " + field.real_containing_oneof()->name() + " ";
  }
  return field.has_optional_keyword() ? "optional " : "";
}

std::string FieldFact(const pb::FieldDescriptor& field) {
  return fmt::format("{} {}{}{}", field.number(), Label(field), TypeText(field),
                     field.options().deprecated() ? " deprecated" : "");
}

void AddExtension(const pb::FieldDescriptor& field, Facts& facts) {
  facts["extension " + field.full_name()] =
      field.containing_type()->full_name() + " " + FieldFact(field);
}

void AddEnum(const pb::EnumDescriptor& type, Facts& facts) {
  facts["enum " + type.full_name()] = "";
  for (int i = 0; i < type.value_count(); ++i) {
    const pb::EnumValueDescriptor& value = *type.value(i);
    facts["value " + type.full_name() + "." + value.name()] = std::to_string(value.number());
  }
}

void AddMessage(const pb::Descriptor& type, Facts& facts) {
  if (type.options().map_entry()) return;  // Stated by the map field.
  facts["message " + type.full_name()] = "";
  for (int i = 0; i < type.field_count(); ++i) {
    facts["field " + type.field(i)->full_name()] = FieldFact(*type.field(i));
  }
  for (int i = 0; i < type.reserved_range_count(); ++i) {
    for (int n = type.reserved_range(i)->start; n < type.reserved_range(i)->end; ++n) {
      facts[fmt::format("reserved {} {}", type.full_name(), n)] = "";
    }
  }
  for (int i = 0; i < type.extension_count(); ++i) AddExtension(*type.extension(i), facts);
  for (int i = 0; i < type.enum_type_count(); ++i) AddEnum(*type.enum_type(i), facts);
  for (int i = 0; i < type.nested_type_count(); ++i) AddMessage(*type.nested_type(i), facts);
}

void AddService(const pb::ServiceDescriptor& service, Facts& facts) {
  facts["service " + service.full_name()] = "";
  for (int i = 0; i < service.method_count(); ++i) {
    const pb::MethodDescriptor& method = *service.method(i);
    facts["method " + method.full_name()] =
        fmt::format("({}{}) -> {}{}", method.client_streaming() ? "stream " : "",
                    method.input_type()->full_name(), method.server_streaming() ? "stream " : "",
                    method.output_type()->full_name());
  }
}

// The system's own files, and gantry's records on disk, are no contract with anybody else.
bool IsContract(const std::string& file) {
  return !file.starts_with("google/protobuf/") && !file.starts_with("gantry/");
}

void AddFile(const pb::FileDescriptor& file, Facts& facts) {
  facts["file " + file.name()] =
      file.package() + " " + pb::FileDescriptor::SyntaxName(file.syntax());
  for (int i = 0; i < file.dependency_count(); ++i) {
    facts["import " + file.name() + " " + file.dependency(i)->name()] = "";
  }
  for (int i = 0; i < file.extension_count(); ++i) AddExtension(*file.extension(i), facts);
  for (int i = 0; i < file.enum_type_count(); ++i) AddEnum(*file.enum_type(i), facts);
  for (int i = 0; i < file.message_type_count(); ++i) AddMessage(*file.message_type(i), facts);
  for (int i = 0; i < file.service_count(); ++i) AddService(*file.service(i), facts);
}

}  // namespace

absl::StatusOr<Facts> DescriptorFacts(const pb::FileDescriptorSet& set) {
  pb::DescriptorPool pool;
  Facts facts;
  for (const pb::FileDescriptorProto& proto : set.file()) {
    const pb::FileDescriptor* file = pool.BuildFile(proto);
    if (file == nullptr) return InvalidArgument("{} does not build", proto.name());
    if (IsContract(proto.name())) AddFile(*file, facts);
  }
  return facts;
}

}  // namespace gantry::contract

// SPDX-License-Identifier: Apache-2.0
// Holds proto/ to the written wire contract, in both directions.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/testing/matchers.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "tests/contract/descriptor_facts.h"
#include "tests/contract/facts.h"

namespace gantry::contract {
namespace {

using ::gantry::testing::IsOk;
using ::gantry::testing::StatusIs;
using ::google::protobuf::FileDescriptorProto;
using ::google::protobuf::FileDescriptorSet;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Facts WrittenFacts() {
  Facts all;
  for (const auto& entry : std::filesystem::directory_iterator(GANTRY_FACTS_DIR)) {
    absl::StatusOr<Facts> facts = ParseFacts(ReadAll(entry.path()));
    EXPECT_THAT(facts.status(), IsOk()) << entry.path();
    if (!facts.ok()) continue;
    for (auto& [key, value] : *facts) EXPECT_TRUE(all.emplace(key, value).second) << key;
  }
  return all;
}

FileDescriptorSet CompiledSet() {
  FileDescriptorSet set;
  EXPECT_TRUE(set.ParseFromString(ReadAll(GANTRY_DESCRIPTOR_SET)));
  return set;
}

FileDescriptorProto& FileNamed(FileDescriptorSet& set, const std::string& name) {
  for (FileDescriptorProto& file : *set.mutable_file()) {
    if (file.name() == name) return file;
  }
  ADD_FAILURE() << name << " is not compiled";
  return *set.add_file();
}

std::vector<std::string> DifferencesOf(const FileDescriptorSet& set) {
  const absl::StatusOr<Facts> compiled = DescriptorFacts(set);
  EXPECT_THAT(compiled.status(), IsOk());
  return compiled.ok() ? Differences(WrittenFacts(), *compiled) : std::vector<std::string>{};
}

TEST(ContractTest, CompiledDescriptorsEqualTheWrittenFacts) {
  EXPECT_THAT(DifferencesOf(CompiledSet()), IsEmpty());
}

TEST(ContractTest, WrittenFactsCoverEveryContract) {
  // Guards the comparison itself: facts that are not read cannot be missed.
  size_t services = 0;
  size_t fields = 0;
  for (const auto& [key, value] : WrittenFacts()) {
    services += key.starts_with("service ") ? 1 : 0;
    fields += key.starts_with("field ") ? 1 : 0;
  }
  EXPECT_GE(services, 26);
  EXPECT_GE(fields, 1679);
}

TEST(ContractTest, AChangedFieldNumberIsReported) {
  FileDescriptorSet set = CompiledSet();
  FileNamed(set, "types/mount.proto").mutable_message_type(0)->mutable_field(3)->set_number(14);
  EXPECT_THAT(DifferencesOf(set),
              ElementsAre("field containerd.types.Mount.options: written \"4 repeated string\", "
                          "compiled \"14 repeated string\""));
}

TEST(ContractTest, AChangedFieldTypeOrLabelIsReported) {
  using Field = google::protobuf::FieldDescriptorProto;
  FileDescriptorSet set = CompiledSet();
  auto& descriptor = *FileNamed(set, "types/descriptor.proto").mutable_message_type(0);
  descriptor.mutable_field(1)->set_label(Field::LABEL_REPEATED);
  descriptor.mutable_field(2)->set_type(Field::TYPE_UINT64);
  EXPECT_THAT(
      DifferencesOf(set),
      ElementsAre(HasSubstr("Descriptor.digest: written \"2 string\", compiled "
                            "\"2 repeated string\""),
                  HasSubstr("Descriptor.size: written \"3 int64\", compiled \"3 uint64\"")));
}

TEST(ContractTest, ALostPresenceIsReported) {
  FileDescriptorSet set = CompiledSet();
  for (auto& message : *FileNamed(set, "services/images/v1/images.proto").mutable_message_type()) {
    if (message.name() != "DeleteImageRequest") continue;
    message.mutable_field(2)->clear_proto3_optional();
    message.mutable_field(2)->clear_oneof_index();
    message.clear_oneof_decl();
  }
  EXPECT_THAT(DifferencesOf(set), ElementsAre(HasSubstr("DeleteImageRequest.target: written")));
}

TEST(ContractTest, AFieldMovedIntoAOneofIsReported) {
  FileDescriptorSet set = CompiledSet();
  auto& mount = *FileNamed(set, "types/mount.proto").mutable_message_type(0);
  mount.add_oneof_decl()->set_name("choice");
  mount.mutable_field(0)->set_oneof_index(0);
  EXPECT_THAT(DifferencesOf(set), ElementsAre(HasSubstr("compiled \"1 oneof choice string\"")));
}

TEST(ContractTest, AChangedStreamOrEnumValueIsReported) {
  FileDescriptorSet set = CompiledSet();
  auto& snapshots = FileNamed(set, "services/snapshots/v1/snapshots.proto");
  for (auto& method : *snapshots.mutable_service(0)->mutable_method()) {
    if (method.name() == "List") method.set_server_streaming(false);
  }
  snapshots.mutable_enum_type(0)->mutable_value(2)->set_number(7);
  EXPECT_THAT(DifferencesOf(set),
              ElementsAre(HasSubstr("Snapshots.List: written"), HasSubstr("Kind.ACTIVE: written")));
}

TEST(ContractTest, WhatIsMissingOrAdditionalIsReported) {
  FileDescriptorSet set = CompiledSet();
  auto& version = FileNamed(set, "services/version/v1/version.proto");
  version.mutable_message_type(0)->mutable_field(1)->set_name("release");
  version.mutable_message_type(0)->mutable_field(1)->clear_json_name();
  version.add_message_type()->set_name("Surplus");
  version.mutable_service(0)->mutable_method()->RemoveLast();
  FileDescriptorProto& file = *set.add_file();
  file.set_name("surplus.proto");
  file.set_syntax("proto3");
  const std::vector<std::string> lines = DifferencesOf(set);
  EXPECT_THAT(lines, ::testing::SizeIs(5));
  EXPECT_THAT(lines, Contains(HasSubstr("missing: field containerd.services.version.v1."
                                        "VersionResponse.revision")));
  EXPECT_THAT(lines, Contains(HasSubstr("missing: method containerd.services.version.v1.Version")));
  EXPECT_THAT(lines, Contains(HasSubstr("additional: field containerd.services.version.v1."
                                        "VersionResponse.release")));
  EXPECT_THAT(lines, Contains(HasSubstr("additional: message containerd.services.version.v1."
                                        "Surplus")));
  EXPECT_THAT(lines, Contains(HasSubstr("additional: file surplus.proto")));
}

TEST(FactsTest, MalformedTextIsRefusedWithItsLine) {
  const std::string head = "file a.proto  package p  syntax proto3\n";
  for (const std::string& bad :
       {head + "message M\n  x name string\n", head + "message M\n  1 name string sometimes\n",
        head + "enum E: A\n", head + "service S\n  Call(M)\n", head + "colour blue thing\n",
        head + "message M\n  1 name map<string>\n", std::string("file a.proto\nmessage M\n")}) {
    EXPECT_THAT(ParseFacts(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line ")))
        << bad;
  }
  EXPECT_THAT(ParseFacts(head + "message M\n  1 other Undeclared\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Undeclared")));
  EXPECT_THAT(ParseFacts(head + "message M\nmessage M\n"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("stands twice")));
}

}  // namespace
}  // namespace gantry::contract

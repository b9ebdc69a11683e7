// SPDX-License-Identifier: Apache-2.0
// Every message against the one that protoc generates: encodings are byte-equal, and damaged input
// is judged and understood alike. Seeds are fixed, so a failure repeats.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <random>

#include "cgroups/v1/metrics.pb.h"
#include "cgroups/v2/metrics.pb.h"
#include "shim/messages/cgroup_v1_metrics.h"
#include "shim/messages/cgroup_v2_metrics.h"
#include "shim/messages/codec.h"

namespace gantry::shim::messages {
namespace {

namespace pb = ::google::protobuf;
using Random = std::mt19937_64;
using ::testing::PrintToString;

// Edges of the types more often than chance would have it.
uint64_t RandomNumber(Random& random) {
  constexpr std::array<uint64_t, 8> kEdges = {
      0, 1, 127, 128, 0x7FFF'FFFF, 0xFFFF'FFFF, 0x8000'0000'0000'0000, 0xFFFF'FFFF'FFFF'FFFF};
  return random() % 2 == 0 ? kEdges[random() % kEdges.size()] : random() >> random() % 64;
}

std::string RandomText(Random& random) {
  std::string text(random() % 8 == 0 ? random() % 300 : random() % 6, ' ');
  for (char& letter : text) letter = static_cast<char>('a' + random() % 26);
  return text;
}

void Fill(pb::Message& message, Random& random);

void FillOnce(pb::Message& message, const pb::FieldDescriptor* field, Random& random) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool add = field->is_repeated();
#define GANTRY_PUT(Kind, value)                       \
  (add ? reflection.Add##Kind(&message, field, value) \
       : reflection.Set##Kind(&message, field, value))
  switch (field->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return GANTRY_PUT(Int32, static_cast<int32_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return GANTRY_PUT(Int64, static_cast<int64_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return GANTRY_PUT(UInt32, static_cast<uint32_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return GANTRY_PUT(UInt64, RandomNumber(random));
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return GANTRY_PUT(Double, std::bit_cast<double>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return GANTRY_PUT(Bool, random() % 2 == 0);
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return GANTRY_PUT(EnumValue, static_cast<int32_t>(RandomNumber(random)));
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return GANTRY_PUT(String, RandomText(random));
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return Fill(*(add ? reflection.AddMessage(&message, field)
                        : reflection.MutableMessage(&message, field)),
                  random);
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      FAIL() << "no message has a field such as " << field->full_name();
  }
#undef GANTRY_PUT
}

// About every second field gets a value.
void Fill(pb::Message& message, Random& random) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
    for (uint64_t n = random() % (field->is_repeated() ? 4 : 2); n > 0; --n) {
      FillOnce(message, field, random);
    }
  }
}

// With map entries in the order of their keys.
std::string Serialize(const pb::Message& message) {
  std::string bytes;
  {
    pb::io::StringOutputStream stream(&bytes);
    pb::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    EXPECT_TRUE(message.SerializeToCodedStream(&coded));
  }
  return bytes;
}

// Changes, removes or repeats a few bytes.
std::string Damage(std::string bytes, Random& random) {
  for (uint64_t changes = random() % 4; changes > 0 && !bytes.empty(); --changes) {
    const size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        bytes.erase(at, 1 + random() % 3);
        break;
      default:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 20));
    }
  }
  return bytes;
}

// The same contract, without the demand that text be UTF-8: text is declared as bytes, and maps as
// the repeated entries that they are on the wire.
class TextBlindContract {
 public:
  explicit TextBlindContract(const pb::Descriptor* descriptor) {
    Add(descriptor->file());
    message_.reset(
        factory_.GetPrototype(pool_.FindMessageTypeByName(descriptor->full_name()))->New());
  }

  bool Accepts(const std::string& bytes) { return message_->ParseFromString(bytes); }
  // Whether what was parsed last has a group, which proto3 does not know: libprotobuf skips those,
  // and this room calls them malformed.
  bool HasGroup() const { return HasGroup(*message_); }

 private:
  static void Blind(pb::DescriptorProto& message) {
    message.mutable_options()->clear_map_entry();
    for (auto& field : *message.mutable_field()) {
      if (field.type() == pb::FieldDescriptorProto::TYPE_STRING) {
        field.set_type(pb::FieldDescriptorProto::TYPE_BYTES);
      }
    }
    for (auto& nested : *message.mutable_nested_type()) Blind(nested);
  }

  void Add(const pb::FileDescriptor* file) {
    if (pool_.FindFileByName(file->name()) != nullptr) return;
    for (int i = 0; i < file->dependency_count(); ++i) Add(file->dependency(i));
    pb::FileDescriptorProto copy;
    file->CopyTo(&copy);
    if (copy.syntax() == "proto3") {
      for (auto& message : *copy.mutable_message_type()) Blind(message);
    }
    ASSERT_NE(pool_.BuildFile(copy), nullptr);
  }

  static bool HasGroup(const pb::UnknownFieldSet& fields) {
    for (int i = 0; i < fields.field_count(); ++i) {
      if (fields.field(i).type() == pb::UnknownField::TYPE_GROUP) return true;
    }
    return false;
  }

  static bool HasGroup(const pb::Message& message) {
    const pb::Reflection& reflection = *message.GetReflection();
    if (HasGroup(reflection.GetUnknownFields(message))) return true;
    std::vector<const pb::FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    for (const pb::FieldDescriptor* field : fields) {
      if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
      if (!field->is_repeated() && HasGroup(reflection.GetMessage(message, field))) return true;
      for (int i = 0; field->is_repeated() && i < reflection.FieldSize(message, field); ++i) {
        if (HasGroup(reflection.GetRepeatedMessage(message, field, i))) return true;
      }
    }
    return false;
  }

  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_;
  std::unique_ptr<pb::Message> message_;
};

template <typename T, typename Full>
void ExpectSameEncoding(Random& random) {
  for (int round = 0; round < 200; ++round) {
    Full full;
    if (round > 0) Fill(full, random);
    const std::string bytes = Serialize(full);
    const auto message = Decode<T>(bytes);
    ASSERT_TRUE(message);
    ASSERT_EQ(PrintToString(Encode(*message)), PrintToString(bytes));
  }
}

template <typename T, typename Full>
void ExpectSameJudgement(Random& random) {
  TextBlindContract contract(Full::descriptor());
  const pb::LogSilencer silence;  // of what it says about text that is not UTF-8
  for (int round = 0; round < 2000; ++round) {
    Full full;
    Fill(full, random);
    const std::string bytes = Damage(Serialize(full), random);
    const auto message = Decode<T>(bytes);
    const bool accepted = contract.Accepts(bytes);
    if (accepted && !message && contract.HasGroup()) continue;
    ASSERT_EQ(message.has_value(), accepted) << PrintToString(bytes);
    if (!full.ParseFromString(bytes)) continue;
    full.DiscardUnknownFields();
    ASSERT_EQ(PrintToString(Encode(*message)), PrintToString(Serialize(full)))
        << PrintToString(bytes);
  }
}

template <typename T, typename Full>
void ExpectSame() {
  SCOPED_TRACE(Full::descriptor()->full_name());
  Random random(20240601);
  ExpectSameEncoding<T, Full>(random);
  ExpectSameJudgement<T, Full>(random);
}

TEST(MessagesTest, MetricsOfCgroupV1AreThoseOfProtobuf) {
  ExpectSame<cgroup_v1::Metrics, ::io::containerd::cgroups::v1::Metrics>();
}

TEST(MessagesTest, MetricsOfCgroupV2AreThoseOfProtobuf) {
  ExpectSame<cgroup_v2::Metrics, ::io::containerd::cgroups::v2::Metrics>();
}

}  // namespace
}  // namespace gantry::shim::messages
